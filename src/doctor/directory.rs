//! Checks of a directory: a training run, an adapter, or a model to start from.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::Finding;
use crate::prompt::{HubTokenizer, PromptSet};
use crate::qlora::adapter::AdapterWeights;
use crate::qlora::checkpoint::Checkpoint;
use crate::qlora::config::Config;
use crate::qlora::directory::{base_of, has_weights, run_of};
use crate::qlora::peft::PeftConfig;
use crate::run::{read_manifest, sha256_directory};

const STOPS: &str = "neither training nor exporting can start";

/// What is found in a directory.
pub fn directory(path: &Path) -> Vec<Finding> {
    let run = run_of(path);
    // What a checkpoint hasn't, its run has.
    let run = run.as_deref().unwrap_or(path);
    let manifest = match read_manifest(run) {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::of("manifest", &error, "nothing is known of this run")],
    };
    let mut found = Vec::new();
    if let Some(manifest) = &manifest {
        found.push(progress(run, manifest));
    }
    let adapter = path.join("adapter_config.json").exists();
    if adapter && let Err(error) = PeftConfig::read(path) {
        found.push(Finding::of("adapter", &error, "it can't be exported or trained further"));
        return found;
    }
    if adapter && has_weights(path) {
        found.push(Finding::error(
            "adapter",
            "it stands beside the weights of a whole model",
            "only one can be meant, and none is exported",
            "move the files of one of the two to another directory",
        ));
        return found;
    }
    if adapter || manifest.is_some() && !has_weights(path) {
        let base = match base_of(path, manifest.as_ref()) {
            Ok(base) => base,
            Err(error) => {
                found.push(Finding::of("base", &error, "an adapter is nothing without its base"));
                return found;
            }
        };
        found.extend(model(&base, "base"));
        if let Some(trained_on) = manifest.as_ref().and_then(|manifest| manifest["base"]["sha256"].as_str()) {
            found.push(same_base(&base, trained_on));
        }
        if let (true, Ok((config, checkpoint))) = (adapter, opened(&base)) {
            found.push(match AdapterWeights::read(path, &config, &checkpoint) {
                Ok(weights) => of_adapter(&weights),
                Err(error) => Finding::of("adapter", &error, "it can't be exported or trained further"),
            });
        }
    } else {
        found.extend(model(path, "model"));
    }
    let texts =
        if run.join("tokenizer.json").exists() { Some(run.to_owned()) } else { base_of(path, manifest.as_ref()).ok() };
    if let Some(texts) = texts {
        found.push(match chat(&texts) {
            Ok(tokens) => Finding::ok(
                "tokenizer",
                format!("{tokens} tokens, and the chat template ends answers with one of them"),
            ),
            Err(error) => Finding::of("tokenizer", &error, STOPS),
        });
    }
    let prompts = run.join("prompts");
    if prompts.exists() {
        found.push(match PromptSet::find(Some(&prompts)) {
            Ok(set) => {
                Finding::ok("prompts", set.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", "))
            }
            Err(error) => Finding::of("prompts", &error, "the export can't carry them"),
        });
    }
    found
}

fn progress(path: &Path, manifest: &Value) -> Finding {
    match (manifest["command"].as_str(), manifest["finished_at"].as_str()) {
        (Some("train"), None) => Finding::warning(
            "run",
            "it isn't finished",
            "only its checkpoints can be exported",
            format!("reels train --resume --output {}", path.display()),
        ),
        (Some("train"), Some(at)) => {
            Finding::ok("run", format!("finished {at} after {} steps", manifest["result"]["steps"]))
        }
        (command, _) => Finding::ok("run", format!("of `reels {}`", command.unwrap_or("?"))),
    }
}

fn model(path: &Path, about: &'static str) -> Vec<Finding> {
    vec![match opened(path) {
        Err(error) => Finding::of(about, &error, STOPS),
        Ok((config, _)) => {
            let (name, parameters) = (config.architecture.name, config.parameters() as f64 / 1e6);
            Finding::ok(about, format!("{}: {name}, {parameters:.1} M parameters, all tensors there", path.display()))
        }
    }]
}

fn opened(path: &Path) -> Result<(Config, Checkpoint)> {
    let mut config = Config::read(path)?;
    let checkpoint = Checkpoint::open(path, &mut config)?;
    Ok((config, checkpoint))
}

fn same_base(base: &Path, trained_on: &str) -> Finding {
    match sha256_directory(base) {
        Err(error) => Finding::of("base", &error, STOPS),
        Ok(found) if found == trained_on => Finding::ok("base", "the one it was trained on"),
        Ok(_) => Finding::error(
            "base",
            format!("{} has changed since the run", base.display()),
            "the adapter would be merged into weights it was not trained on",
            "name the directory it was trained on with --base when exporting",
        ),
    }
}

fn of_adapter(weights: &AdapterWeights) -> Finding {
    let what = weights.describe();
    if weights.changes_nothing() {
        return Finding::warning("adapter", what, "it changes nothing: its second halves are 0", "train it first");
    }
    Finding::ok("adapter", what)
}

fn chat(texts: &Path) -> Result<usize> {
    let tokenizer = HubTokenizer::read(texts)?;
    tokenizer.chat(texts)?.end_token(&tokenizer)?;
    Ok(tokenizer.len())
}
