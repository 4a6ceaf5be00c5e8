//! A model so small that training it takes no time: random weights, a token a byte.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use reels::architecture::TensorInfo;
use reels::qlora::config::Config;
use serde_json::{Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/// As Qwen2 does.
const SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TASKS: &str = "[task.summary]\nkind = \"text\"\ntemplate = \"summary.jinja\"\nmax_tokens = 20\n\n\
    [task.ad]\nkind = \"label\"\ntemplate = \"ad.jinja\"\nmax_tokens = 16\nlabels = [\"iklan\", \"bukan iklan\"]\npositive = \"iklan\"\n";

/// `base/`, `prompts/`, `train.jsonl` and `dev.jsonl` below a folder.
pub fn write(folder: &Path) {
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let vocabulary: serde_json::Map<String, Value> =
        alphabet.into_iter().enumerate().map(|(id, letter)| (letter.to_string(), id.into())).collect();
    let special = |(index, content): (usize, &str)| {
        json!({"id": 256 + index, "content": content, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    };
    let special: Vec<Value> =
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].into_iter().enumerate().map(special).collect();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let split = json!({"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": false});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special, "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes]}, "post_processor": null, "decoder": bytes,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    std::fs::write(base.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(base.join("tokenizer_config.json"), json!({"chat_template": CHATML}).to_string()).unwrap();
    let config = json!({
        "model_type": "qwen2", "vocab_size": 260, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "rope_theta": 1e4, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 512, "tie_word_embeddings": true, "hidden_act": "silu", "torch_dtype": "float32",
    });
    std::fs::write(base.join("config.json"), config.to_string()).unwrap();
    save_weights(&Config::read(&base).unwrap(), &base);

    let prompts = folder.join("prompts");
    std::fs::create_dir_all(&prompts).unwrap();
    std::fs::write(prompts.join("tasks.toml"), TASKS).unwrap();
    for (name, ask) in [("summary.jinja", "Ringkas."), ("ad.jinja", "Iklan?")] {
        let text = format!(
            "{{% block system %}}R{{% endblock %}}{{% block user %}}{{{{ reel.transcript }}}}\n{ask}{{% endblock %}}"
        );
        std::fs::write(prompts.join(name), text).unwrap();
    }
    let record = |index: usize| {
        let ad = index.is_multiple_of(3);
        let transcript = format!("{} nomor {index}", if ad { "beli kopi" } else { "jalan pagi" });
        let reference = json!({"summary": format!("isi {index}"), "ad": if ad { "iklan" } else { "bukan iklan" }});
        json!({"id": format!("r{index}"), "transcript": transcript, "reference": reference}).to_string()
    };
    let lines = |range: std::ops::Range<usize>| range.map(record).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.join("train.jsonl"), lines(0..24)).unwrap();
    std::fs::write(folder.join("dev.jsonl"), lines(24..30)).unwrap();
}

/// `model.safetensors`, with weights that are the same everywhere.
pub fn save_weights(config: &Config, base: &Path) {
    let tensors: HashMap<String, Tensor> = config
        .tensors()
        .into_iter()
        .enumerate()
        .map(|(index, TensorInfo { name, shape, .. })| {
            // Not random: the same everywhere, and no two tensors alike.
            let count: usize = shape.iter().product();
            let value = |at: usize| ((at * (7 + index) + index) as f32 * 0.618).sin() * 0.2;
            let one = if name.contains("norm") { 1.0 } else { 0.0 };
            let values: Vec<f32> = (0..count).map(|at| value(at) + one).collect();
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    candle_core::safetensors::save(&tensors, base.join("model.safetensors")).unwrap();
}
