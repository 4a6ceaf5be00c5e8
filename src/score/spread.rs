//! How a mean over clustered rows varies.

use super::interval::{self, Interval, wilson};
use super::metric::{Aggregate, MetricInfo, Range};
use super::significance::smallest_difference;

/// A mean of rows, and the clusters they come from.
pub(super) struct Spread {
    pub mean: f64,
    /// By cluster, the sum of its rows’ deviations from the mean.
    sums: Vec<f64>,
    /// By cluster, its rows.
    sizes: Vec<f64>,
    /// Variance that the mean would have if the rows were independent.
    independent: f64,
}

impl Spread {
    /// From the cluster and the value of each row.
    pub fn of(rows: &[(u32, f64)]) -> Spread {
        let n = rows.len() as f64;
        let mean = rows.iter().map(|(_, value)| value).sum::<f64>() / n;
        let mut sorted: Vec<(u32, f64)> = rows.iter().map(|(cluster, value)| (*cluster, value - mean)).collect();
        sorted.sort_by_key(|(cluster, _)| *cluster);
        let by_cluster = || sorted.chunk_by(|a, b| a.0 == b.0);
        Spread {
            mean,
            sums: by_cluster().map(|rows| rows.iter().map(|(_, deviation)| deviation).sum()).collect(),
            sizes: by_cluster().map(|rows| rows.len() as f64).collect(),
            independent: sorted.iter().map(|(_, deviation)| deviation * deviation).sum::<f64>() / (n * n),
        }
    }

    /// How many there are.
    pub fn clusters(&self) -> usize {
        self.sizes.len()
    }

    fn rows(&self) -> f64 {
        self.sizes.iter().sum()
    }

    /// How much more a mean over these clusters varies than one over as many independent rows (Kish 1965); `None` where
    /// nothing varies.
    pub fn design_effect(&self) -> Option<f64> {
        let clusters = self.clusters() as f64;
        let squares = self.sums.iter().map(|sum| sum * sum).sum::<f64>();
        let variance = clusters / (clusters - 1.0) * squares / self.rows().powi(2);
        (self.independent > 0.0 && clusters > 1.0).then(|| variance / self.independent)
    }

    /// From leaving out one cluster at a time. Where a rate is 0 or 1, nothing varies: then Wilson's, in which a cluster
    /// counts as one row.
    pub fn interval(&self, info: Option<&MetricInfo>) -> Interval {
        self.interval_with(info, interval::degrees_of_freedom(&self.sizes))
    }

    /// As [`Spread::interval`], of what few clusters may decide: wrong answers that are alike come in clumps, of which there
    /// may be more than are seen.
    pub fn careful_interval(&self, info: Option<&MetricInfo>) -> Interval {
        self.interval_with(info, interval::effective(&self.sizes) / 2.0)
    }

    fn interval_with(&self, info: Option<&MetricInfo>, degrees: f64) -> Interval {
        if self.clusters() < 2 {
            return Interval::withheld(self.mean, "there is nothing but one cluster");
        }
        let is_rate = info.is_some_and(|info| matches!(info.aggregate, Aggregate::Rate(_)));
        if is_rate && (self.mean == 0.0 || self.mean == 1.0) {
            return wilson(self.mean, self.clusters() as f64);
        }
        let range = info.map_or(Range::Open, |info| info.range);
        interval::t_interval(self.mean, self.error(), range, degrees)
    }

    /// The standard error of the mean, from leaving out one cluster at a time.
    fn error(&self) -> f64 {
        let n = self.rows();
        let without = |(sum, size): (&f64, &f64)| self.mean - sum / (n - size);
        let left_out: Vec<f64> = self.sums.iter().zip(&self.sizes).map(without).collect();
        interval::jackknife_error(&left_out, &self.sizes)
    }

    /// The least distance of the mean from 0 that rows like these would show, see [`smallest_difference`].
    pub fn smallest_shown(&self) -> f64 {
        smallest_difference(self.error(), interval::degrees_of_freedom(&self.sizes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::metric::find;

    #[test]
    fn clusters_widen_the_interval_of_a_mean() {
        let alike: Vec<(u32, f64)> = (0..100).map(|row| (row / 10, f64::from(row / 10 % 2))).collect();
        let apart: Vec<(u32, f64)> = alike.iter().enumerate().map(|(row, (_, value))| (row as u32, *value)).collect();
        let effect = Spread::of(&alike).design_effect().unwrap();
        assert!((effect - 10.0 * 10.0 / 9.0).abs() < 1e-9, "{effect}");
        for metric in ["rougeL", "accuracy"].map(find) {
            let width = |rows: &[(u32, f64)]| {
                let interval = Spread::of(rows).interval(metric);
                interval.high - interval.low
            };
            assert!(width(&alike) > 2.0 * width(&apart));
        }
    }

    #[test]
    fn one_cluster_shows_nothing() {
        let one = Spread::of(&[(0, 0.5), (0, 0.7)]).interval(find("rougeL"));
        assert!(one.low.is_nan() && one.withheld.is_some() && one.value == 0.6);
    }
}
