//! What a model file must have before it is worth loading.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};

use super::{Gguf, Value};

/// Checks that a file is a language model that can chat, with everything that llama.cpp would otherwise
/// silently replace by a default.
///
/// # Errors
/// Names the file and the key or tensor that is missing or wrong.
pub fn check_language_model(gguf: &Gguf) -> Result<()> {
    check(gguf).with_context(|| format!("{}", gguf.path.display()))
}

fn check(gguf: &Gguf) -> Result<()> {
    let kind = gguf.text("general.type").unwrap_or("model");
    ensure!(
        kind != "adapter",
        "this is a LoRA adapter\nhint: name the base model with --model and this file with --adapter"
    );
    let architecture = gguf
        .architecture()
        .context("not a language model: general.architecture is missing\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py")?;
    for key in ["block_count", "context_length", "embedding_length", "attention.head_count"] {
        ensure!(
            gguf.hyperparameter(key).is_some_and(|number| (1..=1 << 24).contains(&number)),
            "not a language model: {architecture}.{key} is missing or out of range\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py"
        );
    }
    let blocks = gguf.hyperparameter("block_count").unwrap_or_default();
    ensure!(
        blocks <= gguf.tensors.len() as u64,
        "{architecture}.block_count is {blocks}, but there are {} tensors\nhint: the file may be damaged; copy or download it again",
        gguf.tensors.len()
    );
    ensure!(
        gguf.tensors.contains_key("token_embd.weight"),
        "not a language model: tensor token_embd.weight is missing\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py"
    );
    check_tokenizer(gguf)?;
    if architecture == "qwen2" {
        check_qwen2(gguf, blocks)?;
    }
    Ok(())
}

fn check_tokenizer(gguf: &Gguf) -> Result<()> {
    let tokens = gguf
        .metadata
        .get("tokenizer.ggml.tokens")
        .and_then(Value::as_array)
        .context("not a language model: tokenizer.ggml.tokens is missing\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py")?;
    let mut seen = HashSet::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        let token = token.as_str().with_context(|| {
            format!(
                "tokenizer.ggml.tokens[{id}] is not text\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py"
            )
        })?;
        ensure!(
            seen.insert(token),
            "tokenizer.ggml.tokens[{id}] {token:?} stands there twice\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py"
        );
    }
    let rows = gguf.tensors["token_embd.weight"].shape.get(1).copied().unwrap_or_default();
    ensure!(
        tokens.len() as u64 == rows,
        "{} tokens in the vocabulary, {rows} rows in token_embd.weight\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py",
        tokens.len()
    );
    ensure!(
        gguf.text("tokenizer.chat_template").is_some_and(|template| !template.trim().is_empty()),
        "tokenizer.chat_template is missing: this model doesn't say how a conversation looks\nhint: use an instruct model, or convert it with its chat_template.jinja"
    );
    let end = gguf.number("tokenizer.ggml.eos_token_id").or_else(|| gguf.number("tokenizer.ggml.eot_token_id"));
    let end = end.context("tokenizer.ggml.eos_token_id is missing: answers would have no end\nhint: convert it with its generation_config.json")?;
    ensure!(
        end < tokens.len() as u64,
        "tokenizer.ggml.eos_token_id is {end}, the vocabulary has {} tokens\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py",
        tokens.len()
    );
    Ok(())
}

/// llama.cpp takes a Qwen2 without these and answers nonsense: the rope base becomes 10000, biases are skipped.
fn check_qwen2(gguf: &Gguf, blocks: u64) -> Result<()> {
    for key in ["attention.layer_norm_rms_epsilon", "feed_forward_length", "attention.head_count_kv", "rope.freq_base"]
    {
        ensure!(
            gguf.metadata.contains_key(&format!("qwen2.{key}")),
            "qwen2.{key} is missing\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py; llama.cpp would silently assume a value"
        );
    }
    for block in 0..blocks {
        for part in ["attn_q", "attn_k", "attn_v"] {
            let name = format!("blk.{block}.{part}.bias");
            ensure!(
                gguf.tensors.contains_key(&name),
                "tensor {name} is missing\nhint: convert it anew with llama.cpp's convert_hf_to_gguf.py; Qwen2 has a bias on q, k and v"
            );
        }
    }
    Ok(())
}

/// Checks that a file is a LoRA adapter for a model.
///
/// # Errors
/// Names both files and what differs.
pub fn check_adapter(adapter: &Gguf, model: &Gguf) -> Result<()> {
    let (path, base) = (adapter.path.display(), model.path.display());
    ensure!(
        adapter.text("general.type") == Some("adapter"),
        "{path} is not an adapter (general.type is {:?})\nhint: llama.cpp's convert_lora_to_gguf.py writes one",
        adapter.text("general.type").unwrap_or("missing")
    );
    ensure!(
        adapter.architecture() == model.architecture(),
        "{path} is for {:?}, {base} is {:?}\nhint: name the base model that the adapter was trained on",
        adapter.architecture().unwrap_or("?"),
        model.architecture().unwrap_or("?")
    );
    for (name, tensor) in &adapter.tensors {
        let Some((target, side)) = name.rsplit_once(".lora_") else { continue };
        let weight = model.tensors.get(target).with_context(|| {
            format!("{path} adapts {target}, which {base} doesn't have\nhint: name the base model that the adapter was trained on")
        })?;
        // token_embd's A is transposed by convention; its B side is enough to tell a wrong base.
        let (expected, found) = match side {
            "a" if target != "token_embd.weight" => (weight.shape[0], tensor.shape[0]),
            "b" if target != "token_embd.weight" => {
                (*weight.shape.get(1).unwrap_or(&1), *tensor.shape.get(1).unwrap_or(&1))
            }
            _ => continue,
        };
        ensure!(
            expected == found,
            "{path}: {name} is for a size of {found}, {base} has {expected}\nhint: name the base model that the adapter was trained on"
        );
    }
    Ok(())
}
