//! All prompts of one Reel at once: their shared tokens are computed once, labels are scored on the way.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::sample::{LogProbabilities, Sampler};
use super::tree::{Node, Tree};
use crate::config::EngineSettings;
use crate::generator::{Job, Want};
use crate::run::{EnvironmentFailure, interrupted};

/// The sequence that holds the prefix all Reels share.
const PREFIX: i32 = 0;

pub(super) struct Prefill<'run> {
    context: LlamaContext<'run>,
    batch: LlamaBatch<'static>,
    settings: &'run EngineSettings,
    sequences: i32,
    /// The tokens of sequence [`PREFIX`].
    prefix: Vec<u32>,
}

/// What came of a prompt.
pub(super) struct Prefilled {
    /// Leading tokens that were computed before, or for another prompt of the Reel.
    pub cached: usize,
    pub next: Result<Next, String>,
}

pub(super) enum Next {
    /// The log-probability of each label.
    Scores(Vec<f64>),
    /// The first token of a text, and the sequence that holds its prompt until [`Prefill::drop_reel`].
    Text { sequence: i32, first: LlamaToken, sampler: Sampler },
}

/// What a node's distribution is for.
enum Wanted {
    /// The log-probability of a token, added to a label's sum.
    Score { ask: usize, label: usize, token: u32 },
    /// The first token of a text.
    First { ask: usize, sequence: i32 },
}

impl<'run> Prefill<'run> {
    pub fn new(context: LlamaContext<'run>, settings: &'run EngineSettings, sequences: usize) -> Prefill<'run> {
        let batch = LlamaBatch::new(settings.ubatch, sequences as i32);
        Prefill { context, batch, settings, sequences: sequences as i32, prefix: vec![] }
    }

    pub fn context(&self) -> &LlamaContext<'run> {
        &self.context
    }

    /// Computes what two Reels have in common, for all that follow.
    pub fn keep_prefix(&mut self, first: &Job, second: &Job) -> Result<()> {
        let prompt = |job: &Job| job.asks.first().map_or(vec![], |ask| ask.prompt.tokens.clone());
        let (first, second) = (prompt(first), prompt(second));
        let shared = shared_tokens(&first, &second);
        let mut tree = Tree::new(&[]);
        tree.add(&first[..shared], PREFIX);
        for nodes in tree.nodes.chunks(self.settings.ubatch) {
            self.compute(nodes).map_err(EnvironmentFailure)?;
        }
        self.prefix = first[..shared].to_vec();
        Ok(())
    }

    /// Prefills a Reel: one result a prompt, or none at all when interrupted.
    ///
    /// # Errors
    /// When llama.cpp's cache is not as planned; a Reel that can't be computed is a result.
    pub fn reel(&mut self, job: &Job) -> Result<Option<Vec<Prefilled>>> {
        // At least one token of every prompt is computed, for its distribution.
        let known = job.asks.iter().map(|ask| {
            let tokens = &ask.prompt.tokens;
            shared_tokens(&self.prefix, &tokens[..tokens.len().saturating_sub(1)])
        });
        let known = known.min().unwrap_or(0);
        let mut tree = Tree::new(&self.prefix[..known]);
        let mut wanted: HashMap<usize, Vec<Wanted>> = HashMap::new();
        let mut sequences = PREFIX + 1..self.sequences;
        let mut sequence = || sequences.next().context("the plan has fewer sequences than a Reel's prompts and labels");
        let mut prompts = Vec::with_capacity(job.asks.len());
        for (index, ask) in job.asks.iter().enumerate() {
            let prompt = &ask.prompt.tokens;
            let last = prompt.len() - 1 - known;
            prompts.push(match &ask.want {
                Want::Text { .. } => {
                    let sequence = sequence()?;
                    let path = tree.add(prompt, sequence);
                    wanted.entry(path.nodes[last]).or_default().push(Wanted::First { ask: index, sequence });
                    Prefilled { cached: path.shared, next: Err("nothing was computed".to_owned()) }
                }
                Want::LabelScores(labels) => {
                    let mut cached = 0;
                    for (label, tokens) in labels.iter().enumerate() {
                        let path = tree.add(&[&prompt[..], &tokens.tokens].concat(), sequence()?);
                        if label == 0 {
                            cached = path.shared.min(prompt.len());
                        }
                        let answer = tokens.tokens.iter().chain([&tokens.end]);
                        for (&node, &token) in path.nodes[last..].iter().zip(answer) {
                            wanted.entry(node).or_default().push(Wanted::Score { ask: index, label, token });
                        }
                    }
                    Prefilled { cached, next: Ok(Next::Scores(vec![0.0; labels.len()])) }
                }
            });
        }
        for &node in wanted.keys() {
            tree.nodes[node].logits = true;
        }
        for sequence in PREFIX + 1..sequences.start {
            self.context.kv_cache_seq_cp(PREFIX, sequence, Some(0), Some(known as u32))?;
        }
        tracing::debug!(reel = job.reel.id, known, computed = tree.nodes.len(), logits = wanted.len(), "prefill");

        for (chunk, nodes) in tree.nodes.chunks(self.settings.ubatch).enumerate() {
            if let Err(error) = self.compute(nodes) {
                for prompt in &mut prompts {
                    prompt.next = Err(error.clone());
                }
                return Ok(Some(prompts));
            }
            if interrupted() {
                return Ok(None);
            }
            for (index, _) in nodes.iter().enumerate().filter(|(_, node)| node.logits) {
                let logits = self.context.get_logits_ith(index as i32);
                let log = LogProbabilities::new(logits);
                for wanted in &wanted[&(chunk * self.settings.ubatch + index)] {
                    self.take_in(wanted, logits, &log, job, &mut prompts);
                }
            }
        }
        Ok(Some(prompts))
    }

    fn take_in(&self, wanted: &Wanted, logits: &[f32], log: &LogProbabilities, job: &Job, prompts: &mut [Prefilled]) {
        let (Wanted::Score { ask, .. } | Wanted::First { ask, .. }) = *wanted;
        let next = &mut prompts[ask].next;
        match *wanted {
            _ if !log.is_finite() => {
                *next =
                    Err("the model's logits are not finite\nhint: the file may be damaged or badly quantised"
                        .to_owned());
            }
            Wanted::Score { label, token, .. } => {
                if let Ok(Next::Scores(scores)) = next {
                    scores[label] += log.of(token);
                }
            }
            Wanted::First { sequence, .. } => {
                let answer = format!("{}\n{}", job.reel.id, job.asks[ask].task);
                let mut sampler = Sampler::new(&self.settings.sampling, &answer);
                let first = LlamaToken(sampler.choose(logits) as i32);
                *next = Ok(Next::Text { sequence, first, sampler });
            }
        }
    }

    /// Empties the cache but for the prefix.
    pub fn drop_reel(&mut self) -> Result<()> {
        for sequence in PREFIX + 1..self.sequences {
            self.context.kv_cache_seq_rm(sequence, None, None)?;
        }
        Ok(())
    }

    /// Empties the cache; no prefix may have been kept.
    pub fn clear(&mut self) {
        debug_assert!(self.prefix.is_empty());
        self.context.clear_kv_cache();
    }

    /// The batch has room for a micro-batch of tokens in all sequences, which keeps `LlamaBatch::add` in its memory.
    fn compute(&mut self, nodes: &[Node]) -> Result<(), String> {
        self.batch.clear();
        for node in nodes {
            self.batch
                .add(LlamaToken(node.token as i32), node.position as i32, &node.sequences, node.logits)
                .map_err(|error| error.to_string())?;
        }
        self.context.decode(&mut self.batch).map_err(|error| format!("llama.cpp: {error}"))
    }
}

fn shared_tokens(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
