//! The kernels, one function each. All matrices are bf16, one row a token, unless it says otherwise.

use anyhow::Result;

use super::gpu::{Address, Argument, Gpu, Launch, Rows};
use crate::qlora::dropout::Dropout;

/// Threads of a block.
const THREADS: u32 = 256;
/// Of a block of attention.
const ATTENTION_THREADS: u32 = 128;
/// Shared memory for sums over a block.
const SUMS: u32 = 32 * 4;
/// Queries or keys of a tile.
pub const TILE: usize = 64;
/// Of the other side, at once, on the way back.
const BLOCK: usize = 32;
/// Blocks of kernels that loop over all values.
pub const LOOPING: usize = 1024;

/// The shape of attention.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Heads {
    pub heads: usize,
    pub kv_heads: usize,
    pub size: usize,
}

impl Heads {
    /// Values of a row of queries, keys and values side by side.
    pub fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.size
    }
}

/// Lists of tiles, five numbers each.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tiles {
    pub at: Address,
    pub count: usize,
}

/// Four-bit weights of a linear map.
#[derive(Debug, Clone, Copy)]
pub struct Packed {
    /// Two values a byte.
    pub values: Address,
    /// A byte each 64 values, or none.
    pub codes: Address,
    /// A float each 64 values, or each 256 codes.
    pub maxima: Address,
    /// What codes stand for, less `offset`: 256 floats.
    pub map: Address,
    #[expect(missing_docs, reason = "the field above says it")]
    pub offset: f32,
}

/// One step of AdamW.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Adam {
    pub gradient_factor: f64,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub betas: [f64; 2],
    pub epsilon: f64,
    /// Counted from 1.
    pub step: u64,
}

/// Runs kernels.
#[derive(Debug)]
pub struct Ops<'a, G>(pub &'a G);

macro_rules! launch {
    ($gpu:expr, $kernel:expr, $blocks:expr, $threads:expr, $shared:expr; $($argument:expr),* $(,)?) => {
        $gpu.launch(&Launch {
            kernel: $kernel,
            blocks: $blocks,
            threads: $threads,
            shared: $shared,
            arguments: &[$(Argument::from($argument)),*],
        })
    };
}

impl<G: Gpu> Ops<'_, G> {
    /// Rows `rows[0..count]` of `from`.
    pub fn gather(&self, from: Rows, rows: Address, count: usize, to: Rows, width: usize) -> Result<()> {
        launch!(self.0, "gather_rows", [count as u32, 1], THREADS, 0;
            from.at, from.stride as i64, rows, to.at, to.stride as i64, width as i32)
    }

    /// Row r of `to` is the sum of the rows `entries[starts[r]..starts[r + 1]]`.
    pub fn sum_rows(
        &self,
        from: Rows,
        [starts, entries]: [Address; 2],
        count: usize,
        to: Rows,
        width: usize,
    ) -> Result<()> {
        launch!(self.0, "sum_rows", [count as u32, 1], THREADS, 0;
            from.at, from.stride as i64, starts, entries, to.at, to.stride as i64, width as i32)
    }

    /// `sum` = x + change, and its norm; without a change that of x. x, change and sum have no gaps.
    #[expect(clippy::too_many_arguments, reason = "as many as the kernel has")]
    pub fn rms_norm(
        &self,
        x: Address,
        change: Option<(Address, Address)>,
        weight: Address,
        y: Rows,
        inverse: Address,
        [tokens, width]: [usize; 2],
        eps: f64,
    ) -> Result<()> {
        let (change, sum) = change.unwrap_or_default();
        launch!(self.0, "rms_norm", [tokens as u32, 1], THREADS, SUMS;
            x, change, sum, weight, y.at, y.stride as i64, inverse, width as i32, eps as f32)
    }

    /// The gradient of x, added to that in `to`, or not.
    #[expect(clippy::too_many_arguments, reason = "as many as the kernel has")]
    pub fn rms_norm_backward(
        &self,
        dy: Rows,
        x: Address,
        weight: Address,
        inverse: Address,
        to: Rows,
        added: bool,
        [tokens, width]: [usize; 2],
    ) -> Result<()> {
        let onto = if added { to.at } else { Address::default() };
        launch!(self.0, "rms_norm_backward", [tokens as u32, 1], THREADS, SUMS;
            dy.at, dy.stride as i64, x, weight, inverse, onto, to.at, to.stride as i64, width as i32)
    }

    /// Adds the bias to queries, keys and values, and turns queries and keys by their positions.
    pub fn turn(
        &self,
        rows: Rows,
        bias: Address,
        heads: Heads,
        [positions, angles]: [Address; 2],
        tokens: usize,
    ) -> Result<()> {
        self.turned(rows, bias, heads, [positions, angles], tokens, 1.0)
    }

    /// Turns their gradients back.
    pub fn turn_back(&self, rows: Rows, heads: Heads, [positions, angles]: [Address; 2], tokens: usize) -> Result<()> {
        self.turned(rows, Address::default(), heads, [positions, angles], tokens, -1.0)
    }

    fn turned(
        &self,
        rows: Rows,
        bias: Address,
        heads: Heads,
        [positions, angles]: [Address; 2],
        tokens: usize,
        sign: f32,
    ) -> Result<()> {
        let (all, turned) = (heads.heads + 2 * heads.kv_heads, heads.heads + heads.kv_heads);
        launch!(self.0, "turn", [tokens as u32, 1], THREADS, 0;
            rows.at, rows.stride as i64, bias, all as i32, turned as i32, (heads.size / 2) as i32, positions, angles, sign)
    }

    /// silu(gate) · up of rows that hold both side by side.
    pub fn swiglu(&self, gate_up: Rows, y: Rows, [tokens, width]: [usize; 2]) -> Result<()> {
        launch!(self.0, "swiglu", [tokens as u32, parts(width)], THREADS, 0;
            gate_up.at, gate_up.stride as i64, y.at, y.stride as i64, width as i32)
    }

    /// Gate and up become their gradients.
    pub fn swiglu_backward(&self, dy: Rows, gate_up: Rows, [tokens, width]: [usize; 2]) -> Result<()> {
        launch!(self.0, "swiglu_backward", [tokens as u32, parts(width)], THREADS, 0;
            dy.at, dy.stride as i64, gate_up.at, gate_up.stride as i64, width as i32)
    }

    /// Leaves out what a hash of seed and place says, and scales up the rest; added to what is in `to`, or not.
    pub fn drop_out(
        &self,
        x: Rows,
        to: Rows,
        added: bool,
        (dropout, place): (Dropout, &str),
        [tokens, width]: [usize; 2],
    ) -> Result<()> {
        let (bound, kept) = dropout.bound();
        let onto = if added { to.at } else { Address::default() };
        launch!(self.0, "drop_out", [tokens as u32, 1], THREADS, 0;
            x.at, x.stride as i64, onto, to.at, to.stride as i64, width as i32,
            dropout.seed_of(place), bound as u32, kept as f32)
    }

    /// Quantises values in bf16 or floats to four bits, and gives the largest absolute value of each 64, which is NaN
    /// where a value isn't finite.
    pub fn quantise(&self, (from, floats): (Address, bool), count: usize, to: Address, maxima: Address) -> Result<()> {
        let blocks = (count / 8).div_ceil(THREADS as usize);
        launch!(self.0, "quantise", [blocks as u32, 1], THREADS, 0; from, i32::from(floats), count as i64, to, maxima)
    }

    /// Makes four-bit weights `[out, in]` dense.
    pub fn dequantise(&self, packed: &Packed, [out, into]: [usize; 2], to: Rows) -> Result<()> {
        let blocks = (out * into / 8).div_ceil(THREADS as usize);
        launch!(self.0, "dequantise", [blocks as u32, 1], THREADS, 16 * 4;
            packed.values, packed.codes, packed.maxima, packed.map, packed.offset, (out * into) as i64, into as i32, to.at,
            to.stride as i64)
    }

    /// Rounds floats `[rows, columns]`, times `scale`, to columns `left` and on of `[all_rows, width]`; all else is 0 there.
    pub fn place(
        &self,
        from: Address,
        [rows, columns]: [usize; 2],
        scale: f64,
        (to, left): (Rows, usize),
        [all_rows, width]: [usize; 2],
    ) -> Result<()> {
        launch!(self.0, "place", [all_rows as u32, 1], THREADS, 0;
            from, rows as i32, columns as i32, scale as f32, to.at, to.stride as i64, left as i32, width as i32)
    }

    /// −weight · log p(target) of rows of logits in floats, and their gradients in bf16.
    pub fn cross_entropy(
        &self,
        logits: Address,
        [targets, weights]: [Address; 2],
        (gradients, losses): (Address, Address),
        [rows, vocabulary]: [usize; 2],
    ) -> Result<()> {
        launch!(self.0, "cross_entropy", [rows as u32, 1], 1024, SUMS;
            logits, vocabulary as i32, targets, weights, gradients, losses)
    }

    /// Changes `count` parameters, and clears their gradients.
    pub fn adamw(&self, [values, gradients, first, second]: [Address; 4], count: usize, adam: &Adam) -> Result<()> {
        let [one, two] = adam.betas.map(|beta| 1.0 - beta.powi(adam.step as i32));
        launch!(self.0, "adamw", [LOOPING as u32, 1], THREADS, 0;
            values, gradients, first, second, count as i64, adam.gradient_factor as f32, (adam.learning_rate / one) as f32,
            two.sqrt() as f32, (1.0 - adam.learning_rate * adam.weight_decay) as f32, adam.betas[0] as f32,
            adam.betas[1] as f32, adam.epsilon as f32)
    }

    /// Sums of squares of floats, [`LOOPING`] of them.
    pub fn squares(&self, values: Address, count: usize, sums: Address) -> Result<()> {
        launch!(self.0, "squares", [LOOPING as u32, 1], THREADS, SUMS; values, count as i64, sums)
    }

    /// Attention of queries, keys and values in rows side by side; sums are floats `[heads, tokens]`.
    pub fn attention(
        &self,
        rows: Rows,
        tiles: Tiles,
        heads: Heads,
        to: Rows,
        sums: Address,
        tokens: usize,
    ) -> Result<()> {
        launch!(self.0, &kernel("attention", heads), [tiles.count as u32, heads.heads as u32], ATTENTION_THREADS,
            shared(heads, 2 * TILE);
            rows.at, rows.stride as i64, tiles.at, heads.heads as i32, heads.kv_heads as i32, to.at, to.stride as i64, sums,
            tokens as i32, scale(heads))
    }

    /// The gradients of `rows`, from that of the output `(dy, y)`; `dots` is room for floats `[heads, tokens]`.
    pub fn attention_backward(
        &self,
        (dy, y): (Rows, Rows),
        rows: Rows,
        [queries, keys]: [Tiles; 2],
        heads: Heads,
        [sums, dots]: [Address; 2],
        (to, tokens): (Rows, usize),
    ) -> Result<()> {
        let eighths = (tokens * heads.heads * 8).div_ceil(ATTENTION_THREADS as usize);
        launch!(self.0, &kernel("attention_dots", heads), [eighths as u32, 1], ATTENTION_THREADS, 0;
            dy.at, dy.stride as i64, y.at, y.stride as i64, heads.heads as i32, tokens as i32, dots)?;
        for (name, tiles, in_parallel, extra) in [
            ("attention_queries", queries, heads.heads, 0),
            ("attention_keys", keys, heads.kv_heads, 2 * 4 * BLOCK as u32),
        ] {
            launch!(self.0, &kernel(name, heads), [tiles.count as u32, in_parallel as u32], ATTENTION_THREADS,
                shared(heads, 2 * TILE + 2 * BLOCK) + extra;
                rows.at, rows.stride as i64, dy.at, dy.stride as i64, tiles.at, heads.heads as i32,
                heads.kv_heads as i32, sums, dots, to.at, to.stride as i64, tokens as i32, scale(heads))?;
        }
        Ok(())
    }
}

fn kernel(name: &str, heads: Heads) -> String {
    format!("{name}_{}", heads.size)
}

/// Bytes of so many rows of a head.
fn shared(heads: Heads, rows: usize) -> u32 {
    (rows * heads.size * 2) as u32
}

fn scale(heads: Heads) -> f32 {
    (heads.size as f32).sqrt().recip()
}

/// Blocks that share a wide row.
fn parts(width: usize) -> u32 {
    (width / 8).div_ceil(4 * THREADS as usize) as u32
}
