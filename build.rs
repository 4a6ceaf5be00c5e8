//! Compiles the hook that puts our kernels into llama.cpp, against the very headers llama.cpp is built from.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=src/llama/kernels/hook.cpp");
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|target| target == "x86_64");
    if !x86 || std::env::var_os("CARGO_FEATURE_INFER").is_none() {
        return;
    }
    let ggml = llama_cpp_source().join("ggml");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/llama/kernels/hook.cpp")
        .includes([ggml.join("include"), ggml.join("src"), ggml.join("src/ggml-cpu")])
        .warnings(false)
        .compile("reels_hook");
}

/// The source folder that llama-cpp-sys-2 gave to cmake, as cmake noted it in its cache.
fn llama_cpp_source() -> PathBuf {
    let package = std::env::var("DEP_LLAMA_GGML_CMAKE_DIR").expect("llama-cpp-sys-2 names its cmake package");
    // OUT/lib/cmake; the cache is in OUT/build
    let cache = Path::new(&package).join("../../build/CMakeCache.txt");
    let text = std::fs::read_to_string(&cache).unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
    let source = text.lines().find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="));
    PathBuf::from(source.unwrap_or_else(|| panic!("{}: no CMAKE_HOME_DIRECTORY", cache.display())))
}
