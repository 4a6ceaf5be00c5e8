//! What a comparison says, as `comparison.json` holds it.

use indexmap::IndexMap;
use serde::Serialize;

use crate::score::ratings::RatingComparison;
use crate::scores::Sampling;

/// What `reels compare --json` prints, and `comparison.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Format version, 1.
    pub v: u32,
    /// Names; the first is the baseline.
    pub runs: Vec<String>,
    /// By task name; those that all runs answer.
    pub tasks: IndexMap<String, TaskComparison>,
    /// Tasks that only some of the runs answer.
    pub left_out: Vec<String>,
    /// By task that people rated, what they say of the runs.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub ratings: IndexMap<String, RatingComparison>,
    /// How the numbers were made.
    pub signature: String,
}

/// The metrics of one task.
#[derive(Debug, Clone, Serialize)]
pub struct TaskComparison {
    /// Rows in every run.
    pub n: usize,
    /// Answers that were asked for, with a reference or not.
    pub asked: usize,
    /// By run, those that there are.
    pub answered: Vec<usize>,
    /// Whether missing answers are left out; else they count as wrong.
    pub answered_only: bool,
    #[expect(missing_docs, reason = "the name says it")]
    pub sampling: Sampling,
    /// The metric that the verdict is about.
    pub main: String,
    /// Why it isn't the one that stands for this kind of task.
    pub main_instead: Option<String>,
    /// By metric key; those that all runs have.
    pub metrics: IndexMap<String, MetricComparison>,
    /// Metrics that only some of the runs have, as those of probabilities.
    pub left_out: Vec<String>,
    /// Each run but the first, against the first; empty for a text task.
    pub flips: Vec<Flips>,
}

/// Answers that are right in one of two runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Flips {
    /// Rows that the baseline gets wrong and the run gets right.
    pub gained: usize,
    /// The other way round.
    pub lost: usize,
    /// Reels of the first of them, gained.
    pub gained_reels: Vec<String>,
    /// Reels of the first of them, lost.
    pub lost_reels: Vec<String>,
}

/// One metric of all runs.
#[derive(Debug, Clone, Serialize)]
pub struct MetricComparison {
    /// By run.
    pub values: Vec<f64>,
    /// Bounds of the 95 % interval of each run; NaN where it is withheld.
    pub intervals: Vec<[f64; 2]>,
    /// Each run but the first, against the first.
    pub differences: Vec<MetricDifference>,
    /// Indices of the runs that no test tells from the best one, which is among them; max-T over all pairs.
    pub best: Vec<usize>,
    /// How much the best run's value is expected to be too good for having been picked on this data.
    pub optimism: f64,
}

/// A run minus the baseline.
#[derive(Debug, Clone, Serialize)]
pub struct MetricDifference {
    /// In the metric's unit.
    pub value: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
    /// Why the interval is not shown; then both bounds are NaN.
    pub withheld: Option<String>,
    /// How the interval was made.
    pub method: String,
    /// `mcnemar`, `sign-flip` (means), `label-swap` (F1 and its kind); absent for metrics without a test.
    pub test: Option<String>,
    /// Two-sided.
    pub p: Option<f64>,
    /// The smallest p that the test can give: with few accounts that differ it may be too large to show anything.
    pub smallest_p: Option<f64>,
    /// Accounts (or Reels) in which the runs differ.
    pub differing: usize,
    /// Holm's, over the runs.
    pub p_adjusted: Option<f64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub verdict: Verdict,
    /// The smallest difference that this data would show four times out of five.
    pub smallest_shown: f64,
}

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verdict {
    Better,
    Worse,
    NoDifferenceShown,
    /// Neither more nor less is better.
    Different,
    /// The metric has no test.
    NotTested,
}
