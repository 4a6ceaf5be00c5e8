//! Resampling of clusters with replacement (Efron 1979; Davison and Hinkley 1997, section 3.8).
//!
//! One [`ResamplePlan`] says how often each cluster is drawn in each resample. It depends on the seed and on the number
//! of clusters only, so every metric, task and run over the same data is resampled alike and can be compared in pairs.
//! A resample's weights are made when it is computed and nowhere kept, so a million rows take no more memory.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::config::ScoreSettings;

/// With more clusters than this the jackknife leaves out groups of them: its cost would grow with their square.
const JACKKNIFE_GROUPS: usize = 1000;
/// Sets the resamples of a plan apart from other draws of the same seed.
const EXCHANGES: u64 = 1 << 32;

/// How often each cluster is drawn in each resample.
#[derive(Debug, Clone, Copy)]
pub struct ResamplePlan {
    clusters: usize,
    settings: ScoreSettings,
}

/// Values of several statistics in all resamples.
#[derive(Debug, PartialEq)]
pub struct Replicates {
    width: usize,
    /// `[resamples, width]`
    values: Vec<f64>,
}

impl Replicates {
    /// One statistic in all resamples, NaN where it isn't defined.
    pub fn column(&self, statistic: usize) -> Vec<f64> {
        self.values.iter().skip(statistic).step_by(self.width).copied().collect()
    }

    /// How many statistics there are.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All statistics of each resample.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }
}

impl ResamplePlan {
    /// For so many clusters.
    pub fn new(clusters: usize, settings: &ScoreSettings) -> Self {
        Self { clusters, settings: *settings }
    }

    /// Evaluates `width` statistics in every resample.
    ///
    /// `statistics` gets one weight a cluster, summing to the number of clusters, and writes NaN where a statistic
    /// isn't defined.
    pub fn replicates(&self, width: usize, statistics: impl Fn(&[u16], &mut [f64]) + Sync) -> Replicates {
        let mut values = vec![f64::NAN; self.settings.bootstrap * width];
        if width > 0 && self.clusters > 0 {
            values.par_chunks_exact_mut(width).enumerate().for_each_init(
                || vec![0u16; self.clusters],
                |weights, (resample, values)| {
                    self.draw(resample, weights);
                    statistics(weights, values);
                },
            );
        }
        Replicates { width, values }
    }

    /// Whether [`ResamplePlan::exchanges`] are all there are.
    pub fn has_all_exchanges(&self) -> bool {
        self.clusters < usize::BITS as usize && 1 << self.clusters <= self.settings.bootstrap
    }

    /// Evaluates `width` statistics for choices of clusters: in `statistics` a cluster's weight is 1 where it is chosen.
    /// All choices where there are no more than resamples, else as many random ones, from the same seed.
    pub fn exchanges(&self, width: usize, statistics: impl Fn(&[u16], &mut [f64]) + Sync) -> Replicates {
        let all = self.has_all_exchanges();
        let count = if all { 1 << self.clusters } else { self.settings.bootstrap };
        let mut values = vec![f64::NAN; count * width];
        if width > 0 && self.clusters > 0 {
            values.par_chunks_exact_mut(width).enumerate().for_each_init(
                || vec![0u16; self.clusters],
                |chosen, (exchange, values)| {
                    let mut generator = self.generator(EXCHANGES + exchange as u64);
                    for chosen in chosen.chunks_mut(32) {
                        let bits = if all { exchange as u32 } else { generator.next_u32() };
                        for (bit, chosen) in chosen.iter_mut().enumerate() {
                            *chosen = (bits >> bit & 1) as u16;
                        }
                    }
                    statistics(chosen, values);
                },
            );
        }
        Replicates { width, values }
    }

    /// How many values a jackknife has: cluster c is left out with the c-th, modulo their number.
    pub fn groups(clusters: usize) -> usize {
        clusters.min(JACKKNIFE_GROUPS)
    }

    /// Evaluates `width` statistics with each cluster (or group of clusters, where there are many) left out:
    /// `[left out, width]`.
    pub fn jackknife(&self, width: usize, statistics: impl Fn(&[u16], &mut [f64]) + Sync) -> Replicates {
        let groups = Self::groups(self.clusters);
        let mut values = vec![f64::NAN; groups * width];
        if width > 0 {
            values.par_chunks_exact_mut(width).enumerate().for_each_init(
                || vec![1u16; self.clusters],
                |weights, (group, values)| {
                    for cluster in (group..self.clusters).step_by(groups) {
                        weights[cluster] = 0;
                    }
                    statistics(weights, values);
                    for cluster in (group..self.clusters).step_by(groups) {
                        weights[cluster] = 1;
                    }
                },
            );
        }
        Replicates { width, values }
    }

    /// Weights of one resample.
    ///
    /// Each has its own stream of the generator, so threads can't change what is drawn. An index is the high word
    /// of draw × clusters: off by less than clusters / 2³² and, unlike a library's range, the same for ever.
    fn draw(&self, resample: usize, weights: &mut [u16]) {
        weights.fill(0);
        let mut generator = self.generator(resample as u64);
        for _ in 0..self.clusters {
            let index = (u64::from(generator.next_u32()) * self.clusters as u64) >> 32;
            weights[index as usize] += 1;
        }
    }

    fn generator(&self, stream: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.settings.seed);
        generator.set_stream(stream);
        generator
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::interval::bca;

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 2000, seed: 42, interval: None };

    /// The weights themselves, as statistics.
    fn weights(clusters: usize, settings: &ScoreSettings) -> Replicates {
        let copy = |weights: &[u16], values: &mut [f64]| {
            values.iter_mut().zip(weights).for_each(|(value, weight)| *value = f64::from(*weight));
        };
        ResamplePlan::new(clusters, settings).replicates(clusters, copy)
    }

    #[test]
    fn every_resample_is_as_large_as_the_data() {
        let weights = weights(37, &SETTINGS);
        assert!(weights.rows().all(|weights| weights.iter().sum::<f64>() == 37.0));
        // a cluster is drawn 2000 times on average, with a standard deviation of 44
        assert!((0..37).all(|cluster| (weights.column(cluster).iter().sum::<f64>() - 2000.0).abs() < 5.0 * 44.0));
    }

    #[test]
    fn threads_change_nothing() {
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| weights(20, &SETTINGS))
        };
        assert_eq!(draw(1), draw(2));
    }

    #[test]
    fn a_longer_plan_starts_with_the_shorter_one() {
        let of = |bootstrap| weights(5, &ScoreSettings { bootstrap, seed: 42, interval: None });
        assert_eq!(of(20).values[..50], of(10).values);
    }

    #[test]
    fn an_exchange_chooses_half_the_clusters_on_average() {
        let count = |chosen: &[u16], values: &mut [f64]| values[0] = chosen.iter().map(|c| f64::from(*c)).sum();
        let chosen = ResamplePlan::new(100, &SETTINGS).exchanges(1, count).column(0);
        let mean = chosen.iter().sum::<f64>() / 2000.0;
        // standard deviation 5, of the mean 0.11
        assert!((mean - 50.0).abs() < 0.6, "{mean}");
        assert!(chosen.iter().all(|count| (20.0..80.0).contains(count)));
    }

    #[test]
    fn few_clusters_are_exchanged_in_all_ways() {
        let plan = ResamplePlan::new(4, &SETTINGS);
        let number = |chosen: &[u16], values: &mut [f64]| {
            values[0] = chosen.iter().enumerate().map(|(at, chosen)| f64::from(*chosen) * f64::from(1 << at)).sum();
        };
        let expected: Vec<f64> = (0..16).map(f64::from).collect();
        assert_eq!(plan.exchanges(1, number).column(0), expected);
        assert!(plan.has_all_exchanges() && !ResamplePlan::new(11, &SETTINGS).has_all_exchanges());
    }

    #[test]
    fn many_clusters_are_left_out_in_groups() {
        let clusters = 2 * JACKKNIFE_GROUPS + 1;
        let kept = |weights: &[u16], values: &mut [f64]| values[0] = weights.iter().map(|w| f64::from(*w)).sum();
        let left = ResamplePlan::new(clusters, &SETTINGS).jackknife(1, kept).column(0);
        assert_eq!(left.len(), JACKKNIFE_GROUPS);
        assert_eq!((left[0], left[1]), (clusters as f64 - 3.0, clusters as f64 - 2.0));
    }

    #[test]
    fn the_interval_of_a_mean_is_the_normal_one() {
        let data: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean = |weights: &[u16], values: &mut [f64]| {
            let n: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            values[0] = data.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum::<f64>() / n;
        };
        let plan = ResamplePlan::new(400, &SETTINGS);
        let interval = bca(9.5, plan.replicates(1, mean).column(0), &plan.jackknife(1, mean).column(0));
        let standard_error = 5.7663 / 20.0;
        assert_eq!(interval.method, "bca");
        assert!((interval.high - interval.value - 1.96 * standard_error).abs() < 0.04, "{interval:?}");
        assert!((interval.value - interval.low - 1.96 * standard_error).abs() < 0.04, "{interval:?}");
    }

    #[test]
    fn without_clusters_there_are_no_surprises() {
        let plan = ResamplePlan::new(0, &SETTINGS);
        assert!(plan.replicates(1, |_, _| unreachable!()).column(0).iter().all(|value| value.is_nan()));
        assert!(plan.jackknife(1, |_, _| unreachable!()).column(0).is_empty());
    }
}
