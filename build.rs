//! Compiles the hook that puts our kernels into llama.cpp, against the very headers llama.cpp is built from, and the kernels
//! of training on a GPU.

use std::path::{Path, PathBuf};

fn main() {
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_cuda();
    }
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

/// PTX for compute capability 8.0, which the driver compiles for any later GPU. Empty with `REELS_NO_PTX=1`: all else can be
/// checked without nvcc.
fn compile_cuda() {
    println!("cargo:rerun-if-changed=src/qlora/cuda/kernels");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    println!("cargo:rerun-if-env-changed=REELS_NO_PTX");
    let out = std::env::var_os("OUT_DIR").expect("cargo names a directory");
    let ptx = Path::new(&out).join("kernels.ptx");
    if std::env::var_os("REELS_NO_PTX").is_some_and(|value| value == "1") {
        std::fs::write(&ptx, "").unwrap_or_else(|error| panic!("{}: {error}", ptx.display()));
        return;
    }
    let nvcc = std::env::var_os("CUDA_HOME").map_or_else(|| "nvcc".into(), |home| Path::new(&home).join("bin/nvcc"));
    let mut command = std::process::Command::new(&nvcc);
    command.args(["-std=c++17", "-O3", "-ptx", "-arch=compute_80", "src/qlora/cuda/kernels/kernels.cu", "-o"]);
    let status = command.arg(&ptx).status().unwrap_or_else(|error| {
        panic!(
            "{}: {error}\nhint: the feature cuda needs the CUDA toolkit; CUDA_HOME names its directory. To check \
             all else, REELS_NO_PTX=1 leaves the kernels out",
            nvcc.display()
        )
    });
    assert!(status.success(), "{} failed", nvcc.display());
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
