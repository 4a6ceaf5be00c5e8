//! Continuous batching over several Reels: one prefill a Reel, then all unfinished texts grow by one token a step.
//!
//! Prefill and decoding have a context each. Attention goes over all used cells of a context's stream, masked or not, so
//! Reels that are being answered would slow down the prefill of the next one and each other. The prefill context holds
//! one Reel at a time, whose tasks and labels share cells; a text then moves to a stream of its own in the other.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};
use llama_cpp_2::token::LlamaToken;

use super::sample::{LogProbabilities, Sampler};
use super::transfer::transfer;
use super::tree::{Node, Tree};
use super::{Plan, backend};
use crate::config::{EngineSettings, KvType};
use crate::generator::{Answer, Ask, Generator, Job, Outcome, Want};
use crate::run::{EnvironmentFailure, interrupted};

/// `llama_flash_attn_type`: disabled and enabled. Quantised caches need it; on a 32-bit cache llama.cpp rounds keys and
/// values to 16 bits for it, which costs two digits of the log-probabilities.
const FLASH_ATTENTION: [i32; 2] = [0, 1];
/// The sequence that holds the prefix all Reels share.
const PREFIX: i32 = 0;

/// Loaded weights with a plan; makes its context when it runs.
pub struct Engine {
    model: LlamaModel,
    adapter: Option<LlamaLoraAdapter>,
    settings: EngineSettings,
    plan: Plan,
}

impl Engine {
    pub(super) fn new(
        mut model: LlamaModel,
        adapter: Option<&Path>,
        settings: &EngineSettings,
        plan: Plan,
    ) -> Result<Engine> {
        let load = |path: &Path| {
            model.lora_adapter_init(path).map_err(|error| {
                EnvironmentFailure(format!("{}: llama.cpp can't load this adapter: {error}", path.display()))
            })
        };
        let adapter = adapter.map(load).transpose()?;
        Ok(Engine { model, adapter, settings: settings.clone(), plan })
    }

    /// What it was loaded with.
    pub fn plan(&self) -> Plan {
        self.plan
    }
}

impl Generator for Engine {
    fn run(
        &mut self,
        jobs: &mut dyn Iterator<Item = Result<Job>>,
        done: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        let kv_type = match self.settings.kv_type {
            KvType::F32 => KvCacheType::F32,
            KvType::F16 => KvCacheType::F16,
            KvType::Q8_0 => KvCacheType::Q8_0,
        };
        let params = |cells: usize, batch: usize, sequences: usize| {
            LlamaContextParams::default()
                .with_n_ctx(NonZeroU32::new(cells as u32))
                .with_n_batch(batch as u32)
                .with_n_ubatch(batch as u32)
                .with_n_seq_max(sequences as u32)
                .with_n_threads(self.settings.threads as i32)
                .with_n_threads_batch(self.settings.threads as i32)
                .with_flash_attention_policy(FLASH_ATTENTION[usize::from(self.settings.kv_type != KvType::F32)])
                .with_type_k(kv_type)
                .with_type_v(kv_type)
                .with_no_perf(true)
        };
        let plan = self.plan;
        let mut context = |params: LlamaContextParams| -> Result<LlamaContext<'_>> {
            let mut context = self.model.new_context(backend()?, params).map_err(|error| {
                EnvironmentFailure(format!(
                    "llama.cpp can't make a context for {plan:?}: {error}\nhint: lower --width or --max-prompt-tokens"
                ))
            })?;
            if let Some(adapter) = &mut self.adapter {
                context.lora_adapter_set(adapter, 1.0).map_err(|error| EnvironmentFailure(error.to_string()))?;
            }
            Ok(context)
        };
        let prefill = params(plan.prefill_cells, self.settings.ubatch, plan.prefill_sequences).with_kv_unified(true);
        let decode = params(plan.streams * plan.stream_cells, plan.streams, plan.streams).with_kv_unified(false);
        let mut scheduler = Scheduler {
            prefill: context(prefill)?,
            decode: context(decode)?,
            model: &self.model,
            settings: &self.settings,
            batch: LlamaBatch::new(self.settings.ubatch.max(plan.streams), plan.prefill_sequences as i32),
            free: (PREFIX + 1..plan.prefill_sequences as i32).rev().collect(),
            free_streams: (0..plan.streams as i32).collect(),
            prefix: Vec::new(),
            texts: Vec::new(),
            unfinished: HashMap::new(),
            plan,
        };
        if self.settings.reproducible { scheduler.one_by_one(jobs, done) } else { scheduler.batched(jobs, done) }
    }
}

struct Scheduler<'model> {
    /// One Reel at a time, and the prefix all share.
    prefill: LlamaContext<'model>,
    /// A stream a text.
    decode: LlamaContext<'model>,
    model: &'model LlamaModel,
    settings: &'model EngineSettings,
    batch: LlamaBatch<'static>,
    /// Sequences of the prefill context not in use.
    free: Vec<i32>,
    /// Streams not in use; the lowest is taken first, because llama.cpp batches neighbours only.
    free_streams: BTreeSet<i32>,
    /// The tokens of sequence [`PREFIX`].
    prefix: Vec<u32>,
    /// Texts being generated.
    texts: Vec<Text>,
    /// Texts left by job.
    unfinished: HashMap<usize, usize>,
    plan: Plan,
}

/// A text being generated.
struct Text {
    job: usize,
    task: usize,
    stream: i32,
    /// Of the token that is decoded next.
    position: usize,
    next: LlamaToken,
    bytes: Vec<u8>,
    generated: usize,
    max_tokens: usize,
    cached: usize,
    started: Instant,
    sampler: Sampler,
}

/// What a node's distribution is for.
enum Wanted {
    /// The log-probability of a token, added to a label's sum.
    Score { ask: usize, label: usize, token: u32 },
    /// The first token of a text.
    First { ask: usize },
}

type Done<'a> = &'a mut dyn FnMut(Answer) -> Result<()>;

impl Scheduler<'_> {
    fn batched(&mut self, jobs: &mut dyn Iterator<Item = Result<Job>>, done: Done) -> Result<()> {
        let mut jobs = jobs.peekable();
        // What the first two Reels share is the system prompt and whatever the template writes before the Reel.
        let first = jobs.next().transpose()?;
        if let (Some(first), Some(Ok(second))) = (&first, jobs.peek()) {
            self.keep_prefix(first, second)?;
        }
        let mut jobs = first.map(Ok).into_iter().chain(jobs);
        loop {
            if interrupted() {
                return Ok(());
            }
            if self.unfinished.len() < self.plan.width
                && let Some(job) = jobs.next()
            {
                self.start(&job?, done)?;
            } else if self.texts.is_empty() {
                return Ok(());
            } else {
                self.step(done)?;
            }
        }
    }

    /// Every prompt alone in an empty cache, so that nothing else can have a say in its rounding.
    fn one_by_one(&mut self, jobs: &mut dyn Iterator<Item = Result<Job>>, done: Done) -> Result<()> {
        for job in jobs {
            let job = job?;
            for ask in &job.asks {
                self.prefill.clear_kv_cache();
                self.decode.clear_kv_cache();
                self.start(&Job { id: job.id, reel: job.reel.clone(), asks: vec![ask.clone()] }, done)?;
                while !self.texts.is_empty() {
                    if interrupted() {
                        return Ok(());
                    }
                    self.step(done)?;
                }
            }
            if interrupted() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn keep_prefix(&mut self, first: &Job, second: &Job) -> Result<()> {
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

    /// Prefills all prompts of a Reel; its labels are done after that, its texts have their first token.
    fn start(&mut self, job: &Job, done: Done) -> Result<()> {
        let started = Instant::now();
        // At least one token of every prompt is computed, for its distribution.
        let cached = job.asks.iter().map(|ask| {
            let tokens = &ask.prompt.tokens;
            shared_tokens(&self.prefix, &tokens[..tokens.len().saturating_sub(1)])
        });
        let cached = cached.min().unwrap_or(0);
        let mut tree = Tree::new(&self.prefix[..cached]);
        let mut wanted: HashMap<usize, Vec<Wanted>> = HashMap::new();
        let mut sequences = Vec::new();
        let mut shared = Vec::new();
        for (index, ask) in job.asks.iter().enumerate() {
            let last = ask.prompt.tokens.len() - 1 - cached;
            match &ask.want {
                Want::Text { .. } => {
                    let sequence = self.take_sequence()?;
                    let path = tree.add(&ask.prompt.tokens, sequence);
                    wanted.entry(path.nodes[last]).or_default().push(Wanted::First { ask: index });
                    sequences.push((index, sequence));
                    shared.push(path.shared);
                }
                Want::LabelScores(labels) => {
                    let mut first_shared = None;
                    for (label, tokens) in labels.iter().enumerate() {
                        let sequence = self.take_sequence()?;
                        let path = tree.add(&[&ask.prompt.tokens[..], &tokens.tokens].concat(), sequence);
                        first_shared.get_or_insert(path.shared.min(ask.prompt.tokens.len()));
                        let answer = tokens.tokens.iter().chain([&tokens.end]);
                        for (&node, &token) in path.nodes[last..].iter().zip(answer) {
                            wanted.entry(node).or_default().push(Wanted::Score { ask: index, label, token });
                        }
                        sequences.push((index, sequence));
                    }
                    shared.push(first_shared.unwrap_or(0));
                }
            }
        }
        for &node in wanted.keys() {
            tree.nodes[node].logits = true;
        }
        tracing::debug!(reel = job.reel.id, cached, computed = tree.nodes.len(), logits = wanted.len(), "prefill");
        for &(_, sequence) in &sequences {
            self.prefill.kv_cache_seq_cp(PREFIX, sequence, Some(0), Some(cached as u32))?;
        }

        let mut scores: Vec<Vec<f64>> = job.asks.iter().map(|ask| vec![0.0; label_count(ask)]).collect();
        let mut firsts = HashMap::new();
        let mut outcome = Ok(());
        for (chunk, nodes) in tree.nodes.chunks(self.settings.ubatch).enumerate() {
            outcome = self.compute(nodes);
            if outcome.is_err() || interrupted() {
                break;
            }
            for (index, _) in nodes.iter().enumerate().filter(|(_, node)| node.logits) {
                let logits = self.prefill.get_logits_ith(index as i32);
                let log = LogProbabilities::new(logits);
                for wanted in &wanted[&(chunk * self.settings.ubatch + index)] {
                    match *wanted {
                        Wanted::Score { ask, label, token } => scores[ask][label] += log.of(token),
                        Wanted::First { ask } => {
                            let task = job.asks[ask].task;
                            let mut sampler =
                                Sampler::new(&self.settings.sampling, &format!("{}\n{task}", job.reel.id));
                            firsts.insert(ask, (sampler.choose(logits), sampler, log.is_finite()));
                        }
                    }
                }
            }
        }
        if outcome.is_ok() && interrupted() {
            return Ok(());
        }

        let started_before = self.texts.len();
        for (index, ask) in job.asks.iter().enumerate() {
            let own: Vec<i32> =
                sequences.iter().filter(|(ask, _)| *ask == index).map(|(_, sequence)| *sequence).collect();
            let answer = |outcome| Answer {
                job: job.id,
                task: ask.task,
                outcome,
                cached_tokens: shared[index],
                generated_tokens: 0,
                seconds: started.elapsed().as_secs_f64(),
            };
            let failed = match (&outcome, &ask.want) {
                (Err(error), _) => Some(error.clone()),
                (Ok(()), Want::LabelScores(_)) if scores[index].iter().any(|score| !score.is_finite()) => {
                    Some(not_finite())
                }
                (Ok(()), Want::Text { .. }) if !firsts.get(&index).is_some_and(|(_, _, finite)| *finite) => {
                    Some(not_finite())
                }
                _ => None,
            };
            if let Some(error) = failed {
                self.release(&own)?;
                done(answer(Err(error)))?;
                continue;
            }
            match ask.want {
                Want::LabelScores(_) => {
                    self.release(&own)?;
                    done(answer(Ok(Outcome::LabelScores(std::mem::take(&mut scores[index])))))?;
                }
                Want::Text { max_tokens } => {
                    let Some((token, sampler, _)) = firsts.remove(&index) else { continue };
                    let stream = self
                        .free_streams
                        .pop_first()
                        .ok_or_else(|| anyhow!("no free stream: the plan is smaller than the work"))?;
                    let moved = transfer(&self.prefill, own[0], &mut self.decode, stream, self.plan.streams);
                    self.release(&own)?;
                    if let Err(error) = moved {
                        self.free_streams.insert(stream);
                        done(answer(Err(error)))?;
                        continue;
                    }
                    self.texts.push(Text {
                        job: job.id,
                        task: ask.task,
                        stream,
                        position: ask.prompt.tokens.len(),
                        next: LlamaToken(token as i32),
                        bytes: vec![],
                        generated: 0,
                        max_tokens,
                        cached: shared[index],
                        started,
                        sampler,
                    });
                }
            }
        }
        let texts = self.texts.len() - started_before;
        if texts > 0 {
            self.unfinished.insert(job.id, texts);
        }
        self.take_in(started_before, done)
    }

    /// Takes in the next token of the texts from an index on, and finishes those that ended or are as long as they
    /// may be.
    fn take_in(&mut self, from: usize, done: Done) -> Result<()> {
        let vocabulary = self.model.vocab();
        for index in (from..self.texts.len()).rev() {
            let text = &mut self.texts[index];
            let ended = vocabulary.is_eog(text.next);
            text.generated += 1;
            if !ended {
                text.bytes.extend(vocabulary.token_to_piece(text.next, false, None));
            }
            if ended || text.generated == text.max_tokens {
                self.finish(index, None, ended, done)?;
            }
        }
        Ok(())
    }

    /// One more token for every text.
    fn step(&mut self, done: Done) -> Result<()> {
        self.texts.sort_unstable_by_key(|text| text.stream);
        self.batch.clear();
        for text in &self.texts {
            self.batch.add(text.next, text.position as i32, &[text.stream], true)?;
        }
        if let Err(error) = self.decode.decode(&mut self.batch) {
            for index in (0..self.texts.len()).rev() {
                self.finish(index, Some(format!("llama.cpp: {error}")), false, done)?;
            }
            return Ok(());
        }
        for (index, text) in self.texts.iter_mut().enumerate() {
            text.position += 1;
            text.next = LlamaToken(text.sampler.choose(self.decode.get_logits_ith(index as i32)) as i32);
        }
        self.take_in(0, done)
    }

    fn finish(&mut self, index: usize, error: Option<String>, ended: bool, done: Done) -> Result<()> {
        let text = self.texts.swap_remove(index);
        self.decode.kv_cache_seq_rm(text.stream, None, None)?;
        self.free_streams.insert(text.stream);
        if let Some(left) = self.unfinished.get_mut(&text.job) {
            *left -= 1;
            if *left == 0 {
                self.unfinished.remove(&text.job);
            }
        }
        let generated = String::from_utf8_lossy(&text.bytes).trim().to_owned();
        done(Answer {
            job: text.job,
            task: text.task,
            outcome: error.map_or(Ok(Outcome::Text { text: generated, ended }), Err),
            cached_tokens: text.cached,
            generated_tokens: text.generated,
            seconds: text.started.elapsed().as_secs_f64(),
        })
    }

    fn compute(&mut self, nodes: &[Node]) -> Result<(), String> {
        self.batch.clear();
        for node in nodes {
            self.batch
                .add(LlamaToken(node.token as i32), node.position as i32, &node.sequences, node.logits)
                .map_err(|error| error.to_string())?;
        }
        self.prefill.decode(&mut self.batch).map_err(|error| format!("llama.cpp: {error}"))
    }

    /// The batch holds at most as many sequences a token as there are, which keeps `LlamaBatch::add` within its memory.
    fn take_sequence(&mut self) -> Result<i32> {
        self.free.pop().ok_or_else(|| anyhow!("no free sequence: the plan is smaller than the work"))
    }

    fn release(&mut self, sequences: &[i32]) -> Result<()> {
        for &sequence in sequences {
            self.prefill.kv_cache_seq_rm(sequence, None, None)?;
            self.free.push(sequence);
        }
        Ok(())
    }
}

fn label_count(ask: &Ask) -> usize {
    if let Want::LabelScores(labels) = &ask.want { labels.len() } else { 0 }
}

fn shared_tokens(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn not_finite() -> String {
    "the model's logits are not finite\nhint: the file may be damaged or badly quantised".to_owned()
}
