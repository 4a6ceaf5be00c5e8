//! How answers and scores came about: what went in, with what settings, on which machine.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answerer::Answerer;
use super::identity::{Identity, settings_json};
use super::records::Records;
use crate::config::{ModelName, PredictSettings, Price};
use crate::prediction::Shortened;
use crate::prompt::PromptSet;
use crate::remote::Spent;
use crate::run::{Machine, machine, timestamp};

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
    /// Where its file was, or how it is reached.
    pub model_path: Option<String>,
    #[expect(missing_docs, reason = "the type says it")]
    pub adapter: Option<AdapterFacts>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptFacts>,
    /// What can change an answer: label mode, sampling, cache type, budget, tasks.
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
    /// By task, how many records were asked about, counted from the first; earlier versions didn't write it.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub asked: IndexMap<String, usize>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted: Option<HostedFacts>,
    /// Reels whose transcripts were shortened; earlier versions didn't write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortened: Option<Shortened>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned_from: Option<LearnedFrom>,
    /// Reels whose text stands in the prompts, where any does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quoted_in_prompts: Vec<String>,
    /// Variants of model, prompts and settings that had been judged by this data, this one included; `None` for a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<usize>,
    /// Resamples and seed of the intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Resampling>,
    /// Settings of the metrics.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub metrics: Value,
    /// Decision thresholds that were chosen on other data, by task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Value>,
    /// What another version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Hashes of what results are results of: they go on in a directory only when all of them are the same.
pub type Inputs = IndexMap<String, Option<String>>;

/// What a manifest is of.
pub struct RunSetup<'a> {
    /// The command's name.
    pub command: &'a str,
    #[expect(missing_docs, reason = "the type says it")]
    pub settings: &'a PredictSettings,
    #[expect(missing_docs, reason = "the type says it")]
    pub answerer: &'a Answerer,
    #[expect(missing_docs, reason = "the type says it")]
    pub prompts: &'a PromptSet,
    #[expect(missing_docs, reason = "the type says it")]
    pub identity: &'a Identity,
    /// Tokens of a prompt, at most.
    pub budget: usize,
}

/// What answers about these records depend on.
pub fn inputs(identity: &Identity, records: &Records, prompts: &PromptSet) -> Inputs {
    [
        ("model_sha256", Some(identity.model_sha256.clone())),
        ("adapter_sha256", identity.adapter_sha256.clone()),
        ("data_sha256", Some(records.sha256.clone())),
        ("prompts_sha256", Some(prompts.sha256())),
        ("settings_sha256", Some(identity.settings_sha256.clone())),
    ]
    .map(|(name, hash)| (name.to_owned(), hash))
    .into()
}

impl Manifest {
    /// Of a run that begins now, about so many of the records.
    pub fn begin(setup: &RunSetup, records: &Records, reels: usize) -> Manifest {
        let RunSetup { command, settings, answerer, prompts, identity, budget } = setup;
        let adapter_name = settings.adapter.as_ref().and_then(|path| path.file_name());
        let adapter = adapter_name.zip(identity.adapter_sha256.clone());
        let engine = &settings.engine;
        Manifest {
            v: 1,
            command: Some((*command).to_owned()),
            crate_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            started_at: Some(timestamp()),
            model: Some(ModelFacts { sha256: identity.model_sha256.clone(), ..answerer.describe() }),
            model_path: match &settings.model {
                ModelName::Gguf(_) | ModelName::Hosted(_) => Some(settings.model.to_string()),
                ModelName::Baseline(_) => None,
            },
            adapter: adapter.map(|(name, sha256)| AdapterFacts { name: name.to_string_lossy().into_owned(), sha256 }),
            prompts: Some(PromptFacts { source: prompts.source.to_string(), sha256: prompts.sha256() }),
            settings: settings_json(settings, &prompts.tasks, *budget),
            engine: Some(EngineFacts { width: engine.width, ubatch: engine.ubatch, threads: engine.threads }),
            seed: Some(settings.sampling.seed),
            machine: Some(machine()),
            inputs: inputs(identity, records, prompts),
            data: Some(DataFacts { path: records.lines.name().to_owned(), sha256: records.sha256.clone(), reels }),
            ..Manifest::default()
        }
    }
}

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

/// What asking a hosted model took, over all runs in the directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostedFacts {
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(flatten)]
    pub spent: Spent,
    /// What tokens cost; `None` where it isn't known.
    pub price: Option<Price>,
    /// What the host counted, by that price.
    pub cost: Option<f64>,
    /// With what may have been paid for and never arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_at_most: Option<f64>,
    /// Labels that were to be scored, by how the answer came: from log-probabilities of the host, or generated and matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelAnswers>,
}

/// How answers to label tasks came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LabelAnswers {
    pub scored: usize,
    pub generated: usize,
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
    /// Identity of the records whatever their order: SHA-256 over the sorted hashes of each.
    pub sha256: String,
    /// Records asked about.
    pub reels: usize,
}

/// Data that the model learned from, as far as it is known and has something in common with the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LearnedFrom {
    /// The file, where its name is known.
    pub path: Option<String>,
    /// It is the same data.
    pub same: bool,
    /// Records that have a near copy in it.
    pub copies: usize,
    /// Accounts that are in both.
    pub accounts: usize,
}

/// What has a say in speed, and in the last bits of a number.
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

/// How fast the answers came that were made here, by all commands together.
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
