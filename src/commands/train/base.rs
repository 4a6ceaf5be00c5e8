//! What training starts from: checked before anything expensive, loaded when all else is known to be right.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};

use crate::architecture::{ALL, Architecture};
use crate::config::{TrainMethod, TrainSettings};
use crate::error::Hint;
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
        let mut config = Config::read(directory)?;
        let tokenizer = HubTokenizer::read(directory)?;
        let (tokens, rows) = (tokenizer.len(), config.vocabulary);
        // Embeddings are padded to a round number of rows, never by a tenth.
        ensure!(
            tokens <= rows && tokens * 10 >= rows * 9,
            anyhow!("{}: tokenizer.json has {tokens} tokens, and the embedding {rows} rows", directory.display())
                .hint("the tokenizer is of another model; take both from the same one")
        );
        let chat = tokenizer.chat(directory)?;
        chat.end_token(&tokenizer).with_context(|| format!("{}", directory.display()))?;
        let method = method(settings, config.architecture)?;
        let checkpoint = Checkpoint::open(directory, &mut config)?;
        ensure!(
            settings.max_seq_tokens <= config.max_positions,
            anyhow!(
                "--max-seq-tokens {} is more than the {} positions of {}",
                settings.max_seq_tokens,
                config.max_positions,
                directory.display()
            )
            .hint("lower it")
        );
        Ok(Base { config, checkpoint, tokenizer, chat, method })
    }

    pub fn announce(&self, settings: &TrainSettings) {
        let parameters = self.config.parameters();
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
        errln!("base     {} ({:.1} M parameters): {what}", settings.base.display(), parameters as f64 / 1e6);
    }
}

/// The positions of a base that has fewer than a sequence has tokens by default. What is wrong with it is said when it is
/// opened.
pub fn few_positions(base: &Path) -> Option<usize> {
    let positions = Config::read(base).ok()?.max_positions;
    (positions < TrainSettings::DEFAULT_MAX_SEQ_TOKENS).then_some(positions)
}

/// What is trained; an adapter to start from must have the shape that the flags give.
fn method(settings: &TrainSettings, architecture: &Architecture) -> Result<Method> {
    let given = &settings.adapter;
    let shape = AdapterShape {
        rank: given.rank,
        alpha: given.alpha,
        rank_stabilised: given.rank_stabilised,
        targets: architecture.own_targets(&given.targets, ALL)?,
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
                anyhow!("{flag} is {asked}, and that of the adapter {} is {has}", init.display())
                    .hint(format!("give --{flag}={has}"))
            );
        }
    }
    Ok(match settings.method {
        TrainMethod::Qlora => Method::Qlora(shape),
        TrainMethod::Lora => Method::Lora(shape),
        TrainMethod::Full => Method::Full,
    })
}
