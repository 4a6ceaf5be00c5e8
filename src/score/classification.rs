//! Metrics of label tasks, from one table of counts.
//!
//! Strict: an answer that is none of the task's labels is wrong, never dropped. It stands in a column of its own,
//! takes recall from its true label and precision from nobody. Averages are over the labels the task configures,
//! as `f1_score(labels=configured, zero_division=0)` of scikit-learn 1.9.1, but for balanced accuracy, which is the mean
//! recall of the labels that stand in the references; MCC and kappa see the invalid answer
//! as one more class.

use crate::prediction::Finish;
use crate::scores::{ClassScores, Confusion};
use crate::task::Task;

/// Metric keys, in the order of [`CountTable::metrics`].
pub const METRICS: [&str; 8] =
    ["accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1", "mcc", "kappa", "invalid_rate"];

/// The label an output names, as an index into the task's labels; `None` for an invalid or failed answer.
pub fn answer(task: &Task, output: &str, finish: Finish) -> Option<usize> {
    match finish {
        Finish::Invalid | Finish::Error => None,
        Finish::Stop | Finish::Length => task.labels.iter().position(|label| label == output),
    }
}

/// Counts of reference label × answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountTable {
    labels: usize,
    /// `[labels][labels + 1]`, the last column for invalid answers.
    counts: Vec<u64>,
}

impl CountTable {
    /// An empty table.
    pub fn new(labels: usize) -> Self {
        Self { labels, counts: vec![0; labels * (labels + 1)] }
    }

    /// Counts an answer `weight` times; an `answer` of `None` is invalid.
    pub fn add(&mut self, reference: usize, answer: Option<usize>, weight: u64) {
        self.counts[reference * (self.labels + 1) + answer.unwrap_or(self.labels)] += weight;
    }

    fn row(&self, label: usize) -> &[u64] {
        &self.counts[label * (self.labels + 1)..][..self.labels + 1]
    }

    fn hits(&self, label: usize) -> u64 {
        self.row(label)[label]
    }

    /// Rows by reference label: `[labels]`.
    fn support(&self) -> Vec<u64> {
        (0..self.labels).map(|label| self.row(label).iter().sum()).collect()
    }

    /// Rows by answer: `[labels + 1]`.
    fn answered(&self) -> Vec<u64> {
        let mut answered = vec![0; self.labels + 1];
        for label in 0..self.labels {
            for (sum, count) in answered.iter_mut().zip(self.row(label)) {
                *sum += count;
            }
        }
        answered
    }

    /// In the order of [`METRICS`]; `None` for an empty table.
    ///
    /// What is undefined is 0: the F1 of a label that neither stands in the references nor is answered, MCC when
    /// all references or all answers are one class, and kappa when both are the same one class (scikit-learn's is
    /// NaN there). Agreement beyond chance was not shown.
    pub fn metrics(&self) -> Option<[f64; 8]> {
        let (support, answered) = (self.support(), self.answered());
        let n: u64 = support.iter().sum();
        if n == 0 {
            return None;
        }
        let hits: u64 = (0..self.labels).map(|label| self.hits(label)).sum();
        let invalid = answered[self.labels];
        let f1 = |label: usize| ratio(2 * self.hits(label), support[label] + answered[label]);
        let macro_f1 = (0..self.labels).map(f1).sum::<f64>() / self.labels as f64;
        let weighted_f1 = (0..self.labels).map(|label| support[label] as f64 * f1(label)).sum::<f64>() / n as f64;
        let present = (0..self.labels).filter(|label| support[*label] > 0);
        let recalls: Vec<f64> = present.map(|label| ratio(self.hits(label), support[label])).collect();
        Some([
            ratio(hits, n),
            recalls.iter().sum::<f64>() / recalls.len() as f64,
            macro_f1,
            ratio(2 * hits, 2 * n - invalid),
            weighted_f1,
            mcc(hits, &support, &answered),
            kappa(hits, &support, &answered),
            ratio(invalid, n),
        ])
    }

    /// Without the invalid answers.
    pub fn valid(&self) -> CountTable {
        let mut valid = self.clone();
        for label in 0..self.labels {
            valid.counts[label * (self.labels + 1) + self.labels] = 0;
        }
        valid
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows with an invalid answer.
    pub fn invalid(&self) -> u64 {
        self.answered()[self.labels]
    }

    /// What a metric is by convention, where the counts don't define it.
    pub fn note(&self, metric: &str) -> Option<String> {
        let (support, answered) = (self.support(), self.answered());
        let one = |counts: &[u64]| counts.iter().filter(|count| **count > 0).count() == 1;
        match metric {
            "mcc" if one(&support) => Some("0 by convention: all references are one label".into()),
            "mcc" if one(&answered) => Some("0 by convention: all answers are alike".into()),
            "kappa" if one(&support) && one(&answered) && self.hits(support.iter().position(|n| *n > 0)?) > 0 => {
                Some("0 by convention: references and answers are all one label".into())
            }
            "macro_f1" => {
                let absent = (0..self.labels).filter(|label| support[*label] + answered[*label] == 0).count();
                (absent > 0).then(|| {
                    format!("{absent} of {} labels neither occur nor are answered; their F1 counts as 0", self.labels)
                })
            }
            "balanced_accuracy" => {
                let absent = support.iter().filter(|count| **count == 0).count();
                (absent > 0).then(|| format!("over the {} labels that occur", self.labels - absent))
            }
            _ => None,
        }
    }

    /// By label, in the task's order.
    pub fn classes(&self) -> Vec<ClassScores> {
        let (support, answered) = (self.support(), self.answered());
        (0..self.labels)
            .map(|label| ClassScores {
                precision: ratio(self.hits(label), answered[label]),
                recall: ratio(self.hits(label), support[label]),
                f1: ratio(2 * self.hits(label), support[label] + answered[label]),
                support: support[label] as usize,
            })
            .collect()
    }

    /// The table as `scores.json` holds it.
    pub fn confusion(&self, labels: &[String]) -> Confusion {
        let counts = (0..self.labels).map(|label| self.row(label).iter().map(|count| *count as usize).collect());
        Confusion { labels: labels.to_vec(), counts: counts.collect() }
    }
}

/// 0 where nothing is counted.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Matthews' correlation for many classes: R_K of Gorodkin 2004.
fn mcc(hits: u64, support: &[u64], answered: &[u64]) -> f64 {
    let n: u64 = support.iter().sum();
    let squares = |counts: &[u64]| counts.iter().map(|count| count * count).sum::<u64>();
    let spread = (n * n - squares(support)) as f64 * (n * n - squares(answered)) as f64;
    let covariance = (hits * n) as f64 - by_chance(support, answered) as f64;
    if spread == 0.0 { 0.0 } else { covariance / spread.sqrt() }
}

/// Cohen 1960: one minus observed over expected disagreement.
fn kappa(hits: u64, support: &[u64], answered: &[u64]) -> f64 {
    let n: u64 = support.iter().sum();
    let expected = n * n - by_chance(support, answered);
    if expected == 0 { 0.0 } else { 1.0 - ((n - hits) * n) as f64 / expected as f64 }
}

/// n² times the agreement expected by chance.
fn by_chance(support: &[u64], answered: &[u64]) -> u64 {
    support.iter().zip(answered).map(|(s, a)| s * a).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(labels: usize, rows: &[(usize, Option<usize>)]) -> CountTable {
        let mut table = CountTable::new(labels);
        for (reference, answer) in rows {
            table.add(*reference, *answer, 1);
        }
        table
    }

    #[test]
    fn nothing_counted_is_nothing_scored() {
        assert_eq!(CountTable::new(3).metrics(), None);
    }

    #[test]
    fn an_invalid_answer_is_wrong_and_takes_nobodys_precision() {
        let table = table(2, &[(0, Some(0)), (0, None), (1, Some(1))]);
        assert_eq!(table.metrics().unwrap()[0], 2.0 / 3.0);
        assert_eq!((table.classes()[0].precision, table.classes()[0].recall), (1.0, 0.5));
        assert_eq!(table.confusion(&["a".into(), "b".into()]).counts, [[1, 0, 1], [0, 1, 0]]);
    }

    proptest! {
        #[test]
        fn metrics_are_bounded_and_never_nan(
            rows in prop::collection::vec((0usize..4, prop::option::of(0usize..4)), 1..60)
        ) {
            let metrics = table(4, &rows).metrics().unwrap();
            for (key, value) in METRICS.iter().zip(metrics) {
                let low = if ["mcc", "kappa"].contains(key) { -1.0 - 1e-12 } else { 0.0 };
                prop_assert!((low..=1.0 + 1e-12).contains(&value), "{} is {}", key, value);
            }
        }

        #[test]
        fn all_right_is_one(references in prop::collection::vec(0usize..3, 1..30)) {
            let rows: Vec<_> = references.iter().map(|label| (*label, Some(*label))).collect();
            let [accuracy, balanced, _, micro_f1, weighted_f1, _, _, invalid_rate] = table(3, &rows).metrics().unwrap();
            prop_assert_eq!([accuracy, balanced, micro_f1, weighted_f1, invalid_rate], [1.0, 1.0, 1.0, 1.0, 0.0]);
        }
    }
}
