//! A model to train from scratch: tokenizer, configuration, first weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use half::bf16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::architecture::{QWEN2, TensorInfo};
use reels::qlora::config::Config;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};
use tokenizers::decoders::byte_level::ByteLevel as Decoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::byte_level::ByteLevel as Processor;
use tokenizers::{AddedToken, SplitDelimiterBehavior, TokenizerBuilder, TokenizerImpl};

use super::topics::topics;

const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const VOCABULARY: usize = 12288;
const HIDDEN: usize = 256;
const LAYERS: usize = 4;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
/// Dimensions of the hidden state that one head fills. In the first weights, the first part is what tokens are told apart by,
/// the second holds half of that for each of the two tokens before, the third tells them apart too, and the last is what they
/// are about.
const PART: usize = HIDDEN / HEADS;
/// Size of an embedding's components: one over the root of their number.
const EMBEDDING: f64 = 0.0625;
/// How often a file of prompts counts for the tokenizer.
const PROMPTS: usize = 30;
/// Each component of the query's and the key's bias in the heads that look at the tokens before: their product over the root of
/// a head's size scores distances.
const BEFORE: f64 = 7.0;
/// By this queries and keys are larger than what they compare.
const SAME: f64 = 3.5;
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

type Tokenizer = TokenizerImpl<BPE, NFC, Sequence, Processor, Decoder>;

#[derive(Args)]
pub struct Base {
    /// What `texts` wrote
    #[arg(long)]
    texts: PathBuf,
    /// Files whose words shall be tokens too
    #[arg(long, num_args = 1..)]
    prompts: Vec<PathBuf>,
    #[arg(short, long)]
    output: PathBuf,
}

impl Base {
    pub fn run(&self) -> Result<()> {
        fs::create_dir_all(&self.output)?;
        let write = |name: &str, value: &Value| fs::write(self.output.join(name), format!("{value:#}\n"));
        let tokenizer = self.tokenizer()?;
        tokenizer.save(self.output.join("tokenizer.json"), true).map_err(|error| anyhow!(error))?;
        let vocabulary = tokenizer.get_vocab_size(true);
        write(
            "tokenizer_config.json",
            &json!({
                "tokenizer_class": "Qwen2Tokenizer", "chat_template": CHATML, "eos_token": "<|im_end|>",
                "pad_token": "<|endoftext|>", "add_bos_token": false,
            }),
        )?;
        write(
            "config.json",
            &json!({
                "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "dtype": "bfloat16",
                "vocab_size": vocabulary, "hidden_size": HIDDEN, "intermediate_size": 3 * HIDDEN,
                "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
                "num_key_value_heads": KV_HEADS, "max_position_embeddings": 2048, "rope_theta": 1000000.0,
                "rms_norm_eps": 1e-6, "tie_word_embeddings": true, "initializer_range": 0.02,
                "bos_token_id": vocabulary - 3, "eos_token_id": vocabulary - 1, "use_sliding_window": false,
            }),
        )?;
        let config = Config::read(&self.output)?;
        let parameters = self.weights(&config, &topics(&self.documents(&tokenizer)?, vocabulary))?;
        eprintln!("{}: {vocabulary} tokens, {parameters} parameters", self.output.display());
        Ok(())
    }

    /// What is said in each line.
    fn contents(&self) -> Result<Vec<Vec<String>>> {
        let text = fs::read_to_string(&self.texts).with_context(|| format!("cannot read {}", self.texts.display()))?;
        let contents = text.lines().map(super::texts::contents).collect::<Result<Vec<_>>>();
        contents.with_context(|| self.texts.display().to_string())
    }

    fn documents(&self, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>> {
        let lines: Vec<String> = self.contents()?.iter().map(|contents| contents.join("\n")).collect();
        let encoded = tokenizer.encode_batch_fast(lines, false).map_err(|error| anyhow!(error))?;
        Ok(encoded.iter().map(|document| document.get_ids().to_vec()).collect())
    }

    fn tokenizer(&self) -> Result<Tokenizer> {
        let mut texts = self.contents()?.concat();
        for file in &self.prompts {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            texts.extend(std::iter::repeat_n(text, PROMPTS));
        }
        let failed = |error: tokenizers::Error| anyhow!("{error}");
        let split = SplitPattern::Regex(QWEN2.tokenizer.split.into());
        let split = Split::new(split, SplitDelimiterBehavior::Isolated, false).map_err(failed)?;
        let mut tokenizer = TokenizerBuilder::new()
            .with_model(BPE::default())
            .with_normalizer(Some(NFC))
            .with_pre_tokenizer(Some(Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()])))
            .with_post_processor(Some(Processor::new(false, true, false)))
            .with_decoder(Some(Decoder::new(false, true, false)))
            .build()
            .map_err(failed)?;
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(VOCABULARY - CONTROL.len())
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        tokenizer.train(&mut trainer, texts.iter()).map_err(failed)?;
        // Behind the vocabulary, as in Qwen2.5.
        tokenizer.add_special_tokens(CONTROL.map(|token| AddedToken::from(token, true))).map_err(failed)?;
        Ok(tokenizer)
    }

    fn weights(&self, config: &Config, topics: &[[f64; PART]]) -> Result<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(42);
        let mut tensors = Tensors::new();
        for TensorInfo { name, shape, .. } in config.tensors() {
            let deviation = match shape[..] {
                [_] => 0.0,
                _ if name.contains("embed") => EMBEDDING,
                // What a layer adds is no larger than what it adds to.
                [_, inputs] if name.contains("o_proj") || name.contains("down_proj") => {
                    EMBEDDING / (inputs as f64).sqrt()
                }
                _ => 1.0 / (shape[1] as f64).sqrt(),
            };
            let mean = if name.contains("norm") { 1.0 } else { 0.0 };
            let values = (0..shape.iter().product()).map(|_| mean + deviation * normal(&mut random)).collect();
            tensors.insert(name, (shape, values));
        }
        look_back(&mut tensors, config.rope_theta);
        gather(&mut tensors, topics);
        let parameters = tensors.values().map(|(_, values)| values.len()).sum();
        let bytes = |values: &[f64]| values.iter().flat_map(|value| bf16::from_f64(*value).to_le_bytes()).collect();
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> =
            tensors.into_iter().map(|(name, (shape, values))| (name, shape, bytes(&values))).collect();
        let views: Vec<(&String, TensorView)> = tensors
            .iter()
            .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::BF16, shape.clone(), bytes)?)))
            .collect::<Result<_>>()?;
        serialize_to_file(views, None, &self.output.join("model.safetensors"))?;
        Ok(parameters)
    }
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

/// Lets the first two layers start out with what repeating a text takes, which small models are slow to find: heads that
/// look at the two tokens before, and heads that look behind an earlier place of the present ones, for what followed there
/// (induction heads, Olsson et al. 2022). Written as blocks of the unit matrix (after Trockman and Kolter 2023).
fn look_back(tensors: &mut Tensors, rope_theta: f64) {
    let half = PART / 2;
    let angle = |pair: usize| rope_theta.powf(-(pair as f64) / half as f64);

    // Score of a distance: a sum of cos((distance - back) × angle), largest where it is `back`, whatever the tokens are.
    for pair in 0..half {
        let [query, key] = ["q", "k"].map(|name| format!("model.layers.0.self_attn.{name}_proj.bias"));
        for (head, back) in [(0, 1.0), (1, 2.0)] {
            entry(tensors, &query, head * PART + pair, 0, BEFORE * (back * angle(pair)).cos());
            entry(tensors, &query, head * PART + pair + half, 0, -BEFORE * (back * angle(pair)).sin());
        }
        entry(tensors, &key, pair, 0, BEFORE);
    }
    for row in 0..PART {
        [0, PART].into_iter().for_each(|head| only(tensors, 0, "q", head + row, 0, 0.0));
        only(tensors, 0, "k", row, 0, 0.0);
    }
    carry(tensors, 0, [0, 0], [0, PART], half, 2.0);
    carry(tensors, 0, [0, 1], [0, PART + half], half, 2.0);

    // Tokens are compared in dimensions that turn by little over some hundred tokens: the present one with those before, and
    // the one before it with those two before.
    let still = (0..half).filter(|pair| angle(*pair) <= 1e-3).flat_map(|pair| [pair, pair + half]);
    let still: Vec<usize> = still.collect();
    for group in 0..KV_HEADS {
        let query = group * HEADS / KV_HEADS;
        for (index, dimension) in still.iter().enumerate() {
            let (before, told) = (index % 2, group * still.len() / 2 + index / 2);
            let [now, then] = [[0, PART], [PART, PART + half]][before];
            only(tensors, 1, "q", query * PART + dimension, now + told, SAME);
            only(tensors, 1, "k", group * PART + dimension, then + told, SAME);
        }
        carry(tensors, 1, [group, 0], [2 * group * PART; 2], PART, 3.0);
    }
}

/// Lets embeddings start out with what tokens are about, and a head of the third layer with the mean of it: labels follow from
/// a bag of words, and are slow to reach embeddings that follow the text.
fn gather(tensors: &mut Tensors, topics: &[[f64; PART]]) {
    let about = HIDDEN - PART;
    let length = EMBEDDING * (PART as f64).sqrt();
    for (token, topic) in topics.iter().enumerate() {
        for (index, value) in topic.iter().enumerate() {
            entry(tensors, "model.embed_tokens.weight", token, about + index, length * value);
        }
    }
    for row in 0..PART {
        only(tensors, 2, "q", row, 0, 0.0);
    }
    carry(tensors, 2, [0, 0], [about; 2], PART, 3.0);
}

/// A head of a group takes a part of what it looks at and adds the first of it, so many times, to a part.
fn carry(
    tensors: &mut Tensors,
    layer: usize,
    [group, head]: [usize; 2],
    [from, to]: [usize; 2],
    size: usize,
    times: f64,
) {
    let head = group * HEADS / KV_HEADS + head;
    for row in 0..PART {
        only(tensors, layer, "v", group * PART + row, from + row, 1.0);
    }
    for row in 0..size {
        let output = format!("model.layers.{layer}.self_attn.o_proj.weight");
        entry(tensors, &output, to + row, head * PART + row, times * EMBEDDING);
    }
}

fn entry(tensors: &mut Tensors, name: &str, row: usize, column: usize, value: f64) {
    let (shape, values) = tensors.get_mut(name).expect("a tensor of the model");
    let width = shape.get(1).copied().unwrap_or(1);
    values[row * width + column] = value;
}

/// Of its row.
fn only(tensors: &mut Tensors, layer: usize, projection: &str, row: usize, column: usize, value: f64) {
    let name = format!("model.layers.{layer}.self_attn.{projection}_proj.weight");
    let (shape, values) = tensors.get_mut(&name).expect("a tensor of the model");
    values[row * shape[1]..(row + 1) * shape[1]].fill(0.0);
    entry(tensors, &name, row, column, value);
}

/// Box and Muller (1958).
pub fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
