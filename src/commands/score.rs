//! `reels score`: metrics and a report from predictions, without a model.

use std::path::{Path, PathBuf};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::data::Records;
use super::predict::finish_manifest;
use super::report::{ResultFiles, write};
use super::{Code, folder, threshold};
use crate::config::{ReportFormat, ScoreRun, ScoringSettings};
use crate::lines::Lines;
use crate::predict::predictions_path;
use crate::prompt::PromptSet;
use crate::publish::{self, write_json};
use crate::report;
use crate::run::{EnvironmentFailure, sha256_file, timestamp};
use crate::score::{self, Join, Table};
use crate::scores::Scores;
use crate::task::Task;

pub(super) fn run(run: ScoreRun) -> Result<Code> {
    let beside = run.predictions.parent().unwrap_or(Path::new(""));
    let stored = beside.join("prompts");
    let prompts = run.prompts.or_else(|| stored.join("tasks.toml").is_file().then_some(stored));
    let prompts = PromptSet::find(prompts.as_deref())?;
    threshold::check(&run.scoring, &prompts.tasks)?;
    let records = Records::open(run.data.as_deref())?;
    let predictions = Lines::open(&run.predictions, "predictions")?;
    let join = Join::new(&predictions, &records.lines, &prompts.tasks)?;

    let inputs = json!({"predictions_sha256": sha256_file(&run.predictions)?, "data_sha256": records.sha256, "prompts_sha256": prompts.sha256()});
    let target = predictions_path(&run.output);
    let in_place = target.exists() && target.canonicalize().ok() == run.predictions.canonicalize().ok();
    let mut manifest =
        folder::manifest(beside)?.unwrap_or_else(|| json!({"v": 1, "crate_version": env!("CARGO_PKG_VERSION")}));
    if !in_place {
        std::fs::create_dir_all(&run.output)
            .map_err(|error| EnvironmentFailure(format!("cannot make {}: {error}", run.output.display())))?;
        publish::copy(&run.predictions, &target)?;
        prompts.write_to(&run.output.join("prompts"))?;
        manifest["command"] = json!("score");
        manifest["started_at"] = json!(timestamp());
        manifest["data"] = json!({"path": records.lines.name(), "sha256": records.sha256, "reels": join.reels()});
        manifest["inputs"] = inputs;
    }
    let scores = score_into(&run.output, &join, &records, &prompts.tasks, &run.scoring, manifest)?;
    Ok(threshold::judge(&run.scoring.fail_under, &scores))
}

/// Writes rows, scores, report and manifest into a result directory, and shows the table.
pub(super) fn score_into(
    folder: &Path,
    join: &Join,
    records: &Records,
    tasks: &[Task],
    settings: &ScoringSettings,
    mut manifest: Value,
) -> Result<Scores> {
    let (thresholds, chosen) = threshold::chosen(settings.threshold_from.as_deref(), tasks, records, &manifest)?;
    let rows_path = folder.join("rows.jsonl");
    let bar = progress(join.len());
    join.write_rows(&settings.metrics, &thresholds, &rows_path, &|rows| bar.inc(rows))?;
    bar.finish_and_clear();
    let table = Table::read(&Lines::open(&rows_path, "rows")?, tasks)?;
    let scores = score::score(&table, &settings.score, &settings.metrics, &thresholds);
    drop(table);
    manifest["bootstrap"] = json!({"resamples": settings.score.bootstrap, "seed": settings.score.seed});
    manifest["metrics"] = json!(settings.metrics);
    manifest["thresholds"] = chosen;
    manifest["finished_at"] = json!(timestamp());
    write_json(&folder.join("scores.json"), &scores)?;
    finish_manifest(folder, &mut manifest)?;
    let result = ResultFiles::read(folder)?;
    let written: Vec<PathBuf> = write(folder, &result.report(None), &[ReportFormat::Html])?;
    println!("{}", report::table(&result.scores, &result.rows));
    eprintln!("report: {}", written[0].display());
    Ok(scores)
}

fn progress(rows: usize) -> ProgressBar {
    let bar = ProgressBar::new(rows as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} rows scored, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
