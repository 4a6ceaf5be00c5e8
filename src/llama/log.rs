//! llama.cpp's messages: passed on to `tracing`, and its errors kept, as what it returns doesn't tell them.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use llama_cpp_sys_2 as sys;

/// A message that isn't whole yet, with its level; and the first error since somebody asked.
static STATE: Mutex<State> = Mutex::new(State { level: 0, line: String::new(), error: None });

struct State {
    level: sys::ggml_log_level,
    line: String,
    error: Option<String>,
}

/// Has llama.cpp and ggml send their messages here.
pub(super) fn install() {
    // SAFETY: the function may be called from any thread, and needs no data of its own.
    unsafe {
        sys::llama_log_set(Some(receive), null_mut());
        sys::ggml_log_set(Some(receive), null_mut());
    }
}

/// The first error since the last call.
pub(super) fn take_error() -> Option<String> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner).error.take()
}

unsafe extern "C" fn receive(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    // SAFETY: llama.cpp passes a string that ends with 0.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if level != sys::GGML_LOG_LEVEL_CONT {
        state.level = level;
    }
    state.line += &text;
    if !state.line.ends_with('\n') {
        return;
    }
    let line = std::mem::take(&mut state.line);
    // Its functions put their names in front.
    let message =
        line.trim().split_once(": ").filter(|(name, _)| !name.contains(' ')).map_or(line.trim(), |(_, rest)| rest);
    match state.level {
        sys::GGML_LOG_LEVEL_ERROR => {
            tracing::error!(target: "llama_cpp", "{}", line.trim());
            state.error.get_or_insert_with(|| message.to_owned());
        }
        sys::GGML_LOG_LEVEL_WARN => tracing::warn!(target: "llama_cpp", "{}", line.trim()),
        sys::GGML_LOG_LEVEL_INFO => tracing::info!(target: "llama_cpp", "{}", line.trim()),
        _ => tracing::debug!(target: "llama_cpp", "{}", line.trim()),
    }
}
