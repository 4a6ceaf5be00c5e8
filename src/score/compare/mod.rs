//! Which of several runs over the same data is better, and whether the data can tell.
//!
//! Runs are compared row by row: every difference comes from the same resamples, every test exchanges whole clusters
//! between two runs. The first run is the baseline.

mod best;
pub mod crossed;
mod difference;
mod exchange;
#[cfg(test)]
mod fixture;
mod flips;
mod format;
mod same_data;

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, ensure};
use indexmap::{IndexMap, IndexSet};

use self::best::tied_with_best;
use self::difference::{Compared, Test, differences};
use self::exchange::{Exchanged, differing};
use self::flips::flips;
pub use self::format::{Comparison, Flips, MetricComparison, MetricDifference, TaskComparison, Verdict};
use self::same_data::{check_same_data, common_tasks, scored};
use super::metric::{self, Aggregate, Direction, MetricInfo, main_metric};
use super::resampled::Resampled;
use super::signature::method_name;
use super::statistic::Statistic;
use super::support::Support;
use super::{Clusters, Table, TaskTable, sampling};
use crate::config::{IntervalMethod, ScoreSettings};
use crate::error::Hint;
use crate::task::TaskKind;

/// A run to compare.
#[derive(Debug, Clone)]
pub struct Run {
    /// How tables and pages call it.
    pub name: String,
    /// Its scored rows.
    pub table: Table,
}

/// Compares runs; the first is the baseline.
///
/// # Errors
/// When the runs don't answer the same tasks on the same data, with what differs.
pub fn compare(runs: &[Run], settings: &ScoreSettings) -> Result<Comparison> {
    ensure!(runs.len() > 1, anyhow!("one run can't be compared").hint("name two result directories or more"));
    let tasks = common_tasks(runs)?;
    let tables: Vec<Table> = runs.iter().map(|run| run.table.restricted(&tasks)).collect();
    for (run, table) in runs.iter().zip(&tables).skip(1) {
        check_same_data(&runs[0].name, &tables[0], &run.name, table)?;
    }

    let paired = Paired::new(tables, settings);
    let names = tasks.iter().map(|task| task.name.clone());
    let compared: IndexMap<String, TaskComparison> = names.zip(paired.tasks()).collect();
    let scored: BTreeSet<&String> = runs.iter().flat_map(|run| scored(&run.table)).map(|task| &task.name).collect();
    let left_out = scored.into_iter().filter(|name| !compared.contains_key(*name)).cloned().collect();
    Ok(Comparison {
        v: 1,
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        tasks: compared,
        left_out,
        ratings: IndexMap::new(),
        signature: signature(settings, &paired.clusters),
    })
}

/// Runs over the same data, resampled together.
struct Paired<'a> {
    /// By run, the rows in the same order.
    tables: Vec<Table>,
    /// The same for all runs, as their rows are of the same Reels.
    clusters: Clusters,
    /// By task, the metrics that all runs have.
    common: Vec<IndexSet<String>>,
    /// By run.
    resampled: Vec<Resampled>,
    settings: &'a ScoreSettings,
}

impl Paired<'_> {
    fn new(tables: Vec<Table>, settings: &ScoreSettings) -> Paired<'_> {
        let clusters = tables[0].clusters();
        let common: Vec<IndexSet<String>> = (0..tables[0].tasks.len()).map(|task| common_keys(&tables, task)).collect();
        let resampled = tables.iter().map(|table| Resampled::of(table, &clusters, Some(&common), settings)).collect();
        Paired { tables, clusters, common, resampled, settings }
    }

    fn tasks(&self) -> Vec<TaskComparison> {
        let Clusters { count, of_task, .. } = &self.clusters;
        let tasks = self.tables[0].tasks.iter().zip(of_task);
        let supports: Vec<Support> =
            tasks.map(|(rows, cluster_of)| Support::of(rows, cluster_of, *count, self.clusters.unit())).collect();
        let exchanged = Exchanged::of(&self.resampled, *count, self.settings);
        let mut at = 0;
        let task = |(index, support): (usize, &Support)| self.task(index, support, &exchanged, &mut at);
        supports.iter().enumerate().map(task).collect()
    }

    /// `at` is the place of the task's first metric, and then that of the next task's.
    fn task(&self, index: usize, support: &Support, exchanged: &Exchanged, at: &mut usize) -> TaskComparison {
        let Paired { tables, clusters, common, resampled, settings } = self;
        let rows = &tables[0].tasks[index];
        let sampling = sampling(rows, &clusters.of_task[index], clusters.unit());
        let flips: Vec<Flips> = tables[1..].iter().map(|run| flips(run, &tables[0], index)).collect();
        let mut metrics = IndexMap::new();
        for (place, statistic) in resampled[0].sheet.tasks[index].iter().enumerate() {
            let differ = |run: &Resampled| differing(statistic, &run.sheet.tasks[index][place], clusters.count);
            let differing: Vec<usize> = resampled[1..].iter().map(differ).collect();
            for key in &statistic.keys {
                let info = metric::find(key).unwrap_or(&metric::UNKNOWN);
                let compared = Compared {
                    key,
                    info,
                    at: *at,
                    runs: resampled,
                    support,
                    method: settings.interval,
                    differing: &differing,
                };
                let test = match key.as_str() {
                    _ if !statistic.can_exchange() => Test::None,
                    // With one row a cluster the exact test needs no draws.
                    "accuracy" if sampling.clusters == rows.len() => Test::McNemar(&flips),
                    _ => Test::Exchange(exchange_name(info), exchanged),
                };
                let tested = statistic.can_exchange().then_some(exchanged);
                metrics.insert(key.clone(), compare_metric(&compared, &test, tested));
                *at += 1;
            }
        }
        let all = tables.iter().flat_map(|table| keys(table, index));
        let left_out: IndexSet<String> = all.filter(|key| !common[index].contains(key)).collect();
        let (main, main_instead) = main(rows, support);
        TaskComparison {
            n: rows.len(),
            asked: rows.asked,
            answered_only: rows.answered_only,
            answered: tables.iter().map(|table| table.tasks[index].answered).collect(),
            sampling,
            main: main.to_owned(),
            main_instead,
            metrics,
            left_out: left_out.into_iter().collect(),
            flips: if rows.task.kind == TaskKind::Label { flips } else { vec![] },
        }
    }
}

/// The metric that the verdict is about: that of the task's kind, or where no interval of it holds, weighted F1, or of texts that
/// it can't read, the one that can; and why.
fn main(rows: &TaskTable, support: &Support) -> (&'static str, Option<String>) {
    let main = main_metric(rows.task.kind);
    match rows.task.kind {
        TaskKind::Label => support.withheld(main).map_or((main.key, None), |why| ("weighted_f1", Some(why))),
        TaskKind::Text => {
            let other = rows.main_of_texts().key;
            let why = || format!("{} of {} references are in letters that it drops", rows.unread, rows.len());
            (other, (other != main.key).then(why))
        }
    }
}

fn compare_metric(compared: &Compared, test: &Test, exchanged: Option<&Exchanged>) -> MetricComparison {
    let Compared { key, at, runs, support, method, .. } = *compared;
    let values: Vec<f64> = runs.iter().map(|run| run.value(at)).collect();
    let replicates: Vec<Vec<f64>> = runs.iter().map(|run| run.replicates(at)).collect();
    let sign = if metric::direction(key) == Direction::Lower { -1.0 } else { 1.0 };
    let (best, optimism) = tied_with_best(&values, &replicates, sign, exchanged.map(|exchanged| (exchanged, at)));
    let interval = |run: &Resampled| {
        let (interval, _) = run.intervals(key, at, method, support);
        [interval.low, interval.high]
    };
    let intervals = runs.iter().map(interval).collect();
    MetricComparison { values, intervals, differences: differences(compared, test), best, optimism }
}

/// What exchanging rows between two runs is called: for a mean it flips the signs of the rows' differences.
fn exchange_name(info: &MetricInfo) -> &'static str {
    match info.aggregate {
        Aggregate::Mean | Aggregate::Rate(_) => "sign-flip",
        _ => "label-swap",
    }
}

/// The metrics of a task in one run.
fn keys(table: &Table, task: usize) -> Vec<String> {
    Statistic::keys(&table.tasks[task])
}

/// The metrics of a task that all runs have.
fn common_keys(tables: &[Table], task: usize) -> IndexSet<String> {
    let mut common: IndexSet<String> = keys(&tables[0], task).into_iter().collect();
    for table in &tables[1..] {
        let own: IndexSet<String> = keys(table, task).into_iter().collect();
        common.retain(|key| own.contains(key));
    }
    common
}

fn signature(settings: &ScoreSettings, clusters: &Clusters) -> String {
    format!(
        "paired|ci:{}|level:0.95|B:{}|cluster:{}|tests:mcnemar,sign-flip,label-swap|adjusted:holm,max-t|seed:{}|v:{}",
        method_name(settings.interval.unwrap_or(IntervalMethod::Jackknife)),
        settings.bootstrap,
        clusters.unit(),
        settings.seed,
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::fixture::{SETTINGS, compare, run};
    use super::*;
    use crate::score::significance::mcnemar;

    #[test]
    fn what_is_clearly_better_is_told_and_what_is_equal_is_tied() {
        let runs = [
            run("half", |i| i.is_multiple_of(2)),
            run("good", |i| !i.is_multiple_of(10)),
            run("bad", |i| i.is_multiple_of(9)),
            run("good too", |i| i % 10 != 1),
        ];
        let comparison = compare(&runs, &SETTINGS).unwrap();
        let accuracy = &comparison.tasks["ad"].metrics["accuracy"];
        let verdicts: Vec<Verdict> = accuracy.differences.iter().map(|difference| difference.verdict).collect();
        assert_eq!(verdicts, [Verdict::Better, Verdict::Worse, Verdict::Better]);
        let good = &accuracy.differences[0];
        assert!((good.value - 0.4).abs() < 1e-12 && good.low > 0.0 && good.test.as_deref() == Some("sign-flip"));
        assert!(good.p >= Some(1.0 / 1000.0) && good.p_adjusted > good.p);
        assert_eq!(accuracy.best, [1, 3]);
        assert_eq!(comparison.tasks["ad"].metrics["macro_f1"].differences[0].test.as_deref(), Some("label-swap"));
        let sampling = &comparison.tasks["ad"].sampling;
        assert_eq!((sampling.clusters, sampling.unit.as_str()), (30, "account"));
    }

    #[test]
    fn a_run_differs_in_nothing_from_itself() {
        let comparison = compare(&[run("a", |i| i % 3 != 0), run("b", |i| i % 3 != 0)], &SETTINGS).unwrap();
        for metric in comparison.tasks["ad"].metrics.values() {
            let difference = &metric.differences[0];
            assert!(difference.value == 0.0 && difference.low.is_nan());
            assert!(difference.withheld.is_some());
            assert_eq!((difference.p, difference.verdict), (Some(1.0), Verdict::NoDifferenceShown));
            assert_eq!(metric.best, [0, 1]);
        }
    }

    #[test]
    fn rows_of_one_reel_each_are_tested_exactly() {
        let single = |name: &str, right: fn(usize) -> bool| {
            let mut run = run(name, right);
            run.rows.iter_mut().for_each(|row| row.account = None);
            run
        };
        let comparison = compare(&[single("a", |i| i > 20), single("b", |i| i < 70)], &SETTINGS).unwrap();
        let accuracy = &comparison.tasks["ad"].metrics["accuracy"].differences[0];
        assert_eq!((accuracy.test.as_deref(), accuracy.p), (Some("mcnemar"), Some(mcnemar(20, 21))));
        let flips = &comparison.tasks["ad"].flips[0];
        assert_eq!((flips.gained, flips.lost, flips.gained_reels[0].as_str()), (21, 20, "r0"));
    }

    #[test]
    fn metrics_that_only_some_runs_have_are_left_out() {
        let mut with = run("with", |i| i % 3 != 0);
        for row in &mut with.rows {
            row.label_logprobs = Some([("ya".to_owned(), 0.4f64.ln()), ("bukan".to_owned(), 0.6f64.ln())].into());
        }
        let comparison = compare(&[with.clone(), run("without", |_| true)], &SETTINGS).unwrap();
        let task = &comparison.tasks["ad"];
        assert_eq!(task.left_out, ["brier", "log_loss", "ece"]);
        assert!(task.metrics.contains_key("accuracy") && !task.metrics.contains_key("brier"));
        assert!(compare(&[with.clone(), with], &SETTINGS).unwrap().tasks["ad"].metrics.contains_key("ece"));
    }
}
