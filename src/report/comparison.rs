//! A comparison of runs as plain text for a terminal.

use comfy_table::Table;

use super::RunDifference;
use super::metrics::{self, counted, decimal};
use super::table::empty;
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
        parts.push(format!("{name}: {}, of {units}", counted(task.n, "row")));
        parts.push(sentences(comparison, task).join("\n"));
        parts.push(table(comparison, task).trim_fmt());
    }
    if !comparison.left_out.is_empty() {
        parts
            .push(format!("not compared, because only some of the runs answer it: {}", comparison.left_out.join(", ")));
    }
    parts.push(comparison.signature.clone());
    parts.join("\n\n")
}

/// The verdicts on all tasks.
pub(super) fn verdicts(comparison: &Comparison) -> Vec<String> {
    let of = |(name, task): (&String, &TaskComparison)| {
        sentences(comparison, task).into_iter().map(|sentence| format!("{name}: {sentence}")).collect::<Vec<_>>()
    };
    comparison.tasks.iter().flat_map(of).collect()
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
        format!("Judged by {instead}, as no interval of {of_kind} holds: {why}.")
    }));
    if comparison.runs.len() > 2 {
        lines.push(best(comparison, metric, &task.main));
    }
    lines
}

fn sentence(difference: &MetricDifference, run: &str, baseline: &str, task: &TaskComparison) -> String {
    let MetricDifference { value, low, high, smallest_shown, withheld, .. } = difference;
    let metric = metrics::name(&task.main);
    let bounds = match withheld {
        Some(why) => format!("{} in {metric}, without an interval: {why}", signed(*value)),
        None => format!("{} in {metric}, 95\u{a0}% interval {} to {}", signed(*value), signed(*low), signed(*high)),
    };
    match difference.verdict {
        Verdict::Better => format!("{run} is better than {baseline}: {bounds}."),
        Verdict::Worse => format!("{run} is worse than {baseline}: {bounds}."),
        _ if *value == 0.0 && difference.smallest_p == Some(1.0) => {
            format!("{run} and {baseline} have the same {metric}, row for row.")
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
