//! Models and adapters as people bring them: damaged, incomplete, of other kinds. Each is refused before anything is written, with
//! a hint, and following the hint ends well.

mod tensors;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tensors::{Tensor, Tensors, read, write};

/// A copy of a directory of tests/reference that a test may change.
struct Copied(TempDir);

impl Copied {
    fn of(name: &str) -> Copied {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
        let copied = Copied(tempfile::tempdir().unwrap());
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, copied.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
        }
        copied
    }

    fn base() -> Copied {
        Copied::of("export/tied/base")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edit(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let mut json: Value = serde_json::from_slice(&std::fs::read(self.path(file)).unwrap()).unwrap();
        edit(&mut json);
        std::fs::write(self.path(file), json.to_string()).unwrap();
    }

    fn set(&self, key: &str, value: Value) {
        self.edit("config.json", |json| json[key] = value);
    }

    fn weights(&self, edit: impl FnOnce(&mut Tensors)) {
        let path = self.path("model.safetensors");
        let mut tensors = read(&path);
        edit(&mut tensors);
        write(&path, &tensors);
    }

    /// In two files with an index.
    fn shard(&self) {
        let mut first = read(&self.path("model.safetensors"));
        let second = first.split_off("model.layers.1");
        let mut map = BTreeMap::new();
        for (name, tensors) in
            [("model-00001-of-00002.safetensors", &first), ("model-00002-of-00002.safetensors", &second)]
        {
            write(&self.path(name), tensors);
            map.extend(tensors.keys().map(|key| (key.clone(), name)));
        }
        let index = json!({"metadata": {}, "weight_map": map});
        std::fs::write(self.path("model.safetensors.index.json"), index.to_string()).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// What `reels export` says, and whether it succeeded.
    fn export(&self, flags: &[&str]) -> (String, bool) {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("model.gguf");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("reels"));
        command
            .arg("export")
            .arg(self.0.path())
            .args(flags)
            .args(["--no-verify", "--quant", "f32", "--output"])
            .arg(&output);
        let result = command.output().unwrap();
        assert_eq!(result.status.success(), output.exists());
        assert!(result.status.success() || result.status.code() == Some(2), "{result:?}");
        (String::from_utf8(result.stderr).unwrap(), result.status.success())
    }

    #[track_caller]
    fn refused(&self, flags: &[&str], parts: &[&str]) {
        let (said, done) = self.export(flags);
        assert!(!done, "{said}");
        for part in parts.iter().chain(&["\nhint: "]) {
            assert!(said.contains(part), "{part:?} isn't in: {said}");
        }
    }

    #[track_caller]
    fn exported(&self, flags: &[&str]) -> String {
        let (said, done) = self.export(flags);
        assert!(done, "{said}");
        said
    }
}

fn like(tensors: &Tensors, name: &str) -> Tensor {
    tensors[name].clone()
}

#[test]
fn tensors_that_would_be_left_out_are_refused() {
    let norm = "model.layers.0.input_layernorm.weight";
    for (extra, part, hint) in [
        ("model.layers.0.self_attn.o_proj.bias", "which is no tensor of Qwen2 models", "another architecture's"),
        ("model.layers.1.self_attn.q_norm.weight", "which is no tensor of Qwen2 models", "another architecture's"),
        ("model.layers.0.mlp.up_proj.lora_A.default.weight", "a part of an adapter", "merge_and_unload()"),
        ("base_model.model.model.norm.weight", "a part of an adapter", "merge_and_unload()"),
        ("model.layers.0.mlp.up_proj.qweight", "quantised", "in 16 bits"),
        ("score.weight", "which is no tensor", "another architecture's"),
    ] {
        let base = Copied::base();
        base.weights(|tensors| drop(tensors.insert(extra.into(), like(tensors, norm))));
        base.refused(&[], &[extra, part, hint]);
        base.weights(|tensors| drop(tensors.remove(extra)));
        base.exported(&[]);
    }
    let base = Copied::base();
    base.weights(|tensors| {
        drop(tensors.insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), like(tensors, norm)))
    });
    base.exported(&[]);
}

#[test]
fn names_that_lack_or_have_a_beginning_are_told_from_others() {
    for (change, part, hint) in [
        ((|name| name.replacen("model.", "", 1)) as fn(&str) -> String, "is called model.", "save it as one"),
        (|name| format!("_orig_mod.{name}"), "has something in front of model.", "take it off all names"),
    ] {
        let base = Copied::base();
        let path = base.path("model.safetensors");
        let whole = read(&path);
        write(&path, &whole.iter().map(|(name, tensor)| (change(name), tensor.clone())).collect());
        base.refused(&[], &[part, hint]);
        write(&path, &whole);
        base.exported(&[]);
    }
}

/// As trainers leave them there.
#[test]
fn what_a_tokenizer_would_cut_or_fill_up_is_taken_whole() {
    let base = Copied::base();
    let tokens = |base: &Copied| {
        let tokenizer = reels::prompt::HubTokenizer::read(base.0.path()).unwrap();
        reels::prompt::Tokenizer::encode(&tokenizer, "ke pasar membeli ikan dan sayur").unwrap()
    };
    let whole = tokens(&base);
    base.edit("tokenizer.json", |json| {
        json["truncation"] = json!({"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0});
        json["padding"] = json!({
            "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "!"
        });
    });
    assert_eq!(tokens(&base), whole);
}

#[test]
fn fewer_layers_in_the_configuration_than_in_the_file_are_refused() {
    let base = Copied::base();
    base.set("num_hidden_layers", 1.into());
    base.refused(&[], &["is of layer 1, and config.json says num_hidden_layers is 1", "correct num_hidden_layers"]);
    base.set("num_hidden_layers", 2.into());
    base.exported(&[]);
}

#[test]
fn two_sets_of_weights_are_refused() {
    let base = Copied::base();
    base.shard();
    base.refused(&[], &["two sets of weights", "delete the set that isn't meant"]);
    base.remove("model.safetensors");
    base.exported(&[]);
    base.remove("model.safetensors.index.json");
    base.refused(&[], &["model-00001-of-00002.safetensors and no model.safetensors.index.json", "download the index"]);

    let base = Copied::base();
    let index = json!({"metadata": {}, "weight_map": {"model.norm.weight": "model.safetensors"}});
    std::fs::write(base.path("model.safetensors.index.json"), index.to_string()).unwrap();
    base.exported(&[]);

    let base = Copied::base();
    base.shard();
    base.remove("model.safetensors.index.json");
    base.refused(&[], &["two sets of weights"]);
    base.remove("model-00001-of-00002.safetensors");
    base.remove("model-00002-of-00002.safetensors");
    base.exported(&[]);

    let base = Copied::base();
    base.shard();
    base.remove("model.safetensors");
    let mut twice = read(&base.path("model-00002-of-00002.safetensors"));
    twice.extend(read(&base.path("model-00001-of-00002.safetensors")).into_iter().take(1));
    write(&base.path("model-00002-of-00002.safetensors"), &twice);
    base.refused(&[], &["model.embed_tokens.weight is in ", "delete the older files"]);
}

/// transformers 5 takes it; 4 left it out.
#[test]
fn a_head_of_its_own_is_used_where_the_configuration_says_tied() {
    let base = Copied::base();
    let (embedding, head) = ("model.embed_tokens.weight", "lm_head.weight");
    base.weights(|tensors| drop(tensors.insert(head.into(), like(tensors, embedding))));
    assert!(!base.exported(&[]).contains("lm_head"), "it is the embedding");
    base.weights(|tensors| tensors.get_mut(head).unwrap().2.rotate_left(2));
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    let mut command = assert_cmd::Command::cargo_bin("reels").unwrap();
    let said =
        command.arg("export").arg(base.0.path()).args(["--to", "safetensors", "--no-verify", "--output"]).arg(&output);
    let said = String::from_utf8(said.assert().success().get_output().stderr.clone()).unwrap();
    assert!(said.contains("holds another lm_head.weight, which is used"), "{said}");
    let config: Value = serde_json::from_slice(&std::fs::read(output.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["tie_word_embeddings"], false);
    let (before, after) = (read(&base.path("model.safetensors")), read(&output.join("model.safetensors")));
    assert_eq!(after[head].2, before[head].2);
}

#[test]
fn what_a_file_of_weights_is_instead_is_said() {
    for (bytes, what, hint) in [
        (
            &b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"[..],
            "a Git LFS pointer",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html><body>401</body></html>", "a web page", "hf download"),
        (b"{\"error\": \"Repository not found\"}", "JSON text", "download the file itself"),
        (b"PK\x03\x04\0\0\0\0\0\0\0\0", "a pickle of PyTorch", "save_pretrained"),
        (b"GGUF\x03\0\0\0\0\0\0\0", "a GGUF file", "--model"),
        (b"", "empty", "again"),
    ] {
        let base = Copied::base();
        let path = base.path("model.safetensors");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        base.refused(&[], &["model.safetensors is not a whole safetensors file", what, hint]);
        std::fs::write(&path, whole).unwrap();
        base.exported(&[]);
    }
}

#[test]
fn what_a_file_of_json_is_instead_is_said() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 7031645\n";
    for (name, text, parts) in [
        ("tokenizer.json", lfs.to_owned(), ["is a Git LFS pointer", "git lfs pull"]),
        ("tokenizer_config.json", "<!DOCTYPE html><html>".to_owned(), ["it is a web page", "download the file itself"]),
        ("config.json", String::new(), ["it is empty", "download it again"]),
        ("config.json", "\u{FEFF}{}".to_owned(), ["a byte order mark in front", "save it as UTF-8 without one"]),
        (
            "config.json",
            "{\"hidden_size\": NaN}".to_owned(),
            ["at line 1 column 17", "correct it, or download it again"],
        ),
    ] {
        let base = Copied::base();
        let whole = std::fs::read(base.path(name)).unwrap();
        std::fs::write(base.path(name), text).unwrap();
        base.refused(&[], &[&[&*format!("{name} is not JSON text: ")], &parts[..]].concat());
        std::fs::write(base.path(name), whole).unwrap();
        base.exported(&[]);
    }
}

#[test]
fn weights_in_other_formats_are_named() {
    let base = Copied::base();
    base.remove("model.safetensors");
    std::fs::write(base.path("pytorch_model.bin"), b"PK\x03\x04").unwrap();
    base.refused(&[], &["pytorch_model.bin, a pickle", "save it as safetensors"]);
    for (key, value, name) in [
        ("quantization_config", json!({"quant_method": "gptq", "bits": 4}), "GPTQ"),
        ("quantization_config", json!({"quant_method": "fp8"}), "FP8"),
        ("quantization", json!({"group_size": 64, "bits": 4}), "MLX"),
    ] {
        let base = Copied::base();
        base.set(key, value);
        base.refused(&[], &["the weights are quantised by ", name, "the model it was made from, in 16 bits"]);
        base.set(key, Value::Null);
        base.exported(&[]);
    }
}

/// An adapter that PEFT made, with the base to name.
fn adapter() -> (Copied, String) {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export/tied/base");
    (Copied::of("adapters/gaussian"), base.to_str().unwrap().to_owned())
}

fn renamed(adapter: &Copied, name: impl Fn(&str) -> String) {
    let path = adapter.path("adapter_model.safetensors");
    let tensors = read(&path).into_iter().map(|(key, tensor)| (name(&key), tensor)).collect();
    write(&path, &tensors);
}

#[test]
fn adapters_whose_names_peft_would_pass_over_are_refused() {
    let (adapter, base) = adapter();
    let flags = ["--base", &base];
    renamed(&adapter, |name| name.replace(".weight", ".default.weight"));
    adapter.exported(&flags);
    renamed(&adapter, |name| name.replace(".default.weight", ".weight").replace("base_model.model.", ""));
    adapter.refused(&flags, &["PEFT would leave all of them out", "put it before each name"]);
    renamed(&adapter, |name| format!("base_model.model.{name}"));
    adapter.exported(&flags);
    renamed(&adapter, |name| name.replace("base_model.model.", "base_model.model._orig_mod."));
    adapter.refused(&flags, &["its names are like base_model.model._orig_mod.", "give them the names that PEFT has"]);
    renamed(&adapter, |name| name.replace("_orig_mod.", ""));
    renamed(&adapter, |name| name.replace("model.layers", "model.language_model.layers"));
    adapter.refused(&flags, &["its names are like base_model.model.model.language_model.", "names that PEFT has"]);
}

#[test]
fn an_adapter_holds_what_its_configuration_asks_for() {
    let (adapter, base) = adapter();
    let flags = ["--base", &base];
    adapter.edit("adapter_config.json", |json| json["target_modules"] = json!(["q_proj", "v_proj", "up_proj"]));
    adapter.refused(&flags, &["down_proj.lora_A.weight is no low-rank change that adapter_config.json asks for"]);
    adapter.edit("adapter_config.json", |json| {
        json["target_modules"] = json!(["q_proj", "v_proj", "up_proj", "down_proj", "k_proj"])
    });
    adapter.refused(&flags, &["k_proj.lora_A.weight is missing"]);
    adapter.edit("adapter_config.json", |json| {
        json["target_modules"] = json!(["q_proj", "v_proj", "up_proj", "down_proj"])
    });
    adapter.exported(&flags);
    let whole = read(&Path::new(&base).join("model.safetensors"));
    let (path, name) = (adapter.path("adapter_model.safetensors"), "base_model.model.model.embed_tokens.weight");
    let mut tensors = read(&path);
    tensors.insert(name.into(), whole["model.embed_tokens.weight"].clone());
    write(&path, &tensors);
    adapter.exported(&flags);
    tensors.get_mut(name).unwrap().2.reverse();
    write(&path, &tensors);
    adapter.refused(&flags, &["is not the base's: it was trained or resized", "merge_and_unload()"]);
}

#[test]
fn an_adapter_with_texts_of_its_own_is_refused() {
    let (adapter, base) = adapter();
    let flags = ["--base", &base];
    for name in ["tokenizer.json", "chat_template.jinja"] {
        std::fs::copy(Path::new(&base).join(name), adapter.path(name)).unwrap();
    }
    adapter.exported(&flags);
    std::fs::write(adapter.path("chat_template.jinja"), "{{ messages }}").unwrap();
    adapter
        .refused(&flags, &["chat_template.jinja isn't the base's chat template", "copy the one it was trained with"]);
    adapter.remove("chat_template.jinja");
    adapter.edit("tokenizer.json", |json| {
        let added = json["added_tokens"].as_array_mut().unwrap();
        let mut more = added[0].clone();
        more["content"] = "<|merek|>".into();
        more["id"] = 268.into();
        added.push(more);
    });
    adapter.refused(&flags, &["tokenizer.json has 269 tokens, and the base's 268", "let PEFT merge it"]);
    adapter.remove("tokenizer.json");
    adapter.exported(&flags);
}

#[test]
fn an_adapter_in_a_folder_of_its_own_is_pointed_at() {
    let (adapter, _) = adapter();
    let folder = adapter.path("default");
    std::fs::create_dir(&folder).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::rename(adapter.path(name), folder.join(name)).unwrap();
    }
    adapter.refused(&[], &["there is an adapter in", "default: name that"]);
}

#[test]
fn an_adapter_beside_a_whole_model_is_refused() {
    let (adapter, base) = adapter();
    let weights = adapter.path("model.safetensors");
    std::fs::copy(Path::new(&base).join("model.safetensors"), &weights).unwrap();
    adapter.refused(&["--base", &base], &["an adapter and the weights of a whole model", "move the files"]);
    std::fs::remove_file(weights).unwrap();
    adapter.exported(&["--base", &base]);
}

#[test]
fn adapters_of_other_programs_are_named() {
    let (adapter, base) = adapter();
    std::fs::rename(adapter.path("adapter_model.safetensors"), adapter.path("adapters.safetensors")).unwrap();
    adapter.refused(&["--base", &base], &["has adapters.safetensors, as MLX names it", "mlx_lm.fuse"]);
    std::fs::write(adapter.path("adapter_config.json"), r#"{"fine_tune_type": "lora", "num_layers": 2}"#).unwrap();
    adapter.refused(&[], &["it is an adapter of MLX", "mlx_lm.fuse"]);
    std::fs::rename(adapter.path("adapters.safetensors"), adapter.path("adapter_model.bin")).unwrap();
    std::fs::remove_file(adapter.path("adapter_config.json")).unwrap();
    adapter.refused(&[], &["an adapter's weights and no adapter_config.json", "copy it"]);
}
