//! By how much each run differs from the baseline, and what a test says of it.

use super::exchange::Exchanged;
use super::{Flips, MetricDifference, Verdict};
use crate::config::IntervalMethod;
use crate::score::interval::{Interval, bca, jackknife, jackknife_error, percentile, t_interval};
use crate::score::metric::{Direction, MetricInfo, Range, direction};
use crate::score::resampled::Resampled;
use crate::score::significance::{LEVEL, holm, mcnemar, smallest_difference};
use crate::score::support::Support;

/// How two runs are told apart.
pub(super) enum Test<'a> {
    /// By the rows that only one of them gets right; by run but the first.
    McNemar(&'a [Flips]),
    /// By exchanging rows between them, under the name that this has.
    Exchange(&'static str, &'a Exchanged),
    /// There is no test.
    None,
}

/// A metric of several runs.
pub(super) struct Compared<'a> {
    pub key: &'a str,
    pub info: &'a MetricInfo,
    /// Its place in each run.
    pub at: usize,
    pub runs: &'a [Resampled],
    pub support: &'a Support<'a>,
    pub method: Option<IntervalMethod>,
    /// Of each run but the first, the clusters in which it differs from the first.
    pub differing: &'a [usize],
}

/// Each run but the first, against the first.
pub(super) fn differences(compared: &Compared, test: &Test) -> Vec<MetricDifference> {
    let mut differences: Vec<MetricDifference> =
        (1..compared.runs.len()).map(|run| unjudged(compared, run, test)).collect();
    judge(&mut differences, compared.key);
    differences
}

/// A difference whose p-value is not adjusted yet.
fn unjudged(compared: &Compared, run: usize, test: &Test) -> MetricDifference {
    let Compared { at, runs, support, .. } = *compared;
    let value = runs[run].value(at) - runs[0].value(at);
    let left_out = minus(&runs[run].left_out(at), &runs[0].left_out(at));
    let differing = compared.differing[run - 1];
    let tested = match test {
        Test::McNemar(flips) => {
            let (gained, lost) = (flips[run - 1].gained as u64, flips[run - 1].lost as u64);
            Some(("mcnemar", mcnemar(gained, lost), mcnemar(0, gained + lost)))
        }
        Test::Exchange(name, exchanged) => {
            // Of all the ways to exchange the clusters that differ, two are as far apart as can be.
            let smallest = 0.5f64.powi(differing.saturating_sub(1) as i32);
            // Where not all are made, chance may give less.
            Some((*name, exchanged.p(run, at, value).max(smallest), smallest))
        }
        Test::None => None,
    };
    let Interval { low, high, method, withheld, .. } = interval(compared, run, value, &left_out);
    MetricDifference {
        value,
        low,
        high,
        withheld,
        method,
        test: tested.map(|(name, ..)| name.to_owned()),
        p: tested.map(|(_, p, _)| p),
        smallest_p: tested.map(|(.., smallest)| smallest),
        p_adjusted: None,
        differing,
        verdict: Verdict::NotTested,
        smallest_shown: smallest_difference(
            jackknife_error(&left_out, &support.left_out),
            support.degrees_of_freedom(),
        ),
    }
}

/// By leaving out clusters, on the scale of the metric itself; a difference has no standard error in a resample.
fn interval(compared: &Compared, run: usize, value: f64, left_out: &[f64]) -> Interval {
    let Compared { at, runs, support, .. } = *compared;
    let replicates = || minus(&runs[run].replicates(at), &runs[0].replicates(at));
    if let Some(why) = support.one_cluster().filter(|_| compared.method.is_some()) {
        return Interval::withheld(value, why);
    }
    match compared.method {
        Some(IntervalMethod::Bca) => bca(value, replicates(), left_out),
        Some(IntervalMethod::Percentile) => percentile(value, replicates()),
        Some(_) => jackknife(value, left_out, &support.left_out, Range::Open),
        None => match support.withheld(compared.info) {
            Some(why) => Interval::withheld(value, why),
            None => {
                let error = jackknife_error(left_out, &support.left_out);
                t_interval(value, error, Range::Open, support.degrees_of_freedom())
            }
        },
    }
}

fn judge(differences: &mut [MetricDifference], key: &str) {
    let p_values: Option<Vec<f64>> = differences.iter().map(|difference| difference.p).collect();
    let Some(p_values) = p_values else { return };
    for (difference, adjusted) in differences.iter_mut().zip(holm(&p_values)) {
        difference.p_adjusted = Some(adjusted);
        difference.verdict = verdict(key, difference.value, adjusted);
    }
}

/// What a difference of this p-value shows, adjusted.
pub(super) fn verdict(key: &str, value: f64, adjusted: f64) -> Verdict {
    match direction(key) {
        _ if adjusted >= LEVEL => Verdict::NoDifferenceShown,
        Direction::Neither => Verdict::Different,
        better if (value > 0.0) == (better == Direction::Higher) => Verdict::Better,
        _ => Verdict::Worse,
    }
}

/// `a` − `b`, place by place.
fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
