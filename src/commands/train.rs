//! `reels train`: records with references → an adapter.

mod inherit;
mod show;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use self::inherit::{Stored, inputs, manifest};
use super::Code;
use super::data::Records;
use crate::config::{TrainMethod, TrainOverrides, TrainSettings, with_file};
use crate::learner::Learner;
use crate::prompt::{ChatFormat, HubTokenizer, PromptSet};
use crate::qlora::adapter::{self, AdapterShape};
use crate::qlora::checkpoint::Checkpoint;
use crate::qlora::config::Config;
use crate::qlora::learner::CandleLearner;
use crate::qlora::memory::{Largest, Plan};
use crate::qlora::model::Method;
use crate::run::{EnvironmentFailure, available_memory, timestamp, write_atomically, write_json};
use crate::task::check_reference;
use crate::train::conversations;
use crate::train::examples::{Examples, Maker, max_prompt_tokens};
use crate::train::preview;
use crate::train::run_folder::{RunFolder, last_checkpoint};
use crate::train::schedule::Schedule;
use crate::train::sequences::{Sequence, sequences};
use crate::train::trainer::{Ending, State, Work, train};

pub(super) fn run(flags: TrainOverrides, config: Option<&Path>) -> Result<Code> {
    let resume = flags.resume == Some(true);
    let (overrides, stored) = if resume {
        let stored = Stored::read(&flags)?;
        (stored.settings(flags)?, Some(stored))
    } else {
        (with_file(flags, "train", config)?.filled(), None)
    };
    let settings = overrides.clone().resolve()?;
    ensure!(
        resume || !settings.output.join("manifest.json").exists(),
        "{} holds a run already\nhint: --resume goes on with it; or name another --output",
        settings.output.display()
    );

    let base = Base::open(&settings)?;
    let prompts = PromptSet::find(settings.prompts.as_deref())?;
    let data = Data::read(&settings.data, &settings, &prompts, &base)?;
    let dev = settings.dev.as_ref().map(|path| Data::read(path, &settings, &prompts, &base)).transpose()?;
    let schedule = Schedule::new(data.sequences.len(), settings.optimisation, settings.seed);
    let plan = plan(&settings, &base, &data, dev.as_ref())?;
    let inputs = inputs(&settings, &prompts, &data.sha256, dev.as_ref().map(|dev| dev.sha256.as_str()))?;
    if let Some(stored) = &stored {
        stored.check(&inputs)?;
    }

    base.announce(&settings);
    eprintln!("prompts  {}", prompts.source);
    data.announce("data", settings.max_seq_tokens);
    if let Some(dev) = &dev {
        dev.announce("dev", settings.max_seq_tokens);
    }
    eprintln!("steps    {}", preview::steps(&schedule, &settings.optimisation));
    eprintln!("memory   {plan}; {} of {} layers are computed twice", plan.recomputed, base.config.layers);
    eprintln!("example  {}", preview::example(&data.examples.examples[0], |token| base.tokenizer.piece(token)));

    let (mut state, checkpoint) = match (&stored, last_checkpoint(&settings.output)?) {
        (Some(_), Some((folder, state))) => (state, Some(folder)),
        _ => (State::default(), None),
    };
    std::fs::create_dir_all(&settings.output).map_err(|error| {
        EnvironmentFailure(format!("cannot make {}: {error}\nhint: name another --output", settings.output.display()))
    })?;
    let mut manifest = match stored {
        Some(stored) => stored.manifest,
        None => {
            inherit::copy_base(&settings.base, &settings.output, settings.method)?;
            prompts.write_to(&settings.output.join("prompts"))?;
            write_probe(&settings.output, dev.as_ref().unwrap_or(&data))?;
            manifest(&settings, &overrides, inputs, &prompts, max_prompt_tokens(settings.max_seq_tokens, &prompts)?)
        }
    };
    let mut run = RunFolder::open(&settings.output, state.step)?;
    write_json(&settings.output.join("manifest.json"), &manifest)?;

    let mut learner = base.load(&settings, plan.recomputed)?;
    if let Some(checkpoint) = &checkpoint {
        learner.restore(checkpoint)?;
        eprintln!("going on from {}: {} of {} steps are done", checkpoint.display(), state.step, schedule.steps);
    }
    let work = Work {
        schedule: &schedule,
        optimisation: &settings.optimisation,
        seed: settings.seed,
        sequences: &data.sequences,
        dev: dev.as_ref().map_or(&[], |dev| &dev.sequences),
    };
    let bar = show::bar(&schedule, &state);
    let ending = train(&work, &mut learner, &mut run, &mut state, &mut |event| show::event(&bar, &event));
    bar.finish_and_clear();
    let ending = ending?;
    if ending == Ending::Interrupted {
        eprintln!("interrupted after {} of {} steps; {}", state.step, schedule.steps, run.kept());
        eprintln!("hint: reels train --resume --output {} goes on from there", settings.output.display());
        return Ok(Code::Interrupted);
    }
    run.finish(&state)?;
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
    show::finished(&settings, &state, ending, learner.peak_bytes());
    Ok(Code::Done)
}

/// What training starts from; weights are checked, not read.
struct Base {
    config: Config,
    checkpoint: Checkpoint,
    tokenizer: HubTokenizer,
    chat: ChatFormat,
    method: Method,
}

impl Base {
    fn open(settings: &TrainSettings) -> Result<Base> {
        let directory = &settings.base;
        let config = Config::read(directory)?;
        let tokenizer = HubTokenizer::read(directory)?;
        let (tokens, rows) = (tokenizer.len(), config.vocabulary);
        // Embeddings are padded to a round number of rows, never by a tenth.
        ensure!(
            tokens <= rows && tokens * 10 >= rows * 9,
            "{}: tokenizer.json has {tokens} tokens, and the embedding {rows} rows\nhint: the tokenizer is of another model; take both from the same one",
            directory.display()
        );
        let chat = tokenizer.chat(directory)?;
        chat.end_token(&tokenizer).with_context(|| format!("{}", directory.display()))?;
        let method = method(settings)?;
        let checkpoint = Checkpoint::open(directory, &config)?;
        ensure!(
            settings.max_seq_tokens <= config.max_positions,
            "--max-seq-tokens {} is more than the {} positions of {}\nhint: lower it",
            settings.max_seq_tokens,
            config.max_positions,
            directory.display()
        );
        Ok(Base { config, checkpoint, tokenizer, chat, method })
    }

    fn announce(&self, settings: &TrainSettings) {
        let parameters: usize = self.config.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let what = match &self.method {
            Method::Full => "all weights are trained".to_owned(),
            Method::Qlora(shape) | Method::Lora(shape) => format!(
                "{}, rank {}, alpha {}{}, dropout {}, on {}",
                if settings.method == TrainMethod::Qlora { "adapter on weights of four bits" } else { "adapter" },
                shape.rank,
                shape.alpha,
                if shape.rank_stabilised { " (rank-stabilised)" } else { "" },
                settings.adapter.dropout,
                shape.targets.join(", ")
            ),
        };
        eprintln!("base     {} ({:.1} M parameters): {what}", settings.base.display(), parameters as f64 / 1e6);
    }

    fn load(&self, settings: &TrainSettings, recomputed: usize) -> Result<CandleLearner> {
        let mut learner = CandleLearner::load(&self.checkpoint, &self.config, &self.method, &settings.base)?;
        if let Some(init) = &settings.adapter.init {
            adapter::load(&mut learner.model, init)?;
        }
        learner.dropout = settings.adapter.dropout;
        learner.recomputed = recomputed;
        Ok(learner)
    }
}

fn method(settings: &TrainSettings) -> Result<Method> {
    let given = &settings.adapter;
    let shape = AdapterShape {
        rank: given.rank,
        alpha: given.alpha,
        rank_stabilised: given.rank_stabilised,
        targets: given.targets.clone(),
        seed: settings.seed,
    };
    if let Some(init) = &given.init {
        let has = adapter::shape(init)?;
        let sorted = |targets: &[String]| {
            let mut targets = targets.to_vec();
            targets.sort();
            targets.join(",")
        };
        for (flag, asked, has) in [
            ("rank", shape.rank.to_string(), has.rank.to_string()),
            ("alpha", shape.alpha.to_string(), has.alpha.to_string()),
            ("rslora", shape.rank_stabilised.to_string(), has.rank_stabilised.to_string()),
            ("targets", sorted(&shape.targets), sorted(&has.targets)),
        ] {
            ensure!(
                asked == has,
                "{flag} is {asked}, and that of the adapter {} is {has}\nhint: give --{flag} {has}",
                init.display()
            );
        }
    }
    Ok(match settings.method {
        TrainMethod::Qlora => Method::Qlora(shape),
        TrainMethod::Lora => Method::Lora(shape),
        TrainMethod::Full => Method::Full,
    })
}

/// Records or conversations as sequences.
struct Data {
    name: String,
    sha256: String,
    examples: Examples,
    sequences: Vec<Sequence>,
}

impl Data {
    fn read(path: &Path, settings: &TrainSettings, prompts: &PromptSet, base: &Base) -> Result<Data> {
        let opened = Records::open(Some(path))?;
        let name = opened.lines.name().to_owned();
        let max_tokens = settings.max_seq_tokens;
        let examples = if conversations::are_conversations(&opened.lines)? {
            conversations::examples(&opened.lines, &base.chat, &base.tokenizer, max_tokens)?
        } else {
            let reels = opened.read()?;
            reels.iter().try_for_each(|reel| check_reference(reel, &prompts.tasks, &name))?;
            let maker = Maker {
                prompts,
                chat: &base.chat,
                tokenizer: &base.tokenizer,
                max_prompt_tokens: max_prompt_tokens(max_tokens, prompts)?,
                max_tokens,
            };
            maker.examples(&name, &reels)?
        };
        let sequences = sequences(&examples.examples, settings.packing.then_some(max_tokens));
        Ok(Data { name, sha256: opened.sha256, examples, sequences })
    }

    fn announce(&self, what: &str, max_tokens: usize) {
        eprintln!("{what:<8} {}", preview::data(&self.name, &self.examples, &self.sequences, max_tokens));
    }
}

fn plan(settings: &TrainSettings, base: &Base, data: &Data, dev: Option<&Data>) -> Result<Plan> {
    let at_once = settings.optimisation.batch_size;
    let most = |value: fn(&Sequence) -> usize| {
        let mut values: Vec<usize> = data.sequences.iter().map(value).collect();
        values.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
        let dev = dev.into_iter().flat_map(|dev| &dev.sequences).map(value).max().unwrap_or(0);
        values.iter().take(at_once).sum::<usize>().max(dev)
    };
    let largest = Largest {
        tokens: most(|sequence| sequence.batch.tokens.len()),
        rows: most(|sequence| sequence.batch.rows.len()),
    };
    let available = settings.max_memory.or_else(available_memory).unwrap_or(u64::MAX);
    Plan::new(&base.config, &base.method, largest, available)
}

/// Prompts to compare engines on later: a few Reels, a task each in turn.
fn write_probe(folder: &Path, data: &Data) -> Result<()> {
    const PROBES: usize = 16;
    let mut tasks: Vec<&str> = data.examples.examples.iter().map(|example| example.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let path = folder.join("probe.jsonl");
    let mut lines = String::new();
    let (mut reel, mut count) = ("", 0);
    for example in &data.examples.examples {
        if example.reel_id != reel && example.task == tasks[count % tasks.len()] && count < PROBES {
            let tokens = &example.tokens[..example.answer_at];
            let line = json!({"v": 1, "reel_id": example.reel_id, "task": example.task, "tokens": tokens});
            lines += &format!("{line}\n");
            (reel, count) = (&example.reel_id, count + 1);
        }
    }
    write_atomically(&path, lines.as_bytes())
}
