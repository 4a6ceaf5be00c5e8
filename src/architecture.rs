//! What families of models are known by, in one place: names of tensors, biases, the order of rows, the tokenizer.
//!
//! All share one arithmetic (`qlora::layer`): rotary attention and a gated feed-forward part, each behind an RMS norm and
//! beside its input. An architecture with this arithmetic is an entry in [`ALL`]; another is an entry and its code.

use anyhow::{Result, anyhow};

use crate::error::Hint;

/// Those that can be trained, exported and looked at closely.
pub const ALL: &[&Architecture] = &[&QWEN2];

/// Qwen2 and Qwen2.5.
pub const QWEN2: Architecture = Architecture {
    name: "Qwen2",
    example: "Qwen2.5",
    rope_theta: 1e6,
    model_type: "qwen2",
    gguf: "qwen2",
    unsupported: &[("use_sliding_window", "only full attention can be trained")],
    tokenizer: Tokenizer {
        pre: "qwen2",
        also: &["deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"],
        split: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        adds_bos: false,
    },
    embedding: Names { checkpoint: "model.embed_tokens", gguf: "token_embd" },
    layers: Names { checkpoint: "model.layers", gguf: "blk" },
    input_norm: Names { checkpoint: "input_layernorm", gguf: "attn_norm" },
    post_attention_norm: Names { checkpoint: "post_attention_layernorm", gguf: "ffn_norm" },
    linears: [
        Linear::new("self_attn.q_proj", "attn_q").biased(),
        Linear::new("self_attn.k_proj", "attn_k").biased(),
        Linear::new("self_attn.v_proj", "attn_v").biased(),
        Linear::new("self_attn.o_proj", "attn_output"),
        Linear::new("mlp.gate_proj", "ffn_gate"),
        Linear::new("mlp.up_proj", "ffn_up"),
        Linear::new("mlp.down_proj", "ffn_down"),
    ],
    norm: Names { checkpoint: "model.norm", gguf: "output_norm" },
    head: Names { checkpoint: "lm_head", gguf: "output" },
    neighbours: false,
    equal_heads: true,
};

/// The facts of a family of models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Architecture {
    /// As messages name it.
    pub name: &'static str,
    /// Models of it that people have.
    pub example: &'static str,
    /// What those have as the base of their rotary positions' frequencies.
    pub rope_theta: f64,
    /// In `config.json`.
    pub model_type: &'static str,
    /// llama.cpp's `general.architecture`, and what keys of a GGUF begin with.
    pub gguf: &'static str,
    /// Keys of `config.json` that ask for another arithmetic unless they are null or false, and what can be done instead.
    pub unsupported: &'static [(&'static str, &'static str)],
    #[expect(missing_docs, reason = "the type says it")]
    pub tokenizer: Tokenizer,
    #[expect(missing_docs, reason = "the name says it")]
    pub embedding: Names,
    /// What the names in a layer begin with, before its number.
    pub layers: Names,
    /// Norm before attention, in a layer.
    pub input_norm: Names,
    /// Norm before the feed-forward part, in a layer.
    pub post_attention_norm: Names,
    /// Linear maps of a layer: queries, keys, values, output, gate, up and down.
    pub linears: [Linear; 7],
    /// Behind the last layer.
    pub norm: Names,
    /// The output layer, where it isn't the embedding.
    pub head: Names,
    /// llama.cpp turns pairs of neighbours (LLAMA_ROPE_TYPE_NORM), where a checkpoint has the two half a head apart: rows of
    /// queries and keys change places in a GGUF.
    pub neighbours: bool,
    /// llama.cpp takes only heads that are equal parts of the hidden size, whatever `head_dim` says.
    pub equal_heads: bool,
}

/// Names of a tensor or a part of a model, without `.weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// As Hugging Face's.
    pub checkpoint: &'static str,
    /// As llama.cpp's.
    pub gguf: &'static str,
}

/// A linear map of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Below the layer.
    pub names: Names,
    /// Whether something is added to its product.
    pub bias: bool,
}

/// How text becomes tokens: byte-level BPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokenizer {
    /// llama.cpp's name of the way a text is split before merging, `tokenizer.ggml.pre`.
    pub pre: &'static str,
    /// Other names that llama.cpp has for the same way.
    pub also: &'static [&'static str],
    /// The same in `tokenizer.json`.
    pub split: &'static str,
    /// Whether the model was trained with a token in front of every text.
    pub adds_bos: bool,
}

/// What the shapes of a model's tensors are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sizes {
    pub vocabulary: usize,
    pub hidden: usize,
    /// Of the feed-forward part.
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_size: usize,
    /// The output layer is the embedding.
    pub tied: bool,
}

/// A tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// In a checkpoint.
    pub name: String,
    /// In a GGUF.
    pub gguf: String,
    /// `[out, in]` of a matrix; llama.cpp counts the other way round.
    pub shape: Vec<usize>,
    /// The linear map of a layer whose matrix it is; only these are quantised in training, and adapted.
    pub target: Option<&'static str>,
    /// Size of the heads within which rows change places in a GGUF.
    pub swapped: Option<usize>,
}

impl Names {
    /// In a checkpoint.
    pub fn weight(&self) -> String {
        format!("{}.weight", self.checkpoint)
    }
}

impl Linear {
    /// Without a bias.
    pub const fn new(checkpoint: &'static str, gguf: &'static str) -> Linear {
        Linear { names: Names { checkpoint, gguf }, bias: false }
    }

    /// The same with a bias.
    pub const fn biased(self) -> Linear {
        Linear { bias: true, ..self }
    }

    /// As `--targets` and PEFT name it.
    pub fn target(&self) -> &'static str {
        self.names.checkpoint.rsplit('.').next().unwrap_or_default()
    }
}

impl Sizes {
    /// Values of all queries of a token.
    pub fn queries(&self) -> usize {
        self.heads * self.head_size
    }

    /// Values of all keys of a token; as many are its values.
    pub fn keys(&self) -> usize {
        self.kv_heads * self.head_size
    }

    /// `[out, in]` of a layer's linear maps.
    fn linears(&self) -> [[usize; 2]; 7] {
        let Sizes { hidden, intermediate, .. } = *self;
        let (queries, keys) = (self.queries(), self.keys());
        [
            [queries, hidden],
            [keys, hidden],
            [keys, hidden],
            [hidden, queries],
            [intermediate, hidden],
            [intermediate, hidden],
            [hidden, intermediate],
        ]
    }
}

/// What some architectures are, for an error.
pub fn list(known: &[&Architecture]) -> String {
    let each = |known: &&Architecture| format!("{} models ({} is one)", known.name, known.example);
    known.iter().map(each).collect::<Vec<String>>().join(" and ")
}

/// The one that llama.cpp has this name for; of several, that which splits text as `pre` says.
pub fn in_gguf(known: &[&'static Architecture], name: &str, pre: Option<&str>) -> Option<&'static Architecture> {
    let named = || known.iter().copied().filter(|known| known.gguf == name);
    named().find(|known| pre == Some(known.tokenizer.pre)).or(named().next())
}

/// Linear maps that can be adapted, in the order of the layer.
pub fn targets(known: &[&Architecture]) -> Vec<&'static str> {
    let mut targets = Vec::new();
    for target in known.iter().flat_map(|architecture| architecture.linears.iter().map(Linear::target)) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

impl Architecture {
    /// Values of a head: what a model says of it, else an equal part of the hidden size. `None` where that part isn't whole
    /// and even, heads don't share those of keys and values evenly, or they can't be of the size that is said.
    pub fn head_size(&self, said: Option<usize>, hidden: usize, [heads, kv_heads]: [usize; 2]) -> Option<usize> {
        let part = hidden.is_multiple_of(2 * heads).then(|| hidden / heads);
        let shared = heads.is_multiple_of(kv_heads);
        said.or(part).filter(|size| shared && (!self.equal_heads || Some(*size) == part))
    }

    /// The targets that were asked for; all of those known, which may be other architectures' too, are all that are linear
    /// maps here.
    ///
    /// # Errors
    /// Names the one that isn't.
    pub fn own_targets(&self, asked: &[String], known: &[&Architecture]) -> Result<Vec<String>> {
        let own = targets(&[self]);
        if asked.iter().map(String::as_str).eq(targets(known)) {
            return Ok(own.iter().map(|target| (*target).to_owned()).collect());
        }
        if let Some(other) = asked.iter().find(|target| !own.contains(&target.as_str())) {
            return Err(anyhow!("--targets {other} is no linear map of {} models", self.name)
                .hint(format!("these are: {}", own.join(", "))));
        }
        Ok(asked.to_vec())
    }

    /// What names in a layer of a checkpoint begin with.
    pub fn layer(&self, index: usize) -> String {
        format!("{}.{index}", self.layers.checkpoint)
    }

    /// The linear maps of a layer, each with its name in a checkpoint and its `[out, in]`.
    pub fn linears_of(&self, layer: usize, sizes: &Sizes) -> [(String, Linear, [usize; 2]); 7] {
        let (layer, shapes) = (self.layer(layer), sizes.linears());
        std::array::from_fn(|index| {
            let linear = self.linears[index];
            (format!("{layer}.{}", linear.names.checkpoint), linear, shapes[index])
        })
    }

    /// The linear maps that have a bias: `q, k and v`.
    pub fn biased(&self) -> String {
        let names = ["q", "k", "v", "o", "gate", "up", "down"];
        let biased: Vec<&str> =
            names.into_iter().zip(&self.linears).filter(|(_, linear)| linear.bias).map(|(name, _)| name).collect();
        match biased.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            _ => biased.concat(),
        }
    }

    /// Every tensor of a model, in the order of computation.
    pub fn tensors(&self, sizes: Sizes) -> impl Iterator<Item = TensorInfo> {
        let outer = |names: Names, shape: &[usize]| TensorInfo {
            name: names.weight(),
            gguf: format!("{}.weight", names.gguf),
            shape: shape.to_vec(),
            target: None,
            swapped: None,
        };
        let embedding = [sizes.vocabulary, sizes.hidden];
        let head = (!sizes.tied).then(|| outer(self.head, &embedding));
        std::iter::once(outer(self.embedding, &embedding))
            .chain((0..sizes.layers).flat_map(move |layer| self.layer_tensors(layer, &sizes)))
            .chain(std::iter::once(outer(self.norm, &[sizes.hidden])))
            .chain(head)
    }

    fn layer_tensors(&self, layer: usize, sizes: &Sizes) -> Vec<TensorInfo> {
        let of_layer = |names: Names, suffix: &str, shape: &[usize]| TensorInfo {
            name: format!("{}.{}.{suffix}", self.layer(layer), names.checkpoint),
            gguf: format!("{}.{layer}.{}.{suffix}", self.layers.gguf, names.gguf),
            shape: shape.to_vec(),
            target: None,
            swapped: None,
        };
        let norm = |names: Names| vec![of_layer(names, "weight", &[sizes.hidden])];
        let shapes = sizes.linears();
        let linear = |index: usize| {
            let (linear, shape) = (self.linears[index], shapes[index]);
            // Queries and keys are turned.
            let swapped = (self.neighbours && index < 2).then_some(sizes.head_size);
            let matrix = of_layer(linear.names, "weight", &shape);
            let matrix = TensorInfo { target: Some(linear.target()), swapped, ..matrix };
            let bias = linear.bias.then(|| TensorInfo { swapped, ..of_layer(linear.names, "bias", &shape[..1]) });
            std::iter::once(matrix).chain(bias).collect::<Vec<TensorInfo>>()
        };
        let attention = std::iter::once(norm(self.input_norm)).chain((0..4).map(linear));
        let feed_forward = std::iter::once(norm(self.post_attention_norm)).chain((4..7).map(linear));
        attention.chain(feed_forward).flatten().collect()
    }
}

impl TensorInfo {
    /// How many it holds.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where a row of the checkpoint's is in a GGUF.
    pub fn gguf_row(&self, row: usize) -> usize {
        let Some(size) = self.swapped else { return row };
        let (head, at) = (row / size, row % size);
        head * size + 2 * (at % (size / 2)) + at / (size / 2)
    }
}
