//! One mean by groups of rows: where a run is good and where it isn't.

use indexmap::IndexMap;

use super::interval::Interval;
use super::metric::find;
use super::spread::Spread;
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
    let labels = labels.filter_map(|task| {
        let label = reel.reference.get(&task.name).filter(|label| !label.trim().is_empty())?;
        Some((task.name.clone(), label.clone()))
    });
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

/// A mean of rows with their clusters.
fn mean(metric: &str, rows: &[(u32, f64)]) -> Metric {
    let spread = Spread::of(rows);
    let Interval { value, low, high, method, withheld } = spread.interval(find(metric));
    let (n, clusters) = (rows.len(), spread.clusters());
    Metric { value, low, high, withheld, n, clusters, method, bootstrap: None, note: None }
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
}
