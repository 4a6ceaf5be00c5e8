//! The metrics of a task as a function of the clusters' weights: all that resampling, leaving out and swapping need.

use indexmap::IndexSet;

use super::calibration::{self, Judged};
use super::classification::{CountMetric, CountTable};
use super::metric::OF_COUNTS;
use super::table::{Answers, LabelAnswer, TaskTable};
use crate::task::Task;

/// Sums that are added up at once.
const LANES: usize = 8;

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
    /// Weighted means.
    Means(Means),
    /// Metrics of a count table.
    Counts { labels: usize, rows: Vec<Counted>, metrics: Vec<CountMetric> },
    /// Metrics of probabilities that aren't means of rows.
    Ranks(calibration::Ranks),
}

/// Each cluster's sums of values, and behind them its rows.
#[derive(Debug, Clone)]
struct Means {
    /// Arrays of sums that a cluster takes.
    lanes: usize,
    /// `[clusters, lanes]`
    sums: Vec<[f64; LANES]>,
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
    Means(Vec<[f64; LANES]>),
    Counts(CountTable),
}

impl Statistic {
    /// The metric keys of a task's rows.
    pub fn keys(table: &TaskTable) -> Vec<String> {
        match &table.answers {
            Answers::Text { keys, .. } => keys.clone(),
            Answers::Labels(answers) => {
                Self::label_keys(&table.task, answers.iter().any(|answer| answer.judged.is_some()))
            }
        }
    }

    /// The metric keys of a label task, with or without label probabilities.
    pub fn label_keys(task: &Task, probabilities: bool) -> Vec<String> {
        let mut keys: Vec<&str> = OF_COUNTS.iter().copied().flatten().map(|(key, _)| *key).collect();
        if probabilities {
            keys.extend(calibration::MEANS);
            keys.extend(calibration::rank_keys(task));
        }
        keys.into_iter().map(str::to_owned).collect()
    }

    /// The metrics of a task's rows, whose clusters are given, of so many; of text metrics only the `wanted` ones.
    pub fn of(
        table: &TaskTable,
        cluster_of: &[u32],
        clusters: usize,
        wanted: Option<&IndexSet<String>>,
    ) -> Vec<Statistic> {
        let is_wanted = |key: &str| wanted.is_none_or(|wanted| wanted.contains(key));
        let mut statistics = match &table.answers {
            Answers::Text { keys, values } => {
                let columns: Vec<usize> = (0..keys.len()).filter(|column| is_wanted(&keys[*column])).collect();
                let rows = values.chunks_exact(keys.len().max(1)).zip(cluster_of);
                let rows = rows.map(|(values, cluster)| (*cluster, columns.iter().map(move |column| values[*column])));
                vec![Self::means(columns.iter().map(|column| keys[*column].clone()).collect(), clusters, rows)]
            }
            Answers::Labels(answers) => {
                let counted = |(answer, cluster): (&LabelAnswer, &u32)| Counted {
                    cluster: *cluster,
                    reference: answer.reference,
                    answer: answer.answer,
                };
                let rows: Vec<Counted> = answers.iter().zip(cluster_of).map(counted).collect();
                let (keys, metrics) =
                    OF_COUNTS.iter().copied().flatten().map(|(key, metric)| ((*key).to_owned(), *metric)).unzip();
                let n = rows.len();
                let kind = Kind::Counts { labels: table.task.labels.len(), rows, metrics };
                let mut statistics = vec![Self { keys, n, kind }];
                let judged: Vec<(u32, Judged)> = cluster_of
                    .iter()
                    .zip(answers)
                    .filter_map(|(cluster, answer)| Some((*cluster, answer.judged?)))
                    .collect();
                if !judged.is_empty() {
                    let means = judged.iter().map(|(cluster, judged)| (*cluster, judged.means().into_iter()));
                    statistics.push(Self::means(calibration::MEANS.map(str::to_owned).into(), clusters, means));
                    let ranks = calibration::Ranks::of(&table.task, &judged);
                    let keys = calibration::rank_keys(&table.task).iter().map(|key| (*key).to_owned()).collect();
                    statistics.push(Self { keys, n: judged.len(), kind: Kind::Ranks(ranks) });
                }
                statistics
            }
        };
        statistics.retain(|statistic| !statistic.keys.is_empty() && statistic.keys.iter().all(|key| is_wanted(key)));
        statistics
    }

    fn means<V: Iterator<Item = f64>>(
        keys: Vec<String>,
        clusters: usize,
        rows: impl Iterator<Item = (u32, V)>,
    ) -> Statistic {
        let lanes = (keys.len() + 1).div_ceil(LANES);
        let mut sums = vec![[0.0; LANES]; clusters * lanes];
        let mut n = 0;
        for (cluster, values) in rows {
            n += 1;
            let sums = sums[cluster as usize * lanes..][..lanes].as_flattened_mut();
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
            sums[keys.len()] += 1.0;
        }
        Self { keys, n, kind: Kind::Means(Means { lanes, sums }) }
    }

    /// Writes one value a key; NaN where a metric isn't defined.
    pub fn write(&self, weights: &[u16], values: &mut [f64]) {
        match &self.kind {
            Kind::Ranks(ranks) => ranks.write(weights, values),
            _ => self.zero().map_or((), |mut sum| {
                self.add_to(&mut sum, |cluster| weights[cluster]);
                self.finish(&sum, values);
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
            self.finish(&sum, values);
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
            Kind::Means(means) => Some(Sum::Means(vec![[0.0; LANES]; means.lanes])),
            Kind::Counts { labels, .. } => Some(Sum::Counts(CountTable::new(*labels))),
            Kind::Ranks(_) => None,
        }
    }

    fn add_to(&self, sum: &mut Sum, weight: impl Fn(usize) -> u16) {
        match (&self.kind, sum) {
            (Kind::Means(means), Sum::Means(totals)) => {
                for (cluster, sums) in means.sums.chunks_exact(means.lanes).enumerate() {
                    let weight = f64::from(weight(cluster));
                    for (totals, sums) in totals.iter_mut().zip(sums) {
                        for (total, sum) in totals.iter_mut().zip(sums) {
                            *total += weight * sum;
                        }
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

    fn finish(&self, sum: &Sum, values: &mut [f64]) {
        match (&self.kind, sum) {
            (Kind::Counts { metrics, .. }, Sum::Counts(table)) => match table.counts() {
                Some(counts) => values.iter_mut().zip(metrics).for_each(|(value, metric)| *value = metric(&counts)),
                None => values.fill(f64::NAN),
            },
            (_, Sum::Means(totals)) => {
                let totals = totals.as_flattened();
                let n = totals[values.len()];
                for (value, total) in values.iter_mut().zip(totals) {
                    *value = if n > 0.0 { total / n } else { f64::NAN };
                }
            }
            _ => unreachable!("a sum is made for its statistic"),
        }
    }
}
