//! The shape of a model, from the `config.json` of a Hugging Face directory.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::checkpoint::UNQUANTISED;
use crate::architecture::{ALL, Architecture, Linear, Sizes, TensorInfo, list};
use crate::error::Hint;
use crate::foreign::read_json;

/// A model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    #[expect(missing_docs, reason = "the type says it")]
    pub architecture: &'static Architecture,
    /// Rows of the embedding; the tokenizer may know fewer tokens.
    pub vocabulary: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub layers: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub heads: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Base of the rotary positions' frequencies.
    pub rope_theta: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub rms_norm_eps: f64,
    /// Positions the model was trained for.
    pub max_positions: usize,
    /// Whether the embedding also serves as the output matrix.
    pub tied: bool,
}

impl Config {
    /// Reads `config.json` of a directory, as transformers 4 and 5 write it.
    ///
    /// # Errors
    /// Names the file and the key of what is missing, of the wrong type or of no known architecture.
    pub fn read(directory: &Path) -> Result<Config> {
        let path = directory.join("config.json");
        ensure!(
            directory.extension().is_none_or(|extension| extension != "gguf"),
            anyhow!("{} is a GGUF file, which holds no weights to train", directory.display())
                .hint("--base takes the Hugging Face directory the GGUF was made from")
        );
        ensure!(
            path.exists(),
            anyhow!("{} is missing", path.display()).hint("a base is a directory as Hugging Face has it")
        );
        Config::parse(&read_json(&path)?, ALL).with_context(|| format!("{}", path.display()))
    }

    /// Reads a `config.json` of one of some architectures.
    ///
    /// # Errors
    /// As [`Config::read`], without the file.
    pub fn parse(json: &Value, known: &[&'static Architecture]) -> Result<Config> {
        let kind = json["model_type"].as_str().unwrap_or("?");
        let architecture = *known
            .iter()
            .find(|architecture| architecture.model_type == kind)
            .with_context(|| format!("model_type is {kind:?}"))
            .with_hint(|| {
                format!(
                    "only {} can be trained and exported; llama.cpp's convert_hf_to_gguf.py makes a GGUF of others, to be \
                     named with --model",
                    list(known)
                )
            })?;
        let number = |key: &str| {
            let most = if key == "max_position_embeddings" { 1 << 30 } else { 1 << 24 };
            json[key].as_u64().filter(|value| (1..=most).contains(value)).map(|value| value as usize).with_context(
                || match &json[key] {
                    Value::Null => format!("{key} is missing"),
                    other => format!("{key} is {other}, not a number from 1 to {most}"),
                },
            )
        };
        // transformers 5 moved the base of the rotary positions.
        let places =
            [("", json), ("rope_parameters.", &json["rope_parameters"]), ("rope_scaling.", &json["rope_scaling"])];
        let mut thetas = places.iter().filter_map(|(place, value)| Some((*place, value.get("rope_theta")?.as_f64()?)));
        let first = thetas.next();
        if let (Some((place, theta)), Some((other, differs))) =
            (first, thetas.find(|(_, theta)| Some(*theta) != first.map(|(_, first)| first)))
        {
            bail!(anyhow!("{place}rope_theta is {theta}, and {other}rope_theta is {differs}").hint(format!(
                "remove the one that isn't meant; {} has {}",
                architecture.example, architecture.rope_theta
            )));
        }
        let Some((_, rope_theta)) = first else {
            bail!(anyhow!("neither rope_theta nor rope_parameters.rope_theta is a number").hint(format!(
                "{} has {}; without it every position would be wrong",
                architecture.example, architecture.rope_theta
            )))
        };
        for (key, scaling) in [("rope_scaling", &json["rope_scaling"]), ("rope_parameters", &json["rope_parameters"])] {
            let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str).unwrap_or("default");
            ensure!(
                kind == "default",
                anyhow!("{key} is of type {kind:?}").hint(
                    "only unscaled positions can be computed; where it was added to reach longer texts (YaRN on Qwen2.5), remove it"
                )
            );
        }
        quantisation(json)?;
        let layers = json["layer_types"].as_array().into_iter().flatten();
        if let Some(other) = layers.into_iter().find(|kind| *kind != "full_attention") {
            bail!(anyhow!("layer_types has {other}").hint("only full attention can be computed"));
        }
        let part = [&json["partial_rotary_factor"], &json["rope_parameters"]["partial_rotary_factor"]];
        if let Some(part) = part.into_iter().find(|part| part.as_f64().is_some_and(|part| part != 1.0)) {
            bail!(
                anyhow!("partial_rotary_factor is {part}")
                    .hint("only heads that are turned as a whole can be computed")
            );
        }
        let count = |key: &str| json[key].as_u64();
        let none_slides = json["sliding_window"].is_null()
            || count("max_window_layers").is_some_and(|first| Some(first) >= count("num_hidden_layers"));
        for (key, instead) in architecture.unsupported {
            let value = &json[*key];
            let is_idle = *key == "use_sliding_window" && none_slides;
            ensure!(value.is_null() || *value == false || is_idle, anyhow!("{key} is {value}").hint(*instead));
        }
        ensure!(
            json["hidden_act"].as_str().is_none_or(|act| act == "silu"),
            anyhow!("hidden_act is {}", json["hidden_act"]).hint(format!("{} has \"silu\"", architecture.name))
        );
        let (hidden, heads) = (number("hidden_size")?, number("num_attention_heads")?);
        let kv_heads = if json["num_key_value_heads"].is_null() { heads } else { number("num_key_value_heads")? };
        let said = if json["head_dim"].is_null() { None } else { Some(number("head_dim")?) };
        ensure!(
            said.is_none_or(|size| size.is_multiple_of(2) && heads.saturating_mul(size) <= 1 << 24),
            anyhow!("head_dim is {}", json["head_dim"])
                .hint(format!("{heads} heads of that size can't be computed; correct it"))
        );
        let head_size = architecture.head_size(said, hidden, [heads, kv_heads]).with_context(|| {
            let said = said.map_or_else(String::new, |size| format!(" of {size}"));
            format!(
                "{heads} heads{said} ({kv_heads} for keys and values) don't divide a hidden size of {hidden} into even parts"
            )
        })?;
        Ok(Config {
            architecture,
            vocabulary: number("vocab_size")?,
            hidden,
            intermediate: number("intermediate_size")?,
            layers: number("num_hidden_layers")?,
            heads,
            kv_heads,
            head_size,
            rope_theta,
            rms_norm_eps: json["rms_norm_eps"].as_f64().context("rms_norm_eps is missing")?,
            max_positions: number("max_position_embeddings")?,
            tied: json["tie_word_embeddings"].as_bool().unwrap_or(false),
        })
    }

    /// What its tensors' shapes are made of.
    pub fn sizes(&self) -> Sizes {
        let Config { vocabulary, hidden, intermediate, layers, heads, kv_heads, head_size, tied, .. } = *self;
        Sizes { vocabulary, hidden, intermediate, layers, heads, kv_heads, head_size, tied }
    }

    /// The matrix that gives logits.
    pub fn head(&self) -> String {
        if self.tied { self.architecture.embedding } else { self.architecture.head }.weight()
    }

    /// The linear maps of a layer, each with its name and its `[out, in]`.
    pub fn linears(&self, layer: usize) -> [(String, Linear, [usize; 2]); 7] {
        self.architecture.linears_of(layer, &self.sizes())
    }

    /// Every tensor of a checkpoint, in the order of computation.
    pub fn tensors(&self) -> Vec<TensorInfo> {
        self.architecture.tensors(self.sizes()).collect()
    }

    /// Values of all tensors.
    pub fn parameters(&self) -> usize {
        self.architecture.tensors(self.sizes()).map(|tensor| tensor.values()).sum()
    }
}

/// Refuses weights that are quantised, but for bitsandbytes' four bits, whose tensors say more.
fn quantisation(json: &Value) -> Result<()> {
    let config = &json["quantization_config"];
    let method = config["quant_method"].as_str();
    let named = match method {
        _ if !json["quantization"].is_null() => "MLX",
        None if config.is_null() => return Ok(()),
        Some("bitsandbytes") if config["bnb_4bit_quant_type"] == "fp4" => "bitsandbytes in FP4",
        Some("bitsandbytes") if config["load_in_4bit"] == true => return Ok(()),
        Some("bitsandbytes") => "bitsandbytes in eight bits (LLM.int8)",
        Some("awq") => "AWQ",
        Some("gptq") => "GPTQ",
        Some("fp8" | "fbgemm_fp8") => "FP8",
        other => other.unwrap_or("an unknown method"),
    };
    Err(anyhow!("the weights are quantised by {named} (quantization_config)").hint(UNQUANTISED))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Shown;

    fn qwen() -> Value {
        json!({
            "model_type": "qwen2", "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864,
            "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "rope_theta": 1e6,
            "rms_norm_eps": 1e-6, "max_position_embeddings": 32768, "tie_word_embeddings": true, "hidden_act": "silu",
        })
    }

    #[test]
    fn both_spellings_of_the_rope_base_are_read() {
        let old = Config::parse(&qwen(), ALL).unwrap();
        let mut new = qwen();
        new.as_object_mut().unwrap().remove("rope_theta");
        new["rope_parameters"] = json!({"rope_theta": 1e6, "rope_type": "default"});
        assert_eq!(Config::parse(&new, ALL).unwrap(), old);
        assert_eq!((old.head_size, old.rope_theta, old.tensors().len()), (64, 1e6, 2 + 24 * 12));
        // 494 million parameters, as its card says
        assert_eq!(old.parameters(), 494_032_768);
    }

    #[test]
    fn a_window_matters_where_a_layer_slides() {
        let parsed = |window: Value, first: usize| {
            let mut json = qwen();
            json["use_sliding_window"] = json!(true);
            json["sliding_window"] = window;
            json["max_window_layers"] = json!(first);
            Config::parse(&json, ALL).map_err(|error| error.to_string())
        };
        assert!(parsed(json!(null), 4).is_ok() && parsed(json!(4096), 24).is_ok());
        assert_eq!(parsed(json!(4096), 23).unwrap_err(), "use_sliding_window is true");
    }

    #[test]
    fn what_cannot_be_trained_is_named() {
        for (key, value, expected) in [
            ("model_type", json!("gpt2"), "model_type is \"gpt2\"\nhint: only Qwen2 models (Qwen2.5 is one)"),
            ("rope_theta", json!(null), "neither rope_theta nor rope_parameters.rope_theta"),
            ("rope_scaling", json!({"type": "yarn", "factor": 4.0}), "rope_scaling is of type \"yarn\""),
            ("hidden_size", json!("896"), "hidden_size is \"896\""),
            ("num_attention_heads", json!(13), "13 heads (2 for keys and values) don't divide"),
            ("layer_types", json!(["full_attention", "sliding_attention"]), "layer_types has \"sliding_attention\""),
            ("partial_rotary_factor", json!(0.5), "partial_rotary_factor is 0.5"),
            ("quantization_config", json!({"quant_method": "awq", "bits": 4}), "the weights are quantised by AWQ"),
            ("quantization_config", json!({"quant_method": "bitsandbytes", "load_in_8bit": true}), "(LLM.int8)"),
            ("quantization", json!({"group_size": 64, "bits": 4}), "the weights are quantised by MLX"),
            (
                "rope_parameters",
                json!({"rope_theta": 1e4}),
                "rope_theta is 1000000, and rope_parameters.rope_theta is 10000",
            ),
            ("hidden_size", json!(1u64 << 62), "hidden_size is 4611686018427387904, not a number from 1 to"),
            (
                "quantization_config",
                json!({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "fp4"}),
                "bitsandbytes in FP4",
            ),
            ("head_dim", json!(63), "head_dim is 63"),
            ("head_dim", json!(128), "14 heads of 128 (2 for keys and values) don't divide a hidden size of 896"),
            ("vocab_size", json!(null), "vocab_size is missing"),
            ("head_dim", json!(1u64 << 60), "head_dim is 1152921504606846976"),
            ("rms_norm_eps", json!(null), "rms_norm_eps is missing"),
        ] {
            let mut json = qwen();
            json[key] = value;
            let message = Shown::of(&Config::parse(&json, ALL).unwrap_err()).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
