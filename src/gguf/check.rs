//! What a model file must have before it is worth loading.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};

use super::{Gguf, Value};

/// Something about a file that keeps it from working, or makes its answers wrong without any message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Key or tensor, and the value that is wrong.
    pub what: String,
    /// What would go wrong.
    pub why: &'static str,
    /// What to do about it.
    pub hint: String,
    /// Whether the file still works, with answers that may be right.
    pub runs: bool,
}

impl Problem {
    /// A problem that keeps the file from working.
    pub fn fatal(what: String, why: &'static str, hint: impl Into<String>) -> Problem {
        Problem { what, why, hint: hint.into(), runs: false }
    }
}

const CONVERT: &str = "export it anew, or convert it with llama.cpp's convert_hf_to_gguf.py";
const DAMAGED: &str = "the file may be damaged; copy or download it again";
const NO_MODEL: &str = "not a language model";
/// llama.cpp's own limit (LLAMA_MAX_LAYERS).
const MAX_BLOCKS: u64 = 512;

/// Checks that a file is a language model that can chat, with everything that llama.cpp would otherwise silently
/// replace by a default.
///
/// # Errors
/// Names the file and the first key or tensor that is missing or wrong.
pub fn check_language_model(gguf: &Gguf) -> Result<()> {
    match problems(gguf).into_iter().find(|problem| !problem.runs) {
        None => Ok(()),
        Some(Problem { what, why, hint, .. }) => bail!("{}: {what}: {why}\nhint: {hint}", gguf.path.display()),
    }
}

/// All that is wrong with a language model's header.
pub fn problems(gguf: &Gguf) -> Vec<Problem> {
    if gguf.text("general.type") == Some("adapter") {
        return vec![Problem::fatal(
            "general.type is \"adapter\"".into(),
            "this is a LoRA adapter",
            "name the base model with --model and this file with --adapter",
        )];
    }
    let Some(architecture) = gguf.architecture() else {
        return vec![Problem::fatal("general.architecture is missing".into(), NO_MODEL, CONVERT)];
    };
    let mut problems = Vec::new();
    for key in ["block_count", "context_length", "embedding_length", "attention.head_count"] {
        if gguf.hyperparameter(key).is_none_or(|number| !(1..=1 << 24).contains(&number)) {
            problems.push(Problem::fatal(
                format!("{architecture}.{key} is missing or out of range"),
                NO_MODEL,
                CONVERT,
            ));
        }
    }
    if gguf.texts("tokenizer.ggml.tokens").next().is_none() {
        problems.push(Problem::fatal("tokenizer.ggml.tokens is missing".into(), NO_MODEL, CONVERT));
    }
    if !gguf.tensors.contains_key("token_embd.weight") {
        problems.push(Problem::fatal("tensor token_embd.weight is missing".into(), NO_MODEL, CONVERT));
    }
    if problems.is_empty() {
        let blocks = gguf.hyperparameter("block_count").unwrap_or_default();
        if blocks > MAX_BLOCKS || blocks > gguf.tensors.len() as u64 {
            let what = format!("{architecture}.block_count is {blocks}, but there are {} tensors", gguf.tensors.len());
            return vec![Problem::fatal(what, "llama.cpp can't load it", DAMAGED)];
        }
        tokenizer(gguf, &mut problems);
        if architecture == "qwen2" {
            qwen2(gguf, &mut problems);
        }
    }
    problems
}

fn tokenizer(gguf: &Gguf, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    let twice = gguf.texts("tokenizer.ggml.tokens").enumerate().find(|(_, token)| !seen.insert(token.clone()));
    if let Some((id, token)) = twice {
        let what = format!("tokenizer.ggml.tokens[{id}] {token:?} stands there twice");
        problems.push(Problem::fatal(what, "llama.cpp would end the program", CONVERT));
    }
    let tokens = gguf.metadata["tokenizer.ggml.tokens"].as_array().map_or(0, super::Array::len);
    let rows = gguf.tensors["token_embd.weight"].shape.get(1).copied().unwrap_or_default();
    if tokens != rows {
        let what = format!("{tokens} tokens in the vocabulary, {rows} rows in token_embd.weight");
        problems.push(Problem::fatal(what, "token ids would name other tokens", CONVERT));
    }
    for (key, text) in [("tokenizer.ggml.token_type", false), ("tokenizer.ggml.merges", true)] {
        let array = gguf.metadata.get(key).and_then(Value::as_array);
        let fits = array.is_some_and(|array| array.texts().is_some() == text && (text || array.len() == tokens));
        if array.is_some() && !fits {
            problems.push(Problem::fatal(
                format!("{key} doesn't fit the {tokens} tokens"),
                "text would become other tokens",
                CONVERT,
            ));
        }
    }
    let one_part = |merge: &std::borrow::Cow<str>| !merge.bytes().skip(1).any(|byte| byte == b' ');
    if let Some(merge) = gguf.texts("tokenizer.ggml.merges").find(one_part) {
        let what = format!("tokenizer.ggml.merges has {merge:?}, which is not two parts");
        problems.push(Problem::fatal(what, "text would become other tokens", DAMAGED));
    }
    if gguf.text("tokenizer.chat_template").is_none_or(|template| template.trim().is_empty()) {
        problems.push(Problem::fatal(
            "tokenizer.chat_template is missing".into(),
            "this model doesn't say how a conversation looks",
            "use an instruct model, or convert it with its chat_template.jinja",
        ));
    }
    let ids = ["eos", "eot", "bos", "padding"].map(|which| format!("tokenizer.ggml.{which}_token_id"));
    // Also where there is an eot_token_id: without this key llama.cpp assumes a token, and ends answers at it too.
    if gguf.number(&ids[0]).is_none() {
        let hint = "convert it with its generation_config.json";
        problems.push(Problem::fatal(format!("{} is missing", ids[0]), "answers would end elsewhere", hint));
    }
    for key in ids.iter().filter(|key| gguf.number(key).is_some_and(|id| id >= tokens)) {
        let what = format!("{key} is {}, the vocabulary has {tokens} tokens", gguf.number(key).unwrap_or_default());
        problems.push(Problem::fatal(what, "there is no such token", CONVERT));
    }
}

const SILENT: &str = "llama.cpp would silently assume a value";

/// llama.cpp takes a Qwen2 without these and answers nonsense: the rope base becomes 10000, biases are skipped.
fn qwen2(gguf: &Gguf, problems: &mut Vec<Problem>) {
    let float = |key: &str| match gguf.metadata.get(key) {
        Some(Value::Float(value)) => Some(*value),
        _ => None,
    };
    for (key, least, most) in
        [("qwen2.attention.layer_norm_rms_epsilon", 0.0, 1.0), ("qwen2.rope.freq_base", 1.0, f64::INFINITY)]
    {
        if float(key).is_none_or(|value| !(value > least && value < most)) {
            problems.push(Problem::fatal(format!("{key} is missing or out of range"), SILENT, CONVERT));
        }
    }
    for key in ["feed_forward_length", "attention.head_count_kv"] {
        if gguf.hyperparameter(key).is_none_or(|number| !(1..=1 << 24).contains(&number)) {
            problems.push(Problem::fatal(format!("qwen2.{key} is missing or out of range"), SILENT, CONVERT));
        }
    }
    if gguf.text("tokenizer.ggml.model") != Some("gpt2") || gguf.text("tokenizer.ggml.pre") != Some("qwen2") {
        let text = |key| gguf.text(key).unwrap_or("missing");
        let what = format!(
            "tokenizer.ggml.model is {:?} and tokenizer.ggml.pre {:?}, and Qwen2 has \"gpt2\" and \"qwen2\"",
            text("tokenizer.ggml.model"),
            text("tokenizer.ggml.pre")
        );
        problems.push(Problem::fatal(what, "text would become other tokens than in training", CONVERT));
    }
    if let Some(Value::Bool(true)) = gguf.metadata.get("tokenizer.ggml.add_bos_token") {
        problems.push(Problem {
            runs: true,
            ..Problem::fatal(
                "tokenizer.ggml.add_bos_token is true".into(),
                "other programs put a token in front that the model wasn't trained with",
                CONVERT,
            )
        });
    }
    if problems.is_empty() {
        qwen2_tensors(gguf, problems);
    }
}

fn qwen2_tensors(gguf: &Gguf, problems: &mut Vec<Problem>) {
    let number = |key| gguf.hyperparameter(key).unwrap_or_default();
    let (hidden, heads, feed) =
        (number("embedding_length"), number("attention.head_count"), number("feed_forward_length"));
    let kv_heads = number("attention.head_count_kv");
    if !hidden.is_multiple_of(2 * heads) || !heads.is_multiple_of(kv_heads) {
        let what = format!("{heads} heads ({kv_heads} for keys and values) don't divide {hidden} into even parts");
        problems.push(Problem::fatal(what, "llama.cpp can't load it", DAMAGED));
        return;
    }
    let kv = hidden / heads * kv_heads;
    let mut expected = vec![("output_norm.weight".to_owned(), vec![hidden])];
    for block in 0..number("block_count") {
        let of_block = [
            ("attn_norm.weight", vec![hidden]),
            ("attn_q.weight", vec![hidden, hidden]),
            ("attn_q.bias", vec![hidden]),
            ("attn_k.weight", vec![hidden, kv]),
            ("attn_k.bias", vec![kv]),
            ("attn_v.weight", vec![hidden, kv]),
            ("attn_v.bias", vec![kv]),
            ("attn_output.weight", vec![hidden, hidden]),
            ("ffn_norm.weight", vec![hidden]),
            ("ffn_gate.weight", vec![hidden, feed]),
            ("ffn_up.weight", vec![hidden, feed]),
            ("ffn_down.weight", vec![feed, hidden]),
        ];
        expected.extend(of_block.map(|(name, shape)| (format!("blk.{block}.{name}"), shape)));
    }
    let rows = gguf.tensors["token_embd.weight"].shape.get(1).copied().unwrap_or_default();
    expected.push(("token_embd.weight".to_owned(), vec![hidden, rows]));
    if gguf.tensors.contains_key("output.weight") {
        expected.push(("output.weight".to_owned(), vec![hidden, rows]));
    }
    for (name, shape) in expected {
        let problem = match gguf.tensors.get(&name) {
            None if name.ends_with(".bias") => Problem::fatal(
                format!("tensor {name} is missing"),
                "Qwen2 has a bias on q, k and v; llama.cpp would leave it out without a word",
                CONVERT,
            ),
            None => Problem::fatal(format!("tensor {name} is missing"), "llama.cpp can't load it", CONVERT),
            Some(tensor) if tensor.shape != shape => Problem::fatal(
                format!("tensor {name} has the shape {:?}, not {shape:?}", tensor.shape),
                "it is transposed, or of another model",
                CONVERT,
            ),
            Some(tensor) if tensor.bytes.is_none() => Problem::fatal(
                format!("tensor {name} is of the unknown type {}", tensor.dtype),
                "nothing can be checked of it",
                CONVERT,
            ),
            Some(_) => continue,
        };
        problems.push(problem);
    }
}

/// Checks that a file is a LoRA adapter for a model.
///
/// # Errors
/// Names both files and what differs.
pub fn check_adapter(adapter: &Gguf, model: &Gguf) -> Result<()> {
    let (path, base) = (adapter.path.display(), model.path.display());
    ensure!(
        adapter.text("general.type") == Some("adapter"),
        "{path} is not an adapter (general.type is {:?})\nhint: `reels export RUN --adapter` writes one",
        adapter.text("general.type").unwrap_or("missing")
    );
    ensure!(
        adapter.architecture() == model.architecture(),
        "{path} is for {:?}, {base} is {:?}\nhint: name the base model that the adapter was trained on",
        adapter.architecture().unwrap_or("?"),
        model.architecture().unwrap_or("?")
    );
    let mut sides = 0;
    for (name, tensor) in &adapter.tensors {
        let Some((target, side)) = name.rsplit_once(".lora_") else { continue };
        sides += 1;
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
    ensure!(
        sides > 0,
        "{path} changes nothing: it has no lora_a and lora_b\nhint: `reels export RUN --adapter` writes one"
    );
    Ok(())
}
