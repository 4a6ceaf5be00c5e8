//! Agreement with transformers (f32, CPU) on 250 real news texts: prompts to the token, labels and their
//! log-probabilities, greedy summaries. The data and the larger model are not part of the repository.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use assert_cmd::Command;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let there = folder.join("models/indo-mini/expected-test.jsonl").exists();
    if !there {
        eprintln!(
            "skipped: {} is not there (real texts and a model that are not part of the repository)",
            folder.display()
        );
    }
    there.then_some(folder)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One run at a time: two would fight for the cores.
static MACHINE: Mutex<()> = Mutex::new(());

/// Predictions by Reel and task.
fn predict(shared: &Path, model: &str, args: &[&str]) -> HashMap<(String, String), Value> {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    Command::cargo_bin("reels")
        .unwrap()
        .current_dir(folder.path())
        .args(["predict", "--output", "o", "--model"])
        .arg(shared.join("models/indo-mini").join(model))
        .arg("--prompts")
        .arg(shared.join("models/indo-mini/prompts"))
        .arg("--data")
        .arg(shared.join("data/indosum/test.jsonl"))
        .args(args)
        .assert()
        .success();
    let key = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let predictions = lines(&folder.path().join("o/predictions.jsonl"));
    predictions.into_iter().map(|line| ((key(&line, "reel_id"), key(&line, "task")), line)).collect()
}

fn expected(shared: &Path) -> Vec<Value> {
    lines(&shared.join("models/indo-mini/expected-test.jsonl"))
}

fn sha256_of_ids(ids: &Value) -> String {
    let bytes: Vec<u8> =
        ids.as_array().unwrap().iter().flat_map(|id| (id.as_u64().unwrap() as u32).to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn labels_equal(expected: &[Value], predictions: &HashMap<(String, String), Value>) -> usize {
    let equal = |row: &&Value| predictions[&key(row, "category")]["output"] == row["category"]["label"];
    expected.iter().filter(equal).count()
}

fn key(row: &Value, task: &str) -> (String, String) {
    (row["id"].as_str().unwrap().to_owned(), task.to_owned())
}

#[test]
fn in_32_bits_it_says_what_transformers_says() {
    let Some(shared) = shared() else { return };
    let expected = expected(&shared);
    let predictions = predict(&shared, "indo-mini-tuned-f32.gguf", &["--kv-type", "f32"]);
    assert_eq!((expected.len(), predictions.len()), (250, 500));

    let gguf = reels::gguf::read_header(&shared.join("models/indo-mini/indo-mini-tuned-f32.gguf")).unwrap();
    let vocabulary = gguf.texts("tokenizer.ggml.tokens").collect::<Vec<_>>();
    let mut differences = Vec::new();
    let mut summaries = 0;
    for row in &expected {
        for task in ["category", "summary"] {
            let prediction = &predictions[&key(row, task)];
            assert_eq!(prediction["prompt_sha256"], sha256_of_ids(&row[task]["prompt_ids"]), "{task} of {}", row["id"]);
        }
        let logprobs = predictions[&key(row, "category")]["label_logprobs"].as_object().unwrap();
        let difference =
            |(label, theirs): (&String, &Value)| (logprobs[label].as_f64().unwrap() - theirs.as_f64().unwrap()).abs();
        differences
            .push(row["category"]["label_logprobs"].as_object().unwrap().iter().map(difference).fold(0.0, f64::max));
        let ours = predictions[&key(row, "summary")]["output"].as_str().unwrap();
        summaries += usize::from(begins_with_20_tokens(ours, &row["summary"]["greedy_ids"], &vocabulary));
    }
    differences.sort_by(f64::total_cmp);
    let (median, p99) = (differences[125], differences[247]);
    let labels = labels_equal(&expected, &predictions);
    eprintln!(
        "f32: prompts 250 of 250, labels {labels}, log-probabilities off by {median:.5} (median), {p99:.5} (99 %), first 20 summary tokens {summaries}"
    );
    assert!(labels >= 248, "{labels} labels equal");
    assert!(median <= 0.01 && p99 <= 0.1, "{median} {p99}");
    assert!(summaries >= 245, "{summaries} summaries begin the same");
}

/// The bytes of GPT-2's byte-level alphabet: printable ones stand for themselves, the rest for 256 and up.
fn byte_of(char: char) -> u8 {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    match char as u32 {
        code if printable(code) => code as u8,
        code => (0..256).filter(|byte| !printable(*byte)).nth(code as usize - 256).unwrap() as u8,
    }
}

/// Whether our text begins with the text of their first 20 tokens.
fn begins_with_20_tokens(ours: &str, ids: &Value, vocabulary: &[Cow<str>]) -> bool {
    let ids = ids.as_array().unwrap().iter().take(20).map(|id| id.as_u64().unwrap() as usize);
    let pieces = ids.map(|id| &vocabulary[id]).filter(|piece| !piece.starts_with("<|"));
    let bytes: Vec<u8> = pieces.flat_map(|piece| piece.chars().map(byte_of).collect::<Vec<u8>>()).collect();
    // The 20th token may end within a character.
    ours.starts_with(String::from_utf8_lossy(&bytes).trim().trim_end_matches('\u{fffd}'))
}

#[test]
fn in_8_bits_it_gives_the_same_labels() {
    let Some(shared) = shared() else { return };
    let expected = expected(&shared);
    let predictions = predict(&shared, "indo-mini-tuned-q8_0.gguf", &["--task", "category"]);
    let labels = labels_equal(&expected, &predictions);
    eprintln!("q8_0: labels {labels} of 250");
    assert!(labels >= 243, "{labels} labels equal");
}
