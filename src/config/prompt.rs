//! Settings of `reels prompt`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::predict::{PredictOverrides, PredictSettings};

/// What `reels prompt render` may be told, and of that `reels prompt list` the folder.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptOverrides {
    /// Folder with tasks.toml and templates [default: those in the --model file, else ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Records [default: the bundled sample]
    #[arg(long, env = "REELS_DATA", value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Only this task; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub task: Option<Vec<String>>,
    /// Show what this model reads: its chat format, fitted to its budget, and the number of tokens
    #[arg(long, env = "REELS_MODEL", value_name = "F.gguf")]
    pub model: Option<String>,
    /// Prompt budget in tokens, with --model
    #[arg(long, env = "REELS_MAX_PROMPT_TOKENS", value_name = "N")]
    pub max_prompt_tokens: Option<usize>,
}

impl PromptOverrides {
    /// As of a prediction, and whether it is about a model at all.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<(PredictSettings, bool)> {
        let of_model = self.model.is_some();
        let PromptOverrides { prompts, data, task, model, max_prompt_tokens } = self;
        let predict = PredictOverrides { prompts, data, task, model, max_prompt_tokens, ..PredictOverrides::default() };
        Ok((predict.resolve()?, of_model))
    }
}
