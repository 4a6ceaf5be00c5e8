//! By how much each run differs from the baseline, and what a test says of it.

use super::resampled::ResampledMetric;
use super::{Flips, MetricDifference, Verdict};
use crate::score::interval::bca;
use crate::score::metric::{Direction, direction};
use crate::score::significance::{LEVEL, holm, mcnemar, randomisation_p, smallest_difference};

/// How two runs are told apart.
pub(super) enum Test<'a> {
    /// By the rows that only one of them gets right; by run but the first.
    McNemar(&'a [Flips]),
    /// By exchanging rows between them, under the name that this has.
    Swap(&'static str),
    /// There is no test.
    None,
}

/// Each run but the first, against the first.
pub(super) fn differences(key: &str, metric: &ResampledMetric, test: &Test) -> Vec<MetricDifference> {
    let of_run = |run: usize| {
        let value = metric.values[run] - metric.values[0];
        let resampled = minus(&metric.replicates[run], &metric.replicates[0]);
        let left_out = minus(&metric.jackknife[run], &metric.jackknife[0]);
        let tested = match test {
            Test::McNemar(flips) => {
                let Flips { gained, lost, .. } = flips[run - 1];
                Some(("mcnemar", mcnemar(gained as u64, lost as u64)))
            }
            Test::Swap(name) => Some((*name, randomisation_p(value, metric.swapped[run - 1].iter().copied()))),
            Test::None => None,
        };
        unjudged(value, resampled, &left_out, tested)
    };
    let mut differences: Vec<MetricDifference> = (1..metric.values.len()).map(of_run).collect();
    judge(&mut differences, key);
    differences
}

/// A difference whose p-value is not adjusted yet.
fn unjudged(
    value: f64,
    resampled: Vec<f64>,
    left_out: &[f64],
    tested: Option<(&'static str, f64)>,
) -> MetricDifference {
    let smallest_shown = smallest_difference(standard_deviation(&resampled));
    let interval = bca(value, resampled, left_out);
    MetricDifference {
        value,
        low: interval.low,
        high: interval.high,
        method: interval.method,
        test: tested.map(|(name, _)| name.to_owned()),
        p: tested.map(|(_, p)| p),
        p_adjusted: None,
        verdict: Verdict::NotTested,
        smallest_shown,
    }
}

fn judge(differences: &mut [MetricDifference], key: &str) {
    let p_values: Option<Vec<f64>> = differences.iter().map(|difference| difference.p).collect();
    let Some(p_values) = p_values else { return };
    for (difference, adjusted) in differences.iter_mut().zip(holm(&p_values)) {
        difference.p_adjusted = Some(adjusted);
        difference.verdict = match direction(key) {
            _ if adjusted >= LEVEL => Verdict::NoDifferenceShown,
            Direction::Neither => Verdict::Different,
            better if (difference.value > 0.0) == (better == Direction::Higher) => Verdict::Better,
            _ => Verdict::Worse,
        };
    }
}

/// `a` − `b`, place by place.
pub(super) fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Over what is not NaN.
pub(super) fn standard_deviation(values: &[f64]) -> f64 {
    let defined: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mean = defined.iter().sum::<f64>() / defined.len() as f64;
    (defined.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (defined.len() as f64 - 1.0)).sqrt()
}
