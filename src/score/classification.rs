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

/// A metric of counts.
pub type CountMetric = fn(&Counts) -> f64;

/// What is computed by key, in the order in which `scores.json` has it.
pub const METRICS: [(&str, CountMetric); 8] = [
    ("accuracy", accuracy),
    ("balanced_accuracy", balanced_accuracy),
    ("macro_f1", macro_f1),
    ("micro_f1", micro_f1),
    ("weighted_f1", weighted_f1),
    ("mcc", mcc),
    ("kappa", kappa),
    ("invalid_rate", invalid_rate),
];

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

    /// With its sums; `None` for an empty table.
    pub fn counts(&self) -> Option<Counts<'_>> {
        let support: Vec<u64> = (0..self.labels).map(|label| self.row(label).iter().sum()).collect();
        let n = support.iter().sum();
        let right = (0..self.labels).map(|label| self.hits(label)).sum();
        (n > 0).then(|| Counts { table: self, answered: self.answered(), support, n, right })
    }

    /// Without the invalid answers.
    pub fn valid(&self) -> CountTable {
        let mut valid = self.clone();
        for label in 0..self.labels {
            valid.counts[label * (self.labels + 1) + self.labels] = 0;
        }
        valid
    }

    /// The table as `scores.json` holds it.
    pub fn confusion(&self, labels: &[String]) -> Confusion {
        let counts = (0..self.labels).map(|label| self.row(label).iter().map(|count| *count as usize).collect());
        Confusion { labels: labels.to_vec(), counts: counts.collect() }
    }
}

/// A count table and its sums.
///
/// Where the counts don't define a metric it is 0: the F1 of a label that neither stands in the references nor is answered, MCC when
/// all references or all answers are one class, and kappa when both are the same one class (scikit-learn's is NaN
/// there). Agreement beyond chance was not shown.
#[derive(Debug)]
pub struct Counts<'a> {
    table: &'a CountTable,
    /// Rows by reference label: `[labels]`.
    pub support: Vec<u64>,
    /// Rows by answer: `[labels + 1]`, the last for invalid ones.
    pub answered: Vec<u64>,
    /// All rows, at least one.
    pub n: u64,
    /// Right answers.
    pub right: u64,
}

impl Counts<'_> {
    /// Right answers among those of a label.
    pub fn hits(&self, label: usize) -> u64 {
        self.table.hits(label)
    }

    /// Rows with an invalid answer.
    pub fn invalid(&self) -> u64 {
        self.answered[self.support.len()]
    }

    /// F1 of a label.
    pub fn f1(&self, label: usize) -> f64 {
        ratio(2 * self.hits(label), self.support[label] + self.answered[label])
    }

    /// By label, in the task's order.
    pub fn classes(&self) -> Vec<ClassScores> {
        (0..self.support.len())
            .map(|label| ClassScores {
                precision: ratio(self.hits(label), self.answered[label]),
                recall: ratio(self.hits(label), self.support[label]),
                f1: self.f1(label),
                support: self.support[label] as usize,
            })
            .collect()
    }

    /// What a metric is by convention, where the counts don't define it.
    pub fn note(&self, metric: &str) -> Option<String> {
        let (support, answered) = (&self.support, &self.answered);
        let one = |counts: &[u64]| counts.iter().filter(|count| **count > 0).count() == 1;
        match metric {
            "mcc" if one(support) => Some("0 by convention: all references are one label".into()),
            "mcc" if one(answered) => Some("0 by convention: all answers are alike".into()),
            "kappa" if one(support) && one(answered) && self.hits(support.iter().position(|n| *n > 0)?) > 0 => {
                Some("0 by convention: references and answers are all one label".into())
            }
            "macro_f1" => {
                let absent = (0..self.support.len()).filter(|label| support[*label] + answered[*label] == 0).count();
                (absent > 0).then(|| {
                    format!("{absent} of {} labels neither occur nor are answered; their F1 counts as 0", support.len())
                })
            }
            "balanced_accuracy" => {
                let absent = support.iter().filter(|count| **count == 0).count();
                (absent > 0).then(|| format!("over the {} labels that occur", support.len() - absent))
            }
            _ => None,
        }
    }
}

/// The share of right answers.
pub fn accuracy(counts: &Counts) -> f64 {
    ratio(counts.right, counts.n)
}

fn balanced_accuracy(counts: &Counts) -> f64 {
    let present = (0..counts.support.len()).filter(|label| counts.support[*label] > 0);
    let recalls: Vec<f64> = present.map(|label| ratio(counts.hits(label), counts.support[label])).collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// The mean F1 of all labels.
pub fn macro_f1(counts: &Counts) -> f64 {
    let labels = counts.support.len();
    (0..labels).map(|label| counts.f1(label)).sum::<f64>() / labels as f64
}

fn micro_f1(counts: &Counts) -> f64 {
    ratio(2 * counts.right, 2 * counts.n - counts.invalid())
}

fn weighted_f1(counts: &Counts) -> f64 {
    let weighted = counts.support.iter().enumerate().map(|(label, support)| *support as f64 * counts.f1(label));
    weighted.sum::<f64>() / counts.n as f64
}

/// Matthews' correlation for many classes: R_K of Gorodkin 2004.
fn mcc(counts: &Counts) -> f64 {
    let n = counts.n;
    let squares = |sums: &[u64]| sums.iter().map(|sum| sum * sum).sum::<u64>();
    let spread = (n * n - squares(&counts.support)) as f64 * (n * n - squares(&counts.answered)) as f64;
    let covariance = (counts.right * n) as f64 - by_chance(counts) as f64;
    if spread == 0.0 { 0.0 } else { covariance / spread.sqrt() }
}

/// Cohen 1960: one minus observed over expected disagreement.
fn kappa(counts: &Counts) -> f64 {
    let n = counts.n;
    let expected = n * n - by_chance(counts);
    if expected == 0 { 0.0 } else { 1.0 - ((n - counts.right) * n) as f64 / expected as f64 }
}

/// n² times the agreement expected by chance.
fn by_chance(counts: &Counts) -> u64 {
    counts.support.iter().zip(&counts.answered).map(|(s, a)| s * a).sum()
}

fn invalid_rate(counts: &Counts) -> f64 {
    ratio(counts.invalid(), counts.n)
}

/// 0 where nothing is counted.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
        assert!(CountTable::new(3).counts().is_none());
    }

    #[test]
    fn an_invalid_answer_is_wrong_and_takes_nobodys_precision() {
        let table = table(2, &[(0, Some(0)), (0, None), (1, Some(1))]);
        let counts = table.counts().unwrap();
        assert_eq!(accuracy(&counts), 2.0 / 3.0);
        assert_eq!((counts.classes()[0].precision, counts.classes()[0].recall), (1.0, 0.5));
        assert_eq!(table.confusion(&["a".into(), "b".into()]).counts, [[1, 0, 1], [0, 1, 0]]);
    }

    proptest! {
        #[test]
        fn metrics_are_bounded_and_never_nan(
            rows in prop::collection::vec((0usize..4, prop::option::of(0usize..4)), 1..60)
        ) {
            let table = table(4, &rows);
            let counts = table.counts().unwrap();
            for (key, metric) in METRICS {
                let value = metric(&counts);
                let low = if ["mcc", "kappa"].contains(&key) { -1.0 - 1e-12 } else { 0.0 };
                prop_assert!((low..=1.0 + 1e-12).contains(&value), "{} is {}", key, value);
            }
        }

        #[test]
        fn all_right_is_one(references in prop::collection::vec(0usize..3, 1..30)) {
            let rows: Vec<_> = references.iter().map(|label| (*label, Some(*label))).collect();
            let table = table(3, &rows);
            let counts = table.counts().unwrap();
            let values = [accuracy, balanced_accuracy, micro_f1, weighted_f1, invalid_rate].map(|metric| metric(&counts));
            prop_assert_eq!(values, [1.0, 1.0, 1.0, 1.0, 0.0]);
        }
    }
}
