//! Scores of predictions: how good each answer is, and how sure that is.
//!
//! [`rows`] joins predictions with references, one row each with its own metrics; [`score`] derives everything else
//! from the rows. A number comes with its bounds, and a signature says how it was made.

pub mod bootstrap;
mod calibration;
pub mod classification;
pub mod compare;
pub mod interval;
pub mod rouge;
mod rows;
pub mod significance;
mod statistic;

use indexmap::IndexMap;

use self::bootstrap::{Clusters, Plan};
use self::interval::{CONFIDENCE, Interval, bca, wilson};
pub use self::rows::rows;
use self::statistic::Statistic;
use crate::config::ScoreSettings;
use crate::scores::{Metric, Row, Sampling, Scores, TaskScores};
use crate::task::{Task, TaskKind};

/// Means of rows that are 0 or 1; their intervals come from the counts.
const RATES: [&str; 2] = ["accuracy", "invalid_rate"];

/// The scores of every task. A task without a scored row has no metrics.
///
/// # Panics
/// If a row's reference is not among its task's labels or a text row has no ROUGE: rows come from [`rows`].
pub fn score(rows: &[Row], tasks: &[Task], settings: &ScoreSettings) -> Scores {
    let scored: Vec<&Row> = rows.iter().filter(|row| row.reference.is_some()).collect();
    let clusters = Clusters::of(&scored);
    let plan = Plan::new(clusters.count(), settings);
    let sheet = Sheet::of(&scored, tasks, &clusters);
    let write = |weights: &[u16], values: &mut [f64]| sheet.write(weights, values);
    let whole = sheet.values(clusters.count());
    let replicates = plan.replicates(sheet.width(), write);
    let jackknife = plan.jackknife(sheet.width(), write);

    let mut intervals =
        whole.iter().enumerate().map(|(at, value)| bca(*value, replicates.column(at), &jackknife.column(at)));
    let mut scores = Scores { v: 1, tasks: IndexMap::new() };
    for (task, statistics) in tasks.iter().zip(&sheet.tasks) {
        let rows: Vec<&Row> = scored.iter().copied().filter(|row| row.task == task.name).collect();
        let drawn: Vec<usize> = rows.iter().map(|row| clusters.index(row)).collect();
        let sampling = sampling(&drawn, clusters.unit());
        let mut metrics = IndexMap::new();
        for statistic in statistics {
            for (key, interval) in statistic.keys.iter().zip(&mut intervals) {
                if statistic.n == 0 {
                    continue;
                }
                let interval =
                    if RATES.contains(&key.as_str()) { rate(&interval, &rows, &drawn, task, key) } else { interval };
                let Interval { value, low, high, method } = interval;
                let metric = Metric { value, low, high, n: statistic.n, clusters: sampling.clusters, method };
                metrics.insert(key.clone(), metric);
            }
        }
        let table = statistics.iter().find_map(Statistic::table).filter(|_| !rows.is_empty());
        let keys: Vec<&str> = statistics.iter().flat_map(|statistic| &statistic.keys).map(String::as_str).collect();
        let how = match task.kind {
            TaskKind::Text => "mode:google-0.1.2|stem:no|stat:f".to_owned(),
            TaskKind::Label => format!("labels:{}|invalid:wrong|rates:wilson", task.labels.len()),
        };
        let signature = format!(
            "{}|{how}|ci:bca|level:{CONFIDENCE}|B:{}|cluster:{}|seed:{}|v:{}",
            keys.join(","),
            settings.bootstrap,
            clusters.unit(),
            settings.seed,
            env!("CARGO_PKG_VERSION")
        );
        let classes = table.as_ref().map(|table| task.labels.iter().cloned().zip(table.classes()).collect());
        let confusion = table.map(|table| table.confusion(&task.labels));
        let scores_of_task = TaskScores {
            metrics,
            classes: classes.unwrap_or_default(),
            confusion,
            sampling: Some(sampling),
            signature,
        };
        scores.tasks.insert(task.name.clone(), scores_of_task);
    }
    scores
}

/// The keys that a task's metrics may have.
pub fn metric_keys(task: &Task) -> Vec<&'static str> {
    match task.kind {
        TaskKind::Text => rouge::METRICS.to_vec(),
        TaskKind::Label => [&classification::METRICS[..], &calibration::MEANS, calibration::rank_keys(task)].concat(),
    }
}

/// All statistics of a run, for one pass over the weights.
pub(crate) struct Sheet {
    /// By task.
    pub tasks: Vec<Vec<Statistic>>,
}

impl Sheet {
    /// The scored rows of a run, over the clusters of it and of all runs it is compared with.
    pub fn of(scored: &[&Row], tasks: &[Task], clusters: &Clusters) -> Sheet {
        let of_task = |task: &Task| {
            let rows: Vec<&Row> = scored.iter().copied().filter(|row| row.task == task.name).collect();
            Statistic::of(task, &rows, clusters.count(), |row| clusters.index(row))
        };
        Sheet { tasks: tasks.iter().map(of_task).collect() }
    }

    /// Values of all statistics.
    pub fn width(&self) -> usize {
        self.tasks.iter().flatten().map(|statistic| statistic.keys.len()).sum()
    }

    /// Task by task, statistic by statistic, key by key.
    pub fn write(&self, weights: &[u16], values: &mut [f64]) {
        let mut rest = values;
        for statistic in self.tasks.iter().flatten() {
            let (own, others) = rest.split_at_mut(statistic.keys.len());
            statistic.write(weights, own);
            rest = others;
        }
    }

    /// As [`Statistic::swapped`], all statistics; NaN for those that can't swap.
    pub fn swapped(&self, other: &Sheet, chosen: &[u16], differences: &mut [f64]) {
        let mut rest = differences;
        for (statistic, other) in self.tasks.iter().flatten().zip(other.tasks.iter().flatten()) {
            let (own, others) = rest.split_at_mut(statistic.keys.len());
            if statistic.can_swap() {
                statistic.swapped(other, chosen, own);
            }
            rest = others;
        }
    }

    /// For the data as they are.
    pub fn values(&self, clusters: usize) -> Vec<f64> {
        let mut values = vec![f64::NAN; self.width()];
        self.write(&vec![1; clusters], &mut values);
        values
    }
}

/// What was drawn, from the cluster of each row.
fn sampling(drawn: &[usize], unit: &str) -> Sampling {
    let mut rows: IndexMap<usize, usize> = IndexMap::new();
    for cluster in drawn {
        *rows.entry(*cluster).or_default() += 1;
    }
    let largest = rows.values().max().copied().unwrap_or(0);
    let largest_share = if drawn.is_empty() { 0.0 } else { largest as f64 / drawn.len() as f64 };
    Sampling { unit: unit.to_owned(), clusters: rows.len(), largest_share }
}

/// Wilson's interval over the rows divided by the design effect: how much more a mean over these clusters varies than
/// one over as many independent rows (Kish 1965; Korn and Graubard 1998).
fn rate(interval: &Interval, rows: &[&Row], drawn: &[usize], task: &Task, key: &str) -> Interval {
    let is_one = |row: &Row| match key {
        "accuracy" => row.metrics.get("correct") == Some(&1.0),
        _ => classification::answer(task, &row.output, row.finish).is_none(),
    };
    let (n, rate) = (rows.len() as f64, interval.value);
    let mut deviations: IndexMap<usize, f64> = IndexMap::new();
    for (row, cluster) in rows.iter().zip(drawn) {
        *deviations.entry(*cluster).or_default() += f64::from(u8::from(is_one(row))) - rate;
    }
    let clusters = deviations.len() as f64;
    let variance = deviations.values().map(|sum| sum * sum).sum::<f64>() * clusters / (clusters - 1.0) / (n * n);
    let independent = rate * (1.0 - rate) / n;
    // Nothing varies where all rows agree; then a cluster counts for no more than a row.
    let effective = if independent > 0.0 && clusters > 1.0 { n / (variance / independent).max(1.0) } else { clusters };
    wilson(rate, effective)
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
        assert_eq!((accuracy.n, accuracy.clusters, accuracy.method.as_str()), (120, 12, "wilson"));
        assert_eq!(scores.tasks["ad"].metrics["macro_f1"].method, "bca");
        let sampling = scores.tasks["ad"].sampling.as_ref().unwrap();
        assert_eq!((sampling.unit.as_str(), sampling.clusters, sampling.largest_share), ("account", 12, 10.0 / 120.0));
        assert!((accuracy.value - 2.0 / 3.0).abs() < 1e-12);
        assert!(accuracy.low < accuracy.value && accuracy.value < accuracy.high);
        let resampling = concat!("|ci:bca|level:0.95|B:1000|cluster:account|seed:42|v:", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            scores.tasks["summary"].signature,
            format!("rouge1,rouge2,rougeL,rougeLsum|mode:google-0.1.2|stem:no|stat:f{resampling}")
        );
        assert_eq!(
            scores.tasks["ad"].signature,
            format!(
                "accuracy,balanced_accuracy,macro_f1,micro_f1,weighted_f1,mcc,kappa,invalid_rate|labels:2|invalid:wrong|rates:wilson{resampling}"
            )
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
        for (task, metric) in [("summary", "rougeL"), ("ad", "balanced_accuracy"), ("ad", "accuracy")] {
            let (wide, narrow) = (&by_account.tasks[task].metrics[metric], &by_reel.tasks[task].metrics[metric]);
            assert_eq!((wide.clusters, narrow.clusters), (12, 120));
            // ten identical Reels an account: the standard error grows by √10
            let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
            assert!((2.4..4.0).contains(&ratio), "{task}: {ratio}");
        }
    }

    #[test]
    fn tasks_share_the_plan() {
        let text = |name| format!("[task.{name}]\nkind = \"text\"\ntemplate = \"s\"\nmax_tokens = 9\n");
        let tasks = parse_tasks(&[text("summary"), text("title")].concat(), "tasks.toml").unwrap();
        let mut rows: Vec<Row> = example().into_iter().filter(|row| row.task == "summary").collect();
        let titles = rows.clone().into_iter().map(|row| {
            let metrics = row.metrics.iter().map(|(key, value)| (key.clone(), 0.1 + 2.0 * value)).collect();
            Row { task: "title".into(), metrics, ..row }
        });
        rows.extend(titles.collect::<Vec<_>>());
        let scores = score(&rows, &tasks, &SETTINGS);
        let (a, b) = (&scores.tasks["summary"].metrics["rouge1"], &scores.tasks["title"].metrics["rouge1"]);
        // the one is a linear function of the other, so in a shared plan the bounds are too
        for (a, b) in [(a.low, b.low), (a.value, b.value), (a.high, b.high)] {
            assert!((b - (0.1 + 2.0 * a)).abs() < 1e-12);
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
