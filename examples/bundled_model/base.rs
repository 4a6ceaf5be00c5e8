//! A model to train from scratch: tokenizer, configuration, random weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use half::bf16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
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

/// As Qwen2 splits text before merging.
const SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
/// Of the embedding, as Qwen2's `initializer_range`.
const EMBEDDING: f64 = 0.02;

#[derive(Args)]
pub struct Base {
    /// What `texts` wrote
    #[arg(long)]
    texts: PathBuf,
    #[arg(long, default_value_t = 8192)]
    vocabulary: usize,
    #[arg(long, default_value_t = 256)]
    hidden: usize,
    #[arg(long, default_value_t = 768)]
    intermediate: usize,
    #[arg(long, default_value_t = 6)]
    layers: usize,
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
                "vocab_size": vocabulary, "hidden_size": self.hidden, "intermediate_size": self.intermediate,
                "num_hidden_layers": self.layers, "num_attention_heads": self.hidden / 64,
                "num_key_value_heads": self.hidden / 128, "max_position_embeddings": 2048, "rope_theta": 10000.0,
                "rms_norm_eps": 1e-6, "tie_word_embeddings": true, "initializer_range": EMBEDDING,
                "bos_token_id": vocabulary - 3, "eos_token_id": vocabulary - 1, "use_sliding_window": false,
            }),
        )?;
        let config = Config::read(&self.output)?;
        let parameters = self.weights(&config)?;
        eprintln!("{}: {vocabulary} tokens, {parameters} parameters", self.output.display());
        Ok(())
    }

    fn tokenizer(&self) -> Result<TokenizerImpl<BPE, NFC, Sequence, Processor, Decoder>> {
        let text = fs::read_to_string(&self.texts).with_context(|| format!("cannot read {}", self.texts.display()))?;
        let answers = text.lines().map(super::texts::answers).collect::<Result<Vec<_>>>();
        let texts = answers.with_context(|| self.texts.display().to_string())?.concat();
        let failed = |error: tokenizers::Error| anyhow!("{error}");
        let split =
            Split::new(SplitPattern::Regex(SPLIT.into()), SplitDelimiterBehavior::Isolated, false).map_err(failed)?;
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
            .vocab_size(self.vocabulary - CONTROL.len())
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        tokenizer.train(&mut trainer, texts.iter()).map_err(failed)?;
        // Behind the vocabulary, as in Qwen2.5.
        tokenizer.add_special_tokens(&CONTROL.map(|token| AddedToken::from(token, true)));
        Ok(tokenizer)
    }

    fn weights(&self, config: &Config) -> Result<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(42);
        let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
        for (name, shape) in config.tensors() {
            // Of unit variance behind each map (LeCun et al. 1998); against 0.02 throughout it gained 0.05 of the loss
            // after 200 steps.
            let mut value = || match shape[..] {
                [_] if name.ends_with("bias") => 0.0,
                [_] => 1.0,
                _ if name.contains("embed") => EMBEDDING * normal(&mut random),
                _ => normal(&mut random) / (shape[1] as f64).sqrt(),
            };
            let count = shape.iter().product();
            let bytes = (0..count).flat_map(|_| bf16::from_f64(value()).to_le_bytes()).collect();
            tensors.insert(name, (shape, bytes));
        }
        let parameters = tensors.values().map(|(_, bytes)| bytes.len() / 2).sum();
        let views: Vec<(&String, TensorView)> = tensors
            .iter()
            .map(|(name, (shape, bytes))| Ok((name, TensorView::new(Dtype::BF16, shape.clone(), bytes)?)))
            .collect::<Result<_>>()?;
        serialize_to_file(views, None, &self.output.join("model.safetensors"))?;
        Ok(parameters)
    }
}

/// Box and Muller (1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
