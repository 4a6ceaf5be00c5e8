//! How much each column of a matrix counts while quantising: mean squares of what it is multiplied with, over prompts of
//! calibration records.

use anyhow::{Result, anyhow, ensure};

use crate::architecture::TensorInfo;
use crate::error::Hint;
use crate::llama::ImportanceMatrix;
use crate::prompt::{ChatFormat, FitError, PromptSet, Tokenizer, fit};
use crate::qlora::config::Config;
use crate::qlora::stream::Squares;
use crate::reel::Reel;

/// Records that are looked at: about 25,000 tokens, minutes for a 7B on a few cores.
const RECORDS: usize = 32;

/// One prompt a record, the tasks in turn.
///
/// # Errors
/// When no prompt fits the budget.
pub fn texts(
    reels: &[Reel],
    prompts: &PromptSet,
    chat: &ChatFormat,
    tokenizer: &dyn Tokenizer,
    budget: usize,
) -> Result<Vec<Vec<u32>>> {
    let mut texts = Vec::new();
    for (index, reel) in reels.iter().take(RECORDS).enumerate() {
        match fit(reel, prompts, chat, tokenizer, budget) {
            Ok(mut made) => texts.push(std::mem::take(&mut made[index % prompts.tasks.len()].tokens)),
            Err(FitError::TooLong { .. }) => {}
            Err(FitError::Other(error)) => return Err(error),
        }
    }
    ensure!(!texts.is_empty(), anyhow!("no record has a prompt of at most {budget} tokens").hint("name other records"));
    Ok(texts)
}

/// By llama.cpp's names.
pub fn matrix(squares: &Squares, config: &Config) -> ImportanceMatrix {
    let mean = |sums: &Vec<f64>| sums.iter().map(|sum| (sum / squares.tokens as f64) as f32).collect();
    let of = |tensor: TensorInfo| Some((tensor.gguf, mean(squares.sums.get(&tensor.name)?)));
    config.tensors().into_iter().filter_map(of).collect()
}
