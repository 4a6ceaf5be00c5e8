//! Continuous batching over several Reels: one prefill a Reel, then all unfinished texts grow by one token a step.
//!
//! Prefill and decoding have a context each. Attention goes over all used cells of a context's stream, masked or not, so
//! Reels that are being answered would slow down the prefill of the next one and each other. The prefill context holds
//! one Reel at a time, whose tasks and labels share cells; a text then moves to a stream of its own in the other.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};

use super::decode::{Decode, Text};
use super::prefill::{Next, Prefill};
use super::{Plan, backend};
use crate::config::{EngineSettings, KvType};
use crate::generator::{Answer, Generator, Job, Outcome, Want};
use crate::run::{EnvironmentFailure, interrupted};

/// `llama_flash_attn_type`: disabled and enabled. Quantised caches need it; on a 32-bit cache llama.cpp rounds keys and
/// values to 16 bits for it, which costs two digits of the log-probabilities.
pub(super) const FLASH_ATTENTION: [i32; 2] = [0, 1];

/// Loaded weights with a plan; makes its contexts when it runs.
pub struct Engine {
    model: Rc<LlamaModel>,
    adapter: Option<LlamaLoraAdapter>,
    settings: EngineSettings,
    plan: Plan,
}

impl Engine {
    pub(super) fn new(
        model: Rc<LlamaModel>,
        adapter: Option<LlamaLoraAdapter>,
        settings: &EngineSettings,
        plan: Plan,
    ) -> Engine {
        Engine { model, adapter, settings: settings.clone(), plan }
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
        let mut batcher = Batcher {
            prefill: Prefill::new(context(prefill)?, &self.settings, plan.prefill_sequences),
            decode: Decode::new(&self.model, context(decode)?, plan.streams),
            width: plan.width,
            unfinished: HashMap::new(),
            done,
        };
        if self.settings.reproducible { batcher.one_by_one(jobs) } else { batcher.batched(jobs) }
    }
}

struct Batcher<'run> {
    prefill: Prefill<'run>,
    decode: Decode<'run>,
    /// Reels at once.
    width: usize,
    /// Texts left by job.
    unfinished: HashMap<usize, usize>,
    done: &'run mut dyn FnMut(Answer) -> Result<()>,
}

impl Batcher<'_> {
    fn batched(&mut self, jobs: &mut dyn Iterator<Item = Result<Job>>) -> Result<()> {
        let mut jobs = jobs.peekable();
        // What the first two Reels share is the system prompt and whatever the template writes before the Reel.
        let first = jobs.next().transpose()?;
        if let (Some(first), Some(Ok(second))) = (&first, jobs.peek()) {
            self.prefill.keep_prefix(first, second)?;
        }
        let mut jobs = first.map(Ok).into_iter().chain(jobs);
        loop {
            if interrupted() {
                return Ok(());
            }
            if self.unfinished.len() < self.width
                && let Some(job) = jobs.next()
            {
                self.start(&job?)?;
            } else if self.unfinished.is_empty() {
                return Ok(());
            } else {
                self.step()?;
            }
        }
    }

    /// Every prompt alone in an empty cache, so that nothing else can have a say in its rounding.
    fn one_by_one(&mut self, jobs: &mut dyn Iterator<Item = Result<Job>>) -> Result<()> {
        for job in jobs {
            let job = job?;
            for ask in &job.asks {
                self.prefill.clear();
                self.decode.clear();
                self.start(&Job { id: job.id, reel: job.reel.clone(), asks: vec![ask.clone()] })?;
                while !self.unfinished.is_empty() {
                    if interrupted() {
                        return Ok(());
                    }
                    self.step()?;
                }
            }
            if interrupted() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Prefills all prompts of a Reel; its labels are done after that, its texts have their first token.
    fn start(&mut self, job: &Job) -> Result<()> {
        let started = Instant::now();
        let Some(prompts) = self.prefill.reel(job)? else { return Ok(()) };
        for (ask, prompt) in job.asks.iter().zip(prompts) {
            let outcome = match (prompt.next, &ask.want) {
                (Ok(Next::Text { sequence, first, sampler }), &Want::Text { max_tokens }) => {
                    let text = Text {
                        job: job.id,
                        task: ask.task,
                        position: ask.prompt.tokens.len(),
                        next: first,
                        max_tokens,
                        cached: prompt.cached,
                        started,
                        sampler,
                        bytes: vec![],
                        generated: 0,
                    };
                    match self.decode.add(text, self.prefill.context(), sequence)? {
                        Some(answer) => (self.done)(answer)?,
                        None => *self.unfinished.entry(job.id).or_default() += 1,
                    }
                    continue;
                }
                (Ok(Next::Text { .. }), Want::LabelScores(_)) => unreachable!("labels have scores"),
                (Ok(Next::Scores(scores)), _) => Ok(Outcome::LabelScores(scores)),
                (Err(error), _) => Err(error),
            };
            (self.done)(Answer {
                job: job.id,
                task: ask.task,
                outcome,
                cached_tokens: prompt.cached,
                generated_tokens: 0,
                seconds: started.elapsed().as_secs_f64(),
            })?;
        }
        self.prefill.drop_reel()
    }

    fn step(&mut self) -> Result<()> {
        for answer in self.decode.step()? {
            if let Some(left) = self.unfinished.get_mut(&answer.job) {
                *left -= 1;
                if *left == 0 {
                    self.unfinished.remove(&answer.job);
                }
            }
            (self.done)(answer)?;
        }
        Ok(())
    }
}
