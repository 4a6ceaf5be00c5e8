//! Loaded weights, and the contexts that a session works in.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};

use super::decode::Decode;
use super::plan::{CachePlan, Planner};
use super::prefill::Prefill;
use super::session::LlamaSession;
use super::trunk::KeptLeads;
use super::{CAPABILITIES, backend, failed};
use crate::config::KvType;
use crate::error::{Hint, environment};
use crate::generator::{Bounds, Capabilities, Generator, Session};

/// `llama_flash_attn_type`: disabled and enabled. Quantised caches need it; on a 32-bit cache llama.cpp rounds keys and
/// values to 16 bits for it, which costs two digits of the log-probabilities.
pub(super) const FLASH_ATTENTION: [i32; 2] = [0, 1];

/// Loaded weights, and how the caches of their sessions are planned.
pub struct Engine {
    model: Arc<LlamaModel>,
    adapter: Option<LlamaLoraAdapter>,
    planner: Planner,
    /// No other engine of the process has it.
    number: u64,
}

impl Engine {
    pub(super) fn new(model: Arc<LlamaModel>, adapter: Option<LlamaLoraAdapter>, planner: Planner) -> Engine {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Engine { model, adapter, planner, number: COUNT.fetch_add(1, Ordering::Relaxed) }
    }

    fn params(&self, cells: usize, batch: usize, sequences: usize) -> LlamaContextParams {
        let settings = &self.planner.settings;
        let kv_type = match settings.kv_type {
            KvType::F32 => KvCacheType::F32,
            KvType::F16 => KvCacheType::F16,
            KvType::Q8_0 => KvCacheType::Q8_0,
        };
        LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells as u32))
            .with_n_batch(batch as u32)
            .with_n_ubatch(batch as u32)
            .with_n_seq_max(sequences as u32)
            .with_n_threads(settings.threads as i32)
            .with_n_threads_batch(settings.threads as i32)
            .with_flash_attention_policy(FLASH_ATTENTION[usize::from(settings.kv_type != KvType::F32)])
            .with_type_k(kv_type)
            .with_type_v(kv_type)
            .with_no_perf(true)
    }
}

/// A context with the adapter, if there is one.
fn context<'run>(
    model: &'run LlamaModel,
    adapter: Option<&mut LlamaLoraAdapter>,
    params: LlamaContextParams,
    plan: &CachePlan,
) -> Result<LlamaContext<'run>> {
    let mut context = model.new_context(backend()?, params).map_err(|error| {
        let what = format!("llama.cpp can't make a context of {} Reels at once and {} cells", plan.width, plan.cells());
        failed(&what, &error).hint("lower --width or --max-prompt-tokens")
    })?;
    if let Some(adapter) = adapter {
        context.lora_adapter_set(adapter, 1.0).map_err(|error| environment(error.to_string()))?;
    }
    Ok(context)
}

impl Generator for Engine {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn session(&mut self, bounds: &Bounds) -> Result<Box<dyn Session + '_>> {
        let plan = self.planner.plan(bounds)?;
        tracing::debug!(?plan);
        let chunk = self.planner.settings.ubatch.min(bounds.step_tokens).max(1);
        let prefill = self.params(plan.prefill_cells, chunk, plan.prefill_sequences).with_kv_unified(true);
        let decode = self.params(plan.streams * plan.stream_cells, plan.streams, plan.streams).with_kv_unified(false);
        let prefill = context(&self.model, self.adapter.as_mut(), prefill, &plan)?;
        let decode = context(&self.model, self.adapter.as_mut(), decode, &plan)?;
        // Computed in other chunks, its bits may be others.
        let kept = KeptLeads::new(self.number << 32 | chunk as u64, plan.kept_bytes);
        Ok(Box::new(LlamaSession {
            prefill: Prefill::new(prefill, chunk, plan.prefill_sequences, kept),
            decode: Decode::new(&self.model, decode, plan.streams),
            plan,
            alone: self.planner.alone,
            vocabulary: self.model.n_vocab() as usize,
            queue: VecDeque::new(),
            open: HashSet::new(),
            computed_tokens: 0,
            since_texts: 0,
        }))
    }
}
