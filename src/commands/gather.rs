//! `reels gather`: what several machines answered, as though one had.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::json;

use super::predict::{SHARD, finish_manifest};
use super::{Code, folder};
use crate::ask::{Manifest, Records, Speed};
use crate::cli::GatherArgs;
use crate::config::Shard;
use crate::data::overlap::listed;
use crate::error::{Hint, environment};
use crate::predict::predictions_path;
use crate::prediction::{Finish, Prediction, read_predictions};
use crate::prompt::PromptSet;
use crate::publish::publish;
use crate::run::Claim;

/// Ids and parts that are named.
const SHOWN: usize = 5;

/// Predictions of a directory, and what they are of.
struct Part {
    directory: PathBuf,
    manifest: Manifest,
    predictions: Vec<Prediction>,
}

impl Part {
    fn read(directory: &Path) -> Result<Part> {
        let missing =
            || anyhow!("{} has no manifest.json", directory.display()).hint("name directories of `reels predict`");
        let manifest = folder::manifest(directory)?.ok_or_else(missing)?;
        let predictions = read_predictions(&predictions_path(directory))?;
        Ok(Part { directory: directory.to_owned(), manifest, predictions })
    }

    fn shard(&self) -> Option<Shard> {
        Shard::parse(self.manifest.other.get(SHARD)?.as_str()?, |_| None).ok()
    }
}

pub(super) fn run(args: &GatherArgs) -> Result<Code> {
    let parts: Vec<Part> = args.directories.iter().map(|directory| Part::read(directory)).collect::<Result<_>>()?;
    let first = parts.first().context("no directory is named")?;
    for part in &parts[1..] {
        for (key, value) in &first.manifest.inputs {
            ensure!(
                part.manifest.inputs.get(key) == Some(value),
                anyhow!(
                    "{} is of another {} than {}",
                    part.directory.display(),
                    key.trim_end_matches("_sha256"),
                    first.directory.display()
                )
                .hint("gather what was asked with the same model, prompts and settings about the same data")
            );
        }
    }
    let prompts = PromptSet::find(Some(&first.directory.join("prompts")))?;
    let named = args.data.clone().or_else(|| Some(PathBuf::from(&first.manifest.data.as_ref()?.path)));
    let records = Records::open_for(named.as_deref(), &prompts.tasks)?;
    let asked = first.manifest.inputs.get("data_sha256").cloned().flatten();
    ensure!(
        asked.is_none_or(|sha256| sha256 == records.sha256),
        anyhow!("{} is not the data that was asked about", records.lines.name()).hint("name it by --data")
    );
    let reels = records.reels()?;
    let gathered = gathered(&parts)?;
    let tasks: Vec<&String> = first.manifest.asked.keys().collect();
    let of = |id: &str, task: &str| gathered.get(&(id.to_owned(), task.to_owned(), 0));
    let missing: Vec<&String> = reels
        .iter()
        .filter(|reel| tasks.iter().any(|task| of(&reel.id, task).is_none()))
        .map(|reel| &reel.id)
        .collect();
    if !missing.is_empty() {
        bail!(what_is_missing(&parts, &missing, reels.len()));
    }

    std::fs::create_dir_all(&args.output)
        .map_err(|error| environment(format!("cannot make {}: {error}", args.output.display())))?;
    let _claim = Claim::of(&args.output)?;
    let target = predictions_path(&args.output);
    ensure!(!target.exists(), anyhow!("{} holds answers already", args.output.display()).hint("name another --output"));
    // In the order of the data, whoever answered first.
    let place: HashMap<&str, usize> = reels.iter().enumerate().map(|(at, reel)| (reel.id.as_str(), at)).collect();
    let mut all: Vec<&Prediction> =
        gathered.values().copied().filter(|answer| place.contains_key(&*answer.reel_id)).collect();
    all.sort_by_key(|answer| {
        let task = prompts.tasks.iter().position(|task| task.name == answer.task);
        (place[&*answer.reel_id], answer.repeat, task)
    });
    publish(&target, |file| {
        use std::io::Write;
        for prediction in &all {
            serde_json::to_writer(&mut *file, prediction)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })?;
    prompts.write_to(&args.output.join("prompts"))?;
    let mut manifest = first.manifest.clone();
    manifest.command = Some("gather".to_owned());
    manifest.other.shift_remove(SHARD);
    manifest.other.insert(
        "gathered".to_owned(),
        json!(parts.iter().map(|part| part.directory.display().to_string()).collect::<Vec<_>>()),
    );
    manifest.asked.values_mut().for_each(|count| *count = reels.len());
    if let Some(data) = &mut manifest.data {
        (data.path, data.reels) = (records.lines.name().to_owned(), reels.len());
    }
    manifest.speed = together(&parts);
    finish_manifest(&args.output, &mut manifest)?;
    let failed = all.iter().filter(|answer| answer.finish == Finish::Error).count();
    errln!("{}: {} answers about {} Reels, of {} directories", target.display(), all.len(), reels.len(), parts.len());
    errln!(
        "hint: `reels score --predictions {} --data {} --output {}` scores them",
        target.display(),
        records.lines.name(),
        args.output.display()
    );
    Ok(if failed > 0 { Code::SomeFailed } else { Code::Done })
}

/// By Reel, task and repeat, the one answer that there is.
fn gathered(parts: &[Part]) -> Result<HashMap<(String, String, u32), &Prediction>> {
    let mut gathered: HashMap<(String, String, u32), (&Prediction, &Path)> = HashMap::new();
    for part in parts {
        for answer in &part.predictions {
            let key = (answer.reel_id.clone(), answer.task.clone(), answer.repeat);
            match gathered.get(&key) {
                // One that failed elsewhere was made here.
                Some((other, _)) if other.finish == Finish::Error => {}
                Some((other, at)) => {
                    ensure!(
                        answer.finish == Finish::Error || other.output == answer.output,
                        anyhow!(
                            "{} and {} have different answers to {} about {:?}",
                            at.display(),
                            part.directory.display(),
                            answer.task,
                            answer.reel_id
                        )
                        .hint("leave one of them out, or predict with --reproducible")
                    );
                    continue;
                }
                None => {}
            }
            gathered.insert(key, (answer, &part.directory));
        }
    }
    Ok(gathered.into_iter().map(|(key, (answer, _))| (key, answer)).collect())
}

/// Which parts aren't among the directories, or else which Reels aren't answered.
fn what_is_missing(parts: &[Part], missing: &[&String], all: usize) -> anyhow::Error {
    let shards: Vec<Shard> = parts.iter().filter_map(Part::shard).collect();
    let of = shards.first().map(|shard| shard.of).filter(|of| shards.iter().all(|shard| shard.of == *of));
    let numbers: BTreeSet<u32> = shards.iter().map(|shard| shard.number).collect();
    let absent: Vec<String> = of
        .map_or(1..=0, |of| 1..=of)
        .filter(|number| !numbers.contains(number))
        .map(|number| format!("{number}/{}", of.unwrap_or_default()))
        .collect();
    let told = format!("{} of {all} Reels have no answers", missing.len());
    match absent.is_empty() {
        true => anyhow!("{told}: {}", listed(missing, SHOWN))
            .hint("`reels predict` with the same flags goes on with a part that is not at its end"),
        false => {
            anyhow!("{told}: no directory is of shard {}", listed(&absent, SHOWN)).hint("name its directory, or run it")
        }
    }
}

/// How fast all of them were, one after the other.
fn together(parts: &[Part]) -> Option<Speed> {
    let speeds: Vec<&Speed> = parts.iter().filter_map(|part| part.manifest.speed.as_ref()).collect();
    let sum = |of: fn(&Speed) -> usize| speeds.iter().map(|speed| of(speed)).sum::<usize>();
    let seconds: f64 = speeds.iter().map(|speed| speed.seconds).sum();
    let predictions = sum(|speed| speed.predictions);
    let of_each = speeds.first().and_then(|speed| Some(speed.tasks_per_second? / speed.reels_per_second?));
    let per_second = (seconds > 0.0).then(|| predictions as f64 / seconds);
    (!speeds.is_empty()).then(|| Speed {
        seconds,
        predictions,
        tasks_per_second: per_second,
        reels_per_second: per_second.zip(of_each).map(|(rate, of_each)| rate / of_each),
        prompt_tokens: sum(|speed| speed.prompt_tokens),
        cached_tokens: sum(|speed| speed.cached_tokens),
        generated_tokens: sum(|speed| speed.generated_tokens),
    })
}
