//! A LoRA adapter changes answers, unless its B is zero.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const RANK: u64 = 4;
const HIDDEN: u64 = 256;

/// An adapter GGUF for the first block's query projection of the bundled model; A is a pattern, B is `b` throughout.
fn adapter(b: f32) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut bytes = [b"GGUF\x03\0\0\0".to_vec(), 2u64.to_le_bytes().to_vec(), 4u64.to_le_bytes().to_vec()].concat();
    for (key, value) in [("general.architecture", "qwen2"), ("general.type", "adapter"), ("adapter.type", "lora")] {
        bytes.extend([text(key), 8u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    bytes.extend([text("adapter.lora.alpha"), 6u32.to_le_bytes().to_vec(), 8f32.to_le_bytes().to_vec()].concat());
    let a_bytes = RANK * HIDDEN * 4;
    for (side, shape, offset) in [("a", [HIDDEN, RANK], 0), ("b", [RANK, HIDDEN], a_bytes)] {
        bytes.extend(text(&format!("blk.0.attn_q.weight.lora_{side}")));
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    let a = (0..RANK * HIDDEN).map(|index| (index * 37 % 17) as f32 - 8.0);
    bytes.extend(a.chain((0..RANK * HIDDEN).map(|_| b)).flat_map(f32::to_le_bytes));
    bytes
}

/// Log-probabilities of the category labels of the first two Reels.
fn logprobs(folder: &Path, name: &str, b: Option<f32>) -> Vec<f64> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("gguf/reels-mini.gguf");
    let mut command = Command::cargo_bin("reels").unwrap();
    command.current_dir(folder).args(["predict", "--task", "category", "--limit", "2", "--output", name, "--model"]);
    command.arg(model);
    if let Some(b) = b {
        std::fs::write(folder.join("a.gguf"), adapter(b)).unwrap();
        command.args(["--adapter", "a.gguf"]);
    }
    command.assert().success();
    let text = std::fs::read_to_string(folder.join(name).join("predictions.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .inspect(|line| assert_eq!(line["adapter_sha256"].is_null(), b.is_none()))
        .flat_map(|line| {
            line["label_logprobs"]
                .as_object()
                .unwrap()
                .values()
                .map(|value| value.as_f64().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn an_adapter_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let base = logprobs(folder.path(), "base", None);
    assert_eq!(logprobs(folder.path(), "zero", Some(0.0)), base);
    let changed = logprobs(folder.path(), "some", Some(0.05));
    let largest = base.iter().zip(&changed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest > 0.01, "{largest}");
}
