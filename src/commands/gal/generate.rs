//! `reels gal generate`: Reels that a model writes, until enough of each label pass.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use super::CANDIDATES;
use super::rounds::{Done, LOG, PROMPT_TOKENS, Stage};
use super::wanted::{class_task, labels, refuse_what_is_locked, said, settings_json};
use crate::ask::{Answerer, DataFacts, Ended, Identity, Inputs, Manifest, ModelFacts, Records};
use crate::cli::GenerateArgs;
use crate::commands::{Code, folder, locked::announce, priced};
use crate::config::{GenerateSettings, SettingsFile};
use crate::data::lock::{Lock, folder_of};
use crate::error::Hint;
use crate::gal::generate::{End, Progress, Wish};
use crate::gal::seeds::Seeds;
use crate::prompt::{Generation, PromptSet};
use crate::publish::{publish, write_json};
use crate::run::{Claim, machine, sha256, timestamp};
use crate::stop::Stop;

/// Where the stage puts what it makes, in the folder of the whole.
pub(super) const FOLDER: &str = "generated";
/// What was typed, with the settings file and the price of tokens.
pub(super) fn settings(args: GenerateArgs, file: &SettingsFile) -> Result<GenerateSettings> {
    let mut settings = file.add("gal", args.settings)?.resolve(args.seeds)?;
    settings.predict = priced(file, settings.predict)?;
    Ok(settings)
}

pub(super) fn run(settings: &GenerateSettings, stop: &Stop) -> Result<Code> {
    stage(settings, None, stop)
}

/// Has a few candidates written, and tells what all of them would take.
pub(super) fn plan(settings: &GenerateSettings, preview: usize, stop: &Stop) -> Result<Code> {
    stage(settings, Some(preview), stop)
}

/// All of it, or a preview of so many candidates.
fn stage(settings: &GenerateSettings, preview: Option<usize>, stop: &Stop) -> Result<Code> {
    let predict = &settings.predict;
    let prompts = PromptSet::find(predict.prompts.as_deref())?;
    let task = class_task(settings, &prompts.tasks)?;
    let labels = labels(settings, task)?;
    let records = Records::open_for(predict.data.as_deref(), &prompts.tasks)?;
    let data = predict.data.as_deref().unwrap_or(Path::new("."));
    let lock = Lock::find(settings.lock.as_deref(), &[&settings.output, folder_of(data)])?;
    if let Some((path, lock)) = &lock {
        announce(path, lock)?;
    } else {
        errln!(
            "no test.lock is beside the seeds or above: nothing is kept out of prompts and rows\nhint: `reels split` freezes a test set"
        );
    }
    let lock = lock.as_ref().map(|(_, lock)| lock);
    let seeds = Seeds::of(records.reels()?, lock)?;
    if let Some(task) = task.filter(|_| settings.shots > 0) {
        seeds.check(task, &labels)?;
    }
    let generation = Generation::find(settings.template.as_deref())?;
    refuse_what_is_locked(&generation, task, &labels, lock)?;
    let answerer = Answerer::open(predict, &prompts.tasks)?;
    ensure!(
        !matches!(answerer, Answerer::Baseline(_)),
        anyhow!("{} writes no Reels", predict.model).hint("name a .gguf file or a hosted model with --model")
    );
    let classes = task.map(|task| (task.name.clone(), labels));
    let seed = predict.sampling.seed;
    let (accepted, candidates, shots) = (settings.accepted, settings.candidates, settings.shots);
    let wish = Wish { classes, accepted, candidates, shots, seed };
    let folder = settings.output.join(FOLDER);
    let texts = said(&generation, task, &task.map(|task| task.labels.clone()).unwrap_or_default())?;
    let texts_sha256 = sha256(json!(texts).to_string().as_bytes());
    let what = settings_json(settings, &wish, &records.sha256, &texts_sha256);
    let identity = answerer.identity(predict, &prompts.tasks, PROMPT_TOKENS)?;
    let inputs: Inputs = [
        ("model_sha256", Some(identity.model_sha256.clone())),
        ("adapter_sha256", identity.adapter_sha256.clone()),
        ("prompts_sha256", Some(generation.sha256.clone())),
        ("settings_sha256", Some(sha256(what.to_string().as_bytes()))),
    ]
    .map(|(name, hash)| (name.to_owned(), hash))
    .into();
    folder::open(&folder, &inputs, &what)?;
    let _claim = Claim::of(&folder)?;
    let mut manifest = Manifest {
        v: 1,
        command: Some("gal generate".to_owned()),
        crate_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        started_at: Some(timestamp()),
        model: Some(ModelFacts { sha256: identity.model_sha256.clone(), ..answerer.describe() }),
        model_path: Some(predict.model.to_string()),
        settings: what,
        seed: Some(seed),
        machine: Some(machine()),
        inputs,
        data: Some(DataFacts {
            path: records.lines.name().to_owned(),
            sha256: records.sha256.clone(),
            reels: seeds.reels().len(),
        }),
        hosted: answerer.hosted(&folder)?,
        ..Manifest::default()
    };
    manifest.other.insert("locked".to_owned(), json!(lock.map(|lock| lock.records.len())));
    let earlier = folder::manifest(&folder)?;
    let seconds_before = earlier.as_ref().and_then(|earlier| earlier.other.get("seconds")?.as_f64()).unwrap_or(0.0);
    manifest.other.insert("seconds".to_owned(), seconds_before.into());
    // A plan changes nothing of what is finished.
    if preview.is_none() || earlier.is_none() {
        write_json(&folder.join("manifest.json"), &manifest)?;
    }
    errln!("model    {}", predict.model);
    errln!("seeds    {}, {} Reels", records.lines.name(), seeds.reels().len());
    let Identity { model_sha256, adapter_sha256, .. } = identity;
    let stage = Stage { settings, wish, task, seeds, answerer, generation, model_sha256, adapter_sha256, folder };
    let done = stage.rounds(lock, preview, stop);
    manifest.hosted = stage.answerer.hosted(&stage.folder)?;
    if done.is_err() {
        write_json(&stage.folder.join("manifest.json"), &manifest)?;
    }
    let done = done?;
    manifest.other.insert("seconds".to_owned(), (seconds_before + done.now.1).into());
    if preview.is_some() && done.ended == Ended::Done {
        return stage.forecast(&done);
    }
    let Done { ended, progress, reels, failed, tokens, .. } = done;
    manifest.other.insert("tokens".to_owned(), json!(tokens));
    manifest.other.insert("classes".to_owned(), stage.told(&progress));
    manifest.other.insert("wanted".to_owned(), settings.accepted.into());
    if let Some(hosted) = &manifest.hosted {
        super::super::predict::tell_spent(hosted);
    }
    // What was paid for can be annotated, however it ended.
    let path = settings.output.join(CANDIDATES);
    if ended != Ended::Interrupted {
        publish(&path, |file| {
            for reel in &reels {
                serde_json::to_writer(&mut *file, reel)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })?;
        errln!("candidates: {}, {} Reels", path.display(), reels.len());
    }
    stage.tell_caps(&progress);
    let code = match ended {
        Ended::Done => {
            if failed == 0 {
                manifest.finished_at = Some(timestamp());
            }
            if failed > 0 {
                errln!("{failed} candidates failed; their lines in {} say why", stage.folder.join(LOG).display());
                errln!("hint: the same command tries them again");
            }
            if failed > 0 { Code::SomeFailed } else { Code::Done }
        }
        Ended::Interrupted => {
            errln!("interrupted: what is written is kept\nhint: the same command goes on from there");
            Code::Interrupted
        }
        Ended::Stopped(budget) => {
            errln!("stopped by {budget}: what is written is kept\nhint: the same command with more goes on from there");
            Code::SomeFailed
        }
    };
    write_json(&stage.folder.join("manifest.json"), &manifest)?;
    Ok(code)
}

impl Stage<'_> {
    /// Says which labels ended at the cap, and what can be done.
    fn tell_caps(&self, progress: &[(Progress, Option<End>)]) {
        let classes = self.wish.classes();
        let capped = classes.iter().zip(progress).filter(|(_, (_, end))| *end == Some(End::Cap));
        let capped: Vec<String> = capped
            .map(|(label, (Progress { asked, accepted }, _))| {
                format!("{} ({accepted} of {asked} passed)", label.unwrap_or("Reels"))
            })
            .collect();
        if !capped.is_empty() {
            errln!(
                "ended at --candidates {}: {}\nhint: give more --candidates; `reels gal filter` tells what rejects them",
                self.wish.candidates,
                capped.join(", ")
            );
        }
    }

    fn told(&self, progress: &[(Progress, Option<End>)]) -> Value {
        let classes = self.wish.classes();
        let told = classes.iter().zip(progress).map(|(label, (Progress { asked, accepted }, end))| {
            let end = end.map(|end| match end {
                End::Enough => "enough",
                End::Cap => "cap on candidates",
            });
            json!({"label": label, "asked": asked, "accepted": accepted, "end": end})
        });
        told.collect()
    }
}
