//! Tokens of the real Qwen2.5 tokenizer: the tokenizers crate and llama.cpp must make the same of every text, once it is
//! exported. Tokenizer and texts are not part of the repository.
//!
//! llama.cpp's own test cases for this vocabulary are read from `$LLAMA_CPP/models/ggml-vocab-qwen2.gguf.{inp,out}`, where
//! that variable names a source folder of llama.cpp.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::llama;
use reels::prompt::{HubTokenizer, Tokenizer};
use reels::qlora::config::Config;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let there = folder.join("models/qwen2.5-tokenizer").exists();
    if !there {
        eprintln!(
            "skipped: {} is not there (the real tokenizer, which is not part of the repository)",
            folder.display()
        );
    }
    there.then_some(folder)
}

/// A model of one small layer with the real vocabulary.
fn export(tokenizer: &Path, folder: &Path) -> PathBuf {
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), base.join(name)).unwrap();
    }
    let config = std::fs::read_to_string(tokenizer.join("config-0.5b.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    for (key, size) in
        [("hidden_size", 8), ("intermediate_size", 8), ("num_hidden_layers", 1), ("num_attention_heads", 2)]
    {
        config[key] = size.into();
    }
    std::fs::write(base.join("config.json"), config.to_string()).unwrap();
    let tensors: HashMap<String, Tensor> = Config::read(&base)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|tensor| (tensor.name, Tensor::ones(tensor.shape, candle_core::DType::F32, &Device::Cpu).unwrap()))
        .collect();
    candle_core::safetensors::save(&tensors, base.join("model.safetensors")).unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("reels"));
    command.current_dir(folder).args(["export", "base", "--quant", "f16", "--no-verify", "--output", "a.gguf"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("a.gguf")
}

/// All texts of a file of records.
fn texts(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let all = [&record["transcript"], &record["caption"], &record["reference"]["summary"]];
        all.into_iter().filter_map(|text| text.as_str().map(|text| text.nfc().collect::<String>())).collect::<Vec<_>>()
    };
    text.lines().flat_map(line).collect()
}

/// All characters that Unicode has assigned, but for private ones.
fn assigned() -> Vec<char> {
    let assigned = regex::Regex::new(r"^[\P{Cn}&&\P{Co}]$").unwrap();
    ('\0'..=char::MAX).filter(|char| assigned.is_match(char.encode_utf8(&mut [0; 4]))).collect()
}

/// Strings of such characters, in NFC.
fn random_strings(count: usize, all: &[char]) -> Vec<String> {
    let usual: Vec<char> =
        ('\t'..='~').filter(|char| !char.is_control() || matches!(char, '\t' | '\n' | '\r')).collect();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut string = || {
        let length = random.random_range(1..40);
        let text: String = (0..length)
            .map(|_| {
                *if random.random_bool(0.5) { usual.choose(&mut random) } else { all.choose(&mut random) }.unwrap()
            })
            .collect();
        text.nfc().collect()
    };
    (0..count).map(|_| string()).collect()
}

#[test]
fn the_real_tokenizer_is_the_same_in_llama_cpp() {
    let Some(shared) = shared() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let directory = shared.join("models/qwen2.5-tokenizer");
    let ours = HubTokenizer::read(&directory).unwrap();
    let theirs = llama::Model::open(&export(&directory, scratch.path()), None).unwrap();
    let differ = |text: &str| ours.encode(text).unwrap() != theirs.vocabulary().encode(text).unwrap();

    let mut counts = Vec::new();
    let mut real = texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("eval/sample.jsonl"));
    for name in ["train", "dev", "test"] {
        real.extend(texts(&shared.join(format!("data/indosum/{name}.jsonl"))));
    }
    let different: Vec<&String> = real.iter().filter(|text| differ(text)).collect();
    assert!(different.is_empty(), "{} of {} texts, one of them {:?}", different.len(), real.len(), different[0]);
    counts.push(format!("{} real texts", real.len()));

    match std::env::var_os("LLAMA_CPP") {
        None => eprintln!("llama.cpp's own cases are left out: LLAMA_CPP names no source folder"),
        Some(source) => {
            let path = |suffix: &str| PathBuf::from(&source).join(format!("models/ggml-vocab-qwen2.gguf.{suffix}"));
            let cases = std::fs::read_to_string(path("inp")).unwrap();
            let expected = std::fs::read_to_string(path("out")).unwrap();
            let cases: Vec<&str> = cases.split("\n__ggml_vocab_test__\n").collect();
            let expected = expected.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect());
            let expected: Vec<Vec<u32>> = expected.collect();
            assert!(expected.len() >= 40);
            for (case, expected) in cases.iter().zip(&expected) {
                assert_eq!(ours.encode(case).unwrap(), *expected, "{case:?} by the tokenizers crate");
                assert_eq!(theirs.vocabulary().encode(case).unwrap(), *expected, "{case:?} by llama.cpp");
            }
            counts.push(format!("{} of llama.cpp's cases", expected.len()));
        }
    }

    // Code points that the two put into different classes: letters for one, and for the other neither letter nor number.
    let all = assigned();
    let alone = |char: char| [format!("{char}(a"), format!("({char}"), format!("({char}a")];
    let odd: Vec<char> = all
        .iter()
        .copied()
        .filter(|char| alone(*char).iter().any(|text| differ(&text.nfc().collect::<String>())))
        .collect();
    let strings = random_strings(10_000, &all);
    let different: Vec<&String> = strings.iter().filter(|text| differ(text)).collect();
    let unexplained: Vec<String> = different
        .iter()
        .map(|text| shortened(text, &differ))
        .filter(|text| !text.contains(|char| odd.contains(&char)))
        .collect();
    eprintln!("alike: {}; of 10,000 random strings {} differ", counts.join(", "), different.len());
    eprintln!("of {} code points {} differ: {}", all.len(), odd.len(), ranges(&odd));
    assert!(
        unexplained.is_empty(),
        "{} strings without such a code point, one of them {:?}",
        unexplained.len(),
        unexplained[0]
    );
    // llama.cpp's tables are of an earlier Unicode.
    let new = regex::Regex::new(r"^[\p{Age=16.0}&&\P{Age=15.0}]$").unwrap();
    assert!(odd.iter().all(|char| new.is_match(&char.to_string())), "all of them are new in Unicode 16, of 2024");
}

/// Without every character that isn't needed for a difference.
fn shortened(text: &str, differ: &dyn Fn(&str) -> bool) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let without: String =
            chars.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, char)| char).collect();
        if without.nfc().eq(without.chars()) && differ(&without) {
            chars.remove(at);
        } else {
            at += 1;
        }
    }
    chars.into_iter().collect()
}

/// As `U+0041–005A`.
fn ranges(chars: &[char]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for code in chars.iter().map(|char| *char as u32) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == code => *last = code,
            _ => ranges.push((code, code)),
        }
    }
    let text = |(first, last): &(u32, u32)| {
        if first == last { format!("U+{first:04X}") } else { format!("U+{first:04X}–{last:04X}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(" ")
}
