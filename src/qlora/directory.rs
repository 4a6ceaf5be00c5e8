//! What a Hugging Face directory has beside its weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::error::Hint;
use crate::foreign::read_json;
use crate::gguf::FloatType;
use crate::publish::{self, write_json};

const CONFIG: &str = "config.json";

/// Copies configuration, tokenizer and chat template, as far as they are there.
///
/// # Errors
/// Of the environment, and names the file.
pub fn copy_texts(from: &Path, to: &Path) -> Result<()> {
    const FILES: [&str; 9] = [
        CONFIG,
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
    ];
    for name in FILES.iter().filter(|name| from.join(name).exists()) {
        publish::copy(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

/// The run that a directory is, or is a checkpoint of.
pub fn run_of(directory: &Path) -> Option<PathBuf> {
    if directory.join("manifest.json").exists() {
        return Some(directory.to_owned());
    }
    let absolute = std::fs::canonicalize(directory).ok()?;
    let checkpoints = absolute.parent().filter(|parent| parent.ends_with("checkpoints"))?;
    checkpoints.parent().filter(|run| run.join("manifest.json").exists()).map(Path::to_owned)
}

/// Whether a directory holds all weights of a model.
pub fn has_weights(directory: &Path) -> bool {
    ["model.safetensors", "model.safetensors.index.json"].iter().any(|name| directory.join(name).exists())
}

/// The base that an adapter or a run stands on: the one its manifest names, else its configuration.
///
/// # Errors
/// When none is named, or the one named isn't a directory on this machine.
pub fn base_of(directory: &Path, manifest: Option<&Value>) -> Result<PathBuf> {
    let path = directory.join("adapter_config.json");
    let mut config = Value::Null;
    // A run that isn't finished has none yet.
    if path.exists() {
        config = read_json(&path)?;
    }
    let named = manifest.and_then(|manifest| manifest["base"]["path"].as_str());
    let base = named
        .or(config["base_model_name_or_path"].as_str())
        .with_context(|| format!("{} names no base model", path.display()))
        .hint("name its directory with --base when exporting")?;
    ensure!(
        Path::new(base).is_dir(),
        anyhow!("the base {base} is not a directory here")
            .hint("name the directory of the base model with --base when exporting")
    );
    Ok(PathBuf::from(base))
}

/// Writes the configuration of a model whose weights are all stored in floats of one type, and whose embedding is its output
/// layer where it is `tied`.
///
/// # Errors
/// Names the file that is wrong or can't be written.
pub fn write_config(from: &Path, to: &Path, stored: FloatType, tied: bool) -> Result<()> {
    let path = from.join(CONFIG);
    let mut config: Value = read_json(&path)?;
    let keys = config.as_object_mut().with_context(|| format!("{} is not an object", path.display()))?;
    keys.shift_remove("quantization_config");
    keys.insert("tie_word_embeddings".into(), tied.into());
    let name = match stored {
        FloatType::F32 => "float32",
        FloatType::F16 => "float16",
        FloatType::Bf16 => "bfloat16",
    };
    for key in ["dtype", "torch_dtype"] {
        if let Some(dtype) = keys.get_mut(key) {
            *dtype = name.into();
        }
    }
    write_json(&to.join(CONFIG), &config)
}
