//! Intervals by resampling clusters with replacement (Efron 1979; Davison and Hinkley 1997, section 3.8).
//!
//! One [`Plan`] says how often each cluster is drawn in each resample. It depends on the seed and on the set of
//! clusters only, so every metric, task and run over the same data is resampled alike and can be compared in pairs.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::CONFIDENCE;
use crate::config::ScoreSettings;
use crate::scores::Row;

/// What is drawn: accounts when every scored row has one, else Reels (the repeats of a Reel stay together).
///
/// Reels of one account resemble each other; drawing them one by one gives intervals that are too narrow.
#[derive(Debug)]
pub struct Clusters<'a> {
    by_account: bool,
    /// Sorted, so that the order of rows doesn't matter.
    names: Vec<&'a str>,
}

impl<'a> Clusters<'a> {
    /// The clusters of the scored rows of all tasks.
    pub fn of(scored: &[&'a Row]) -> Self {
        let by_account = scored.iter().all(|row| row.account.is_some());
        let names: BTreeSet<&str> = scored.iter().map(|row| name(row, by_account)).collect();
        Self { by_account, names: names.into_iter().collect() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// What one is, for the signature.
    pub fn unit(&self) -> &'static str {
        if self.by_account { "account" } else { "reel" }
    }

    /// The cluster of one of the rows it was made of.
    pub fn index(&self, row: &Row) -> usize {
        self.names.binary_search(&name(row, self.by_account)).expect("the clusters were made of the scored rows")
    }
}

fn name(row: &Row, by_account: bool) -> &str {
    match &row.account {
        Some(account) if by_account => account,
        _ => &row.reel_id,
    }
}

/// How often each cluster is drawn in each resample.
#[derive(Debug)]
pub struct Plan {
    clusters: usize,
    /// `[resamples, clusters]`; each row sums to `clusters`.
    weights: Vec<u16>,
}

/// A metric and its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the fields of `scores::Metric` with these names")]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Plan {
    /// Draws `settings.bootstrap` resamples.
    ///
    /// Each has its own stream of the generator, so threads can't change what is drawn. An index is the high word
    /// of draw × clusters: off by less than clusters / 2³² and, unlike a library's range, the same for ever.
    pub fn draw(clusters: usize, settings: &ScoreSettings) -> Self {
        let mut weights = vec![0u16; settings.bootstrap * clusters];
        let generator = ChaCha8Rng::seed_from_u64(settings.seed);
        weights.par_chunks_exact_mut(clusters.max(1)).enumerate().for_each(|(resample, weights)| {
            let mut generator = generator.clone();
            generator.set_stream(resample as u64);
            for _ in 0..clusters {
                let index = (u64::from(generator.next_u32()) * clusters as u64) >> 32;
                weights[index as usize] += 1;
            }
        });
        Self { clusters, weights }
    }

    /// The statistic's values for the data as they are, with percentile bounds.
    ///
    /// `statistic` gets one weight a cluster and returns always as many values, or `None` where no row of its task
    /// carries weight; such resamples say nothing and are left out. Empty if the data themselves give `None`.
    pub fn intervals<F>(&self, statistic: F) -> Vec<Interval>
    where
        F: Fn(&[u16]) -> Option<Vec<f64>> + Sync,
    {
        let Some(values) = statistic(&vec![1; self.clusters]) else { return Vec::new() };
        let replicates: Vec<Vec<f64>> =
            self.weights.par_chunks_exact(self.clusters.max(1)).filter_map(&statistic).collect();
        let bounds = |(metric, value): (usize, f64)| {
            let mut column: Vec<f64> = replicates.iter().map(|replicate| replicate[metric]).collect();
            column.sort_unstable_by(f64::total_cmp);
            let low = percentile(&column, (1.0 - CONFIDENCE) / 2.0).unwrap_or(value);
            let high = percentile(&column, (1.0 + CONFIDENCE) / 2.0).unwrap_or(value);
            Interval { value, low, high }
        };
        values.into_iter().enumerate().map(bounds).collect()
    }
}

/// The quantile `q` in 0..=1 of ascending values, interpolated between neighbours as `numpy.percentile` does by
/// default; `None` of nothing.
pub fn percentile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = last as f64 * q;
    let below = position.floor() as usize;
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    let share = position - below as f64;
    // from the nearer neighbour, as numpy: it keeps the result monotone in q
    Some(if share < 0.5 { a + (b - a) * share } else { b - (b - a) * (1.0 - share) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 2000, seed: 42 };

    fn mean(values: &[f64], weights: &[u16]) -> Option<Vec<f64>> {
        let total: f64 = values.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum();
        let n: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        Some(vec![total / n])
    }

    #[test]
    fn every_resample_is_as_large_as_the_data() {
        let plan = Plan::draw(37, &SETTINGS);
        assert!(plan.weights.chunks(37).all(|weights| weights.iter().sum::<u16>() == 37));
        let drawn: Vec<u64> =
            (0..37).map(|i| plan.weights.iter().skip(i).step_by(37).map(|w| u64::from(*w)).sum()).collect();
        // a cluster is drawn 2000 times on average, with a standard deviation of 44
        assert!(drawn.iter().all(|count| count.abs_diff(2000) < 5 * 44), "{drawn:?}");
    }

    #[test]
    fn threads_change_nothing() {
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Plan::draw(20, &SETTINGS).weights)
        };
        assert_eq!(draw(1), draw(2));
    }

    #[test]
    fn a_longer_plan_starts_with_the_shorter_one() {
        let longer = Plan::draw(5, &ScoreSettings { bootstrap: 20, seed: 42 });
        assert_eq!(longer.weights[..50], Plan::draw(5, &ScoreSettings { bootstrap: 10, seed: 42 }).weights);
    }

    #[test]
    fn the_interval_of_a_mean_is_the_normal_one() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let interval = Plan::draw(400, &SETTINGS).intervals(|weights| mean(&values, weights))[0];
        let standard_error = 5.7663 / 20.0;
        assert!((interval.value - 9.5).abs() < 1e-12);
        assert!((interval.high - interval.value - 1.96 * standard_error).abs() < 0.04, "{interval:?}");
        assert!((interval.value - interval.low - 1.96 * standard_error).abs() < 0.04, "{interval:?}");
    }

    #[test]
    fn without_resamples_or_data_there_are_no_surprises() {
        let plan = Plan::draw(1, &ScoreSettings { bootstrap: 0, seed: 42 });
        assert_eq!(plan.intervals(|_| Some(vec![0.3])), [Interval { value: 0.3, low: 0.3, high: 0.3 }]);
        assert_eq!(Plan::draw(0, &SETTINGS).intervals(|_| None), []);
    }

    proptest! {
        #[test]
        fn a_mean_stays_within_its_data(values in prop::collection::vec(0.0f64..1.0, 1..30)) {
            let plan = Plan::draw(values.len(), &ScoreSettings { bootstrap: 200, seed: 1 });
            let interval = plan.intervals(|weights| mean(&values, weights))[0];
            let (min, max) = values.iter().fold((1.0f64, 0.0f64), |(min, max), v| (min.min(*v), max.max(*v)));
            prop_assert!(min - 1e-12 <= interval.low && interval.low <= interval.high && interval.high <= max + 1e-12);
        }
    }
}
