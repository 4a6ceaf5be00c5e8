//! How many Reels at once, how large a context, and whether it all fits, before anything is loaded.

use std::path::PathBuf;

use anyhow::Result;

use super::MAX_SEQUENCES;
use crate::config::{EngineSettings, KvType};
use crate::error::{Hint, environment};
use crate::generator::Bounds;
use crate::gguf::Gguf;

/// Reels answered at once where the user names no width. A step reads all weights once, so more texts share that
/// cost: 16 made a tenth more than 8 (benches/RESULTS.md). Wider was not measured with a stream a text.
const DEFAULT_WIDTH: usize = 16;
/// Some ten system prompts of a 7B; a quarter of what is left where memory is short.
const KEPT_BYTES: u64 = 256 << 20;
/// llama.cpp rounds a context up to this.
const CONTEXT_STEP: usize = 256;

/// The caches of a session.
#[derive(Debug, Clone, Copy)]
pub struct CachePlan {
    /// Reels at once.
    pub width: usize,
    /// Cache cells of the context in which one Reel at a time is prefilled.
    pub prefill_cells: usize,
    /// Its sequences: what prompts share, and the texts and labels of one Reel.
    pub prefill_sequences: usize,
    /// Texts that grow at once, each in a stream of its own.
    pub streams: usize,
    /// Cache cells of each stream.
    pub stream_cells: usize,
    /// Bytes of computed prefixes that are kept beside the caches, at most.
    pub kept_bytes: usize,
}

impl CachePlan {
    fn of(width: usize, bounds: &Bounds, alone: bool) -> CachePlan {
        let texts = if alone { 1 } else { width * bounds.text_tasks.max(1) };
        CachePlan {
            width,
            prefill_cells: bounds.max_cells.max(1).next_multiple_of(CONTEXT_STEP),
            prefill_sequences: (1 + bounds.labels + bounds.text_tasks).clamp(2, MAX_SEQUENCES),
            streams: texts.min(bounds.step_tokens).clamp(1, MAX_SEQUENCES),
            stream_cells: bounds.max_text_tokens.max(1).next_multiple_of(CONTEXT_STEP),
            kept_bytes: 0,
        }
    }

    /// Cells of both contexts together.
    pub fn cells(&self) -> usize {
        self.prefill_cells + self.streams * self.stream_cells
    }
}

/// Plans the caches of a model's sessions, as the settings and memory allow.
#[derive(Debug, Clone)]
pub struct Planner {
    /// How the engine runs.
    pub settings: EngineSettings,
    /// For messages.
    path: PathBuf,
    /// Whether a text grows at a time: settings ask for it, or attention slides (such a cache is two, and what is computed
    /// moves only between contexts of one stream).
    pub alone: bool,
    memory: Memory,
    /// Bytes that were free before the weights were loaded; `None` where that isn't known.
    available: Option<u64>,
}

impl Planner {
    /// For a model with `adapter_bytes` of adapter, and so much memory that is free.
    pub fn new(gguf: &Gguf, adapter_bytes: u64, settings: &EngineSettings, available: Option<u64>) -> Planner {
        let memory = Memory::new(gguf, adapter_bytes, settings);
        let alone = settings.reproducible || slides(gguf);
        Planner { settings: settings.clone(), path: gguf.path.clone(), alone, memory, available }
    }

    /// Chooses the width and the sizes of the caches.
    ///
    /// # Errors
    /// Of the environment, with the numbers when memory doesn't suffice.
    pub fn plan(&self, bounds: &Bounds) -> Result<CachePlan> {
        let Planner { settings, memory, available, alone, .. } = self;
        let most = if *alone { 1 } else { MAX_SEQUENCES / bounds.text_tasks.max(1) };
        let wanted = settings.width.unwrap_or(DEFAULT_WIDTH).min(most).min(bounds.reels).max(1);
        let fits = |plan: &CachePlan| available.is_none_or(|available| memory.total(plan.cells()) <= available);
        // A width the user names is taken or refused; a default is lowered until it fits.
        let least = if settings.width.is_some() { wanted } else { 1 };
        for width in (least..=wanted).rev() {
            let plan = CachePlan::of(width, bounds, *alone);
            if fits(&plan) {
                if width < wanted {
                    tracing::warn!("memory suffices for {width} Reels at once rather than {wanted}");
                }
                let left = available.map_or(u64::MAX, |available| available - memory.total(plan.cells()));
                return Ok(CachePlan { kept_bytes: (left / 4).min(KEPT_BYTES) as usize, ..plan });
            }
        }
        let plan = CachePlan::of(least, bounds, *alone);
        let error = format!(
            "{} doesn't fit into memory: weights {} + cache {} ({} cells for {} Reels at once) + buffers {} = {}, \
             available {}",
            self.path.display(),
            mib(memory.weights),
            mib(memory.cell * plan.cells() as u64),
            plan.cells(),
            plan.width,
            mib(memory.compute),
            mib(memory.total(plan.cells())),
            mib(available.unwrap_or_default())
        );
        Err(environment(error).hint(if least > 1 {
            "lower --width, use --kv-type q8_0, or a smaller quantisation"
        } else {
            "use --kv-type q8_0, lower --max-prompt-tokens, or a smaller quantisation"
        }))
    }
}

/// Whether some layers see only a window of what is before.
pub fn slides(gguf: &Gguf) -> bool {
    // Those that are known have full attention, whatever the file says.
    gguf.known_architecture().is_none()
        && gguf.hyperparameter("attention.sliding_window").is_some_and(|window| window > 0)
}

/// In bytes.
#[derive(Debug, Clone)]
struct Memory {
    weights: u64,
    /// One token's keys and values over all layers.
    cell: u64,
    compute: u64,
}

/// What answering takes with the width that the settings name, in bytes.
pub fn memory_bytes(gguf: &Gguf, settings: &EngineSettings, bounds: &Bounds) -> Option<u64> {
    let alone = settings.reproducible || slides(gguf);
    let plan = CachePlan::of(settings.width.unwrap_or(DEFAULT_WIDTH), bounds, alone);
    Some(Memory::new(gguf, 0, settings).total(plan.cells()))
}

impl Memory {
    fn new(gguf: &Gguf, adapter_bytes: u64, settings: &EngineSettings) -> Memory {
        Memory {
            weights: gguf.file_bytes + adapter_bytes,
            cell: cell_bytes(gguf, settings.kv_type),
            compute: compute_bytes(gguf, settings),
        }
    }

    fn total(&self, cells: usize) -> u64 {
        self.weights + self.cell * cells as u64 + self.compute
    }
}

fn cell_bytes(gguf: &Gguf, kv_type: KvType) -> u64 {
    let number = |key| gguf.hyperparameter(key).unwrap_or_default();
    let kv_heads = gguf.hyperparameter("attention.head_count_kv").unwrap_or(number("attention.head_count"));
    let elements = number("block_count") * kv_heads * gguf.head_sizes().iter().sum::<u64>();
    match kv_type {
        KvType::F32 => elements * 4,
        KvType::F16 => elements * 2,
        KvType::Q8_0 => elements * 34 / 32,
    }
}

/// What llama.cpp's buffers hold: the logits of one micro-batch and the activations of one layer.
fn compute_bytes(gguf: &Gguf, settings: &EngineSettings) -> u64 {
    let number = |key| gguf.hyperparameter(key).unwrap_or_default();
    let vocabulary = gguf.tensors.get("token_embd.weight").and_then(|tensor| tensor.shape.get(1)).copied().unwrap_or(0);
    let a_token = vocabulary + 3 * number("feed_forward_length") + 8 * number("embedding_length");
    settings.ubatch as u64 * a_token * 4
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, Shown};
    use crate::gguf::{Tensor, Value};

    /// The shape of Qwen2.5-0.5B with 500 MiB of weights.
    fn gguf() -> Gguf {
        let metadata = [
            ("block_count", 24),
            ("embedding_length", 896),
            ("attention.head_count", 14),
            ("attention.head_count_kv", 2),
            ("feed_forward_length", 4864),
        ];
        let metadata = metadata.map(|(key, value)| (format!("qwen2.{key}"), Value::Int(value)));
        let architecture = ("general.architecture".to_owned(), Value::Text("qwen2".into()));
        let embedding = Tensor { shape: vec![896, 151_936], dtype: 8, part: 0, offset: 0, bytes: None };
        Gguf {
            path: "m.gguf".into(),
            parts: vec!["m.gguf".into()],
            file_bytes: 500 << 20,
            metadata: metadata.into_iter().chain([architecture]).collect(),
            tensors: [("token_embd.weight".to_owned(), embedding)].into_iter().collect(),
        }
    }

    fn settings(width: Option<usize>, kv_type: KvType) -> EngineSettings {
        EngineSettings { width, ubatch: 512, kv_type, threads: 2, reproducible: false }
    }

    const BOUNDS: Bounds = Bounds {
        reels: 100,
        max_cells: 2000,
        max_text_tokens: 750,
        text_tasks: 1,
        labels: 17,
        step_tokens: EngineSettings::UBATCH,
    };
    const MIB: u64 = 1 << 20;

    fn plan(width: Option<usize>, bounds: &Bounds, available: Option<u64>) -> Result<CachePlan> {
        Planner::new(&gguf(), 0, &settings(width, KvType::F16), available).plan(bounds)
    }

    #[test]
    fn a_token_of_the_05b_shape_takes_12_kib() {
        assert_eq!(cell_bytes(&gguf(), KvType::F16), 24 * 2 * 2 * 64 * 2);
        let mut wide = gguf();
        wide.metadata.insert("qwen2.attention.key_length".into(), Value::Int(128));
        assert_eq!(cell_bytes(&wide, KvType::F16), 24 * 2 * (128 + 64) * 2);
    }

    #[test]
    fn a_default_width_is_lowered_until_it_fits() {
        let plan = |available| plan(None, &BOUNDS, available).unwrap();
        assert_eq!((plan(None).width, plan(None).cells(), plan(None).prefill_sequences), (16, 2048 + 16 * 768, 19));
        let least = 500 * MIB + compute_bytes(&gguf(), &settings(None, KvType::F16));
        let tight = plan(Some(least + 60 * MIB));
        assert!((1..16).contains(&tight.width), "{tight:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let plan = |width| plan(width, &BOUNDS, Some(900 * MIB));
        let error = plan(Some(64)).unwrap_err();
        assert_eq!(Kind::of(&error), Kind::Environment);
        let message = Shown::of(&error).to_string();
        for part in ["weights 500 MiB", "51200 cells for 64 Reels at once", "available 900 MiB", "hint: lower --width"]
        {
            assert!(message.contains(part), "{message}");
        }
        assert!(plan(None).is_ok(), "the default adapts");
    }

    #[test]
    fn a_step_is_never_longer_than_its_bound() {
        let bounds = Bounds { text_tasks: 3, step_tokens: 20, ..BOUNDS };
        assert_eq!(plan(Some(16), &bounds, None).unwrap().streams, 20);
    }

    #[test]
    fn llama_cpp_has_so_many_sequences() {
        assert_eq!(plan(None, &Bounds { labels: 300, ..BOUNDS }, None).unwrap().prefill_sequences, MAX_SEQUENCES);
    }
}
