//! Scores of predictions: how good each answer is, and how sure that is.
//!
//! [`rows`] joins predictions with references, one row each with its own metrics; [`score`] derives everything else
//! from the rows. A number comes with its bounds, and a signature says how it was made.

pub mod bootstrap;
pub mod classification;
pub mod rouge;
mod rows;

use indexmap::IndexMap;

use self::bootstrap::{Clusters, Interval, Plan};
use self::classification::CountTable;
pub use self::rows::rows;
use crate::config::ScoreSettings;
use crate::scores::{Metric, Row, Scores, TaskScores};
use crate::task::{Task, TaskKind};

/// Of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// The scores of every task. A task without a scored row has no metrics.
///
/// # Panics
/// If a row's reference is not among its task's labels or a text row has no ROUGE: rows come from [`rows`].
pub fn score(rows: &[Row], tasks: &[Task], settings: &ScoreSettings) -> Scores {
    let scored: Vec<&Row> = rows.iter().filter(|row| row.reference.is_some()).collect();
    let clusters = Clusters::of(&scored);
    let plan = Plan::draw(clusters.count(), settings);
    let resampling = format!(
        "ci:percentile|level:{CONFIDENCE}|B:{}|cluster:{}|seed:{}|v:{}",
        settings.bootstrap,
        clusters.unit(),
        settings.seed,
        env!("CARGO_PKG_VERSION")
    );
    let of_task = |task: &Task| {
        let rows: Vec<Clustered> = scored
            .iter()
            .filter(|row| row.task == task.name)
            .map(|row| Clustered { row, cluster: clusters.index(row) })
            .collect();
        let mut scores = match task.kind {
            TaskKind::Text => text_scores(&rows, &plan, clusters.count()),
            TaskKind::Label => label_scores(&rows, &plan, clusters.count(), task),
        };
        scores.signature.push_str(&resampling);
        (task.name.clone(), scores)
    };
    Scores { v: 1, tasks: tasks.iter().map(of_task).collect() }
}

/// A scored row and the cluster it is drawn with.
struct Clustered<'a> {
    row: &'a Row,
    cluster: usize,
}

/// Means of the rows' ROUGE.
fn text_scores(rows: &[Clustered], plan: &Plan, clusters: usize) -> TaskScores {
    const COLUMNS: usize = rouge::METRICS.len();
    // A mean of a resample needs only each cluster's sums, and its rows in the last column: [clusters][metrics + 1]
    let mut sums = vec![[0.0; COLUMNS + 1]; clusters];
    for Clustered { row, cluster } in rows {
        for (sum, key) in sums[*cluster].iter_mut().zip(rouge::METRICS) {
            *sum += row.metrics[key];
        }
        sums[*cluster][COLUMNS] += 1.0;
    }
    let means = |weights: &[u16]| {
        let mut total = [0.0; COLUMNS + 1];
        for (sums, weight) in sums.iter().zip(weights) {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += f64::from(*weight) * sum;
            }
        }
        let n = total[COLUMNS];
        (n > 0.0).then(|| total[..COLUMNS].iter().map(|sum| sum / n).collect())
    };
    TaskScores {
        metrics: metrics(&rouge::METRICS, &plan.intervals(means), rows),
        classes: IndexMap::new(),
        confusion: None,
        signature: format!("{}|mode:google-0.1.2|stem:no|stat:f|", rouge::METRICS.join(",")),
    }
}

/// Metrics of the count table.
fn label_scores(rows: &[Clustered], plan: &Plan, clusters: usize, task: &Task) -> TaskScores {
    let answers: Vec<(usize, usize, Option<usize>)> = rows
        .iter()
        .map(|Clustered { row, cluster }| {
            let reference = task.labels.iter().position(|label| Some(label) == row.reference.as_ref());
            let reference = reference.expect("`rows` refuses references that are not among the labels");
            (*cluster, reference, classification::answer(task, &row.output, row.finish))
        })
        .collect();
    // One pass over the rows beats adding up a table a cluster: those are mostly zeros
    let table = |weights: &[u16]| {
        let mut table = CountTable::new(task.labels.len());
        for (cluster, reference, answer) in &answers {
            table.add(*reference, *answer, u64::from(weights[*cluster]));
        }
        table
    };
    let intervals = plan.intervals(|weights| table(weights).metrics().map(Vec::from));
    let whole = table(&vec![1; clusters]);
    let scored = !rows.is_empty();
    TaskScores {
        metrics: metrics(&classification::METRICS, &intervals, rows),
        classes: if scored { task.labels.iter().cloned().zip(whole.classes()).collect() } else { IndexMap::new() },
        confusion: scored.then(|| whole.confusion(&task.labels)),
        signature: format!("{}|labels:{}|invalid:wrong|", classification::METRICS.join(","), task.labels.len()),
    }
}

fn metrics(keys: &[&str], intervals: &[Interval], rows: &[Clustered]) -> IndexMap<String, Metric> {
    let mut clusters: Vec<usize> = rows.iter().map(|row| row.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let metric = |(key, interval): (&&str, &Interval)| {
        let Interval { value, low, high } = *interval;
        let method = "percentile".to_owned();
        (key.to_string(), Metric { value, low, high, n: rows.len(), clusters: clusters.len(), method })
    };
    keys.iter().zip(intervals).map(metric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::Finish;
    use crate::task::parse_tasks;

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 1000, seed: 42 };

    fn tasks() -> Vec<Task> {
        let text = "[task.summary]\nkind = \"text\"\ntemplate = \"s\"\nmax_tokens = 9\n\
            [task.ad]\nkind = \"label\"\ntemplate = \"a\"\nmax_tokens = 9\nlabels = [\"iklan\", \"bukan iklan\"]\n";
        parse_tasks(text, "tasks.toml").unwrap()
    }

    /// 120 Reels of 12 accounts. An account's Reels are alike: its answers are all right or all invalid.
    fn example() -> Vec<Row> {
        let row = |task: &str, i: usize| {
            let right = !(i % 12).is_multiple_of(3);
            let label = ["iklan", "bukan iklan"][i % 2];
            let metrics = match task {
                "summary" => rouge::METRICS.map(|key| (key.to_owned(), if right { 0.5 } else { 0.1 })).into(),
                _ => IndexMap::new(),
            };
            Row {
                v: 1,
                reel_id: format!("r{i}"),
                account: Some(format!("a{}", i % 12)),
                task: task.into(),
                repeat: 0,
                prompt: String::new(),
                reference: Some(label.into()),
                output: label.into(),
                label_logprobs: None,
                finish: if right { Finish::Stop } else { Finish::Error },
                metrics,
            }
        };
        ["summary", "ad"].iter().flat_map(|task| (0..120).map(|i| row(task, i))).collect()
    }

    #[test]
    fn a_score_says_how_it_was_made() {
        let scores = score(&example(), &tasks(), &SETTINGS);
        let accuracy = &scores.tasks["ad"].metrics["accuracy"];
        assert_eq!((accuracy.n, accuracy.clusters, accuracy.method.as_str()), (120, 12, "percentile"));
        assert!((accuracy.value - 2.0 / 3.0).abs() < 1e-12);
        assert!(accuracy.low < accuracy.value && accuracy.value < accuracy.high);
        let resampling =
            concat!("|ci:percentile|level:0.95|B:1000|cluster:account|seed:42|v:", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            scores.tasks["summary"].signature,
            format!("rouge1,rouge2,rougeL,rougeLsum|mode:google-0.1.2|stem:no|stat:f{resampling}")
        );
        assert_eq!(
            scores.tasks["ad"].signature,
            format!("accuracy,macro_f1,micro_f1,weighted_f1,mcc,kappa,invalid_rate|labels:2|invalid:wrong{resampling}")
        );
        assert_eq!(scores.tasks["ad"].confusion.as_ref().unwrap().counts, [[40, 0, 20], [0, 40, 20]]);
    }

    #[test]
    fn alike_reels_of_an_account_widen_the_interval() {
        let rows = example();
        let mut unknown = rows.clone();
        unknown[0].account = None;
        let (by_account, by_reel) = (score(&rows, &tasks(), &SETTINGS), score(&unknown, &tasks(), &SETTINGS));
        assert!(by_reel.tasks["ad"].signature.contains("|cluster:reel|"));
        for (task, metric) in [("summary", "rougeL"), ("ad", "accuracy")] {
            let (wide, narrow) = (&by_account.tasks[task].metrics[metric], &by_reel.tasks[task].metrics[metric]);
            assert_eq!((wide.clusters, narrow.clusters), (12, 120));
            // ten identical Reels an account: the standard error grows by √10
            let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
            assert!((2.4..4.0).contains(&ratio), "{task}: {ratio}");
        }
    }

    #[test]
    fn tasks_share_the_plan() {
        let scores = score(&example(), &tasks(), &SETTINGS);
        let (rouge, accuracy) = (&scores.tasks["summary"].metrics["rouge1"], &scores.tasks["ad"].metrics["accuracy"]);
        // in the example the one is a linear function of the other, so in a shared plan the bounds are too
        for (r, a) in [(rouge.low, accuracy.low), (rouge.value, accuracy.value), (rouge.high, accuracy.high)] {
            assert!((r - (0.1 + 0.4 * a)).abs() < 1e-12);
        }
    }

    #[test]
    fn threads_and_row_order_change_no_bit() {
        let on = |threads, rows: &[Row]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| serde_json::to_string(&score(rows, &tasks(), &SETTINGS)).unwrap())
        };
        let rows = example();
        assert_eq!(on(1, &rows), on(2, &rows));
        let reversed: Vec<Row> = rows.iter().rev().cloned().collect();
        let bounds = |rows: &[Row]| score(rows, &tasks(), &SETTINGS).tasks["ad"].metrics.clone();
        assert_eq!(bounds(&rows), bounds(&reversed));
    }

    #[test]
    fn rows_without_a_reference_are_not_scored() {
        let mut rows = example();
        for row in rows.iter_mut().filter(|row| row.task == "ad") {
            row.reference = None;
        }
        let scores = score(&rows, &tasks(), &SETTINGS);
        let ad = &scores.tasks["ad"];
        assert!(ad.metrics.is_empty() && ad.classes.is_empty() && ad.confusion.is_none());
        assert_eq!(scores.tasks["summary"].metrics["rouge1"].n, 120);
        assert!(score(&[], &tasks(), &SETTINGS).tasks["summary"].metrics.is_empty());
    }
}
