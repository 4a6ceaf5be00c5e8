//! How answers and scores came about: what went in, with what settings, on which machine.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::run::Machine;

/// `manifest.json` of a result directory. `eval` fills all of it, `predict` what isn't of scores, `score` what it knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// Format version, 1.
    pub v: u32,
    /// `predict`, `eval` or `score`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Version of this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crate_version: Option<String>,
    /// ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// ISO 8601, UTC; `None` until it is.
    pub finished_at: Option<String>,
    /// What answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelFacts>,
    /// Where its file was.
    pub model_path: Option<String>,
    #[expect(missing_docs, reason = "the type says it")]
    pub adapter: Option<AdapterFacts>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptFacts>,
    /// What can change an answer; see [`super::settings_json`].
    #[serde(skip_serializing_if = "Value::is_null")]
    pub settings: Value,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineFacts>,
    /// Seed of sampling and resampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    #[expect(missing_docs, reason = "the type says it")]
    pub inputs: Inputs,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataFacts>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// Resamples and seed of the intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Resampling>,
    /// Settings of the metrics.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub metrics: Value,
    /// Decision thresholds that were chosen on other data, by task.
    pub thresholds: Value,
    /// What another version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Hashes of what results are results of: they go on in a directory only when all of them are the same.
pub type Inputs = IndexMap<String, Option<String>>;

/// What answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelFacts {
    /// File name, or the baseline's name.
    pub name: String,
    /// Such as `qwen2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Weights, counted one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// The adapter that was applied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdapterFacts {
    /// File name.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// The prompts that were used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptFacts {
    /// Where they came from, for people.
    pub source: String,
    /// SHA-256 over names and texts of all files.
    pub sha256: String,
}

/// The records that were asked about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataFacts {
    /// The file.
    pub path: String,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// Records asked about.
    pub reels: usize,
}

/// What has a say in speed alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineFacts {
    /// Reels at once, where that was asked for.
    pub width: Option<usize>,
    /// Tokens computed at once.
    pub ubatch: usize,
    /// For prefill and decoding both.
    pub threads: usize,
}

/// How fast the answers came that were made in the last run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speed {
    /// Wall time, without loading.
    pub seconds: f64,
    /// Predictions made.
    pub predictions: usize,
    /// `None` where it took no time.
    pub tasks_per_second: Option<f64>,
    /// `None` where it took no time.
    pub reels_per_second: Option<f64>,
    /// Tokens of all prompts.
    pub prompt_tokens: usize,
    /// Of those, taken from a prefix that was already computed.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
}

/// How intervals were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resampling {
    /// Resamples drawn.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}
