//! What a model file must have before it is worth loading.

use std::borrow::Cow;
use std::collections::HashSet;

use anyhow::{Result, anyhow, bail};

use super::{Gguf, Tensor, Value, type_name};
use crate::architecture::{Architecture, Sizes};
use crate::error::Hint;

/// Something about a file that keeps it from working, or makes its answers wrong without any message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Key or tensor, and the value that is wrong.
    pub what: String,
    /// What comes of it.
    pub why: Cow<'static, str>,
    /// What to do.
    pub hint: String,
    /// Whether the file still works, with answers that may be right.
    pub runs: bool,
}

impl Problem {
    /// One that keeps the file from working.
    pub fn fatal(what: String, why: impl Into<Cow<'static, str>>, hint: impl Into<String>) -> Problem {
        Problem { what, why: why.into(), hint: hint.into(), runs: false }
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
    for Problem { what, why, hint, runs } in problems(gguf) {
        if !runs {
            bail!(anyhow!("{}: {what}: {why}", gguf.path.display()).hint(hint));
        }
        tracing::warn!("{}: {what}: {why}", gguf.path.display());
    }
    Ok(())
}

/// All that is wrong with a language model's header.
pub fn problems(gguf: &Gguf) -> Vec<Problem> {
    problems_of(gguf, gguf.known_architecture())
}

/// The same, with what is known of its architecture.
pub fn problems_of(gguf: &Gguf, known: Option<&Architecture>) -> Vec<Problem> {
    if let Some(problem) = other_kind(gguf) {
        return vec![problem];
    }
    let Some(architecture) = gguf.architecture() else {
        return vec![Problem::fatal("general.architecture is missing".into(), NO_MODEL, CONVERT)];
    };
    let mut problems = Vec::new();
    for key in ["block_count", "context_length", "embedding_length", "attention.head_count"] {
        problems.extend(count_problem(gguf, &format!("{architecture}.{key}"), NO_MODEL));
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
        let scaling = gguf.text(&format!("{architecture}.rope.scaling.type"));
        if let Some(scaling) = scaling.filter(|kind| !["none", "linear", "yarn", "longrope"].contains(kind)) {
            let what = format!("{architecture}.rope.scaling.type is {scaling:?}");
            problems.push(Problem::fatal(what, "llama.cpp would end the program", CONVERT));
        }
        tokenizer(gguf, &mut problems);
        if let Some(known) = known {
            settings(gguf, known, &mut problems);
            if problems.iter().all(|problem| problem.runs) {
                tensors(gguf, known, &mut problems);
            }
            problems.extend(front_token(gguf, known));
        }
    }
    problems
}

/// What is wrong with a number that must be there and be above 0.
fn count_problem(gguf: &Gguf, key: &str, why: &'static str) -> Option<Problem> {
    const MOST: i128 = 1 << 24;
    let what = match gguf.metadata.get(key) {
        Some(Value::Int(1..=MOST)) => return None,
        Some(Value::Int(number)) => format!("{key} is {number}, not from 1 to {MOST}"),
        Some(_) => format!("{key} is no whole number"),
        None => format!("{key} is missing"),
    };
    Some(Problem::fatal(what, why, CONVERT))
}

/// What a file is that is no language model.
fn other_kind(gguf: &Gguf) -> Option<Problem> {
    const MODEL: &str = "name the file of the language model";
    let (kind, architecture) = (gguf.text("general.type"), gguf.architecture().unwrap_or_default());
    let encoders = ["bert", "encoder", "embedding", "wavtokenizer"];
    let (why, hint) = match (kind, architecture) {
        (Some("adapter"), _) => {
            ("this is a LoRA adapter", "name the base model with --model and this file with --adapter")
        }
        (Some("mmproj"), _) | (_, "clip") => ("this is the part of a model that sees or hears (mmproj)", MODEL),
        (Some("imatrix"), _) | (_, "imatrix") => ("this is an importance matrix, for quantising", MODEL),
        (Some("vocab"), _) => ("this is a vocabulary without a model", MODEL),
        (_, "controlvector") => ("this is a control vector", MODEL),
        (_, encoder) if encoders.iter().any(|part| encoder.contains(part)) => {
            ("this model turns texts into vectors and writes none", "use an instruct model")
        }
        _ if gguf.metadata.get(&format!("{architecture}.attention.causal")) == Some(&Value::Bool(false)) => {
            return Some(Problem::fatal(
                format!("{architecture}.attention.causal is false"),
                "this model reads texts as a whole and writes none",
                "use an instruct model",
            ));
        }
        _ => {
            let pooling = gguf.hyperparameter("pooling_type").filter(|pooling| *pooling > 0)?;
            return Some(Problem::fatal(
                format!("{architecture}.pooling_type is {pooling}"),
                "this model turns texts into vectors and writes none",
                "use an instruct model",
            ));
        }
    };
    let what = match kind.filter(|kind| *kind != "model") {
        Some(kind) => format!("general.type is {kind:?}"),
        None => format!("general.architecture is {architecture:?}"),
    };
    Some(Problem::fatal(what, why, hint))
}

fn tokenizer(gguf: &Gguf, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    // llama.cpp reads up to a 0.
    let read = |token: &str| token.split('\0').next().unwrap_or_default().to_owned();
    let twice = gguf.texts("tokenizer.ggml.tokens").enumerate().find(|(_, token)| !seen.insert(read(token)));
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

/// llama.cpp takes a model without some of these and answers nonsense: the rope base becomes 10000.
fn settings(gguf: &Gguf, architecture: &Architecture, problems: &mut Vec<Problem>) {
    let Architecture { name, gguf: prefix, tokenizer, .. } = architecture;
    const ASSUMED: &str = "llama.cpp would silently assume a value";
    for (key, least, most) in [("attention.layer_norm_rms_epsilon", 0.0, 1.0), ("rope.freq_base", 1.0, f64::INFINITY)] {
        let key = format!("{prefix}.{key}");
        let what = match gguf.metadata.get(&key) {
            Some(Value::Float(value)) if *value > least && *value < most => continue,
            Some(Value::Float(value)) => format!("{key} is {value}"),
            Some(_) => format!("{key} is no float"),
            None => format!("{key} is missing"),
        };
        problems.push(Problem::fatal(what, ASSUMED, CONVERT));
    }
    for key in ["feed_forward_length", "attention.head_count_kv"] {
        problems.extend(count_problem(gguf, &format!("{prefix}.{key}"), ASSUMED));
    }
    if let Some(experts) = gguf.hyperparameter("expert_count").filter(|experts| *experts > 0) {
        let what = format!("{prefix}.expert_count is {experts}");
        problems.push(Problem::fatal(what, "llama.cpp would end the program", CONVERT));
    }
    let [keys, values] = gguf.head_sizes();
    if let Some(turned) = gguf.hyperparameter("rope.dimension_count").filter(|turned| *turned != keys) {
        let what = format!("{prefix}.rope.dimension_count is {turned}, and heads have {keys} values");
        problems.push(Problem::fatal(what, "llama.cpp would end the program", CONVERT));
    }
    let said = gguf.hyperparameter("attention.key_length").is_some();
    if keys != values || said && !(keys.is_multiple_of(2) && (1..=1 << 16).contains(&keys)) {
        let what = format!("heads have {keys} values for keys ({prefix}.attention.key_length) and {values} for values");
        problems.push(Problem::fatal(what, "they are of one even size", CONVERT));
    }
    let (model, pre) = ("tokenizer.ggml.model", "tokenizer.ggml.pre");
    let [model, pre] = [model, pre].map(|key| gguf.text(key).unwrap_or("missing"));
    if model != "gpt2" || ["missing", "default"].contains(&pre) {
        let what = format!(
            "tokenizer.ggml.model is {model:?} and tokenizer.ggml.pre {pre:?}, and {name} has \"gpt2\" and {:?}",
            tokenizer.pre
        );
        problems.push(Problem::fatal(what, "text would become other tokens than in training", CONVERT));
    } else if pre != tokenizer.pre && !tokenizer.also.contains(&pre) {
        let what = format!("tokenizer.ggml.pre is {pre:?}, and {name} has {:?}", tokenizer.pre);
        let why = "text becomes other tokens than in training, unless the model has a tokenizer of its own";
        problems.push(Problem { runs: true, ..Problem::fatal(what, why, CONVERT) });
    }
}

fn front_token(gguf: &Gguf, architecture: &Architecture) -> Option<Problem> {
    let added = gguf.metadata.get("tokenizer.ggml.add_bos_token") == Some(&Value::Bool(true));
    (added && !architecture.tokenizer.adds_bos).then(|| Problem {
        runs: true,
        ..Problem::fatal(
            "tokenizer.ggml.add_bos_token is true".into(),
            "other programs put a token in front that the model wasn't trained with",
            CONVERT,
        )
    })
}

/// Every tensor is there in its shape; llama.cpp takes a model without its biases.
fn tensors(gguf: &Gguf, architecture: &Architecture, problems: &mut Vec<Problem>) {
    let sizes = match sizes(gguf, architecture) {
        Ok(sizes) => sizes,
        Err(problem) => return problems.push(problem),
    };
    // Those that llama.cpp may have beside.
    let beside = |name: &str| name.ends_with("scale") || name == "output.bias";
    let known: HashSet<String> = architecture.tensors(sizes).map(|tensor| tensor.gguf).collect();
    if let Some(extra) = gguf.tensors.keys().find(|name| !known.contains(*name) && !beside(name)) {
        let what = format!("tensor {extra} is none of a {} model of {} layers", architecture.name, sizes.layers);
        problems.push(Problem::fatal(what, "llama.cpp can't load it", CONVERT));
    }
    for expected in architecture.tensors(sizes) {
        let name = expected.gguf;
        let shape: Vec<u64> = expected.shape.iter().rev().map(|size| *size as u64).collect();
        problems.push(match gguf.tensors.get(&name) {
            None if name.ends_with(".bias") => Problem::fatal(
                format!("tensor {name} is missing"),
                format!(
                    "{} has a bias on {}; llama.cpp would leave it out without a word",
                    architecture.name,
                    architecture.biased()
                ),
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
            Some(tensor) if !is_computed(tensor) => Problem::fatal(
                format!("tensor {name} is of type {}", type_name(tensor.dtype)),
                "llama.cpp would end the program",
                CONVERT,
            ),
            Some(_) => continue,
        });
    }
}

/// Whether llama.cpp computes with a tensor's type: vectors in 32 bits, matrices in floats and quantised, but for the two
/// types (Q8_1, Q8_K) that it has for activations.
pub(super) fn is_computed(tensor: &Tensor) -> bool {
    if tensor.shape.len() == 1 { tensor.dtype == 0 } else { !matches!(tensor.dtype, 9 | 15 | 24..=28) }
}

fn sizes(gguf: &Gguf, architecture: &Architecture) -> Result<Sizes, Problem> {
    let number = |key| gguf.hyperparameter(key).unwrap_or_default() as usize;
    let (hidden, heads, kv_heads) =
        (number("embedding_length"), number("attention.head_count"), number("attention.head_count_kv"));
    let said = gguf.hyperparameter("attention.key_length").map(|size| size as usize);
    let Some(head_size) = architecture.head_size(said, hidden, [heads, kv_heads]) else {
        let said = said.map_or_else(String::new, |size| format!(" of {size}"));
        let what =
            format!("{heads} heads{said} ({kv_heads} for keys and values) don't divide {hidden} into even parts");
        return Err(Problem::fatal(what, "llama.cpp can't load it", DAMAGED));
    };
    Ok(Sizes {
        vocabulary: gguf.tensors["token_embd.weight"].shape.get(1).copied().unwrap_or_default() as usize,
        hidden,
        intermediate: number("feed_forward_length"),
        layers: number("block_count"),
        heads,
        kv_heads,
        head_size,
        tied: !gguf.tensors.contains_key("output.weight"),
    })
}
