//! The shape of a model, from the `config.json` of a Hugging Face directory.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A Qwen2 model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
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
    /// Names the file and the key of what is missing, of the wrong type or not Qwen2.
    pub fn read(directory: &Path) -> Result<Config> {
        let path = directory.join("config.json");
        ensure!(
            directory.extension().is_none_or(|extension| extension != "gguf"),
            "{} is a GGUF file, which holds no weights to train\nhint: --base takes the Hugging Face directory the GGUF was made from",
            directory.display()
        );
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("cannot read {}\nhint: a base is a directory as Hugging Face has it", path.display())
        })?;
        let json: Value = serde_json::from_str(&text).with_context(|| format!("{}: not JSON", path.display()))?;
        Config::parse(&json).with_context(|| format!("{}", path.display()))
    }

    fn parse(json: &Value) -> Result<Config> {
        let kind = json["model_type"].as_str().unwrap_or("?");
        ensure!(kind == "qwen2", "model_type is {kind:?}\nhint: only Qwen2 models (Qwen2.5 is one) can be trained");
        let number = |key: &str| {
            json[key]
                .as_u64()
                .filter(|value| *value > 0)
                .map(|value| value as usize)
                .with_context(|| format!("{key} is {}, not a number above 0", json[key]))
        };
        // transformers 5 moved the base of the rotary positions.
        let theta = [&json["rope_theta"], &json["rope_parameters"]["rope_theta"]];
        let Some(rope_theta) = theta.into_iter().find_map(Value::as_f64) else {
            bail!(
                "neither rope_theta nor rope_parameters.rope_theta is a number\nhint: Qwen2.5 has 1000000; without it every position would be wrong"
            )
        };
        for (key, scaling) in [("rope_scaling", &json["rope_scaling"]), ("rope_parameters", &json["rope_parameters"])] {
            let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str).unwrap_or("default");
            ensure!(kind == "default", "{key} is of type {kind:?}\nhint: only unscaled positions can be trained");
        }
        ensure!(
            json["use_sliding_window"] != true,
            "use_sliding_window is true\nhint: only full attention can be trained"
        );
        ensure!(
            json["hidden_act"].as_str().is_none_or(|act| act == "silu"),
            "hidden_act is {}\nhint: Qwen2 has \"silu\"",
            json["hidden_act"]
        );
        let heads = number("num_attention_heads")?;
        let config = Config {
            vocabulary: number("vocab_size")?,
            hidden: number("hidden_size")?,
            intermediate: number("intermediate_size")?,
            layers: number("num_hidden_layers")?,
            heads,
            kv_heads: if json["num_key_value_heads"].is_null() { heads } else { number("num_key_value_heads")? },
            rope_theta,
            rms_norm_eps: json["rms_norm_eps"].as_f64().context("rms_norm_eps is missing")?,
            max_positions: number("max_position_embeddings")?,
            tied: json["tie_word_embeddings"].as_bool().unwrap_or(false),
        };
        ensure!(
            config.hidden.is_multiple_of(2 * config.heads) && config.heads.is_multiple_of(config.kv_heads),
            "{} heads ({} for keys and values) don't divide a hidden size of {} into even parts",
            config.heads,
            config.kv_heads,
            config.hidden
        );
        Ok(config)
    }

    /// Elements of a head.
    pub fn head_size(&self) -> usize {
        self.hidden / self.heads
    }

    /// Name of the matrix that turns hidden states into logits.
    pub fn head(&self) -> &'static str {
        if self.tied { "model.embed_tokens.weight" } else { "lm_head.weight" }
    }

    /// Every tensor of a checkpoint with its shape, in the order of computation.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let kv = self.kv_heads * self.head_size();
        let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocabulary, self.hidden])];
        for layer in 0..self.layers {
            let of_layer = [
                ("input_layernorm.weight", vec![self.hidden]),
                ("self_attn.q_proj.weight", vec![self.hidden, self.hidden]),
                ("self_attn.q_proj.bias", vec![self.hidden]),
                ("self_attn.k_proj.weight", vec![kv, self.hidden]),
                ("self_attn.k_proj.bias", vec![kv]),
                ("self_attn.v_proj.weight", vec![kv, self.hidden]),
                ("self_attn.v_proj.bias", vec![kv]),
                ("self_attn.o_proj.weight", vec![self.hidden, self.hidden]),
                ("post_attention_layernorm.weight", vec![self.hidden]),
                ("mlp.gate_proj.weight", vec![self.intermediate, self.hidden]),
                ("mlp.up_proj.weight", vec![self.intermediate, self.hidden]),
                ("mlp.down_proj.weight", vec![self.hidden, self.intermediate]),
            ];
            tensors.extend(of_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}"), shape)));
        }
        tensors.push(("model.norm.weight".to_owned(), vec![self.hidden]));
        if !self.tied {
            tensors.push(("lm_head.weight".to_owned(), vec![self.vocabulary, self.hidden]));
        }
        tensors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn qwen() -> Value {
        json!({
            "model_type": "qwen2", "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864,
            "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "rope_theta": 1e6,
            "rms_norm_eps": 1e-6, "max_position_embeddings": 32768, "tie_word_embeddings": true, "hidden_act": "silu",
        })
    }

    #[test]
    fn both_spellings_of_the_rope_base_are_read() {
        let old = Config::parse(&qwen()).unwrap();
        let mut new = qwen();
        new.as_object_mut().unwrap().remove("rope_theta");
        new["rope_parameters"] = json!({"rope_theta": 1e6, "rope_type": "default"});
        assert_eq!(Config::parse(&new).unwrap(), old);
        assert_eq!((old.head_size(), old.rope_theta, old.tensors().len()), (64, 1e6, 2 + 24 * 12));
        // 494 million parameters, as its card says
        let parameters: usize = old.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(parameters, 494_032_768);
    }

    #[test]
    fn what_cannot_be_trained_is_named() {
        for (key, value, expected) in [
            ("model_type", json!("llama"), "model_type is \"llama\""),
            ("rope_theta", json!(null), "neither rope_theta nor rope_parameters.rope_theta"),
            ("rope_scaling", json!({"type": "yarn", "factor": 4.0}), "rope_scaling is of type \"yarn\""),
            ("use_sliding_window", json!(true), "use_sliding_window is true"),
            ("hidden_size", json!("896"), "hidden_size is \"896\""),
            ("num_attention_heads", json!(13), "13 heads (2 for keys and values) don't divide"),
            ("rms_norm_eps", json!(null), "rms_norm_eps is missing"),
        ] {
            let mut json = qwen();
            json[key] = value;
            let message = Config::parse(&json).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
