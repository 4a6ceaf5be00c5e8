//! How good the label probabilities are, where an engine gives them.
//!
//! Rows without probabilities (failed answers) are left out; `n` says how many are in. The top label's probability is
//! its confidence. For a two-label task everything is about its `positive` label.

use indexmap::IndexMap;

use super::interval::{Interval, quantile};
use super::metric::find;
use super::spread::Spread;
use crate::scores::{PrecisionRecall, ReliabilityBin};
use crate::task::Task;

/// Keys of what is a mean of rows, in the order of [`Judged::means`].
pub const MEANS: [&str; 2] = ["brier", "log_loss"];
/// Bins of the expected calibration error.
const BINS: usize = 10;
/// Points of a curve that a page can show.
const POINTS: usize = 200;

/// What a row's probabilities say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    brier: f64,
    log_loss: f64,
    /// Probability of the most likely label, the first of equals.
    confidence: f64,
    /// Whether that label is right.
    top_is_right: bool,
    /// Log-probability of the positive label, and whether that is the reference; of the first label where none is.
    positive: f64,
    is_positive: bool,
}

impl Judged {
    /// From natural-log probabilities by label, if there is one for every label; `reference` is a label's index.
    pub fn of(task: &Task, logprobs: &IndexMap<String, f64>, reference: usize) -> Option<Judged> {
        let logs: Option<Vec<f64>> = task.labels.iter().map(|label| logprobs.get(label).copied()).collect();
        let logs = logs?;
        let probabilities: Vec<f64> = logs.iter().map(|value| value.exp()).collect();
        let error = |(label, p): (usize, &f64)| (p - f64::from(u8::from(label == reference))).powi(2);
        let sum: f64 = probabilities.iter().enumerate().map(error).sum();
        let better = |best: (usize, f64), (label, p): (usize, &f64)| if *p > best.1 { (label, *p) } else { best };
        let (top, confidence) = probabilities.iter().enumerate().fold((0, f64::NEG_INFINITY), better);
        let positive = positive(task).unwrap_or(0);
        Some(Judged {
            brier: if probabilities.len() == 2 { sum / 2.0 } else { sum },
            log_loss: -probabilities[reference].max(f64::EPSILON).ln(),
            confidence,
            top_is_right: top == reference,
            positive: logs[positive],
            is_positive: reference == positive,
        })
    }

    /// Brier score (1950) and log loss, in the order of [`MEANS`], as scikit-learn's `brier_score_loss` and `log_loss`
    /// of one row: with two labels the squared error of one of them, with more the sum over all.
    pub fn means(&self) -> [f64; 2] {
        [self.brier, self.log_loss]
    }
}

fn positive(task: &Task) -> Option<usize> {
    task.labels.iter().position(|label| Some(label) == task.positive.as_ref())
}

/// The rows in bins of equal mass by rising confidence, as (row, bin). Equal confidences share a bin, so that the order
/// of rows has no say.
fn binned(rows: &[Judged]) -> Vec<(usize, u8)> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| rows[*a].confidence.total_cmp(&rows[*b].confidence));
    let mut binned: Vec<(usize, u8)> = Vec::with_capacity(rows.len());
    for (rank, &row) in order.iter().enumerate() {
        let before = rank.checked_sub(1).map(|before| binned[before]);
        let bin = match before {
            Some((other, bin)) if rows[other].confidence == rows[row].confidence => bin,
            _ => (rank * BINS / rows.len()) as u8,
        };
        binned.push((row, bin));
    }
    binned
}

/// How often answers of a confidence are right, by rising confidence, of rows with their clusters. Without clusters enough,
/// no intervals are `shown`.
pub(super) fn reliability(rows: &[(u32, Judged)], shown: bool) -> Vec<ReliabilityBin> {
    let judged: Vec<Judged> = rows.iter().map(|(_, judged)| *judged).collect();
    let of_bin = |bin: &[(usize, u8)]| {
        let right = |row: &(usize, u8)| {
            let (cluster, judged) = rows[row.0];
            (cluster, f64::from(u8::from(judged.top_is_right)))
        };
        let Interval { value: accuracy, low, high, .. } =
            Spread::of(&bin.iter().map(right).collect::<Vec<_>>()).interval(find("accuracy"));
        let [low, high] = if shown { [low, high] } else { [f64::NAN; 2] };
        let confidence = bin.iter().map(|(row, _)| judged[*row].confidence).sum::<f64>() / bin.len() as f64;
        ReliabilityBin { confidence, accuracy, low, high, n: bin.len() }
    };
    binned(&judged).chunk_by(|a, b| a.1 == b.1).map(of_bin).collect()
}

/// The positive label's precision and recall at each threshold that changes them, thinned out to what a page can show.
pub(super) fn precision_recall<'a>(task: &Task, rows: impl Iterator<Item = &'a Judged>) -> Vec<PrecisionRecall> {
    let mut sorted: Vec<&Judged> = rows.collect();
    let positives = sorted.iter().filter(|row| row.is_positive).count();
    if task.positive.is_none() || positives == 0 {
        return vec![];
    }
    sorted.sort_by(|a, b| b.positive.total_cmp(&a.positive));
    let (mut found, mut answered) = (0, 0);
    let mut points = Vec::new();
    for tied in sorted.chunk_by(|a, b| a.positive == b.positive) {
        answered += tied.len();
        found += tied.iter().filter(|row| row.is_positive).count();
        points.push(PrecisionRecall {
            threshold: tied[0].positive.exp(),
            precision: found as f64 / answered as f64,
            recall: found as f64 / positives as f64,
        });
    }
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len() - 1;
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || *index == last)
        .map(|(_, point)| point)
        .collect()
}

/// The probability from which on the positive label is to be answered, so that macro-F1 on these rows is largest; of
/// equals the middle one. `None` where there is no choice: no positive label, no probabilities, or one class only.
pub(super) fn best_threshold(task: &Task, rows: &[Judged]) -> Option<f64> {
    task.positive.as_ref()?;
    let positives = rows.iter().filter(|row| row.is_positive).count();
    let negatives = rows.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut sorted: Vec<&Judged> = rows.iter().collect();
    sorted.sort_by(|a, b| b.positive.total_cmp(&a.positive));
    // Everything is negative at first; each group of ties turns positive.
    let macro_f1 = |found: usize, answered: usize| {
        let f1 = |hits: usize, both: usize| if both == 0 { 0.0 } else { 2.0 * hits as f64 / both as f64 };
        let rejected = negatives - (answered - found);
        (f1(found, positives + answered) + f1(rejected, negatives + rows.len() - answered)) / 2.0
    };
    let (mut found, mut answered) = (0, 0);
    // Between which probabilities a threshold gives a value.
    let mut candidates = vec![(macro_f1(0, 0), sorted[0].positive.exp(), 1.0)];
    let groups: Vec<&[&Judged]> = sorted.chunk_by(|a, b| a.positive == b.positive).collect();
    for (index, tied) in groups.iter().enumerate() {
        answered += tied.len();
        found += tied.iter().filter(|row| row.is_positive).count();
        let below = groups.get(index + 1).map_or(0.0, |next| next[0].positive.exp());
        candidates.push((macro_f1(found, answered), below, tied[0].positive.exp()));
    }
    let best = candidates.iter().map(|(value, ..)| *value).fold(f64::NEG_INFINITY, f64::max);
    let equals: Vec<f64> = candidates
        .iter()
        .filter(|(value, ..)| *value == best)
        .map(|(_, below, above)| (below + above) / 2.0)
        .rev()
        .collect();
    Some(quantile(&equals, 0.5))
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
    /// Sorts rows, each with its cluster, once for all resamples.
    pub fn of(task: &Task, rows: &[(u32, Judged)]) -> Ranks {
        let judged: Vec<Judged> = rows.iter().map(|(_, judged)| *judged).collect();
        let bins = binned(&judged).into_iter().map(|(row, bin)| {
            let (cluster, judged) = &rows[row];
            (*cluster, bin, judged.confidence - f64::from(u8::from(judged.top_is_right)))
        });
        let ranked = task.positive.as_ref().map(|_| {
            let mut sorted: Vec<&(u32, Judged)> = rows.iter().collect();
            sorted.sort_by(|a, b| b.1.positive.total_cmp(&a.1.positive));
            let last_of_tie =
                |index: usize| sorted.get(index + 1).is_none_or(|next| next.1.positive < sorted[index].1.positive);
            let of = |(index, (cluster, judged)): (usize, &&(u32, Judged))| {
                (*cluster, judged.is_positive, last_of_tie(index))
            };
            sorted.iter().enumerate().map(of).collect()
        });
        Ranks { bins: bins.collect(), ranked }
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
