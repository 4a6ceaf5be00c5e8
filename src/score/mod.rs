//! Scores of predictions: how good each answer is, and how sure that is.
//!
//! [`Join`] puts predictions beside references, one row each with its own metrics, into a file; a [`Table`] has what
//! [`score`] derives everything else from. A number comes with its bounds, and a signature says how it was made.

pub mod bootstrap;
mod calibration;
mod checks;
pub mod chrf;
pub mod classification;
pub mod compare;
#[cfg(test)]
mod fixture;
pub mod interval;
mod join;
pub mod metric;
pub mod rouge;
mod row;
mod signature;
pub mod significance;
mod slices;
mod statistic;
mod table;

use indexmap::{IndexMap, IndexSet};

use self::bootstrap::ResamplePlan;
use self::calibration::Judged;
use self::classification::{CountTable, accuracy, macro_f1};
use self::interval::{Interval, bca, wilson};
pub use self::join::Join;
use self::metric::Aggregate;
pub use self::row::Thresholds;
use self::row::text_keys;
use self::signature::How;
use self::slices::{Spread, slices};
use self::statistic::Statistic;
pub use self::table::{Clusters, Table, TaskTable};
use crate::config::{MetricSettings, ScoreSettings};
use crate::scores::{Metric, Sampling, Scores, TaskScores, ValidOnly};
use crate::task::{Task, TaskKind};

/// The scores of every task. A task without a scored row has no metrics.
pub fn score(table: &Table, settings: &ScoreSettings, metrics: &MetricSettings, thresholds: &Thresholds) -> Scores {
    let clusters = table.clusters();
    let plan = ResamplePlan::new(clusters.count, settings);
    let sheet = Sheet::of(table, &clusters, None);
    let write = |weights: &[u16], values: &mut [f64]| sheet.write(weights, values);
    let whole = sheet.values(clusters.count);
    let replicates = plan.replicates(sheet.width(), write);
    let jackknife = plan.jackknife(sheet.width(), write);

    let how = How { settings, metrics, unit: clusters.unit() };
    let mut intervals =
        whole.iter().enumerate().map(|(at, value)| bca(*value, replicates.column(at), &jackknife.column(at)));
    let mut scores = Scores { v: 1, tasks: IndexMap::new() };
    for (index, (rows, statistics)) in table.tasks.iter().zip(&sheet.tasks).enumerate() {
        let task = &rows.task;
        let cluster_of = &clusters.of_task[index];
        let sampling = sampling(rows, cluster_of, clusters.unit());
        let counts = statistics.iter().find_map(Statistic::table).filter(|_| !rows.is_empty());
        let summed = counts.as_ref().and_then(CountTable::counts);
        let mut metrics_of_task = IndexMap::new();
        for statistic in statistics {
            for (key, interval) in statistic.keys.iter().zip(&mut intervals) {
                if statistic.n == 0 {
                    continue;
                }
                let interval = match metric::find(key).map(|info| info.aggregate) {
                    Some(Aggregate::Rate(counts)) => rate(counts, rows, cluster_of),
                    _ => interval,
                };
                let Interval { value, low, high, method } = interval;
                let undefined = || value.is_nan().then(|| metric::prose(key).undefined.to_owned());
                let note = summed.as_ref().and_then(|counts| counts.note(key)).or_else(undefined);
                let metric = Metric { value, low, high, n: statistic.n, clusters: sampling.clusters, method, note };
                metrics_of_task.insert(key.clone(), metric);
            }
        }
        let keys: Vec<&str> = statistics.iter().flat_map(|statistic| &statistic.keys).map(String::as_str).collect();
        let threshold = thresholds.get(&task.name).copied();
        let judged: Vec<Judged> = rows.labels().iter().filter_map(|answer| answer.judged).collect();
        let classes = summed.as_ref().map(|counts| task.labels.iter().cloned().zip(counts.classes()).collect());
        let scores_of_task = TaskScores {
            metrics: metrics_of_task,
            classes: classes.unwrap_or_default(),
            valid_only: counts.as_ref().and_then(valid_only),
            confusion: counts.as_ref().map(|counts| counts.confusion(&task.labels)),
            reliability: calibration::reliability(&judged),
            precision_recall: calibration::precision_recall(task, &judged),
            threshold,
            slices: slices(table, index, &clusters),
            sampling: (!rows.is_empty()).then_some(sampling),
            signature: how.signature(task, &keys, threshold),
        };
        scores.tasks.insert(task.name.clone(), scores_of_task);
    }
    scores
}

fn valid_only(counts: &CountTable) -> Option<ValidOnly> {
    let has_invalid = counts.counts()?.invalid() > 0;
    let valid = counts.valid();
    let valid = valid.counts().filter(|_| has_invalid)?;
    Some(ValidOnly { n: valid.n as usize, accuracy: accuracy(&valid), macro_f1: macro_f1(&valid) })
}

/// The keys that a task's metrics may have.
pub fn metric_keys(task: &Task, settings: &MetricSettings) -> Vec<String> {
    match task.kind {
        TaskKind::Text => text_keys(settings),
        TaskKind::Label => Statistic::label_keys(task, true),
    }
}

/// For each yes/no task with probabilities, the threshold that is best on these rows.
pub fn best_thresholds(dev: &Table) -> Thresholds {
    let of = |rows: &TaskTable| {
        let judged: Vec<Judged> = rows.labels().iter().filter_map(|answer| answer.judged).collect();
        Some((rows.task.name.clone(), calibration::best_threshold(&rows.task, &judged)?))
    };
    dev.tasks.iter().filter_map(of).collect()
}

/// All statistics of a run, for one pass over the weights.
pub(crate) struct Sheet {
    /// By task.
    pub tasks: Vec<Vec<Statistic>>,
}

impl Sheet {
    /// From a run's rows. The clusters are those of all runs it is compared with; of each task only the `wanted` metrics are
    /// taken.
    pub fn of(table: &Table, clusters: &Clusters, wanted: Option<&[IndexSet<String>]>) -> Sheet {
        let of_task = |(task, rows): (usize, &TaskTable)| {
            Statistic::of(rows, &clusters.of_task[task], clusters.count, wanted.map(|wanted| &wanted[task]))
        };
        Sheet { tasks: table.tasks.iter().enumerate().map(of_task).collect() }
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

/// What was drawn for a task.
fn sampling(rows: &TaskTable, cluster_of: &[u32], unit: &str) -> Sampling {
    let mut sizes: IndexMap<u32, usize> = IndexMap::new();
    for cluster in cluster_of {
        *sizes.entry(*cluster).or_default() += 1;
    }
    let largest = sizes.values().max().copied().unwrap_or(0);
    let (_, values) = rows.simple();
    let spread: Vec<(u32, f64)> = cluster_of.iter().copied().zip(values).collect();
    Sampling {
        unit: unit.to_owned(),
        clusters: sizes.len(),
        largest_share: if rows.is_empty() { 0.0 } else { largest as f64 / rows.len() as f64 },
        design_effect: Spread::of(&spread).design_effect(),
    }
}

/// The share of rows that count. Wilson's interval, over the rows divided by the design effect.
fn rate(counts: fn(u16, Option<u16>) -> bool, rows: &TaskTable, cluster_of: &[u32]) -> Interval {
    let values = rows.labels().iter().map(|row| f64::from(u8::from(counts(row.reference, row.answer))));
    let spread = Spread::of(&cluster_of.iter().copied().zip(values).collect::<Vec<_>>());
    wilson(spread.mean, spread.effective_rows())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::Finish;
    use crate::score::fixture::tasks;
    use crate::scores::Row;
    use crate::task::parse_tasks;

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 1000, seed: 42 };

    fn score(rows: &[Row], tasks: &[Task], settings: &ScoreSettings) -> Scores {
        let metrics = MetricSettings { amounts: false, stems: false };
        super::score(&Table::of(rows, tasks).unwrap(), settings, &metrics, &Thresholds::new())
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
                flags: vec![],
                slices: IndexMap::from([("parity".to_owned(), (i % 2).to_string())]),
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
        // ten alike rows an account, and the correction for a mean of twelve
        assert!((sampling.design_effect.unwrap() - 10.0 * 12.0 / 11.0).abs() < 1e-9);
        let slices = scores.tasks["ad"].slices.as_ref().unwrap();
        assert_eq!((slices.by["account"].len(), slices.by["parity"]["0"].n), (10, 60));
        let valid = scores.tasks["ad"].valid_only.as_ref().unwrap();
        assert_eq!((valid.n, valid.accuracy, valid.macro_f1), (80, 1.0, 1.0));
        assert!((accuracy.value - 2.0 / 3.0).abs() < 1e-12);
        assert!(accuracy.low < accuracy.value && accuracy.value < accuracy.high);
        let resampling = concat!("|ci:bca|level:0.95|B:1000|cluster:account|seed:42|v:", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            scores.tasks["summary"].signature,
            format!("rouge1,rouge2,rougeL,rougeLsum|mode:google-0.1.2|stem:no|stat:f{resampling}")
        );
        let signature = &scores.tasks["ad"].signature;
        let keys = "accuracy,balanced_accuracy,macro_f1,micro_f1,weighted_f1,mcc,kappa,invalid_rate";
        assert!(signature.starts_with(keys), "{signature}");
        assert!(signature.ends_with(&format!("|labels:2|invalid:wrong|rates:wilson{resampling}")), "{signature}");
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

    #[test]
    fn what_the_data_do_not_define_is_named() {
        let rows: Vec<Row> = example()
            .into_iter()
            .filter(|row| row.task == "ad" && row.reference.as_deref() == Some("iklan"))
            .map(|row| Row { finish: Finish::Stop, ..row })
            .collect();
        let scores = score(&rows, &tasks(), &SETTINGS);
        let metrics = &scores.tasks["ad"].metrics;
        assert_eq!(metrics["mcc"].note.as_deref(), Some("0 by convention: all references are one label"));
        assert!(
            metrics["kappa"].note.is_some() && metrics["macro_f1"].note.is_some() && metrics["accuracy"].note.is_none()
        );
        assert!(scores.tasks["summary"].sampling.is_none());
    }
}
