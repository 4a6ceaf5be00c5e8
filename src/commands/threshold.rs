//! `--fail-under`: an exit code from a metric's interval.

use anyhow::{Context, Result, ensure};

use super::Code;
use crate::config::Threshold;
use crate::score;
use crate::scores::{Scores, less_is_better};
use crate::task::Task;

/// Refuses what no score can answer, before anything is computed.
pub(super) fn check(thresholds: &[Threshold], tasks: &[Task]) -> Result<()> {
    for Threshold { task: name, metric, .. } in thresholds {
        let task = tasks.iter().find(|task| task.name == *name).with_context(|| {
            let known: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
            format!("--fail-under names an unknown task {name:?}\nhint: tasks are {}", known.join(", "))
        })?;
        let keys: Vec<&str> = score::metric_keys(task).into_iter().filter(|key| !less_is_better(key)).collect();
        let why = if less_is_better(metric) { "one of which less is better" } else { "unknown" };
        ensure!(
            keys.contains(&metric.as_str()),
            "--fail-under {name}.{metric}: the metric is {why}\nhint: metrics of {name} are {}",
            keys.join(", ")
        );
    }
    Ok(())
}

/// Says of each threshold whether it is reached, missed, or can't be decided.
pub(super) fn judge(thresholds: &[Threshold], scores: &Scores) -> Code {
    let mut worst = Code::Done;
    for Threshold { task, metric: key, least } in thresholds {
        let metric = scores.tasks.get(task).and_then(|scores| scores.metrics.get(key));
        let bounds = metric.map_or("no value".to_owned(), |metric| {
            format!("{:.3}, 95 % interval {:.3} to {:.3}", metric.value, metric.low, metric.high)
        });
        let (code, word) = match metric {
            Some(metric) if metric.low >= *least => (Code::Done, "reached"),
            Some(metric) if metric.high < *least => (Code::Missed, "missed"),
            _ => (Code::Undecided, "can't be decided by this data"),
        };
        eprintln!("{task}.{key} of at least {least}: {word} ({bounds})");
        if worst == Code::Done || code == Code::Missed {
            worst = code;
        }
    }
    worst
}
