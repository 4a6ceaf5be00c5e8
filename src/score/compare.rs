//! Which of several runs over the same data is better, and whether the data can tell.
//!
//! Runs are compared row by row: every difference comes from the same resamples, every test exchanges whole clusters
//! between two runs. The first run is the baseline.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, bail, ensure};
use indexmap::IndexMap;
use serde::Serialize;

use super::bootstrap::{Clusters, Plan, Replicates};
use super::interval::bca;
use super::significance::{LEVEL, holm, mcnemar, randomisation_p, smallest_difference};
use super::{Sheet, sampling};
use crate::config::ScoreSettings;
use crate::scores::{Row, Sampling, less_is_better};
use crate::task::{Task, TaskKind};

/// A run to compare: its rows and the tasks they answer.
#[derive(Debug, Clone)]
pub struct Run {
    /// As it is shown.
    pub name: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub rows: Vec<Row>,
    #[expect(missing_docs, reason = "the name says it")]
    pub tasks: Vec<Task>,
}

/// What `reels compare --json` prints.
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
    /// By metric key.
    pub metrics: IndexMap<String, MetricComparison>,
}

/// One metric of all runs.
#[derive(Debug, Clone, Serialize)]
pub struct MetricComparison {
    /// By run.
    pub values: Vec<f64>,
    /// Each run but the first, against the first.
    pub differences: Vec<Difference>,
    /// Indices of the runs that no test tells from the best one, which is among them; max-T over all pairs.
    pub best: Vec<usize>,
    /// How much the best run's value is expected to be too good for having been picked on this data.
    pub optimism: f64,
}

/// A run minus the baseline.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// In the metric's unit.
    pub value: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
    /// How the interval was made.
    pub method: String,
    /// `mcnemar`, `sign-flip` (means), `label-swap` (F1 and its kind); absent for metrics without a test.
    pub test: Option<&'static str>,
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
    let scored: Vec<Vec<&Row>> = runs
        .iter()
        .map(|run| {
            let wanted = |row: &&Row| row.reference.is_some() && tasks.iter().any(|task| task.name == row.task);
            let mut rows: Vec<&Row> = run.rows.iter().filter(wanted).collect();
            rows.sort_by_key(|row| (&row.task, &row.reel_id, row.repeat));
            rows
        })
        .collect();
    for (run, rows) in runs.iter().zip(&scored).skip(1) {
        check_same_data(&runs[0].name, &scored[0], &run.name, rows)?;
    }

    let clusters = Clusters::of(&scored[0]);
    let plan = Plan::new(clusters.count(), settings);
    let sheets: Vec<Sheet> = scored.iter().map(|rows| Sheet::of(rows, &tasks, &clusters)).collect();
    let width = sheets[0].width();
    ensure!(
        sheets.iter().all(|sheet| sheet.width() == width),
        "only some of the runs have label probabilities\nhint: predict all with the same --label-mode"
    );
    let write = |weights: &[u16], values: &mut [f64]| {
        for (sheet, values) in sheets.iter().zip(values.chunks_exact_mut(width)) {
            sheet.write(weights, values);
        }
    };
    let whole: Vec<Vec<f64>> = sheets.iter().map(|sheet| sheet.values(clusters.count())).collect();
    let replicates = plan.replicates(runs.len() * width, write);
    let jackknife = plan.jackknife(runs.len() * width, write);
    let swapped: Vec<Replicates> = sheets[1..]
        .iter()
        .map(|sheet| plan.permutations(width, |chosen, values| sheet.swapped(&sheets[0], chosen, values)))
        .collect();

    let mut compared = IndexMap::new();
    let mut at = 0;
    for (index, task) in tasks.iter().enumerate() {
        let rows: Vec<Vec<&Row>> =
            scored.iter().map(|rows| rows.iter().copied().filter(|row| row.task == task.name).collect()).collect();
        let drawn: Vec<usize> = rows[0].iter().map(|row| clusters.index(row)).collect();
        let sampling = sampling(&drawn, clusters.unit());
        let mut metrics = IndexMap::new();
        for statistic in &sheets[0].tasks[index] {
            for key in &statistic.keys {
                let columns: Vec<Vec<f64>> = (0..runs.len()).map(|run| replicates.column(run * width + at)).collect();
                let values: Vec<f64> = whole.iter().map(|values| values[at]).collect();
                let mut differences: Vec<Difference> = (1..runs.len())
                    .map(|run| {
                        let resampled = minus(&columns[run], &columns[0]);
                        let left_out = minus(&jackknife.column(run * width + at), &jackknife.column(at));
                        let test = if !statistic.can_swap() {
                            None
                        } else if key == "accuracy" && sampling.clusters == rows[0].len() {
                            Some(("mcnemar", exact(&rows[run], &rows[0])))
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
                metrics.insert(key.clone(), MetricComparison { values, differences, best, optimism });
                at += 1;
            }
        }
        let main = if matches!(task.kind, TaskKind::Text) { "rougeL" } else { "macro_f1" };
        let task_comparison = TaskComparison { n: rows[0].len(), sampling, main: main.to_owned(), metrics };
        if task_comparison.n > 0 {
            compared.insert(task.name.clone(), task_comparison);
        }
    }
    ensure!(!compared.is_empty(), "no row of these runs has a reference\nhint: score them with labelled --data");
    let signature = format!(
        "paired|ci:bca|level:0.95|B:{}|cluster:{}|tests:mcnemar,sign-flip,label-swap|adjusted:holm,max-t|seed:{}|v:{}",
        settings.bootstrap,
        clusters.unit(),
        settings.seed,
        env!("CARGO_PKG_VERSION")
    );
    let answered: BTreeSet<&String> = runs.iter().flat_map(|run| &run.rows).map(|row| &row.task).collect();
    let left_out = answered.into_iter().filter(|name| !compared.contains_key(*name)).cloned().collect();
    Ok(Comparison {
        v: 1,
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        tasks: compared,
        left_out,
        signature,
    })
}

/// The tasks that all runs answer, as the first has them.
fn common_tasks(runs: &[Run]) -> Result<Vec<Task>> {
    let answered = |run: &Run| -> BTreeSet<String> { run.rows.iter().map(|row| row.task.clone()).collect() };
    let answered: Vec<BTreeSet<String>> = runs.iter().map(answered).collect();
    let mut common = Vec::new();
    for task in runs[0].tasks.iter().filter(|task| answered.iter().all(|names| names.contains(&task.name))) {
        for run in &runs[1..] {
            let other = run.tasks.iter().find(|other| other.name == task.name);
            ensure!(
                other.is_some_and(|other| other.labels == task.labels && other.positive == task.positive),
                "task {:?} has other labels in {} than in {}\nhint: compare runs with the same tasks.toml",
                task.name,
                run.name,
                runs[0].name
            );
        }
        common.push(task.clone());
    }
    if common.is_empty() {
        let listed = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        bail!(
            "the runs have no task in common: {}\nhint: predict the same tasks",
            runs.iter()
                .zip(&answered)
                .map(|(run, names)| format!("{} answers {}", run.name, listed(names)))
                .collect::<Vec<_>>()
                .join("; ")
        );
    }
    Ok(common)
}

/// Both sorted by task, Reel and repeat.
fn check_same_data(first: &str, a: &[&Row], second: &str, b: &[&Row]) -> Result<()> {
    fn keys<'a>(rows: &[&'a Row]) -> BTreeSet<(&'a str, &'a str, u32)> {
        rows.iter().map(|row| (row.task.as_str(), row.reel_id.as_str(), row.repeat)).collect()
    }
    let (of_a, of_b) = (keys(a), keys(b));
    for (has, lacks, name, other) in [(&of_a, &of_b, first, second), (&of_b, &of_a, second, first)] {
        let missing: Vec<_> = has.difference(lacks).collect();
        if let Some((task, reel, repeat)) = missing.first() {
            bail!(
                "{other} lacks {} of the rows of {name}, the first of them Reel {reel:?}, task {task:?}, repeat {repeat}\nhint: both runs must answer the same data; give the same --data (and --repeats) to both, or finish the interrupted one",
                missing.len()
            );
        }
    }
    let differs = a.iter().zip(b).find(|(a, b)| a.reference != b.reference || a.account != b.account);
    if let Some((a, b)) = differs {
        let what = if a.reference == b.reference { "account" } else { "reference" };
        bail!(
            "Reel {:?}, task {:?} has another {what} in {second} than in {first}\nhint: the runs were scored with different data; score both again with the same --data",
            a.reel_id,
            b.task
        );
    }
    Ok(())
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Not judged yet.
fn difference(value: f64, resampled: Vec<f64>, left_out: &[f64], test: Option<(&'static str, f64)>) -> Difference {
    let smallest_shown = smallest_difference(standard_deviation(&resampled));
    let interval = bca(value, resampled, left_out);
    Difference {
        value,
        low: interval.low,
        high: interval.high,
        method: interval.method,
        test: test.map(|(name, _)| name),
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

/// McNemar's test on rows in the same order.
fn exact(first: &[&Row], second: &[&Row]) -> f64 {
    let correct = |row: &Row| row.metrics.get("correct") == Some(&1.0);
    let only = |a: &[&Row], b: &[&Row]| a.iter().zip(b).filter(|(a, b)| correct(a) && !correct(b)).count() as u64;
    mcnemar(only(first, second), only(second, first))
}

fn judge(differences: &mut [Difference], key: &str) {
    let p_values: Option<Vec<f64>> = differences.iter().map(|difference| difference.p).collect();
    let Some(p_values) = p_values else { return };
    for (difference, adjusted) in differences.iter_mut().zip(holm(&p_values)) {
        difference.p_adjusted = Some(adjusted);
        let more = difference.value > 0.0;
        difference.verdict = if adjusted >= LEVEL {
            Verdict::NoDifferenceShown
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
    use crate::task::parse_tasks;

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 999, seed: 42 };

    /// 90 Reels of 30 accounts, of which a run gets `right` right.
    fn run(name: &str, right: impl Fn(usize) -> bool) -> Run {
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
            }
        };
        Run { name: name.into(), rows: (0..90).map(row).collect(), tasks: parse_tasks(tasks, "tasks.toml").unwrap() }
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
        assert!((good.value - 0.4).abs() < 1e-12 && good.low > 0.0 && good.test == Some("sign-flip"));
        assert!(good.p >= Some(1.0 / 1000.0) && good.p_adjusted > good.p);
        assert_eq!(accuracy.best, [1, 3]);
        assert_eq!(comparison.tasks["ad"].metrics["macro_f1"].differences[0].test, Some("label-swap"));
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
        assert_eq!((accuracy.test, accuracy.p), (Some("mcnemar"), Some(mcnemar(20, 21))));
    }

    #[test]
    fn other_data_are_refused_with_what_differs() {
        let first = run("a", |_| true);
        let changed = |change: fn(&mut Run)| {
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
                "the runs have no task in common: a answers ad; b answers mood",
            ),
            (compare(&[run("a", |_| true)], &SETTINGS).unwrap_err().to_string(), "one run can't be compared"),
        ] {
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
    }
}
