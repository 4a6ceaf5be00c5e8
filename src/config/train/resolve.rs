//! From what was said to settings: defaults, and what is out of range or doesn't go together.

use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::super::DEFAULT_SEED;
use super::{
    AdapterSettings, Duration, Optimisation, ScheduleKind, TrainDevice, TrainMethod, TrainOverrides, TrainSettings,
};
use crate::architecture::{ALL, targets};
use crate::error::Hint;

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
            anyhow!("both steps and epochs are given").hint("one of them says how long training goes on")
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
        self.max_seq_tokens.get_or_insert(TrainSettings::DEFAULT_MAX_SEQ_TOKENS);
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
            bail!(
                anyhow!("--targets {target} is not a linear map of this model")
                    .hint(format!("these are: {}", TARGETS.join(", ")))
            );
        }
        ensure!(
            !targets.is_empty(),
            anyhow!("--targets names nothing").hint(format!("these can be named: {}", TARGETS.join(", ")))
        );
        let method = filled.method.context(required)?;
        ensure!(
            method != TrainMethod::Full || filled.init_adapter.is_none(),
            anyhow!("--init-adapter has no place in --method full").hint("use --method lora or qlora")
        );
        let named = |path: Option<PathBuf>, flag: &str, hint: &str| {
            path.with_context(|| format!("--{flag} is missing")).with_hint(|| format!("name {hint}"))
        };
        Ok(TrainSettings {
            base: named(filled.base, "base", "a Hugging Face directory of a Qwen2.5 model")?,
            data: named(filled.data, "data", "records with references, see eval/sample.jsonl")?,
            dev: filled.dev,
            held_out: filled.held_out,
            lock: filled.lock,
            prompts: filled.prompts,
            strict: filled.strict.unwrap_or(false),
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
                duration: match filled.steps {
                    Some(steps) => Duration::Steps(steps),
                    None => Duration::Epochs(filled.epochs.context(required)?),
                },
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
        .with_context(|| format!("--max-memory {text:?} is not a size"))
        .hint("for example 8G or 500M")
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
