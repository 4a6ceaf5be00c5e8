//! Our kernels inside llama.cpp's graph, where they are faster than its own (benches/RESULTS.md).
//!
//! ggml's CPU backend lets other matrix libraries take an operation; `hook.cpp` enters us there. A build or CPU
//! without AVX-512 VNNI runs llama.cpp's kernels.

mod q8_0;

use std::ffi::c_void;

use llama_cpp_sys_2::{GGML_OP_MUL_MAT, GGML_TYPE_F32, GGML_TYPE_Q8_0, ggml_tensor};

use self::q8_0::{Product, WEIGHT_BLOCK};

/// With fewer tokens than this too many lanes stay empty: a product takes as long as for 16.
const LEAST_TOKENS: i64 = 4;
/// Rows of weights a thread takes at once.
const CHUNK: usize = 48;

unsafe extern "C" {
    fn reels_install_kernels();
    fn ggml_barrier(pool: *mut c_void);
    fn ggml_threadpool_chunk_set(pool: *mut c_void, value: i32);
    fn ggml_threadpool_chunk_add(pool: *mut c_void, value: i32) -> i32;
}

fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

/// Enters our kernels where the CPU has what they need. Call once, before the first context computes.
pub(super) fn install() {
    if available() {
        // SAFETY: ggml's list of buffer types isn't read by another thread yet.
        unsafe { reels_install_kernels() }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reels_takes(op: *const ggml_tensor) -> bool {
    // SAFETY: ggml passes tensors of its graph; a product has two sources.
    unsafe {
        let op = &*op;
        if op.op != GGML_OP_MUL_MAT || op.type_ != GGML_TYPE_F32 {
            return false;
        }
        let (weights, input) = (&*op.src[0], &*op.src[1]);
        weights.type_ == GGML_TYPE_Q8_0
            && input.type_ == GGML_TYPE_F32
            && input.ne[1] >= LEAST_TOKENS
            && [weights, input, op].iter().all(|tensor| tensor.ne[2] == 1 && tensor.ne[3] == 1)
            && weights.nb[0] == WEIGHT_BLOCK
            && input.nb[0] == 4
            && op.nb[0] == 4
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reels_work_bytes(op: *const ggml_tensor) -> usize {
    // SAFETY: as for `reels_takes`, which took it.
    let input = unsafe { &*(*op).src[1] };
    Product::work_bytes(input.ne[1] as usize, input.ne[0] as usize)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reels_compute(
    op: *const ggml_tensor,
    thread: i32,
    threads: i32,
    work: *mut u8,
    pool: *mut c_void,
) {
    // SAFETY: as for `reels_takes`; ggml gives all threads the same work buffer of at least `reels_work_bytes`.
    unsafe {
        let op = &*op;
        let (weights, input) = (&*op.src[0], &*op.src[1]);
        let product = Product {
            weights: weights.data.cast(),
            input: input.data.cast(),
            output: op.data.cast(),
            weights_stride: weights.nb[1],
            input_stride: input.nb[1] / 4,
            output_stride: op.nb[1] / 4,
            rows: weights.ne[1] as usize,
            tokens: input.ne[1] as usize,
            depth: weights.ne[0] as usize,
        };
        if thread == 0 {
            ggml_threadpool_chunk_set(pool, threads);
        }
        product.pack(work, thread as usize, threads as usize);
        ggml_barrier(pool);
        let mut chunk = thread as usize;
        while chunk * CHUNK < product.rows {
            product.multiply(work, chunk * CHUNK..product.rows.min((chunk + 1) * CHUNK));
            chunk = ggml_threadpool_chunk_add(pool, 1) as usize;
        }
    }
}
