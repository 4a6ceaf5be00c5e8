//! Which files of a directory hold a model's weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow, ensure};
use serde::Deserialize;

use crate::error::Hint;
use crate::foreign::read_json;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files, in order.
///
/// # Errors
/// Names the file that is missing, or the two sets of weights that are there.
pub(super) fn shard_paths(directory: &Path) -> Result<Vec<PathBuf>> {
    let index = directory.join("model.safetensors.index.json");
    let single = directory.join("model.safetensors");
    if !index.exists() {
        ensure!(single.exists(), no_weights(directory));
        let shard = names_in(directory).into_iter().find(|name| is_shard(&name));
        ensure!(shard.is_none(), two_sets(&single, &shard.unwrap_or_default()));
        return Ok(vec![single]);
    }
    let mut names: Vec<String> = read_json::<Index>(&index)?.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    // MLX writes an index of one file.
    let is_single = names == ["model.safetensors"];
    ensure!(is_single || !single.exists(), two_sets(&single, "model.safetensors.index.json"));
    ensure!(!names.is_empty(), anyhow!("{} names no file", index.display()).hint("download it again"));
    let path = |name: String| {
        let path = directory.join(&name);
        ensure!(
            path.exists() && !name.contains('/'),
            anyhow!("{} names {name}, which is missing", index.display())
                .hint(format!("download it into {}", directory.display()))
        );
        Ok(path)
    };
    names.into_iter().map(path).collect()
}

fn is_shard(name: &&String) -> bool {
    name.starts_with("model-") && name.ends_with(".safetensors")
}

fn two_sets(single: &Path, other: &str) -> Error {
    anyhow!("{} and {other} beside it are two sets of weights", single.display())
        .hint("transformers reads model.safetensors; delete the set that isn't meant, with its index")
}

/// Why a directory has no weights that can be read.
pub fn no_weights(directory: &Path) -> Error {
    let names = names_in(directory);
    let has = |ends: &[&str]| names.iter().find(|name| ends.iter().any(|end| name.ends_with(end)));
    let place = directory.display();
    if let Some(shard) = names.iter().find(is_shard) {
        return anyhow!("{place} has {shard} and no model.safetensors.index.json")
            .hint("download the index, which says what is in which file");
    }
    if let Some(name) = has(&[".bin", ".pt", ".pth", ".ckpt"]) {
        return anyhow!("{place} has its weights in {name}, a pickle, which could run any program when it is read")
            .hint("save it as safetensors: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW), with the tokenizer's files beside it");
    }
    if let Some(name) = has(&[".gguf"]) {
        return anyhow!("{place} has no safetensors, but {name}").hint("a GGUF is used as it is: --model FILE");
    }
    anyhow!("{place} has neither model.safetensors nor model.safetensors.index.json")
        .hint("a base is a directory as Hugging Face has it, with weights in safetensors")
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
