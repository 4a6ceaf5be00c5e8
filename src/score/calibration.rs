//! How good the label probabilities are, where an engine gives them.
//!
//! Rows without probabilities (failed answers) are left out; `n` says how many are in. The top label's probability is
//! its confidence. For a two-label task everything is about its `positive` label.

use crate::scores::Row;
use crate::task::Task;

/// Keys of what is a mean of rows, in the order of [`Judged::means`].
pub const MEANS: [&str; 2] = ["brier", "log_loss"];
/// Bins of the expected calibration error.
const BINS: usize = 10;

/// A row with its probabilities.
pub(super) struct Judged<'a> {
    pub row: &'a Row,
    /// `[labels]`, natural.
    log_probabilities: Vec<f64>,
    /// `[labels]`, summing to 1.
    probabilities: Vec<f64>,
    reference: usize,
}

/// The rows that have a probability for every label.
pub(super) fn judged<'a>(task: &Task, rows: &[&'a Row]) -> Vec<Judged<'a>> {
    let of = |row: &&'a Row| {
        let logprobs = row.label_logprobs.as_ref()?;
        let log_probabilities: Option<Vec<f64>> =
            task.labels.iter().map(|label| logprobs.get(label).copied()).collect();
        let log_probabilities = log_probabilities?;
        let probabilities = log_probabilities.iter().map(|value| value.exp()).collect();
        let reference = task.labels.iter().position(|label| Some(label) == row.reference.as_ref())?;
        Some(Judged { row, log_probabilities, probabilities, reference })
    };
    rows.iter().filter_map(of).collect()
}

impl Judged<'_> {
    /// Brier score (1950) and log loss, in the order of [`MEANS`], as scikit-learn's `brier_score_loss` and `log_loss`
    /// of one row: with two labels the squared error of one of them, with more the sum over all.
    pub fn means(&self) -> [f64; 2] {
        let error = |(label, p): (usize, &f64)| (p - f64::from(u8::from(label == self.reference))).powi(2);
        let sum: f64 = self.probabilities.iter().enumerate().map(error).sum();
        let brier = if self.probabilities.len() == 2 { sum / 2.0 } else { sum };
        [brier, -self.probabilities[self.reference].max(f64::EPSILON).ln()]
    }

    /// The most likely label, the first of equals, and its probability.
    fn top(&self) -> (usize, f64) {
        let better = |best: (usize, f64), (label, p): (usize, &f64)| if *p > best.1 { (label, *p) } else { best };
        self.probabilities.iter().enumerate().fold((0, f64::NEG_INFINITY), better)
    }
}

/// Expected calibration error and, for a task with a positive label, the area under the ROC curve and average precision.
#[derive(Debug, Clone)]
pub(super) struct Ranks {
    /// Cluster, bin, confidence minus correctness of each row.
    bins: Vec<(u32, u8, f64)>,
    /// Cluster, whether positive, whether the next row's score is lower; by falling score.
    ranked: Option<Vec<(u32, bool, bool)>>,
}

/// Metric keys, in the order of the values.
pub(super) fn rank_keys(task: &Task) -> &'static [&'static str] {
    if task.positive.is_some() { &["ece", "roc_auc", "average_precision"] } else { &["ece"] }
}

impl Ranks {
    /// Of rows with their clusters.
    pub fn of(task: &Task, rows: &[(usize, Judged)]) -> Ranks {
        let mut by_confidence: Vec<(f64, u32, f64)> = rows
            .iter()
            .map(|(cluster, judged)| {
                let (label, confidence) = judged.top();
                let correct = f64::from(u8::from(label == judged.reference));
                (confidence, *cluster as u32, confidence - correct)
            })
            .collect();
        by_confidence.sort_by(|a, b| a.0.total_cmp(&b.0));
        let n = by_confidence.len();
        let mut bins: Vec<(u32, u8, f64)> = Vec::with_capacity(n);
        for (rank, (confidence, cluster, gap)) in by_confidence.iter().enumerate() {
            // Equal confidences share a bin, so that the order of rows has no say.
            let tied = rank > 0 && by_confidence[rank - 1].0 == *confidence;
            let bin = if tied { bins[rank - 1].1 } else { (rank * BINS / n) as u8 };
            bins.push((*cluster, bin, *gap));
        }
        let positive =
            task.positive.as_ref().and_then(|positive| task.labels.iter().position(|label| label == positive));
        let ranked = positive.map(|positive| {
            let mut scored: Vec<(f64, u32, bool)> = rows
                .iter()
                .map(|(cluster, judged)| {
                    (judged.log_probabilities[positive], *cluster as u32, judged.reference == positive)
                })
                .collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            let last_of_tie = |index: usize| scored.get(index + 1).is_none_or(|next| next.0 < scored[index].0);
            scored.iter().enumerate().map(|(index, row)| (row.1, row.2, last_of_tie(index))).collect()
        });
        Ranks { bins, ranked }
    }

    /// Writes one value a key.
    pub fn write(&self, weights: &[u16], values: &mut [f64]) {
        values[0] = self.ece(weights);
        if let Some(ranked) = &self.ranked {
            [values[1], values[2]] = areas(ranked, weights);
        }
    }

    /// Expected calibration error over bins of equal mass (Nguyen and O'Connor 2015). The bins are those of the data as
    /// they are.
    fn ece(&self, weights: &[u16]) -> f64 {
        let mut gaps = [0.0; BINS];
        let mut n = 0.0;
        for (cluster, bin, gap) in &self.bins {
            let weight = f64::from(weights[*cluster as usize]);
            gaps[usize::from(*bin)] += weight * gap;
            n += weight;
        }
        gaps.iter().map(|gap| gap.abs()).sum::<f64>() / n
    }
}

/// Area under the ROC curve and average precision, as scikit-learn's `roc_auc_score` and `average_precision_score`: the
/// area is NaN with one class only, the precision 0 without positives.
fn areas(ranked: &[(u32, bool, bool)], weights: &[u16]) -> [f64; 2] {
    let (mut positives, mut negatives) = (0u64, 0u64);
    let (mut area, mut precision) = (0.0, 0.0);
    let (mut new_positives, mut new_negatives) = (0u64, 0u64);
    for (cluster, positive, last_of_tie) in ranked {
        let weight = u64::from(weights[*cluster as usize]);
        if *positive {
            new_positives += weight;
        } else {
            new_negatives += weight;
        }
        if *last_of_tie {
            // Positives above each of these negatives, ties counting half.
            area += new_negatives as f64 * (positives as f64 + new_positives as f64 / 2.0);
            positives += new_positives;
            negatives += new_negatives;
            if new_positives > 0 {
                precision += new_positives as f64 * positives as f64 / (positives + negatives) as f64;
            }
            (new_positives, new_negatives) = (0, 0);
        }
    }
    let area = area / (positives as f64 * negatives as f64);
    [area, if positives > 0 { precision / positives as f64 } else { 0.0 }]
}
