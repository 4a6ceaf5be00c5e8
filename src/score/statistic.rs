//! The metrics of a task as a function of the clusters' weights: all that resampling, leaving out and swapping need.

use indexmap::IndexSet;

use super::calibration::{self, Judged};
use super::classification::{CountMetric, CountTable, Counts, Part};
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
    /// Metrics of counts.
    Counts(Counted),
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

/// A label task, counted. Clusters with the same counts share a part, so that there are few of them.
#[derive(Debug, Clone)]
struct Counted {
    table: CountTable,
    parts: Vec<Part>,
    /// By cluster; beyond `parts` where it has no row.
    part_of: Vec<u32>,
    /// Labels that occur in the references.
    occurring: usize,
    metrics: Vec<CountMetric>,
    /// The metrics whose standard errors are wanted.
    with_errors: Vec<usize>,
}

/// Some of the clusters, added up.
pub struct Half(Sum);

/// What can be added up over clusters, with another run's too.
enum Sum {
    Means(Vec<[f64; LANES]>),
    Counts(Counts),
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

    /// The metrics of a task's rows, whose clusters are given, of so many; of text metrics only the `wanted` ones. Of
    /// metrics of counts, those have standard errors for which `errors` holds.
    pub fn of(
        table: &TaskTable,
        cluster_of: &[u32],
        clusters: usize,
        wanted: Option<&IndexSet<String>>,
        errors: impl Fn(&str) -> bool,
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
                let counted = Counted::of(table.task.labels.len(), answers, cluster_of, clusters, errors);
                let keys = OF_COUNTS.iter().copied().flatten().map(|(key, _)| (*key).to_owned()).collect();
                let mut statistics = vec![Self { keys, n: answers.len(), kind: Kind::Counts(counted) }];
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
            _ => {
                let mut sum = self.zero();
                self.add_to(&mut sum, |cluster| weights[cluster]);
                self.finish(&sum, values);
            }
        }
    }

    /// As [`Statistic::write`], and the standard error of each value, where clusters are drawn; NaN where it isn't known.
    /// That of a mean is linearised (Taylor series), of counts it is the jackknife's.
    pub fn write_with_errors(&self, weights: &[u16], values: &mut [f64], errors: &mut [f64]) {
        errors.fill(f64::NAN);
        match &self.kind {
            Kind::Ranks(ranks) => ranks.write(weights, values),
            Kind::Means(means) => means.write_with_errors(weights, values, errors),
            Kind::Counts(counted) => {
                let times = counted.times(|cluster| weights[cluster]);
                let mut counts = counted.counts(&times);
                counted.write(&counts, values);
                counted.write_errors(&mut counts, &times, errors);
            }
        }
    }

    /// Whether parts of it can be added up, so that runs can exchange clusters.
    pub fn can_exchange(&self) -> bool {
        !matches!(self.kind, Kind::Ranks(_))
    }

    /// What the chosen clusters add up to: weight 1 in `chosen`, or 0 if `others` are meant.
    ///
    /// # Panics
    /// Unless it can exchange.
    pub fn half(&self, chosen: &[u16], others: bool) -> Half {
        let mut sum = self.zero();
        self.add_to(&mut sum, |cluster| if others { 1 - chosen[cluster] } else { chosen[cluster] });
        Half(sum)
    }

    /// Writes the values of two halves together, which may be of different runs over the same data.
    ///
    /// # Panics
    /// Unless both are halves of the same kind of statistic.
    pub fn join(&self, a: &Half, b: &Half, values: &mut [f64]) {
        let sum = match (&a.0, &b.0) {
            (Sum::Means(a), Sum::Means(b)) => {
                let add = |(a, b): (&[f64; LANES], &[f64; LANES])| std::array::from_fn(|lane| a[lane] + b[lane]);
                Sum::Means(a.iter().zip(b).map(add).collect())
            }
            (Sum::Counts(a), Sum::Counts(b)) => Sum::Counts(a.with(b)),
            _ => unreachable!("halves of one statistic"),
        };
        self.finish(&sum, values);
    }

    /// Whether a cluster counts otherwise in another run over the same data.
    pub fn differs(&self, other: &Statistic, cluster: usize) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Means(a), Kind::Means(b)) => {
                let of = |means: &Means| means.sums[cluster * means.lanes..][..means.lanes].to_vec();
                of(a) != of(b)
            }
            (Kind::Counts(a), Kind::Counts(b)) => {
                a.parts.get(a.part_of[cluster] as usize) != b.parts.get(b.part_of[cluster] as usize)
            }
            _ => false,
        }
    }

    /// The whole count table of a label task.
    pub fn table(&self) -> Option<&CountTable> {
        match &self.kind {
            Kind::Counts(counted) => Some(&counted.table),
            _ => None,
        }
    }

    fn zero(&self) -> Sum {
        match &self.kind {
            Kind::Means(means) => Sum::Means(vec![[0.0; LANES]; means.lanes]),
            Kind::Counts(counted) => Sum::Counts(counted.none()),
            Kind::Ranks(_) => panic!("ranks of rows don't add up"),
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
            (Kind::Counts(counted), Sum::Counts(counts)) => {
                for (part, times) in counted.parts.iter().zip(counted.times(weight)) {
                    counts.add(part, times);
                }
                counts.settle();
            }
            _ => unreachable!("a sum is made for its statistic"),
        }
    }

    fn finish(&self, sum: &Sum, values: &mut [f64]) {
        match (&self.kind, sum) {
            (Kind::Counts(counted), Sum::Counts(counts)) => counted.write(counts, values),
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

impl Means {
    /// Of a weighted mean (s₁ + s₂ + …) / (n₁ + n₂ + …) of G clusters the variance is G / (G − 1) Σ (s − mean n)² / n².
    fn write_with_errors(&self, weights: &[u16], values: &mut [f64], errors: &mut [f64]) {
        let rows_at = values.len();
        let zeros = || vec![[0.0f64; LANES]; self.lanes];
        let (mut sums, mut squares, mut products, mut clusters) = (zeros(), zeros(), zeros(), 0.0);
        for (own, weight) in self.sums.chunks_exact(self.lanes).zip(weights).filter(|(_, weight)| **weight > 0) {
            let weight = f64::from(*weight);
            let rows = own.as_flattened()[rows_at];
            clusters += if rows > 0.0 { weight } else { 0.0 };
            for (((own, sum), square), product) in own.iter().zip(&mut sums).zip(&mut squares).zip(&mut products) {
                for lane in 0..LANES {
                    let weighted = weight * own[lane];
                    sum[lane] += weighted;
                    square[lane] += weighted * own[lane];
                    product[lane] += weighted * rows;
                }
            }
        }
        let [sums, squares, products] = [&sums, &squares, &products].map(|lanes| lanes.as_flattened());
        let n = sums[rows_at];
        for at in 0..rows_at {
            let mean = sums[at] / n;
            let spread = squares[at] - 2.0 * mean * products[at] + mean * mean * squares[rows_at];
            // What is left of equal numbers after rounding is no spread.
            let spread = if spread > 1e-12 * squares[at] { spread } else { 0.0 };
            (values[at], errors[at]) = (mean, (clusters / (clusters - 1.0) * spread).sqrt() / n);
        }
    }
}

impl Counted {
    fn of(
        labels: usize,
        answers: &[LabelAnswer],
        cluster_of: &[u32],
        clusters: usize,
        errors: impl Fn(&str) -> bool,
    ) -> Counted {
        let mut order: Vec<u32> = (0..answers.len() as u32).collect();
        order.sort_unstable_by_key(|row| cluster_of[*row as usize]);
        let mut table = CountTable::new(labels);
        let mut parts = IndexSet::new();
        let mut part_of = vec![u32::MAX; clusters];
        for rows in order.chunk_by(|a, b| cluster_of[*a as usize] == cluster_of[*b as usize]) {
            let mut part = Part::default();
            for LabelAnswer { reference, answer, .. } in rows.iter().map(|row| &answers[*row as usize]) {
                table.add((*reference).into(), answer.map(usize::from), 1);
                part.add(*reference, *answer);
            }
            part_of[cluster_of[rows[0] as usize] as usize] = parts.insert_full(part).0 as u32;
        }
        let metrics = || OF_COUNTS.iter().copied().flatten();
        Counted {
            occurring: table.counts().map_or(0, |counts| counts.occurring),
            table,
            parts: parts.into_iter().collect(),
            part_of,
            metrics: metrics().map(|(_, metric)| *metric).collect(),
            with_errors: metrics().enumerate().filter(|(_, (key, _))| errors(key)).map(|(at, _)| at).collect(),
        }
    }

    fn none(&self) -> Counts {
        Counts::none(self.table.labels(), self.occurring)
    }

    /// How often each part counts.
    fn times(&self, weight: impl Fn(usize) -> u16) -> Vec<u64> {
        let mut times = vec![0; self.parts.len() + 1];
        let none = self.parts.len();
        for (cluster, part) in self.part_of.iter().enumerate() {
            times[(*part as usize).min(none)] += u64::from(weight(cluster));
        }
        times.truncate(none);
        times
    }

    fn counts(&self, times: &[u64]) -> Counts {
        let mut counts = self.none();
        self.parts.iter().zip(times).for_each(|(part, times)| counts.add(part, *times));
        counts.settle();
        counts
    }

    fn write(&self, counts: &Counts, values: &mut [f64]) {
        let of = |metric: &CountMetric| if counts.n > 0 { metric(counts) } else { f64::NAN };
        values.iter_mut().zip(&self.metrics).for_each(|(value, metric)| *value = of(metric));
    }

    /// The jackknife over the clusters that are counted: (G − 1) / G Σ (value without a cluster − their mean)².
    fn write_errors(&self, counts: &mut Counts, times: &[u64], errors: &mut [f64]) {
        let metrics: Vec<CountMetric> = self.with_errors.iter().map(|at| self.metrics[*at]).collect();
        if metrics.is_empty() {
            return;
        }
        let clusters = times.iter().sum::<u64>() as f64;
        let mut sums = vec![[0.0f64; 2]; metrics.len()];
        let whole: Vec<f64> = metrics.iter().map(|metric| metric(counts)).collect();
        for (part, times) in self.parts.iter().zip(times).filter(|(_, times)| **times > 0) {
            counts.without(part, |counts| {
                for ((metric, whole), sums) in metrics.iter().zip(&whole).zip(&mut sums) {
                    let moved = metric(counts) - whole;
                    sums[0] += *times as f64 * moved;
                    sums[1] += *times as f64 * moved * moved;
                }
            });
        }
        for (at, [sum, squares]) in self.with_errors.iter().zip(sums) {
            let spread = (squares - sum * sum / clusters).max(0.0);
            errors[*at] = ((clusters - 1.0) / clusters * spread).sqrt();
        }
    }
}
