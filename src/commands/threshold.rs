//! Thresholds: `--fail-under`, an exit code from a metric's interval; and those that decide yes/no tasks.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{Code, folder};
use crate::ask::{Manifest, Records};
use crate::config::{ScoringSettings, Threshold};
use crate::error::Hint;
use crate::lines::Lines;
use crate::reel::each_reel;
use crate::score::metric::{Direction, direction, find};
use crate::score::{self, Table, Thresholds};
use crate::scores::{Metric, Scores};
use crate::task::Task;

/// Refuses thresholds that no score can be compared with, before anything is computed.
pub(super) fn check(settings: &ScoringSettings, tasks: &[Task]) -> Result<()> {
    if let Some(dev) = &settings.threshold_from {
        ensure!(
            dev.join("rows.jsonl").is_file(),
            anyhow!("--threshold-from {}: not a result directory, it has no rows.jsonl", dev.display())
                .hint("`reels eval` on dev data writes one")
        );
    }
    for Threshold { task: name, metric, least } in &settings.fail_under {
        let task = tasks
            .iter()
            .find(|task| task.name == *name)
            .with_context(|| format!("--fail-under names an unknown task {name:?}"))
            .with_hint(|| {
                let known: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
                format!("tasks are {}", known.join(", "))
            })?;
        let mut keys = score::metric_keys(task, &settings.metrics);
        keys.retain(|key| direction(key) == Direction::Higher);
        let why = if direction(metric) == Direction::Lower { "one of which less is better" } else { "unknown" };
        ensure!(
            keys.contains(metric),
            anyhow!("--fail-under {name}.{metric}: the metric is {why}")
                .hint(format!("metrics of {name} are {}", keys.join(", ")))
        );
        ensure!(
            find(metric).is_none_or(|info| info.range.holds(*least)),
            anyhow!("--fail-under {name}.{metric}={least}: no {metric} is so").hint("it goes up to 1, as 0.8")
        );
    }
    Ok(())
}

/// The thresholds that are best for a result on dev data, and what the manifest is to say of them.
pub(super) fn chosen(
    dev: Option<&Path>,
    tasks: &[Task],
    records: &Records,
    manifest: &Manifest,
) -> Result<(Thresholds, Value)> {
    let Some(dev) = dev else { return Ok((Thresholds::new(), Value::Null)) };
    let dev_manifest = folder::manifest(dev)?.unwrap_or_default();
    let of = |manifest: &Manifest| {
        [
            ("model", manifest.model.as_ref().map(|model| model.sha256.clone())),
            ("adapter", manifest.adapter.as_ref().map(|adapter| adapter.sha256.clone())),
            ("prompts", manifest.prompts.as_ref().map(|prompts| prompts.sha256.clone())),
        ]
    };
    for ((what, theirs), (_, ours)) in of(&dev_manifest).into_iter().zip(of(manifest)) {
        ensure!(
            theirs == ours,
            anyhow!(
                "--threshold-from {}: it is of another {what}, whose probabilities mean something else",
                dev.display()
            )
            .hint("evaluate the same model with the same prompts on dev data")
        );
    }
    let table = Table::read(&Lines::open(&dev.join("rows.jsonl"), "rows")?, tasks)?;
    each_reel(&records.lines, |reel, _| {
        if table.has_reel(&reel.id) {
            bail!(
                anyhow!(
                    "--threshold-from {}: Reel {:?} is in both, so the threshold would be chosen on the data it is \
                     judged on",
                    dev.display(),
                    reel.id
                )
                .hint("choose it on other data")
            );
        }
        Ok(())
    })?;
    let thresholds = score::best_thresholds(&table);
    ensure!(
        !thresholds.is_empty(),
        anyhow!(
            "--threshold-from {}: no task in it has a positive label, label probabilities and both labels among its \
             references",
            dev.display()
        )
        .hint("`positive` in tasks.toml names the positive label; --label-mode score gives probabilities")
    );
    let of = |threshold: &f64| {
        json!({
            "value": threshold,
            "best_by": "macro_f1",
            "chosen_on": {"directory": dev.display().to_string(), "data_sha256": dev_manifest.data.as_ref().map(|data| &data.sha256)},
        })
    };
    let described: IndexMap<&String, Value> =
        thresholds.iter().map(|(task, threshold)| (task, of(threshold))).collect();
    let described = json!(described);
    Ok((thresholds, described))
}

/// Shows for each threshold whether it is reached, missed, or can't be decided, and gives the exit code.
pub(super) fn judge(thresholds: &[Threshold], scores: &Scores) -> Code {
    let mut worst = Code::Done;
    for Threshold { task, metric: key, least } in thresholds {
        let metric = scores.tasks.get(task).and_then(|scores| scores.metrics.get(key));
        let (code, verdict) = verdict(*least, metric);
        errln!("{task}.{key} of at least {least}: {verdict}");
        if worst == Code::Done || code == Code::Missed {
            worst = code;
        }
    }
    worst
}

/// Without an interval nothing is decided.
fn verdict(least: f64, metric: Option<&Metric>) -> (Code, String) {
    let undecided = (Code::Undecided, "can't be decided by this data");
    let ((code, word), bounds) = match metric {
        None => (undecided, "no value".to_owned()),
        Some(Metric { value, withheld: Some(why), .. }) => {
            (undecided, format!("{value:.3}, the 95 % interval is withheld: {why}"))
        }
        Some(Metric { value, low, high, .. }) => {
            let verdict = match () {
                () if *low >= least => (Code::Done, "reached"),
                () if *high < least => (Code::Missed, "missed"),
                () => undecided,
            };
            (verdict, format!("{value:.3}, 95 % interval {low:.3} to {high:.3}"))
        }
    };
    (code, format!("{word} ({bounds})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withheld_interval_decides_nothing() {
        let metric = |[low, high]: [f64; 2], withheld: Option<&str>| Metric {
            value: 0.7,
            low,
            high,
            withheld: withheld.map(str::to_owned),
            n: 60,
            clusters: 20,
            method: "jackknife".into(),
            bootstrap: None,
            note: None,
        };
        let shown = metric([0.6, 0.8], None);
        for (least, code, word) in [
            (0.5, Code::Done, "reached ("),
            (0.9, Code::Missed, "missed ("),
            (0.7, Code::Undecided, "can't be decided"),
        ] {
            let (judged, told) = verdict(least, Some(&shown));
            assert!(judged == code && told.starts_with(word) && told.contains("0.600 to 0.800"), "{told}");
        }
        for least in [0.1, 0.9] {
            let (code, told) = verdict(least, Some(&metric([f64::NAN; 2], Some("1 of 2 labels don’t occur: a"))));
            assert!(code == Code::Undecided);
            let expected =
                "can't be decided by this data (0.700, the 95 % interval is withheld: 1 of 2 labels don’t occur: a)";
            assert_eq!(told, expected);
        }
    }
}
