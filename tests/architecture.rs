//! That an architecture without arithmetic of its own is an entry in a table and nothing else: entries that exist only here go
//! from `config.json` through training to a file with which llama.cpp answers the same.

mod tiny;

use std::path::{Path, PathBuf};

use reels::architecture::{Architecture, Linear, Names, QWEN2, Tokenizer, in_gguf, targets};
use reels::error::Shown;
use reels::export::metadata::{ModelParts, Provenance};
use reels::export::proof::compare;
use reels::export::vocabulary::Vocabulary;
use reels::export::write;
use reels::gguf::{self, FloatType, Gguf, problems_of, read_header};
use reels::learner::{Batch, Document, Learner, Update};
use reels::llama;
use reels::prompt::HubTokenizer;
use reels::qlora::adapter::{AdapterShape, AdapterWeights};
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;
use reels::qlora::learner::CandleLearner;
use reels::qlora::merge::Merge;
use reels::qlora::model::Method;
use reels::qlora::stream::Streamed;
use reels::stop::Stop;
use serde_json::{Value, json};
use tempfile::TempDir;

/// No biases, pairs of neighbours, another tokenizer.
const LLAMA: Architecture = Architecture {
    name: "Llama",
    example: "Llama 3",
    rope_theta: 5e5,
    model_type: "llama",
    gguf: "llama",
    unsupported: &[
        ("attention_bias", "only models without biases can be trained"),
        ("mlp_bias", "only models without biases can be trained"),
    ],
    tokenizer: Tokenizer {
        pre: "llama-bpe",
        also: &[],
        split: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        adds_bos: true,
    },
    linears: [
        Linear::new("self_attn.q_proj", "attn_q"),
        Linear::new("self_attn.k_proj", "attn_k"),
        Linear::new("self_attn.v_proj", "attn_v"),
        Linear::new("self_attn.o_proj", "attn_output"),
        Linear::new("mlp.gate_proj", "ffn_gate"),
        Linear::new("mlp.up_proj", "ffn_up"),
        Linear::new("mlp.down_proj", "ffn_down"),
    ],
    neighbours: true,
    equal_heads: false,
    ..QWEN2
};

/// Biases as Qwen2's, a norm that llama.cpp names otherwise.
static SEED: Architecture = Architecture {
    name: "Seed-OSS",
    example: "Seed-OSS-36B",
    rope_theta: 1e7,
    model_type: "seed_oss",
    gguf: "seed_oss",
    unsupported: &[],
    tokenizer: Tokenizer { pre: "seed-coder", ..QWEN2.tokenizer },
    post_attention_norm: Names { checkpoint: "post_attention_layernorm", gguf: "post_attention_norm" },
    equal_heads: false,
    ..QWEN2
};

/// Names of EXAONE 3.5's checkpoints, of which none is Qwen2's.
static EXAONE: Architecture = Architecture {
    name: "EXAONE",
    example: "EXAONE-3.5",
    model_type: "exaone",
    gguf: "exaone",
    unsupported: &[],
    tokenizer: Tokenizer { pre: "exaone", ..QWEN2.tokenizer },
    embedding: Names { checkpoint: "transformer.wte", gguf: "token_embd" },
    layers: Names { checkpoint: "transformer.h", gguf: "blk" },
    input_norm: Names { checkpoint: "ln_1", gguf: "attn_norm" },
    post_attention_norm: Names { checkpoint: "ln_2", gguf: "ffn_norm" },
    linears: [
        Linear::new("attn.attention.q_proj", "attn_q"),
        Linear::new("attn.attention.k_proj", "attn_k"),
        Linear::new("attn.attention.v_proj", "attn_v"),
        Linear::new("attn.attention.out_proj", "attn_output"),
        Linear::new("mlp.c_fc_0", "ffn_gate"),
        Linear::new("mlp.c_fc_1", "ffn_up"),
        Linear::new("mlp.c_proj", "ffn_down"),
    ],
    norm: Names { checkpoint: "transformer.ln_f", gguf: "output_norm" },
    equal_heads: false,
    ..QWEN2
};

/// A tiny model with an adapter that changes something.
struct Made {
    folder: TempDir,
    config: Config,
}

impl Made {
    /// Queries are twice as wide as the model.
    fn new(architecture: &'static Architecture) -> Made {
        let folder = tempfile::tempdir().unwrap();
        tiny::write(folder.path());
        let base = folder.path().join("base");
        let edit = |name: &str, change: &dyn Fn(&mut Value)| {
            let mut json = serde_json::from_str(&std::fs::read_to_string(base.join(name)).unwrap()).unwrap();
            change(&mut json);
            std::fs::write(base.join(name), json.to_string()).unwrap();
            json
        };
        edit("tokenizer.json", &|tokenizer| {
            tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = architecture.tokenizer.split.into();
        });
        let config = edit("config.json", &|config| {
            config["model_type"] = architecture.model_type.into();
            config["head_dim"] = 16.into();
            config["tie_word_embeddings"] = false.into();
        });
        let config = Config::parse(&config, &[&QWEN2, architecture]).unwrap();
        tiny::save_weights(&config, &base);
        let made = Made { folder, config };
        made.train();
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::open(&self.path("base"), &mut self.config.clone()).unwrap()
    }

    fn train(&self) {
        let known = [&QWEN2, self.config.architecture];
        let all: Vec<String> = targets(&known).into_iter().map(str::to_owned).collect();
        let targets = self.config.architecture.own_targets(&all, &known).unwrap();
        let shape = AdapterShape { rank: 3, alpha: 6.0, rank_stabilised: false, targets, seed: 1 };
        let method = Method::Lora(shape);
        let base = self.path("base");
        let mut learner = CandleLearner::load(&self.checkpoint(), &self.config, &method, &base).unwrap();
        let batch = Batch {
            tokens: (0..9).map(|at| at * 31 % 256).collect(),
            documents: vec![Document::plain(9)],
            rows: vec![3, 8],
            targets: vec![7, 11],
            weights: vec![1.0, 1.0],
        };
        learner.accumulate(&batch, 0).unwrap();
        let update = Update { divisor: 2.0, max_grad_norm: None, learning_rate: 0.1, weight_decay: 0.0 };
        assert!(learner.step(&update).unwrap() > 0.0);
        std::fs::create_dir(self.path("adapter")).unwrap();
        learner.save(&self.path("adapter")).unwrap();
    }

    fn adapter(&self) -> AdapterWeights {
        AdapterWeights::read(&self.path("adapter"), &self.config, &self.checkpoint()).unwrap()
    }

    /// A model file in 32 bits.
    fn export(&self, name: &str, adapter: Option<&AdapterWeights>) -> PathBuf {
        let base = self.path("base");
        let tokenizer = HubTokenizer::read(&base).unwrap();
        let chat = tokenizer.chat(&base).unwrap();
        let parts = ModelParts {
            config: &self.config,
            vocabulary: &Vocabulary::read(&base, &self.config).unwrap(),
            chat_template: chat.template(),
            end: chat.end_token(&tokenizer).unwrap(),
        };
        let merge = Merge { checkpoint: &self.checkpoint(), adapter, dequantised: false };
        let path = self.path(name);
        write::model(&path, &merge, &parts, &provenance(), FloatType::F32, &|_| (), &Stop::default()).unwrap();
        path
    }
}

fn provenance() -> Provenance<'static> {
    Provenance {
        base: "base".into(),
        base_sha256: String::new(),
        run: None,
        run_sha256: None,
        data_sha256: None,
        data_path: None,
        licence: None,
        prompts: None,
        max_prompt_tokens: None,
    }
}

/// Makes a model, trains it, exports it and asks llama.cpp; the header of the file.
fn whole_way(architecture: &'static Architecture) -> Gguf {
    let made = Made::new(architecture);
    let (checkpoint, weights) = (made.checkpoint(), made.adapter());
    assert_eq!(weights.of.len(), 14);
    let prompts = vec![(0..40).map(|at| at * 7 % 250).collect::<Vec<u32>>()];
    let positions = vec![(0..40).collect::<Vec<usize>>()];
    let streamed =
        |adapter| Streamed { checkpoint: &checkpoint, config: &made.config, adapter, nf4: false, rounded: None };
    let logits = |adapter| streamed(adapter).logits(&prompts, &positions, &Stop::default()).unwrap();
    let (alone, adapted) = (logits(None), logits(Some(&weights)));
    assert!(compare(&alone, &adapted).unwrap().relative > 0.01, "the adapter changes nothing");

    let (base, merged) = (made.export("base.gguf", None), made.export("merged.gguf", Some(&weights)));
    let lora = made.path("lora.gguf");
    write::adapter(&lora, &weights, &made.config, &provenance()).unwrap();
    let lora: &Path = &lora;
    for (file, adapter, expected) in [(&base, None, &alone), (&merged, None, &adapted), (&base, Some(lora), &adapted)] {
        let found = llama::logits(file, adapter, &prompts, &positions, 2, &Stop::default()).unwrap();
        let difference = compare(expected, &found).unwrap();
        assert!(difference.relative < 1e-4, "{} {adapter:?}: {difference:?}", file.display());
    }

    let header = read_header(&merged).unwrap();
    assert_eq!(problems_of(&header, Some(architecture)), []);
    assert_eq!(header.architecture(), Some(architecture.gguf));
    assert_eq!(header.head_sizes(), [16, 16]);
    let tensors: Vec<String> = made.config.tensors().into_iter().map(|tensor| tensor.gguf).collect();
    assert_eq!(header.tensors.keys().collect::<Vec<_>>(), tensors.iter().collect::<Vec<_>>());
    header
}

/// What is wrong with a header.
fn problem(header: &Gguf, architecture: &'static Architecture) -> String {
    let problems = problems_of(header, Some(architecture));
    assert_eq!(problems.len(), 1, "{problems:?}");
    format!("{}: {}", problems[0].what, problems[0].why)
}

#[test]
fn llama_is_an_entry() {
    let mut header = whole_way(&LLAMA);
    assert!(!header.tensors.keys().any(|name| name.ends_with(".bias")));
    assert_eq!(header.text("tokenizer.ggml.pre"), Some("llama-bpe"));
    header.metadata.insert("llama.attention.value_length".into(), gguf::Value::Int(8));
    let found = problem(&header, &LLAMA);
    assert!(
        found.starts_with("heads have 16 values for keys (llama.attention.key_length) and 8 for values"),
        "{found}"
    );
    let json = json!({"model_type": "llama", "rope_theta": 5e5, "attention_bias": true});
    let error = Shown::of(&Config::parse(&json, &[&LLAMA]).unwrap_err()).to_string();
    assert!(error.contains("attention_bias is true\nhint: only models without biases"), "{error}");
    let error = Shown::of(&Config::parse(&json!({"model_type": "llama"}), &[&LLAMA]).unwrap_err()).to_string();
    assert!(error.contains("hint: Llama 3 has 500000; without it"), "{error}");
}

#[test]
fn seed_oss_is_an_entry() {
    let mut header = whole_way(&SEED);
    assert!(header.tensors.contains_key("blk.1.post_attention_norm.weight"));
    header.tensors.shift_remove("blk.1.attn_k.bias").unwrap();
    assert_eq!(
        problem(&header, &SEED),
        "tensor blk.1.attn_k.bias is missing: Seed-OSS has a bias on q, k and v; llama.cpp would leave it out without a word"
    );
}

#[test]
fn other_names_are_an_entry() {
    let mut header = whole_way(&EXAONE);
    header.tensors.shift_remove("blk.0.ffn_up.weight").unwrap();
    assert_eq!(problem(&header, &EXAONE), "tensor blk.0.ffn_up.weight is missing: llama.cpp can't load it");
}

#[test]
fn messages_and_lookups_know_all_entries() {
    let (llama, exaone): (&[&Architecture], _) = (&[&QWEN2, &LLAMA], [&QWEN2, &EXAONE]);
    let refused = Shown::of(&Config::parse(&json!({"model_type": "gpt2"}), llama).unwrap_err()).to_string();
    let known = "only Qwen2 models (Qwen2.5 is one) and Llama models (Llama 3 is one) can be trained";
    assert!(refused.contains(known), "{refused}");
    assert_eq!(targets(llama).len(), 7);
    let targets = targets(&exaone);
    assert_eq!(targets[7..], ["out_proj", "c_fc_0", "c_fc_1", "c_proj"]);
    let asked = |target: &str| EXAONE.own_targets(&["q_proj".to_owned(), target.to_owned()], &exaone);
    assert_eq!(asked("out_proj").unwrap(), ["q_proj", "out_proj"]);
    let error = asked("up_proj").unwrap_err().to_string();
    assert!(error.contains("--targets up_proj is no linear map of EXAONE models"), "{error}");

    static MISTRAL: Architecture =
        Architecture { name: "Mistral", tokenizer: Tokenizer { pre: "tekken", ..QWEN2.tokenizer }, ..LLAMA };
    let named = |name, pre| in_gguf(&[&LLAMA, &MISTRAL], name, pre).map(|found| found.name);
    assert_eq!(named("llama", Some("tekken")), Some("Mistral"));
    assert_eq!(named("llama", Some("gpt-2")), Some("Llama"));
    assert_eq!(named("qwen2", None), None);
}
