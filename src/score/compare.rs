//! Which of several runs over the same data is better, and whether the data can tell.
//!
//! Runs are compared row by row: every difference comes from the same resamples, every test exchanges whole clusters
//! between two runs. The first run is the baseline.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, ensure};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

use super::bootstrap::{Replicates, ResamplePlan};
use super::interval::bca;
use super::same_data::{check_same_data, common_tasks, scored};
use super::significance::{LEVEL, holm, mcnemar, randomisation_p, smallest_difference};
use super::statistic::Statistic;
use super::{Sheet, Table, TaskTable, sampling};
use crate::config::ScoreSettings;
use crate::scores::{CHECKS, Sampling, less_is_better, main_metric};
use crate::task::{Task, TaskKind};

/// Changed answers that are named, each way.
const FLIPS: usize = 20;

/// A run to compare.
#[derive(Debug, Clone)]
pub struct Run {
    /// As it is shown.
    pub name: String,
    /// Its scored rows.
    pub table: Table,
}

/// What `reels compare --json` prints, and `comparison.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Format version, 1.
    pub v: u32,
    /// Names; the first is the baseline.
    pub runs: Vec<String>,
    /// By task name; those that all runs answer.
    pub tasks: IndexMap<String, TaskComparison>,
    /// Tasks that only some of the runs answer.
    pub left_out: Vec<String>,
    /// How the numbers were made.
    pub signature: String,
}

/// The metrics of one task.
#[derive(Debug, Clone, Serialize)]
pub struct TaskComparison {
    /// Rows in every run.
    pub n: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub sampling: Sampling,
    /// The metric that the verdict is about.
    pub main: String,
    /// By metric key; those that all runs have.
    pub metrics: IndexMap<String, MetricComparison>,
    /// Metrics that only some of the runs have, as those of probabilities.
    pub left_out: Vec<String>,
    /// Each run but the first, against the first; empty for a text task.
    pub flips: Vec<Flips>,
}

/// Answers that are right in one of two runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Flips {
    /// Rows that the baseline gets wrong and the run gets right.
    pub gained: usize,
    /// The other way round.
    pub lost: usize,
    /// Reels of the first of them, gained.
    pub gained_reels: Vec<String>,
    /// Reels of the first of them, lost.
    pub lost_reels: Vec<String>,
}

/// One metric of all runs.
#[derive(Debug, Clone, Serialize)]
pub struct MetricComparison {
    /// By run.
    pub values: Vec<f64>,
    /// Bounds of the 95 % interval of each run, from the same resamples.
    pub intervals: Vec<[f64; 2]>,
    /// Each run but the first, against the first.
    pub differences: Vec<MetricDifference>,
    /// Indices of the runs that no test tells from the best one, which is among them; max-T over all pairs.
    pub best: Vec<usize>,
    /// How much the best run's value is expected to be too good for having been picked on this data.
    pub optimism: f64,
}

/// A run minus the baseline.
#[derive(Debug, Clone, Serialize)]
pub struct MetricDifference {
    /// In the metric's unit.
    pub value: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
    /// How the interval was made.
    pub method: String,
    /// `mcnemar`, `sign-flip` (means), `label-swap` (F1 and its kind); absent for metrics without a test.
    pub test: Option<String>,
    /// Two-sided.
    pub p: Option<f64>,
    /// Holm's, over the runs.
    pub p_adjusted: Option<f64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub verdict: Verdict,
    /// The smallest difference that this data would show four times out of five.
    pub smallest_shown: f64,
}

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verdict {
    Better,
    Worse,
    NoDifferenceShown,
    /// Neither more nor less is better.
    Different,
    /// The metric has no test.
    NotTested,
}

/// Compares runs; the first is the baseline.
///
/// # Errors
/// When the runs don't answer the same tasks on the same data, with what differs.
pub fn compare(runs: &[Run], settings: &ScoreSettings) -> Result<Comparison> {
    ensure!(runs.len() > 1, "one run can't be compared\nhint: name two result directories or more");
    let tasks = common_tasks(runs)?;
    let tables: Vec<Table> = runs.iter().map(|run| run.table.restricted(&tasks)).collect();
    for (run, table) in runs.iter().zip(&tables).skip(1) {
        check_same_data(&runs[0].name, &tables[0], &run.name, table)?;
    }

    // The same for all runs, as they are of the same data in the same order.
    let clusters = tables[0].clusters();
    let plan = ResamplePlan::new(clusters.count, settings);
    let common: Vec<IndexSet<String>> = (0..tasks.len()).map(|task| common_keys(&tables, task)).collect();
    let sheets: Vec<Sheet> = tables.iter().map(|table| Sheet::of(table, &clusters, Some(&common))).collect();
    let width = sheets[0].width();
    let write = |weights: &[u16], values: &mut [f64]| {
        for (sheet, values) in sheets.iter().zip(values.chunks_exact_mut(width)) {
            sheet.write(weights, values);
        }
    };
    let whole: Vec<Vec<f64>> = sheets.iter().map(|sheet| sheet.values(clusters.count)).collect();
    let replicates = plan.replicates(runs.len() * width, write);
    let jackknife = plan.jackknife(runs.len() * width, write);
    let swapped: Vec<Replicates> = sheets[1..]
        .iter()
        .map(|sheet| plan.permutations(width, |chosen, values| sheet.swapped(&sheets[0], chosen, values)))
        .collect();

    let mut compared = IndexMap::new();
    let mut at = 0;
    for (index, task) in tasks.iter().enumerate() {
        let rows: Vec<&TaskTable> = tables.iter().map(|table| &table.tasks[index]).collect();
        let sampling = sampling(rows[0], &clusters.of_task[index], clusters.unit());
        let flips: Vec<Flips> = (1..runs.len()).map(|run| flips(&tables[run], &tables[0], index)).collect();
        let mut metrics = IndexMap::new();
        for statistic in &sheets[0].tasks[index] {
            for key in &statistic.keys {
                let columns: Vec<Vec<f64>> = (0..runs.len()).map(|run| replicates.column(run * width + at)).collect();
                let values: Vec<f64> = whole.iter().map(|values| values[at]).collect();
                let mut differences: Vec<MetricDifference> = (1..runs.len())
                    .map(|run| {
                        let resampled = minus(&columns[run], &columns[0]);
                        let left_out = minus(&jackknife.column(run * width + at), &jackknife.column(at));
                        let test = if !statistic.can_swap() {
                            None
                        } else if key == "accuracy" && sampling.clusters == rows[0].len() {
                            let Flips { gained, lost, .. } = flips[run - 1];
                            Some(("mcnemar", mcnemar(gained as u64, lost as u64)))
                        } else {
                            let drawn = swapped[run - 1].column(at).into_iter();
                            Some((swap_name(task, key), randomisation_p(values[run] - values[0], drawn)))
                        };
                        difference(values[run] - values[0], resampled, &left_out, test)
                    })
                    .collect();
                judge(&mut differences, key);
                let sign = if less_is_better(key) { -1.0 } else { 1.0 };
                let (best, optimism) = tied_with_best(&values, &columns, sign);
                let interval = |(run, column): (usize, Vec<f64>)| {
                    let interval = bca(values[run], column, &jackknife.column(run * width + at));
                    [interval.low, interval.high]
                };
                let intervals = columns.into_iter().enumerate().map(interval).collect();
                metrics.insert(key.clone(), MetricComparison { values, intervals, differences, best, optimism });
                at += 1;
            }
        }
        let all = tables.iter().flat_map(|table| keys(table, index));
        let left_out: IndexSet<String> = all.filter(|key| !common[index].contains(key)).collect();
        let task_comparison = TaskComparison {
            n: rows[0].len(),
            sampling,
            main: main_metric(task.kind).to_owned(),
            metrics,
            left_out: left_out.into_iter().collect(),
            flips: if task.kind == TaskKind::Label { flips } else { vec![] },
        };
        compared.insert(task.name.clone(), task_comparison);
    }
    let signature = format!(
        "paired|ci:bca|level:0.95|B:{}|cluster:{}|tests:mcnemar,sign-flip,label-swap|adjusted:holm,max-t|seed:{}|v:{}",
        settings.bootstrap,
        clusters.unit(),
        settings.seed,
        env!("CARGO_PKG_VERSION")
    );
    let scored: BTreeSet<&String> = runs.iter().flat_map(|run| scored(&run.table)).map(|task| &task.name).collect();
    let left_out = scored.into_iter().filter(|name| !compared.contains_key(*name)).cloned().collect();
    Ok(Comparison {
        v: 1,
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        tasks: compared,
        left_out,
        signature,
    })
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

/// Answers of a task that are right in one of two runs.
fn flips(run: &Table, baseline: &Table, task: usize) -> Flips {
    let mut flips = Flips::default();
    let answers = run.tasks[task].labels().iter().zip(baseline.tasks[task].labels());
    for ((reel, ..), (own, other)) in run.keys(task).zip(answers) {
        let (count, reels) = match (own.is_right(), other.is_right()) {
            (true, false) => (&mut flips.gained, &mut flips.gained_reels),
            (false, true) => (&mut flips.lost, &mut flips.lost_reels),
            _ => continue,
        };
        *count += 1;
        if reels.len() < FLIPS {
            reels.push(reel.to_owned());
        }
    }
    flips
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Not judged yet.
fn difference(
    value: f64,
    resampled: Vec<f64>,
    left_out: &[f64],
    test: Option<(&'static str, f64)>,
) -> MetricDifference {
    let smallest_shown = smallest_difference(standard_deviation(&resampled));
    let interval = bca(value, resampled, left_out);
    MetricDifference {
        value,
        low: interval.low,
        high: interval.high,
        method: interval.method,
        test: test.map(|(name, _)| name.to_owned()),
        p: test.map(|(_, p)| p),
        p_adjusted: None,
        verdict: Verdict::NotTested,
        smallest_shown,
    }
}

/// What exchanging rows between two runs is called: for a mean it flips the signs of the rows' differences.
fn swap_name(task: &Task, key: &str) -> &'static str {
    let mean = matches!(task.kind, TaskKind::Text) || key == "accuracy" || less_is_better(key);
    if mean { "sign-flip" } else { "label-swap" }
}

fn judge(differences: &mut [MetricDifference], key: &str) {
    let p_values: Option<Vec<f64>> = differences.iter().map(|difference| difference.p).collect();
    let Some(p_values) = p_values else { return };
    for (difference, adjusted) in differences.iter_mut().zip(holm(&p_values)) {
        difference.p_adjusted = Some(adjusted);
        let more = difference.value > 0.0;
        difference.verdict = if adjusted >= LEVEL {
            Verdict::NoDifferenceShown
        } else if CHECKS.contains(&key) {
            Verdict::Different
        } else if more != less_is_better(key) {
            Verdict::Better
        } else {
            Verdict::Worse
        };
    }
}

/// The runs that aren't told from the best one by single-step max-T over all pairs (Westfall and Young 1993), on
/// differences in units of their standard error; and the bootstrap's estimate of the winner's optimism.
fn tied_with_best(values: &[f64], columns: &[Vec<f64>], sign: f64) -> (Vec<usize>, f64) {
    let runs = values.len();
    let by_value = |a: &usize, b: &usize| (sign * values[*a]).total_cmp(&(sign * values[*b])).then(b.cmp(a));
    let Some(best) = (0..runs).filter(|run| !values[*run].is_nan()).max_by(by_value) else { return (vec![], f64::NAN) };
    let mut errors: HashMap<(usize, usize), f64> = HashMap::new();
    for a in 0..runs {
        for b in 0..a {
            errors.insert((a, b), standard_deviation(&minus(&columns[a], &columns[b])));
        }
    }
    let mut largest = Vec::with_capacity(columns[0].len());
    let (mut optimism, mut n) = (0.0, 0.0);
    for resample in
        (0..columns[0].len()).map(|resample| columns.iter().map(|column| column[resample]).collect::<Vec<f64>>())
    {
        let shift = |run: usize| resample[run] - values[run];
        let pairs = errors.iter().filter(|(_, error)| **error > 0.0);
        let t = pairs.map(|((a, b), error)| ((shift(*a) - shift(*b)) / error).abs());
        largest.push(t.fold(0.0, f64::max));
        let winner = (0..runs)
            .filter(|run| !resample[*run].is_nan())
            .max_by(|a, b| (sign * resample[*a]).total_cmp(&(sign * resample[*b])));
        if let Some(winner) = winner {
            optimism += sign * shift(winner);
            n += 1.0;
        }
    }
    let tied = |run: &usize| {
        let error = errors.get(&(*run.max(&best), *run.min(&best))).copied().unwrap_or(0.0);
        let difference = values[best] - values[*run];
        *run == best
            || difference == 0.0
            || error > 0.0 && randomisation_p(difference / error, largest.iter().copied()) >= LEVEL
    };
    ((0..runs).filter(tied).collect(), optimism / n)
}

fn standard_deviation(values: &[f64]) -> f64 {
    let defined: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mean = defined.iter().sum::<f64>() / defined.len() as f64;
    (defined.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (defined.len() as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::Finish;
    use crate::scores::Row;
    use crate::task::parse_tasks;

    /// A run whose rows can still be changed.
    #[derive(Clone)]
    struct Rows {
        name: String,
        rows: Vec<Row>,
        tasks: Vec<Task>,
    }

    fn compare(runs: &[Rows], settings: &ScoreSettings) -> Result<Comparison> {
        let of = |run: &Rows| Run { name: run.name.clone(), table: Table::of(&run.rows, &run.tasks).unwrap() };
        super::compare(&runs.iter().map(of).collect::<Vec<_>>(), settings)
    }

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 999, seed: 42 };

    /// 90 Reels of 30 accounts, of which a run gets `right` right.
    fn run(name: &str, right: impl Fn(usize) -> bool) -> Rows {
        let tasks = "[task.ad]\nkind = \"label\"\ntemplate = \"a\"\nmax_tokens = 9\nlabels = [\"ya\", \"bukan\"]\n";
        let row = |index: usize| {
            let reference = ["ya", "bukan"][index % 2];
            let output = ["ya", "bukan"][(index + usize::from(!right(index))) % 2];
            Row {
                v: 1,
                reel_id: format!("r{index}"),
                account: Some(format!("a{}", index / 3)),
                task: "ad".into(),
                repeat: 0,
                prompt: String::new(),
                reference: Some(reference.into()),
                output: output.into(),
                label_logprobs: None,
                finish: Finish::Stop,
                metrics: [("correct".to_owned(), f64::from(u8::from(right(index))))].into(),
                flags: vec![],
                slices: IndexMap::new(),
            }
        };
        Rows { name: name.into(), rows: (0..90).map(row).collect(), tasks: parse_tasks(tasks, "tasks.toml").unwrap() }
    }

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
            assert_eq!((difference.value, difference.low, difference.high), (0.0, 0.0, 0.0));
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
    fn other_data_are_refused_with_what_differs() {
        let first = run("a", |_| true);
        let changed = |change: fn(&mut Rows)| {
            let mut other = run("b", |_| true);
            change(&mut other);
            compare(&[first.clone(), other], &SETTINGS).unwrap_err().to_string()
        };
        for (message, expected) in [
            (changed(|run| drop(run.rows.remove(4))), "b lacks 1 of the rows of a, the first of them Reel \"r4\""),
            (changed(|run| run.rows[2].reel_id = "x".into()), "b lacks 1 of the rows of a"),
            (
                changed(|run| run.rows[2].reference = Some("bukan".into())),
                "Reel \"r2\", task \"ad\" has another reference in b than in a",
            ),
            (changed(|run| run.rows[2].account = None), "has another account in b than in a"),
            (changed(|run| run.tasks[0].labels.reverse()), "task \"ad\" has other labels in b than in a"),
            (
                changed(|run| run.rows.iter_mut().for_each(|row| row.task = "mood".into())),
                "the runs have no task in common: a answers ad; b answers nothing with a reference",
            ),
            (compare(&[run("a", |_| true)], &SETTINGS).unwrap_err().to_string(), "one run can't be compared"),
        ] {
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
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
