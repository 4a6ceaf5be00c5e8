//! What a run takes over from its base, and from itself when it goes on.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value, json};

use crate::config::{TrainOverrides, TrainSettings};
use crate::error::Hint;
use crate::prompt::PromptSet;
use crate::run::{machine, read_manifest, sha256_directory, sha256_file, timestamp};

/// Flags that may differ when a run goes on: where it is, and what doesn't change the result. What is learned is
/// compared by content.
const FREE: [&str; 11] =
    ["output", "resume", "max_memory", "base", "data", "dev", "held_out", "lock", "prompts", "init_adapter", "strict"];

/// A run that is to go on: its manifest, and its directory.
pub struct Stored {
    pub manifest: Value,
    path: PathBuf,
}

impl Stored {
    pub fn read(output: Option<PathBuf>) -> Result<Stored> {
        let path = output.context("--resume needs --output").hint("name the run directory to go on in")?;
        let manifest = read_manifest(&path)?
            .with_context(|| format!("{} holds no run: it has no manifest.json", path.display()))
            .hint("start one without --resume")?;
        ensure!(
            manifest["command"] == "train",
            anyhow!(
                "{} is of `reels {}`, not a training run",
                path.display(),
                manifest["command"].as_str().unwrap_or("?")
            )
            .hint("name another --output")
        );
        ensure!(
            manifest["finished_at"].is_null(),
            anyhow!("{} is finished", path.display()).hint(format!(
                "to train further, start a run with {} {}",
                if manifest["settings"]["method"] == "full" { "--base" } else { "--init-adapter" },
                path.display()
            ))
        );
        Ok(Stored { manifest, path })
    }

    /// The settings of the run; flags may only repeat them.
    pub fn settings(&self, flags: TrainOverrides) -> Result<TrainOverrides> {
        let stored = self.manifest["settings"].as_object().context("manifest.json has no settings")?;
        let mut merged: Map<String, Value> = stored.clone();
        let given = serde_json::to_value(flags.with_named_targets())?;
        for (key, value) in given.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            if !FREE.contains(&key.as_str()) && stored.get(key) != Some(value) {
                bail!(
                    anyhow!(
                        "--{} {value}, and {} was started with {}",
                        key.replace('_', "-"),
                        self.path.display(),
                        stored.get(key).unwrap_or(&Value::Null)
                    )
                    .hint("leave it out, or start another run with another --output")
                );
            }
            merged.insert(key.clone(), value.clone());
        }
        Ok(serde_json::from_value(merged.into())?)
    }

    /// Refuses to go on where a file that goes in is another one than before.
    pub fn check(&self, inputs: &Value) -> Result<()> {
        let earlier = &self.manifest["inputs"];
        let differs = inputs.as_object().into_iter().flatten().find(|(key, value)| earlier[key.as_str()] != **value);
        if let Some((key, _)) = differs {
            bail!(
                anyhow!("{} was started with another {}", self.path.display(), key.trim_end_matches("_sha256"))
                    .hint("name the same files again, or start another run with another --output")
            );
        }
        Ok(())
    }
}

/// Hashes of everything that a run reads: base, data, prompts and the adapter that it starts from.
pub fn inputs(settings: &TrainSettings, prompts: &PromptSet, data: &str, dev: Option<&str>) -> Result<Value> {
    let adapter = settings.adapter.init.as_ref().map(|path| sha256_directory(path)).transpose()?;
    Ok(json!({
        "base_sha256": sha256_directory(&settings.base)?,
        "data_sha256": data,
        "dev_sha256": dev,
        "prompts_sha256": prompts.sha256(),
        "init_adapter_sha256": adapter,
    }))
}

pub fn manifest(
    settings: &TrainSettings,
    overrides: &TrainOverrides,
    inputs: Value,
    prompts: &PromptSet,
    max_prompt_tokens: Option<usize>,
) -> Result<Value> {
    let held_out = settings.held_out.as_ref().map(|path| anyhow::Ok((path, sha256_file(path)?))).transpose()?;
    Ok(json!({
        "v": 1,
        "command": "train",
        "crate_version": env!("CARGO_PKG_VERSION"),
        "started_at": timestamp(),
        "finished_at": null,
        "base": {"path": settings.base, "sha256": inputs["base_sha256"]},
        "data": {"path": settings.data, "sha256": inputs["data_sha256"]},
        "dev": settings.dev.as_ref().map(|path| json!({"path": path, "sha256": inputs["dev_sha256"]})),
        "held_out": held_out.map(|(path, sha256)| json!({"path": path, "sha256": sha256})),
        "prompts": {"source": prompts.source.to_string(), "sha256": inputs["prompts_sha256"]},
        "max_prompt_tokens": max_prompt_tokens,
        "settings": overrides,
        "seed": settings.seed,
        "machine": machine(),
        "inputs": inputs,
    }))
}
