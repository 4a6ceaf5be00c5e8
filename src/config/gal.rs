//! Settings of `reels gal generate`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_SEED, HostedOverrides, PredictOverrides, PredictSettings};
use crate::error::Hint;

/// Overrides for [`GenerateSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct GalOverrides {
    /// Model that writes: a GGUF file, or a hosted one by the address of its API
    #[arg(long, env = "REELS_MODEL", value_name = "F.gguf|URL#NAME", help_heading = "Model")]
    pub model: Option<String>,
    /// LoRA adapter for the model
    #[arg(long, env = "REELS_ADAPTER", value_name = "F.gguf", help_heading = "Model")]
    pub adapter: Option<PathBuf>,
    /// Folder for all that is made; an interrupted run in it is continued
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Folder with tasks.toml [default: ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// What the model is told: a template with the blocks system and user [default: the embedded one]
    #[arg(long, env = "REELS_TEMPLATE", value_name = "F.jinja")]
    pub template: Option<PathBuf>,
    /// Label task whose labels are asked for; none asks for any Reel [default: the first one]
    #[arg(long, env = "REELS_TASK", value_name = "NAME|none")]
    pub task: Option<String>,
    /// Only this label; may be given several times [default: all of the task]
    #[arg(long, env = "REELS_LABEL", value_name = "LABEL", value_delimiter = ',')]
    pub label: Option<Vec<String>>,
    /// Rows of each label that are to pass the filters [default: 20]
    #[arg(long, env = "REELS_ACCEPTED", value_name = "N")]
    pub accepted: Option<usize>,
    /// Candidates of each label, at most [default: five times --accepted]
    #[arg(long, env = "REELS_CANDIDATES", value_name = "N")]
    pub candidates: Option<usize>,
    /// Examples in a prompt, each of another account; 0 shows none [default: 3]
    #[arg(long, env = "REELS_SHOTS", value_name = "N")]
    pub shots: Option<usize>,
    /// Frozen test set, of which nothing may get into prompts or rows [default: test.lock beside the seeds or above]
    #[arg(long, env = "REELS_LOCK", value_name = "test.lock")]
    pub lock: Option<PathBuf>,
    /// Sampling temperature [default: 0.9]
    #[arg(long, env = "REELS_TEMPERATURE", value_name = "T", help_heading = "Answers")]
    pub temperature: Option<f32>,
    /// Sample from the smallest set of tokens with this probability [default: 0.9]
    #[arg(long, env = "REELS_TOP_P", value_name = "P", help_heading = "Answers")]
    pub top_p: Option<f32>,
    /// Seed of everything random [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N", help_heading = "Answers")]
    pub seed: Option<u64>,
    /// Tokens of a Reel, at most [default: 400]
    #[arg(long, env = "REELS_REEL_TOKENS", value_name = "N", help_heading = "Answers")]
    pub reel_tokens: Option<usize>,
    /// Write every Reel alone, so that results don't depend on batching; slower
    #[arg(long, env = "REELS_REPRODUCIBLE", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Answers")]
    pub reproducible: Option<bool>,
    /// Reels written at once, or requests of a hosted model [default: 16, or what memory allows; as many as the host takes]
    #[arg(long, env = "REELS_WIDTH", value_name = "N", help_heading = "Engine")]
    pub width: Option<usize>,
    /// Threads [default: the cores that affinity and control group allow]
    #[arg(long, env = "REELS_THREADS", value_name = "N", help_heading = "Engine")]
    pub threads: Option<usize>,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub hosted: HostedOverrides,
}

/// Settings of `reels gal generate`.
#[derive(Debug, Clone)]
pub struct GenerateSettings {
    /// Model, sampling, engine, and the seeds as its data.
    pub predict: PredictSettings,
    /// Folder for all that is made.
    pub output: PathBuf,
    /// What the model is told; `None` is the embedded template.
    pub template: Option<PathBuf>,
    /// Label task; `None` is the first one, an empty name none.
    pub task: Option<String>,
    /// Only these labels; empty is all.
    pub labels: Vec<String>,
    /// Rows of each label that are to pass.
    pub accepted: usize,
    /// Candidates of each label, at most.
    pub candidates: usize,
    /// Examples in a prompt.
    pub shots: usize,
    /// Frozen test set; `None` looks for it.
    pub lock: Option<PathBuf>,
    /// Tokens of a Reel, at most.
    pub reel_tokens: usize,
}

impl GenerateSettings {
    /// Rows of each label where nothing else is asked for.
    pub const ACCEPTED: usize = 20;
    /// Candidates for each row.
    const CANDIDATES: usize = 5;
    /// Examples in a prompt.
    pub const SHOTS: usize = 3;
    /// Tokens of a Reel: a minute and a half of speech.
    pub const REEL_TOKENS: usize = 400;
    /// Holtzman et al. 2020, and He et al. 2022.
    pub const TEMPERATURE: f32 = 0.9;
}

impl GalOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self, seeds: PathBuf) -> Result<GenerateSettings> {
        let output = self.output.ok_or_else(|| anyhow::anyhow!("--output is missing"));
        let output = output.hint("name a folder for what is made, e.g. --output gal/a")?;
        let accepted = self.accepted.unwrap_or(GenerateSettings::ACCEPTED);
        let candidates = self.candidates.unwrap_or(accepted.saturating_mul(GenerateSettings::CANDIDATES));
        ensure!(accepted > 0, "--accepted 0 asks for nothing");
        ensure!(
            candidates >= accepted,
            anyhow::anyhow!("--candidates {candidates} are fewer than the --accepted {accepted}")
                .hint("not every candidate passes: give several times as many")
        );
        let shots = self.shots.unwrap_or(GenerateSettings::SHOTS);
        ensure!(shots <= 20, "--shots {shots} is not between 0 and 20");
        let reel_tokens = self.reel_tokens.unwrap_or(GenerateSettings::REEL_TOKENS);
        ensure!((1..=8192).contains(&reel_tokens), "--reel-tokens {reel_tokens} is not between 1 and 8192");
        let temperature = self.temperature.unwrap_or(GenerateSettings::TEMPERATURE);
        let predict = PredictOverrides {
            model: self.model,
            adapter: self.adapter,
            data: Some(seeds),
            prompts: self.prompts,
            temperature: Some(temperature),
            top_p: self.top_p,
            seed: Some(self.seed.unwrap_or(DEFAULT_SEED)),
            reproducible: self.reproducible,
            width: self.width,
            threads: self.threads,
            hosted: self.hosted,
            ..PredictOverrides::default()
        };
        Ok(GenerateSettings {
            predict: predict.resolve()?,
            output,
            template: self.template,
            task: self.task.map(|task| if task == "none" { String::new() } else { task }),
            labels: self.label.unwrap_or_default(),
            accepted,
            candidates,
            shots,
            lock: self.lock,
            reel_tokens,
        })
    }
}
