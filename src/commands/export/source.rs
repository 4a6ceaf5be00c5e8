//! What is exported: a run, an adapter or a model, with the base it stands on; checked before anything is written.

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, ensure};
use serde_json::Value;

use crate::ask::Records;
use crate::config::{ExportSettings, MergeBase};
use crate::error::Hint;
use crate::export::metadata::{ModelParts, Provenance};
use crate::export::proof::{Probe, Probes};
use crate::export::vocabulary::Vocabulary;
use crate::gguf::FloatType;
use crate::prompt::{ChatFormat, FitError, HubTokenizer, PromptSet, fit};
use crate::qlora::adapter::AdapterWeights;
use crate::qlora::checkpoint::{Checkpoint, no_weights};
use crate::qlora::config::Config;
use crate::qlora::directory::{base_of, has_weights, run_of};
use crate::qlora::merge::Merge;
use crate::qlora::peft::PeftConfig;
use crate::qlora::stream::Streamed;
use crate::run::{read_manifest, sha256_directory};

const ADAPTER: &str = "adapter_config.json";
const NAME_ONE: &str = "name a run of `reels train`, an adapter, or the Hugging Face directory of a model";

/// What is exported; weights are checked, not read.
pub struct Source {
    pub config: Config,
    pub checkpoint: Checkpoint,
    pub adapter: Option<AdapterWeights>,
    pub tokenizer: HubTokenizer,
    pub chat: ChatFormat,
    /// The directory that holds tokenizer and configuration.
    pub texts: PathBuf,
    vocabulary: Vocabulary,
    end: u32,
    /// The prompts it was trained with, or else those that the program has.
    pub prompts: PromptSet,
    /// Whether it was trained with these prompts.
    own_prompts: bool,
    base: PathBuf,
    base_sha256: String,
    run: Option<PathBuf>,
    run_sha256: Option<String>,
    manifest: Option<Value>,
}

impl Source {
    pub fn open(settings: &ExportSettings) -> Result<Source> {
        let directory = &settings.directory;
        ensure!(directory.is_dir(), anyhow!("{} is not a directory", directory.display()).hint(NAME_ONE));
        let run = run_of(directory);
        let manifest = run.as_deref().map(read_manifest).transpose()?.flatten();
        let is_adapter = directory.join(ADAPTER).exists();
        ensure!(
            !(is_adapter && has_weights(directory)),
            anyhow!(
                "{} holds an adapter and the weights of a whole model, and only one can be meant",
                directory.display()
            )
            .hint("move the files of one of the two to another directory")
        );
        let is_model = directory.join("config.json").exists() && has_weights(directory);
        if !is_adapter && !is_model {
            return Err(not_one(directory, manifest.is_some()));
        }
        ensure!(
            is_adapter || !settings.adapter_only,
            anyhow!("{} has no adapter: all of its weights were trained", directory.display())
                .hint("leave out --adapter")
        );
        ensure!(
            is_adapter || settings.base.is_none(),
            anyhow!("--base is for adapters, and {} is a whole model", directory.display()).hint("leave it out")
        );
        ensure!(
            is_adapter || settings.merge_base == MergeBase::Original,
            anyhow!("--merge-base is for adapters, and {} is a whole model", directory.display()).hint("leave it out")
        );
        if is_adapter {
            PeftConfig::read(directory)?;
        }
        let weights = match (is_adapter, &settings.base) {
            (false, _) => directory.clone(),
            (true, Some(base)) => base.clone(),
            (true, None) => base_of(directory, manifest.as_ref())?,
        };
        let mut config = Config::read(&weights)?;
        let checkpoint = Checkpoint::open(&weights, &mut config)?;
        let adapter = is_adapter.then(|| AdapterWeights::read(directory, &config, &checkpoint)).transpose()?;
        // A run has copies of these; an adapter made elsewhere may not.
        let texts = run.clone().filter(|run| run.join("tokenizer.json").exists()).unwrap_or_else(|| weights.clone());
        let tokenizer = HubTokenizer::read(&texts)?;
        let chat = tokenizer.chat(&texts)?;
        if is_adapter && texts == weights {
            same_texts(directory, &tokenizer, &chat)?;
        }
        let end = chat.end_token(&tokenizer).with_context(|| format!("{}", texts.display()))?;
        let vocabulary = Vocabulary::read(&texts, &config)?;
        let own = run.as_ref().map(|run| run.join("prompts")).filter(|prompts| prompts.exists());
        let (prompts, own_prompts) = (PromptSet::find(own.as_deref())?, own.is_some());
        let trained_on = manifest.as_ref().and_then(|manifest| manifest["base"]["sha256"].as_str()).map(str::to_owned);
        let found = sha256_directory(&weights)?;
        if let (true, Some(trained_on)) = (is_adapter, &trained_on) {
            ensure!(
                *trained_on == found,
                anyhow!(
                    "{} is not what the adapter was trained on: it has changed since (SHA-256 {}, then {})",
                    weights.display(),
                    &found[..12],
                    &trained_on[..12.min(trained_on.len())]
                )
                .hint("name the directory it was trained on with --base")
            );
        }
        // A run that trained all weights names its base in the manifest.
        let base = match manifest.as_ref().and_then(|manifest| manifest["base"]["path"].as_str()) {
            Some(path) if !is_adapter => PathBuf::from(path),
            _ => weights.clone(),
        };
        let base_sha256 = if is_adapter { found.clone() } else { trained_on.unwrap_or_else(|| found.clone()) };
        let run = if is_adapter || manifest.is_some() { run.or(Some(directory.clone())) } else { None };
        let run_sha256 = if is_adapter { Some(sha256_directory(directory)?) } else { run.as_ref().map(|_| found) };
        Ok(Source {
            config,
            checkpoint,
            adapter,
            tokenizer,
            chat,
            texts,
            vocabulary,
            end,
            prompts,
            own_prompts,
            base,
            base_sha256,
            run,
            run_sha256,
            manifest,
        })
    }

    pub fn provenance(&self) -> Provenance<'_> {
        let name = |path: &Path| {
            let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        let manifest = self.manifest.as_ref();
        Provenance {
            base: name(&self.base),
            base_sha256: self.base_sha256.clone(),
            run: self.run.as_deref().map(name),
            run_sha256: self.run_sha256.clone(),
            data_sha256: manifest.and_then(|manifest| Some(manifest["inputs"]["data_sha256"].as_str()?.to_owned())),
            data_path: manifest.and_then(|manifest| Some(manifest["data"]["path"].as_str()?.to_owned())),
            licence: licence(&self.base),
            prompts: self.own_prompts.then_some(&self.prompts),
            max_prompt_tokens: manifest
                .and_then(|manifest| manifest["max_prompt_tokens"].as_u64())
                .map(|tokens| tokens as usize),
        }
    }

    pub fn parts(&self) -> ModelParts<'_> {
        ModelParts {
            config: &self.config,
            vocabulary: &self.vocabulary,
            chat_template: self.chat.template(),
            end: self.end,
        }
    }

    /// The weights to write: the base's with the adapter merged in.
    pub fn merge(&self, base: MergeBase) -> Merge<'_> {
        let dequantised = base == MergeBase::Dequantised;
        Merge { checkpoint: &self.checkpoint, adapter: self.adapter.as_ref(), dequantised }
    }

    /// The base's weights without the adapter.
    pub fn base_alone(&self) -> Merge<'_> {
        Merge { checkpoint: &self.checkpoint, adapter: None, dequantised: false }
    }

    /// The forward pass of base and adapter; with `nf4` on the base in four bits, as training saw it.
    pub fn streamed(&self, nf4: bool) -> Result<Streamed<'_>> {
        Ok(Streamed {
            checkpoint: &self.checkpoint,
            config: &self.config,
            adapter: self.adapter.as_ref(),
            nf4: nf4 || self.stored()?.is_none(),
            rounded: None,
        })
    }

    /// How the base's matrices are stored; `None` where they are in four bits.
    pub fn stored(&self) -> Result<Option<FloatType>> {
        let [(name, ..), ..] = self.config.linears(0);
        self.checkpoint.float_type(&format!("{name}.weight"))
    }

    /// Whether the adapter was trained on weights of four bits.
    pub fn is_qlora(&self) -> bool {
        self.adapter.is_some()
            && self
                .manifest
                .as_ref()
                .is_some_and(|manifest| manifest["settings"]["method"].as_str().is_none_or(|method| method == "qlora"))
    }

    /// Prompts to compare logits on: those that the run kept, else some of the bundled sample, of which only the end where
    /// the model has few positions.
    pub fn probes(&self) -> Result<Probes> {
        let path = self.run.as_ref().map(|run| run.join("probe.jsonl")).filter(|path| path.exists());
        if let Some(path) = path {
            return Probes::read(&path);
        }
        let prompts = &self.prompts;
        let reels = Records::open(None)?.read()?;
        let mut probes = Vec::new();
        for (index, reel) in reels.iter().take(16).enumerate() {
            let number = index % prompts.tasks.len();
            let task = &prompts.tasks[number];
            // Labels are compared behind it.
            let room = self.config.max_positions.saturating_sub(task.max_tokens).clamp(1, 1024);
            let made = match fit(reel, prompts, &self.chat, &self.tokenizer, room) {
                Err(FitError::TooLong { .. }) => fit(reel, prompts, &self.chat, &self.tokenizer, usize::MAX),
                made => made,
            };
            let tokens = &made.map_err(FitError::into_error)?[number].tokens;
            let tokens = tokens[tokens.len().saturating_sub(room)..].to_vec();
            probes.push(Probe { reel_id: reel.id.clone(), task: task.name.clone(), tokens });
        }
        Ok(Probes::new(probes))
    }
}

/// Refuses an adapter that brings a tokenizer or chat template of its own: it was trained with these, and the file would
/// have the base's.
fn same_texts(adapter: &Path, tokenizer: &HubTokenizer, chat: &ChatFormat) -> Result<()> {
    let place = adapter.display();
    if adapter.join("tokenizer.json").exists() {
        let (own, base) = (HubTokenizer::read(adapter)?.len(), tokenizer.len());
        ensure!(
            own == base,
            anyhow!("{place}/tokenizer.json has {own} tokens, and the base's {base}")
                .hint("tokens were added in training: let PEFT merge it, and export that with this tokenizer")
        );
    }
    let template = adapter.join("chat_template.jinja");
    if template.exists() {
        let own = std::fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        ensure!(
            own.trim() == chat.template().trim(),
            anyhow!("{} isn't the base's chat template", template.display())
                .hint("copy the one it was trained with into a copy of the base, and remove it here if it is that one")
        );
    }
    Ok(())
}

/// Why a directory is neither an adapter nor a model.
fn not_one(directory: &Path, is_run: bool) -> Error {
    let place = directory.display();
    if is_run {
        return anyhow!("{place} holds neither a finished adapter nor a model").hint(format!(
            "the run isn't finished: reels train --resume --output {place}; or name one of its checkpoints"
        ));
    }
    let file = |name: &str| directory.join(name).exists();
    if file("adapter_model.safetensors") || file("adapter_model.bin") {
        return anyhow!("{place} has an adapter's weights and no {ADAPTER}")
            .hint("copy it from where the weights are from");
    }
    let inside = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = inside.partition(|path| path.is_dir());
    if let Some(folder) = folders.iter().find(|folder| folder.join(ADAPTER).exists()) {
        return anyhow!("{place} holds neither an adapter nor a model itself")
            .hint(format!("there is an adapter in {}: name that", folder.display()));
    }
    if file("config.json") || files.iter().any(|path| path.extension().is_some_and(|end| end == "gguf")) {
        return no_weights(directory);
    }
    anyhow!("{place} holds neither a finished adapter nor a model").hint(NAME_ONE)
}

/// The licence that a model's card names.
fn licence(base: &Path) -> Option<String> {
    let card = std::fs::read_to_string(base.join("README.md")).ok()?;
    let front = card.strip_prefix("---\n")?.split("\n---").next()?;
    let named = |key: &str| {
        let line = front.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty())
    };
    named("license_name").or(named("license"))
}
