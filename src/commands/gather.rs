//! `reels gather`: what several machines answered, as though one had.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
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
use crate::publish::{publish, write_json};
use crate::run::Claim;

/// What a manifest calls it.
const COMMAND: &str = "gather";
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
    let mut directories = args.directories.clone();
    let mut seen = BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.canonicalize().unwrap_or_else(|_| directory.clone())));
    let parts: Vec<Part> = directories.iter().map(|directory| Part::read(directory)).collect::<Result<_>>()?;
    let first = parts.first().context("no directory is named")?;
    for part in &parts {
        let key = part.manifest.inputs.keys().chain(first.manifest.inputs.keys());
        let differs = |key: &&String| part.manifest.inputs.get(*key) != first.manifest.inputs.get(*key);
        if let Some(key) = key.into_iter().find(differs) {
            let what = key.trim_end_matches("_sha256");
            bail!(
                anyhow!("{} is of another {what} than {}", part.directory.display(), first.directory.display())
                    .hint("gather what was asked with the same model, prompts and settings about the same data")
            );
        }
        ensure!(
            part.manifest.inputs.contains_key("data_sha256"),
            anyhow!("{} doesn’t say what it was asked about", part.directory.display()).hint("predict it again")
        );
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
    let tasks: BTreeSet<&String> = parts.iter().flat_map(|part| part.manifest.asked.keys()).collect();
    let failed = |answer: &&&Prediction| answer.finish == Finish::Error;
    let of = |id: &str, task: &str| gathered.get(&(id.to_owned(), task.to_owned(), 0)).filter(|answer| !failed(answer));
    let missing: Vec<&String> = reels
        .iter()
        .filter(|reel| reel.unusable.is_none() && tasks.iter().any(|task| of(&reel.id, task).is_none()))
        .map(|reel| &reel.id)
        .collect();
    if !missing.is_empty() {
        bail!(what_is_missing(&parts, &missing, reels.len()));
    }

    std::fs::create_dir_all(&args.output)
        .map_err(|error| environment(format!("cannot make {}: {error}", args.output.display())))?;
    let _claim = Claim::of(&args.output)?;
    let target = predictions_path(&args.output);
    let there = folder::manifest(&args.output)?;
    ensure!(
        !target.exists() || there.is_some_and(|manifest| manifest.command.as_deref() == Some(COMMAND)),
        anyhow!("{} holds answers already", args.output.display()).hint("name another --output")
    );
    // In the order of the data, whoever answered first.
    let place: HashMap<&str, usize> = reels.iter().enumerate().map(|(at, reel)| (reel.id.as_str(), at)).collect();
    let mut all: Vec<&Prediction> =
        gathered.values().copied().filter(|answer| place.contains_key(&*answer.reel_id)).collect();
    all.sort_by_key(|answer| {
        let task = prompts.tasks.iter().position(|task| task.name == answer.task);
        (place[&*answer.reel_id], answer.repeat, task)
    });
    prompts.write_to(&args.output.join("prompts"))?;
    let mut manifest = first.manifest.clone();
    manifest.command = Some(COMMAND.to_owned());
    manifest.other.shift_remove(SHARD);
    manifest.other.insert(
        "gathered".to_owned(),
        json!(parts.iter().map(|part| part.directory.display().to_string()).collect::<Vec<_>>()),
    );
    if let Some(data) = &mut manifest.data {
        (data.path, data.reels) = (records.lines.name().to_owned(), reels.len());
    }
    manifest.speed = together(&parts);
    // Facts of one part are none of the whole.
    (manifest.hosted, manifest.machine, manifest.learned_from) = (None, None, None);
    manifest.quoted_in_prompts = parts.iter().flat_map(|part| part.manifest.quoted_in_prompts.clone()).collect();
    manifest.asked = tasks.iter().map(|task| ((*task).clone(), reels.len())).collect();
    write_json(&args.output.join("manifest.json"), &manifest)?;
    publish(&target, |file| {
        for prediction in &all {
            serde_json::to_writer(&mut *file, prediction)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })?;
    finish_manifest(&args.output, &mut manifest)?;
    errln!("{}: {} answers about {} Reels, of {} directories", target.display(), all.len(), reels.len(), parts.len());
    errln!(
        "hint: `reels score --predictions {} --data {} --output {}` scores them",
        target.display(),
        records.lines.name(),
        args.output.display()
    );
    let unusable = reels.iter().filter(|reel| reel.unusable.is_some()).count();
    Ok(if unusable > 0 { Code::SomeFailed } else { Code::Done })
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
    let absent = (1..=of.unwrap_or(0)).filter(|number| !numbers.contains(number));
    let absent: Vec<String> = absent.map(|number| format!("{number}/{}", of.unwrap_or(0))).collect();
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
