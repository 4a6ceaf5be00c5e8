//! A comparison of runs as plain text for a terminal.

use comfy_table::Table;

use super::intervals::unknown_in_words;
use super::metrics::{self, counted, decimal};
use super::table::empty;
use super::{RunDifference, rated};
use crate::score::compare::{Comparison, MetricComparison, MetricDifference, TaskComparison, Verdict};
use crate::score::metric::{Direction, direction, main_metric};
use crate::score::significance::LEVEL;
use crate::task::TaskKind;

/// For each task what the main metric says in a sentence, then all metrics; `differing` is what else differs between the
/// runs.
pub fn comparison(comparison: &Comparison, differing: &[RunDifference]) -> String {
    let mut parts = Vec::new();
    let mut head = format!("baseline: {}", comparison.runs[0]);
    for line in differing {
        head.push_str(&format!("\ndiffers in {}: {}", line.what, line.values.join(" · ")));
    }
    parts.push(head);
    for (name, task) in &comparison.tasks {
        let sampling = &task.sampling;
        let units = counted(sampling.clusters, sampling.unit());
        let unknown = unknown_in_words(sampling).map_or(String::new(), |unknown| format!(" ({unknown})"));
        parts.push(format!("{name}: {}, of {units}{unknown}", counted(task.n, "row")));
        parts.extend(coverage(comparison, task));
        parts.push(sentences(comparison, task).join("\n"));
        parts.push(table(comparison, task).trim_fmt());
    }
    parts.push(rated::verdicts(comparison).join("\n"));
    for (caption, table) in rated::tables(comparison) {
        let mut lines = empty(&table.header.iter().map(String::as_str).collect::<Vec<_>>(), 1);
        lines.add_rows(table.rows);
        parts.push(format!("{caption}\n{}", lines.trim_fmt()));
    }
    parts.extend(left_out(comparison));
    parts.push(comparison.signature.clone());
    parts.extend(comparison.ratings.iter().map(|(task, ratings)| format!("ratings of {task}: {}", ratings.signature)));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// The verdicts on all tasks, and what they leave out.
pub(super) fn verdicts(comparison: &Comparison) -> Vec<String> {
    let of = |(name, task): (&String, &TaskComparison)| {
        sentences(comparison, task).into_iter().map(|sentence| format!("{name}: {sentence}")).collect::<Vec<_>>()
    };
    let mut verdicts: Vec<String> = comparison.tasks.iter().flat_map(of).collect();
    verdicts.extend(rated::verdicts(comparison));
    verdicts.extend(notes(comparison));
    verdicts
}

/// Which answers are missing, and which tasks are left out.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let missing = comparison.tasks.iter();
    let missing = missing.filter_map(|(name, task)| Some(format!("{name}: {}", coverage(comparison, task)?)));
    missing.chain(left_out(comparison)).collect()
}

/// The tasks that only some of the runs answer; `None` where all runs answer all.
pub fn left_out(comparison: &Comparison) -> Option<String> {
    let tasks = comparison.left_out.join(", ");
    (!tasks.is_empty()).then(|| format!("Not compared, because only some of the runs answer it: {tasks}."))
}

/// Of how many answers that were asked for each run has one; `None` where all have all.
fn coverage(comparison: &Comparison, task: &TaskComparison) -> Option<String> {
    if task.answered.iter().all(|answered| *answered == task.asked) {
        return None;
    }
    let runs = comparison.runs.iter().zip(&task.answered);
    let of_runs: Vec<String> = runs.map(|(run, answered)| format!("{run} {}", metrics::count(*answered))).collect();
    let fate = if task.answered_only { "are left out" } else { "count as wrong" };
    let (asked, of_runs) = (counted(task.asked, "answer"), of_runs.join(", "));
    Some(format!("Of {asked} asked for there are: {of_runs}. The missing ones {fate}."))
}

/// The verdict on the main metric, of each run and of all.
fn sentences(comparison: &Comparison, task: &TaskComparison) -> Vec<String> {
    let Some(metric) = task.metrics.get(&task.main) else { return vec![] };
    let mut lines: Vec<String> = metric
        .differences
        .iter()
        .zip(&comparison.runs[1..])
        .map(|(difference, run)| sentence(difference, run, &comparison.runs[0], task))
        .collect();
    let kind = if task.flips.is_empty() { TaskKind::Text } else { TaskKind::Label };
    lines.extend(task.main_instead.as_ref().map(|why| {
        let [of_kind, instead] = [main_metric(kind).key, &task.main].map(metrics::name);
        match kind {
            TaskKind::Label => format!("Judged by {instead}, as no interval of {of_kind} holds: {why}."),
            TaskKind::Text => format!("Judged by {instead} instead of {of_kind}: {why}."),
        }
    }));
    if comparison.runs.len() > 2 {
        lines.push(best(comparison, metric, &task.main));
    }
    lines
}

fn sentence(difference: &MetricDifference, run: &str, baseline: &str, task: &TaskComparison) -> String {
    let MetricDifference { value, low, high, smallest_shown, withheld, differing, .. } = difference;
    let metric = metrics::name(&task.main);
    let bounds = match withheld {
        Some(why) => format!("{} in {metric}, without an interval: {why}", signed(*value)),
        None => format!("{} in {metric}, 95\u{a0}% interval {} to {}", signed(*value), signed(*low), signed(*high)),
    };
    match difference.verdict {
        Verdict::Better => format!("{run} is better than {baseline}: {bounds}."),
        Verdict::Worse => format!("{run} is worse than {baseline}: {bounds}."),
        _ if task.sampling.clusters < 2 => format!(
            "This data can’t tell {run} from {baseline}, however far apart they are: {bounds}. A test takes two {}s or more.",
            task.sampling.unit()
        ),
        _ if *value == 0.0 && *differing == 0 => {
            format!("{run} and {baseline} have the same {metric} in every {}.", task.sampling.unit())
        }
        _ => match difference.smallest_p {
            Some(smallest) if smallest >= LEVEL => format!(
                "This data can’t tell {run} from {baseline}, however far apart they are: {bounds}. They differ in too few places; the smallest p that the test can give is {}.",
                p_value(smallest)
            ),
            _ => {
                let shown = decimal(*smallest_shown);
                let but = match difference.p_adjusted {
                    Some(p) if *low > 0.0 || *high < 0.0 => {
                        format!(
                            " The interval leaves out 0, but the adjusted test doesn’t reject (p = {}).",
                            p_value(p)
                        )
                    }
                    _ => String::new(),
                };
                format!(
                    "No difference shown between {run} and {baseline}: {bounds}.{but} This data could have shown {shown} (4 times out of 5)."
                )
            }
        },
    }
}

/// The interval of a difference as a table has it.
pub(super) fn interval(difference: &MetricDifference) -> String {
    match difference.withheld {
        Some(_) => "withheld".into(),
        None => format!("{} – {}", signed(difference.low), signed(difference.high)),
    }
}

/// Who may be the best, and how much too good the best one looks.
fn best(comparison: &Comparison, metric: &MetricComparison, key: &str) -> String {
    let names: Vec<&str> = metric.best.iter().map(|run| comparison.runs[*run].as_str()).collect();
    let mut line = match &names[..] {
        [name] => format!("{name} is the best of all."),
        names => format!("Tied for the best: {}.", names.join(", ")),
    };
    if metric.optimism > 0.0005 {
        line.push_str(&format!(
            " Picked on this data, the best value of {} is about {} too good; report it on data it was not picked on.",
            metrics::name(key),
            decimal(metric.optimism)
        ));
    }
    line
}

fn table(comparison: &Comparison, task: &TaskComparison) -> Table {
    let mut table = empty(&["metric", "run", "value", "difference", "95 % interval", "p", "verdict"], 2);
    for (key, metric) in task.metrics.iter().filter(|(key, _)| direction(key) != Direction::Neither) {
        for (index, (run, value)) in comparison.runs.iter().zip(&metric.values).enumerate() {
            let key = if index == 0 { key.as_str() } else { "" };
            let mut cells = vec![key.to_owned(), run.clone(), decimal(*value)];
            match index.checked_sub(1).map(|index| &metric.differences[index]) {
                None => cells.extend(vec![String::new(); 4]),
                Some(difference) => cells.extend([
                    signed(difference.value),
                    interval(difference),
                    difference.p_adjusted.map_or("–".to_owned(), p_value),
                    word(difference.verdict).to_owned(),
                ]),
            }
            table.add_row(cells);
        }
    }
    table
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::NoDifferenceShown => "no difference shown",
        Verdict::Different => "different",
        Verdict::NotTested => "not tested",
    }
}

pub(super) fn signed(value: f64) -> String {
    let text = decimal(value);
    if value > 0.0 && text != "0.000" { format!("+{text}") } else { text.replace('-', "−") }
}

pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{IntervalMethod, ScoreSettings};
    use crate::prediction::Finish;
    use crate::report::fixture;
    use crate::score::Table;
    use crate::score::compare::{Run, compare};
    use crate::scores::Row;

    /// Two Reels of `accounts`, of which a run gets `right` right.
    fn run(name: &str, accounts: [&str; 2], right: [bool; 2]) -> Run {
        let row = |reel: usize| Row {
            account: Some(accounts[reel].into()),
            finish: if right[reel] { Finish::Stop } else { Finish::Invalid },
            ..fixture::row(&format!("r{reel}"), "category")
        };
        Run { name: name.into(), table: Table::of(&[row(0), row(1)], &fixture::tasks()[1..]).unwrap() }
    }

    #[test]
    fn one_account_tells_no_runs_apart() {
        for interval in [None, Some(IntervalMethod::Percentile)] {
            let settings = ScoreSettings { bootstrap: 100, seed: 1, interval };
            let told = |accounts, a, b| {
                verdicts(&compare(&[run("a", accounts, a), run("b", accounts, b)], &settings).unwrap())[0].clone()
            };
            let (one, two) = (["x", "x"], ["x", "y"]);
            let cannot = "category: This data can’t tell b from a, however far apart they are: ";
            for (a, b) in [([false; 2], [true; 2]), ([true, false], [false, true])] {
                let told = told(one, a, b);
                assert!(told.starts_with(cannot) && told.contains("the rows are of 1 account; "), "{told}");
            }
            let same = told(two, [true, false], [true, false]);
            assert!(same.starts_with("category: b and a have the same Weighted F1 in every account."), "{same}");
        }
    }
}
