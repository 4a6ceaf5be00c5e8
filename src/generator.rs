//! What every engine does: prompts in; text or label scores out. No tensor and no engine type crosses this line.

use anyhow::Result;

use crate::prompt::Prompt;
use crate::reel::Reel;

/// Answers prompts. Implemented by llama.cpp, the baselines and a scripted engine for tests.
pub trait Generator {
    /// Answers all jobs, handing each answer to `done` as it is ready, in any order. A prompt that fails is an
    /// answer too; an error is one after which nothing can go on.
    ///
    /// # Errors
    /// Of the engine, of `jobs` and of `done`. Returns without one when [`crate::run::interrupted`].
    fn run(
        &mut self,
        jobs: &mut dyn Iterator<Item = Result<Job>>,
        done: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()>;
}

/// All that is asked about one Reel; its prompts are likely to share a prefix.
#[derive(Debug, Clone)]
pub struct Job {
    /// The caller's number for it.
    pub id: usize,
    /// For engines that answer from the record rather than the prompt.
    pub reel: Reel,
    /// In the order of `tasks.toml`.
    pub asks: Vec<Ask>,
}

/// One prompt and the kind of answer it wants.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The caller's number for it.
    pub task: usize,
    /// What the model reads.
    pub prompt: Prompt,
    /// What it is to answer.
    pub want: Want,
}

/// The kind of answer a prompt wants.
#[derive(Debug, Clone)]
pub enum Want {
    /// Text of at most this many tokens.
    Text {
        /// Counted without the end token.
        max_tokens: usize,
    },
    /// The log-probability of each label.
    LabelScores(Vec<LabelTokens>),
}

/// A label as the tokens that would be generated for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTokens {
    /// The label's own tokens, at least one.
    pub tokens: Vec<u32>,
    /// The token that the chat template writes behind an answer.
    pub end: u32,
}

/// The size of the work, known once all prompts are rendered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Workload {
    /// Reels to answer.
    pub reels: usize,
    /// Cache cells of the largest Reel: its prompts' distinct tokens and the labels' tokens.
    pub max_cells: usize,
    /// Tokens of the longest prompt that wants a text, and of that text.
    pub max_text_tokens: usize,
    /// Text tasks a Reel, at most.
    pub text_tasks: usize,
    /// Labels a Reel over all tasks that are scored, at most.
    pub labels: usize,
}

/// What came of one [`Ask`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// [`Job::id`].
    pub job: usize,
    /// [`Ask::task`].
    pub task: usize,
    /// The answer, or why there is none.
    pub outcome: Result<Outcome, String>,
    /// Prompt tokens taken from a prefix that was already computed.
    pub cached_tokens: usize,
    /// Tokens generated, the end token included.
    pub generated_tokens: usize,
    /// From the start of the job's prefill.
    pub seconds: f64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// What was generated.
    Text {
        /// Without the end token.
        text: String,
        /// The model ended it; otherwise it was cut at the limit.
        ended: bool,
    },
    /// Natural-log probability of each label with its end token, not normalised, in the order asked.
    LabelScores(Vec<f64>),
}
