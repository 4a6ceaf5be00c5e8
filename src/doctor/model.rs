//! A model file: everything that would otherwise make answers wrong without any message, and what it takes to run it.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::machine::bandwidth;
use super::{Finding, Severity};
use crate::config::{EngineSettings, KvType, PredictSettings};
use crate::generator::Bounds;
use crate::gguf::{Gguf, adapter_problems, is_zero, problems, read_header, sidecar, weights_problem};
use crate::llama;
use crate::prompt::{FitError, PromptSet, chat_of, chat_problems, fit};
use crate::reel::Reel;
use crate::run::{available_memory, sha256_file, size};
use crate::task::Task;

/// What is found in a GGUF file, and in an adapter for it.
pub fn model(path: &Path, adapter: Option<&Path>) -> Vec<Finding> {
    let gguf = match read_header(path) {
        Ok(gguf) => gguf,
        Err(error) => return vec![Finding::of("header", &error, "llama.cpp can't read it, or might crash on it")],
    };
    if gguf.text("general.type") == Some("adapter") && adapter.is_none() {
        let what =
            format!("an adapter for {:?}, {} tensors", gguf.text("reels.base").unwrap_or("?"), gguf.tensors.len());
        let mut found = vec![Finding::ok("header", what)];
        found.extend(of_adapter(path, None));
        found.extend([prompts(&gguf), manifest(path)]);
        return found;
    }
    let mut found: Vec<Finding> =
        problems(&gguf).into_iter().map(|problem| Finding::problem("header", problem)).collect();
    if found.iter().all(|finding| finding.severity < Severity::Error) {
        let what = format!(
            "{}, {:.1} M parameters, {} tensors, context {}",
            gguf.architecture().unwrap_or("?"),
            gguf.parameters() as f64 / 1e6,
            gguf.tensors.len(),
            gguf.hyperparameter("context_length").unwrap_or_default()
        );
        found.push(Finding::ok("header", what));
        found.extend(chat(&gguf));
        if cfg!(feature = "infer") && found.iter().all(|finding| finding.severity < Severity::Error) {
            match llama::Model::open(path, None) {
                Ok(model) => found.extend([attention(&gguf), room(&gguf, &model)].into_iter().flatten()),
                Err(error) => found.push(Finding::of("llama.cpp", &error, "it can't be loaded")),
            }
        }
        found.push(weights(&gguf).unwrap_or_else(|error| Finding::of("weights", &error, "llama.cpp can't read it")));
        found.push(prompts(&gguf));
    }
    if let Some(adapter) = adapter {
        found.extend(of_adapter(adapter, Some(&gguf)));
    }
    found.push(manifest(path));
    if found.iter().all(|finding| finding.severity < Severity::Error) {
        found.extend(memory(&gguf));
        found.push(speed(&gguf));
    }
    found
}

fn of_adapter(path: &Path, model: Option<&Gguf>) -> Vec<Finding> {
    let problems = read_header(path).and_then(|adapter| adapter_problems(&adapter, model));
    match problems {
        Err(error) => vec![Finding::of("adapter", &error, "it can't be applied")],
        Ok(problems) if problems.is_empty() => vec![Finding::ok("adapter", format!("{} fits", path.display()))],
        Ok(problems) => problems.into_iter().map(|problem| Finding::problem("adapter", problem)).collect(),
    }
}

fn chat(gguf: &Gguf) -> Vec<Finding> {
    let problems = chat_problems(gguf);
    if problems.is_empty() {
        let folds = chat_of(gguf, false).is_ok_and(|chat| chat.folds_system());
        let folds =
            if folds { "; it has no role for instructions, which stand at the head of the user's turn" } else { "" };
        let what = format!("the template and the token that ends answers are of this vocabulary{folds}");
        return vec![Finding::ok("chat", what)];
    }
    problems.into_iter().map(|problem| Finding::problem("chat", problem)).collect()
}

fn attention(gguf: &Gguf) -> Option<Finding> {
    let what = "it slides over the text".to_owned();
    let why = "texts are written one at a time, which is slower";
    llama::slides(gguf)
        .then(|| Finding::warning("attention", what, why, "use a model with full attention where that matters"))
}

/// Whether anything fits into its context with its prompts, or those that the program has.
fn room(gguf: &Gguf, model: &llama::Model) -> Option<Finding> {
    // What is wrong with its prompts is a finding of its own.
    let own = PromptSet::in_model(gguf).ok().flatten();
    let prompts = own.or_else(|| PromptSet::embedded().ok())?;
    let answer = prompts.tasks.iter().map(|task| task.max_tokens).max()?;
    let context = model.context_length();
    let reel = Reel { id: "r".into(), transcript: Some("x".into()), ..Reel::default() };
    match fit(&reel, &prompts, model.chat(), model.vocabulary(), context.saturating_sub(answer)) {
        Err(FitError::TooLong { tokens, .. }) => Some(Finding::warning(
            "room",
            format!(
                "a context of {context} tokens, of which an answer may take {answer}, and a prompt takes {tokens} or more"
            ),
            "no record can be answered",
            "use a model with more positions, lower max_tokens in tasks.toml, or shorten the templates (--prompts)",
        )),
        _ => None,
    }
}

/// Whether weights hold values that can be right.
fn weights(gguf: &Gguf) -> Result<Finding> {
    if let Some(problem) = weights_problem(gguf)? {
        return Ok(Finding::problem("weights", problem));
    }
    let biases = gguf.tensors.iter().filter(|(name, _)| name.ends_with(".bias"));
    let are_zero = biases.map(|(_, tensor)| is_zero(gguf, tensor)).collect::<Result<Vec<bool>>>()?;
    if !are_zero.is_empty() && are_zero.iter().all(|zero| *zero) {
        let named = gguf.known_architecture().map(|known| known.name);
        let architecture = named.or(gguf.architecture()).unwrap_or("the architecture");
        return Ok(Finding::warning(
            "weights",
            "all biases are 0",
            format!("{architecture} has biases that matter; they may have been lost on the way"),
            "export it anew from its checkpoint",
        ));
    }
    Ok(Finding::ok("weights", "all are finite, and norms and biases not all 0"))
}

fn prompts(gguf: &Gguf) -> Finding {
    match PromptSet::in_model(gguf) {
        Err(error) => Finding::of("prompts", &error, "it can't be used with the prompts it was trained with"),
        Ok(None) => Finding::ok("prompts", "none in the file; those in ./prompts or the embedded ones are used"),
        Ok(Some(prompts)) => {
            let tasks: Vec<&str> = prompts.tasks.iter().map(|task| task.name.as_str()).collect();
            let budget = gguf.number("reels.max_prompt_tokens");
            let budget = budget.map_or_else(String::new, |budget| format!(", {budget} tokens at most"));
            Finding::ok("prompts", format!("in the file: {}{budget}", tasks.join(", ")))
        }
    }
}

fn manifest(path: &Path) -> Finding {
    let beside = sidecar(path);
    let Ok(text) = std::fs::read_to_string(&beside) else {
        return Finding::ok(
            "manifest",
            format!("there is no {}: nobody says where this file comes from", beside.display()),
        );
    };
    let stored = serde_json::from_str::<Value>(&text).ok();
    let stored = stored.as_ref().and_then(|stored| Some((stored["sha256"].as_str()?, stored)));
    let Some((expected, stored)) = stored else {
        let what = format!("{} has no sha256", beside.display());
        return Finding::warning("manifest", what, "it can't be told whether the file is whole", "export it anew");
    };
    match sha256_file(path) {
        Err(error) => Finding::of("manifest", &error, "it can't be told whether the file is whole"),
        Ok(found) if found != expected => Finding::error(
            "manifest",
            format!(
                "SHA-256 {}, and {} says {}",
                &found[..12],
                beside.display(),
                expected.get(..12).unwrap_or(expected)
            ),
            "the file was changed or damaged since it was exported",
            "copy it again; or delete the manifest if you changed it on purpose",
        ),
        Ok(found) if stored["verified"] != true => Finding::warning(
            "manifest",
            format!("SHA-256 {} is right, but the file was never compared with what it was made from", &found[..12]),
            "a mistake on the way would show only in its answers",
            "export it again without --no-verify",
        ),
        Ok(found) => Finding::ok("manifest", format!("SHA-256 {} is right, and the file was proved", &found[..12])),
    }
}

/// What memory it takes to answer some numbers of Reels at once, with prompts of the size it was trained for and of
/// others.
fn memory(gguf: &Gguf) -> Vec<Finding> {
    const WIDTHS: [usize; 4] = [1, 4, 8, 16];
    const CONTEXTS: [usize; 3] = [1024, 4096, 16384];
    let context = gguf.hyperparameter("context_length").unwrap_or_default() as usize;
    let budget = gguf
        .number("reels.max_prompt_tokens")
        .map_or(PredictSettings::DEFAULT_MAX_PROMPT_TOKENS, |tokens| tokens as usize);
    let mut contexts = vec![budget.min(context)];
    contexts.extend(CONTEXTS.into_iter().filter(|tokens| *tokens > budget && *tokens <= context));
    let free = available_memory().unwrap_or(u64::MAX);
    // What is wrong with its prompts is a finding of its own.
    let own = PromptSet::in_model(gguf).ok().flatten();
    let tasks = own.or_else(|| PromptSet::embedded().ok()).map_or(vec![], |prompts| prompts.tasks);
    contexts
        .into_iter()
        .enumerate()
        .filter_map(|(index, tokens)| of_prompts(gguf, &tasks, tokens, &WIDTHS, free, index == 0))
        .collect()
}

fn of_prompts(gguf: &Gguf, tasks: &[Task], budget: usize, widths: &[usize], free: u64, usual: bool) -> Option<Finding> {
    let settings = |width| EngineSettings {
        width: Some(width),
        ubatch: EngineSettings::UBATCH,
        kv_type: KvType::F16,
        threads: 1,
        reproducible: false,
    };
    let of_width = |width: &usize| {
        let bounds = Bounds::of(tasks, budget, *width);
        Some((*width, llama::memory_bytes(gguf, &settings(*width), &bounds)?))
    };
    let bytes = widths.iter().map(of_width).collect::<Option<Vec<(usize, u64)>>>()?;
    let each: Vec<String> = bytes.iter().map(|(width, bytes)| format!("{width}: {}", size(*bytes))).collect();
    let what = format!("prompts of {budget} tokens, by Reels at once: {}", each.join(", "));
    if bytes[0].1 <= free {
        return Some(Finding::ok("memory", what));
    }
    let hint = "use a smaller quantisation, --kv-type q8_0, a lower --max-prompt-tokens, or another machine";
    let make = if usual { Finding::error } else { Finding::warning };
    Some(make("memory", format!("{what}; free: {}", size(free)), "it won't load", hint))
}

/// How fast it writes: every token reads all weights once.
fn speed(gguf: &Gguf) -> Finding {
    let bytes: u64 = gguf
        .tensors
        .iter()
        .filter(|(name, _)| *name != "token_embd.weight" || !gguf.tensors.contains_key("output.weight"))
        .filter_map(|(_, tensor)| tensor.bytes)
        .sum();
    let bandwidth = bandwidth();
    let tokens = bandwidth / bytes.max(1) as f64;
    let what = format!(
        "at most about {tokens:.0} tokens/s for one text: {:.1} GB/s of memory, {:.2} GB of weights; several at once share that",
        bandwidth / 1e9,
        bytes as f64 / 1e9
    );
    if tokens < 5.0 {
        return Finding::warning(
            "speed",
            what,
            "a summary takes half a minute",
            "use a smaller quantisation or model, or several Reels at once (--width)",
        );
    }
    Finding::ok("speed", what)
}
