//! Compiles the kernels with a C++ compiler.

fn main() {
    let kernels = "../../src/qlora/cuda/kernels";
    println!("cargo:rerun-if-changed={kernels}");
    println!("cargo:rerun-if-changed=src");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/emulator.cpp")
        .includes(["src", kernels])
        .define("EMULATED", None)
        .opt_level(2)
        .flag("-Wno-unknown-pragmas")
        .compile("emulator");
}
