//! What answers: a model file or a baseline, before it is loaded.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::data::Records;
use crate::baseline::Baseline;
use crate::config::{BUNDLED_MODEL, ModelName, PredictSettings};
use crate::generator::{Generator, Workload};
use crate::gguf;
use crate::llama;
use crate::predict::{Format, Identity, settings_sha256};
use crate::prompt::PromptSet;
use crate::run::sha256_file;
use crate::task::Task;

/// The prompts to answer with, and what the model was trained with where its file says so.
pub(super) struct Prompts {
    pub set: PromptSet,
    /// SHA-256 of the prompts that the model was trained with.
    trained_sha256: Option<String>,
    /// Tokens that a prompt had at most when the model was trained.
    trained_budget: Option<usize>,
}

impl Prompts {
    /// The prompts named with --prompts, else those in the adapter's or model's file, else `./prompts`, else those that
    /// are part of the program.
    pub fn find(settings: &PredictSettings) -> Result<Prompts> {
        let model = if let ModelName::Gguf(path) = &settings.model { Some(path) } else { None };
        let (mut own, mut trained_budget) = (None, None);
        for path in settings.adapter.iter().chain(model).filter(|path| path.exists()) {
            // A file that can't be read is reported when it is opened, after the data was checked.
            let Ok(gguf) = gguf::read_header(path) else { continue };
            own = own.map_or_else(|| PromptSet::in_model(&gguf), |own| Ok(Some(own)))?;
            trained_budget = trained_budget.or(gguf.number("reels.max_prompt_tokens").map(|tokens| tokens as usize));
        }
        let trained_sha256 = own.as_ref().map(PromptSet::sha256);
        let set = match (&settings.prompts, own) {
            (None, Some(own)) => own,
            (folder, _) => PromptSet::find(folder.as_deref())?,
        };
        Ok(Prompts { set, trained_sha256, trained_budget })
    }

    /// A set of prompts that belongs to no model.
    pub fn of(set: PromptSet) -> Prompts {
        Prompts { set, trained_sha256: None, trained_budget: None }
    }

    /// Warns where the model was trained with other prompts.
    pub fn warn(&self) {
        if self.trained_sha256.as_ref().is_some_and(|trained| *trained != self.set.sha256()) {
            eprintln!(
                "warning: the model was trained with other prompts than those in {}\nhint: leave out --prompts to use its own",
                self.set.source
            );
        }
    }
}

/// A model or baseline, opened and checked; weights aren't loaded yet.
pub(super) enum Answerer {
    Llama(Box<llama::Model>),
    Baseline(Baseline),
}

impl Answerer {
    pub fn open(settings: &PredictSettings, tasks: &[Task]) -> Result<Answerer> {
        match &settings.model {
            ModelName::Gguf(path) => {
                ensure!(
                    settings.train.is_none(),
                    "--train is for baselines\nhint: leave it out with --model {}",
                    path.display()
                );
                ensure!(
                    path.exists(),
                    "model {} does not exist\nhint: the bundled one is {BUNDLED_MODEL}: reels eval --model {BUNDLED_MODEL}",
                    path.display()
                );
                if let Some(adapter) = &settings.adapter {
                    ensure!(
                        adapter.exists(),
                        "adapter {} does not exist\nhint: `reels export RUN --adapter` writes one",
                        adapter.display()
                    );
                }
                Ok(Answerer::Llama(Box::new(llama::Model::open(path, settings.adapter.as_deref())?)))
            }
            ModelName::Baseline(name) => {
                ensure!(
                    settings.adapter.is_none(),
                    "--adapter is for model files\nhint: leave it out with baseline:{name}"
                );
                let train = settings.train.as_deref().map(|path| Records::open(Some(path))?.read()).transpose()?;
                Ok(Answerer::Baseline(Baseline::new(name, tasks, train.as_deref())?))
            }
        }
    }

    /// Whether it can answer this task at all.
    pub fn answers(&self, task: &Task) -> bool {
        match self {
            Answerer::Llama(_) => true,
            Answerer::Baseline(baseline) => baseline.answers(task),
        }
    }

    pub fn format(&self, budget: usize) -> Format<'_> {
        match self {
            Answerer::Llama(model) => Format::Chat { chat: model.chat(), tokenizer: &**model, budget },
            Answerer::Baseline(_) => Format::Record,
        }
    }

    /// Tokens that a prompt may have.
    pub fn budget(&self, settings: &PredictSettings, prompts: &Prompts) -> Result<usize> {
        let Answerer::Llama(model) = self else { return Ok(PredictSettings::DEFAULT_MAX_PROMPT_TOKENS) };
        let answer = prompts.set.tasks.iter().map(|task| task.max_tokens).max().unwrap_or(0);
        let most = model.context_length().saturating_sub(answer);
        let path = model.gguf().path.display();
        ensure!(
            most > 0,
            "{path} was trained for {} positions, and an answer may take {answer}\nhint: lower max_tokens in tasks.toml",
            model.context_length()
        );
        match settings.max_prompt_tokens {
            Some(wanted) => {
                ensure!(
                    wanted <= most,
                    "--max-prompt-tokens {wanted} and an answer of {answer} are more than the {} positions {path} was trained for\nhint: at most {most}",
                    model.context_length()
                );
                Ok(wanted)
            }
            None => Ok(most.min(prompts.trained_budget.unwrap_or(PredictSettings::DEFAULT_MAX_PROMPT_TOKENS))),
        }
    }

    pub fn identity(&self, settings: &PredictSettings, tasks: &[Task], budget: usize) -> Result<Identity> {
        let model_sha256 = match self {
            Answerer::Llama(model) => {
                let path = &model.gguf().path;
                let found = sha256_file(path)?;
                check_manifest(path, &found)?;
                found
            }
            Answerer::Baseline(baseline) => baseline.sha256(),
        };
        let adapter_sha256 = settings.adapter.as_deref().map(sha256_file).transpose()?;
        Ok(Identity { model_sha256, adapter_sha256, settings_sha256: settings_sha256(settings, tasks, budget) })
    }

    /// What the manifest says of it beside its hash.
    pub fn describe(&self) -> Value {
        match self {
            Answerer::Llama(model) => json!({
                "name": model.gguf().path.file_name().unwrap_or_default().to_string_lossy(),
                "architecture": model.gguf().architecture(),
                "parameters": model.gguf().parameters(),
            }),
            Answerer::Baseline(baseline) => json!({"name": baseline.name()}),
        }
    }

    /// Loads weights and makes room for this workload.
    pub fn load(&self, settings: &PredictSettings, workload: &Workload) -> Result<Box<dyn Generator>> {
        Ok(match self {
            Answerer::Llama(model) => Box::new(model.load(&settings.engine, workload)?),
            Answerer::Baseline(baseline) => Box::new(baseline.clone()),
        })
    }
}

/// Refuses a file whose hash isn't that of the manifest beside it: it was changed or damaged.
fn check_manifest(path: &Path, found: &str) -> Result<()> {
    let beside = gguf::sidecar(path);
    let stored = std::fs::read(&beside).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if let Some(expected) = stored.as_ref().and_then(|stored| stored["sha256"].as_str()) {
        ensure!(
            expected == found,
            "{} was changed or damaged since it was exported: {} has another SHA-256\nhint: copy it again; or delete the manifest if you changed it on purpose",
            path.display(),
            beside.display()
        );
    }
    Ok(())
}
