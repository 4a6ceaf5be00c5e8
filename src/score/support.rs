//! What a task's rows can carry: which intervals hold on them.
//!
//! The rules are those that `tests/coverage` passes with; they use nothing but what is known of the rows.

use std::collections::BTreeSet;

use super::bootstrap::ResamplePlan;
use super::interval::{degrees_of_freedom, effective, is_uneven};
use super::metric::{Aggregate, MetricInfo};
use super::table::TaskTable;
use crate::config::IntervalMethod;
use crate::task::TaskKind;

/// With fewer clusters than this no interval of a mean of texts is shown.
pub(super) const CLUSTERS_OF_TEXTS: usize = 5;
/// With fewer clusters than this none of a label task is shown: accounts of the same label are right or wrong together, and
/// few of them leave labels out.
const CLUSTERS_OF_LABELS: usize = 10;
/// A label with less of this than an account of its own has counts as one that is nobody's.
const OWN: f64 = 0.8;

/// A task's rows by cluster and by label.
pub(super) struct Support<'a> {
    rows: &'a TaskTable,
    pub unit: &'a str,
    /// By cluster that has a row, its rows.
    sizes: Vec<f64>,
    /// How many clusters are known to be ones: where any account is known, Reels of unknown ones may share one.
    known: usize,
    /// By what is left out in a jackknife, its rows.
    pub left_out: Vec<f64>,
    /// Rows of each label.
    labels: Vec<f64>,
    /// Clusters that have a row of each label.
    clusters: Vec<f64>,
    /// How many rows of its label an account with a theme has.
    theme: f64,
}

impl<'a> Support<'a> {
    /// Of the rows of a task, of which each is in a cluster of so many.
    pub fn of(rows: &'a TaskTable, cluster_of: &[u32], clusters: usize, unit: &'a str) -> Support<'a> {
        let labels = rows.task.labels.len();
        let groups = ResamplePlan::groups(clusters);
        let mut left_out = vec![0.0; groups];
        let mut sizes = vec![0.0; clusters];
        for cluster in cluster_of {
            sizes[*cluster as usize] += 1.0;
            left_out[*cluster as usize % groups] += 1.0;
        }
        let of_known = rows.origins.iter().zip(cluster_of).filter(|(origin, _)| origin.account.is_some());
        let known = of_known.map(|(_, cluster)| cluster).collect::<BTreeSet<_>>().len();
        let mut of_labels = vec![0.0; labels];
        // Rows of a cluster with a label, as (cluster, label).
        let mut pairs: Vec<(u32, u16)> =
            cluster_of.iter().copied().zip(rows.labels().iter().map(|row| row.reference)).collect();
        pairs.sort_unstable();
        pairs.iter().for_each(|(_, label)| of_labels[usize::from(*label)] += 1.0);
        let n = pairs.len() as f64;
        let squares = of_labels.iter().map(|count| count * count).sum::<f64>() / n;
        let together =
            pairs.chunk_by(|a, b| a == b).map(|rows| (rows.len() as f64).powi(2) / sizes[rows[0].0 as usize]);
        let between = together.sum::<f64>() - squares;
        let mut of_clusters = vec![0.0; labels];
        pairs.chunk_by(|a, b| a == b).for_each(|rows| of_clusters[usize::from(rows[0].1)] += 1.0);
        sizes.retain(|size| *size > 0.0);
        let theme = theme(&sizes, between, n - squares);
        let known = if known > 0 { known } else { sizes.len() };
        Support { rows, unit, sizes, known, left_out, labels: of_labels, clusters: of_clusters, theme }
    }

    /// How the interval of a metric is made where nothing else is asked for: as its kind of metric is, but that the
    /// resamples of a mean fall apart where few clusters have most of the rows.
    pub fn method(&self, info: &MetricInfo) -> IntervalMethod {
        if self.is_uneven() { IntervalMethod::Jackknife } else { info.interval }
    }

    /// Whether few of many clusters have most of the rows.
    pub fn is_uneven(&self) -> bool {
        is_uneven(&self.sizes)
    }

    /// Degrees of freedom of what leaving out clusters tells; a third of the effective number of clusters where few of them
    /// have most of the rows and labels are nobody's (chosen by simulation).
    pub fn degrees_of_freedom(&self) -> f64 {
        let has_stray = (0..self.labels.len()).any(|label| self.is_stray(label));
        if self.is_uneven() && has_stray { effective(&self.sizes) / 3.0 } else { degrees_of_freedom(&self.sizes) }
    }

    /// What leaving out clusters can't see of the variance of a mean over labels: that of labels whose answers are all right or
    /// all wrong. A rate with two more clusters of each kind stands for them (Agresti and Coull 1998).
    pub fn unseen_variance(&self, info: &MetricInfo) -> f64 {
        let Aggregate::EachLabel { absent, answers } = info.aggregate else { return 0.0 };
        let mut right = vec![0.0; self.labels.len()];
        let mut among = self.labels.clone();
        for row in self.rows.labels() {
            if row.is_right() {
                right[usize::from(row.reference)] += 1.0;
            } else if let Some(answer) = row.answer.filter(|_| answers) {
                among[usize::from(answer)] += 1.0;
            }
        }
        let variance = |label: usize| {
            let clusters = self.clusters[label];
            // The last account of a label is missed where it is left out.
            let is_seen = right[label] > 0.0 && (right[label] < among[label] || clusters == 1.0);
            let share = 2.0 / (clusters + 4.0);
            if clusters == 0.0 || is_seen { 0.0 } else { share * (1.0 - share) / (clusters + 4.0) }
        };
        let counted = if absent { self.labels.len() } else { self.labels.iter().filter(|rows| **rows > 0.0).count() };
        (0..self.labels.len()).map(variance).sum::<f64>() / (counted as f64).powi(2)
    }

    /// Whether there are clusters enough for any interval.
    pub fn has_clusters(&self) -> bool {
        self.known >= self.least()
    }

    fn least(&self) -> usize {
        match self.rows.task.kind {
            TaskKind::Text => CLUSTERS_OF_TEXTS,
            TaskKind::Label => CLUSTERS_OF_LABELS,
        }
    }

    /// Whether accounts keep to few labels and none to this one, so that it occurs less or more often than it should.
    pub fn is_stray(&self, label: usize) -> bool {
        self.labels[label] > 0.0 && self.labels[label] < OWN * self.theme
    }

    /// Why there is no interval by any method: one cluster doesn't tell how clusters differ.
    pub fn one_cluster(&self) -> Option<String> {
        (self.known < 2).then(|| too_few(self.known, self.unit, 2))
    }

    /// Why no interval of the metric holds.
    pub fn withheld(&self, info: &MetricInfo) -> Option<String> {
        if !self.has_clusters() {
            return Some(too_few(self.known, self.unit, self.least()));
        }
        let all = self.labels.len();
        let names = |of: &dyn Fn(usize) -> bool| -> Vec<&str> {
            (0..all).filter(|label| of(*label)).map(|label| self.rows.task.labels[label].as_str()).collect()
        };
        let (absent, strays) = (names(&|label| self.labels[label] == 0.0), names(&|label| self.is_stray(label)));
        match info.aggregate {
            Aggregate::EachLabel { .. } if !strays.is_empty() => Some(format!(
                "accounts keep to few labels, and none keeps to {} of {all}: {}",
                strays.len(),
                strays.join(", ")
            )),
            Aggregate::EachLabel { absent: true, .. } if !absent.is_empty() => {
                Some(format!("{} of {all} labels don’t occur: {}", absent.len(), absent.join(", ")))
            }
            Aggregate::Biased => Some("it is too large by chance, by an unknown amount".into()),
            _ => None,
        }
    }
}

/// Why rows of so many clusters have no interval.
pub(super) fn too_few(clusters: usize, unit: &str, least: usize) -> String {
    let s = if clusters == 1 { "" } else { "s" };
    format!("the rows are of {clusters} {unit}{s}; an interval takes at least {least}")
}

/// How many rows of its label a cluster of usual size has: 1 + (size − 1) ρ, where ρ is how alike the labels of its rows are
/// (intraclass correlation by analysis of variance), from the sums of squares between clusters and in all.
pub(super) fn theme(sizes: &[f64], between: f64, all: f64) -> f64 {
    let (n, clusters) = (sizes.iter().sum::<f64>(), sizes.len() as f64);
    let within = (all - between) / (n - clusters);
    let between = between / (clusters - 1.0);
    let size = (n - sizes.iter().map(|size| size * size).sum::<f64>() / n) / (clusters - 1.0);
    let correlation = (between - within) / (between + (size - 1.0) * within);
    if correlation.is_finite() { 1.0 + (n / clusters - 1.0) * correlation.clamp(0.0, 1.0) } else { 1.0 }
}
