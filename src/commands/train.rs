//! `reels train`: records with references → an adapter.

mod base;
mod data;
mod device;
mod gpu;
mod inherit;
mod leaks;
mod show;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use self::base::Base;
use self::data::{Data, write_probe};
use self::device::Device;
use self::inherit::{Stored, inputs, manifest};
use super::Code;
use crate::config::{SettingsFile, TrainMethod, TrainOverrides, TrainSettings};
use crate::error::{Hint, environment};
use crate::gguf::FloatType;
use crate::learner::Learner;
use crate::prompt::PromptSet;
use crate::publish::write_json;
use crate::qlora::directory::{copy_texts, write_config};
use crate::qlora::memory::Largest;
use crate::run::timestamp;
use crate::stop::Stop;
use crate::train::preview;
use crate::train::run_folder::{RunFolder, last_checkpoint};
use crate::train::schedule::Schedule;
use crate::train::sequences::Sequence;
use crate::train::trainer::{Ending, State, Training, train};

pub(super) fn run(flags: TrainOverrides, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    let (overrides, stored) = if flags.resume == Some(true) {
        let output = flags.output.clone().or(file.add("train", TrainOverrides::default())?.output);
        let stored = Stored::read(output)?;
        (stored.settings(flags)?, Some(stored))
    } else {
        let (epochs, steps) = (flags.epochs.is_some(), flags.steps.is_some());
        let mut overrides = file.add("train", flags)?;
        // One of the two as a flag takes the place of the other in the file.
        overrides.steps = overrides.steps.filter(|_| !epochs);
        overrides.epochs = overrides.epochs.filter(|_| !steps);
        if let (None, Some(base)) = (overrides.max_seq_tokens, &overrides.base)
            && let Some(few) = base::few_positions(base)
        {
            errln!("sequence {few} tokens at most: {} has no more positions", base.display());
            overrides.max_seq_tokens = Some(few);
        }
        (overrides.filled()?, None)
    };
    let settings = overrides.clone().resolve()?;
    let output = &settings.output;
    ensure!(
        stored.is_some() || !output.join("manifest.json").exists(),
        anyhow!("{} holds a run already", output.display()).hint("--resume goes on with it; or name another --output")
    );
    let same = |other: &PathBuf| {
        std::fs::canonicalize(other)
            .is_ok_and(|other| std::fs::canonicalize(output).is_ok_and(|output| output == other))
    };
    ensure!(
        !std::iter::once(&settings.base).chain(&settings.adapter.init).any(same),
        anyhow!("{} is what training starts from, and would be overwritten", output.display())
            .hint("name another --output")
    );
    let (prepared, device) = PreparedRun::prepare(&settings)?;
    let inputs = inputs(
        &settings,
        &prepared.prompts,
        &prepared.data.sha256,
        prepared.dev.as_ref().map(|dev| dev.sha256.as_str()),
    )?;
    let going_on = match &stored {
        Some(stored) => {
            stored.check(&inputs)?;
            last_checkpoint(output)?
        }
        None => None,
    };
    prepared.announce(&settings, &device);

    std::fs::create_dir_all(output).map_err(|error| {
        environment(format!("cannot make {}: {error}", output.display())).hint("name another --output")
    })?;
    let mut state = going_on.as_ref().map_or_else(State::default, |(_, state)| state.clone());
    let run = RunFolder::open(output, state.step)?;
    let loading = Instant::now();
    let mut learner = device.load(&settings, &prepared.base)?;
    errln!("loaded   the base in {:.1} s", loading.elapsed().as_secs_f64());
    if let Some((checkpoint, _)) = &going_on {
        learner.restore(checkpoint)?;
        errln!("going on from {}: {} of {} steps are done", checkpoint.display(), state.step, prepared.schedule.steps);
    }
    let manifest = match stored {
        Some(stored) => stored.manifest,
        None => prepared.begin(&settings, &overrides, inputs)?,
    };
    write_json(&output.join("manifest.json"), &manifest)?;
    prepared.train(&settings, run, learner.as_mut(), &mut state, manifest, stop)
}

/// All that a run trains on, read and checked, before the weights are loaded.
struct PreparedRun {
    base: Base,
    prompts: PromptSet,
    data: Data,
    dev: Option<Data>,
    schedule: Schedule,
}

impl PreparedRun {
    fn prepare(settings: &TrainSettings) -> Result<(PreparedRun, Device)> {
        let base = Base::open(settings)?;
        let prompts = PromptSet::find(settings.prompts.as_deref())?;
        let read = |path: &PathBuf| Data::read(path, settings, &prompts, &base);
        let data = read(&settings.data)?;
        let dev = settings.dev.as_ref().map(read).transpose()?;
        leaks::check(settings, &prompts)?;
        let schedule = Schedule::new(data.sequences.len(), settings.optimisation, settings.seed);
        let device = Device::choose(settings, &base, largest(settings, &data, dev.as_ref()))?;
        Ok((PreparedRun { base, prompts, data, dev, schedule }, device))
    }

    fn announce(&self, settings: &TrainSettings, device: &Device) {
        let PreparedRun { base, prompts, data, dev, schedule } = self;
        base.announce(settings);
        errln!("prompts  {}", prompts.source);
        prompts.warnings().iter().for_each(|warning| errln!("{warning}"));
        data.announce("data", settings.max_seq_tokens, &prompts.tasks);
        if let Some(dev) = dev {
            dev.announce("dev", settings.max_seq_tokens, &prompts.tasks);
        }
        errln!("steps    {}", preview::steps(schedule, &settings.optimisation));
        device.announce(base.config.layers);
        errln!("example  {}", preview::example(&data.examples.examples[0], |token| base.tokenizer.piece(token)));
    }

    /// Writes what a new run takes over, and makes its manifest.
    fn begin(&self, settings: &TrainSettings, overrides: &TrainOverrides, inputs: Value) -> Result<Value> {
        copy_texts(&settings.base, &settings.output)?;
        if settings.method == TrainMethod::Full {
            // All weights are written, in 32 bits and never quantised.
            write_config(&settings.base, &settings.output, FloatType::F32, self.base.config.tied)?;
        }
        let prompts = settings.output.join("prompts");
        self.prompts.write_to(&prompts).hint("name another --output")?;
        write_probe(&settings.output, self.dev.as_ref().unwrap_or(&self.data))?;
        manifest(settings, overrides, inputs, &self.prompts, self.data.max_prompt_tokens)
    }

    fn train(
        &self,
        settings: &TrainSettings,
        mut run: RunFolder,
        learner: &mut dyn Learner,
        state: &mut State,
        mut manifest: Value,
        stop: &Stop,
    ) -> Result<Code> {
        let schedule = &self.schedule;
        let training = Training {
            schedule,
            optimisation: &settings.optimisation,
            seed: settings.seed,
            sequences: &self.data.sequences,
            dev: self.dev.as_ref().map_or(&[], |dev| &dev.sequences),
            stop,
        };
        let bar = show::bar(schedule, state);
        let ending = train(&training, learner, &mut run, state, &mut |event| show::event(&bar, &event));
        bar.finish_and_clear();
        let ending = ending?;
        if ending == Ending::Interrupted {
            errln!("interrupted after {} of {} steps; {}", state.step, schedule.steps, run.kept());
            errln!("hint: reels train --resume --output {} goes on from there", settings.output.display());
            return Ok(Code::Interrupted);
        }
        run.finish(state)?;
        manifest["finished_at"] = timestamp().into();
        manifest["result"] = json!({
            "steps": state.step,
            "stopped_early": ending == Ending::StoppedEarly,
            "best": state.best,
            "seconds": state.seconds,
            "tokens": state.tokens,
            "peak_bytes": learner.peak_bytes(),
        });
        write_json(&settings.output.join("manifest.json"), &manifest)?;
        show::finished(settings, state, ending, learner.peak_bytes());
        Ok(Code::Done)
    }
}

/// Upper bounds of what the batches of a run hold.
fn largest(settings: &TrainSettings, data: &Data, dev: Option<&Data>) -> Largest {
    let at_once = settings.optimisation.batch_size;
    let most = |value: fn(&Sequence) -> usize| {
        let mut values: Vec<usize> = data.sequences.iter().map(value).collect();
        values.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
        let dev = dev.into_iter().flat_map(|dev| &dev.sequences).map(value).max().unwrap_or(0);
        values.iter().take(at_once).sum::<usize>().max(dev)
    };
    Largest {
        tokens: most(|sequence| sequence.batch.tokens.len()),
        rows: most(|sequence| sequence.batch.rows.len()),
        parts: most(|sequence| sequence.batch.documents.iter().map(|document| 1 + document.branches.len()).sum()),
    }
}
