//! Metrics of label tasks, from one table of counts.
//!
//! Strict: an answer that is none of the task's labels is wrong, never dropped. It stands in a column of its own,
//! takes recall from its true label and precision from nobody. Averages are over the labels the task configures,
//! as `f1_score(labels=configured, zero_division=0)` of scikit-learn 1.9.1, but for balanced accuracy, which is the mean
//! recall of the labels that stand in the references; MCC and kappa see the invalid answer
//! as one more class.

use crate::prediction::Finish;
use crate::scores::Confusion;
use crate::task::Task;

/// A metric of counts.
pub type CountMetric = fn(&Counts) -> f64;

/// What is computed by key, in the order in which `scores.json` has it.
pub const METRICS: [(&str, CountMetric); 9] = [
    ("accuracy", accuracy),
    ("balanced_accuracy", balanced_accuracy),
    ("macro_f1", macro_f1),
    ("macro_f1_present", macro_f1_present),
    ("micro_f1", micro_f1),
    ("weighted_f1", weighted_f1),
    ("mcc", mcc),
    ("kappa", kappa),
    ("invalid_rate", invalid_rate),
];

/// The label an output is, as an index into the task's labels; `None` for an invalid, failed or missing answer.
pub fn answer(task: &Task, output: &str, finish: Finish) -> Option<usize> {
    match finish {
        Finish::Invalid | Finish::Error | Finish::Missing => None,
        Finish::Stop | Finish::Length | Finish::Loop | Finish::Unknown => {
            task.labels.iter().position(|label| label == output)
        }
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

    /// How many labels there are.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// Counts an answer `weight` times; an `answer` of `None` is invalid.
    pub fn add(&mut self, reference: usize, answer: Option<usize>, weight: u64) {
        self.counts[reference * (self.labels + 1) + answer.unwrap_or(self.labels)] += weight;
    }

    fn row(&self, label: usize) -> &[u64] {
        &self.counts[label * (self.labels + 1)..][..self.labels + 1]
    }

    /// What metrics are computed from; `None` for an empty table.
    pub fn counts(&self) -> Option<Counts> {
        let tallies = (0..self.labels).map(|label| Tally {
            label: label as u16,
            hits: self.row(label)[label],
            support: self.row(label).iter().sum(),
            answered: (0..self.labels).map(|reference| self.row(reference)[label]).sum(),
        });
        let invalid = (0..self.labels).map(|label| self.row(label)[self.labels]).sum();
        let part = Part { tallies: tallies.collect(), invalid };
        let occurring = part.tallies.iter().filter(|tally| tally.support > 0).count();
        let mut counts = Counts::none(self.labels, occurring);
        counts.add(&part, 1);
        counts.settle();
        (counts.n > 0).then_some(counts)
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

/// A part of the data, counted: only labels that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Part {
    tallies: Vec<Tally>,
    invalid: u64,
}

/// What a label adds to [`Counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tally {
    label: u16,
    hits: u64,
    support: u64,
    answered: u64,
}

impl Part {
    /// Counts an answer; `None` is invalid.
    pub fn add(&mut self, reference: u16, answer: Option<u16>) {
        let hit = u64::from(answer == Some(reference));
        let tally = self.tally(reference);
        tally.support += 1;
        tally.hits += hit;
        match answer {
            Some(answer) => self.tally(answer).answered += 1,
            None => self.invalid += 1,
        }
    }

    /// Ascending by label, so that parts with the same counts are equal.
    fn tally(&mut self, label: u16) -> &mut Tally {
        let at = self.tallies.binary_search_by_key(&label, |tally| tally.label).unwrap_or_else(|at| {
            self.tallies.insert(at, Tally { label, hits: 0, support: 0, answered: 0 });
            at
        });
        &mut self.tallies[at]
    }
}

/// All that the metrics of a label task depend on.
///
/// Where the counts don't define a metric it is 0: the F1 of a label that neither stands in the references nor is answered, MCC when
/// all references or all answers are one class, and kappa when both are the same one class (scikit-learn's is NaN
/// there). Agreement beyond chance was not shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Right answers by label: `[labels]`.
    hits: Vec<u64>,
    /// Rows by reference label: `[labels]`.
    pub support: Vec<u64>,
    /// Valid answers by label: `[labels]`.
    pub answered: Vec<u64>,
    /// Rows with an invalid answer.
    pub invalid: u64,
    /// All rows.
    pub n: u64,
    /// Right answers.
    pub right: u64,
    /// Labels that occur in the references of all the data, of which this may be a resample.
    pub occurring: usize,
    f1: Vec<f64>,
}

impl Counts {
    /// Nothing counted yet of data whose references have `occurring` of the labels.
    pub fn none(labels: usize, occurring: usize) -> Counts {
        let zeros = vec![0; labels];
        Counts {
            hits: zeros.clone(),
            support: zeros.clone(),
            answered: zeros,
            invalid: 0,
            n: 0,
            right: 0,
            occurring,
            f1: vec![0.0; labels],
        }
    }

    /// Counts a part so many times; [`Counts::settle`] comes after all of them.
    pub fn add(&mut self, part: &Part, times: u64) {
        for tally in &part.tallies {
            let label = usize::from(tally.label);
            self.hits[label] += times * tally.hits;
            self.support[label] += times * tally.support;
            self.answered[label] += times * tally.answered;
            self.n += times * tally.support;
            self.right += times * tally.hits;
        }
        self.invalid += times * part.invalid;
    }

    /// Computes what several metrics share.
    pub fn settle(&mut self) {
        for label in 0..self.f1.len() {
            self.settle_label(label);
        }
    }

    fn settle_label(&mut self, label: usize) {
        self.f1[label] = ratio(2 * self.hits[label], self.support[label] + self.answered[label]);
    }

    /// What `compute` says without one of the parts that were added.
    pub fn without<T>(&mut self, part: &Part, compute: impl FnOnce(&Counts) -> T) -> T {
        for tally in &part.tallies {
            let label = usize::from(tally.label);
            self.hits[label] -= tally.hits;
            self.support[label] -= tally.support;
            self.answered[label] -= tally.answered;
            self.n -= tally.support;
            self.right -= tally.hits;
            self.settle_label(label);
        }
        self.invalid -= part.invalid;
        let computed = compute(self);
        self.add(part, 1);
        part.tallies.iter().for_each(|tally| self.settle_label(tally.label.into()));
        computed
    }

    /// Both together, settled.
    pub fn with(&self, other: &Counts) -> Counts {
        let add = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        let mut sum = Counts {
            hits: add(&self.hits, &other.hits),
            support: add(&self.support, &other.support),
            answered: add(&self.answered, &other.answered),
            invalid: self.invalid + other.invalid,
            n: self.n + other.n,
            right: self.right + other.right,
            occurring: self.occurring,
            f1: self.f1.clone(),
        };
        sum.settle();
        sum
    }

    /// Precision, recall and F1 of a label.
    pub fn of_label(&self, label: usize) -> [f64; 3] {
        let hits = self.hits[label];
        [ratio(hits, self.answered[label]), ratio(hits, self.support[label]), self.f1[label]]
    }

    /// What a metric is by convention, where the counts don't define it.
    pub fn note(&self, metric: &str) -> Option<String> {
        let support = &self.support;
        let answered = [self.answered.as_slice(), &[self.invalid]].concat();
        let one = |counts: &[u64]| counts.iter().filter(|count| **count > 0).count() == 1;
        match metric {
            "mcc" if one(support) => Some("0 by convention: all references are one label".into()),
            "mcc" if one(&answered) => Some("0 by convention: all answers are alike".into()),
            "kappa" if one(support) && one(&answered) && self.right > 0 => {
                Some("0 by convention: references and answers are all one label".into())
            }
            "macro_f1" => {
                let absent = support.len() - self.occurring;
                (absent > 0).then(|| format!("{absent} of {} labels don’t occur; their F1 counts as 0", support.len()))
            }
            "macro_f1_present" => {
                let absent = support.len() - self.occurring;
                (absent > 0).then(|| format!("over the {} labels that occur", self.occurring))
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
    let recalls: Vec<f64> = present.map(|label| ratio(counts.hits[label], counts.support[label])).collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// The mean F1 of all labels.
pub fn macro_f1(counts: &Counts) -> f64 {
    counts.f1.iter().sum::<f64>() / counts.f1.len() as f64
}

/// The mean F1 of the labels that occur in the references; that of any other is 0.
fn macro_f1_present(counts: &Counts) -> f64 {
    counts.f1.iter().sum::<f64>() / counts.occurring as f64
}

fn micro_f1(counts: &Counts) -> f64 {
    ratio(2 * counts.right, 2 * counts.n - counts.invalid)
}

fn weighted_f1(counts: &Counts) -> f64 {
    let weighted = counts.support.iter().zip(&counts.f1).map(|(support, f1)| *support as f64 * f1);
    weighted.sum::<f64>() / counts.n as f64
}

/// Matthews' correlation for many classes: R_K of Gorodkin 2004.
fn mcc(counts: &Counts) -> f64 {
    let n = counts.n;
    let squares = |sums: &[u64]| sums.iter().map(|sum| sum * sum).sum::<u64>();
    let answered = squares(&counts.answered) + counts.invalid * counts.invalid;
    let spread = (n * n - squares(&counts.support)) as f64 * (n * n - answered) as f64;
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
    ratio(counts.invalid, counts.n)
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
        assert_eq!(counts.of_label(0)[..2], [1.0, 0.5]);
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
