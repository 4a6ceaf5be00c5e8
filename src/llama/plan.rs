//! How many Reels at once, how large a context, and whether it all fits, before anything is loaded.

use std::path::Path;

use anyhow::Result;

use super::MAX_SEQUENCES;
use crate::config::{EngineSettings, KvType};
use crate::generator::Workload;
use crate::gguf::Gguf;
use crate::run::EnvironmentFailure;

/// Reels answered at once where the user names no width. Wider batches decode faster but make every token look
/// over a larger cache; 8 is near the knee on 2 to 8 cores.
const DEFAULT_WIDTH: usize = 8;
/// llama.cpp rounds a context up to this.
const CONTEXT_STEP: usize = 256;

/// What the engine is loaded with.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Reels at once.
    pub width: usize,
    /// Cache cells.
    pub n_ctx: usize,
    /// Sequences: the system prefix, text tasks of `width` Reels, the labels of one.
    pub n_seq_max: usize,
}

/// Chooses the width and context, and checks memory.
///
/// # Errors
/// With the numbers: when one Reel needs more sequences than llama.cpp has, or memory doesn't suffice.
pub fn plan(gguf: &Gguf, adapter: Option<&Path>, settings: &EngineSettings, workload: &Workload) -> Result<Plan> {
    let room = MAX_SEQUENCES.saturating_sub(1 + workload.labels);
    anyhow::ensure!(
        room >= workload.text_tasks.max(1),
        "the label tasks have {} labels in all; at most {} can be scored at once\nhint: use --label-mode generate, or fewer tasks with --task",
        workload.labels,
        MAX_SEQUENCES - 2
    );
    let most = if settings.reproducible { 1 } else { room / workload.text_tasks.max(1) }.min(workload.reels.max(1));
    let wanted = settings.width.unwrap_or(DEFAULT_WIDTH).clamp(1, most);

    let weights = gguf.file_bytes + adapter.and_then(|path| path.metadata().ok()).map_or(0, |meta| meta.len());
    let memory = Memory { weights, cell: cell_bytes(gguf, settings.kv_type), compute: compute_bytes(gguf, settings) };
    let available = available_memory();
    let plan_of = |width: usize| Plan {
        width,
        // One more Reel's cells: the next one is prefilled while `width` are being answered, and the system prefix.
        n_ctx: (width * workload.max_cells + workload.max_cells).next_multiple_of(CONTEXT_STEP),
        n_seq_max: 1 + width * workload.text_tasks.max(1) + workload.labels,
    };
    let fits = |plan: &Plan| available.is_none_or(|available| memory.total(plan.n_ctx) <= available);
    // A width the user names is taken or refused; a default is lowered until it fits.
    let least = if settings.width.is_some() { wanted } else { 1 };
    for width in (least..=wanted).rev() {
        let plan = plan_of(width);
        if fits(&plan) {
            if width < wanted {
                tracing::warn!("memory suffices for {width} Reels at once rather than {wanted}");
            }
            return Ok(plan);
        }
    }
    let plan = plan_of(least);
    Err(EnvironmentFailure(format!(
        "{} doesn't fit into memory: weights {} + cache {} ({} cells for {} Reels at once) + buffers {} = {}, available {}\nhint: {}",
        gguf.path.display(),
        mib(memory.weights),
        mib(memory.cell * plan.n_ctx as u64),
        plan.n_ctx,
        plan.width,
        mib(memory.compute),
        mib(memory.total(plan.n_ctx)),
        mib(available.unwrap_or_default()),
        if least > 1 { "lower --width, use --kv-type q8_0, or a smaller quantisation" } else { "use --kv-type q8_0, lower --max-prompt-tokens, or a smaller quantisation" },
    ))
    .into())
}

/// In bytes.
struct Memory {
    weights: u64,
    /// One token's keys and values over all layers.
    cell: u64,
    compute: u64,
}

impl Memory {
    fn total(&self, cells: usize) -> u64 {
        self.weights + self.cell * cells as u64 + self.compute
    }
}

fn cell_bytes(gguf: &Gguf, kv_type: KvType) -> u64 {
    let number = |key| gguf.hyperparameter(key).unwrap_or_default();
    let heads = number("attention.head_count").max(1);
    let head_size = number("embedding_length") / heads;
    let kv_heads = gguf.hyperparameter("attention.head_count_kv").unwrap_or(heads);
    let elements = number("block_count") * 2 * kv_heads * head_size;
    match kv_type {
        KvType::F32 => elements * 4,
        KvType::F16 => elements * 2,
        KvType::Q8_0 => elements * 34 / 32,
    }
}

/// The larger of llama.cpp's buffers: the logits of one micro-batch, and the activations of one layer.
fn compute_bytes(gguf: &Gguf, settings: &EngineSettings) -> u64 {
    let number = |key| gguf.hyperparameter(key).unwrap_or_default();
    let vocabulary = gguf.tensors.get("token_embd.weight").and_then(|tensor| tensor.shape.get(1)).copied().unwrap_or(0);
    let a_token = vocabulary + 3 * number("feed_forward_length") + 8 * number("embedding_length");
    settings.ubatch as u64 * a_token * 4
}

/// The least of what the machine has free and what this process's control group may still take, in bytes;
/// `None` where neither can be read.
fn available_memory() -> Option<u64> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
    let free = meminfo.as_deref().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    });
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(max, current)| max.saturating_sub(current));
    match (free, group) {
        (Some(free), Some(group)) => Some(free.min(group)),
        (free, group) => free.or(group),
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
