//! `reels score`: metrics and a report from predictions, without a model.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::data::Data;
use super::predict::finish_manifest;
use super::{Code, folder, threshold};
use crate::config::{ScoreRun, ScoreSettings};
use crate::predict::predictions_path;
use crate::prediction::{Prediction, read_predictions};
use crate::prompt::PromptSet;
use crate::reel::Reel;
use crate::report::{self, Report};
use crate::run::{EnvironmentFailure, sha256_file, timestamp, write_atomically, write_json, write_jsonl};
use crate::score;
use crate::scores::Scores;
use crate::task::{Task, check_references};

pub(super) fn run(run: ScoreRun) -> Result<Code> {
    let beside = run.predictions.parent().unwrap_or(Path::new(""));
    let stored = beside.join("prompts");
    let prompts = run.prompts.or_else(|| stored.join("tasks.toml").is_file().then_some(stored));
    let prompts = PromptSet::find(prompts.as_deref())?;
    threshold::check(&run.fail_under, &prompts.tasks)?;
    let data = Data::open(run.data.as_deref())?;
    check_references(&data.reels, &prompts.tasks, &data.name)?;
    let predictions = read_predictions(&run.predictions)?;
    ensure!(
        !predictions.is_empty(),
        "{} holds no predictions\nhint: `reels predict` writes them",
        run.predictions.display()
    );

    let inputs = json!({"predictions_sha256": sha256_file(&run.predictions)?, "data_sha256": data.sha256, "prompts_sha256": prompts.sha256()});
    let target = predictions_path(&run.output);
    let in_place = target.exists() && target.canonicalize().ok() == run.predictions.canonicalize().ok();
    let mut manifest =
        folder::manifest(beside)?.unwrap_or_else(|| json!({"v": 1, "crate_version": env!("CARGO_PKG_VERSION")}));
    if !in_place {
        std::fs::create_dir_all(&run.output)
            .and_then(|()| std::fs::copy(&run.predictions, &target))
            .map_err(|error| EnvironmentFailure(format!("cannot write {}: {error}", target.display())))?;
        prompts.write_to(&run.output.join("prompts"))?;
        manifest["command"] = json!("score");
        manifest["started_at"] = json!(timestamp());
        manifest["data"] = json!({"path": data.name, "sha256": data.sha256, "reels": data.reels.len()});
        manifest["inputs"] = inputs;
    }
    let scores = score_into(&run.output, &predictions, &data.reels, &prompts.tasks, run.settings, manifest)?;
    Ok(threshold::judge(&run.fail_under, &scores))
}

/// Writes rows, scores, report and manifest into a result directory, and shows the table.
pub(super) fn score_into(
    folder: &Path,
    predictions: &[Prediction],
    reels: &[Reel],
    tasks: &[Task],
    settings: ScoreSettings,
    mut manifest: Value,
) -> Result<Scores> {
    let rows = score::rows(predictions, reels, tasks)?;
    let scores = score::score(&rows, tasks, &settings);
    manifest["bootstrap"] = json!({"resamples": settings.bootstrap, "seed": settings.seed});
    manifest["finished_at"] = json!(timestamp());
    write_jsonl(&folder.join("rows.jsonl"), &rows)?;
    write_json(&folder.join("scores.json"), &scores)?;
    let title = manifest["model"]["name"].as_str().unwrap_or("predictions").to_owned();
    let page = report::html(&Report { title, scores: &scores, rows: &rows, tasks, manifest: &manifest })
        .context("the report can't be made")?;
    let report_path = folder.join("report.html");
    write_atomically(&report_path, page.as_bytes())?;
    finish_manifest(folder, &mut manifest)?;
    println!("{}", report::table(&scores, &rows));
    eprintln!("report: {}", report_path.display());
    Ok(scores)
}
