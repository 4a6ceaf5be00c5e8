//! Our kernels inside llama.cpp's graph, where they are faster than its own (benches/RESULTS.md).
//!
//! ggml's CPU backend lets other matrix libraries take an operation; `hook.cpp` enters us there. A build or CPU
//! without AVX-512 VNNI runs llama.cpp's kernels.

mod attention;
mod q8_0;

use std::ffi::c_void;

use llama_cpp_sys_2::ggml_tensor;

use self::attention::Attention;
use self::q8_0::Product;

/// Rows of weights a thread takes at once.
const CHUNK: usize = 48;

unsafe extern "C" {
    fn reels_install_kernels();
    fn ggml_barrier(pool: *mut c_void);
    fn ggml_threadpool_chunk_set(pool: *mut c_void, value: i32);
    fn ggml_threadpool_chunk_add(pool: *mut c_void, value: i32) -> i32;
}

/// Whether the CPU has what they need.
pub(super) fn available() -> bool {
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

/// An operation that is ours.
enum Operation {
    Product(Product),
    Attention(Attention),
}

impl Operation {
    /// # Safety
    /// `op` is a node of a graph.
    unsafe fn of(op: *const ggml_tensor) -> Option<Operation> {
        // SAFETY: as promised by the caller.
        unsafe {
            let op = &*op;
            Product::of(op).map(Operation::Product).or_else(|| Attention::of(op).map(Operation::Attention))
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reels_takes(op: *const ggml_tensor) -> bool {
    // SAFETY: ggml passes nodes of its graph.
    unsafe { Operation::of(op) }.is_some()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reels_work_bytes(op: *const ggml_tensor, threads: i32) -> usize {
    // SAFETY: as for `reels_takes`, which took it.
    match unsafe { Operation::of(op) } {
        Some(Operation::Product(product)) => product.work_bytes(),
        Some(Operation::Attention(attention)) => attention.work_bytes(threads as usize),
        None => 0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reels_compute(
    op: *const ggml_tensor,
    thread: i32,
    threads: i32,
    work: *mut u8,
    pool: *mut c_void,
) {
    let (thread, threads) = (thread as usize, threads as usize);
    // SAFETY: as for `reels_takes`; ggml gives all threads the same work buffer of at least `reels_work_bytes`.
    unsafe {
        if thread == 0 {
            ggml_threadpool_chunk_set(pool, threads as i32);
        }
        let each = |items: usize, work_on: &dyn Fn(usize)| {
            ggml_barrier(pool);
            let mut item = thread;
            while item < items {
                work_on(item);
                item = ggml_threadpool_chunk_add(pool, 1) as usize;
            }
        };
        match Operation::of(op) {
            Some(Operation::Product(product)) => {
                product.pack(work, thread, threads);
                each(product.rows.div_ceil(CHUNK), &|chunk| {
                    product.multiply(work, chunk * CHUNK..product.rows.min((chunk + 1) * CHUNK));
                });
            }
            Some(Operation::Attention(attention)) => {
                each(attention.items(), &|item| attention.attend(item, work, thread));
            }
            None => {}
        }
    }
}

/// Registers of tokens that share what is broadcast: three at once, but two and two for the last four, because one alone
/// makes less of what it loads.
fn groups_at_once(left: usize) -> usize {
    match left {
        1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}
