//! Moving a sequence from the context it was prefilled in to the context it goes on in, and keeping one for later.
//!
//! llama.cpp saves and restores one sequence, but only between contexts with the same number of streams. The number
//! stands in the saved bytes, and each stream without cells is a zero; so a state saved by a context of one stream is
//! one of a context of several once the number is changed and the zeros are added. The layout (llama.cpp's
//! `state_seq_get_data` and `llama_kv_cache::state_write`): magic u32, sequence i32, streams u32, then for each stream
//! its cells u32 and, where there are some, their data. The version of the bindings is pinned; the agreement tests
//! notice a change.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::session::LlamaStateSeqFlags;

const STREAMS_AT: usize = 8;

/// Copies a sequence of `from`, a context of one stream, to a free sequence of `to`, a context of `streams`.
///
/// # Errors
/// When llama.cpp refuses.
pub(super) fn transfer(
    from: &LlamaContext,
    sequence: i32,
    to: &mut LlamaContext,
    target: i32,
    streams: usize,
) -> Result<(), String> {
    let mut state = save(from, sequence)?;
    if state.get(STREAMS_AT..STREAMS_AT + 4) != Some(&1u32.to_le_bytes()) {
        return Err("llama.cpp saved a sequence of several streams".to_owned());
    }
    state[STREAMS_AT..STREAMS_AT + 4].copy_from_slice(&(streams as u32).to_le_bytes());
    state.extend(std::iter::repeat_n(0, 4 * (streams - 1)));
    restore(to, target, &state)
}

/// The keys and values of a sequence.
///
/// # Errors
/// When llama.cpp writes less than it announced.
pub(super) fn save(context: &LlamaContext, sequence: i32) -> Result<Vec<u8>, String> {
    let flags = LlamaStateSeqFlags::empty();
    let size = context.state_seq_get_size_ext(sequence, flags);
    let mut state = vec![0; size];
    // SAFETY: the buffer has the size that the context asks for in this state.
    let written = unsafe { context.state_seq_get_data_ext(state.as_mut_ptr(), sequence, flags) };
    if written == size { Ok(state) } else { Err(format!("llama.cpp saved {written} of {size} bytes of a sequence")) }
}

/// Puts what was saved into a free sequence of a context with as many streams.
///
/// # Errors
/// When it was saved by a context of another shape.
pub(super) fn restore(context: &mut LlamaContext, sequence: i32, state: &[u8]) -> Result<(), String> {
    // SAFETY: llama.cpp checks sizes and types on reading, and refuses what doesn't fit its layers and cache types.
    let restored = unsafe { context.state_seq_set_data_ext(state, sequence, LlamaStateSeqFlags::empty()) };
    if restored { Ok(()) } else { Err("llama.cpp can't restore a sequence".to_owned()) }
}
