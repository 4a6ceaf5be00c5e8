//! Settings of `reels predict`, and what they share with `reels eval`.

use std::collections::HashSet;
use std::fmt::{Display, Formatter};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{BUNDLED_MODEL, DEFAULT_SEED, HostedName, HostedOverrides, HostedSettings, Shard, cores};

/// Overrides for [`PredictSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictOverrides {
    /// Model to answer with: a GGUF file, a hosted one by the address of its API, or baseline:lead-1, lead-3, oracle, majority, tfidf
    #[arg(long, env = "REELS_MODEL", value_name = "F.gguf|URL#NAME|baseline:NAME", help_heading = "Model")]
    pub model: Option<String>,
    /// LoRA adapter for the model
    #[arg(long, env = "REELS_ADAPTER", value_name = "F.gguf", help_heading = "Model")]
    pub adapter: Option<PathBuf>,
    /// Records a baseline learns from
    #[arg(long, env = "REELS_TRAIN", value_name = "F.jsonl", help_heading = "Model")]
    pub train: Option<PathBuf>,
    /// Records to answer, one JSON object a line [default: the bundled sample]
    #[arg(long, env = "REELS_DATA", value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Folder with tasks.toml and templates [default: those in the model file, else ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Result directory; an interrupted run in it is continued. Of predict also -: answers go to standard output, and are kept nowhere
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Only this task; may be given several times [default: all]
    #[arg(long, env = "REELS_TASK", value_name = "NAME", value_delimiter = ',')]
    pub task: Option<Vec<String>>,
    /// Only the first N records
    #[arg(long, env = "REELS_LIMIT", value_name = "N")]
    pub limit: Option<usize>,
    /// Only one of so many parts of the records, such as 3/8, by their ids; 8 alone takes the number that Slurm's array or
    /// Kubernetes' indexed job gives
    #[arg(long, env = "REELS_SHARD", value_name = "I/N")]
    pub shard: Option<String>,
    /// Refuse data in which anything had to be mended, isn't read or can't be used, before anything else is done
    #[arg(long, env = "REELS_STRICT", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub strict: Option<bool>,
    /// Score the task's labels, or generate text and match it [default: score]
    #[arg(long, env = "REELS_LABEL_MODE", help_heading = "Answers")]
    pub label_mode: Option<LabelMode>,
    /// Prompt budget in tokens; a longer transcript loses its middle [default: 3072, or what the model's context allows]
    #[arg(long, env = "REELS_MAX_PROMPT_TOKENS", value_name = "N", help_heading = "Answers")]
    pub max_prompt_tokens: Option<usize>,
    /// Cut a transcript so that the prompts of all tasks of the set fit, or of those asked for [default: all]
    #[arg(long, env = "REELS_FIT", help_heading = "Answers")]
    pub fit: Option<Fit>,
    /// Sampling temperature of generated text; 0 takes the likeliest token [default: 0]
    #[arg(long, env = "REELS_TEMPERATURE", value_name = "T", help_heading = "Answers")]
    pub temperature: Option<f32>,
    /// Sample from the smallest set of tokens with this probability [default: 0.9]
    #[arg(long, env = "REELS_TOP_P", value_name = "P", help_heading = "Answers")]
    pub top_p: Option<f32>,
    /// Seed of everything random: sampling, resampling [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N", help_heading = "Answers")]
    pub seed: Option<u64>,
    /// Let a text that repeats itself go on to its max_tokens
    #[arg(long, env = "REELS_NO_LOOP_STOP", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Answers")]
    pub no_loop_stop: Option<bool>,
    /// Answer every prompt alone, so that results don't depend on batching; slower
    #[arg(long, env = "REELS_REPRODUCIBLE", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Answers")]
    pub reproducible: Option<bool>,
    /// Reels answered at once, or requests of a hosted model [default: 16, or what memory allows; as many as the host takes]
    #[arg(long, env = "REELS_WIDTH", value_name = "N", help_heading = "Engine")]
    pub width: Option<usize>,
    /// Tokens computed at once [default: 512]
    #[arg(long, env = "REELS_UBATCH", value_name = "N", help_heading = "Engine")]
    pub ubatch: Option<usize>,
    /// Number format of the cache of keys and values [default: f16]
    #[arg(long, env = "REELS_KV_TYPE", help_heading = "Engine")]
    pub kv_type: Option<KvType>,
    /// Threads [default: the cores that affinity and control group allow]
    #[arg(long, env = "REELS_THREADS", value_name = "N", help_heading = "Engine")]
    pub threads: Option<usize>,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub hosted: HostedOverrides,
}

/// How a label task is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelMode {
    /// The label with the highest probability
    Score,
    /// Text that is matched to a label
    Generate,
}

/// Whose prompts have to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// All tasks' of the set, as in training: an answer doesn't depend on what else is asked
    All,
    /// Those of the tasks asked for
    Asked,
}

/// Number format of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum KvType {
    F32,
    F16,
    #[value(name = "q8_0")]
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// A model file.
    Gguf(PathBuf),
    /// One that somebody else runs.
    Hosted(HostedName),
    /// A baseline, by the name behind `baseline:`.
    Baseline(String),
}

impl Display for ModelName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            ModelName::Gguf(path) => write!(formatter, "{}", path.display()),
            ModelName::Hosted(name) => write!(formatter, "{name}"),
            ModelName::Baseline(name) => write!(formatter, "baseline:{name}"),
        }
    }
}

/// Settings of `reels predict`.
#[derive(Debug, Clone)]
pub struct PredictSettings {
    /// What answers.
    pub model: ModelName,
    /// LoRA adapter for it.
    pub adapter: Option<PathBuf>,
    /// Records a baseline learns from.
    pub train: Option<PathBuf>,
    /// Records to answer; `None` is the bundled sample.
    pub data: Option<PathBuf>,
    /// Folder of prompts; `None` looks for them.
    pub prompts: Option<PathBuf>,
    /// Result directory; `None` chooses one.
    pub output: Option<PathBuf>,
    /// Only these tasks; empty is all.
    pub tasks: Vec<String>,
    /// Only the first so many records.
    pub limit: Option<usize>,
    /// Only the records of this part; `None` is all.
    pub shard: Option<Shard>,
    /// Only the records with these ids; `None` is all.
    pub only: Option<HashSet<String>>,
    /// Refuse data that isn't as it ought to be.
    pub strict: bool,
    /// How label tasks are answered.
    pub label_mode: LabelMode,
    /// Prompt budget; `None` is as much as fits, up to [`PredictSettings::DEFAULT_MAX_PROMPT_TOKENS`].
    pub max_prompt_tokens: Option<usize>,
    /// Whose prompts have to fit the budget.
    pub fit: Fit,
    /// How text is generated.
    pub sampling: Sampling,
    /// How often label tasks are asked.
    pub repeats: Repeats,
    /// How the engine runs.
    pub engine: EngineSettings,
    /// How a hosted model is asked.
    pub hosted: HostedSettings,
}

impl PredictSettings {
    /// A minute and a half of speech takes about a fifth of this.
    pub const DEFAULT_MAX_PROMPT_TOKENS: usize = 3072;
}

/// How often a label task is asked about one Reel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    /// At least 1.
    pub count: u32,
    /// Labels stand in another order each time, and in each Reel's prompts: by chance, after the sampling's seed.
    pub shuffled: bool,
}

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats { count: 1, shuffled: false }
    }
}

/// How an engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Reels at once; `None` chooses.
    pub width: Option<usize>,
    /// Tokens computed at once.
    pub ubatch: usize,
    /// Number format of the cache.
    pub kv_type: KvType,
    /// For prefill and decoding both.
    pub threads: usize,
    /// Every prompt alone.
    pub reproducible: bool,
}

impl EngineSettings {
    /// Tokens computed at once where nothing else is asked for.
    pub const UBATCH: usize = 512;
}

/// How text is generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// In (0, 1].
    pub top_p: f32,
    /// Of the draws.
    pub seed: u64,
    /// A text that repeats a part of itself, at least four times and over at least 24 tokens, ends there.
    pub loop_stop: bool,
}

impl Sampling {
    /// Temperature and top p as they were typed: a number of 32 bits has digits more when it is written with 64.
    pub fn decimals(self) -> [f64; 2] {
        [self.temperature, self.top_p].map(|value| (f64::from(value) * 1e6).round() / 1e6)
    }

    /// The likeliest token, always.
    pub const GREEDY: Sampling = Sampling { temperature: 0.0, top_p: 1.0, seed: 0, loop_stop: false };
}

impl PredictOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<PredictSettings> {
        let temperature = self.temperature.unwrap_or(0.0);
        let top_p = self.top_p.unwrap_or(0.9);
        ensure!((0.0..=10.0).contains(&temperature), "--temperature {temperature} is not between 0 and 10");
        ensure!(top_p > 0.0 && top_p <= 1.0, "--top-p {top_p} is not above 0 and at most 1");
        for (flag, value, most) in [
            ("width", self.width, 255),
            ("ubatch", self.ubatch, 8192),
            ("threads", self.threads, 1024),
            ("limit", self.limit, usize::MAX),
            ("max-prompt-tokens", self.max_prompt_tokens, 1 << 20),
        ] {
            ensure!(
                value.is_none_or(|value| (1..=most).contains(&value)),
                "--{flag} {} is not between 1 and {most}",
                value.unwrap_or(0)
            );
        }
        let model = model_name(self.model.as_deref().unwrap_or(BUNDLED_MODEL))?;
        Ok(PredictSettings {
            hosted: self.hosted.resolve(&model)?,
            model,
            adapter: self.adapter,
            train: self.train,
            data: self.data,
            prompts: self.prompts,
            output: self.output,
            tasks: self.task.unwrap_or_default(),
            limit: self.limit,
            shard: self.shard.map(|text| Shard::parse(&text, |name| std::env::var(name).ok())).transpose()?,
            only: None,
            strict: self.strict.unwrap_or(false),
            label_mode: self.label_mode.unwrap_or(LabelMode::Score),
            max_prompt_tokens: self.max_prompt_tokens,
            fit: self.fit.unwrap_or(Fit::All),
            sampling: Sampling {
                temperature,
                top_p,
                seed: self.seed.unwrap_or(DEFAULT_SEED),
                loop_stop: !self.no_loop_stop.unwrap_or(false),
            },
            repeats: Repeats::default(),
            engine: EngineSettings {
                width: self.width,
                ubatch: self.ubatch.unwrap_or(EngineSettings::UBATCH),
                kv_type: self.kv_type.unwrap_or(KvType::F16),
                threads: self.threads.unwrap_or_else(cores),
                reproducible: self.reproducible.unwrap_or(false),
            },
        })
    }
}

fn model_name(name: &str) -> Result<ModelName> {
    if let Some(baseline) = name.strip_prefix("baseline:") {
        return Ok(ModelName::Baseline(baseline.to_owned()));
    }
    if name.contains("://") {
        return Ok(ModelName::Hosted(name.parse()?));
    }
    Ok(ModelName::Gguf(PathBuf::from(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let overrides =
            PredictOverrides { model: Some("baseline:lead-1".into()), width: Some(0), ..Default::default() };
        assert_eq!(overrides.resolve().unwrap_err().to_string(), "--width 0 is not between 1 and 255");
    }
}
