//! What every engine does: jobs in; text or label scores out, as they come. No tensor and no engine type crosses this line.

use std::fmt::{Display, Formatter};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use crate::config::{EngineSettings, Sampling};
use crate::error::Hint;
use crate::prompt::Message;
use crate::task::{Task, TaskKind};

/// Answers prompts. Implemented by llama.cpp, the baselines and a scripted engine for tests; one thread owns one.
pub trait Generator: Send {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes room for work of a size; jobs then arrive and leave one by one.
    ///
    /// # Errors
    /// Of the environment, when there isn't so much room.
    fn session(&mut self, bounds: &Bounds) -> Result<Box<dyn Session + '_>>;
}

/// Work in progress. Jobs may be admitted and cancelled between any two steps.
pub trait Session: Send {
    /// Takes a job on. It is answered by later steps: when its turn comes, or beside an earlier job with the same start.
    ///
    /// # Errors
    /// When the job can't be done here. It alone is refused.
    fn admit(&mut self, job: Job) -> Result<(), Refused>;

    /// Does a piece of work of at most [`Bounds::step_tokens`] tokens, and says what came of it.
    ///
    /// # Errors
    /// After which nothing can go on; what fails for one job is an event.
    fn step(&mut self) -> Result<Vec<Event>>;

    /// Forgets a job and frees what it held; without effect on one that is done or was never admitted. No event follows.
    ///
    /// # Errors
    /// After which nothing can go on.
    fn cancel(&mut self, job: JobId) -> Result<()>;

    /// Nothing is left to do.
    fn is_idle(&self) -> bool;

    /// Starts nothing more, and says whether anything is under way that can't be taken back: it comes by later steps, after
    /// which the session is idle. Where nothing is, the session is at an end.
    fn wind_down(&mut self) -> bool {
        false
    }

    /// Why it starts nothing more, though jobs wait; it says so once nothing is under way.
    fn stopped(&self) -> Option<&str> {
        None
    }

    /// Few jobs wait: a driver with more work admits some, and otherwise keeps them to itself.
    fn has_room(&self) -> bool;

    /// What is held and was done.
    fn usage(&self) -> Usage;

    /// Prefixes computed here that jobs of another session of the same model can start from.
    fn kept_prefixes(&mut self) -> Vec<SavedPrefix>;
}

/// What an engine can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Reads token ids; one that doesn't reads messages.
    pub tokens: bool,
    /// Gives the log-probability of each label; one that doesn't generates text.
    pub label_scores: bool,
    /// Labels of one job, at most.
    pub most_labels: usize,
    /// The same seed gives the same text.
    pub seed: bool,
    /// Gives log-probabilities of tokens.
    pub logprobs: bool,
}

/// The driver's number for a job, not in use by another one of the session.
pub type JobId = u64;

/// One prompt and the kind of answer it wants.
#[derive(Debug)]
pub struct Job {
    /// Comes back with every event.
    pub id: JobId,
    /// What is read.
    pub reads: Reads,
    /// What is to be answered.
    pub want: Want,
    /// How text is generated.
    pub sampling: Sampling,
    /// Names the answer, so that its draws don't depend on what else is generated.
    pub randomness: String,
    /// The first part of the prompt, computed before by another session of the same engine; one of another is left alone.
    pub prefix: Option<SavedPrefix>,
}

/// What a job's prompt is, for the engine at hand.
#[derive(Debug, Clone, PartialEq)]
pub enum Reads {
    /// Token ids, for engines with [`Capabilities::tokens`].
    Tokens {
        /// The whole prompt.
        tokens: Arc<[u32]>,
        /// Tokens that prompts to come are likely to begin with too, such as the system prompt: 0, or the first of `cuts`.
        lead: usize,
        /// Ascending positions within the prompt at which a part ends that other prompts have too: behind the lead,
        /// behind the Reel. Computing stops there, cached or not, so that a cached part changes no bits.
        cuts: Vec<usize>,
    },
    /// A conversation, for the others.
    Messages(Vec<Message>),
}

/// The kind of answer a job wants.
#[derive(Debug)]
pub enum Want {
    /// Text.
    Text(TextWant),
    /// The log-probability of each label.
    LabelScores(Vec<LabelTokens>),
}

impl Want {
    /// Tokens of the labels, the end tokens not counted.
    pub fn label_tokens(&self) -> usize {
        match self {
            Want::Text(_) => 0,
            Want::LabelScores(labels) => labels.iter().map(|label| label.tokens.len()).sum(),
        }
    }
}

/// What a text may be.
#[derive(Debug, Default)]
pub struct TextWant {
    /// Tokens at most, the end token not counted.
    pub max_tokens: usize,
    /// The text ends before the first of these.
    pub stop: Vec<String>,
    /// The text is to be one of these: an engine that can tell how likely each is may answer with that instead.
    pub labels: Vec<String>,
    /// A text that reaches its limit is an answer too, where an engine would refuse it.
    pub may_be_cut: bool,
    /// Which tokens may come.
    pub constraint: Option<Box<dyn Constraint>>,
    /// Log-probabilities of the answer's tokens.
    pub answer_logprobs: bool,
    /// Log-probabilities of the prompt's tokens; none of them is then taken from a cache.
    pub prompt_logprobs: bool,
}

impl TextWant {
    /// Any text.
    pub fn of(max_tokens: usize) -> TextWant {
        TextWant { max_tokens, ..TextWant::default() }
    }
}

/// Says which tokens may come next, as an answer grows.
pub trait Constraint: Send + std::fmt::Debug {
    /// Sets the logits of tokens that may not come next to negative infinity; `logits` has one a vocabulary entry. At
    /// least one stays, if only the end token's.
    fn mask(&mut self, logits: &mut [f32]);

    /// Takes in the token that was chosen.
    fn accept(&mut self, token: u32);
}

/// A label as the tokens that would be generated for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTokens {
    /// The label's own tokens, at least one.
    pub tokens: Vec<u32>,
    /// The token that the chat template writes behind an answer.
    pub end: u32,
}

/// The computed start of prompts, in the form of the engine that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedPrefix {
    /// What was computed.
    pub tokens: Arc<[u32]>,
    /// The engine's form of it.
    pub state: Arc<[u8]>,
    /// Engine and way of computing; another one computes the prefix anew.
    pub origin: u64,
}

/// Why a job has no answer. Reads as it stands in predictions: with the hint on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

impl Reason {
    /// A reason with a next step.
    pub fn hinted(text: impl Into<String>, hint: &'static str) -> Reason {
        Reason { text: text.into(), hint: Some(hint) }
    }

    /// As an error about what it is about.
    pub fn into_error(self, about: impl Display) -> Error {
        let error = anyhow!("{about}: {}", self.text);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Reason { text, hint: None }
    }
}

impl Display for Reason {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.text)?;
        self.hint.map_or(Ok(()), |hint| write!(formatter, "\nhint: {hint}"))
    }
}

/// Why a job wasn't taken on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub Reason);

/// What came of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An answer has grown.
    Token {
        /// [`Job::id`].
        job: JobId,
        /// Whole characters only, none of which is taken back.
        text: String,
    },
    /// An answer is complete.
    Answer {
        /// [`Job::id`].
        job: JobId,
        /// What was answered.
        outcome: Outcome,
        /// What it took.
        cost: Cost,
    },
    /// There is no answer; the session goes on without the job.
    Failed {
        /// [`Job::id`].
        job: JobId,
        #[expect(missing_docs, reason = "the type says it")]
        reason: Reason,
        /// What was done for it.
        cost: Cost,
    },
}

/// What an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Tokens of the prompt, where whoever made it couldn't count them.
    pub prompt_tokens: Option<usize>,
    /// Prompt tokens taken from a prefix that was already computed.
    pub cached_tokens: usize,
    /// Tokens generated, the end token included.
    pub generated_tokens: usize,
    /// From the start of its prefill.
    pub seconds: f64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// What was generated.
    Text(Text),
    /// Natural-log probability of each label with its end token, not normalised, in the order asked.
    LabelScores(Vec<f64>),
}

/// How a text ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    /// The model ended it, or it reached a stop string.
    #[default]
    Complete,
    /// Cut at its limit.
    Cut,
    /// It went round in a loop.
    Loop,
}

/// A generated text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// Without the end token.
    pub text: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub ending: Ending,
    /// Natural-log probability of each generated token, before any constraint, where they were wanted.
    pub answer_logprobs: Vec<f64>,
    /// Natural-log probability of each token of the prompt but the first, where they were wanted.
    pub prompt_logprobs: Vec<f64>,
}

/// What a session holds and has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Cache cells that belong to jobs.
    pub cells: usize,
    /// Tokens computed since the session began.
    pub computed_tokens: u64,
}

/// The size of the work that a session has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Reels answered at once, at most.
    pub reels: usize,
    /// Cache cells of the largest Reel: its prompts' distinct tokens and the labels' tokens.
    pub max_cells: usize,
    /// Tokens of the longest prompt that wants a text, and of that text.
    pub max_text_tokens: usize,
    /// Text tasks a Reel, at most.
    pub text_tasks: usize,
    /// Labels a Reel over all tasks that are scored, at most.
    pub labels: usize,
    /// Tokens computed in one step, at most.
    pub step_tokens: usize,
}

impl Bounds {
    /// What any records may need, labels scored or generated: prompts of at most `budget` tokens, `width` Reels at once.
    pub fn of(tasks: &[Task], budget: usize, width: usize) -> Bounds {
        let of_kind = |kind: TaskKind| tasks.iter().filter(move |task| task.kind == kind);
        let labels = || of_kind(TaskKind::Label).flat_map(|task| &task.wordings);
        Bounds {
            reels: width,
            // A token is a byte at least. What tasks don't share of their prompts is short; where it isn't, a session
            // answers a Reel's tasks one after the other.
            max_cells: budget + budget / 2 + labels().map(String::len).sum::<usize>(),
            max_text_tokens: budget + tasks.iter().map(|task| task.max_tokens).max().unwrap_or(0),
            text_tasks: of_kind(TaskKind::Text).count(),
            labels: labels().count(),
            step_tokens: EngineSettings::UBATCH,
        }
    }
}
