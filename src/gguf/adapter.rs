//! What an adapter file must have before llama.cpp sees it, which leaves out some of it without a word and ends the program at
//! some.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};

use super::check::is_computed;
use super::{Gguf, Problem, Tensor, Value, is_zero, type_name, weights_problem};
use crate::error::Hint;

const EXPORT: &str = "`reels export RUN --adapter` writes one";
const MERGE: &str = "merge it into its base: `reels export RUN`, or PEFT's merge_and_unload()";
const OTHER_BASE: &str = "name the base model that the adapter was trained on";
const DAMAGED: &str = "the file may be damaged; copy it again, or export it anew";
/// Matrices of a layer that llama.cpp multiplies together with their adapter, whatever the architecture.
const ADAPTED: [&str; 8] = ["attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

/// Checks that a file is a LoRA adapter for a model; what may be right is left to [`adapter_problems`].
///
/// # Errors
/// Names the adapter, and the first key or tensor that is wrong.
pub fn check_adapter(adapter: &Gguf, model: &Gguf) -> Result<()> {
    for Problem { what, why, hint, runs } in adapter_problems(adapter, Some(model))? {
        if !runs {
            bail!(anyhow!("{}: {what}: {why}", adapter.path.display()).hint(hint));
        }
        tracing::warn!("{}: {what}: {why}", adapter.path.display());
    }
    Ok(())
}

/// All that is wrong with an adapter, for a model if one is given.
///
/// # Errors
/// When its values can't be read.
pub fn adapter_problems(adapter: &Gguf, model: Option<&Gguf>) -> Result<Vec<Problem>> {
    let text = |key| adapter.text(key).unwrap_or("missing");
    for (key, expected) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        if text(key) != expected {
            let what = format!("{key} is {:?}", text(key));
            return Ok(vec![Problem::fatal(what, "this is no LoRA adapter", EXPORT)]);
        }
    }
    let mut problems = Vec::new();
    if adapter.metadata.contains_key("adapter.alora.invocation_tokens") {
        problems.push(Problem::fatal(
            "adapter.alora.invocation_tokens is set".into(),
            "it is made to change only what follows these tokens, and would change everything",
            "train a plain LoRA adapter",
        ));
    }
    match adapter.metadata.get("adapter.lora.alpha") {
        Some(Value::Float(alpha)) if alpha.is_finite() && *alpha != 0.0 => {}
        found => {
            let what = match found {
                Some(Value::Float(alpha)) => format!("adapter.lora.alpha is {alpha}"),
                Some(_) => "adapter.lora.alpha is no float".to_owned(),
                None => "adapter.lora.alpha is missing".to_owned(),
            };
            problems.push(Problem::fatal(what, "llama.cpp would silently take a scale of 1", "export it anew"));
        }
    }
    problems.extend(tensors(adapter, model));
    problems.extend(weights_problem(adapter)?);
    if let Some(model) = model {
        problems.extend(base(adapter, model));
    }
    if problems.iter().all(|problem| problem.runs) && changes_nothing(adapter)? {
        let what = "every lora_b is 0".into();
        problems.push(Problem::fatal(what, "it changes nothing", "was it trained? second halves start at zero"));
    }
    Ok(problems)
}

/// Every tensor is a half of a change that llama.cpp applies.
fn tensors(adapter: &Gguf, model: Option<&Gguf>) -> Vec<Problem> {
    let mut halves: BTreeMap<&str, [Option<&Tensor>; 2]> = BTreeMap::new();
    for (name, tensor) in &adapter.tensors {
        match name.rsplit_once(".lora_") {
            Some((target, "a")) => halves.entry(target).or_default()[0] = Some(tensor),
            Some((target, "b")) => halves.entry(target).or_default()[1] = Some(tensor),
            _ => {
                let what = format!("tensor {name} is no lora_a or lora_b");
                return vec![Problem::fatal(what, "llama.cpp would leave it out without a word", MERGE)];
            }
        }
    }
    if halves.is_empty() {
        return vec![Problem::fatal("it has no lora_a and lora_b".into(), "it changes nothing", EXPORT)];
    }
    halves.into_iter().filter_map(|(target, halves)| change(target, halves, model)).collect()
}

fn change(target: &str, halves: [Option<&Tensor>; 2], model: Option<&Gguf>) -> Option<Problem> {
    let fatal = |what: String, why: &'static str, hint: &str| Some(Problem::fatal(what, why, hint));
    let [Some(a), Some(b)] = halves else {
        return fatal(format!("there is only one half of the change of {target}"), "llama.cpp can't load it", DAMAGED);
    };
    let embedding = target == "token_embd.weight";
    if !embedding && !is_adapted(target) {
        return fatal(format!("it adapts {target}"), "llama.cpp isn't known to apply that", MERGE);
    }
    let matrix =
        |tensor: &Tensor| Some([*tensor.shape.first()?, *tensor.shape.get(1)?]).filter(|_| tensor.shape.len() == 2);
    let (Some([a_in, a_out]), Some([b_in, b_out])) = (matrix(a), matrix(b)) else {
        let what = format!("the change of {target} is of {:?} and {:?} values, not of two matrices", a.shape, b.shape);
        return fatal(what, "llama.cpp can't load it", DAMAGED);
    };
    if let Some(odd) = [a, b].into_iter().find(|half| half.bytes.is_none() || !is_computed(half)) {
        let what = format!("the change of {target} is of type {}", type_name(odd.dtype));
        return fatal(what, "llama.cpp would end the program", "export it anew");
    }
    // By convention the first half of the embedding's change is transposed.
    let (from, ranks) = if embedding { (a_out, [a_in, b_in]) } else { (a_in, [a_out, b_in]) };
    if ranks[0] != ranks[1] {
        let what = format!("the halves of the change of {target} are of ranks {} and {}", ranks[0], ranks[1]);
        return fatal(what, "llama.cpp can't load it", DAMAGED);
    }
    let model = model?;
    let base = model.path.display();
    let Some(weight) = model.tensors.get(target) else {
        if target == "output.weight" {
            return fatal(format!("it adapts {target}"), "the model's output layer is its embedding", MERGE);
        }
        return fatal(format!("it adapts {target}"), "the model has no such tensor", OTHER_BASE);
    };
    let expected = if embedding { [b_out, from] } else { [from, b_out] };
    if weight.shape != expected {
        let what = format!("the change of {target} is for {expected:?} values, and {base} has {:?}", weight.shape);
        return fatal(what, "it is of another model", OTHER_BASE);
    }
    if embedding && !model.tensors.contains_key("output.weight") {
        let why = "llama.cpp would end the program where the embedding is the output layer too";
        return fatal(format!("it adapts {target}"), why, MERGE);
    }
    None
}

/// Whether the model is what the adapter was trained on, as far as both say.
fn base(adapter: &Gguf, model: &Gguf) -> Option<Problem> {
    let path = model.path.display();
    if adapter.architecture() != model.architecture() {
        let of = |gguf: &Gguf| gguf.architecture().unwrap_or("?").to_owned();
        let what = format!("it is for {:?}, and {path} is {:?}", of(adapter), of(model));
        return Some(Problem::fatal(what, "it is of another model", OTHER_BASE));
    }
    let name = |gguf: &Gguf, key| gguf.text(key).unwrap_or("?").to_owned();
    if let Some(run) = model.text("reels.run_sha256") {
        let why = if adapter.text("reels.run_sha256") == Some(run) {
            "it is merged into it already"
        } else {
            "it is no base, but has been trained further"
        };
        let what = format!("{path} is of the run {:?}", name(model, "reels.run"));
        return Some(Problem::fatal(what, why, "name the model without it: `reels export BASE` writes that"));
    }
    let [of, has] = [adapter, model].map(|gguf| gguf.text("reels.base_sha256"));
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    match (of, has) {
        (Some(of), Some(has)) if of != has => {
            let what = format!(
                "it was trained on {:?} (SHA-256 {}), and {path} was made from {:?} ({})",
                name(adapter, "reels.base"),
                short(of),
                name(model, "reels.base"),
                short(has)
            );
            Some(Problem::fatal(what, "its changes are of other weights", OTHER_BASE))
        }
        (Some(of), None) => Some(Problem {
            runs: true,
            ..Problem::fatal(
                format!("it was trained on {:?} (SHA-256 {})", name(adapter, "reels.base"), short(of)),
                format!("{path} doesn't say what it was made from, so it can't be told whether that is the same"),
                "`reels export BASE` writes a model that says so",
            )
        }),
        _ => None,
    }
}

/// Whether the second half of every change is 0, as before training.
fn changes_nothing(adapter: &Gguf) -> Result<bool> {
    for (_, tensor) in adapter.tensors.iter().filter(|(name, _)| name.ends_with(".lora_b")) {
        if !is_zero(adapter, tensor)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_adapted(target: &str) -> bool {
    if target == "output.weight" {
        return true;
    }
    let parts: Vec<&str> = target.split('.').collect();
    matches!(parts[..], ["blk", layer, matrix, "weight"] if layer.parse::<u32>().is_ok() && ADAPTED.contains(&matrix))
}
