//! What answers: a model file or a baseline, before it is loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::identity::{Identity, settings_sha256};
use super::manifest::{HostedFacts, ModelFacts};
use super::prompts::Prompts;
use super::questions::Format;
use super::records::Records;
use crate::baseline::{self, Baseline};
use crate::config::{BUNDLED_MODEL, ModelName, PredictSettings};
use crate::error::Hint;
use crate::generator::{Bounds, Capabilities, Generator};
use crate::gguf;
use crate::llama;
use crate::remote::{self, Endpoint, Spent};
use crate::run::{sha256_file, sha256_files};
use crate::task::{Task, TaskKind};

/// Opened and checked; no weights yet.
pub enum Answerer {
    /// A GGUF file, perhaps with an adapter.
    Llama(Box<llama::Model>),
    /// One that somebody else runs.
    Hosted(Arc<Endpoint>),
    /// What needs no model.
    Baseline(Baseline),
}

impl Answerer {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Names the file, or the flag that doesn't go with it.
    pub fn open(settings: &PredictSettings, tasks: &[Task]) -> Result<Answerer> {
        match &settings.model {
            ModelName::Gguf(path) => {
                ensure!(
                    settings.train.is_none(),
                    anyhow!("--train is for baselines").hint(format!("leave it out with --model {}", path.display()))
                );
                ensure!(
                    path.exists(),
                    anyhow!("model {} does not exist", path.display())
                        .hint(format!("the bundled one is {BUNDLED_MODEL}: reels eval --model {BUNDLED_MODEL}"))
                );
                if let Some(adapter) = &settings.adapter {
                    ensure!(
                        adapter.exists(),
                        anyhow!("adapter {} does not exist", adapter.display())
                            .hint("`reels export RUN --adapter` writes one")
                    );
                }
                Ok(Answerer::Llama(Box::new(llama::Model::open(path, settings.adapter.as_deref())?)))
            }
            ModelName::Hosted(name) => {
                let alone = |flag: &str, given: bool, why: &str| {
                    ensure!(!given, anyhow!("{flag} is {why}").hint(format!("leave it out with --model {name}")));
                    Ok(())
                };
                alone("--train", settings.train.is_some(), "for baselines")?;
                alone("--adapter", settings.adapter.is_some(), "for model files")?;
                let counts = "for model files: how a hosted model counts tokens isn't known here";
                alone("--max-prompt-tokens", settings.max_prompt_tokens.is_some(), counts)?;
                Ok(Answerer::Hosted(Arc::new(Endpoint::open(name, &settings.hosted)?)))
            }
            ModelName::Baseline(name) => {
                ensure!(
                    settings.adapter.is_none(),
                    anyhow!("--adapter is for model files").hint(format!("leave it out with baseline:{name}"))
                );
                let train = settings.train.as_deref().map(|path| Records::open(Some(path))?.read()).transpose()?;
                Ok(Answerer::Baseline(Baseline::new(name, tasks, train.as_deref())?))
            }
        }
    }

    /// Whether it can answer this task at all.
    pub fn answers(&self, task: &Task) -> bool {
        match self {
            Answerer::Llama(_) | Answerer::Hosted(_) => true,
            Answerer::Baseline(baseline) => baseline.answers(task),
        }
    }

    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Answerer::Llama(_) => llama::CAPABILITIES,
            Answerer::Hosted(_) => remote::CAPABILITIES,
            Answerer::Baseline(_) => baseline::CAPABILITIES,
        }
    }

    /// Tokens of a prompt and an answer, at most; `None` where it isn't known.
    pub fn context_length(&self) -> Option<usize> {
        match self {
            Answerer::Llama(model) => Some(model.context_length()),
            Answerer::Hosted(_) | Answerer::Baseline(_) => None,
        }
    }

    /// Refuses a task with more labels than can be scored.
    ///
    /// # Errors
    /// Names the task.
    pub fn check_labels<'a>(&self, tasks: impl IntoIterator<Item = &'a Task>) -> Result<()> {
        let Capabilities { label_scores, most_labels, .. } = self.capabilities();
        let too_many = |task: &&Task| label_scores && task.kind == TaskKind::Label && task.labels.len() > most_labels;
        match tasks.into_iter().find(too_many) {
            None => Ok(()),
            Some(task) => bail!(
                anyhow!(
                    "task {} has {} labels; at most {most_labels} can be scored at once",
                    task.name,
                    task.labels.len()
                )
                .hint("use --label-mode generate")
            ),
        }
    }

    /// How prompts are made for it; `budget` is in tokens.
    pub fn format(&self, budget: usize) -> Format<'_> {
        match self {
            Answerer::Llama(model) => Format::Chat { chat: model.chat(), tokenizer: model.vocabulary(), budget },
            Answerer::Hosted(_) => Format::Messages,
            Answerer::Baseline(baseline) => Format::Record(baseline),
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
            anyhow!("{path} was trained for {} positions, and an answer may take {answer}", model.context_length())
                .hint("lower max_tokens in tasks.toml")
        );
        match settings.max_prompt_tokens {
            Some(wanted) => {
                ensure!(
                    wanted <= most,
                    anyhow!(
                        "--max-prompt-tokens {wanted} and an answer of {answer} are more than the {} positions {path} \
                         was trained for",
                        model.context_length()
                    )
                    .hint(format!("at most {most}"))
                );
                Ok(wanted)
            }
            None => Ok(most.min(prompts.trained_budget.unwrap_or(PredictSettings::DEFAULT_MAX_PROMPT_TOKENS))),
        }
    }

    /// Says why nothing can be answered, where the shortest prompt has so many tokens without its transcript.
    pub fn none_fits(&self, shortest: usize, budget: usize, tasks: &[Task]) -> Error {
        let longest = tasks.iter().max_by_key(|task| task.max_tokens);
        if let (Answerer::Llama(model), Some(task)) = (self, longest)
            && shortest + task.max_tokens > model.context_length()
        {
            let (context, answer) = (model.context_length(), task.max_tokens);
            return anyhow!(
                "no prompt fits: {} was trained for {context} positions; the longest answer ({}) may take {answer}, which \
                 leaves {} for a prompt, and the shortest has {shortest} tokens without its transcript",
                model.gguf().path.display(),
                task.name,
                context - answer
            )
            .hint("take a model with more positions, lower max_tokens in tasks.toml, or shorten the templates (--prompts)");
        }
        anyhow!("no prompt fits {budget} tokens: the shortest has {shortest} without its transcript")
            .hint(format!("raise --max-prompt-tokens to {shortest} or more"))
    }

    /// Which answers its answers are.
    ///
    /// # Errors
    /// When a file can't be read, holds weights that aren't finite, or isn't what its manifest says.
    pub fn identity(&self, settings: &PredictSettings, tasks: &[Task], budget: usize) -> Result<Identity> {
        let model_sha256 = match self {
            Answerer::Llama(model) => {
                let path = &model.gguf().path;
                gguf::check_weights(model.gguf())?;
                let found = sha256_files(&model.gguf().parts)?;
                check_manifest(path, &found)?;
                found
            }
            Answerer::Hosted(endpoint) => endpoint.sha256(),
            Answerer::Baseline(baseline) => baseline.sha256(),
        };
        let adapter_sha256 = settings.adapter.as_deref().map(sha256_file).transpose()?;
        Ok(Identity { model_sha256, adapter_sha256, settings_sha256: settings_sha256(settings, tasks, budget) })
    }

    /// The files that it reads while it answers.
    pub fn files(&self, settings: &PredictSettings) -> Vec<PathBuf> {
        match self {
            Answerer::Llama(model) => model.gguf().parts.iter().chain(&settings.adapter).cloned().collect(),
            Answerer::Hosted(_) | Answerer::Baseline(_) => vec![],
        }
    }

    /// For people and for the manifest, without its hash.
    pub fn describe(&self) -> ModelFacts {
        match self {
            Answerer::Llama(model) => ModelFacts {
                name: model.gguf().path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                architecture: model.gguf().architecture().map(str::to_owned),
                parameters: Some(model.gguf().parameters()),
                sha256: String::new(),
            },
            Answerer::Hosted(endpoint) => ModelFacts { name: endpoint.name().name.clone(), ..ModelFacts::default() },
            Answerer::Baseline(baseline) => ModelFacts { name: baseline.name().to_owned(), ..ModelFacts::default() },
        }
    }

    /// What has been asked of a hosted model for the results in a folder; `None` for what runs here.
    ///
    /// # Errors
    /// Names the line of the log of requests that isn't one.
    pub fn hosted(&self, folder: &Path) -> Result<Option<HostedFacts>> {
        let Answerer::Hosted(endpoint) = self else { return Ok(None) };
        let spent = Spent::read(folder)?;
        let cost = endpoint.cost(&spent.counted);
        let cost_at_most = spent.lost.and_then(|_| endpoint.cost(&spent.at_most()));
        Ok(Some(HostedFacts { spent, price: endpoint.price(), cost, cost_at_most, labels: None }))
    }

    /// Loads what it takes to answer work of a size. What is asked of a hosted model is noted in the folder.
    ///
    /// # Errors
    /// Of the environment, when it doesn't fit into memory or can't be loaded.
    pub fn load(&self, settings: &PredictSettings, bounds: &Bounds, folder: &Path) -> Result<Box<dyn Generator>> {
        Ok(match self {
            Answerer::Llama(model) => Box::new(model.load(&settings.engine, bounds)?),
            Answerer::Hosted(endpoint) => Box::new(endpoint.load(folder, settings.engine.width)?),
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
            anyhow!(
                "{} was changed or damaged since it was exported: {} has another SHA-256",
                path.display(),
                beside.display()
            )
            .hint("copy it again; or delete the manifest if you changed it on purpose")
        );
    }
    Ok(())
}
