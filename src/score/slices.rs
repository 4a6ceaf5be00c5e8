//! One mean by groups of rows: where a run is good and where it isn't.

use indexmap::IndexMap;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::interval::{CONFIDENCE, wilson};
use super::metric::{Aggregate, find};
use super::table::{Clusters, Grouping, Table};
use crate::reel::Reel;
use crate::scores::{Metric, Slices};
use crate::task::{Task, TaskKind};

/// Groups of accounts that are shown: the largest ones.
const ACCOUNTS: usize = 10;

const DURATION: [&str; 6] = ["under 15 s", "15–30 s", "30–60 s", "60–90 s", "90 s and more", UNKNOWN];
const VIEWS: [&str; 6] =
    ["under 1,000", "1,000–10,000", "10,000–100,000", "100,000–1 million", "1 million and more", UNKNOWN];
const LENGTH: [&str; 5] = ["under 50 words", "50–100 words", "100–200 words", "200–400 words", "400 words and more"];
const UNKNOWN: &str = "unknown";

/// The groups a Reel is in: its gold labels, how long it takes, how often it was seen, how much is said.
pub(super) fn groups(reel: &Reel, tasks: &[Task]) -> IndexMap<String, String> {
    let labels = tasks.iter().filter(|task| task.kind == TaskKind::Label);
    let labels = labels.filter_map(|task| Some((task.name.clone(), reel.reference.get(&task.name)?.clone())));
    let bucket = |names: &[&str], value: Option<f64>, bounds: &[f64]| {
        let index = value.map_or(names.len() - 1, |value| bounds.iter().filter(|bound| value >= **bound).count());
        names[index].to_owned()
    };
    let text = reel.transcript.as_deref().or(reel.caption.as_deref()).unwrap_or_default();
    let words = text.split_whitespace().count() as f64;
    let views = reel.views.or(reel.plays).map(|views| views as f64);
    let buckets = [
        ("duration", bucket(&DURATION, reel.duration_s, &[15.0, 30.0, 60.0, 90.0])),
        ("views", bucket(&VIEWS, views, &[1e3, 1e4, 1e5, 1e6])),
        ("length", bucket(&LENGTH, Some(words), &[50.0, 100.0, 200.0, 400.0])),
    ];
    labels.chain(buckets.map(|(name, group)| (name.to_owned(), group))).collect()
}

/// The groups of a task's rows with their means; `None` where rows are all in one group of everything.
pub(super) fn slices(table: &Table, task: usize, clusters: &Clusters) -> Option<Slices> {
    let rows = &table.tasks[task];
    let (metric, values) = rows.simple();
    let accounts = accounts(table, task);
    let groupings = accounts.iter().map(|grouping| ("account", grouping));
    let groupings = groupings.chain(rows.groupings.iter().map(|(name, grouping)| (name.as_str(), grouping)));
    let mut by = IndexMap::new();
    // By its own labels a task has its recall, which another table shows.
    let is_told = |name: &str, grouping: &Grouping| grouping.groups.len() > 1 && name != rows.task.name;
    for (name, grouping) in groupings.filter(|(name, grouping)| is_told(name, grouping)) {
        let mut rows_of: Vec<Vec<(u32, f64)>> = vec![vec![]; grouping.groups.len()];
        let of_row = grouping.group_of.iter().zip(&clusters.of_task[task]).zip(&values);
        for (row, ((group, cluster), value)) in of_row.enumerate() {
            if let Some(rows) = rows_of.get_mut(*group as usize) {
                // Within an account its rows are all there is to draw.
                rows.push((if name == "account" { row as u32 } else { *cluster }, *value));
            }
        }
        let groups: IndexMap<String, Metric> = order(table, name, grouping)
            .into_iter()
            .map(|group| (grouping.groups[group].clone(), mean(metric, &rows_of[group])))
            .collect();
        by.insert(name.to_owned(), groups);
    }
    (!by.is_empty()).then(|| Slices { metric: metric.to_owned(), by })
}

/// The largest accounts, where they are known.
fn accounts(table: &Table, task: usize) -> Option<Grouping> {
    let mut rows: IndexMap<&str, usize> = IndexMap::new();
    for account in table.accounts(task) {
        *rows.entry(account?).or_default() += 1;
    }
    rows.sort_by(|a, m, b, n| n.cmp(m).then(a.cmp(b)));
    rows.truncate(ACCOUNTS);
    let groups: indexmap::IndexSet<String> = rows.keys().map(|account| (*account).to_owned()).collect();
    let group_of = table
        .accounts(task)
        .flatten()
        .map(|account| groups.get_index_of(account).map_or(u32::MAX, |group| group as u32));
    let group_of = group_of.collect();
    Some(Grouping { groups, group_of })
}

/// Groups as a reader expects them: buckets by size, labels as their task lists them.
fn order(table: &Table, name: &str, grouping: &Grouping) -> Vec<usize> {
    let labels = table.tasks.iter().find(|rows| rows.task.name == name).map(|rows| rows.task.labels.as_slice());
    let place = |group: &str| match (name, labels) {
        ("duration", _) => DURATION.iter().position(|known| *known == group),
        ("views", _) => VIEWS.iter().position(|known| *known == group),
        ("length", _) => LENGTH.iter().position(|known| *known == group),
        (_, Some(labels)) => labels.iter().position(|label| label == group),
        _ => None,
    };
    let mut order: Vec<usize> = (0..grouping.groups.len()).collect();
    order.sort_by_key(|group| (place(&grouping.groups[*group]), *group));
    order
}

/// A mean of rows with their clusters. A rate gets Wilson's interval, any other mean one from Student's t; both for the
/// standard error that the clusters give.
pub(super) fn mean(metric: &str, rows: &[(u32, f64)]) -> Metric {
    let spread = Spread::of(rows);
    let (low, high, method) = match find(metric).map(|info| info.aggregate) {
        Some(Aggregate::Rate(_)) => {
            let interval = wilson(spread.mean, spread.effective_rows());
            (interval.low, interval.high, interval.method)
        }
        _ => match StudentsT::new(0.0, 1.0, spread.clusters as f64 - 1.0) {
            Ok(t) => {
                let half = t.inverse_cdf((1.0 + CONFIDENCE) / 2.0) * spread.variance.sqrt();
                // ROUGE lies in 0..=1.
                let bounds = ((spread.mean - half).max(0.0), (spread.mean + half).min(1.0));
                (bounds.0, bounds.1, "t: clustered standard error".to_owned())
            }
            Err(_) => (f64::NAN, f64::NAN, "none: one cluster".to_owned()),
        },
    };
    Metric { value: spread.mean, low, high, n: rows.len(), clusters: spread.clusters, method, note: None }
}

/// How a mean over clustered rows varies.
pub(super) struct Spread {
    pub mean: f64,
    pub clusters: usize,
    rows: usize,
    /// Variance of the mean, given that rows of a cluster are alike.
    variance: f64,
    /// Variance the mean would have if the rows were independent.
    independent: f64,
}

impl Spread {
    /// From the cluster and the value of each row.
    pub fn of(rows: &[(u32, f64)]) -> Spread {
        let n = rows.len() as f64;
        let mean = rows.iter().map(|(_, value)| value).sum::<f64>() / n;
        let mut sorted: Vec<(u32, f64)> = rows.iter().map(|(cluster, value)| (*cluster, value - mean)).collect();
        sorted.sort_by_key(|(cluster, _)| *cluster);
        let sums: Vec<f64> =
            sorted.chunk_by(|a, b| a.0 == b.0).map(|rows| rows.iter().map(|(_, deviation)| deviation).sum()).collect();
        let clusters = sums.len();
        let correction = clusters as f64 / (clusters as f64 - 1.0);
        Spread {
            mean,
            clusters,
            rows: rows.len(),
            variance: sums.iter().map(|sum| sum * sum).sum::<f64>() * correction / (n * n),
            independent: sorted.iter().map(|(_, deviation)| deviation * deviation).sum::<f64>() / (n * n),
        }
    }

    /// How much more a mean over these clusters varies than one over as many independent rows (Kish 1965); `None` where
    /// nothing varies.
    pub fn design_effect(&self) -> Option<f64> {
        (self.independent > 0.0 && self.clusters > 1).then(|| self.variance / self.independent)
    }

    /// Rows over the design effect (Korn and Graubard 1998), never more than there are. Nothing varies where all rows
    /// agree; then a cluster counts for no more than a row.
    pub fn effective_rows(&self) -> f64 {
        self.design_effect().map_or(self.clusters as f64, |effect| self.rows as f64 / effect.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reel_is_in_a_group_of_each_kind() {
        let reel =
            Reel { duration_s: Some(30.0), plays: Some(999), transcript: Some("satu dua".into()), ..Reel::default() };
        let groups = groups(&reel, &[]);
        assert_eq!(groups["duration"], "30–60 s");
        assert_eq!((groups["views"].as_str(), groups["length"].as_str()), ("under 1,000", "under 50 words"));
        assert_eq!(super::groups(&Reel::default(), &[])["duration"], "unknown");
    }

    #[test]
    fn clusters_widen_the_interval_of_a_mean() {
        let alike: Vec<(u32, f64)> = (0..100).map(|row| (row / 10, f64::from(row / 10 % 2))).collect();
        let apart: Vec<(u32, f64)> = alike.iter().enumerate().map(|(row, (_, value))| (row as u32, *value)).collect();
        let effect = Spread::of(&alike).design_effect().unwrap();
        assert!((effect - 10.0 * 10.0 / 9.0).abs() < 1e-9, "{effect}");
        let width = |metric: Metric| metric.high - metric.low;
        assert!(width(mean("rougeL", &alike)) > 3.0 * width(mean("rougeL", &apart)));
        assert!(width(mean("accuracy", &alike)) > 2.0 * width(mean("accuracy", &apart)));
        let one = mean("rougeL", &[(0, 0.5), (0, 0.7)]);
        assert!(one.low.is_nan() && one.value == 0.6);
    }
}
