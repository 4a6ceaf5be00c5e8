//! Whether a file answers as what it was made from: logits of the two on prompts the model was trained for.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ask::label_tokens;
use crate::config::{EngineSettings, Quant, Sampling};
use crate::error::Hint;
use crate::generator::{Bounds, Event, Generator, Job, LabelTokens, Outcome, Reads, Want};
use crate::gguf::FloatType;
use crate::lines::Lines;
use crate::llama;
use crate::prompt::{ChatFormat, HubTokenizer, Tokenizer};
use crate::stop::Stop;
use crate::task::{Task, TaskKind};

/// Tokens of all prompts that are compared, about: minutes for a 7B on a few cores.
const TOKENS: usize = 8192;
/// Positions compared in a prompt, the last one among them.
const POSITIONS: usize = 8;

/// A prompt to compare on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Probe {
    pub reel_id: String,
    pub task: String,
    pub tokens: Vec<u32>,
}

/// Prompts, and where in them.
#[derive(Debug, Clone)]
pub struct Probes {
    #[expect(missing_docs, reason = "the name says it")]
    pub probes: Vec<Probe>,
    /// Token ids of each.
    pub prompts: Vec<Vec<u32>>,
    /// Positions of each, ascending.
    pub positions: Vec<Vec<usize>>,
}

impl Probes {
    /// As many as don't take too long.
    pub fn new(mut probes: Vec<Probe>) -> Probes {
        let mut tokens = 0;
        probes.retain(|probe| {
            let taken = !probe.tokens.is_empty() && (tokens == 0 || tokens + probe.tokens.len() <= TOKENS);
            tokens += if taken { probe.tokens.len() } else { 0 };
            taken
        });
        let prompts: Vec<Vec<u32>> = probes.iter().map(|probe| probe.tokens.clone()).collect();
        let positions = |prompt: &Vec<u32>| {
            let mut all: Vec<usize> =
                (1..=POSITIONS).map(|part| (part * prompt.len()).div_ceil(POSITIONS) - 1).collect();
            all.dedup();
            all
        };
        let positions = prompts.iter().map(positions).collect();
        Probes { probes, prompts, positions }
    }

    /// Those that a training run left.
    ///
    /// # Errors
    /// Names the file and line.
    pub fn read(path: &Path) -> Result<Probes> {
        let lines = Lines::open(path, "probe prompts")?;
        let mut probes = Vec::new();
        lines.each(|line| {
            let probe = serde_json::from_slice(line.bytes);
            probes.push(probe.with_context(|| format!("{}:{}", path.display(), line.place.number))?);
            Ok(())
        })?;
        let probes = Probes::new(probes);
        ensure!(!probes.probes.is_empty(), anyhow!("{} holds no prompts", path.display()).hint("use --no-verify"));
        Ok(probes)
    }
}

/// How far the logits of one engine are from those of another, over all positions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LogitDifference {
    /// Distributions compared.
    pub positions: usize,
    /// The largest difference of a logit over the largest logit, of magnitudes.
    pub relative: f64,
    /// Mean of KL(reference ‖ found), in nats.
    pub kl: f64,
    /// Positions where another token is the likeliest.
    pub changed_tokens: usize,
}

/// Compares rows of logits.
///
/// # Errors
/// When they don't belong together, or aren't finite.
pub fn compare(reference: &[Vec<f32>], found: &[Vec<f32>]) -> Result<LogitDifference> {
    ensure!(reference.len() == found.len() && !found.is_empty(), "{} rows and {}", reference.len(), found.len());
    let (mut largest, mut difference, mut kl, mut changed) = (0f64, 0f64, 0.0, 0);
    for (reference, found) in reference.iter().zip(found) {
        ensure!(reference.len() == found.len(), "vocabularies of {} and {} tokens", reference.len(), found.len());
        for (a, b) in reference.iter().zip(found) {
            largest = largest.max(f64::from(a.abs()));
            difference = difference.max(f64::from((a - b).abs()));
        }
        let (p, q) = (log_softmax(reference), log_softmax(found));
        kl += p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
        changed += usize::from(best(reference) != best(found));
        ensure!(kl.is_finite(), "logits are not finite");
    }
    let relative = difference / largest;
    Ok(LogitDifference { positions: found.len(), relative, kl: kl / found.len() as f64, changed_tokens: changed })
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - max).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - max) - sum.ln()).collect()
}

/// The first of the largest.
fn best<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best })
}

/// What a file may differ by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of [`LogitDifference::kl`].
    pub kl: f64,
    /// Share of labels that may change.
    pub labels: f64,
}

/// Of [`LogitDifference::relative`] of a file in floats, against the forward pass it was made from.
pub fn float_limit(stored: FloatType) -> f64 {
    if stored == FloatType::F32 { 1e-3 } else { 1e-2 }
}

/// The same of a deep model, which passes on more of what rounding does: our own forward pass was repeated with it. Twice
/// that, as the largest of many differences varies.
pub fn rounding_limit(stored: FloatType, rounding: &LogitDifference) -> f64 {
    float_limit(stored).max(2.0 * rounding.relative)
}

/// Of a quantised file against the one in floats. Five times what llama.cpp measured on a model of 8B (tools/perplexity's
/// table for Llama 3: 0.0014, 0.0055, 0.011, 0.031 and 0.072 nats), as small models suffer more.
pub fn quantised_limits(quant: Quant) -> Limits {
    let (kl, labels) = match quant {
        Quant::F32 | Quant::F16 | Quant::Bf16 => (0.0, 0.0),
        Quant::Q8_0 => (0.007, 0.1),
        Quant::Q6K => (0.027, 0.15),
        Quant::Q5KM => (0.055, 0.2),
        Quant::Q4KM => (0.16, 0.25),
        Quant::Q4_0 => (0.36, 0.3),
    };
    Limits { kl, labels }
}

/// Prompts of label tasks with their labels as tokens.
#[derive(Debug)]
pub struct LabelProbes {
    prompts: Vec<(Arc<[u32]>, Vec<LabelTokens>)>,
}

impl LabelProbes {
    /// Those of the probes whose task has labels.
    ///
    /// # Errors
    /// When a label can't be tokenised behind a prompt.
    pub fn new(probes: &Probes, tasks: &[Task], chat: &ChatFormat, tokenizer: &HubTokenizer) -> Result<LabelProbes> {
        let mut prompts = Vec::new();
        for probe in &probes.probes {
            let task = tasks.iter().find(|task| task.name == probe.task && task.kind == TaskKind::Label);
            let Some(task) = task else { continue };
            let labels = label_tokens(task, &tokenizer.decode(&probe.tokens)?, chat, tokenizer)?;
            prompts.push((probe.tokens.as_slice().into(), labels));
        }
        Ok(LabelProbes { prompts })
    }

    /// The likeliest label of each.
    ///
    /// # Errors
    /// When the engine fails, or on the wish to stop.
    pub fn labels(&self, model: &Path, settings: &EngineSettings, stop: &Stop) -> Result<Vec<usize>> {
        let cells = |(prompt, labels): &(Arc<[u32]>, Vec<LabelTokens>)| {
            prompt.len() + labels.iter().map(|label| label.tokens.len()).sum::<usize>()
        };
        let bounds = Bounds {
            reels: 1,
            max_cells: self.prompts.iter().map(cells).max().unwrap_or(0),
            max_text_tokens: 0,
            text_tasks: 0,
            labels: self.prompts.iter().map(|(_, labels)| labels.len()).max().unwrap_or(0),
            step_tokens: settings.ubatch,
        };
        let mut labels = vec![0; self.prompts.len()];
        if labels.is_empty() {
            return Ok(labels);
        }
        let mut engine = llama::Model::open(model, None)?.load(settings, &bounds)?;
        let mut session = engine.session(&bounds)?;
        for (id, (tokens, labels)) in (0..).zip(&self.prompts) {
            let job = Job {
                id,
                reads: Reads::Tokens { tokens: Arc::clone(tokens), lead: 0, cuts: vec![] },
                want: Want::LabelScores(labels.clone()),
                sampling: Sampling::GREEDY,
                randomness: String::new(),
                prefix: None,
            };
            session.admit(job).map_err(|refused| refused.0.into_error(model.display()))?;
        }
        while !session.is_idle() {
            ensure!(!stop.wished(), "interrupted");
            for event in session.step()? {
                match event {
                    Event::Answer { job, outcome: Outcome::LabelScores(scores), .. } => {
                        labels[job as usize] = best(&scores);
                    }
                    Event::Failed { reason, .. } => return Err(reason.into_error(model.display())),
                    other => bail!("{}: {other:?} instead of label scores", model.display()),
                }
            }
        }
        Ok(labels)
    }
}

/// Checks that a file makes the same tokens of some texts as the tokenizer it was made from, and ends answers with the
/// same one.
///
/// # Errors
/// Names the text or token.
pub fn same_tokens(file: &Path, texts: &[String], chat: &ChatFormat, tokenizer: &HubTokenizer) -> Result<()> {
    let model = llama::Model::open(file, None)?;
    for text in texts {
        let (ours, theirs) = (tokenizer.encode(text)?, model.vocabulary().encode(text)?);
        if let Some(at) = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at)) {
            bail!(
                anyhow!(
                    "{}: llama.cpp makes other tokens of {:?} than tokenizer.json, from token {at} on ({:?} and {:?})",
                    file.display(),
                    shorten(text),
                    theirs.get(at),
                    ours.get(at)
                )
                .hint("please report this; --no-verify writes the file anyway")
            );
        }
    }
    let (end, eos) = (chat.end_token(tokenizer)?, model.gguf().number("tokenizer.ggml.eos_token_id"));
    ensure!(eos == Some(u64::from(end)), "{}: answers end with token {end}, the file says {eos:?}", file.display());
    let template = |chat: &ChatFormat| chat.template().to_owned();
    ensure!(template(chat) == template(model.chat()), "{}: it has another chat template", file.display());
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

/// What was compared and came out, for people and for the manifest.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// The file in floats against our forward pass, with its limit.
    pub float: Option<(LogitDifference, f64)>,
    /// Our forward pass as a file in 16 bits computes it against the one in 32, where [`float_limit`] is missed.
    pub rounding: Option<LogitDifference>,
    /// The quantised file against the one in floats.
    pub quantised: Option<(LogitDifference, Limits)>,
    /// Labels that the quantised file changes, and how many were compared.
    pub labels: (usize, usize),
    /// The weights as training saw them against the file in floats.
    pub trainer: Option<LogitDifference>,
}

impl Proof {
    /// Which limit was missed.
    pub fn failure(&self) -> Option<String> {
        if let Some((found, limit)) = &self.float
            && found.relative > *limit
        {
            return Some(format!(
                "logits are off by {:.1e} of the largest, at most {limit:.1e} is allowed: what was written is not what was trained",
                found.relative
            ));
        }
        let (found, limits) = self.quantised.as_ref()?;
        let (changed, labels) = self.labels;
        if found.kl > limits.kl {
            return Some(format!(
                "quantising moves the distributions by {:.4} nats on average, at most {} is allowed",
                found.kl, limits.kl
            ));
        }
        if changed as f64 > (limits.labels * labels as f64).ceil() {
            return Some(format!(
                "quantising changes {changed} of {labels} labels, at most {} % is allowed",
                100.0 * limits.labels
            ));
        }
        None
    }

    /// A line a comparison.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((found, limit)) = &self.float {
            lines.push(format!(
                "as trained      logits off by {:.1e} of the largest (limit {limit:.1e}), {} of {} likeliest tokens changed",
                found.relative, found.changed_tokens, found.positions
            ));
        }
        if let Some(found) = &self.rounding {
            lines.push(format!(
                "rounded         logits off by {:.1e} of the largest by 16 bits alone, {} of {} likeliest tokens changed",
                found.relative, found.changed_tokens, found.positions
            ));
        }
        if let Some((found, limits)) = &self.quantised {
            let (changed, labels) = self.labels;
            lines.push(format!(
                "quantised       KL {:.5} nats (limit {}), {} of {} likeliest tokens and {changed} of {labels} labels changed",
                found.kl, limits.kl, found.changed_tokens, found.positions
            ));
        }
        if let Some(found) = &self.trainer {
            lines.push(format!(
                "in four bits    KL {:.5} nats, {} of {} likeliest tokens changed, as training saw the weights (no limit)",
                found.kl, found.changed_tokens, found.positions
            ));
        }
        lines
    }

    /// For the manifest.
    pub fn json(&self) -> Value {
        json!({
            "float": self.float.map(|(found, limit)| json!({"difference": found, "limit": limit})),
            "rounding": self.rounding,
            "quantised": self.quantised.map(|(found, limits)| json!({
                "difference": found,
                "kl_limit": limits.kl,
                "labels_changed": self.labels.0,
                "labels": self.labels.1,
            })),
            "trainer": self.trainer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_differ_in_nothing() {
        let rows = vec![vec![1.0, 2.0, -4.0]; 2];
        let same = compare(&rows, &rows).unwrap();
        assert_eq!(same, LogitDifference { positions: 2, relative: 0.0, kl: 0.0, changed_tokens: 0 });
    }

    #[test]
    fn differences_are_measured() {
        // scipy.stats.entropy(scipy.special.softmax([1, 2, 3]), scipy.special.softmax([3, 2, 1])), scipy 1.17.1
        let found = compare(&[vec![1.0, 2.0, 3.0]], &[vec![3.0, 2.0, 1.0]]).unwrap();
        assert!((found.kl - 1.1504207652).abs() < 1e-7, "{}", found.kl);
        assert!((found.relative - 2.0 / 3.0).abs() < 1e-7);
        assert_eq!(found.changed_tokens, 1);
        assert!(compare(&[vec![1.0]], &[vec![f32::NAN]]).is_err());
        assert!(compare(&[vec![1.0]], &[vec![1.0, 2.0]]).is_err());
    }

    #[test]
    fn each_limit_counts() {
        let found = |relative, kl| LogitDifference { positions: 8, relative, kl, changed_tokens: 0 };
        let limits = quantised_limits(Quant::Q8_0);
        let proof = |relative, kl, labels| Proof {
            float: Some((found(relative, 0.0), 1e-2)),
            quantised: Some((found(0.0, kl), limits)),
            labels,
            rounding: None,
            trainer: Some(found(9.0, 9.0)),
        };
        assert_eq!(proof(0.99e-2, 0.99 * limits.kl, (1, 10)).failure(), None);
        for (proof, expected) in [
            (proof(1.01e-2, 0.0, (0, 10)), "logits are off by 1.0e-2 of the largest, at most 1.0e-2"),
            (proof(0.0, 1.01 * limits.kl, (0, 10)), "quantising moves the distributions by 0.0071 nats"),
            (proof(0.0, 0.0, (2, 10)), "quantising changes 2 of 10 labels"),
        ] {
            let failure = proof.failure().unwrap();
            assert!(failure.contains(expected), "{failure}");
        }
    }

    #[test]
    fn rounding_widens_the_limit_of_16_bits_only_as_far_as_it_goes() {
        let rounding = |relative| LogitDifference { positions: 8, relative, kl: 0.0, changed_tokens: 0 };
        assert_eq!(rounding_limit(FloatType::Bf16, &rounding(1e-3)), 1e-2);
        assert_eq!(rounding_limit(FloatType::Bf16, &rounding(0.02)), 0.04);
    }

    #[test]
    fn positions_are_spread_and_end_with_the_prompt() {
        let probe = |len: u32| Probe { reel_id: "r".into(), task: "t".into(), tokens: (0..len).collect() };
        let probes = Probes::new(vec![probe(100), probe(3), probe(TOKENS as u32), probe(50)]);
        assert_eq!(
            probes.positions,
            [vec![12, 24, 37, 49, 62, 74, 87, 99], vec![0, 1, 2], vec![6, 12, 18, 24, 31, 37, 43, 49]]
        );
    }
}
