//! Base checkpoints as Hugging Face and bitsandbytes store them, whole and broken.

mod tensors;

use std::collections::BTreeMap;
use std::path::Path;

use reels::architecture::TensorInfo;
use reels::error::Shown;
use reels::qlora::checkpoint::{Checkpoint, Weight};
use reels::qlora::config::Config;
use reels::run::sha256;
use safetensors::Dtype;
use tensors::{Tensor, Tensors, read, write};

const CONFIG: &str = r#"{"model_type": "qwen2", "vocab_size": 32, "hidden_size": 128, "intermediate_size": 192,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}, "max_position_embeddings": 64,
    "tie_word_embeddings": true}"#;
const GATE: &str = "model.layers.0.mlp.gate_proj.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

/// All tensors of the model above, in bf16.
fn model(folder: &Path) -> (Config, Tensors) {
    std::fs::write(folder.join("config.json"), CONFIG).unwrap();
    let config = Config::read(folder).unwrap();
    let dense = |TensorInfo { name, shape, .. }| {
        let bytes = (0..shape.iter().product()).flat_map(|index| half::bf16::from_f32(index as f32).to_le_bytes());
        (name, Tensor(Dtype::BF16, shape, bytes.collect()))
    };
    let tensors = config.tensors().into_iter().map(dense).collect();
    (config, tensors)
}

#[test]
fn shards_are_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let (config, mut tensors) = model(folder.path());
    let last = tensors.split_off("model.layers.0.self_attn.k_proj.weight");
    let mut map = BTreeMap::new();
    for (name, tensors) in [("model-00001-of-00002.safetensors", &tensors), ("model-00002-of-00002.safetensors", &last)]
    {
        write(&folder.path().join(name), tensors);
        map.extend(tensors.keys().map(|key| (key.clone(), name)));
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let checkpoint = Checkpoint::open(folder.path(), &mut config.clone()).unwrap();
    let Weight::Dense(norm) = checkpoint.read("model.norm.weight").unwrap() else { panic!("dense") };
    assert_eq!((norm.len(), norm[3]), (128, 3.0));

    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let message = Shown::of(&Checkpoint::open(folder.path(), &mut config.clone()).unwrap_err()).to_string();
    assert!(message.contains("names model-00002-of-00002.safetensors, which is missing\nhint: "), "{message}");
}

#[test]
fn weights_that_bitsandbytes_stored_are_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let folder = tempfile::tempdir().unwrap();
    let (config, mut tensors) = model(folder.path());
    for (name, tensor) in read(&root.join("bnb-4bit.safetensors")) {
        tensors.insert(name.replace("nested.weight", GATE).replace("plain.weight", EMBEDDING), tensor);
    }
    let file = folder.path().join("model.safetensors");
    write(&file, &tensors);
    let checkpoint = Checkpoint::open(folder.path(), &mut config.clone()).unwrap();
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("nf4.json")).unwrap()).unwrap();
    for (name, source) in [(GATE, "nested.weight"), (EMBEDDING, "plain.weight")] {
        let Weight::Nf4(weight) = checkpoint.read(name).unwrap() else { panic!("quantised") };
        let bytes: Vec<u8> = weight.dequantise().iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(sha256(&bytes), expected["checkpoint"][source], "{name}");
    }

    tensors.remove(&format!("{GATE}.quant_state.bitsandbytes__nf4"));
    write(&file, &tensors);
    let message = Shown::of(&Checkpoint::open(folder.path(), &mut config.clone()).unwrap_err()).to_string();
    assert!(message.contains("is of 8-bit codes without quant_state.bitsandbytes__nf4: "), "{message}");
    assert!(message.ends_with("\nhint: of quantised checkpoints, bitsandbytes' NF4 can be read"), "{message}");
}

#[test]
fn what_is_wrong_with_a_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (config, tensors) = model(folder.path());
    let file = folder.path().join("model.safetensors");
    let opened = |tensors: &Tensors| {
        write(&file, tensors);
        Checkpoint::open(folder.path(), &mut config.clone()).map_err(|error| Shown::of(&error).to_string())
    };
    let message = Checkpoint::open(folder.path(), &mut config.clone()).unwrap_err().to_string();
    assert!(message.contains("has neither model.safetensors nor model.safetensors.index.json"), "{message}");

    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors.clone();
        change(&mut tensors);
        opened(&tensors)
    };
    for (result, expected) in [
        (changed(&|tensors| drop(tensors.remove(GATE))), format!("the checkpoint lacks the tensor {GATE}")),
        (
            changed(&|tensors| tensors.get_mut(GATE).unwrap().1.reverse()),
            format!("{GATE} has the shape [128, 192], and config.json says [192, 128]"),
        ),
        (
            changed(&|tensors| {
                let tensor = tensors.get_mut(GATE).unwrap();
                tensor.0 = Dtype::I16;
            }),
            format!("{GATE} is of type I16"),
        ),
    ] {
        let message = result.unwrap_err();
        assert!(message.contains(&expected) && message.contains("\nhint: "), "{message}");
    }

    let damaged = changed(&|tensors| {
        let bytes = &mut tensors.get_mut(GATE).unwrap().2;
        bytes[200..202].copy_from_slice(&half::bf16::NAN.to_le_bytes());
    });
    let message = Shown::of(&damaged.unwrap().read(GATE).unwrap_err()).to_string();
    assert!(message.contains(&format!("{GATE} holds NaN at 100\nhint: ")), "{message}");

    write(&file, &tensors);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    let message = Shown::of(&Checkpoint::open(folder.path(), &mut config.clone()).unwrap_err()).to_string();
    assert!(message.contains("model.safetensors is not a whole safetensors file: "), "{message}");
    assert!(message.ends_with("\nhint: download it again"), "{message}");
    let message = Shown::of(&Config::read(Path::new("gguf/reels-mini.gguf")).unwrap_err()).to_string();
    assert!(message.contains("is a GGUF file, which holds no weights to train\nhint: "), "{message}");
}

#[test]
fn a_real_model_opens() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models/indo-mini/base");
    if !base.exists() {
        eprintln!("skipped: {} is not here", base.display());
        return;
    }
    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let values: usize = config
        .tensors()
        .iter()
        .map(|TensorInfo { name, .. }| match checkpoint.read(name).unwrap() {
            Weight::Dense(values) => values.len(),
            Weight::Nf4(_) => panic!("{name} is not quantised"),
        })
        .sum();
    assert!((6_000_000..7_000_000).contains(&values), "{values}");
}
