//! Adapters as PEFT saves them, a setting each: what is accepted answers as PEFT does, merged and beside its base; what is
//! refused does after following the hint (tests/reference/adapters.py made them).

use std::path::{Path, PathBuf};
use std::process::Command;

use reels::llama;
use reels::stop::Stop;
use serde_json::Value;

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(path)
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(reference("adapters/expected.json")).unwrap()).unwrap()
}

/// Standard error and whether it succeeded.
fn export(arguments: &[&Path], flags: &[&str], output: &Path) -> (String, bool) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("reels"));
    command.arg("export").args(arguments).args(flags).args(["--no-verify", "--output"]).arg(output);
    let result = command.output().unwrap();
    (String::from_utf8(result.stderr).unwrap(), result.status.success())
}

/// The largest difference of llama.cpp's logits from those expected, over the largest of these.
fn difference(model: &Path, adapter: Option<&Path>, expected: &Value, logits: &Value) -> f64 {
    let numbers =
        |value: &Value| value.as_array().unwrap().iter().map(|each| each.as_f64().unwrap()).collect::<Vec<f64>>();
    let prompt = numbers(&expected["tokens"]).into_iter().map(|token| token as u32).collect();
    let positions = numbers(&expected["positions"]).into_iter().map(|position| position as usize).collect();
    let found = llama::logits(model, adapter, &[prompt], &[positions], 2, &Stop::default()).unwrap();
    let rows: Vec<Vec<f64>> = logits.as_array().unwrap().iter().map(numbers).collect();
    let largest = rows.iter().flatten().fold(0f64, |largest, value| largest.max(value.abs()));
    let pairs = rows.iter().flatten().zip(found.iter().flatten());
    pairs.map(|(a, b)| (a - f64::from(*b)).abs() / largest).fold(0.0, f64::max)
}

#[test]
fn adapters_that_are_accepted_answer_as_pefts() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = expected();
    let base = reference("export/tied/base");
    let alone = scratch.path().join("base.gguf");
    assert!(export(&[&base], &["--quant", "f32"], &alone).1);
    assert!(difference(&alone, None, &expected, &expected["base"]) < 1e-4);
    let adapters = expected["adapters"].as_object().unwrap();
    assert!(adapters.len() >= 15);
    for (name, logits) in adapters {
        let adapter = reference("adapters").join(name);
        let merged = scratch.path().join(format!("{name}.gguf"));
        let (said, done) = export(&[&adapter, Path::new("--base"), &base], &["--quant", "f32"], &merged);
        assert!(done, "{name}: {said}");
        assert!(difference(&merged, None, &expected, &expected["base"]) > 0.01, "{name} changes nothing");
        let found = difference(&merged, None, &expected, logits);
        assert!(found < 1e-4, "{name}: {found}");
        let beside = scratch.path().join(format!("{name}-adapter.gguf"));
        let (said, done) = export(&[&adapter, Path::new("--base"), &base], &["--adapter"], &beside);
        assert!(done, "{name}: {said}");
        let found = difference(&alone, Some(&beside), &expected, logits);
        assert!(found < 1e-4, "{name} beside its base: {found}");
    }
}

#[test]
fn adapters_that_are_refused_can_be_exported_after_following_the_hint() {
    let scratch = tempfile::tempdir().unwrap();
    let (expected, base) = (expected(), reference("export/tied/base"));
    for (name, logits) in expected["merged"].as_object().unwrap() {
        let output = scratch.path().join(format!("{name}.gguf"));
        let (said, done) =
            export(&[&reference("adapters").join(name), Path::new("--base"), &base], &["--quant", "f32"], &output);
        assert!(!done && !output.exists(), "{name}: {said}");
        assert!(said.contains("\nhint: let PEFT merge it: ") && said.contains("merge_and_unload()"), "{name}: {said}");
        let (said, done) =
            export(&[&reference("adapters").join(format!("merged-{name}"))], &["--quant", "f32"], &output);
        assert!(done, "{name}: {said}");
        let found = difference(&output, None, &expected, logits);
        assert!(found < 1e-4, "{name}: {found}");
    }
}

#[test]
fn a_head_of_its_own_is_used_as_transformers_uses_it() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = expected();
    let base = scratch.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(reference("adapters/merged-own-head")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, base.join(path.file_name().unwrap())).unwrap();
    }
    let config = base.join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json["tie_word_embeddings"] = true.into();
    std::fs::write(&config, json.to_string()).unwrap();
    let output = scratch.path().join("a.gguf");
    let (said, done) = export(&[&base], &["--quant", "f32"], &output);
    assert!(done, "{said}");
    assert!(difference(&output, None, &expected, &expected["own_head_said_tied"]) < 1e-4);
    assert!(difference(&output, None, &expected, &expected["base"]) > 0.01);
}
