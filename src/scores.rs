//! Scores and the rows they are derived from, as `scores.json` and `rows.jsonl` hold them.

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::Hint;
use crate::lines::{Lines, Place};
use crate::prediction::Finish;

/// `scores.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Format version, 1.
    pub v: u32,
    /// By task name, in the order of `tasks.toml`.
    pub tasks: IndexMap<String, TaskScores>,
}

/// The key of a label's row: 1 where the answer is right, else 0.
pub const CORRECT: &str = "correct";

/// Reads a `rows.jsonl` line by line, each with the place where it stands.
///
/// # Errors
/// Names the file and the line; and whatever `each` says.
pub fn each_row(rows: &Lines, mut each: impl FnMut(Row, Place) -> Result<()>) -> Result<()> {
    rows.each(|line| each(parse_row(line.bytes, line.place, rows)?, line.place))
}

/// Reads one row again.
///
/// # Errors
/// Names the file and the line.
pub fn row_at(rows: &Lines, place: Place) -> Result<Row> {
    parse_row(&rows.at(place)?, place, rows)
}

fn parse_row(bytes: &[u8], place: Place, rows: &Lines) -> Result<Row> {
    serde_json::from_slice(bytes)
        .with_context(|| format!("{}:{}: not a row", rows.name(), place.number))
        .hint("a rows.jsonl is written by `reels eval` and `reels score`")
}

/// The scores of one task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// Answers that were asked for, with a reference or not; 0 in files of earlier versions.
    #[serde(default)]
    pub asked: usize,
    /// Of those, the ones that there are, failed ones among them.
    #[serde(default)]
    pub answered: usize,
    /// Whether missing answers are left out; else they count as wrong.
    #[serde(default, skip_serializing_if = "is_false")]
    pub answered_only: bool,
    /// Scored texts whose reference is mostly in letters that ROUGE as Google counts it drops.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: usize,
    /// By metric key (`rouge1`, `macro_f1` …).
    pub metrics: IndexMap<String, Metric>,
    /// By label, in the task's order; empty for a text task.
    pub classes: IndexMap<String, ClassScores>,
    /// Absent for a text task.
    pub confusion: Option<Confusion>,
    /// What was resampled; absent where nothing is scored.
    pub sampling: Option<Sampling>,
    /// The flattering numbers, for a footnote; absent where no answer is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_only: Option<ValidOnly>,
    /// Ten bins of equal mass by confidence; empty without label probabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability: Vec<ReliabilityBin>,
    /// By falling threshold; empty unless the task has a positive label and probabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precision_recall: Vec<PrecisionRecall>,
    /// The decision threshold that was applied, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// One metric by groups of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<Slices>,
    /// How far annotators agree, where the records have what they answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// What people say of the texts, where they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratings: Option<TaskRatings>,
    /// Exactly how the numbers were made: parts `key:value` joined by `|`.
    pub signature: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes one")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes one")]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl TaskScores {
    /// Answers that were asked for and aren't there.
    pub fn missing(&self) -> usize {
        self.asked.saturating_sub(self.answered)
    }
}

impl ClassScores {
    /// Whether so few rows or accounts have the label that its scores say little.
    pub fn is_rare(&self) -> bool {
        self.support > 0 && (self.support < 5 || self.clusters < 3)
    }
}

/// A number never travels alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Not rounded; NaN, in JSON `null`, where it is not defined.
    #[serde(deserialize_with = "null_as_nan")]
    pub value: f64,
    /// Lower bound of the 95 % interval.
    #[serde(deserialize_with = "null_as_nan")]
    pub low: f64,
    /// Upper bound of the 95 % interval.
    #[serde(deserialize_with = "null_as_nan")]
    pub high: f64,
    /// Why the interval is not shown; then both bounds are NaN.
    #[serde(default)]
    pub withheld: Option<String>,
    /// Rows it is computed over.
    pub n: usize,
    /// Resampling units: accounts where any is known, and each Reel of an unknown one by itself.
    pub clusters: usize,
    /// How the interval was made: `bootstrap-t`, `jackknife`, `wilson`, `bca`, `percentile`, or `none`.
    pub method: String,
    /// A bootstrap interval, where the one above is made otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bounds>,
    /// Why the value is what it is by convention, where the data don't define it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A second interval of a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Lower bound.
    #[serde(deserialize_with = "null_as_nan")]
    pub low: f64,
    /// Upper bound.
    #[serde(deserialize_with = "null_as_nan")]
    pub high: f64,
    /// Why it is not shown; then both bounds are NaN.
    pub withheld: Option<String>,
    /// How it was made.
    pub method: String,
}

/// What people say of a task's texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRatings {
    /// Who said anything of these texts, as they call themselves.
    pub annotators: Vec<String>,
    /// Texts that are rated.
    pub texts: usize,
    /// Ratings of texts that the run doesn't have (any longer), left out.
    pub stale: usize,
    /// By scale ([`crate::annotation::SCALES`]), the mean over texts of the mean over annotators.
    pub scales: IndexMap<String, Metric>,
    /// By scale, how far annotators agree; absent where one rated alone.
    #[serde(default)]
    pub agreement: IndexMap<String, Agreement>,
    /// By metric key (and `flags`, how many a text has), by scale: Spearman's rank correlation over texts.
    pub correlations: IndexMap<String, IndexMap<String, Metric>>,
    /// Exactly how the numbers were made.
    pub signature: String,
}

/// NaN is `null` in JSON.
fn null_as_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Metrics over valid answers only. They leave out what went wrong, so they are too good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidOnly {
    /// Valid answers.
    pub n: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub accuracy: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub macro_f1: f64,
}

/// Answers of similar confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Mean probability of the answered label.
    pub confidence: f64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Lower bound of its 95 % interval; NaN where that is withheld.
    #[serde(deserialize_with = "null_as_nan")]
    pub low: f64,
    /// Upper bound of its 95 % interval.
    #[serde(deserialize_with = "null_as_nan")]
    pub high: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub n: usize,
}

/// Precision and recall of the positive label where it is answered from a probability on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Least probability of the positive label.
    pub threshold: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub precision: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub recall: f64,
}

/// A metric by groups of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    /// `rougeL` or `accuracy`: a mean, so that groups without some of the labels can be compared.
    pub metric: String,
    /// By what is grouped (`account`, `category`, `duration` …), then by group.
    pub by: IndexMap<String, IndexMap<String, Metric>>,
}

/// The units that resampling draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// `account` or `reel`.
    pub unit: String,
    /// Rows without an account, where others have one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_accounts: usize,
    /// How many have a scored row of the task.
    pub clusters: usize,
    /// Of the task's rows, those of the largest one.
    pub largest_share: f64,
    /// How much more the mean of rows (`rougeL`, `accuracy`) varies than over as many independent rows (Kish 1965);
    /// absent where no row differs from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design_effect: Option<f64>,
}

impl Sampling {
    /// The unit as people write it.
    pub fn unit(&self) -> &str {
        if self.unit == "reel" { "Reel" } else { &self.unit }
    }
}

/// How far annotators agree on one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// As they call themselves.
    pub annotators: Vec<String>,
    /// Items with at least two answers.
    pub items: usize,
    /// By coefficient (`percent_agreement`, `cohen_kappa` …), over all annotators.
    pub metrics: IndexMap<String, Metric>,
    /// Each two of them, as though there were no others.
    pub pairs: Vec<PairAgreement>,
    /// Of the items; absent where none has two answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Exactly how the numbers were made: parts `key:value` joined by `|`.
    pub signature: String,
}

/// How far two annotators agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairAgreement {
    #[expect(missing_docs, reason = "the type says it")]
    pub a: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub b: String,
    /// Items that both answered.
    pub items: usize,
    /// By coefficient.
    pub metrics: IndexMap<String, Metric>,
    /// `[answers of a][answers of b]`, in the order of the categories.
    pub confusion: Vec<Vec<usize>>,
}

/// Precision, recall and F1 of one label, strict: an invalid answer is a wrong one.
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
    /// Resampling units with such a row.
    #[serde(default)]
    pub clusters: usize,
    #[expect(missing_docs, reason = "the name says it")]
    #[serde(default)]
    pub intervals: ClassIntervals,
}

/// Lower and upper bounds of the 95 % intervals of a label's scores; absent where an interval is withheld.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ClassIntervals {
    pub precision: Option<[f64; 2]>,
    pub recall: Option<[f64; 2]>,
    pub f1: Option<[f64; 2]>,
}

/// Counts of reference label × answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The task's labels, in order: the rows, and all columns but the last.
    pub labels: Vec<String>,
    /// `[labels][labels + 1]`; the last column counts invalid, empty, failed and missing answers.
    pub counts: Vec<Vec<usize>>,
}

/// One line of `rows.jsonl`: a prediction beside its reference, with its own metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the name says it")]
    pub reel_id: String,
    /// Resampling is by account; a Reel of an unknown one stands by itself.
    pub account: Option<String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub task: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub repeat: u32,
    /// The prompt as the model read it; empty where it isn't known.
    pub prompt: String,
    /// The gold answer; a row without one is kept but not scored.
    pub reference: Option<String>,
    /// Further gold answers: the best counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
    /// The label of each annotator, where the record has them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub annotations: IndexMap<String, String>,
    /// The model's answer.
    pub output: String,
    /// Normalised natural-log probabilities of the labels, where they were scored.
    pub label_logprobs: Option<IndexMap<String, f64>>,
    #[expect(missing_docs, reason = "the name says it")]
    pub finish: Finish,
    /// By metric key, or [`CORRECT`] alone for a label. Empty without a reference.
    pub metrics: IndexMap<String, f64>,
    /// What the text states and its Reel doesn't: numbers, handles, tags and names to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The groups that the Reel belongs to, by what is grouped: its gold labels, `duration`, `views`, `length`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub slices: IndexMap<String, String>,
}

impl Row {
    /// Whether there is an answer, and it says nothing.
    pub fn is_empty(&self) -> bool {
        !matches!(self.finish, Finish::Error | Finish::Missing) && self.output.trim().is_empty()
    }

    /// All gold answers; a blank one is none.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        let all = self.reference.iter().chain(&self.alternatives);
        all.map(String::as_str).filter(|text| !text.trim().is_empty())
    }
}
