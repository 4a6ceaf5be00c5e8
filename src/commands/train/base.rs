//! What training starts from: checked before anything expensive, loaded when all else is known to be right.

use anyhow::{Context, Result, ensure};

use crate::config::{TrainMethod, TrainSettings};
use crate::prompt::{ChatFormat, HubTokenizer};
use crate::qlora::adapter::{self, AdapterShape};
use crate::qlora::checkpoint::Checkpoint;
use crate::qlora::config::Config;
use crate::qlora::model::Method;

/// What training starts from; weights are checked, not read.
pub struct Base {
    pub config: Config,
    pub checkpoint: Checkpoint,
    pub tokenizer: HubTokenizer,
    pub chat: ChatFormat,
    pub method: Method,
}

impl Base {
    pub fn open(settings: &TrainSettings) -> Result<Base> {
        let directory = &settings.base;
        let config = Config::read(directory)?;
        let tokenizer = HubTokenizer::read(directory)?;
        let (tokens, rows) = (tokenizer.len(), config.vocabulary);
        // Embeddings are padded to a round number of rows, never by a tenth.
        ensure!(
            tokens <= rows && tokens * 10 >= rows * 9,
            "{}: tokenizer.json has {tokens} tokens, and the embedding {rows} rows\nhint: the tokenizer is of another model; take both from the same one",
            directory.display()
        );
        let chat = tokenizer.chat(directory)?;
        chat.end_token(&tokenizer).with_context(|| format!("{}", directory.display()))?;
        let method = method(settings)?;
        let checkpoint = Checkpoint::open(directory, &config)?;
        ensure!(
            settings.max_seq_tokens <= config.max_positions,
            "--max-seq-tokens {} is more than the {} positions of {}\nhint: lower it",
            settings.max_seq_tokens,
            config.max_positions,
            directory.display()
        );
        Ok(Base { config, checkpoint, tokenizer, chat, method })
    }

    pub fn announce(&self, settings: &TrainSettings) {
        let parameters: usize = self.config.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let what = match &self.method {
            Method::Full => "all weights are trained".to_owned(),
            Method::Qlora(shape) | Method::Lora(shape) => format!(
                "{}, rank {}, alpha {}{}, dropout {}, on {}",
                if settings.method == TrainMethod::Qlora { "adapter on weights of four bits" } else { "adapter" },
                shape.rank,
                shape.alpha,
                if shape.rank_stabilised { " (rank-stabilised)" } else { "" },
                settings.adapter.dropout,
                shape.targets.join(", ")
            ),
        };
        eprintln!("base     {} ({:.1} M parameters): {what}", settings.base.display(), parameters as f64 / 1e6);
    }
}

/// What is trained. An adapter to start from must have the shape that the flags give.
fn method(settings: &TrainSettings) -> Result<Method> {
    let given = &settings.adapter;
    let shape = AdapterShape {
        rank: given.rank,
        alpha: given.alpha,
        rank_stabilised: given.rank_stabilised,
        targets: given.targets.clone(),
        seed: settings.seed,
    };
    if let Some(init) = &given.init {
        let has = adapter::shape(init)?;
        let sorted = |targets: &[String]| {
            let mut targets = targets.to_vec();
            targets.sort();
            targets.join(",")
        };
        for (flag, asked, has) in [
            ("rank", shape.rank.to_string(), has.rank.to_string()),
            ("alpha", shape.alpha.to_string(), has.alpha.to_string()),
            ("rslora", shape.rank_stabilised.to_string(), has.rank_stabilised.to_string()),
            ("targets", sorted(&shape.targets), sorted(&has.targets)),
        ] {
            ensure!(
                asked == has,
                "{flag} is {asked}, and that of the adapter {} is {has}\nhint: give --{flag}={has}",
                init.display()
            );
        }
    }
    Ok(match settings.method {
        TrainMethod::Qlora => Method::Qlora(shape),
        TrainMethod::Lora => Method::Lora(shape),
        TrainMethod::Full => Method::Full,
    })
}
