//! What training does to a model: batches of token ids in, a loss out. No tensor crosses this line.

use std::path::Path;

use anyhow::Result;

/// Tokens that see each other: a prefix, and continuations that each see the prefix and themselves.
///
/// The examples of one Reel share everything before the instruction, so that part is computed once for all of them; as
/// attention is causal, loss and gradients are those of the examples alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Tokens of the prefix.
    pub prefix: usize,
    /// Tokens of each continuation; none where the document is a plain text.
    pub branches: Vec<usize>,
}

impl Document {
    /// A text that shares nothing.
    pub fn plain(tokens: usize) -> Document {
        Document { prefix: tokens, branches: vec![] }
    }

    /// Tokens in all.
    pub fn tokens(&self) -> usize {
        self.prefix + self.branches.iter().sum::<usize>()
    }

    /// Of each token; a continuation goes on where the prefix ends.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        let after = self.branches.iter().flat_map(|branch| self.prefix..self.prefix + branch);
        (0..self.prefix).chain(after)
    }
}

/// Documents one behind the other, and what is learned in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Of all documents: prefix, then continuations.
    pub tokens: Vec<u32>,
    #[expect(missing_docs, reason = "the type says it")]
    pub documents: Vec<Document>,
    /// Rows whose next token is learned; one that several continuations follow stands there for each.
    pub rows: Vec<u32>,
    /// The token to learn at each of these.
    pub targets: Vec<u32>,
    /// How much each counts.
    pub weights: Vec<f32>,
}

impl Batch {
    /// Adds the documents of another batch.
    pub fn extend(&mut self, other: &Batch) {
        let start = self.tokens.len() as u32;
        self.rows.extend(other.rows.iter().map(|row| row + start));
        self.tokens.extend(&other.tokens);
        self.documents.extend_from_slice(&other.documents);
        self.targets.extend(&other.targets);
        self.weights.extend(&other.weights);
    }

    /// What its loss is divided by.
    pub fn weight(&self) -> f64 {
        self.weights.iter().map(|weight| f64::from(*weight)).sum()
    }
}

/// One step of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// The weights of all batches since the last step.
    pub divisor: f64,
    /// Gradients are scaled down to this norm together.
    pub max_grad_norm: Option<f64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub learning_rate: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub weight_decay: f64,
}

/// Something that learns. Implemented by `qlora`, and by a scripted one for tests.
pub trait Learner {
    /// Adds a batch's gradients to those there are; Σ weight · −log p(target). `seed` decides what dropout leaves out.
    ///
    /// # Errors
    /// Of the engine.
    fn accumulate(&mut self, batch: &Batch, seed: u64) -> Result<f64>;

    /// Changes the parameters by the accumulated gradients, and forgets these; their norm before it was limited. Where
    /// that isn't finite, nothing is changed.
    ///
    /// # Errors
    /// Of the engine.
    fn step(&mut self, update: &Update) -> Result<f64>;

    /// The loss of a batch, as [`Learner::accumulate`], without learning from it and without dropout.
    ///
    /// # Errors
    /// Of the engine.
    fn evaluate(&mut self, batch: &Batch) -> Result<f64>;

    /// Writes what was trained, and in `optimizer.safetensors` what else [`Learner::restore`] needs.
    ///
    /// # Errors
    /// Names the file.
    fn save(&mut self, directory: &Path) -> Result<()>;

    /// Takes up what [`Learner::save`] wrote, to the last bit.
    ///
    /// # Errors
    /// Names the file.
    fn restore(&mut self, directory: &Path) -> Result<()>;

    /// The most memory in use so far, in bytes.
    fn peak_bytes(&self) -> u64;
}
