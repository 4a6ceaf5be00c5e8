//! What can be said about training, as flag, variable or key of the settings file.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ScheduleKind, TrainDevice, TrainMethod};

/// Overrides for [`TrainSettings`](super::TrainSettings).
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainOverrides {
    /// Model to start from: a Hugging Face directory of a Qwen2 or Qwen2.5 model
    #[arg(long, env = "REELS_BASE", value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// Records with references, or conversations ({"messages": […]}, ShareGPT, Alpaca), one JSON object a line
    #[arg(long, env = "REELS_DATA", value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Records to measure the loss on meanwhile; what is best there is kept
    #[arg(long, env = "REELS_DEV", value_name = "F.jsonl")]
    pub dev: Option<PathBuf>,
    /// Records that the model will be judged by: --data that holds a copy of one, even a changed one, is refused
    #[arg(long, env = "REELS_HELD_OUT", value_name = "F.jsonl")]
    pub held_out: Option<PathBuf>,
    /// Lock of a test set by `reels split`, which is held out too [default: test.lock beside the data or above it in the project]
    #[arg(long, env = "REELS_LOCK", value_name = "F")]
    pub lock: Option<PathBuf>,
    /// Folder with tasks.toml and templates [default: ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Run directory: adapter, metrics, checkpoints
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "RUN")]
    pub output: Option<PathBuf>,
    /// Go on from the last checkpoint in the run directory, with its settings
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    #[serde(skip)]
    pub resume: Option<bool>,
    /// Refuse data in which anything had to be mended, isn't read or can't be used, before anything else is done
    #[arg(long, env = "REELS_STRICT", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub strict: Option<bool>,
    /// What is trained, and on what [default: qlora]
    #[arg(long, env = "REELS_METHOD", help_heading = "Model")]
    pub method: Option<TrainMethod>,
    /// Rank of the adapter's matrices [default: 16]
    #[arg(long, env = "REELS_RANK", value_name = "N", help_heading = "Model")]
    pub rank: Option<usize>,
    /// The adapter is scaled by this over its rank [default: twice the rank]
    #[arg(long, env = "REELS_ALPHA", value_name = "X", help_heading = "Model")]
    pub alpha: Option<f64>,
    /// Scale by alpha over the rank's square root instead (rsLoRA)
    #[arg(long, env = "REELS_RSLORA", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Model")]
    pub rslora: Option<bool>,
    /// Share of what an adapter sees that is left out at random [default: 0.1]
    #[arg(long, env = "REELS_DROPOUT", value_name = "P", help_heading = "Model")]
    pub dropout: Option<f64>,
    /// Linear maps with an adapter, with commas [default: all, which are q_proj, k_proj, v_proj, o_proj, gate_proj,
    /// up_proj and down_proj]
    #[arg(long, env = "REELS_TARGETS", value_name = "NAME", value_delimiter = ',', help_heading = "Model")]
    pub targets: Option<Vec<String>>,
    /// Adapter to start from, as PEFT stores it; rank, alpha and targets must be the same
    #[arg(long, env = "REELS_INIT_ADAPTER", value_name = "DIR", help_heading = "Model")]
    pub init_adapter: Option<PathBuf>,
    /// Learning rate [default: 2e-4, with --method full 2e-5]
    #[arg(long, env = "REELS_LR", value_name = "X", help_heading = "Optimisation")]
    pub lr: Option<f64>,
    /// How the learning rate goes on after the warm-up; linear and cosine end at 0 [default: constant]
    #[arg(long, env = "REELS_SCHEDULE", help_heading = "Optimisation")]
    pub schedule: Option<ScheduleKind>,
    /// Steps until the full learning rate, or a share of all steps if below 1 [default: 0.03]
    #[arg(long, env = "REELS_WARMUP", value_name = "N", help_heading = "Optimisation")]
    pub warmup: Option<f64>,
    /// Times all data is gone through [default: 3]
    #[arg(long, env = "REELS_EPOCHS", value_name = "N", help_heading = "Optimisation")]
    pub epochs: Option<usize>,
    /// Steps of the optimizer, instead of epochs
    #[arg(long, env = "REELS_STEPS", value_name = "N", conflicts_with = "epochs", help_heading = "Optimisation")]
    pub steps: Option<usize>,
    /// Sequences computed at once [default: 1]
    #[arg(long, env = "REELS_BATCH_SIZE", value_name = "N", help_heading = "Optimisation")]
    pub batch_size: Option<usize>,
    /// Batches whose gradients make one step [default: 16]
    #[arg(long, env = "REELS_GRAD_ACCUM", value_name = "N", help_heading = "Optimisation")]
    pub grad_accum: Option<usize>,
    /// Decay of matrices, per step and learning rate [default: 0]
    #[arg(long, env = "REELS_WEIGHT_DECAY", value_name = "X", help_heading = "Optimisation")]
    pub weight_decay: Option<f64>,
    /// Gradients are scaled down to this norm; 0 leaves them [default: 0.3]
    #[arg(long, env = "REELS_MAX_GRAD_NORM", value_name = "X", help_heading = "Optimisation")]
    pub max_grad_norm: Option<f64>,
    /// Tokens of a sequence; a longer transcript loses its middle [default: 2048, or the base's positions if
    /// these are fewer]
    #[arg(long, env = "REELS_MAX_SEQ_TOKENS", value_name = "N", help_heading = "Sequences")]
    pub max_seq_tokens: Option<usize>,
    /// One example a sequence; otherwise a sequence is filled with several, and those of one record share their beginning
    #[arg(long, env = "REELS_NO_PACKING", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Sequences")]
    pub no_packing: Option<bool>,
    /// Go through the sequences in another order every epoch [default: true]
    #[arg(long, env = "REELS_SHUFFLE", value_name = "BOOL", help_heading = "Sequences")]
    pub shuffle: Option<bool>,
    /// Seed of everything random: first adapter, order, dropout [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N", help_heading = "Sequences")]
    pub seed: Option<u64>,
    /// Steps between checkpoints, each with the loss on --dev [default: a tenth of all steps]
    #[arg(long, env = "REELS_EVAL_EVERY", value_name = "N", help_heading = "Checkpoints")]
    pub eval_every: Option<usize>,
    /// Stop when so many checkpoints in a row were not better on --dev; 0 never stops early [default: 3]
    #[arg(long, env = "REELS_PATIENCE", value_name = "N", help_heading = "Checkpoints")]
    pub patience: Option<usize>,
    /// Where it is computed [default: auto, an NVIDIA GPU if there is one and this build can use it]
    #[arg(long, env = "REELS_DEVICE", help_heading = "Machine")]
    pub device: Option<TrainDevice>,
    /// Memory to use at most, such as 8G; what is left over saves computing [default: what is free]
    #[arg(long, env = "REELS_MAX_MEMORY", value_name = "SIZE", help_heading = "Machine")]
    pub max_memory: Option<String>,
}
