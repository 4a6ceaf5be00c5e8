//! Logits of whole prompts, for comparing a file with what it was made from.

use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Result, ensure};
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use super::engine::FLASH_ATTENTION;
use super::{backend, load_file};
use crate::gguf;
use crate::stop::Stop;

/// Tokens computed at once.
const BATCH: usize = 512;

/// Logits behind some positions of each prompt, with a 32-bit cache: a row of the vocabulary each, prompt by prompt.
///
/// # Errors
/// Names the file and what is wrong with it; or of the environment, with llama.cpp's reason.
pub fn logits(
    path: &Path,
    adapter: Option<&Path>,
    prompts: &[Vec<u32>],
    positions: &[Vec<usize>],
    threads: usize,
    stop: &Stop,
) -> Result<Vec<Vec<f32>>> {
    let header = gguf::read_header(path)?;
    gguf::check_language_model(&header)?;
    if let Some(adapter) = adapter {
        gguf::check_adapter(&gguf::read_header(adapter)?, &header)?;
    }
    let failed = |error: &dyn std::fmt::Display| super::failed(&format!("{}: llama.cpp", path.display()), error);
    let mut model =
        load_file(path, &LlamaModelParams::default().with_n_gpu_layers(0)).map_err(|reason| failed(&reason))?;
    let lora = adapter.map(|adapter| model.lora_adapter_init(adapter)).transpose();
    let mut lora = lora.map_err(|error| failed(&error))?;
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(1);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(longest as u32))
        .with_n_batch(BATCH as u32)
        .with_n_ubatch(BATCH as u32)
        .with_n_threads(threads as i32)
        .with_n_threads_batch(threads as i32)
        .with_flash_attention_policy(FLASH_ATTENTION[0])
        .with_type_k(KvCacheType::F32)
        .with_type_v(KvCacheType::F32)
        .with_no_perf(true);
    let mut context = model.new_context(backend()?, params).map_err(|error| failed(&error))?;
    if let Some(lora) = &mut lora {
        context.lora_adapter_set(lora, 1.0).map_err(|error| failed(&error))?;
    }
    let mut batch = LlamaBatch::new(BATCH, 1);
    let mut rows = Vec::new();
    for (prompt, positions) in prompts.iter().zip(positions) {
        context.clear_kv_cache();
        for first in (0..prompt.len()).step_by(BATCH) {
            ensure!(!stop.wished(), "interrupted");
            batch.clear();
            let some = &prompt[first..prompt.len().min(first + BATCH)];
            for (index, token) in some.iter().enumerate() {
                let wanted = positions.contains(&(first + index));
                batch
                    .add(LlamaToken(*token as i32), (first + index) as i32, &[0], wanted)
                    .map_err(|error| failed(&error))?;
            }
            context.decode(&mut batch).map_err(|error| failed(&error))?;
            let wanted = (0..some.len()).filter(|index| positions.contains(&(first + index)));
            rows.extend(wanted.map(|index| context.get_logits_ith(index as i32).to_vec()));
        }
    }
    Ok(rows)
}
