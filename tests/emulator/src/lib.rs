//! A GPU on a CPU: memory, and the kernels that training launches, as `emulator.h` runs them.

use std::ffi::{CString, c_char, c_void};
use std::sync::Mutex;

unsafe extern "C" {
    fn emulate(
        name: *const c_char,
        blocks: *const u32,
        threads: u32,
        shared_bytes: usize,
        arguments: *mut *mut c_void,
        seed: u32,
    ) -> i32;
}

/// One at a time: the emulator is a single processor.
static PROCESSOR: Mutex<()> = Mutex::new(());

/// Runs a kernel over blocks of threads. Each argument is the bytes of a parameter.
///
/// # Errors
/// When there is no such kernel.
///
/// # Panics
/// When the name holds a zero byte.
///
/// # Safety
/// The arguments must be what the kernel takes, and what it reaches by them must be there.
pub unsafe fn launch(
    kernel: &str,
    blocks: [u32; 3],
    threads: u32,
    shared_bytes: usize,
    arguments: &mut [[u8; 8]],
    seed: u32,
) -> Result<(), String> {
    let name = CString::new(kernel).expect("a kernel's name");
    let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(|bytes| bytes.as_mut_ptr().cast()).collect();
    let _processor = PROCESSOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: as the caller promises; the pointers live until the call returns.
    let result = unsafe { emulate(name.as_ptr(), blocks.as_ptr(), threads, shared_bytes, pointers.as_mut_ptr(), seed) };
    if result == 0 { Ok(()) } else { Err(format!("there is no kernel {kernel}")) }
}
