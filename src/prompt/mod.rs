//! From a Reel and a task to the token ids a model reads: templates, chat format, fitting.

mod chat;
mod check;
mod cuts;
mod fit;
mod generation;
#[cfg(feature = "train")]
mod hub;
mod lint;
mod outline;
mod set;
mod unknowns;
mod views;

use anyhow::Result;

pub use chat::{ChatFormat, Message, SpecialTokens, without_control_tokens};
pub use check::{chat_of, chat_problems};
pub use cuts::{Cuts, PromptCuts};
pub use fit::{FitError, fit, fit_tasks};
pub use generation::Generation;
#[cfg(feature = "train")]
pub use hub::HubTokenizer;
pub use set::{PromptSet, PromptSource};

/// A final prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The whole text as the model reads it, control tokens included.
    pub text: String,
    /// The text's token ids.
    pub tokens: Vec<u32>,
    /// Tokens of the transcript left out because the prompt had to fit its budget.
    pub truncated_tokens: usize,
}

/// Turns text into a model's token ids.
pub trait Tokenizer {
    /// The token ids of a text. Control tokens that it spells become their ids; nothing is put before or behind them.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
}

/// For tests.
#[cfg(test)]
pub(crate) mod fixture {
    use anyhow::Result;

    use super::Tokenizer;

    /// A token a byte, so that budgets are easy to count.
    pub struct Bytes;

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<u32>> {
            Ok(text.bytes().map(u32::from).collect())
        }
    }
}
