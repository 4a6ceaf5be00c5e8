//! Settings of `reels train`.

use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::DEFAULT_SEED;
use crate::architecture::{ALL, targets};

/// Overrides for [`TrainSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainOverrides {
    /// Model to start from: a Hugging Face directory of a Qwen2 or Qwen2.5 model
    #[arg(long, env = "REELS_BASE", value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// Records with references, or conversations ({"messages": […]}), one JSON object a line
    #[arg(long, env = "REELS_DATA", value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Records to measure the loss on meanwhile; what is best there is kept
    #[arg(long, env = "REELS_DEV", value_name = "F.jsonl")]
    pub dev: Option<PathBuf>,
    /// Records that the model will be judged by: --data that holds a copy of one, even a changed one, is refused
    #[arg(long, env = "REELS_HELD_OUT", value_name = "F.jsonl")]
    pub held_out: Option<PathBuf>,
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
    /// Tokens of a sequence; a longer transcript loses its middle [default: 2048]
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
    /// Folder of prompts; `None` looks for them.
    pub prompts: Option<PathBuf>,
    /// Run directory.
    pub output: PathBuf,
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

/// The linear maps of a layer, of all architectures.
static TARGETS: LazyLock<Vec<&str>> = LazyLock::new(|| targets(ALL));

fn all_targets() -> Vec<String> {
    TARGETS.iter().map(|target| (*target).to_owned()).collect()
}

impl TrainOverrides {
    /// Targets by their names, in the order of the layer.
    pub fn with_named_targets(mut self) -> TrainOverrides {
        if let Some(targets) = &mut self.targets {
            if targets == &["all"] {
                *targets = all_targets();
            }
            targets.sort_by_key(|target| TARGETS.iter().position(|each| each == target));
        }
        self
    }

    /// Fills in what is decided by a default, so that a run can tell later what it was made with.
    ///
    /// # Errors
    /// When both epochs and steps are given.
    pub fn filled(self) -> Result<TrainOverrides> {
        ensure!(
            self.steps.is_none() || self.epochs.is_none(),
            "both steps and epochs are given\nhint: one of them says how long training goes on"
        );
        Ok(self.with_named_targets().with_defaults())
    }

    fn with_defaults(mut self) -> TrainOverrides {
        let full = self.method == Some(TrainMethod::Full);
        let rank = *self.rank.get_or_insert(16);
        self.method.get_or_insert(TrainMethod::Qlora);
        self.alpha.get_or_insert(2.0 * rank as f64);
        self.rslora.get_or_insert(false);
        self.dropout.get_or_insert(0.1);
        self.targets.get_or_insert_with(all_targets);
        self.lr.get_or_insert(if full { 2e-5 } else { 2e-4 });
        self.schedule.get_or_insert(ScheduleKind::Constant);
        self.warmup.get_or_insert(0.03);
        if self.steps.is_none() {
            self.epochs.get_or_insert(3);
        }
        self.batch_size.get_or_insert(1);
        self.grad_accum.get_or_insert(16);
        self.weight_decay.get_or_insert(0.0);
        self.max_grad_norm.get_or_insert(0.3);
        self.max_seq_tokens.get_or_insert(2048);
        self.no_packing.get_or_insert(false);
        self.shuffle.get_or_insert(true);
        self.seed.get_or_insert(DEFAULT_SEED);
        self.patience.get_or_insert(3);
        self.device.get_or_insert(TrainDevice::Auto);
        self
    }

    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<TrainSettings> {
        let filled = self.filled()?;
        let required = "a default was filled in";
        for (flag, value, most) in [
            ("rank", filled.rank, 1 << 12),
            ("epochs", filled.epochs, 1 << 20),
            ("steps", filled.steps, 1 << 30),
            ("batch-size", filled.batch_size, 1 << 16),
            ("grad-accum", filled.grad_accum, 1 << 16),
            ("max-seq-tokens", filled.max_seq_tokens, 1 << 20),
            ("eval-every", filled.eval_every, 1 << 30),
        ] {
            let value = value.unwrap_or(1);
            ensure!((1..=most).contains(&value), "--{flag} {value} is not between 1 and {most}");
        }
        for (flag, value, least, below) in [
            ("alpha", filled.alpha, f64::MIN_POSITIVE, 1e6),
            ("dropout", filled.dropout, 0.0, 1.0),
            ("lr", filled.lr, f64::MIN_POSITIVE, 10.0),
            ("warmup", filled.warmup, 0.0, 1e9),
            ("weight-decay", filled.weight_decay, 0.0, 10.0),
            ("max-grad-norm", filled.max_grad_norm, 0.0, 1e9),
        ] {
            let value = value.context(required)?;
            let least_shown = if least == f64::MIN_POSITIVE { "above 0" } else { "at least 0" };
            ensure!(value >= least && value < below, "--{flag} {value} is not {least_shown} and below {below}");
        }
        let targets = filled.targets.context(required)?;
        if let Some(target) = targets.iter().find(|target| !TARGETS.contains(&target.as_str())) {
            bail!("--targets {target} is not a linear map of this model\nhint: these are: {}", TARGETS.join(", "));
        }
        ensure!(!targets.is_empty(), "--targets names nothing\nhint: these can be named: {}", TARGETS.join(", "));
        let method = filled.method.context(required)?;
        ensure!(
            method != TrainMethod::Full || filled.init_adapter.is_none(),
            "--init-adapter has no place in --method full\nhint: use --method lora or qlora"
        );
        let named = |path: Option<PathBuf>, flag: &str, hint: &str| {
            path.with_context(|| format!("--{flag} is missing\nhint: name {hint}"))
        };
        Ok(TrainSettings {
            base: named(filled.base, "base", "a Hugging Face directory of a Qwen2.5 model")?,
            data: named(filled.data, "data", "records with references, see eval/sample.jsonl")?,
            dev: filled.dev,
            held_out: filled.held_out,
            prompts: filled.prompts,
            output: named(filled.output, "output", "a directory for the run, e.g. --output runs/a")?,
            method,
            adapter: AdapterSettings {
                rank: filled.rank.context(required)?,
                alpha: filled.alpha.context(required)?,
                rank_stabilised: filled.rslora == Some(true),
                dropout: filled.dropout.context(required)?,
                targets,
                init: filled.init_adapter,
            },
            optimisation: Optimisation {
                lr: filled.lr.context(required)?,
                schedule: filled.schedule.context(required)?,
                warmup: filled.warmup.context(required)?,
                duration: filled.steps.map_or(Duration::Epochs(filled.epochs.unwrap_or(3)), Duration::Steps),
                batch_size: filled.batch_size.context(required)?,
                grad_accum: filled.grad_accum.context(required)?,
                weight_decay: filled.weight_decay.context(required)?,
                max_grad_norm: filled.max_grad_norm.filter(|norm| *norm > 0.0),
                shuffle: filled.shuffle == Some(true),
                eval_every: filled.eval_every,
                patience: filled.patience.filter(|patience| *patience > 0),
            },
            max_seq_tokens: filled.max_seq_tokens.context(required)?,
            packing: filled.no_packing != Some(true),
            seed: filled.seed.context(required)?,
            device: filled.device.context(required)?,
            max_memory: filled.max_memory.as_deref().map(bytes).transpose()?,
        })
    }
}

/// `8G`, `500M`, or bytes.
fn bytes(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic());
    let unit = match text[digits.len()..].to_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => Some(1u64),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        "T" => Some(1 << 40),
        _ => None,
    };
    let value = digits.trim().parse::<f64>().ok().filter(|value| *value > 0.0);
    value
        .zip(unit)
        .map(|(value, unit)| (value * unit as f64) as u64)
        .with_context(|| format!("--max-memory {text:?} is not a size\nhint: for example 8G or 500M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(change: impl FnOnce(&mut TrainOverrides)) -> Result<TrainSettings> {
        let path = |name: &str| Some(PathBuf::from(name));
        let mut overrides =
            TrainOverrides { base: path("base"), data: path("a.jsonl"), output: path("run"), ..Default::default() };
        change(&mut overrides);
        overrides.resolve()
    }

    #[test]
    fn defaults_are_the_qlora_papers_for_a_7b() {
        let settings = some(|_| ()).unwrap();
        let AdapterSettings { rank, alpha, dropout, targets, .. } = settings.adapter;
        assert_eq!((rank, alpha, dropout, targets.len()), (16, 32.0, 0.1, 7));
        let Optimisation { lr, schedule, max_grad_norm, batch_size, grad_accum, .. } = settings.optimisation;
        assert_eq!((lr, schedule, max_grad_norm), (2e-4, ScheduleKind::Constant, Some(0.3)));
        assert_eq!(batch_size * grad_accum, 16);
        let full = some(|overrides| overrides.method = Some(TrainMethod::Full)).unwrap();
        assert_eq!(full.optimisation.lr, 2e-5);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (result, expected) in [
            (some(|flags| flags.rank = Some(0)), "--rank 0 is not between 1 and 4096"),
            (some(|flags| flags.dropout = Some(1.0)), "--dropout 1 is not at least 0 and below 1"),
            (some(|flags| flags.lr = Some(f64::NAN)), "--lr NaN is not above 0"),
            (some(|flags| flags.targets = Some(vec!["c_attn".into()])), "--targets c_attn is not a linear map"),
            (some(|flags| flags.max_memory = Some("viel".into())), "--max-memory \"viel\" is not a size"),
            (some(|flags| flags.base = None), "--base is missing"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [("512", 512), ("1.5G", 3 << 29), ("8GiB", 8 << 30), ("500 mb", 500 << 20)] {
            assert_eq!(bytes(text).unwrap(), expected);
        }
    }
}
