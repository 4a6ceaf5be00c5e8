//! Model files made in a test: a small random model with the vocabulary and template of the bundled one, and whatever is to be
//! wrong with it.
#![allow(dead_code, reason = "not every test that shares this uses all of it")]

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::gguf::{Value, read_header};

/// A metadata value as it is written.
#[derive(Debug, Clone)]
pub enum Entry {
    U16(u16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// In ggml's order of dimensions, in 32 bits.
#[derive(Debug, Clone)]
pub struct Tensor(pub Vec<u64>, pub Vec<f32>);

/// A GGUF file.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub metadata: Vec<(String, Entry)>,
    pub tensors: Vec<(String, Tensor)>,
}

pub const HIDDEN: u64 = 64;
pub const LAYERS: u64 = 2;

pub fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gguf/reels-mini.gguf")
}

/// Values around 0.
pub fn random(shape: &[u64], seed: u64) -> Tensor {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..shape.iter().product()).map(|_| random.random_range(-0.2..0.2)).collect();
    Tensor(shape.to_vec(), values)
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

impl Entry {
    fn of(value: &Value) -> Entry {
        match value {
            Value::Int(number) => Entry::U32(*number as u32),
            Value::Float(number) => Entry::F32(*number as f32),
            Value::Bool(truth) => Entry::Bool(*truth),
            Value::Text(text) => Entry::Text(text.clone()),
            Value::Array(array) => match array.texts() {
                Some(texts) => Entry::Texts(texts.map(std::borrow::Cow::into_owned).collect()),
                None => Entry::I32s(
                    array.scalars().map(|value| if let Value::Int(int) = value { int as i32 } else { 0 }).collect(),
                ),
            },
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let (dtype, payload): (u32, Vec<u8>) = match self {
            Entry::U16(value) => (2, value.to_le_bytes().into()),
            Entry::U32(value) => (4, value.to_le_bytes().into()),
            Entry::I32(value) => (5, value.to_le_bytes().into()),
            Entry::F32(value) => (6, value.to_le_bytes().into()),
            Entry::Bool(value) => (7, vec![u8::from(*value)]),
            Entry::Text(value) => {
                let mut bytes = Vec::new();
                text(&mut bytes, value);
                (8, bytes)
            }
            Entry::Texts(values) => {
                let mut bytes = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
                values.iter().for_each(|value| text(&mut bytes, value));
                (9, bytes)
            }
            Entry::I32s(values) => {
                let mut bytes = [&5u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                (9, bytes)
            }
        };
        bytes.extend(dtype.to_le_bytes());
        bytes.extend(payload);
    }
}

impl From<u32> for Entry {
    fn from(value: u32) -> Entry {
        Entry::U32(value)
    }
}

impl From<f32> for Entry {
    fn from(value: f32) -> Entry {
        Entry::F32(value)
    }
}

impl From<bool> for Entry {
    fn from(value: bool) -> Entry {
        Entry::Bool(value)
    }
}

impl From<&str> for Entry {
    fn from(value: &str) -> Entry {
        Entry::Text(value.to_owned())
    }
}

impl File {
    /// A model of two layers with random weights; `architecture` is llama.cpp's name.
    pub fn model(architecture: &str) -> File {
        let header = read_header(&bundled()).unwrap();
        let tokens = header.texts("tokenizer.ggml.tokens").count() as u64;
        let kept = |key: &&String| key.starts_with("tokenizer.") || key.as_str() == "general.quantization_version";
        let metadata = header.metadata.keys().filter(kept).map(|key| (key.clone(), Entry::of(&header.metadata[key])));
        let mut file = File { metadata: metadata.collect(), tensors: vec![] };
        file.set("general.architecture", architecture).set("general.name", "random");
        for (key, value) in [
            ("block_count", LAYERS as u32),
            ("context_length", 2048),
            ("embedding_length", HIDDEN as u32),
            ("feed_forward_length", 96),
            ("attention.head_count", 2),
            ("attention.head_count_kv", 1),
        ] {
            file.set(&format!("{architecture}.{key}"), value);
        }
        file.set(&format!("{architecture}.rope.freq_base"), 1e6);
        file.set(&format!("{architecture}.attention.layer_norm_rms_epsilon"), 1e-6);
        let ones = |size: u64| Tensor(vec![size], vec![1.0; size as usize]);
        let mut add = |name: String, tensor: Tensor| file.tensors.push((name, tensor));
        let head = HIDDEN / 2;
        add("token_embd.weight".into(), random(&[HIDDEN, tokens], 1));
        add("output_norm.weight".into(), ones(HIDDEN));
        for layer in 0..LAYERS {
            let mut add = |name: &str, tensor| add(format!("blk.{layer}.{name}"), tensor);
            add("attn_norm.weight", ones(HIDDEN));
            add("ffn_norm.weight", ones(HIDDEN));
            for (index, (name, out)) in [("attn_q", HIDDEN), ("attn_k", head), ("attn_v", head)].into_iter().enumerate()
            {
                let seed = 10 * layer + index as u64 + 2;
                add(&format!("{name}.weight"), random(&[HIDDEN, out], seed));
                match architecture {
                    "qwen2" => add(&format!("{name}.bias"), random(&[out], seed + 100)),
                    "gemma3" if index < 2 => add(&format!("{name}_norm.weight"), ones(head)),
                    _ => {}
                }
            }
            if architecture.starts_with("gemma") {
                add("post_attention_norm.weight", ones(HIDDEN));
                add("post_ffw_norm.weight", ones(HIDDEN));
            }
            add("attn_output.weight", random(&[HIDDEN, HIDDEN], 10 * layer + 5));
            add("ffn_gate.weight", random(&[HIDDEN, 96], 10 * layer + 6));
            add("ffn_up.weight", random(&[HIDDEN, 96], 10 * layer + 7));
            add("ffn_down.weight", random(&[96, HIDDEN], 10 * layer + 8));
        }
        if architecture.starts_with("gemma") {
            file.set(&format!("{architecture}.attention.key_length"), head as u32);
            file.set(&format!("{architecture}.attention.value_length"), head as u32);
        }
        file
    }

    /// A LoRA adapter of rank 4 with alpha 8 for the first layer's queries of [`File::model`].
    pub fn adapter(architecture: &str) -> File {
        let mut file = File::default();
        file.set("general.architecture", architecture).set("general.type", "adapter");
        file.set("adapter.type", "lora").set("adapter.lora.alpha", 8.0);
        file.tensors.push(("blk.0.attn_q.weight.lora_a".into(), random(&[HIDDEN, 4], 70)));
        file.tensors.push(("blk.0.attn_q.weight.lora_b".into(), random(&[4, HIDDEN], 71)));
        file
    }

    /// Sets a value, or adds it.
    pub fn set(&mut self, key: &str, value: impl Into<Entry>) -> &mut File {
        self.remove(key);
        self.metadata.push((key.to_owned(), value.into()));
        self
    }

    pub fn remove(&mut self, key: &str) -> &mut File {
        self.metadata.retain(|(each, _)| each != key);
        self
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        &mut self.tensors.iter_mut().find(|(each, _)| each == name).unwrap().1
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, entry) in &self.metadata {
            text(&mut bytes, key);
            entry.write(&mut bytes);
        }
        let mut data = Vec::new();
        for (name, Tensor(shape, values)) in &self.tensors {
            text(&mut bytes, name);
            bytes.extend((shape.len() as u32).to_le_bytes());
            bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
            bytes.extend(0u32.to_le_bytes());
            bytes.extend((data.len() as u64).to_le_bytes());
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            data.resize(data.len().next_multiple_of(32), 0);
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(data);
        bytes
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes()).unwrap();
    }

    /// Writes the tensors in two files, with all else in the first, as llama-gguf-split does; gives the first.
    pub fn write_split(&self, folder: &Path) -> PathBuf {
        let half = self.tensors.len() / 2;
        let path = |part: u16| folder.join(format!("model-{:05}-of-00002.gguf", part + 1));
        for (part, tensors) in [(0u16, &self.tensors[..half]), (1, &self.tensors[half..])] {
            let metadata = if part == 0 { self.metadata.clone() } else { self.metadata[..0].to_vec() };
            let mut file = File { metadata, tensors: tensors.to_vec() };
            file.set("split.no", Entry::U16(part)).set("split.count", Entry::U16(2));
            file.set("split.tensors.count", Entry::I32(self.tensors.len() as i32));
            file.write(&path(part));
        }
        path(0)
    }
}
