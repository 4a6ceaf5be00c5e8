//! How what metrics say of texts goes with what people say of them.

use indexmap::IndexMap;

use super::metric;
use super::read::{FLAGS, RatedTask};
use super::units::Units;
use crate::annotation::SCALES;
use crate::config::ScoreSettings;
use crate::score::interval::{Interval, jackknife};
use crate::score::metric::{METRICS, Range};
use crate::scores::Metric;

/// With fewer rated texts than this there is no correlation.
const TEXTS: usize = 10;

/// By metric key, by scale: Spearman's rank correlation of the metric with the mean of the ratings.
pub(super) fn correlations(task: &RatedTask, settings: &ScoreSettings) -> IndexMap<String, IndexMap<String, Metric>> {
    let of_scale = |key: &str| -> IndexMap<String, Metric> {
        let scales =
            SCALES.iter().filter_map(|scale| Some(((*scale).to_owned(), correlation(task, key, scale, settings)?)));
        scales.collect()
    };
    keys().map(|key| (key.to_owned(), of_scale(key))).filter(|(_, scales)| !scales.is_empty()).collect()
}

/// The metrics that stand beside answers, how long a text is, and whether it states what its Reel doesn't.
fn keys() -> impl Iterator<Item = &'static str> {
    let beside = METRICS.iter().filter(|info| info.beside_answers).map(|info| info.key);
    beside.chain(["words", "unsupported_rate", FLAGS])
}

/// `None` where no text has both.
fn correlation(task: &RatedTask, key: &str, scale: &str, settings: &ScoreSettings) -> Option<Metric> {
    let mut rows = Vec::new();
    let mut pairs = Vec::new();
    for (reel, text) in task.texts() {
        if let (Some(value), Some(rating)) = (text.values.get(key), text.mean(scale)) {
            rows.push((reel, text.account.as_deref()));
            pairs.push([*value, rating]);
        }
    }
    let units = Units::of(rows.into_iter());
    let few =
        (pairs.len() < TEXTS).then(|| format!("{} rated texts; a correlation takes at least {TEXTS}", pairs.len()));
    let interval = match few {
        _ if pairs.is_empty() => return None,
        Some(why) => Interval::withheld(f64::NAN, why),
        None => interval(&pairs, &units, settings),
    };
    Some(metric(interval, pairs.len(), units.count))
}

/// From leaving out one account at a time, on the scale of Fisher's z.
fn interval(pairs: &[[f64; 2]], units: &Units, settings: &ScoreSettings) -> Interval {
    let rho = spearman(pairs);
    if rho.is_nan() {
        return Interval::withheld(rho, "not defined: all texts are alike in one of the two");
    }
    if rho.abs() == 1.0 {
        return Interval::withheld(rho, "nothing varies: both put the texts in one order");
    }
    if let Some(why) = units.withheld() {
        return Interval::withheld(rho, why);
    }
    let (left_out, sizes) = units.left_out(1, settings, |is_kept, value| {
        let kept: Vec<[f64; 2]> =
            pairs.iter().enumerate().filter(|(row, _)| is_kept(*row)).map(|(_, pair)| *pair).collect();
        value[0] = spearman(&kept);
    });
    jackknife(rho, &left_out.column(0), &sizes, Range::Signed)
}

/// Spearman's rank correlation (1904), equal values sharing their ranks; NaN where all values of one kind are equal.
pub(super) fn spearman(pairs: &[[f64; 2]]) -> f64 {
    let [a, b] = [0, 1].map(|of| deviations(&ranks(&pairs.iter().map(|pair| pair[of]).collect::<Vec<_>>())));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Ranks are halves of whole numbers, so that these sums are exact and equal orders give 1.
    (product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()).clamp(-1.0, 1.0)
}

/// From the mean of all ranks.
fn deviations(ranks: &[f64]) -> Vec<f64> {
    let mean = (ranks.len() as f64 + 1.0) / 2.0;
    ranks.iter().map(|rank| rank - mean).collect()
}

/// From 1; equal values have the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|at| ranks[*at] = rank);
        before += equal.len();
    }
    ranks
}
