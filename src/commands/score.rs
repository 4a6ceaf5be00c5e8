//! `reels score`: metrics and a report from predictions, without a model.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;

use super::predict::{SHARD, finish_manifest};
use super::report::{ResultFiles, add_ratings, write};
use super::{Code, folder, threshold};
use crate::ask::{DataFacts, Evaluation, Inputs, LEDGER, Manifest, Records, Resampling};
use crate::config::{ReportFormat, ScoreRun, ScoringSettings};
use crate::error::{Hint, Shown, environment};
use crate::lines::Lines;
use crate::predict::predictions_path;
use crate::prediction::{Shortened, open_answers};
use crate::prompt::PromptSet;
use crate::publish::{self, write_json};
use crate::report;
use crate::run::{Progress, sha256_file, timestamp};
use crate::score::{self, Asked, Join, MadeBy, Scoring, Table};
use crate::scores::Scores;
use crate::task::Task;

pub(super) fn run(run: ScoreRun) -> Result<Code> {
    let beside = run.predictions.parent().unwrap_or(Path::new(""));
    let stored = beside.join("prompts");
    let prompts = run.prompts.or_else(|| stored.join("tasks.toml").is_file().then_some(stored));
    let prompts = PromptSet::find(prompts.as_deref())?;
    threshold::check(&run.scoring, &prompts.tasks)?;
    let records = Records::open_for(run.data.as_deref(), &prompts.tasks)?;
    records.problems.refuse(run.strict)?;
    let answers = open_answers(&run.predictions)?;
    let mut join = Join::new(&answers, &records.lines, &prompts.tasks)?;
    let found = manifest_of(beside, &join.made_by)?;
    if found.is_none() {
        errln!("model    unknown: no manifest.json beside the answers says what made them");
    }
    if let Some(shard) = found.as_ref().and_then(|manifest| manifest.other.get(SHARD)?.as_str()) {
        return Err(anyhow!(
            "{} is of part {shard} of the records, which has no scores of the whole",
            run.predictions.display()
        )
        .hint("`reels gather` puts the parts together"));
    }
    let of_data = |manifest: &&Manifest| manifest.data.as_ref().is_some_and(|data| data.sha256 == records.sha256);
    if found.as_ref().is_some_and(|manifest| manifest.data.is_some() && !of_data(&manifest)) {
        errln!(
            "warning: {} is not the data that was asked about: records or references differ\nhint: --data names the file that was predicted on",
            records.lines.name()
        );
    }
    let asked = found.as_ref().filter(of_data).map(asked).unwrap_or_default();
    restrict(&mut join, &asked);

    let inputs: Inputs = [
        ("predictions_sha256", sha256_file(&run.predictions)?),
        ("data_sha256", records.sha256.clone()),
        ("prompts_sha256", prompts.sha256()),
    ]
    .map(|(name, hash)| (name.to_owned(), Some(hash)))
    .into();
    let target = predictions_path(&run.output);
    let in_place = target.exists() && target.canonicalize().ok() == run.predictions.canonicalize().ok();
    let mut manifest = found.unwrap_or_else(|| Manifest {
        v: 1,
        crate_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Manifest::default()
    });
    let (path, sha256) = (records.lines.name().to_owned(), records.sha256.clone());
    manifest.data = Some(DataFacts { path, sha256, reels: join.reels() });
    manifest.asked = asked.tasks;
    if !in_place {
        std::fs::create_dir_all(&run.output)
            .map_err(|error| environment(format!("cannot make {}: {error}", run.output.display())))?;
        // A table becomes lines.
        publish::publish(&target, |file| {
            answers.each(|line| {
                file.write_all(line.bytes)?;
                Ok(file.write_all(&b"\n"[..usize::from(line.ended)])?)
            })
        })?;
        prompts.write_to(&run.output.join("prompts"))?;
        manifest.command = Some("score".to_owned());
        manifest.started_at = Some(timestamp());
        manifest.inputs = inputs;
    }
    let scores = score_into(&run.output, &join, &records, &prompts.tasks, &run.scoring, manifest)?;
    records.problems.warn();
    let judged = threshold::judge(&run.scoring.fail_under, &scores);
    Ok(if records.problems.unusable > 0 { Code::SomeFailed } else { judged })
}

/// The manifest of a folder, where it is of these answers.
fn manifest_of(folder: &Path, made_by: &MadeBy) -> Result<Option<Manifest>> {
    let Some(manifest) = folder::manifest(folder)? else { return Ok(None) };
    let known = |sha256: &String| (!sha256.is_empty()).then(|| sha256.clone());
    let model = manifest.model.as_ref().and_then(|model| known(&model.sha256));
    let adapter = manifest.adapter.as_ref().and_then(|adapter| known(&adapter.sha256));
    if (&model, &adapter) == (&made_by.model_sha256, &made_by.adapter_sha256) {
        return Ok(Some(manifest));
    }
    errln!("{} is of another model’s answers: left out", folder.join("manifest.json").display());
    Ok(None)
}

/// What was asked, as a manifest says it.
pub(super) fn asked(manifest: &Manifest) -> Asked {
    Asked { reels: manifest.data.as_ref().map(|data| data.reels), tasks: manifest.asked.clone() }
}

/// Restricts answers to what was asked, and says what that leaves out.
pub(super) fn restrict(join: &mut Join, asked: &Asked) {
    let left_out: Vec<String> =
        join.restrict(asked).iter().map(|(task, answers)| format!("{answers} of {task}")).collect();
    if !left_out.is_empty() {
        errln!(
            "not asked for this time, kept and not scored: answers about further Reels, {}\nhint: without --limit they are scored too",
            left_out.join(", ")
        );
    }
}

/// Writes rows, scores, report and manifest into a result directory, and shows the table.
pub(super) fn score_into(
    folder: &Path,
    join: &Join,
    records: &Records,
    tasks: &[Task],
    settings: &ScoringSettings,
    mut manifest: Manifest,
) -> Result<Scores> {
    let (thresholds, chosen) = threshold::chosen(settings.threshold_from.as_deref(), tasks, records, &manifest)?;
    let rows_path = folder.join("rows.jsonl");
    let ScoringSettings { metrics, answered_only, .. } = *settings;
    let scoring = Scoring { metrics, thresholds, answered_only };
    let progress = Progress::new("rows scored", 0, join.len(), None);
    join.write_rows(&scoring, &rows_path, &|rows| progress.inc(rows))?;
    progress.finish();
    let table = Table::read(&Lines::open(&rows_path, "rows")?, tasks)?;
    let mut scores = score::score(&table, &settings.score, &settings.metrics, &scoring.thresholds);
    drop(table);
    add_ratings(&mut scores, folder, &settings.score)?;
    if join.made_by.model_sha256.is_some() {
        manifest.shortened = Some(Shortened::read(&predictions_path(folder))?);
    }
    manifest.bootstrap = Some(Resampling { resamples: settings.score.bootstrap, seed: settings.score.seed });
    manifest.metrics = json!(settings.metrics);
    manifest.thresholds = Some(chosen);
    write_json(&folder.join("scores.json"), &scores)?;
    let answers = manifest.model.is_none().then(|| join.sha256()).transpose()?;
    note_in_ledger(&mut manifest, answers, folder);
    finish_manifest(folder, &mut manifest)?;
    let result = ResultFiles::read(folder, &settings.score)?;
    let written: Vec<PathBuf> = write(folder, &result.report(None), &[ReportFormat::Html])?;
    outln!("{}", report::table(&result.scores, &result.rows));
    errln!("report: {}", written[0].display());
    Ok(scores)
}

/// Says how many variants the data has judged by now. Scores are worth more than the ledger, so they stand without it.
fn note_in_ledger(manifest: &mut Manifest, answers: Option<String>, folder: &Path) {
    const FEW: usize = 2;
    let Some(evaluation) = Evaluation::of(manifest, answers, folder) else { return };
    match evaluation.note() {
        Err(error) => errln!("warning: {LEDGER} isn't kept: {}", Shown::of(&error)),
        Ok(variants) => {
            manifest.variants = Some(variants);
            if variants > FEW {
                errln!(
                    "warning: {variants} variants of model, prompts and settings have been judged by {} ({LEDGER}): the best of \
                     them looks better than it is\nhint: choose on other data, such as eval/dev.jsonl (--data), and judge \
                     the chosen one by this once",
                    evaluation.data
                );
            }
        }
    }
}
