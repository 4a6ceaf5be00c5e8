//! A job while its prompt is computed: what it takes, what of its group's distributions is for it, and what came of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::sample::LogProbabilities;
use super::text::GrowingText;
use super::tree::Tree;
use super::trunk::Trunk;
use crate::generator::{Cost, Event, Job, JobId, Outcome, Reads, Reason, Want};

/// A job whose prompt is being computed.
pub(super) struct Member {
    pub id: JobId,
    /// Until its text begins.
    job: Option<Job>,
    /// Those of its prompt, with its labels.
    pub sequences: Range<i32>,
    /// Leading tokens that were computed before, or for another member.
    cached: usize,
    prompt_logprobs: Vec<f64>,
    scores: Vec<f64>,
    text: Option<Box<GrowingText>>,
    pub failure: Option<Reason>,
}

/// What a node's distribution is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub job: JobId,
    pub of: WantedOf,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum WantedOf {
    /// The log-probability of a token, added to a label's sum.
    Label { label: usize, token: u32 },
    /// The first token of a text.
    First,
    /// The log-probability of the prompt's next token.
    Prompt { token: u32 },
}

/// What came of a member.
pub(super) enum Finished {
    Event(Event),
    /// A text that goes on, and the sequence that holds its prompt.
    Text(Box<GrowingText>, i32),
}

/// The tokens of a job that was checked to have some.
fn prompt(job: &Job) -> &Arc<[u32]> {
    match &job.reads {
        Reads::Tokens { tokens, .. } => tokens,
        Reads::Messages(_) => unreachable!("a job without tokens is refused"),
    }
}

/// The part of a job's prompt that is computed for others too; none where each token's distribution is wanted.
pub(super) fn trunk_of(job: &Job) -> Trunk {
    match (&job.reads, &job.want) {
        (_, Want::Text(want)) if want.prompt_logprobs => Trunk::default(),
        (Reads::Tokens { tokens, lead, cuts }, _) => Trunk::of(tokens, *lead, cuts),
        (Reads::Messages(_), _) => Trunk::default(),
    }
}

/// Sequences that a job takes.
pub(super) fn sequences_of(job: &Job) -> usize {
    match &job.want {
        Want::Text(_) => 1,
        Want::LabelScores(labels) => labels.len(),
    }
}

/// Cells that a job takes behind a trunk of so many tokens, at most.
pub(super) fn cells_behind(job: &Job, trunk: usize) -> usize {
    prompt(job).len() - trunk + job.want.label_tokens()
}

impl Member {
    /// Puts a job's prompt and labels into the tree of its group; `wanted` has an entry a node.
    pub fn plant(
        job: Job,
        cached: Option<usize>,
        free: &mut Range<i32>,
        tree: &mut Tree,
        wanted: &mut Vec<Vec<Wanted>>,
    ) -> Result<Member> {
        let tokens = Arc::clone(prompt(&job));
        let first = free.start;
        let last = free.start + sequences_of(&job) as i32;
        anyhow::ensure!(last <= free.end, "the plan has fewer sequences than a job's labels");
        free.start = last;
        let mut want = |node: usize, of: WantedOf, nodes: usize| {
            wanted.resize_with(nodes.max(wanted.len()), Vec::new);
            wanted[node].push(Wanted { job: job.id, of });
        };
        let mut shared = 0;
        let mut scores = vec![];
        match &job.want {
            Want::Text(text) => {
                let branch = tree.add(&tokens, first);
                let count = tree.nodes.len();
                shared = branch.shared;
                want(*branch.nodes.last().context("a prompt ends with its trunk")?, WantedOf::First, count);
                if text.prompt_logprobs {
                    for (&node, &token) in branch.nodes.iter().zip(&tokens[1..]) {
                        want(node, WantedOf::Prompt { token }, count);
                    }
                }
            }
            Want::LabelScores(labels) => {
                scores = vec![0.0; labels.len()];
                for (label, end) in labels.iter().enumerate() {
                    let branch = tree.add(&[&tokens[..], &end.tokens].concat(), first + label as i32);
                    let count = tree.nodes.len();
                    if label == 0 {
                        shared = branch.shared.min(tokens.len());
                    }
                    // The prompt's last token tells of the label's first one, and so on.
                    let answer = end.tokens.iter().chain([&end.end]);
                    for (&node, &token) in branch.nodes[branch.nodes.len() - end.tokens.len() - 1..].iter().zip(answer)
                    {
                        want(node, WantedOf::Label { label, token }, count);
                    }
                }
            }
        }
        wanted.resize_with(tree.nodes.len(), Vec::new);
        Ok(Member {
            id: job.id,
            job: Some(job),
            sequences: first..last,
            cached: cached.unwrap_or(shared),
            prompt_logprobs: vec![],
            scores,
            text: None,
            failure: None,
        })
    }

    pub fn take_in(&mut self, of: WantedOf, logits: &[f32], log: &LogProbabilities, started: Instant) {
        if !log.is_finite() {
            let hint = "the file may be damaged or badly quantised";
            self.failure = Some(Reason::hinted("the model's logits are not finite", hint));
            return;
        }
        match of {
            WantedOf::Label { label, token } => self.scores[label] += log.of(token),
            WantedOf::Prompt { token } => self.prompt_logprobs.push(log.of(token)),
            WantedOf::First => {
                let prompt_logprobs = std::mem::take(&mut self.prompt_logprobs);
                let begin = |job| GrowingText::begin(job, (self.cached, started), prompt_logprobs, logits);
                self.text = self.job.take().and_then(begin).map(Box::new);
            }
        }
    }

    pub fn finish(self, started: Instant) -> Finished {
        let (job, seconds) = (self.id, started.elapsed().as_secs_f64());
        let cost = Cost { cached_tokens: self.cached, seconds, ..Cost::default() };
        match (self.failure, self.text) {
            (Some(reason), _) => Finished::Event(Event::Failed { job, reason, cost }),
            (None, Some(text)) => Finished::Text(text, self.sequences.start),
            (None, None) => Finished::Event(Event::Answer { job, outcome: Outcome::LabelScores(self.scores), cost }),
        }
    }
}
