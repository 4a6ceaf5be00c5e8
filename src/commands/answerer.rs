//! What answers: a model file or a baseline, before it is loaded.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::data::Records;
use crate::baseline::Baseline;
use crate::config::{BUNDLED_MODEL, ModelName, PredictSettings};
use crate::generator::{Generator, Workload};
use crate::llama;
use crate::predict::{Format, Identity, settings_sha256};
use crate::run::sha256_file;
use crate::task::Task;

/// Opened and checked; no weights yet.
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
                        "adapter {} does not exist\nhint: llama.cpp's convert_lora_to_gguf.py writes one",
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

    /// The prompt budget in tokens.
    pub fn budget(&self, settings: &PredictSettings, tasks: &[Task]) -> Result<usize> {
        let Answerer::Llama(model) = self else { return Ok(PredictSettings::DEFAULT_MAX_PROMPT_TOKENS) };
        let answer = tasks.iter().map(|task| task.max_tokens).max().unwrap_or(0);
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
            None => Ok(most.min(PredictSettings::DEFAULT_MAX_PROMPT_TOKENS)),
        }
    }

    pub fn identity(&self, settings: &PredictSettings, tasks: &[Task], budget: usize) -> Result<Identity> {
        let model_sha256 = match self {
            Answerer::Llama(model) => sha256_file(&model.gguf().path)?,
            Answerer::Baseline(baseline) => baseline.sha256(),
        };
        let adapter_sha256 = settings.adapter.as_deref().map(sha256_file).transpose()?;
        Ok(Identity { model_sha256, adapter_sha256, settings_sha256: settings_sha256(settings, tasks, budget) })
    }

    /// For the manifest, without its hash.
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

    /// Loads what it takes to answer.
    pub fn load(&self, settings: &PredictSettings, workload: &Workload) -> Result<Box<dyn Generator>> {
        Ok(match self {
            Answerer::Llama(model) => Box::new(model.load(&settings.engine, workload)?),
            Answerer::Baseline(baseline) => Box::new(baseline.clone()),
        })
    }
}
