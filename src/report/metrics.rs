//! How metrics are printed. This is the only place that rounds a score.

use indexmap::IndexMap;

use crate::score::agreement::Scale;
use crate::score::metric::{METRICS, find};
use crate::scores::Metric;

/// A task's metrics in the order of the table of metrics; what is not in it comes last.
pub fn ordered(metrics: &IndexMap<String, Metric>) -> Vec<(&str, &Metric)> {
    let mut ordered: Vec<_> = metrics.iter().map(|(key, metric)| (key.as_str(), metric)).collect();
    ordered.sort_by_key(|(key, _)| METRICS.iter().position(|info| info.key == *key).unwrap_or(METRICS.len()));
    ordered
}

/// What people rate.
const RATED: [(&str, &str); 3] = [
    ("faithful", "Faithful, 1 to 5 by people"),
    ("complete", "Complete, 1 to 5 by people"),
    ("fluent", "Fluent, 1 to 5 by people"),
];

/// A metric as papers write it; a key without such a name stands for itself.
pub fn name(key: &str) -> &str {
    let mut coefficients = [Scale::Nominal, Scale::Ordinal].into_iter().flat_map(Scale::coefficients);
    let coefficient = || coefficients.find(|coefficient| coefficient.key == key).map(|coefficient| coefficient.name);
    let rated = || RATED.iter().find(|(known, _)| *known == key).map(|(_, name)| *name);
    find(key).map(|info| info.name).or_else(coefficient).or_else(rated).unwrap_or(key)
}

/// Three decimals; a dash where the value is not defined.
pub fn decimal(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let rounded = (value * 1000.0).round() / 1000.0 + 0.0; // + 0.0 makes −0 a 0
    format!("{rounded:.3}")
}

/// `low – high`, or that the interval is withheld.
pub fn interval(metric: &Metric) -> String {
    range(metric.low, metric.high)
}

/// An interval in a sentence.
pub fn in_words(metric: &Metric) -> String {
    format!("95\u{a0}% interval {}", interval(metric))
}

/// As [`interval`], of bounds.
pub fn range(low: f64, high: f64) -> String {
    bounds(low, high).map_or_else(|| "withheld".to_owned(), |[low, high]| format!("{low} – {high}"))
}

/// Both bounds; `None` where they are withheld.
pub fn bounds(low: f64, high: f64) -> Option<[String; 2]> {
    (low.is_finite() && high.is_finite()).then(|| [low, high].map(decimal))
}

/// A count with thousands separators.
pub fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 answer`, `1,200 answers`.
pub fn counted(value: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// A share as whole per cent; number and sign stay on one line.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 1.0 => "<1\u{a0}%".into(),
        percent => format!("{percent:.0}\u{a0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> Metric {
        Metric {
            value: 0.5,
            low: 0.4,
            high: 0.6,
            n: 10,
            clusters: 10,
            method: "percentile".into(),
            withheld: None,
            bootstrap: None,
            note: None,
        }
    }

    #[test]
    fn metrics_are_printed_in_the_tables_order_and_unknown_ones_last() {
        let metrics: IndexMap<_, _> =
            ["zeta", "brier", "macro_f1", "accuracy"].map(|key| (key.to_owned(), metric())).into_iter().collect();
        let keys: Vec<_> = ordered(&metrics).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["accuracy", "macro_f1", "brier", "zeta"]);
    }

    #[test]
    fn numbers_are_rounded_for_the_eye() {
        assert_eq!(decimal(0.41249), "0.412");
        assert_eq!(decimal(-0.0001), "0.000");
        assert_eq!(decimal(f64::NAN), "–");
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.004, 0.5, 1.0].map(percent),
            ["0", "<1", "50", "100"].map(|percent| format!("{percent}\u{a0}%"))
        );
        assert_eq!(counted(1, "answer"), "1 answer");
        assert_eq!([range(0.1, 0.25), range(f64::NAN, f64::NAN)], ["0.100 – 0.250", "withheld"]);
    }
}
