//! Bounds of a number: from its resamples, or for a rate from the counts.

use statrs::distribution::{ContinuousCDF, Normal};

/// The confidence level of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// A number and its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// What the data give, not resampled.
    pub value: f64,
    /// NaN where there is no bound.
    pub low: f64,
    /// NaN where there is no bound.
    pub high: f64,
    /// `bca`, `wilson`, or another method and the reason for it.
    pub method: String,
}

/// Bias-corrected and accelerated bounds (Efron 1987), as `scipy.stats.bootstrap(method="BCa")` makes them.
///
/// `replicates` and `jackknife` may hold NaN: resamples in which the statistic isn't defined say nothing. Where BCa
/// isn't defined the bounds are percentiles, and `method` says why.
pub fn bca(value: f64, replicates: Vec<f64>, jackknife: &[f64]) -> Interval {
    let mut sorted = replicates;
    sorted.retain(|replicate| !replicate.is_nan());
    sorted.sort_unstable_by(f64::total_cmp);
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return Interval { value, low: f64::NAN, high: f64::NAN, method: "none: not defined in any resample".into() };
    };
    if first == last {
        let (low, high) = (value.min(*first), value.max(*last));
        return Interval { value, low, high, method: "percentile: all resamples are equal".into() };
    }
    let (alphas, method) = match bca_levels(value, &sorted, jackknife) {
        Ok(levels) => (levels, "bca".to_owned()),
        Err(reason) => ([(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0], format!("percentile: {reason}")),
    };
    let [low, high] = alphas.map(|alpha| percentile(&sorted, alpha));
    Interval { value, low, high, method }
}

/// The shares of the resamples that lie below the bounds.
fn bca_levels(value: f64, sorted: &[f64], jackknife: &[f64]) -> Result<[f64; 2], &'static str> {
    let below = sorted.partition_point(|replicate| *replicate < value);
    let up_to = sorted.partition_point(|replicate| *replicate <= value);
    let share = (below + up_to) as f64 / (2 * sorted.len()) as f64;
    if share == 0.0 || share == 1.0 {
        return Err("the value lies outside of all resamples");
    }
    if jackknife.iter().any(|value| value.is_nan()) {
        return Err("not defined without one of the clusters");
    }
    let mean = jackknife.iter().sum::<f64>() / jackknife.len() as f64;
    let power = |exponent| jackknife.iter().map(|value| (mean - value).powi(exponent)).sum::<f64>();
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
    Interval {
        value: rate,
        low: ((centre - half) / shrink).clamp(0.0, rate),
        high: ((centre + half) / shrink).clamp(rate, 1.0),
        method: "wilson".into(),
    }
}

/// The quantile `q` in 0..=1 of ascending values, interpolated between neighbours as `numpy.percentile` does by
/// default; NaN of nothing.
pub fn percentile(sorted: &[f64], q: f64) -> f64 {
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
        for (value, replicates, jackknife, method) in [
            (1.0, vec![], vec![], "none: not defined in any resample"),
            (1.0, vec![f64::NAN; 3], vec![], "none: not defined in any resample"),
            (1.0, vec![1.0; 9], vec![1.0; 3], "percentile: all resamples are equal"),
            (200.0, spread(), vec![1.0, 2.0], "percentile: the value lies outside of all resamples"),
            (50.0, spread(), vec![1.0, f64::NAN], "percentile: not defined without one of the clusters"),
            (50.0, spread(), vec![1.0, 2.0, 1.5], "bca"),
        ] {
            let interval = bca(value, replicates, &jackknife);
            assert_eq!(interval.method, method);
            assert!(interval.low.is_nan() || interval.low <= interval.high);
        }
        assert_eq!(bca(1.0, vec![1.0; 9], &[1.0; 3]).low, 1.0);
    }

    #[test]
    fn a_rate_of_nothing_has_room_above() {
        let interval = wilson(0.0, 20.0);
        assert_eq!((interval.value, interval.low), (0.0, 0.0));
        assert!((0.1..0.2).contains(&interval.high));
    }
}
