//! How a GPU's memory is used: what doesn't fit is an error before anything is loaded; what is free buys speed.

use anyhow::{Result, anyhow, bail};

use super::gpu::{FLOAT, HALF};
use super::room::{Needs, Room};
use super::weights::{Groups, Parameter};
use crate::error::Hint;
use crate::qlora::config::Config;
use crate::qlora::memory::Largest;
use crate::qlora::model::{AdapterShape, Method};
use crate::qlora::nf4::{BLOCK, NESTED_BLOCK};
use crate::run::size;

/// Bytes that the driver, cuBLAS and its workspaces take.
const OTHER: u64 = 800 << 20;

/// Memory by part, and how it was made to fit.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuMemoryPlan {
    /// Each part's name and bytes.
    pub parts: Vec<(&'static str, u64)>,
    /// Layers whose values are kept for the way back; the others are computed twice.
    pub kept: usize,
    /// Whether dense weights are kept rather than made for each use.
    pub panels: bool,
    #[expect(missing_docs, reason = "the type says it")]
    pub largest: Largest,
    /// Share of their input that adapters don't see in training.
    pub dropout: f64,
}

/// What is to be trained on a GPU.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TrainingSetup<'a> {
    pub config: &'a Config,
    pub method: &'a Method,
    pub largest: Largest,
    pub dropout: f64,
}

impl TrainingSetup<'_> {
    /// The adapters, and whether weights are in four bits.
    ///
    /// # Errors
    /// When all weights are to be trained, or the model's shape is none that kernels are made for.
    pub fn adapters(&self) -> Result<(&AdapterShape, bool)> {
        let size = self.config.head_size;
        if ![64, 128].contains(&size) {
            bail!(anyhow!("heads have {size} values, and the GPU kernels are for 64 and 128").hint("use --device cpu"))
        }
        if !self.config.hidden.is_multiple_of(8) || !self.config.intermediate.is_multiple_of(8) {
            bail!(anyhow!("hidden_size and intermediate_size must be multiples of 8 on a GPU").hint("use --device cpu"))
        }
        if self.config.architecture.linears[3..].iter().any(|linear| linear.bias) {
            bail!(anyhow!("the GPU kernels add biases to queries, keys and values only").hint("use --device cpu"))
        }
        match self.method {
            Method::Qlora(shape) => Ok((shape, true)),
            Method::Lora(shape) => Ok((shape, false)),
            Method::Full => {
                bail!(
                    anyhow!("--method full trains on the CPU only").hint("use --method qlora or lora, or --device cpu")
                )
            }
        }
    }

    /// What the room for passing values depends on.
    pub fn needs(&self, shape: &AdapterShape, kept: usize, panels: bool) -> Needs<'_> {
        let groups = Groups::new(self.config, shape, 0, &mut Vec::new());
        let largest_panel = groups.all().map(|group| group.panel_values(shape.rank)).into_iter().max().unwrap_or(0);
        let parts = groups.all().map(|group| group.parts.iter().map(|part| part.out * group.into).max());
        Needs {
            config: self.config,
            largest: self.largest,
            rank: shape.rank,
            dropout: self.dropout > 0.0,
            kept,
            panel: if panels { 0 } else { largest_panel },
            matrix: parts.into_iter().flatten().max().unwrap_or(0),
        }
    }
}

impl GpuMemoryPlan {
    /// Within `available` bytes as few layers as possible are computed twice; where none is, dense weights are kept if
    /// they fit too.
    ///
    /// # Errors
    /// When it doesn't fit, with what would help; and as [`TrainingSetup::adapters`].
    pub fn new(setup: &TrainingSetup, available: u64) -> Result<GpuMemoryPlan> {
        let (shape, four_bits) = setup.adapters()?;
        let layers = setup.config.layers;
        let make = |kept: usize, panels: bool| {
            let parts = parts(setup, shape, (four_bits, panels), kept);
            GpuMemoryPlan { parts, kept, panels, largest: setup.largest, dropout: setup.dropout }
        };
        let least = make(1, !four_bits);
        if least.bytes() > available {
            bail!(
                anyhow!(
                    "training needs {} of GPU memory, and {} may be used: {}",
                    size(least.bytes()),
                    size(available),
                    list(&least.parts)
                )
                .hint(what_fits(setup, (shape, four_bits), available))
            );
        }
        if layers > 1 {
            let layer = make(2, !four_bits).bytes() - least.bytes();
            let kept = ((available - least.bytes()) / layer.max(1)) as usize + 1;
            if kept < layers {
                return Ok(make(kept, !four_bits));
            }
        }
        let all = make(layers, true);
        Ok(if all.bytes() <= available { all } else { make(layers, !four_bits) })
    }

    /// Bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl std::fmt::Display for GpuMemoryPlan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} on the GPU: {}", size(self.bytes()), list(&self.parts))
    }
}

/// A hint: the largest batch that would fit, or what else helps.
fn what_fits(setup: &TrainingSetup, (shape, four_bits): (&AdapterShape, bool), available: u64) -> String {
    let tokens = setup.largest.tokens;
    let fits = |tokens: usize| {
        let largest = Largest { tokens, rows: setup.largest.rows.min(tokens), ..setup.largest };
        let parts = parts(&TrainingSetup { largest, ..*setup }, shape, (four_bits, !four_bits), 1);
        parts.iter().map(|(_, bytes)| bytes).sum::<u64>() <= available
    };
    let (mut most, mut too_many) = (0, tokens);
    while too_many - most > 1 {
        let middle = (most + too_many) / 2;
        *if fits(middle) { &mut most } else { &mut too_many } = middle;
    }
    match most {
        0 if !four_bits => "use --method qlora".to_owned(),
        0 => "the weights alone don't fit; use a smaller base".to_owned(),
        most => format!("{most} of the {tokens} tokens of a batch would fit; lower --batch-size or --max-seq-tokens"),
    }
}

fn list(parts: &[(&'static str, u64)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(name, bytes)| format!("{name} {}", size(*bytes))).collect();
    parts.join(", ")
}

fn parts(
    setup: &TrainingSetup,
    shape: &AdapterShape,
    (four_bits, panels): (bool, bool),
    kept: usize,
) -> Vec<(&'static str, u64)> {
    let config = setup.config;
    let mut parameters: Vec<Parameter> = Vec::new();
    let groups = Groups::new(config, shape, 0, &mut parameters);
    let layers = config.layers as u64;
    let linears: usize = groups.all().iter().map(|group| group.out() * group.into).sum();
    let linears = linears as u64 * layers;
    let all = config.parameters() as u64;
    // A code of four bits; of a block's maximum eight bits, of 256 blocks 32.
    let packed = linears / 2 + linears / BLOCK as u64 + linears * FLOAT as u64 / (BLOCK * NESTED_BLOCK) as u64;
    let panel: usize = groups.all().iter().map(|group| group.panel_values(shape.rank)).sum();
    let trained: usize = parameters.iter().map(Parameter::values).sum();
    let room = |kept: usize| Room::bytes(&setup.needs(shape, kept, panels)) as u64;
    vec![
        ("weights", (all - linears) * HALF as u64 + if four_bits && !panels { packed } else { 0 }),
        ("what is trained, with gradients and moments", 4 * (trained * FLOAT) as u64 * layers),
        ("passing values", room(0)),
        ("kept layers", room(kept) - room(0)),
        ("dense weights", if panels { (panel * HALF) as u64 * layers } else { 0 }),
        ("else", OTHER),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::QWEN2;
    use crate::error::Shown;

    /// Qwen2.5-7B, rank 16 on all linear maps.
    fn plan(sequences: usize, available: u64) -> Result<GpuMemoryPlan> {
        let config = Config {
            architecture: &QWEN2,
            vocabulary: 152_064,
            hidden: 3584,
            intermediate: 18_944,
            layers: 28,
            heads: 28,
            kv_heads: 4,
            head_size: 128,
            rope_theta: 1e6,
            rms_norm_eps: 1e-6,
            max_positions: 32_768,
            tied: false,
        };
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        let targets = targets.map(str::to_owned).to_vec();
        let method = Method::Qlora(AdapterShape { rank: 16, alpha: 32.0, rank_stabilised: false, targets, seed: 0 });
        let largest = Largest { tokens: sequences * 1024, rows: sequences * 1024, parts: sequences };
        GpuMemoryPlan::new(&TrainingSetup { config: &config, method: &method, largest, dropout: 0.0 }, available)
    }

    #[test]
    fn memory_that_is_free_buys_speed() {
        let used = |sequences, gigabytes: u64| {
            let plan = plan(sequences, gigabytes * 1_000_000_000).unwrap();
            assert!(plan.bytes() <= gigabytes * 1_000_000_000);
            (plan.kept, plan.panels)
        };
        assert!(!used(8, 12).1);
        assert!(used(8, 12).0 < used(8, 24).0);
        assert_eq!((used(8, 40), used(8, 80)), ((28, false), (28, true)));
        assert!(used(1, 9).0 > 1);
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        let error = Shown::of(&plan(8, 9_000_000_000).unwrap_err()).to_string();
        let tokens = error.split("hint: ").nth(1).and_then(|hint| hint.split(' ').next()?.parse::<usize>().ok());
        let tokens = tokens.unwrap_or_else(|| panic!("{error}"));
        assert!(error.contains("of the 8192 tokens of a batch would fit; lower --batch-size"), "{error}");
        assert!((1024..8192).contains(&tokens), "{error}");
        let error = Shown::of(&plan(8, 5_000_000_000).unwrap_err()).to_string();
        assert!(error.contains("hint: the weights alone don't fit"), "{error}");
    }
}
