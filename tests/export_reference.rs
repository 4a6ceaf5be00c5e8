//! Exports against llama.cpp's own converters and against transformers and PEFT, on models so small that they are checked
//! in (tests/reference/export.py made them).

use std::path::{Path, PathBuf};
use std::process::Command;

use reels::gguf::{Gguf, Value, read_header};
use reels::llama;
use reels::stop::Stop;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export").join(name)
}

fn expected(name: &str) -> Json {
    serde_json::from_str(&std::fs::read_to_string(folder(name).join("expected.json")).unwrap()).unwrap()
}

/// Runs `reels export` without its own proof, which has tests of its own.
fn export(arguments: &[&str], output: &Path) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("reels"));
    command.arg("export").args(arguments).arg("--no-verify").arg("--output").arg(output);
    let result = command.current_dir(output.parent().unwrap()).output().unwrap();
    assert!(result.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// As the reference script read it.
fn json(value: &Value) -> Json {
    match value {
        Value::Int(number) => Json::from(*number as i64),
        Value::Float(number) => Json::from(*number),
        Value::Bool(truth) => Json::from(*truth),
        Value::Text(text) => Json::from(text.clone()),
        Value::Array(array) => match array.texts() {
            Some(texts) => texts.map(|text| Json::from(text.into_owned())).collect(),
            None => array.scalars().map(|value| json(&value)).collect(),
        },
    }
}

fn data(gguf: &Gguf, name: &str) -> Vec<u8> {
    let tensor = &gguf.tensors[name];
    let bytes = std::fs::read(&gguf.path).unwrap();
    bytes[tensor.offset as usize..][..tensor.bytes.unwrap() as usize].to_vec()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

#[test]
fn models_are_what_llama_cpps_converter_makes_of_them() {
    let scratch = tempfile::tempdir().unwrap();
    for name in ["tied", "untied"] {
        let base = folder(name).join("base");
        let expected = expected(name);
        for quant in ["f32", "f16", "bf16"] {
            let path = scratch.path().join(format!("{name}-{quant}.gguf"));
            export(&[text(&base), "--quant", quant], &path);
            let gguf = read_header(&path).unwrap();
            let theirs = &expected["models"][quant];
            for (key, value) in theirs["metadata"].as_object().unwrap() {
                // A name for people; theirs is the directory's in other letters.
                if key != "general.name" {
                    assert_eq!(json(&gguf.metadata[key]), *value, "{name} {quant}: {key}");
                }
            }
            // What is said besides is what llama.cpp takes for granted, and where the file comes from.
            let more = gguf.metadata.keys().filter(|key| theirs["metadata"].get(key).is_none());
            let more: Vec<&str> = more.map(String::as_str).filter(|key| !key.starts_with("reels.")).collect();
            let granted = ["eot_token_id", "add_bos_token", "add_eos_token"].map(|key| format!("tokenizer.ggml.{key}"));
            assert_eq!(more, granted, "{name} {quant}");
            assert_eq!(gguf.tensors.len(), theirs["tensors"].as_object().unwrap().len());
            for (tensor, theirs) in theirs["tensors"].as_object().unwrap() {
                let ours = &gguf.tensors[tensor];
                assert_eq!(Json::from(ours.shape.clone()), theirs["shape"], "{name} {quant}: {tensor}");
                assert_eq!(Json::from(ours.dtype), theirs["type"], "{name} {quant}: {tensor}");
                let hash: String =
                    Sha256::digest(data(&gguf, tensor)).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hash, theirs["sha256"].as_str().unwrap(), "{name} {quant}: {tensor}");
            }
        }
    }
}

#[test]
fn adapters_are_what_llama_cpps_converter_makes_of_them_with_the_scale_folded_in() {
    let scratch = tempfile::tempdir().unwrap();
    // alpha 6 and rank 4, plain and rank-stabilised
    for (name, scale) in [("tied", 1.5), ("untied", 3.0)] {
        let path = scratch.path().join(format!("{name}.gguf"));
        let (base, adapter) = (folder(name).join("base"), folder(name).join("adapter"));
        export(&[text(&adapter), "--base", text(&base), "--adapter"], &path);
        let gguf = read_header(&path).unwrap();
        let theirs = &expected(name)["lora"];
        for key in ["general.architecture", "general.type", "adapter.type", "general.quantization_version"] {
            assert_eq!(json(&gguf.metadata[key]), theirs["metadata"][key], "{name}: {key}");
        }
        assert_eq!(gguf.metadata["adapter.lora.alpha"], Value::Float(4.0), "alpha over rank is 1");
        assert_eq!(gguf.tensors.len(), theirs["tensors"].as_object().unwrap().len());
        for (tensor, theirs) in theirs["tensors"].as_object().unwrap() {
            assert_eq!(Json::from(gguf.tensors[tensor].shape.clone()), theirs["shape"], "{name}: {tensor}");
            let scale = if tensor.ends_with("lora_b") { scale as f32 } else { 1.0 };
            for (ours, theirs) in floats(&data(&gguf, tensor)).iter().zip(theirs["values"].as_array().unwrap()) {
                assert_eq!(*ours, theirs.as_f64().unwrap() as f32 * scale, "{name}: {tensor}");
            }
        }
    }
}

/// The largest difference of a logit over the largest logit.
fn difference(found: &[Vec<f32>], expected: &Json) -> f64 {
    let rows = expected.as_array().unwrap().iter().map(|row| row.as_array().unwrap());
    let pairs = || rows.clone().zip(found).flat_map(|(expected, found)| expected.iter().zip(found));
    let largest = pairs().map(|(expected, _)| expected.as_f64().unwrap().abs()).fold(0.0, f64::max);
    pairs().map(|(expected, found)| (expected.as_f64().unwrap() - f64::from(*found)).abs()).fold(0.0, f64::max)
        / largest
}

#[test]
fn llama_cpp_answers_as_transformers_and_peft_do() {
    let scratch = tempfile::tempdir().unwrap();
    for name in ["tied", "untied"] {
        let (base, adapter) = (folder(name).join("base"), folder(name).join("adapter"));
        let path = |what: &str| scratch.path().join(format!("{name}-{what}.gguf"));
        export(&[text(&adapter), "--base", text(&base), "--quant", "f32"], &path("merged"));
        export(&[text(&adapter), "--base", text(&base), "--adapter"], &path("lora"));
        export(&[text(&base), "--quant", "f32"], &path("base"));
        let saved = scratch.path().join(format!("{name}-saved"));
        export(&[text(&adapter), "--base", text(&base), "--to", "safetensors", "--quant", "f32"], &saved);
        export(&[text(&saved), "--quant", "f32"], &path("again"));
        let expected = expected(name);
        let tokens: Vec<u32> = serde_json::from_value(expected["tokens"].clone()).unwrap();
        let positions = vec![(0..tokens.len()).collect::<Vec<usize>>()];
        let logits = |model: &str, adapter: Option<PathBuf>| {
            let found = llama::logits(
                &path(model),
                adapter.as_deref(),
                std::slice::from_ref(&tokens),
                &positions,
                2,
                &Stop::default(),
            )
            .unwrap();
            difference(&found, &expected["logits"])
        };
        let found = [
            ("merged", logits("merged", None)),
            ("base and adapter", logits("base", Some(path("lora")))),
            ("saved as safetensors and exported from there", logits("again", None)),
        ];
        eprintln!("{name}: {found:?}");
        for (what, difference) in found {
            assert!(difference < 1e-3, "{name}: {what}: {difference}");
        }
        assert!(logits("base", None) > 0.05, "{name}: the base alone answers otherwise");
        let bytes = |what: &str, tensor: &str| data(&read_header(&path(what)).unwrap(), tensor);
        let tensor = "blk.1.attn_q.weight";
        assert_eq!(bytes("merged", tensor), bytes("again", tensor), "to the last bit");
    }
}
