//! `reels predict`: records × tasks → predictions.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indexmap::IndexSet;

use super::{Code, folder, leaks};
use crate::ask::{
    Answerer, Asker, HostedFacts, LabelAnswers, Manifest, ModelFacts, Prompts, Records, RunSetup, Speed, inputs,
    settings_json,
};
use crate::config::{Fit, LabelMode, PredictSettings, Shard};
use crate::error::{Hint, environment};
use crate::predict::{self, Driver, Pending, Summary, predictions_path};
use crate::prediction::{Finish, Prediction, Shortened, read_predictions};
use crate::prompt::PromptSet;
use crate::publish::write_json;
use crate::remote::Tokens;
use crate::run::{Claim, Log, Progress, stamps, timestamp};
use crate::stop::Stop;
use crate::task::{Task, TaskKind};
use crate::terminal;

/// Which part of the records was asked about, in a manifest.
pub(super) const SHARD: &str = "shard";

/// What a finished or interrupted prediction leaves.
pub(super) struct Predicted {
    pub folder: PathBuf,
    pub records: Records,
    pub prompts: PromptSet,
    pub manifest: Manifest,
    pub code: Code,
    /// All was asked that is to be asked, failed or not.
    pub ended: bool,
    /// Nobody else writes to the folder.
    _claim: Claim,
}

pub(super) fn run(settings: PredictSettings, stop: &Stop) -> Result<Code> {
    let folder = settings
        .output
        .clone()
        .context("--output is missing")
        .hint("name a directory for the predictions, e.g. --output out/a; or - for standard output")?;
    let prompts = Prompts::find(&settings)?;
    // What is printed is kept nowhere.
    let printed = is_printed(&settings).then(tempfile::tempdir).transpose();
    let printed = printed.map_err(|error| environment(format!("cannot make a temporary directory: {error}")))?;
    let folder = printed.as_ref().map_or(folder, |printed| printed.path().to_owned());
    let mut predicted = predict(&settings, prompts, "predict", Some(folder), stop)?;
    if predicted.ended {
        finish_manifest(&predicted.folder, &mut predicted.manifest)?;
    }
    predicted.records.problems.warn();
    if printed.is_none() {
        errln!("predictions: {}", predictions_path(&predicted.folder).display());
    }
    Ok(predicted.code)
}

/// Whether predictions go to standard output as they come.
fn is_printed(settings: &PredictSettings) -> bool {
    settings.output.as_deref() == Some(Path::new("-"))
}

/// Checks all input, then answers what isn't answered yet. `folder` is chosen when it is `None`.
pub(super) fn predict(
    settings: &PredictSettings,
    found: Prompts,
    command: &str,
    folder: Option<PathBuf>,
    stop: &Stop,
) -> Result<Predicted> {
    let prompts = &found.set;
    // Whoever is at work there is told before anything is read.
    let claim = folder.as_ref().filter(|folder| folder.is_dir()).map(|folder| Claim::of(folder)).transpose()?;
    let mut tasks = predict::select_tasks(&prompts.tasks, &settings.tasks)?;
    let records = Records::open_for(settings.data.as_deref(), &prompts.tasks)?;
    records.problems.refuse(settings.strict)?;
    let mut reels = records.reels()?;
    reels.truncate(settings.limit.unwrap_or(usize::MAX));
    reels.retain(|reel| settings.only.as_ref().is_none_or(|only| only.contains(&reel.id)));
    reels.retain(|reel| settings.shard.is_none_or(|shard| shard.holds(&reel.id)));

    let answerer = Answerer::open(settings, &prompts.tasks)?;
    leave_out_what_it_cannot_answer(&answerer, prompts, &mut tasks)?;
    if settings.label_mode == LabelMode::Score {
        answerer.check_labels(tasks.iter().map(|&task| &prompts.tasks[task]))?;
    }
    let budget = answerer.budget(settings, &found)?;
    let files = answerer.files(settings);
    let as_hashed = stamps(&files)?;
    let identity = answerer.identity(settings, &prompts.tasks, budget)?;
    let inputs = inputs(&identity, &records, prompts);
    let folder = folder.map_or_else(|| folder::choose(&inputs), Ok)?;
    folder::open(&folder, &inputs, &settings_json(settings, &prompts.tasks, budget))?;
    let claim = claim.map_or_else(|| Claim::of(&folder), Ok)?;
    check_part(&folder, settings.shard)?;
    let mut log = Log::append_to(&predictions_path(&folder))?;
    let kept = log.bytes()?;
    let earlier = read_predictions(&predictions_path(&folder))?;

    let narrowed = (settings.fit == Fit::Asked).then(|| prompts.only(&tasks)).transpose()?;
    let fitted = narrowed.as_ref().unwrap_or(prompts);
    let asked: Vec<usize> = if narrowed.is_some() { (0..tasks.len()).collect() } else { tasks.clone() };
    let PredictSettings { label_mode, sampling, repeats, .. } = *settings;
    let asker = Asker::new(fitted, &asked, answerer.format(budget), label_mode, sampling, repeats)?;
    let pending = predict::prepare(&reels, &asker, &identity, &earlier, settings.engine.ubatch)?;
    let ids: HashSet<&str> = reels.iter().map(|reel| reel.id.as_str()).collect();
    // Of a part, others may be asked about another time.
    let is_part = settings.limit.is_some() || settings.only.is_some() || settings.shard.is_some();
    let gone = if is_part { vec![] } else { answered_and_gone(&earlier, &ids) };
    folder::check_answered(&folder, &gone, &pending.changed, records.lines.name())?;
    if let Some(shortest) = pending.none_fits() {
        bail!(answerer.none_fits(shortest, budget, &prompts.tasks));
    }
    if let Answerer::Hosted(endpoint) = &answerer
        && pending.left() > 0
    {
        endpoint.check()?;
    }
    let setup = RunSetup { command, settings, answerer: &answerer, prompts, identity: &identity, budget };
    let mut manifest = Manifest::begin(&setup, &records, reels.len());
    // What was asked earlier here is still asked.
    let before = folder::manifest(&folder)?.unwrap_or_default();
    manifest.asked = before.asked;
    manifest.speed = before.speed;
    manifest.asked.extend(asker.tasks().map(|(_, task)| (task.name.clone(), reels.len())));
    if let Some(shard) = settings.shard {
        manifest.other.insert(SHARD.to_owned(), shard.to_string().into());
    }
    leaks::note(&mut manifest, settings, prompts, &records, &reels)?;
    manifest.hosted = answerer.hosted(&folder)?;
    prompts.write_to(&folder.join("prompts"))?;
    write_json(&folder.join("manifest.json"), &manifest)?;
    announce(settings, &answerer, prompts, &tasks, &pending);
    found.warn(fitted);
    errln!("data     {}, {} Reels", records.lines.name(), reels.len());
    let Shortened { reels: shortened, of, most_tokens } = pending.shortened;
    if shortened > 0 {
        errln!(
            "fitting  {shortened} of {of} Reels shortened to fit prompts of {budget} tokens (--max-prompt-tokens), by {most_tokens} at most"
        );
        if fitted.tasks.len() > tasks.len() {
            errln!(
                "         so that the prompts of all {} tasks of the set fit, asked for or not\nhint: --fit asked cuts only what \
                 the tasks asked for need, with answers that depend on which these are",
                fitted.tasks.len()
            );
        }
    }

    let (done_before, all) = (pending.done_before, pending.done_before + pending.left());
    let mut generator = answerer.load(settings, &pending.bounds, &folder)?;
    let progress = Progress::new("answers", done_before, all, Some(folder.join("progress.json")));
    let is_printed = is_printed(settings);
    let mut seen = |prediction: &Prediction| {
        progress.inc(1);
        if let (true, Ok(line)) = (is_printed, serde_json::to_string(prediction)) {
            outln!("{line}");
            // Answers that nobody reads are kept nowhere.
            if terminal::is_unread() {
                stop.wish();
            }
        }
    };
    let mut driver = Driver { reels: &reels, asker: &asker, identity: &identity, log: &mut log, seen: &mut seen, stop };
    let summary = driver.run(pending, &mut *generator);
    progress.finish();
    if stamps(&files).ok() != Some(as_hashed) {
        log.cut(kept)?;
        bail!(
            environment(format!("{} was changed while it answered: this run's answers are dropped", settings.model))
                .hint("the same command answers again; give a new model a file of its own")
        );
    }
    let predictions = read_predictions(&predictions_path(&folder))?;
    if let Some(mut hosted) = answerer.hosted(&folder)? {
        hosted.labels = (settings.label_mode == LabelMode::Score).then(|| label_answers(&predictions, &prompts.tasks));
        tell_spent(&hosted);
        manifest.hosted = Some(hosted);
        write_json(&folder.join("manifest.json"), &manifest)?;
    }
    let summary = summary?;
    let failed = failures(&predictions, &ids);
    if summary.made > summary.failed {
        let again = repeats.count as usize - 1;
        let labels = asker.tasks().filter(|(_, task)| task.kind == TaskKind::Label).count();
        manifest.speed = Some(speed(&summary, manifest.speed.as_ref(), tasks.len() + again * labels));
    }
    write_json(&folder.join("manifest.json"), &manifest)?;
    let code = if let Some(budget) = &summary.stopped {
        errln!(
            "stopped by {budget}: {} of {all} predictions are done and kept\nhint: the same command with more goes on from there",
            done_before + summary.made - summary.failed
        );
        Code::SomeFailed
    } else if summary.interrupted {
        errln!(
            "interrupted: {} of {all} predictions are done and kept\nhint: the same command goes on from there",
            done_before + summary.made
        );
        Code::Interrupted
    } else if failed > 0 {
        errln!("{failed} predictions failed; their lines in {} say why", predictions_path(&folder).display());
        let unusable = records.problems.unusable > 0;
        errln!(
            "hint: the same command tries them again{}",
            if unusable { ", once the records that can't be used are corrected" } else { "" }
        );
        Code::SomeFailed
    } else {
        Code::Done
    };
    let ended = !summary.interrupted && summary.stopped.is_none();
    Ok(Predicted { folder, records, prompts: found.set, manifest, code, ended, _claim: claim })
}

/// Refuses another part, or all, of the records where one part was asked about.
fn check_part(folder: &Path, shard: Option<Shard>) -> Result<()> {
    let Some(manifest) = folder::manifest(folder)? else { return Ok(()) };
    let there = manifest.other.get(SHARD).and_then(|shard| shard.as_str()).unwrap_or("all records").to_owned();
    let here = shard.map_or_else(|| "all records".to_owned(), |shard| shard.to_string());
    ensure!(
        there == here,
        anyhow!("{} is of {there}, and now {here} are asked about", folder.display())
            .hint("give each part an --output of its own")
    );
    Ok(())
}

/// Ids of Reels that were answered before and aren't among these any more.
fn answered_and_gone(earlier: &[Prediction], ids: &HashSet<&str>) -> Vec<String> {
    let answered = earlier.iter().filter(|prediction| prediction.finish != Finish::Error);
    let gone = answered.map(|prediction| &prediction.reel_id).filter(|id| !ids.contains(id.as_str()));
    gone.cloned().collect::<IndexSet<String>>().into_iter().collect()
}

/// How many answers about these Reels failed and weren't made since, as those about records that have been corrected.
fn failures(predictions: &[Prediction], ids: &HashSet<&str>) -> usize {
    let of = |prediction: &Prediction| (prediction.reel_id.clone(), prediction.task.clone(), prediction.repeat);
    let (failed, made): (Vec<&Prediction>, Vec<&Prediction>) =
        predictions.iter().partition(|prediction| prediction.error.is_some());
    let made: HashSet<_> = made.into_iter().map(of).collect();
    failed
        .into_iter()
        .filter(|prediction| ids.contains(&*prediction.reel_id) && !made.contains(&of(prediction)))
        .count()
}

/// How the labels came that were to be scored.
fn label_answers(predictions: &[Prediction], tasks: &[Task]) -> LabelAnswers {
    let is_label = |name: &str| tasks.iter().any(|task| task.name == name && task.kind == TaskKind::Label);
    let mut answers = LabelAnswers::default();
    for prediction in predictions.iter().filter(|prediction| prediction.error.is_none() && is_label(&prediction.task)) {
        match prediction.label_logprobs {
            Some(_) => answers.scored += 1,
            None => answers.generated += 1,
        }
    }
    answers
}

/// Says what a host was asked for, and what of it is less than was wanted.
pub(super) fn tell_spent(hosted: &HostedFacts) {
    let HostedFacts { spent, cost, cost_at_most, labels, .. } = hosted;
    let Tokens { requests, prompt_tokens, completion_tokens, .. } = spent.counted;
    let price = cost.map(|cost| format!(", for {cost:.4}")).unwrap_or_default();
    errln!("asked    {requests} requests so far: {prompt_tokens} tokens read, {completion_tokens} written{price}");
    if let Some(lost) = spent.lost {
        let price = cost_at_most.map(|cost| format!(", {cost:.4} in all")).unwrap_or_default();
        errln!(
            "         {} answers never arrived or weren’t counted: {} and {} tokens more at most{price}",
            lost.requests,
            lost.prompt_tokens,
            lost.completion_tokens
        );
    }
    if let Some(LabelAnswers { scored, generated }) = labels
        && *generated > 0
    {
        errln!(
            "labels   {generated} of {} generated and matched, not scored: the host lists no log-probabilities that cover them",
            scored + generated
        );
    }
}

fn leave_out_what_it_cannot_answer(answerer: &Answerer, prompts: &PromptSet, tasks: &mut Vec<usize>) -> Result<()> {
    let (can, cannot): (Vec<usize>, Vec<usize>) =
        tasks.iter().partition(|&&task| answerer.answers(&prompts.tasks[task]));
    let names =
        |tasks: &[usize]| tasks.iter().map(|&task| prompts.tasks[task].name.as_str()).collect::<Vec<_>>().join(", ");
    let name = answerer.describe().name;
    ensure!(
        !can.is_empty(),
        anyhow!("{name} can't answer {}", names(&cannot)).hint("it answers tasks of the other kind")
    );
    if !cannot.is_empty() {
        errln!("{name} can't answer {}: left out", names(&cannot));
    }
    *tasks = can;
    Ok(())
}

/// Says what is going to happen, with what was taken over.
fn announce(settings: &PredictSettings, answerer: &Answerer, prompts: &PromptSet, tasks: &[usize], pending: &Pending) {
    let ModelFacts { name, architecture, parameters, .. } = answerer.describe();
    let size = parameters
        .map(|count| format!(" ({}, {:.1} M parameters)", architecture.as_deref().unwrap_or("?"), count as f64 / 1e6));
    let names: Vec<&str> = tasks.iter().map(|&task| prompts.tasks[task].name.as_str()).collect();
    errln!("model    {name}{}", size.unwrap_or_default());
    if let Some(adapter) = &settings.adapter {
        errln!("adapter  {}", adapter.display());
    }
    errln!("prompts  {}: {}", prompts.source, names.join(", "));
    if let Answerer::Hosted(endpoint) = answerer
        && pending.left() > 0
    {
        let (prompts, reels, host) = (pending.left(), pending.reels_left(), &endpoint.name().host);
        match endpoint.name().is_here {
            true => errln!("texts    {prompts} prompts about {reels} Reels, to {host} on this machine"),
            false => errln!("texts    {prompts} prompts about {reels} Reels leave this machine, to {host} alone"),
        }
    }
    if pending.done_before > 0 {
        errln!("going on: {} predictions are done, {} left", pending.done_before, pending.left());
    }
}

/// Of all that was answered in a folder, by several commands; `of_each` answers are about one Reel.
fn speed(summary: &Summary, earlier: Option<&Speed>, of_each: usize) -> Speed {
    let before = earlier.cloned().unwrap_or_default();
    let (seconds, predictions) = (before.seconds + summary.seconds, before.predictions + summary.made - summary.failed);
    let per_second = |count: f64| (seconds > 0.0).then_some(count / seconds);
    Speed {
        seconds,
        predictions,
        tasks_per_second: per_second(predictions as f64),
        reels_per_second: per_second(predictions as f64 / of_each as f64),
        prompt_tokens: before.prompt_tokens + summary.prompt_tokens,
        cached_tokens: before.cached_tokens + summary.cached_tokens,
        generated_tokens: before.generated_tokens + summary.generated_tokens,
    }
}

/// Marks a run as finished.
pub(super) fn finish_manifest(folder: &Path, manifest: &mut Manifest) -> Result<()> {
    manifest.finished_at = Some(timestamp());
    write_json(&folder.join("manifest.json"), manifest)
}
