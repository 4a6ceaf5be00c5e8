//! Scores and the rows they are derived from, as `scores.json` and `rows.jsonl` hold them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::prediction::Finish;

/// `scores.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Format version, 1.
    pub v: u32,
    /// By task name, in the order of `tasks.toml`.
    pub tasks: IndexMap<String, TaskScores>,
}

/// Whether a smaller value of a metric is the better one.
pub fn less_is_better(metric: &str) -> bool {
    matches!(metric, "invalid_rate" | "brier" | "log_loss" | "ece")
}

/// Reads a `rows.jsonl`.
///
/// # Errors
/// Names the file and the line.
pub fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = |(index, line): (usize, std::io::Result<String>)| {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&line).with_context(|| {
            format!(
                "{}:{}: not a row\nhint: a rows.jsonl is written by `reels eval` and `reels score`",
                path.display(),
                index + 1
            )
        })
    };
    BufReader::new(file).lines().enumerate().map(line).collect()
}

/// The scores of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// By metric key (`rouge1`, `macro_f1` …).
    pub metrics: IndexMap<String, Metric>,
    /// By label, in the task's order; empty for a text task.
    pub classes: IndexMap<String, ClassScores>,
    /// Absent for a text task.
    pub confusion: Option<Confusion>,
    /// What was resampled; absent in files of version 0.1.0.
    pub sampling: Option<Sampling>,
    /// Exactly how the numbers were made: parts `key:value` joined by `|`.
    pub signature: String,
}

/// A number never travels alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Not rounded.
    pub value: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
    /// Rows it is computed over.
    pub n: usize,
    /// Resampling units: accounts when every scored row has one, else Reels.
    pub clusters: usize,
    /// How the interval was made: `bca`, `wilson`, or `percentile: ` and why.
    pub method: String,
}

/// The units that resampling draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// `account` or `reel`.
    pub unit: String,
    /// How many have a scored row of the task.
    pub clusters: usize,
    /// Of the task's rows, those of the largest one.
    pub largest_share: f64,
}

/// With fewer units than this, intervals come out too narrow.
const FEW: usize = 40;

impl Sampling {
    /// The unit as people write it.
    pub fn unit(&self) -> &str {
        if self.unit == "reel" { "Reel" } else { &self.unit }
    }

    /// Whether intervals over so few units are to be trusted less.
    pub fn too_few(&self) -> bool {
        self.clusters < FEW
    }
}

/// Precision and recall of one label, strict: an invalid answer is a wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// 0 where nothing was predicted as this label.
    pub precision: f64,
    /// 0 where no row has this label.
    pub recall: f64,
    /// 0 where both are 0.
    pub f1: f64,
    /// Rows whose reference is this label.
    pub support: usize,
}

/// Counts of reference label × answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The task's labels, in order: the rows, and all columns but the last.
    pub labels: Vec<String>,
    /// `[labels][labels + 1]`; the last column counts invalid and failed answers.
    pub counts: Vec<Vec<usize>>,
}

/// One line of `rows.jsonl`: a prediction beside its reference, with its own metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the name says it")]
    pub reel_id: String,
    /// Resampling is by account when every scored row has one.
    pub account: Option<String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub task: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub repeat: u32,
    /// The prompt as the model read it.
    pub prompt: String,
    /// The gold answer; a row without one is kept but not scored.
    pub reference: Option<String>,
    /// The model's answer.
    pub output: String,
    /// Normalised natural-log probabilities of the labels, where they were scored.
    pub label_logprobs: Option<IndexMap<String, f64>>,
    #[expect(missing_docs, reason = "the name says it")]
    pub finish: Finish,
    /// By metric key: ROUGE F-measures, or `correct` as 0 or 1. Empty without a reference.
    pub metrics: IndexMap<String, f64>,
}
