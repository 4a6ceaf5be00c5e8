//! Bounds of a number: from its resamples, from leaving clusters out, or for a rate from the counts.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::metric::{Aggregate, MetricInfo, Range};
use crate::config::IntervalMethod;

/// The confidence level of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// A number and its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// What the data give, not resampled.
    pub value: f64,
    /// NaN where the interval is withheld.
    pub low: f64,
    /// NaN where the interval is withheld.
    pub high: f64,
    /// `bca`, `percentile`, `bootstrap-t`, `jackknife` or `wilson`, and behind a colon why it isn't the one that was asked
    /// for.
    pub method: String,
    /// Why there are no bounds.
    pub withheld: Option<String>,
}

impl Interval {
    fn of(value: f64, [low, high]: [f64; 2], method: &str) -> Interval {
        Interval { value, low, high, method: method.to_owned(), withheld: None }
    }

    /// Without bounds, and why.
    pub fn withheld(value: f64, why: impl Into<String>) -> Interval {
        Interval { value, low: f64::NAN, high: f64::NAN, method: "none".into(), withheld: Some(why.into()) }
    }
}

/// All that an interval can be made from.
pub struct Evidence<'a> {
    #[expect(missing_docs, reason = "the name says it")]
    pub value: f64,
    /// The standard error of the value; NaN where only leaving out clusters can tell.
    pub error: f64,
    /// The value in each resample, NaN where it isn't defined there.
    pub replicates: &'a dyn Fn() -> Vec<f64>,
    /// The standard error in each resample; NaN where it isn't known.
    pub errors: &'a dyn Fn() -> Vec<f64>,
    /// The value without each of the clusters.
    pub left_out: &'a dyn Fn() -> Vec<f64>,
    /// Rows of what is left out each time.
    pub sizes: &'a [f64],
    /// Degrees of freedom of what leaving out clusters tells.
    pub degrees_of_freedom: f64,
    /// Variance of the value that leaving out clusters doesn't see.
    pub unseen_variance: f64,
    /// The metric.
    pub info: &'a MetricInfo,
}

impl Evidence<'_> {
    /// Bounds by the method.
    pub fn interval(&self, method: IntervalMethod) -> Interval {
        let (value, range) = (self.value, self.info.range);
        if value.is_nan() {
            return Interval::withheld(value, "the value is not defined");
        }
        match method {
            IntervalMethod::Bca => bca(value, (self.replicates)(), &(self.left_out)()),
            IntervalMethod::Percentile => percentile(value, (self.replicates)()),
            IntervalMethod::BootstrapT => bootstrap_t(value, self.error, &(self.replicates)(), &(self.errors)(), range),
            IntervalMethod::Jackknife => match self.info.aggregate {
                // Nothing varies; a cluster counts as one row. With all answers right, weighted F1 is the accuracy.
                Aggregate::Rate(_) if value == 0.0 || value == 1.0 => wilson(value, effective(self.sizes)),
                Aggregate::Whole if value == 1.0 && self.info.key == "weighted_f1" => {
                    wilson(value, effective(self.sizes))
                }
                _ => {
                    let error = jackknife_error(&(self.left_out)(), self.sizes).hypot(self.unseen_variance.sqrt());
                    t_interval(value, error, range, self.degrees_of_freedom)
                }
            },
        }
    }
}

/// Bounds from leaving out one cluster at a time (Tukey 1958; Efron and Stein 1981), by Student's t on the scale of the
/// metric's range.
///
/// The variance is the jackknife's, or if that is larger the one that all clusters together suggest for clusters of
/// these `sizes` (in rows): what a cluster with a third of the rows adds is one draw, from which its variance can't be
/// told. Degrees of freedom are one less than the effective number of clusters (Kish 1965).
pub fn jackknife(value: f64, left_out: &[f64], sizes: &[f64], range: Range) -> Interval {
    t_interval(value, jackknife_error(left_out, sizes), range, degrees_of_freedom(sizes))
}

/// Bounds by Student's t on the scale of the metric's range, from a standard error on the metric's own.
pub fn t_interval(value: f64, error: f64, range: Range, degrees_of_freedom: f64) -> Interval {
    let Ok(t) = StudentsT::new(0.0, 1.0, degrees_of_freedom) else {
        return Interval::withheld(value, "there is nothing but one cluster");
    };
    if error.is_nan() {
        return Interval::withheld(value, "not defined without one of the clusters");
    }
    let half = t.inverse_cdf((1.0 + CONFIDENCE) / 2.0) * error * range.slope(value);
    if error == 0.0 || !half.is_finite() {
        return Interval::withheld(value, "nothing varies between its rows");
    }
    let centre = range.scaled(value);
    Interval::of(value, [centre - half, centre + half].map(|bound| range.unscaled(bound)), "jackknife")
}

/// The standard error behind [`jackknife`], on the metric's own scale; NaN where a value is.
pub fn jackknife_error(left_out: &[f64], sizes: &[f64]) -> f64 {
    let (left_out, sizes): (Vec<f64>, Vec<f64>) =
        left_out.iter().zip(sizes).filter(|(_, size)| **size > 0.0).map(|(value, size)| (*value, *size)).unzip();
    let clusters = left_out.len() as f64;
    let mean = left_out.iter().sum::<f64>() / clusters;
    let deviations: Vec<f64> = left_out.iter().map(|value| value - mean).collect();
    let squares = deviations.iter().map(|deviation| deviation * deviation).sum::<f64>();
    ((clusters - 1.0) / clusters * squares.max(modelled_squares(&deviations, &sizes))).sqrt()
}

/// To how many clusters of equal size these are equivalent: (Σ rows)² / Σ rows² (Kish 1965).
pub fn effective(sizes: &[f64]) -> f64 {
    sizes.iter().sum::<f64>().powi(2) / sizes.iter().map(|size| size * size).sum::<f64>()
}

/// Whether few of many clusters have most of the rows.
pub fn is_uneven(sizes: &[f64]) -> bool {
    let (effective, clusters) = (effective(sizes), sizes.iter().filter(|size| **size > 0.0).count());
    effective < 30.0 && effective < 0.5 * clusters as f64
}

/// One less than the effective number of clusters. Where few clusters have most of the rows, half of it: then the variance is
/// hardly known better than that of a few draws (chosen by simulation).
pub fn degrees_of_freedom(sizes: &[f64]) -> f64 {
    if is_uneven(sizes) { effective(sizes) / 2.0 } else { effective(sizes) - 1.0 }
}

/// The sum of squared deviations to be expected of clusters of these sizes, if that of n rows adds a n + b n² to the
/// variance of a sum: rows vary by themselves and with their cluster. By weighted least squares, neither below 0.
fn modelled_squares(deviations: &[f64], sizes: &[f64]) -> f64 {
    let rows: f64 = sizes.iter().sum();
    // Without a cluster, the others have to make up for its share.
    let share_kept = |size: f64| 1.0 - size / rows;
    let (mut n2, mut n3, mut n4, mut first, mut second) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (deviation, size) in deviations.iter().zip(sizes) {
        let square = (deviation * share_kept(*size)).powi(2);
        // The weights are size⁻³: between those of the two kinds of variation.
        n2 += size.recip();
        n3 += 1.0;
        n4 += size;
        first += square / (size * size);
        second += square / size;
    }
    let determinant = n2 * n4 - n3 * n3;
    let (alone, together) = ((first * n4 - second * n3) / determinant, (second * n2 - first * n3) / determinant);
    let (alone, together) = match () {
        // All sizes alike: either explains all.
        () if determinant < 1e-9 * n2 * n4 || together < 0.0 => (first / n2, 0.0),
        () if alone < 0.0 => (0.0, second / n4),
        () => (alone, together),
    };
    let of = |size: &f64| (alone * size + together * size * size) / share_kept(*size).powi(2);
    sizes.iter().map(of).sum()
}

/// Symmetric studentised bounds (Hall 1988): a resample says by how many of its own standard errors it is off, on the scale
/// of the metric's range.
pub fn bootstrap_t(value: f64, error: f64, replicates: &[f64], errors: &[f64], range: Range) -> Interval {
    let centre = range.scaled(value);
    if error == 0.0 || !centre.is_finite() {
        return Interval::withheld(value, "nothing varies between its rows");
    }
    let off = |(replicate, error): (&f64, &f64)| {
        let off = (range.scaled(*replicate) - centre).abs() / (error * range.slope(*replicate));
        if off.is_nan() { f64::INFINITY } else { off }
    };
    let mut off: Vec<f64> =
        replicates.iter().zip(errors).filter(|(replicate, _)| !replicate.is_nan()).map(off).collect();
    off.sort_unstable_by(f64::total_cmp);
    let half = quantile(&off, CONFIDENCE) * error * range.slope(value);
    if !half.is_finite() {
        return Interval::withheld(value, "too many resamples don’t vary");
    }
    Interval::of(value, [centre - half, centre + half].map(|bound| range.unscaled(bound)), "bootstrap-t")
}

/// The quantiles of the resamples.
pub fn percentile(value: f64, replicates: Vec<f64>) -> Interval {
    let sorted = sorted(replicates);
    match (sorted.first(), sorted.last()) {
        (Some(first), Some(last)) if first < last => {
            let levels = [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0];
            Interval::of(value, levels.map(|level| quantile(&sorted, level)), "percentile")
        }
        (None, _) => Interval::withheld(value, "not defined in any resample"),
        _ => Interval::withheld(value, "nothing varies between its rows"),
    }
}

/// Ascending, without NaN: resamples in which the statistic isn't defined say nothing.
fn sorted(mut replicates: Vec<f64>) -> Vec<f64> {
    replicates.retain(|replicate| !replicate.is_nan());
    replicates.sort_unstable_by(f64::total_cmp);
    replicates
}

/// Bias-corrected and accelerated bounds (Efron 1987), as `scipy.stats.bootstrap(method="BCa")` makes them.
///
/// `replicates` and `left_out` may hold NaN. Where BCa isn't defined the bounds are percentiles, and `method` says why.
pub fn bca(value: f64, replicates: Vec<f64>, left_out: &[f64]) -> Interval {
    let replicates = sorted(replicates);
    match bca_levels(value, &replicates, left_out) {
        Ok(levels) => Interval::of(value, levels.map(|level| quantile(&replicates, level)), "bca"),
        Err(reason) => match percentile(value, replicates) {
            Interval { withheld: None, low, high, .. } => {
                Interval::of(value, [low, high], &format!("percentile: {reason}"))
            }
            withheld => withheld,
        },
    }
}

/// The shares of the resamples that lie below the bounds.
fn bca_levels(value: f64, sorted: &[f64], left_out: &[f64]) -> Result<[f64; 2], &'static str> {
    let below = sorted.partition_point(|replicate| *replicate < value);
    let up_to = sorted.partition_point(|replicate| *replicate <= value);
    if sorted.first() == sorted.last() {
        return Err("all resamples are equal");
    }
    let share = (below + up_to) as f64 / (2 * sorted.len()) as f64;
    if share == 0.0 || share == 1.0 {
        return Err("the value lies outside of all resamples");
    }
    if left_out.iter().any(|value| value.is_nan()) {
        return Err("not defined without one of the clusters");
    }
    let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
    let power = |exponent| left_out.iter().map(|value| (mean - value).powi(exponent)).sum::<f64>();
    let spread = power(2).powf(1.5);
    let acceleration = if spread > 0.0 { power(3) / (6.0 * spread) } else { 0.0 };
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share);
    let level = |tail: f64| {
        let z = bias + normal.inverse_cdf(tail);
        normal.cdf(bias + z / (1.0 - acceleration * z))
    };
    let levels = [level((1.0 - CONFIDENCE) / 2.0), level((1.0 + CONFIDENCE) / 2.0)];
    if levels[0] < levels[1] { Ok(levels) } else { Err("one cluster decides the value") }
}

/// Wilson's interval (1927) for `rate` over `n` rows. `n` may be an effective number: rows over the design effect.
pub fn wilson(rate: f64, n: f64) -> Interval {
    let z = Normal::standard().inverse_cdf((1.0 + CONFIDENCE) / 2.0);
    let centre = rate + z * z / (2.0 * n);
    let half = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    let shrink = 1.0 + z * z / n;
    let bounds = [((centre - half) / shrink).clamp(0.0, rate), ((centre + half) / shrink).clamp(rate, 1.0)];
    Interval::of(rate, bounds, "wilson")
}

/// The quantile `q` in 0..=1 of ascending values, interpolated between neighbours as `numpy.percentile` does by
/// default; NaN of nothing.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = last as f64 * q;
    let below = position.floor() as usize;
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    let share = position - below as f64;
    // from the nearer neighbour, as numpy: it keeps the result monotone in q
    if share < 0.5 { a + (b - a) * share } else { b - (b - a) * (1.0 - share) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bca_cannot_do_is_named() {
        let spread = || (0..100).map(f64::from).collect::<Vec<f64>>();
        for (value, replicates, left_out, method, withheld) in [
            (1.0, vec![], vec![], "none", Some("not defined in any resample")),
            (1.0, vec![f64::NAN; 3], vec![], "none", Some("not defined in any resample")),
            (1.0, vec![1.0; 9], vec![1.0; 3], "none", Some("nothing varies between its rows")),
            (200.0, spread(), vec![1.0, 2.0], "percentile: the value lies outside of all resamples", None),
            (50.0, spread(), vec![1.0, f64::NAN], "percentile: not defined without one of the clusters", None),
            (50.0, spread(), vec![1.0, 2.0, 1.5], "bca", None),
        ] {
            let interval = bca(value, replicates, &left_out);
            assert_eq!((interval.method.as_str(), interval.withheld.as_deref()), (method, withheld));
            assert_eq!(interval.low.is_nan(), withheld.is_some());
            assert!(interval.low.is_nan() || interval.low <= interval.high);
        }
    }

    #[test]
    fn a_rate_of_nothing_has_room_above() {
        let interval = wilson(0.0, 20.0);
        assert_eq!((interval.value, interval.low), (0.0, 0.0));
        assert!((0.1..0.2).contains(&interval.high));
    }
}
