//! Model files and adapter files as people bring them. What llama.cpp would leave out, take otherwise or end the program at is refused
//! before an answer, with a hint; what it can do is done right.

mod files;
mod folder;

use files::{Entry, File, HIDDEN, bundled, random};
use folder::Folder;
use reels::gguf::read_header;
use reels::llama;
use reels::prompt::Tokenizer;
use reels::stop::Stop;
use serde_json::Value;

/// Two short records.
const DATA: &str = r#"{"id": "a", "account": "warung", "caption": "Soto", "transcript": "halo semuanya hari ini ibu masak soto ayam kuah kuning resepnya gampang sekali"}
{"id": "b", "account": "bengkel", "caption": "Oli", "transcript": "ganti oli cukup dua ribu kilometer sekali"}
"#;

fn with_data() -> Folder {
    let folder = Folder::new();
    folder.write("data.jsonl", DATA);
    folder
}

impl Folder {
    /// What `predict` says when it ends so.
    #[track_caller]
    fn predicts(&self, more: &str, code: i32) -> String {
        drop(std::fs::remove_dir_all(self.path("out")));
        self.ends(&format!("predict --model model.gguf --data data.jsonl --output out {more}"), code).err
    }

    #[track_caller]
    fn refused(&self, more: &str, parts: &[&str]) {
        let said = self.predicts(more, 2);
        for part in parts.iter().chain(&["\nhint: "]) {
            assert!(said.contains(part), "{part:?} isn't in: {said}");
        }
        assert!(!self.has("out/predictions.jsonl"), "{said}");
        self.ends(&format!("doctor model.gguf {more}"), 2);
    }

    #[track_caller]
    fn answered(&self, more: &str) -> String {
        self.predicts(more, 0)
    }

    fn predictions(&self) -> Vec<Value> {
        self.lines("out/predictions.jsonl")
    }

    /// Writes the model, and an adapter beside it.
    fn adapted(&self, model: &File, adapter: &File) -> &'static str {
        model.write(&self.path("model.gguf"));
        adapter.write(&self.path("adapter.gguf"));
        "--adapter adapter.gguf"
    }
}

#[test]
fn an_adapter_is_applied_as_llama_cpp_does() {
    let folder = with_data();
    let flags = folder.adapted(&File::model("qwen2"), &File::adapter("qwen2"));
    let logprobs = |more: &str| {
        folder.answered(more);
        let of = |line: Value| {
            line["label_logprobs"]
                .as_object()
                .map(|labels| labels.values().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>())
        };
        folder.predictions().into_iter().filter_map(of).flatten().collect::<Vec<f64>>()
    };
    let (base, changed) = (logprobs(""), logprobs(flags));
    let largest = base.iter().zip(&changed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest > 0.01, "{largest}");
}

#[test]
fn what_llama_cpp_would_make_of_an_adapter_otherwise_is_refused() {
    let folder = with_data();
    let model = File::model("qwen2");
    let refused = |edit: &dyn Fn(&mut File), part: &str| {
        let mut adapter = File::adapter("qwen2");
        edit(&mut adapter);
        let flags = folder.adapted(&model, &adapter);
        folder.refused(flags, &["adapter.gguf", part]);
    };
    let add = |file: &mut File, name: &str, shape: &[u64]| file.tensors.push((name.into(), random(shape, 5)));
    let vocabulary = model.tensors[0].1.0[1];
    refused(
        &|file| add(file, "blk.0.attn_norm.weight", &[HIDDEN]),
        "tensor blk.0.attn_norm.weight is no lora_a or lora_b",
    );
    refused(&|file| drop(file.tensors.pop()), "there is only one half of the change of blk.0.attn_q.weight");
    refused(&|file| file.tensors[1].1 = random(&[8, HIDDEN], 5), "are of ranks 4 and 8");
    refused(&|file| file.tensors[0].1 = random(&[2 * HIDDEN, 4], 5), "is for [128, 64] values");
    refused(
        &|file| file.tensors.iter_mut().for_each(|(name, _)| *name = name.replace("attn_q.weight", "attn_norm.weight")),
        "it adapts blk.0.attn_norm.weight",
    );
    refused(
        &|file| file.tensors.iter_mut().for_each(|(name, _)| *name = name.replace("blk.0", "blk.7")),
        "the model has no such tensor",
    );
    refused(
        &|file| {
            file.set("adapter.alora.invocation_tokens", Entry::I32s(vec![3]));
        },
        "would change everything",
    );
    refused(
        &|file| {
            file.set("adapter.lora.alpha", 0.0);
        },
        "would silently take a scale of 1",
    );
    refused(
        &|file| {
            file.remove("adapter.lora.alpha");
        },
        "adapter.lora.alpha is missing",
    );
    refused(
        &|file| {
            file.set("adapter.lora.alpha", f32::NAN);
        },
        "adapter.lora.alpha is NaN",
    );
    refused(&|file| file.tensors[1].1.1.fill(0.0), "every lora_b is 0: it changes nothing");
    refused(
        &|file| {
            file.set("general.architecture", "qwen3");
        },
        "it is for \"qwen3\"",
    );
    refused(&|file| file.tensors.clear(), "it has no lora_a and lora_b");
    refused(
        &|file| {
            add(file, "token_embd.weight.lora_a", &[4, vocabulary]);
            add(file, "token_embd.weight.lora_b", &[4, HIDDEN]);
        },
        "llama.cpp would end the program",
    );
    refused(
        &|file| {
            add(file, "output.weight.lora_a", &[HIDDEN, 4]);
            add(file, "output.weight.lora_b", &[4, vocabulary]);
        },
        "the model's output layer is its embedding",
    );
    // The type that a half is of, behind its name, number of dimensions and shape.
    let mut bytes = File::adapter("qwen2").bytes();
    let name = b"blk.0.attn_q.weight.lora_a";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4 + 16;
    bytes[at] = 26;
    model.write(&folder.path("model.gguf"));
    folder.write("adapter.gguf", bytes);
    folder.refused("--adapter adapter.gguf", &["the change of blk.0.attn_q.weight is of type"]);
    // The same of a model with a head of its own is applied.
    let mut untied = model.clone();
    untied.tensors.push(("output.weight".into(), random(&[HIDDEN, vocabulary], 6)));
    let mut adapter = File::adapter("qwen2");
    add(&mut adapter, "token_embd.weight.lora_a", &[4, vocabulary]);
    add(&mut adapter, "token_embd.weight.lora_b", &[4, HIDDEN]);
    let flags = folder.adapted(&untied, &adapter);
    folder.answered(flags);
}

#[test]
fn an_adapter_goes_with_the_base_it_was_trained_on() {
    let folder = with_data();
    let (mut model, mut adapter) = (File::model("qwen2"), File::adapter("qwen2"));
    adapter.set("reels.base", "Qwen").set("reels.base_sha256", "1111111111111111").set("reels.run_sha256", "33");
    let flags = folder.adapted(&model, &adapter);
    let said = folder.answered(flags);
    assert!(said.contains("doesn't say what it was made from"), "{said}");
    let told = folder.run("doctor model.gguf --adapter adapter.gguf").out;
    assert!(told.contains("warning  adapter") && !told.contains("fits"), "{told}");
    model.set("reels.base", "Other").set("reels.base_sha256", "2222222222222222");
    let flags = folder.adapted(&model, &adapter);
    folder.refused(flags, &["trained on \"Qwen\" (SHA-256 111111111111)", "made from \"Other\" (222222222222)"]);
    model.set("reels.base_sha256", "1111111111111111");
    let flags = folder.adapted(&model, &adapter);
    assert!(!folder.answered(flags).contains("WARN"));
    model.set("reels.run", "tuned").set("reels.run_sha256", "33");
    let flags = folder.adapted(&model, &adapter);
    folder.refused(flags, &["is of the run \"tuned\": it is merged into it already"]);
    model.set("reels.run_sha256", "44");
    let flags = folder.adapted(&model, &adapter);
    folder.refused(flags, &["it is no base, but has been trained further"]);
}

#[test]
fn a_model_in_parts_answers_as_in_one() {
    let folder = with_data();
    let model = File::model("qwen2");
    model.write(&folder.path("model.gguf"));
    folder.answered("");
    let whole = folder.predictions();
    let first = model.write_split(folder.root());
    let (name, second) = ("model-00001-of-00002.gguf", folder.path("model-00002-of-00002.gguf"));
    drop(std::fs::remove_dir_all(folder.path("out")));
    let predict = format!("predict --model {name} --data data.jsonl --output out");
    folder.succeeds(&predict);
    for (whole, parts) in whole.iter().zip(folder.predictions()) {
        assert_eq!((&whole["output"], &whole["label_logprobs"]), (&parts["output"], &parts["label_logprobs"]));
    }
    folder.succeeds(&format!("doctor {name}"));
    // Another second part is another model.
    let hash = folder.predictions()[0]["model_sha256"].clone();
    let mut other = std::fs::read(&second).unwrap();
    let last = other.len() - 5;
    other[last] ^= 1;
    std::fs::write(&second, &other).unwrap();
    drop(std::fs::remove_dir_all(folder.path("out")));
    folder.succeeds(&predict);
    assert_ne!(folder.predictions()[0]["model_sha256"], hash);

    let said = folder.fails(&predict.replace(name, "model-00002-of-00002.gguf"), 2);
    assert!(said.contains("part 2 of 2") && said.contains("hint: name the first"), "{said}");
    let joined = [std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap()].concat();
    folder.write("model.gguf", joined);
    let said = folder.predicts("", 2);
    assert!(said.contains("must not be joined with cat"), "{said}");
    let mut odd = model.clone();
    odd.set("split.no", Entry::U16(9)).set("split.count", Entry::U16(2)).write(&folder.path("model.gguf"));
    let said = folder.predicts("", 2);
    assert!(said.contains("split.no is 9, and split.count 2\nhint: "), "{said}");
    std::fs::remove_file(second).unwrap();
    let said = folder.fails(&predict, 2);
    assert!(said.contains("part 2 of 2 is missing") && said.contains("hint: download it"), "{said}");
}

#[test]
fn files_that_are_no_language_model_are_named() {
    let folder = with_data();
    let plain = File::model("qwen2");
    let refused = |edit: &dyn Fn(&mut File), part: &str| {
        let mut file = plain.clone();
        edit(&mut file);
        file.write(&folder.path("model.gguf"));
        folder.refused("", &["model.gguf", part]);
    };
    refused(
        &|file| {
            file.set("general.type", "mmproj").set("general.architecture", "clip");
        },
        "sees or hears (mmproj)",
    );
    refused(
        &|file| {
            file.set("general.type", "imatrix");
        },
        "an importance matrix",
    );
    refused(
        &|file| {
            file.set("general.architecture", "controlvector");
        },
        "a control vector",
    );
    refused(
        &|file| {
            file.set("general.architecture", "nomic-bert");
        },
        "turns texts into vectors",
    );
    refused(
        &|file| {
            file.set("qwen2.pooling_type", 3);
        },
        "qwen2.pooling_type is 3: this model turns texts into vectors",
    );
    refused(
        &|file| {
            file.set("tokenizer.ggml.pre", "default");
        },
        "text would become other tokens",
    );
    refused(
        &|file| {
            file.remove("tokenizer.ggml.pre");
        },
        "text would become other tokens",
    );
    refused(
        &|file| {
            file.set("tokenizer.ggml.pre", "of-tomorrow");
        },
        "unknown pre-tokenizer type: 'of-tomorrow'",
    );
    refused(
        &|file| file.tensors.push(("blk.0.attn_q_norm.weight".into(), random(&[32], 4))),
        "tensor blk.0.attn_q_norm.weight is none of a Qwen2 model of 2 layers",
    );
    for (key, value, part) in [
        (
            "qwen2.attention.causal",
            Entry::Bool(false),
            "qwen2.attention.causal is false: this model reads texts as a whole",
        ),
        ("qwen2.rope.dimension_count", Entry::U32(16), "qwen2.rope.dimension_count is 16, and heads have 32 values"),
        ("qwen2.rope.scaling.type", Entry::Text("dynamic".into()), "qwen2.rope.scaling.type is \"dynamic\""),
        ("qwen2.expert_count", Entry::U32(4), "qwen2.expert_count is 4"),
    ] {
        let mut file = plain.clone();
        file.remove(key).metadata.push((key.into(), value));
        file.write(&folder.path("model.gguf"));
        folder.refused("", &["model.gguf", part]);
    }
    let mut unknown = File::model("qwen9");
    unknown.write(&folder.path("model.gguf"));
    folder.refused("", &["unknown model architecture: 'qwen9'"]);
    unknown.set("general.architecture", "qwen2");
    let whole = plain.bytes();
    for (bytes, what, hint) in [
        (
            &b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"[..],
            "a Git LFS pointer",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html></html>", "a web page", "hf download"),
        (b"tjgg\x03\0\0\0", "a format that llama.cpp had before GGUF", "convert_hf_to_gguf.py"),
        (b"\x40\0\0\0\0\0\0\0{\"w\":{}}", "a safetensors file", "reels export"),
        (b"", "empty", "again"),
        (b"GGUF\0\0\0\x03\0\0\0\0\0\0\0\x01", "big-endian", "gguf_convert_endian.py"),
        (b"GGUF\x01\0\0\0\0\0\0\0\0\0\0\0", "GGUF version 1", "convert_hf_to_gguf.py"),
        (&whole[..whole.len() - 4096], "truncated", "again"),
    ] {
        folder.write("model.gguf", bytes);
        folder.refused("", &[what, hint]);
    }
    plain.write(&folder.path("model.gguf"));
    folder.answered("");
}

#[test]
fn a_context_without_room_for_a_prompt_is_told_by_doctor() {
    let folder = with_data();
    let mut model = File::model("qwen2");
    model.set("qwen2.context_length", 300).write(&folder.path("model.gguf"));
    let told = folder.succeeds("doctor model.gguf").out;
    assert!(told.contains("warning  room       a context of 300 tokens"), "{told}");
    model.set("qwen2.context_length", 2048).write(&folder.path("model.gguf"));
    assert!(!folder.run("doctor model.gguf").out.contains("warning  room"));
}

#[test]
fn names_of_pre_tokenizers_are_llama_cpps_to_know() {
    let folder = with_data();
    let mut model = File::model("qwen2");
    model.write(&folder.path("model.gguf"));
    folder.answered("");
    let whole = folder.predictions();
    model.set("tokenizer.ggml.pre", "deepseek-r1-qwen").write(&folder.path("model.gguf"));
    folder.answered("");
    for (one, other) in whole.iter().zip(folder.predictions()) {
        assert_eq!(one["label_logprobs"], other["label_logprobs"]);
    }
}

#[test]
fn heads_that_a_cache_of_eight_bits_cannot_hold_are_refused() {
    let folder = with_data();
    let mut model = File::model("qwen2");
    model
        .set("qwen2.attention.head_count", 4)
        .set("qwen2.attention.head_count_kv", 2)
        .write(&folder.path("model.gguf"));
    folder.answered("");
    let said = folder.predicts("--kv-type q8_0", 2);
    assert!(said.contains("those of model.gguf have 16") && said.contains("hint: leave it out"), "{said}");
}

/// What stands in the prompt of the first label.
fn prompt_of(folder: &Folder) -> String {
    folder.succeeds("prompt render --task ad --model model.gguf --data data.jsonl").out
}

#[test]
fn templates_are_rendered_as_the_model_expects() {
    let folder = with_data();
    let turns = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let with = |template: &str, edit: &dyn Fn(&mut File)| {
        let mut model = File::model("qwen2");
        model.set("tokenizer.chat_template", template);
        edit(&mut model);
        model.write(&folder.path("model.gguf"));
    };
    // The bundled model's bos is <|endoftext|>.
    with(&format!("{{{{ bos_token }}}}{turns}"), &|_| ());
    assert!(prompt_of(&folder).contains("\n<|endoftext|><|im_start|>system\n"));
    with(turns, &|model| {
        model.set("tokenizer.ggml.add_bos_token", true);
    });
    assert!(prompt_of(&folder).contains("\n<|endoftext|><|im_start|>system\n"));
    with(&format!("{{{{ bos_token }}}}{turns}"), &|model| {
        model.set("tokenizer.ggml.add_bos_token", true);
    });
    assert_eq!(prompt_of(&folder).matches("<|endoftext|>").count(), 1);
    with(turns, &|_| ());
    assert!(!prompt_of(&folder).contains("<|endoftext|>"));

    let refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
    with(&format!("{refuses}{turns}"), &|_| ());
    let prompt = prompt_of(&folder);
    assert!(!prompt.contains("<|im_start|>system") && prompt.contains("<|im_start|>user\nAnda adalah"), "{prompt}");
    folder.answered("");
    let told = folder.run("doctor model.gguf").out;
    assert!(told.contains("no role for instructions"), "{told}");

    with(&format!("{turns}{{% if enable_thinking is false %}}<think>\n\n</think>\n\n{{% endif %}}"), &|_| ());
    assert!(prompt_of(&folder).ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n\n"));
    with(&format!("{turns}<think>\n"), &|_| ());
    folder.refused("", &["begins a thought (<think>) where the answer belongs"]);
    with(&format!("{turns}{{% if false %}}</think><｜Assistant｜>{{% endif %}}"), &|_| ());
    folder.refused("", &["a model that thinks before it answers"]);
    with("{% for i in range(9999) %}{% for j in range(9999) %}{{ j }}{% endfor %}{% endfor %}", &|_| ());
    folder.refused("", &["doesn't render"]);
    // llama.cpp knows usual end tokens by their names, whatever the file says.
    with(turns, &|model| {
        model.set("tokenizer.ggml.eos_token_id", 12_285);
    });
    assert!(!folder.answered("").contains("WARN"));
    with(&turns.replace("<|im_end|>", "<|im_start|>"), &|_| ());
    folder.refused(
        "",
        &["the template ends answers with token ", "and llama.cpp wouldn't", "gguf-set-metadata model.gguf"],
    );
    with("{{- range .Messages }}{{ .Content }}{{ end }}", &|_| ());
    folder.refused("", &["in the language of Go"]);
    with(&turns.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}"), &|_| ());
    folder.answered("");
}

/// Labels and texts against llama.cpp's own logits, computed anew for every token.
#[test]
fn models_whose_attention_slides_answer_as_llama_cpp_would() {
    let folder = with_data();
    for architecture in ["gemma2", "gemma3"] {
        let mut model = File::model(architecture);
        model.set(&format!("{architecture}.attention.sliding_window"), 24);
        if architecture == "gemma2" {
            model.set("gemma2.attn_logit_softcapping", 50.0).set("gemma2.final_logit_softcapping", 30.0);
        }
        let path = folder.path("model.gguf");
        model.write(&path);
        let told = folder.run("doctor model.gguf").out;
        assert!(told.contains("warning  attention  it slides"), "{told}");
        let said = folder.answered("--kv-type f32");
        assert!(said.contains("its attention slides"), "{said}");
        let opened = llama::Model::open(&path, None).unwrap();
        let header = read_header(&path).unwrap();
        let pieces: Vec<String> =
            header.texts("tokenizer.ggml.tokens").map(|piece| piece.replace('Ġ', " ").replace('Ċ', "\n")).collect();
        let (vocabulary, chat) = (opened.vocabulary(), opened.chat());
        let behind = |tokens: &[u32], from: usize| {
            let positions = (from - 1..tokens.len()).collect();
            llama::logits(&path, None, &[tokens.to_vec()], &[positions], 2, &Stop::default()).unwrap()
        };
        for line in folder.predictions() {
            assert!(line["error"].is_null(), "{line}");
            let text = line["prompt"].as_str().unwrap();
            let prompt = vocabulary.encode(text).unwrap();
            let Some(labels) = line["label_logprobs"].as_object() else {
                let mut tokens = prompt.clone();
                for _ in 0..12 {
                    let logits = &behind(&tokens, tokens.len())[0];
                    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
                    tokens.push(best as u32);
                }
                let expected: String = tokens[prompt.len()..].iter().map(|token| &*pieces[*token as usize]).collect();
                let output = line["output"].as_str().unwrap();
                assert!(output.starts_with(expected.trim_start()), "{architecture}: {output:?}, not {expected:?}");
                continue;
            };
            let sum = |label: &String| {
                let end = chat.end_token(vocabulary).unwrap();
                let answer = [chat.answer_tokens(text, label, vocabulary).unwrap(), vec![end]].concat();
                let rows = behind(&[&prompt[..], &answer[..answer.len() - 1]].concat(), prompt.len());
                let of = |(row, token): (&Vec<f32>, &u32)| {
                    let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
                    f64::from(row[*token as usize]) - total.ln()
                };
                rows.iter().zip(&answer).map(of).sum::<f64>()
            };
            let sums: Vec<f64> = labels.keys().map(sum).collect();
            let total = sums.iter().map(|sum| sum.exp()).sum::<f64>().ln();
            for (found, sum) in labels.values().zip(&sums) {
                assert!(
                    (found.as_f64().unwrap() - (sum - total)).abs() < 1e-3,
                    "{architecture}: {found}, not {}",
                    sum - total
                );
            }
        }
    }
}

#[test]
fn norms_and_numbers_that_cannot_be_are_refused() {
    let folder = with_data();
    let plain = File::model("qwen2");
    let refused = |edit: &dyn Fn(&mut File), part: &str| {
        let mut file = plain.clone();
        edit(&mut file);
        file.write(&folder.path("model.gguf"));
        folder.refused("", &["model.gguf", part]);
    };
    refused(
        &|file| {
            let (_, norm) = file.tensors.iter_mut().find(|(name, _)| name == "blk.1.ffn_norm.weight").unwrap();
            norm.1.fill(0.0);
        },
        "blk.1.ffn_norm.weight is 0 everywhere: every answer would be nonsense",
    );
    refused(
        &|file| {
            file.set("qwen2.block_count", 0);
        },
        "qwen2.block_count is 0, not from 1 to",
    );
    refused(
        &|file| {
            file.set("qwen2.rope.freq_base", 0.5);
        },
        "qwen2.rope.freq_base is 0.5: llama.cpp would silently assume a value",
    );
    refused(
        &|file| {
            file.set("qwen2.attention.key_length", 64).set("qwen2.attention.value_length", 64);
        },
        "heads of 64 ",
    );
}

#[test]
fn the_bundled_model_is_none_of_these() {
    let folder = with_data();
    std::fs::copy(bundled(), folder.path("model.gguf")).unwrap();
    assert!(!folder.answered("--task ad").contains("WARN"));
    assert!(folder.has("out/predictions.jsonl"));
}
