//! How much memory training takes, by part, and how many layers must be computed twice for it to fit.

use anyhow::{Result, anyhow, bail};

use super::config::Config;
use super::model::Method;
use super::nf4::{BLOCK, NESTED_BLOCK};
use crate::error::Hint;
use crate::run::size;

/// Bytes of a value while computing.
const VALUE: u64 = 4;
/// Bytes of the program and its data.
const OTHER: u64 = 100 << 20;
/// Bytes that each thread keeps to pack matrices and the weights of attention in.
const THREAD: u64 = 25 << 20;

/// The largest batch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Largest {
    #[expect(missing_docs, reason = "the name says it")]
    pub tokens: usize,
    /// Rows whose next token is learned.
    pub rows: usize,
    /// Prefixes and continuations of its documents together.
    pub parts: usize,
}

/// Memory of training on the CPU by part, and how it was made to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Each part's name and bytes.
    pub parts: Vec<(&'static str, u64)>,
    /// Layers that are computed a second time on the way back, rather than kept.
    pub recomputed: usize,
}

impl MemoryPlan {
    /// As few layers as possible are recomputed within `available` bytes.
    ///
    /// # Errors
    /// When even all of them aren't enough, with what would help.
    pub fn new(config: &Config, method: &Method, largest: Largest, available: u64) -> Result<MemoryPlan> {
        let fixed = fixed(config, method, largest);
        let layer = layer_bytes(config, largest.tokens);
        let needed: u64 = fixed.iter().map(|(_, bytes)| bytes).sum::<u64>() + layer;
        let Some(free) = available.checked_sub(needed) else {
            bail!(
                anyhow!(
                    "training needs {} of memory, and {} may be used: {}, a layer {}",
                    size(needed),
                    size(available),
                    list(&fixed),
                    size(layer)
                )
                .hint(format!(
                    "lower --batch-size or --max-seq-tokens{}",
                    if matches!(method, Method::Qlora(_)) { "" } else { ", or use --method qlora" }
                ))
            );
        };
        // `needed` has room for one already.
        let kept = ((free / layer.max(1)) as usize + 1).min(config.layers);
        let mut parts = fixed;
        parts.push(("kept layers", layer * kept as u64));
        Ok(MemoryPlan { parts, recomputed: config.layers - kept })
    }

    /// Bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl std::fmt::Display for MemoryPlan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", size(self.bytes()), list(&self.parts))
    }
}

fn list(parts: &[(&'static str, u64)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(name, bytes)| format!("{name} {}", size(*bytes))).collect();
    parts.join(", ")
}

/// The parts that don't depend on how many layers are kept, by name and bytes.
fn fixed(config: &Config, method: &Method, largest: Largest) -> Vec<(&'static str, u64)> {
    let (tokens, hidden) = (largest.tokens as u64, config.hidden as u64);
    let (mut linears, mut others, mut trained) = (0, 0, 0);
    for tensor in config.tensors() {
        let values = tensor.values() as u64;
        *if tensor.target.is_some() { &mut linears } else { &mut others } += values;
        trained += match method {
            Method::Full => values,
            Method::Qlora(adapter) | Method::Lora(adapter)
                if tensor.target.is_some_and(|target| adapter.targets.iter().any(|each| each == target)) =>
            {
                (adapter.rank * (tensor.shape[0] + tensor.shape[1])) as u64
            }
            _ => 0,
        };
    }
    let linear_bytes = match method {
        // A code of four bits; of a block's maximum eight bits, of 256 blocks 32.
        Method::Qlora(_) => linears / 2 + linears / BLOCK as u64 + linears * VALUE / (BLOCK * NESTED_BLOCK) as u64,
        _ => linears * VALUE,
    };
    // First and second moment and gradient; with adapters also the parameters, which are no part of the weights above.
    let each = if *method == Method::Full { 3 } else { 4 };
    // Where all is trained: the gradient of the output matrix, and that of the embedding before and after it is added
    // up.
    let embeddings = if *method == Method::Full { 3 * config.vocabulary as u64 * hidden * VALUE } else { 0 };
    let widest = config.hidden.max(config.intermediate).max(config.sizes().queries()) as u64;
    vec![
        ("weights", linear_bytes + others * VALUE),
        ("what is trained, with gradients and moments", trained * each * VALUE),
        ("inputs of all layers", config.layers as u64 * tokens * hidden * VALUE),
        ("passing values", 6 * tokens * widest * VALUE),
        ("loss", super::loss::bytes(largest.rows, config) + embeddings),
        ("else", OTHER + THREAD * rayon::current_num_threads() as u64),
    ]
}

/// Bytes that a layer keeps for its backward pass.
fn layer_bytes(config: &Config, tokens: usize) -> u64 {
    super::layer::kept_values(&config.sizes()) as u64 * tokens as u64 * VALUE
}
