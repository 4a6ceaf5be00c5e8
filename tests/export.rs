//! `reels export` and `reels doctor` as their users run them: from a run to answers, what is refused, and faults that must
//! not go unnoticed.

mod tiny;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use reels::config::Quant;
use reels::doctor::{self, Severity};
use reels::export::mixture::quantised_bytes;
use reels::export::proof::{compare, float_limit, rounding_limit};
use reels::gguf::{Entry, FloatType, Layout, Value, read_header};
use reels::llama;
use reels::qlora::adapter::AdapterWeights;
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;
use reels::qlora::stream::{Rounded, Streamed};
use reels::stop::Stop;
use serde_json::Value as Json;

struct Folder(tempfile::TempDir);

impl Folder {
    /// With a tiny base, data and a finished run.
    fn with_run(flags: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        tiny::write(folder.path());
        folder.done(&format!(
            "train --base base --prompts prompts --data train.jsonl --dev dev.jsonl --max-seq-tokens 160 --epochs 2 --grad-accum 2 --lr 1e-2 -o run {flags}"
        ));
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn reels(&self, arguments: &str) -> (i32, String, String) {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("reels"));
        command.current_dir(self.path()).args(arguments.split_whitespace());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REELS_")) {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    fn done(&self, arguments: &str) -> String {
        let (code, stdout, stderr) = self.reels(arguments);
        assert_eq!(code, 0, "{arguments}: {stderr}");
        stdout + &stderr
    }

    fn refused(&self, arguments: &str, code: i32, expected: &str) {
        let (found, stdout, stderr) = self.reels(arguments);
        assert_eq!(found, code, "{arguments}: {stdout}{stderr}");
        assert!(stderr.contains(expected) && stderr.contains("\nhint: "), "{arguments}: {stderr}");
    }

    fn json(&self, name: &str) -> Json {
        serde_json::from_str(&std::fs::read_to_string(self.path().join(name)).unwrap()).unwrap()
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Json)) {
        let mut json = self.json(name);
        change(&mut json);
        std::fs::write(self.path().join(name), json.to_string()).unwrap();
    }

    /// Log-probabilities of all labels.
    fn logprobs(&self, folder: &str) -> Vec<f64> {
        let text = std::fs::read_to_string(self.path().join(folder).join("predictions.jsonl")).unwrap();
        let mut lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.sort_by_key(|line| line["reel_id"].to_string() + &line["task"].to_string());
        let of = |line: &Json| {
            line["label_logprobs"]
                .as_object()
                .map(|labels| labels.values().map(|value| value.as_f64().unwrap()).collect::<Vec<f64>>())
        };
        lines.iter().filter_map(of).flatten().collect()
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_run_becomes_a_file_that_is_proved_and_answers() {
    let folder = Folder::with_run("");
    let before = folder.files();
    let said = folder.done("export run -o a.gguf --quant f32");
    for part in ["merged   14 matrices", "as trained", "in four bits", "a.gguf\n"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    let new: Vec<String> = folder.files().into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(new, ["a.gguf", "a.gguf.json"], "nothing is left over");
    let manifest = folder.json("a.gguf.json");
    let run = folder.json("run/manifest.json");
    assert_eq!(manifest["quantisation"], "f32");
    assert_eq!(manifest["base"]["sha256"], run["base"]["sha256"]);
    assert_eq!(manifest["max_prompt_tokens"], run["max_prompt_tokens"]);
    assert_eq!(manifest["prompts"]["sha256"], run["prompts"]["sha256"]);
    assert!(manifest["proof"]["float"]["difference"]["relative"].as_f64().unwrap() < 1e-4, "{manifest}");
    assert!(manifest["changes"]["model.layers.0.mlp.down_proj.weight"]["norm"].as_f64().unwrap() > 0.0);

    // Its own prompts and budget are used, and others are warned of.
    let said = folder.done("predict --model a.gguf --data dev.jsonl -o own --kv-type f32");
    assert!(said.contains("prompts  in a.gguf: summary, ad") && !said.contains("warning"), "{said}");
    assert_eq!(folder.json("own/manifest.json")["settings"]["max_prompt_tokens"], run["max_prompt_tokens"]);
    std::fs::write(
        folder.path().join("prompts/ad.jinja"),
        "{% block system %}x{% endblock %}{% block user %}y{% endblock %}",
    )
    .unwrap();
    let said = folder.done("predict --model a.gguf --data dev.jsonl -o other --prompts prompts");
    assert!(said.contains("warning: the model was trained with other prompts than those in prompts"), "{said}");

    // The adapter beside its base answers the same.
    folder.done("export base -o base.gguf --quant f32 --no-verify");
    let said = folder.done("export run --adapter -o lora.gguf");
    assert!(said.contains("as trained"), "{said}");
    folder.done("predict --model base.gguf --adapter lora.gguf --data dev.jsonl -o beside --kv-type f32");
    folder.done("predict --model base.gguf --prompts run/prompts --max-prompt-tokens 139 --data dev.jsonl -o alone --kv-type f32");
    let own = folder.logprobs("own");
    let largest = |other: &str| own.iter().zip(folder.logprobs(other)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(own.len() == 12 && largest("beside") < 1e-4, "{}", largest("beside"));
    assert!(largest("alone") > 0.1, "{}", largest("alone"));

    let said = folder.done("doctor a.gguf");
    assert!(said.contains("is right, and the file was proved") && !said.contains("error"), "{said}");
    assert!(folder.done("doctor run").contains("the one it was trained on"));
}

#[test]
fn what_is_quantised_is_compared_with_what_is_not() {
    let folder = Folder::with_run("");
    for quant in ["f16", "bf16", "q8_0", "q4_k_m"] {
        let said = folder.done(&format!("export run -o {quant}.gguf --quant {quant}"));
        assert_eq!(said.contains("quantised"), quant.starts_with('q'), "{quant}: {said}");
        folder.done(&format!("predict --model {quant}.gguf --data dev.jsonl --limit 1 -o {quant}"));
    }
    let said = folder.done("export run -o weighed.gguf --quant q4_k_m --imatrix train.jsonl");
    assert!(said.contains("quantised"), "{said}");
    assert_eq!(folder.json("weighed.gguf.json")["imatrix"], "train.jsonl");
    let (dequantised, original) = (
        folder.done("export run -o d.gguf --quant f32 --merge-base dequantised"),
        folder.done("export run -o o.gguf --quant f32"),
    );
    assert!(dequantised.contains("as trained") && !dequantised.contains("in four bits"), "{dequantised}");
    assert!(original.contains("in four bits"));
    assert_ne!(folder.json("d.gguf.json")["sha256"], folder.json("o.gguf.json")["sha256"]);
}

/// llama.cpp stores rows that aren't whole blocks of a type in another.
#[test]
fn what_falls_back_to_larger_types_is_said() {
    let folder = Folder(tempfile::tempdir().unwrap());
    tiny::write(folder.path());
    let base = folder.path().join("base");
    // What is most of it, what is warned of, and how.
    let cases = [
        (16, 24, "q8_0", "F16", Some("types of q8_0 (Q8_0)"), "% in F16, 16.0 bits each (rows of 16, 24)"),
        (16, 24, "q4_k_m", "F16", Some("types of q4_k_m (Q4_K, Q6_K)"), "% in F16, 16.0 bits each (rows of 16, 24)"),
        (96, 160, "q4_k_m", "Q5_0", Some("types of q4_k_m (Q4_K, Q6_K)"), "% in Q5_0, 5.5 bits each (rows of 96, 160)"),
        (96, 160, "q4_0", "Q4_0", Some("types of q4_0 (Q4_0, Q4_1, Q6_K)"), "% in Q8_0, 8.5 bits each (rows of 96)"),
        (96, 160, "q6_k", "Q8_0", Some("types of q6_k (Q6_K)"), "% in Q8_0, 8.5 bits each (rows of 96, 160)"),
        (96, 160, "q8_0", "Q8_0", None, "types    Q8_0 9"),
        (256, 512, "q4_k_m", "Q4_K", None, "types    Q4_K "),
        (256, 512, "q5_k_m", "Q5_K", None, "types    Q5_K "),
        (256, 512, "q6_k", "Q6_K", None, "types    Q6_K 9"),
        (256, 512, "q4_0", "Q4_0", None, "types    Q4_0 "),
    ];
    for (hidden, intermediate, quant, dtype, warning, part) in cases {
        folder.edit("base/config.json", |config| {
            config["hidden_size"] = hidden.into();
            config["intermediate_size"] = intermediate.into();
        });
        let config = Config::read(&base).unwrap();
        tiny::save_weights(&config, &base);
        let said = folder.done(&format!("export base -o a.gguf --quant {quant} --no-verify"));
        let manifest = folder.json("a.gguf.json");
        let gguf = read_header(&folder.path().join("a.gguf")).unwrap();
        let bytes: u64 = gguf.tensors.values().map(|tensor| tensor.bytes.unwrap()).sum();
        let bits = 8.0 * bytes as f64 / gguf.parameters() as f64;
        assert!(said.contains(&format!("{quant}, {bits:.2} bits a weight, in ")), "{hidden}: {said}");
        assert!((manifest["bits_per_weight"].as_f64().unwrap() - bits).abs() < 1e-9, "{hidden}: {manifest}");
        let shares = manifest["types"].as_object().unwrap();
        assert!(shares[dtype].as_f64().unwrap() > 0.3, "{hidden}: {manifest}");
        assert!((shares.values().map(|share| share.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(said.contains("warning: "), warning.is_some(), "{hidden}: {said}");
        assert!(said.contains(warning.unwrap_or_default()) && said.contains(part), "{hidden}: {said}");
        let off = quantised_bytes(&config, Quant::from_str(quant, false).unwrap()) as f64 / bytes as f64;
        assert!((0.99..1.1).contains(&off), "{hidden} {quant}: the estimate is {off} of {bytes}");
    }
}

#[test]
fn a_model_of_few_positions_is_proved_on_what_fits() {
    let folder = Folder(tempfile::tempdir().unwrap());
    tiny::write(folder.path());
    for positions in [512, 100] {
        folder.edit("base/config.json", |config| config["max_position_embeddings"] = positions.into());
        let said = folder.done("export base -o a.gguf --quant q8_0");
        assert!(said.contains("as trained") && said.contains(" of 8 labels changed"), "{positions}: {said}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_the_way_out() {
    let folder = Folder::with_run("--method lora --rank 4 --targets q_proj,v_proj");
    let copy = |name: &str| {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        for entry in
            std::fs::read_dir(folder.path().join("run")).unwrap().flatten().filter(|entry| entry.path().is_file())
        {
            std::fs::copy(entry.path(), folder.path().join(name).join(entry.file_name())).unwrap();
        }
    };
    let refused =
        |arguments: &str, expected: &str| folder.refused(&format!("export {arguments} -o a.gguf"), 2, expected);
    for (key, value) in [
        ("use_dora", Json::from(true)),
        ("modules_to_save", serde_json::json!(["embed_tokens"])),
        ("bias", Json::from("all")),
        ("peft_type", Json::from("LOHA")),
    ] {
        copy("odd");
        folder.edit("odd/adapter_config.json", |config| config[key] = value);
        refused("odd", key);
        refused("odd", "merge_and_unload");
    }
    copy("untrained");
    let path = folder.path().join("untrained/adapter_model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let zero = |(name, tensor): (String, candle_core::Tensor)| {
        let tensor = if name.contains("lora_B") { tensor.zeros_like().unwrap() } else { tensor };
        (name, tensor)
    };
    candle_core::safetensors::save(&tensors.into_iter().map(zero).collect(), &path).unwrap();
    refused("untrained", "the adapter changes nothing: every merged weight is the base's");

    refused("none", "none is not a directory");
    refused("prompts", "prompts holds neither a finished adapter nor a model");
    refused("base --adapter", "base has no adapter");
    refused("base --base base", "--base is for adapters");
    refused("run --base prompts", "prompts/config.json is missing");
    folder.refused("export run -o a.bin", 2, "--output a.bin doesn't end in .gguf");
    folder.refused("export run -o a.gguf --quant f16 --imatrix train.jsonl", 2, "--imatrix is for quantising");
    copy("unfinished");
    std::fs::remove_file(folder.path().join("unfinished/adapter_config.json")).unwrap();
    refused("unfinished", "hint: the run isn't finished: reels train --resume --output unfinished");
    let step = std::fs::read_dir(folder.path().join("run/checkpoints")).unwrap().flatten().next().unwrap().path();
    folder.done(&format!("export {} -o step.gguf --quant f32", step.display()));
    assert_eq!(folder.json("step.gguf.json")["run"]["name"], "run");
    // The base is another one now.
    let config = std::fs::read_to_string(folder.path().join("base/config.json")).unwrap();
    std::fs::write(folder.path().join("base/config.json"), config.replace("10000.0", "10001.0")).unwrap();
    refused("run", "is not what the adapter was trained on");
    assert!(folder.reels("doctor run").1.contains("base has changed since the run"));
    std::fs::rename(folder.path().join("base"), folder.path().join("moved")).unwrap();
    refused("run", "the base base is not a directory here\nhint: name the directory of the base model with --base");
    assert!(!folder.path().join("a.gguf").exists() && !folder.files().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn a_directory_for_hugging_face_is_proved_and_not_written_over() {
    let folder = Folder::with_run("");
    let said = folder.done("export run --to safetensors -o saved");
    assert!(said.contains("as trained"), "{said}");
    let manifest = folder.json("saved/manifest.json");
    assert_eq!(manifest["verified"], true);
    assert!(manifest["proof"]["float"]["difference"]["relative"].as_f64().unwrap() < 1e-5, "{manifest}");
    assert!(!folder.files().iter().any(|name| name.ends_with(".part")));
    folder.refused("export run --to safetensors -o saved", 2, "saved is there already");
    folder.done("export saved -o saved.gguf --quant f32");
    let said = folder.done("export run --to safetensors --quant bf16 -o half");
    assert!(said.contains("(limit 1.0e-2)") && !said.contains("by 16 bits alone"), "{said}");
}

#[test]
fn a_file_that_answers_otherwise_is_not_written() {
    let folder = Folder(tempfile::tempdir().unwrap());
    tiny::write(folder.path());
    let base = folder.path().join("base");
    std::fs::remove_dir_all(&base).unwrap();
    std::fs::create_dir(&base).unwrap();
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export/untied/base");
    for entry in std::fs::read_dir(reference).unwrap().flatten() {
        std::fs::copy(entry.path(), base.join(entry.file_name())).unwrap();
    }
    folder.edit("base/config.json", |config| config["max_position_embeddings"] = 4096.into());
    // So peaked that four bits are too few.
    let path = base.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let peaked = |(name, tensor): (String, candle_core::Tensor)| {
        let factor = if name == "model.norm.weight" { 4.0 } else { 1.0 };
        (name, (tensor * factor).unwrap())
    };
    candle_core::safetensors::save(&tensors.into_iter().map(peaked).collect(), &path).unwrap();
    let before = folder.files();
    folder.refused("export base -o a.gguf --quant q4_0", 1, "error: a.gguf: quantising moves the distributions by");
    assert_eq!(folder.files(), before, "nothing is left over");
    let said = folder.done("export base -o a.gguf --quant q4_0 --no-verify");
    assert!(said.contains("not compared with what it was made from"), "{said}");
}

#[test]
fn a_tokenizer_that_llama_cpp_would_read_otherwise_is_refused() {
    let folder = Folder(tempfile::tempdir().unwrap());
    tiny::write(folder.path());
    folder.edit("base/tokenizer.json", |tokenizer| {
        tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\s+".into()
    });
    folder.refused("export base -o a.gguf", 2, "the text is not split as Qwen2 does");
}

#[test]
fn a_file_that_changed_since_its_export_is_refused() {
    let folder = Folder::with_run("");
    folder.done("export run -o a.gguf --quant f32 --no-verify");
    let said = folder.done("doctor a.gguf");
    assert!(said.contains("never compared with what it was made from"), "{said}");
    let path = folder.path().join("a.gguf");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 50;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    folder.refused(
        "predict --model a.gguf --data dev.jsonl -o out",
        2,
        "a.gguf was changed or damaged since it was exported",
    );
    let (code, said, _) = folder.reels("doctor a.gguf");
    assert!(code == 2 && said.contains("the file was changed or damaged since it was exported"), "{said}");
    let (code, said, _) = folder.reels("doctor a.gguf --json");
    let found: Json = serde_json::from_str(&said).unwrap();
    let wrong: Vec<&Json> = found.as_array().unwrap().iter().filter(|finding| finding["severity"] == "error").collect();
    assert!(code == 2 && wrong.len() == 1 && wrong[0]["about"] == "manifest" && wrong[0]["hint"].is_string(), "{said}");
}

/// Damaged weights may give answers that look right: nothing is asked of a file that holds them.
#[test]
fn weights_that_are_no_numbers_are_refused_before_the_first_answer() {
    let folder = Folder::with_run("");
    folder.done("export run --adapter -o lora.gguf --no-verify");
    for (quant, tensor, odd) in [
        ("f32", "blk.1.attn_k.weight", &f32::NAN.to_le_bytes()[..]),
        ("f16", "blk.0.ffn_down.weight", &[0, 0xFC]),
        ("bf16", "token_embd.weight", &[0x80, 0x7F]),
    ] {
        folder.done(&format!("export base -o right.gguf --quant {quant} --no-verify"));
        std::fs::remove_file(folder.path().join("right.gguf.json")).unwrap();
        let damaged = |name: &str, tensor: &str, odd: &[u8]| {
            let path = folder.path().join(name);
            let header = read_header(&path).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let end = (header.tensors[tensor].offset + header.tensors[tensor].bytes.unwrap()) as usize;
            bytes[end - odd.len()..end].copy_from_slice(odd);
            std::fs::write(folder.path().join("damaged.gguf"), bytes).unwrap();
        };
        damaged("right.gguf", tensor, odd);
        let named = format!("damaged.gguf: {tensor} holds ");
        folder.refused(&format!("predict --model damaged.gguf --data dev.jsonl -o {quant}"), 2, &named);
        let (code, said, _) = folder.reels("doctor damaged.gguf");
        assert!(code == 2 && said.contains(&format!("{tensor} holds ")), "{said}");
        let tensor = "blk.0.attn_q.weight.lora_b";
        damaged("lora.gguf", tensor, &f32::INFINITY.to_le_bytes());
        let named = format!("damaged.gguf: {tensor} holds inf");
        folder.refused(
            &format!("predict --model right.gguf --adapter damaged.gguf --data dev.jsonl -o {quant}-lora"),
            2,
            &named,
        );
        let (code, said, _) = folder.reels("doctor right.gguf --adapter damaged.gguf");
        assert!(code == 2 && said.contains(&format!("{tensor} holds inf")), "{said}");
        for output in [quant.to_owned(), format!("{quant}-lora")] {
            let path = folder.path().join(output).join("predictions.jsonl");
            assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), "");
        }
    }
}

type Metadata = Vec<(String, Entry)>;
type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

/// A file with a fault in it; all tensors are in 32 bits.
fn faulty(from: &Path, to: &Path, fault: impl FnOnce(&mut Metadata, &mut Tensors)) {
    let gguf = read_header(from).unwrap();
    let bytes = std::fs::read(from).unwrap();
    let entry = |value: &Value| match value {
        Value::Int(number) => Entry::U32(*number as u32),
        Value::Float(number) => Entry::F32(*number as f32),
        Value::Bool(truth) => Entry::Bool(*truth),
        Value::Text(text) => Entry::Text(text.clone()),
        Value::Array(array) => match array.texts() {
            Some(texts) => Entry::Texts(texts.map(|text| text.into_owned()).collect()),
            None => Entry::I32s(array.scalars().map(|value| value.as_u64().unwrap() as i32).collect()),
        },
    };
    let mut metadata: Metadata = gguf.metadata.iter().map(|(key, value)| (key.clone(), entry(value))).collect();
    let tensor = |(name, tensor): (&String, &reels::gguf::Tensor)| {
        let shape: Vec<usize> = tensor.shape.iter().rev().map(|size| *size as usize).collect();
        (name.clone(), shape, bytes[tensor.offset as usize..][..tensor.bytes.unwrap() as usize].to_vec())
    };
    let mut tensors: Tensors = gguf.tensors.iter().map(tensor).collect();
    fault(&mut metadata, &mut tensors);
    let header: Vec<(String, Vec<usize>, FloatType)> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone(), FloatType::F32)).collect();
    let layout = Layout::new(&metadata, &header).unwrap();
    let mut file = layout.header.clone();
    file.resize(layout.bytes as usize, 0);
    for ((start, len), (_, _, bytes)) in layout.tensors.iter().zip(&tensors) {
        file[*start as usize..][..*len as usize].copy_from_slice(bytes);
    }
    std::fs::write(to, file).unwrap();
}

fn set(metadata: &mut Metadata, key: &str, entry: Entry) {
    metadata.iter_mut().find(|(name, _)| name == key).unwrap().1 = entry;
}

fn find<'a>(tensors: &'a mut Tensors, name: &str) -> &'a mut (String, Vec<usize>, Vec<u8>) {
    tensors.iter_mut().find(|(each, ..)| each == name).unwrap()
}

fn transposed(bytes: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let value = |at: usize| bytes[4 * (at % rows * columns + at / rows)..][..4].to_vec();
    (0..rows * columns).flat_map(value).collect()
}

/// Who notices: a look at the header, or the comparison of logits.
#[derive(Debug, PartialEq, Eq)]
enum Noticed {
    Doctor,
    Proof,
    Nobody,
}

/// What llama.cpp computes of a file in 16 bits is our forward pass with the same rounded, and a lost adapter is more.
#[test]
fn what_16_bits_change_is_explained_by_rounding() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export/tied");
    let (base, adapter) = (reference.join("base"), reference.join("adapter"));
    let scratch = tempfile::tempdir().unwrap();
    let export = |flags: &[&str], name: &str| {
        let output = scratch.path().join(name);
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("reels"));
        command.arg("export").args(flags).args(["--no-verify", "--output"]).arg(&output);
        assert!(command.output().unwrap().status.success());
        output
    };
    let [base_text, adapter_text] = [&base, &adapter].map(|path| path.to_str().unwrap());
    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let weights = AdapterWeights::read(&adapter, &config, &checkpoint).unwrap();
    let exact =
        Streamed { checkpoint: &checkpoint, config: &config, adapter: Some(&weights), nf4: false, rounded: None };
    let prompts = vec![(0..40).map(|at| at * 7 % 250).collect::<Vec<u32>>()];
    let positions = vec![(0..40).collect::<Vec<usize>>()];
    let logits = |streamed: Streamed| streamed.logits(&prompts, &positions, &Stop::default()).unwrap();
    let ours = logits(exact);
    let lora = export(&[adapter_text, "--base", base_text, "--adapter"], "lora.gguf");
    for (stored, quant) in [(FloatType::Bf16, "bf16"), (FloatType::F16, "f16")] {
        let merged = export(&[adapter_text, "--base", base_text, "--quant", quant], &format!("{quant}.gguf"));
        let alone = export(&[base_text, "--quant", quant], &format!("{quant}-base.gguf"));
        let cases = [(&merged, None, Rounded::Merged(stored)), (&alone, Some(lora.as_path()), Rounded::Beside(stored))];
        for (file, adapter, rounded) in cases {
            let found = llama::logits(file, adapter, &prompts, &positions, 2, &Stop::default()).unwrap();
            let rounded = logits(Streamed { rounded: Some(rounded), ..exact });
            let [off, rounding, left] = [(&ours, &found), (&ours, &rounded), (&rounded, &found)]
                .map(|(expected, found)| compare(expected, found).unwrap());
            eprintln!(
                "{quant}: off {:.1e}, rounding {:.1e}, left {:.1e}",
                off.relative, rounding.relative, left.relative
            );
            // Found: 2 and 11 % at most, where sums fall on the other side of a rounding edge; 56 % with one rounding
            // in the wrong place.
            assert!(left.relative < 0.2 * off.relative, "{quant}: {left:?} of {off:?}");
        }
        let lost = llama::logits(&alone, None, &prompts, &positions, 2, &Stop::default()).unwrap();
        let rounded = logits(Streamed { rounded: Some(Rounded::Merged(stored)), ..exact });
        let limit = rounding_limit(stored, &compare(&ours, &rounded).unwrap());
        assert!(compare(&ours, &lost).unwrap().relative > limit, "an adapter that is lost passes at {limit}");
    }
}

#[test]
fn seeded_faults_are_noticed() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export/tied");
    let (base, adapter) = (reference.join("base"), reference.join("adapter"));
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let export = |directory: &Path, flags: &[&str], output: &Path| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("reels"));
        command
            .arg("export")
            .arg(directory)
            .args(flags)
            .args(["--quant", "f32", "--no-verify", "--output"])
            .arg(output);
        assert!(command.output().unwrap().status.success());
    };
    let with_base = ["--base", base.to_str().unwrap()];
    let right = path("right.gguf");
    export(&adapter, &with_base, &right);

    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let weights = AdapterWeights::read(&adapter, &config, &checkpoint).unwrap();
    let streamed =
        Streamed { checkpoint: &checkpoint, config: &config, adapter: Some(&weights), nf4: false, rounded: None };
    let prompts = vec![(0..40).map(|at| at * 7 % 250).collect::<Vec<u32>>()];
    let positions = vec![(0..40).collect::<Vec<usize>>()];
    let ours = streamed.logits(&prompts, &positions, &Stop::default()).unwrap();
    let noticed = |file: &Path| {
        let is_bad = |finding: &doctor::Finding| {
            finding.severity == Severity::Error || finding.about == "header" && finding.severity > Severity::Ok
        };
        if doctor::model(file, None).iter().any(is_bad) {
            return Noticed::Doctor;
        }
        let found = llama::logits(file, None, &prompts, &positions, 2, &Stop::default()).unwrap();
        let difference = compare(&ours, &found).unwrap();
        eprintln!("{}: logits off by {:.1e}", file.display(), difference.relative);
        if difference.relative > float_limit(FloatType::F32) { Noticed::Proof } else { Noticed::Nobody }
    };
    assert_eq!(noticed(&right), Noticed::Nobody);

    let not_applied = path("not-applied.gguf");
    export(&base, &[], &not_applied);
    assert_eq!(noticed(&not_applied), Noticed::Proof, "the adapter is not applied");

    let doubled = path("doubled");
    std::fs::create_dir(&doubled).unwrap();
    std::fs::copy(adapter.join("adapter_model.safetensors"), doubled.join("adapter_model.safetensors")).unwrap();
    let text = std::fs::read_to_string(adapter.join("adapter_config.json")).unwrap();
    let twice = text.replace("\"lora_alpha\": 6", "\"lora_alpha\": 12");
    assert_ne!(twice, text);
    std::fs::write(doubled.join("adapter_config.json"), twice).unwrap();
    export(&doubled, &with_base, &path("scale.gguf"));
    assert_eq!(noticed(&path("scale.gguf")), Noticed::Proof, "the scale is wrong by 2");

    type Fault = fn(&mut Metadata, &mut Tensors);
    let faults: [(&str, Fault, Noticed); 9] = [
        ("biases are dropped", |_, tensors| tensors.retain(|(name, ..)| !name.ends_with(".bias")), Noticed::Doctor),
        ("the biases of one map are 0", |_, tensors| find(tensors, "blk.1.attn_v.bias").2.fill(0), Noticed::Proof),
        (
            "the rope base is missing",
            |metadata, _| metadata.retain(|(key, _)| key != "qwen2.rope.freq_base"),
            Noticed::Doctor,
        ),
        (
            "the rope base is llama.cpp's",
            |metadata, _| set(metadata, "qwen2.rope.freq_base", Entry::F32(1e4)),
            Noticed::Proof,
        ),
        (
            "the end token is wrong",
            |metadata, _| {
                set(metadata, "tokenizer.ggml.eos_token_id", Entry::U32(65));
                set(metadata, "tokenizer.ggml.eot_token_id", Entry::U32(65));
            },
            Noticed::Doctor,
        ),
        (
            "the chat template is another model's",
            |metadata, _| {
                let template = "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>{% endfor %}";
                set(metadata, "tokenizer.chat_template", Entry::Text(template.into()));
            },
            Noticed::Doctor,
        ),
        (
            "a square tensor is transposed",
            |_, tensors| {
                let tensor = find(tensors, "blk.0.attn_output.weight");
                tensor.2 = transposed(&tensor.2, 32, 32);
            },
            Noticed::Proof,
        ),
        (
            "a tensor is transposed",
            |_, tensors| {
                let tensor = find(tensors, "blk.0.ffn_down.weight");
                tensor.2 = transposed(&tensor.2, 32, 64);
                tensor.1.reverse();
            },
            Noticed::Doctor,
        ),
        (
            "the text is split as another model does",
            |metadata, _| set(metadata, "tokenizer.ggml.pre", Entry::Text("llama-bpe".into())),
            Noticed::Doctor,
        ),
    ];
    for (index, (what, fault, expected)) in faults.into_iter().enumerate() {
        let file: PathBuf = path(&format!("fault-{index}.gguf"));
        faulty(&right, &file, fault);
        assert_eq!(noticed(&file), expected, "{what}");
    }
    faulty(&right, &path("same.gguf"), |_, _| ());
    assert_eq!(std::fs::read(&right).unwrap(), std::fs::read(path("same.gguf")).unwrap());
}
