//! Order, names and printed form of metrics. This is the only place that rounds a score.

use indexmap::IndexMap;

use crate::scores::Metric;

/// Printed first and in this order; any other metric follows in the order of `scores.json`.
const MAIN: [&str; 22] = [
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "rouge1_id",
    "rouge2_id",
    "rougeL_id",
    "rougeLsum_id",
    "rouge1_id_stem",
    "rouge2_id_stem",
    "rougeL_id_stem",
    "rougeLsum_id_stem",
    "chrf",
    "chrf_pp",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "micro_f1",
    "mcc",
    "kappa",
    "invalid_rate",
];

/// Stands for a task where there is room for one number: the first of these that it has.
const HEADLINE: [&str; 2] = ["rougeL", "macro_f1"];

/// A task's metrics, the main ones first.
pub fn ordered(metrics: &IndexMap<String, Metric>) -> Vec<(&str, &Metric)> {
    let mut ordered: Vec<_> = metrics.iter().map(|(key, metric)| (key.as_str(), metric)).collect();
    ordered.sort_by_key(|(key, _)| MAIN.iter().position(|main| main == key).unwrap_or(MAIN.len()));
    ordered
}

/// The one metric that stands for the task; `None` where nothing was scored.
pub fn headline(metrics: &IndexMap<String, Metric>) -> Option<(&str, &Metric)> {
    let ordered = ordered(metrics);
    HEADLINE.iter().find_map(|headline| ordered.iter().find(|(key, _)| key == headline)).or(ordered.first()).copied()
}

/// A metric as papers write it; a key without such a name stands for itself.
pub fn name(key: &str) -> &str {
    match key {
        "rouge1" => "ROUGE-1",
        "rouge2" => "ROUGE-2",
        "rougeL" => "ROUGE-L",
        "rougeLsum" => "ROUGE-Lsum",
        "rouge1_id" => "ROUGE-1 (id)",
        "rouge2_id" => "ROUGE-2 (id)",
        "rougeL_id" => "ROUGE-L (id)",
        "rougeLsum_id" => "ROUGE-Lsum (id)",
        "rouge1_id_stem" => "ROUGE-1 (id, stems)",
        "rouge2_id_stem" => "ROUGE-2 (id, stems)",
        "rougeL_id_stem" => "ROUGE-L (id, stems)",
        "rougeLsum_id_stem" => "ROUGE-Lsum (id, stems)",
        "chrf" => "chrF",
        "chrf_pp" => "chrF++",
        "words" => "Words",
        "compression" => "Compression",
        "novel_bigrams" => "Novel bigrams",
        "coverage" => "Extractive coverage",
        "density" => "Extractive density",
        "repetition" => "Repeated trigrams",
        "unsupported_rate" => "States what the Reel doesn’t",
        "accuracy" => "Accuracy",
        "balanced_accuracy" => "Balanced accuracy",
        "macro_f1" => "Macro F1",
        "micro_f1" => "Micro F1",
        "weighted_f1" => "Weighted F1",
        "mcc" => "MCC",
        "kappa" => "Cohen’s kappa",
        "invalid_rate" => "Invalid rate",
        "brier" => "Brier score",
        "log_loss" => "Log loss",
        "ece" => "ECE",
        "roc_auc" => "ROC AUC",
        "average_precision" => "Average precision",
        other => other,
    }
}

/// What a check of texts means.
pub fn explanation(key: &str) -> &'static str {
    match key {
        "words" => "words of an answer",
        "compression" => "its words over those of the Reel",
        "novel_bigrams" => "share of its pairs of words that the Reel doesn’t have",
        "coverage" => "share of its words that stand in stretches copied from the Reel",
        "density" => "mean length of the copied stretch a word stands in",
        "repetition" => "share of its triples of words that are said again",
        "unsupported_rate" => {
            "share of answers with a number, handle, tag or name that the Reel doesn’t have: to look at, not proof of an error"
        }
        _ => "",
    }
}

/// Three decimals; a dash where the value is not defined.
pub fn decimal(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let rounded = (value * 1000.0).round() / 1000.0 + 0.0; // + 0.0 makes −0 a 0
    format!("{rounded:.3}")
}

/// `low – high`.
pub fn interval(metric: &Metric) -> String {
    format!("{} – {}", decimal(metric.low), decimal(metric.high))
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
        Metric { value: 0.5, low: 0.4, high: 0.6, n: 10, clusters: 10, method: "percentile".into(), note: None }
    }

    #[test]
    fn main_metrics_come_first_and_others_keep_their_order() {
        let metrics: IndexMap<_, _> =
            ["zeta", "brier", "macro_f1", "accuracy"].map(|key| (key.to_owned(), metric())).into_iter().collect();
        let keys: Vec<_> = ordered(&metrics).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["accuracy", "macro_f1", "zeta", "brier"]);
        assert_eq!(headline(&metrics).unwrap().0, "macro_f1");
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
    }
}
