//! Settings of `reels train`.

mod overrides;
mod resolve;

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use self::overrides::TrainOverrides;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainMethod {
    /// An adapter on weights of four bits
    Qlora,
    /// An adapter on the weights as they are
    Lora,
    /// All weights; for small models
    Full,
}

/// Where training is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainDevice {
    /// An NVIDIA GPU, else the CPU
    Auto,
    /// The CPU, in 32 bits
    Cpu,
    /// The first NVIDIA GPU, in 16 bits
    Cuda,
}

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ScheduleKind {
    Constant,
    Linear,
    Cosine,
}

/// How long training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Duration {
    Epochs(usize),
    Steps(usize),
}

/// Settings of `reels train`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    /// Hugging Face directory.
    pub base: PathBuf,
    #[expect(missing_docs, reason = "the name says it")]
    pub data: PathBuf,
    #[expect(missing_docs, reason = "the name says it")]
    pub dev: Option<PathBuf>,
    /// What must not be in the data.
    pub held_out: Option<PathBuf>,
    /// `None`: it is looked for.
    pub lock: Option<PathBuf>,
    /// Folder of prompts; `None` looks for them.
    pub prompts: Option<PathBuf>,
    /// Run directory.
    pub output: PathBuf,
    /// Refuse data that isn't as it ought to be.
    pub strict: bool,
    #[expect(missing_docs, reason = "the type says it")]
    pub method: TrainMethod,
    /// Not of `--method full`.
    pub adapter: AdapterSettings,
    #[expect(missing_docs, reason = "the type says it")]
    pub optimisation: Optimisation,
    /// Of a sequence.
    pub max_seq_tokens: usize,
    /// Several examples a sequence.
    pub packing: bool,
    /// Of everything random.
    pub seed: u64,
    #[expect(missing_docs, reason = "the type says it")]
    pub device: TrainDevice,
    /// To use at most; `None` is what is free.
    pub max_memory: Option<u64>,
}

impl TrainSettings {
    /// Tokens of a sequence where nothing else is said and the base has as many positions.
    pub const DEFAULT_MAX_SEQ_TOKENS: usize = 2048;
}

/// The adapter that is trained.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct AdapterSettings {
    pub rank: usize,
    pub alpha: f64,
    /// Scaled by alpha / √rank.
    pub rank_stabilised: bool,
    pub dropout: f64,
    /// Names of linear maps.
    pub targets: Vec<String>,
    /// One to start from.
    pub init: Option<PathBuf>,
}

/// How parameters are changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Optimisation {
    /// After the warm-up.
    pub lr: f64,
    #[expect(missing_docs, reason = "the type says it")]
    pub schedule: ScheduleKind,
    /// Steps, or a share of all steps if below 1.
    pub warmup: f64,
    #[expect(missing_docs, reason = "the type says it")]
    pub duration: Duration,
    /// Sequences computed at once.
    pub batch_size: usize,
    /// Batches a step.
    pub grad_accum: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub weight_decay: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub max_grad_norm: Option<f64>,
    /// Another order every epoch.
    pub shuffle: bool,
    /// Steps between checkpoints; `None` is a tenth of all.
    pub eval_every: Option<usize>,
    /// Checkpoints that may be no better before it stops.
    pub patience: Option<usize>,
}
