//! What a GGUF says of itself: all that llama.cpp reads of it, where it comes from, and the prompts it was trained with.

use serde_json::{Value, json};

use super::vocabulary::Vocabulary;
use crate::architecture::Architecture;
use crate::config::Quant;
use crate::gguf::{Entry, FloatType};
use crate::prompt::PromptSet;
use crate::qlora::config::Config;

/// Where a file comes from.
#[derive(Debug)]
pub struct Provenance<'a> {
    /// Directory name of the base, or of what was trained in whole.
    pub base: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub base_sha256: String,
    /// Directory name of the run or adapter.
    pub run: Option<String>,
    /// Of the run.
    pub run_sha256: Option<String>,
    /// Of what was learned from.
    pub data_sha256: Option<String>,
    /// As it was named then; for the manifest beside the file only.
    pub data_path: Option<String>,
    /// As the base's card names it.
    pub licence: Option<String>,
    /// What the model was trained with.
    pub prompts: Option<&'a PromptSet>,
    /// The budget it was trained with.
    pub max_prompt_tokens: Option<usize>,
}

impl Provenance<'_> {
    /// That of the base alone.
    pub fn of_base(self) -> Self {
        Provenance { run: None, run_sha256: None, data_sha256: None, data_path: None, ..self }
    }

    /// What a reader calls the model.
    pub fn name(&self) -> String {
        match &self.run {
            Some(run) => format!("{} {run}", self.base),
            None => self.base.clone(),
        }
    }

    /// For the manifest beside the file.
    pub fn json(&self) -> Value {
        json!({
            "base": {"name": self.base, "sha256": self.base_sha256},
            "run": self.run.as_ref().map(|run| json!({"name": run, "sha256": self.run_sha256})),
            "data": self.data_sha256.as_ref().map(|sha256| json!({"path": self.data_path, "sha256": sha256})),
            "licence": self.licence,
            "prompts": self.prompts.map(|prompts| json!({"sha256": prompts.sha256(), "files": prompts.file_names().collect::<Vec<_>>()})),
            "max_prompt_tokens": self.max_prompt_tokens,
        })
    }

    fn entries(&self) -> Vec<(&'static str, Entry)> {
        let text = |text: &String| Entry::Text(text.clone());
        let optional = [
            ("general.license", self.licence.as_ref().map(text)),
            ("reels.version", Some(Entry::Text(env!("CARGO_PKG_VERSION").into()))),
            ("reels.base", Some(text(&self.base))),
            ("reels.base_sha256", Some(text(&self.base_sha256))),
            ("reels.run", self.run.as_ref().map(text)),
            ("reels.run_sha256", self.run_sha256.as_ref().map(text)),
            ("reels.data_sha256", self.data_sha256.as_ref().map(text)),
            ("reels.max_prompt_tokens", self.max_prompt_tokens.map(|tokens| Entry::U32(tokens as u32))),
        ];
        let mut entries: Vec<(&str, Entry)> =
            optional.into_iter().filter_map(|(key, entry)| Some((key, entry?))).collect();
        if let Some(prompts) = self.prompts {
            let (names, texts) = prompts.files().map(|(name, text)| (name.to_owned(), text.to_owned())).unzip();
            entries.push(("reels.prompts.sha256", Entry::Text(prompts.sha256())));
            entries.push((PromptSet::NAMES, Entry::Texts(names)));
            entries.push((PromptSet::TEXTS, Entry::Texts(texts)));
        }
        entries
    }
}

/// What a model file needs beside its weights.
#[derive(Debug)]
pub struct ModelParts<'a> {
    #[expect(missing_docs, reason = "the type says it")]
    pub config: &'a Config,
    #[expect(missing_docs, reason = "the type says it")]
    pub vocabulary: &'a Vocabulary,
    #[expect(missing_docs, reason = "the name says it")]
    pub chat_template: &'a str,
    /// The token that the chat template writes behind an answer.
    pub end: u32,
}

/// Metadata of a model.
pub fn model(parts: &ModelParts, provenance: &Provenance, stored: FloatType) -> Vec<(String, Entry)> {
    let ModelParts { config, vocabulary, chat_template, end } = parts;
    let tokenizer = config.architecture.tokenizer;
    let general = [
        ("general.architecture", Entry::Text(config.architecture.gguf.into())),
        ("general.type", Entry::Text("model".into())),
        ("general.name", Entry::Text(provenance.name())),
        ("general.size_label", Entry::Text(size_label(config.parameters()))),
    ];
    let mut entries = vec![
        ("general.file_type", Entry::U32(file_type(stored))),
        ("general.quantization_version", Entry::U32(2)),
        ("tokenizer.ggml.model", Entry::Text("gpt2".into())),
        ("tokenizer.ggml.pre", Entry::Text(tokenizer.pre.into())),
        ("tokenizer.ggml.tokens", Entry::Texts(vocabulary.tokens.iter().map(|(text, _)| text.clone()).collect())),
        ("tokenizer.ggml.token_type", Entry::I32s(vocabulary.tokens.iter().map(|(_, kind)| *kind as i32).collect())),
        ("tokenizer.ggml.merges", Entry::Texts(vocabulary.merges.clone())),
        ("tokenizer.ggml.eos_token_id", Entry::U32(*end)),
        ("tokenizer.ggml.eot_token_id", Entry::U32(*end)),
    ];
    for (key, id) in
        [("tokenizer.ggml.padding_token_id", vocabulary.padding), ("tokenizer.ggml.bos_token_id", vocabulary.bos)]
    {
        entries.extend(id.map(|id| (key, Entry::U32(id))));
    }
    entries.extend([
        ("tokenizer.ggml.add_bos_token", Entry::Bool(tokenizer.adds_bos)),
        ("tokenizer.ggml.add_eos_token", Entry::Bool(false)),
        ("tokenizer.chat_template", Entry::Text((*chat_template).to_owned())),
    ]);
    let mut all = owned(general.into_iter());
    all.extend(hyperparameters(config));
    all.extend(owned(entries.into_iter().chain(provenance.entries())));
    all
}

/// Numbers below the architecture's own prefix.
fn hyperparameters(config: &Config) -> Vec<(String, Entry)> {
    let number = |number: usize| Entry::U32(number as u32);
    let mut entries = vec![
        ("block_count", number(config.layers)),
        ("context_length", number(config.max_positions)),
        ("embedding_length", number(config.hidden)),
        ("feed_forward_length", number(config.intermediate)),
        ("attention.head_count", number(config.heads)),
        ("attention.head_count_kv", number(config.kv_heads)),
    ];
    // Else llama.cpp takes an equal part.
    if config.head_size * config.heads != config.hidden {
        entries.push(("attention.key_length", number(config.head_size)));
        entries.push(("attention.value_length", number(config.head_size)));
    }
    entries.push(("rope.freq_base", Entry::F32(config.rope_theta as f32)));
    entries.push(("attention.layer_norm_rms_epsilon", Entry::F32(config.rms_norm_eps as f32)));
    entries.into_iter().map(|(key, entry)| (format!("{}.{key}", config.architecture.gguf), entry)).collect()
}

/// Metadata of an adapter whose scales are folded into its second halves but for `alpha`, which is its largest rank.
pub fn adapter(architecture: &Architecture, alpha: usize, provenance: &Provenance) -> Vec<(String, Entry)> {
    let entries = [
        ("general.architecture", Entry::Text(architecture.gguf.into())),
        ("general.type", Entry::Text("adapter".into())),
        ("adapter.type", Entry::Text("lora".into())),
        ("general.name", Entry::Text(provenance.name())),
        ("general.file_type", Entry::U32(file_type(FloatType::F32))),
        ("general.quantization_version", Entry::U32(2)),
        // llama.cpp multiplies by alpha / rank; rank-stabilised scales can't be said that way.
        ("adapter.lora.alpha", Entry::F32(alpha as f32)),
    ];
    owned(entries.into_iter().chain(provenance.entries()))
}

fn owned<'a>(entries: impl Iterator<Item = (&'a str, Entry)>) -> Vec<(String, Entry)> {
    entries.map(|(key, entry)| (key.to_owned(), entry)).collect()
}

/// llama.cpp's `llama_ftype`.
fn file_type(stored: FloatType) -> u32 {
    match stored {
        FloatType::F32 => 0,
        FloatType::F16 => 1,
        FloatType::Bf16 => 32,
    }
}

/// Of the float types.
pub fn float_type(quant: Quant) -> Option<FloatType> {
    match quant {
        Quant::F32 => Some(FloatType::F32),
        Quant::F16 => Some(FloatType::F16),
        Quant::Bf16 => Some(FloatType::Bf16),
        _ => None,
    }
}

/// Two digits at least: 6.3M, 494M, 1.5B.
fn size_label(parameters: usize) -> String {
    let (scaled, suffix) = match parameters as f64 {
        count if count >= 1e9 => (count * 1e-9, "B"),
        count if count >= 1e6 => (count * 1e-6, "M"),
        count => (count * 1e-3, "K"),
    };
    if scaled.round() < 10.0 { format!("{scaled:.1}{suffix}") } else { format!("{scaled:.0}{suffix}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        let labels = [6_307_000, 494_032_768, 1_543_714_304, 7_615_616_512, 14_770_033_664].map(size_label);
        assert_eq!(labels, ["6.3M", "494M", "1.5B", "7.6B", "15B"]);
    }
}
