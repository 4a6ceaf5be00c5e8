//! `reels predict`: records × tasks → predictions.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::answerer::{Answerer, Prompts};
use super::data::Records;
use super::{Code, folder};
use crate::config::{ModelName, PredictSettings};
use crate::predict::{self, Asker, Identity, Summary, Work, predictions_path};
use crate::prediction::{Prediction, read_predictions};
use crate::prompt::PromptSet;
use crate::publish::write_json;
use crate::reel::Reel;
use crate::run::{Log, machine, timestamp};
use crate::task::check_reference;

/// Predictions of a run, finished or interrupted.
pub(super) struct Predicted {
    pub folder: PathBuf,
    pub records: Records,
    pub prompts: PromptSet,
    pub manifest: Value,
    pub code: Code,
}

pub(super) fn run(settings: PredictSettings) -> Result<Code> {
    let folder = settings
        .output
        .clone()
        .context("--output is missing\nhint: name a directory for the predictions, e.g. --output out/a")?;
    let mut predicted = predict(&settings, "predict", Some(folder))?;
    if predicted.code != Code::Interrupted {
        finish_manifest(&predicted.folder, &mut predicted.manifest)?;
    }
    eprintln!("predictions: {}", predictions_path(&predicted.folder).display());
    Ok(predicted.code)
}

/// Checks all input, then answers what isn't answered yet. `folder` is chosen when it is `None`.
pub(super) fn predict(settings: &PredictSettings, command: &str, folder: Option<PathBuf>) -> Result<Predicted> {
    let found = Prompts::find(settings)?;
    let prompts = &found.set;
    let mut tasks = predict::select_tasks(&prompts.tasks, &settings.tasks)?;
    let records = Records::open(settings.data.as_deref())?;
    let mut reels = records.read()?;
    reels.iter().try_for_each(|reel| check_reference(reel, &prompts.tasks, records.lines.name()))?;
    reels.truncate(settings.limit.unwrap_or(usize::MAX));

    let answerer = Answerer::open(settings, &prompts.tasks)?;
    leave_out_what_it_cannot_answer(&answerer, prompts, &mut tasks)?;
    let budget = answerer.budget(settings, &found)?;
    let identity = answerer.identity(settings, &prompts.tasks, budget)?;
    let inputs = inputs(&identity, &records, prompts);
    let folder = folder.map_or_else(|| folder::choose(&inputs), Ok)?;
    folder::open(&folder, &inputs)?;
    let mut log = Log::append_to(&predictions_path(&folder))?;
    let earlier = read_predictions(&predictions_path(&folder))?;

    let asker = Asker { prompts, tasks: &tasks, format: answerer.format(budget), label_mode: settings.label_mode };
    let work = predict::prepare(&reels, &asker, &identity, &earlier)?;
    let mut manifest = manifest(command, settings, &answerer, prompts, inputs, budget);
    manifest["data"] = json!({"path": records.lines.name(), "sha256": records.sha256, "reels": reels.len()});
    prompts.write_to(&folder.join("prompts"))?;
    write_json(&folder.join("manifest.json"), &manifest)?;
    announce(settings, &answerer, prompts, &tasks, &work);
    found.warn();
    eprintln!("data     {}, {} Reels", records.lines.name(), reels.len());

    let summary = answer(settings, &reels, &asker, &identity, &work, &answerer, &mut log)?;
    let failed =
        read_predictions(&predictions_path(&folder))?.iter().filter(|prediction| prediction.error.is_some()).count();
    if summary.made > 0 {
        manifest["speed"] = speed(&summary, tasks.len());
        write_json(&folder.join("manifest.json"), &manifest)?;
    }
    let code = if summary.interrupted {
        eprintln!(
            "interrupted: {} of {} predictions are done and kept\nhint: the same command goes on from there",
            work.done_before + summary.made,
            work.done_before + work.left()
        );
        Code::Interrupted
    } else if failed > 0 {
        eprintln!("{failed} predictions failed; their lines in {} say why", predictions_path(&folder).display());
        eprintln!("hint: the same command tries them again");
        Code::SomeFailed
    } else {
        Code::Done
    };
    Ok(Predicted { folder, records, prompts: found.set, manifest, code })
}

fn answer(
    settings: &PredictSettings,
    reels: &[Reel],
    asker: &Asker,
    identity: &Identity,
    work: &Work,
    answerer: &Answerer,
    log: &mut Log,
) -> Result<Summary> {
    let mut generator = answerer.load(settings, &work.workload)?;
    let bar = progress(work);
    let mut seen = |_: &Prediction| bar.inc(1);
    let summary = predict::run(work, reels, asker, identity, &mut *generator, log, &mut seen);
    bar.finish_and_clear();
    summary
}

fn progress(work: &Work) -> ProgressBar {
    let total = work.done_before + work.left();
    let bar = ProgressBar::new(total as u64).with_position(work.done_before as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} answers, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.reset_eta();
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    bar
}

fn leave_out_what_it_cannot_answer(answerer: &Answerer, prompts: &PromptSet, tasks: &mut Vec<usize>) -> Result<()> {
    let (can, cannot): (Vec<usize>, Vec<usize>) =
        tasks.iter().partition(|&&task| answerer.answers(&prompts.tasks[task]));
    let names =
        |tasks: &[usize]| tasks.iter().map(|&task| prompts.tasks[task].name.as_str()).collect::<Vec<_>>().join(", ");
    let name = answerer.describe()["name"].as_str().unwrap_or_default().to_owned();
    ensure!(!can.is_empty(), "{name} can't answer {}\nhint: it answers tasks of the other kind", names(&cannot));
    if !cannot.is_empty() {
        eprintln!("{name} can't answer {}: left out", names(&cannot));
    }
    *tasks = can;
    Ok(())
}

/// Says what is going to happen, with what was taken over.
fn announce(settings: &PredictSettings, answerer: &Answerer, prompts: &PromptSet, tasks: &[usize], work: &Work) {
    let model = answerer.describe();
    let size = model["parameters"].as_u64().map(|count| {
        format!(" ({}, {:.1} M parameters)", model["architecture"].as_str().unwrap_or("?"), count as f64 / 1e6)
    });
    let names: Vec<&str> = tasks.iter().map(|&task| prompts.tasks[task].name.as_str()).collect();
    eprintln!("model    {}{}", model["name"].as_str().unwrap_or("?"), size.unwrap_or_default());
    if let Some(adapter) = &settings.adapter {
        eprintln!("adapter  {}", adapter.display());
    }
    eprintln!("prompts  {}: {}", prompts.source, names.join(", "));
    if work.done_before > 0 {
        eprintln!("going on: {} predictions are done, {} left", work.done_before, work.left());
    }
}

/// What results are results of: they go on in a directory only when all of this is the same.
fn inputs(identity: &Identity, records: &Records, prompts: &PromptSet) -> Value {
    json!({
        "model_sha256": identity.model_sha256,
        "adapter_sha256": identity.adapter_sha256,
        "data_sha256": records.sha256,
        "prompts_sha256": prompts.sha256(),
        "settings_sha256": identity.settings_sha256,
    })
}

fn manifest(
    command: &str,
    settings: &PredictSettings,
    answerer: &Answerer,
    prompts: &PromptSet,
    inputs: Value,
    budget: usize,
) -> Value {
    let mut model = answerer.describe();
    model["sha256"] = inputs["model_sha256"].clone();
    let path = match &settings.model {
        ModelName::Gguf(path) => Some(path.display().to_string()),
        ModelName::Baseline(_) => None,
    };
    let adapter = settings.adapter.as_ref().map(|path| json!({"name": path.file_name().unwrap_or_default().to_string_lossy(), "sha256": inputs["adapter_sha256"]}));
    json!({
        "v": 1,
        "command": command,
        "crate_version": env!("CARGO_PKG_VERSION"),
        "started_at": timestamp(),
        "finished_at": null,
        "model": model,
        "model_path": path,
        "adapter": adapter,
        "prompts": {"source": prompts.source.to_string(), "sha256": inputs["prompts_sha256"]},
        "settings": predict::settings_json(settings, &prompts.tasks, budget),
        "engine": {
            "width": settings.engine.width,
            "ubatch": settings.engine.ubatch,
            "threads": settings.engine.threads,
        },
        "seed": settings.engine.sampling.seed,
        "machine": machine(),
        "inputs": inputs,
    })
}

fn speed(summary: &Summary, tasks: usize) -> Value {
    let per_second = |count: f64| if summary.seconds > 0.0 { json!(count / summary.seconds) } else { Value::Null };
    json!({
        "seconds": summary.seconds,
        "predictions": summary.made,
        "tasks_per_second": per_second(summary.made as f64),
        "reels_per_second": per_second(summary.made as f64 / tasks as f64),
        "prompt_tokens": summary.prompt_tokens,
        "cached_tokens": summary.cached_tokens,
        "generated_tokens": summary.generated_tokens,
    })
}

/// Marks a run as finished.
pub(super) fn finish_manifest(folder: &Path, manifest: &mut Value) -> Result<()> {
    manifest["finished_at"] = timestamp().into();
    write_json(&folder.join("manifest.json"), manifest)
}
