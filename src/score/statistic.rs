//! The metrics of a task as a function of the clusters' weights: all that resampling, leaving out and swapping need.

use super::classification::{self, CountTable};
use super::{calibration, rouge};
use crate::scores::Row;
use crate::task::{Task, TaskKind};

/// Sums that fit into one cache line: means come from a row of them a cluster.
const COLUMNS: usize = 8;

/// Some metrics of one task, computed together.
#[derive(Debug, Clone)]
pub struct Statistic {
    /// Metric keys, in the order of the values.
    pub keys: Vec<String>,
    /// Rows it is computed over.
    pub n: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Weighted means: each cluster's sums, its rows in the last column. `[clusters]`
    Means(Vec<[f64; COLUMNS]>),
    /// Metrics of a count table.
    Counts { labels: usize, rows: Vec<Counted> },
    /// Metrics of probabilities that aren't means of rows.
    Ranks(calibration::Ranks),
}

/// A row of a label task.
#[derive(Debug, Clone, Copy)]
struct Counted {
    cluster: u32,
    reference: u16,
    /// `None` if invalid.
    answer: Option<u16>,
}

/// What can be added up over clusters, with another run's too.
enum Sum {
    Means([f64; COLUMNS]),
    Counts(CountTable),
}

impl Statistic {
    /// The metrics of a task's scored rows; `cluster` numbers a row's cluster, of so many.
    ///
    /// # Panics
    /// If a row's reference is not among its task's labels or a text row has no ROUGE: rows come from [`super::rows`].
    pub fn of(task: &Task, rows: &[&Row], clusters: usize, cluster: impl Fn(&Row) -> usize) -> Vec<Statistic> {
        match task.kind {
            TaskKind::Text => {
                let values = |row: &Row| rouge::METRICS.map(|key| row.metrics[key]).to_vec();
                vec![Self::means(&rouge::METRICS, clusters, rows.iter().map(|row| (cluster(row), values(row))))]
            }
            TaskKind::Label => {
                let mut statistics = vec![Self::counts(task, rows, &cluster)];
                let judged = calibration::judged(task, rows);
                if !judged.is_empty() {
                    let judged: Vec<_> = judged.into_iter().map(|judged| (cluster(judged.row), judged)).collect();
                    let means = judged.iter().map(|(cluster, judged)| (*cluster, judged.means().to_vec()));
                    statistics.push(Self::means(&calibration::MEANS, clusters, means));
                    let ranks = calibration::Ranks::of(task, &judged);
                    let keys = calibration::rank_keys(task).iter().map(|key| (*key).to_owned()).collect();
                    statistics.push(Self { keys, n: judged.len(), kind: Kind::Ranks(ranks) });
                }
                statistics
            }
        }
    }

    fn means(keys: &[&str], clusters: usize, rows: impl Iterator<Item = (usize, Vec<f64>)>) -> Statistic {
        let mut sums = vec![[0.0; COLUMNS]; clusters];
        let mut n = 0;
        for (cluster, values) in rows {
            n += 1;
            for (sum, value) in sums[cluster].iter_mut().zip(values) {
                *sum += value;
            }
            sums[cluster][COLUMNS - 1] += 1.0;
        }
        Self { keys: keys.iter().map(|key| (*key).to_owned()).collect(), n, kind: Kind::Means(sums) }
    }

    fn counts(task: &Task, rows: &[&Row], cluster: &impl Fn(&Row) -> usize) -> Statistic {
        let counted = |row: &&Row| {
            let reference = task.labels.iter().position(|label| Some(label) == row.reference.as_ref());
            let reference = reference.expect("`rows` refuses references that are not among the labels");
            let answer = classification::answer(task, &row.output, row.finish).map(|answer| answer as u16);
            Counted { cluster: cluster(row) as u32, reference: reference as u16, answer }
        };
        let keys = classification::METRICS.map(str::to_owned).into();
        let kind = Kind::Counts { labels: task.labels.len(), rows: rows.iter().map(counted).collect() };
        Self { keys, n: rows.len(), kind }
    }

    /// Writes one value a key; NaN where a metric isn't defined.
    pub fn write(&self, weights: &[u16], values: &mut [f64]) {
        match &self.kind {
            Kind::Ranks(ranks) => ranks.write(weights, values),
            _ => self.zero().map_or((), |mut sum| {
                self.add_to(&mut sum, |cluster| weights[cluster]);
                finish(&sum, values);
            }),
        }
    }

    /// Whether [`Statistic::swapped`] can compute it.
    pub fn can_swap(&self) -> bool {
        !matches!(self.kind, Kind::Ranks(_))
    }

    /// The difference of each metric, first run minus second, after the two runs exchanged the chosen clusters.
    ///
    /// # Panics
    /// Unless both are made of the same task and clusters, and can swap.
    pub fn swapped(&self, other: &Statistic, chosen: &[u16], differences: &mut [f64]) {
        let mut second = vec![0.0; differences.len()];
        for (values, first, of) in [(&mut *differences, self, other), (&mut second, other, self)] {
            let mut sum = self.zero().expect("a statistic that can swap");
            first.add_to(&mut sum, |cluster| 1 - chosen[cluster]);
            of.add_to(&mut sum, |cluster| chosen[cluster]);
            finish(&sum, values);
        }
        for (difference, second) in differences.iter_mut().zip(second) {
            *difference -= second;
        }
    }

    /// The whole count table of a label task.
    pub fn table(&self) -> Option<CountTable> {
        let mut sum = self.zero()?;
        self.add_to(&mut sum, |_| 1);
        match sum {
            Sum::Counts(table) => Some(table),
            Sum::Means(_) => None,
        }
    }

    fn zero(&self) -> Option<Sum> {
        match &self.kind {
            Kind::Means(_) => Some(Sum::Means([0.0; COLUMNS])),
            Kind::Counts { labels, .. } => Some(Sum::Counts(CountTable::new(*labels))),
            Kind::Ranks(_) => None,
        }
    }

    fn add_to(&self, sum: &mut Sum, weight: impl Fn(usize) -> u16) {
        match (&self.kind, sum) {
            (Kind::Means(sums), Sum::Means(total)) => {
                for (cluster, sums) in sums.iter().enumerate() {
                    let weight = f64::from(weight(cluster));
                    for (total, sum) in total.iter_mut().zip(sums) {
                        *total += weight * sum;
                    }
                }
            }
            // One pass over the rows beats adding up a table a cluster: those are mostly zeros.
            (Kind::Counts { rows, .. }, Sum::Counts(table)) => {
                for row in rows {
                    let answer = row.answer.map(usize::from);
                    table.add(row.reference.into(), answer, weight(row.cluster as usize).into());
                }
            }
            _ => unreachable!("a sum is made for its statistic"),
        }
    }
}

fn finish(sum: &Sum, values: &mut [f64]) {
    match sum {
        Sum::Means(total) => {
            let n = total[COLUMNS - 1];
            for (value, total) in values.iter_mut().zip(total) {
                *value = if n > 0.0 { total / n } else { f64::NAN };
            }
        }
        Sum::Counts(table) => match table.metrics() {
            Some(metrics) => values.copy_from_slice(&metrics),
            None => values.fill(f64::NAN),
        },
    }
}
