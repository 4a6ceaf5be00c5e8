//! What is computed row by row: embeddings, norms, positions, activations: `kernels/rows.cu`.

use anyhow::Result;

use super::attention::Heads;
use super::{Ops, SUMS};
use crate::qlora::cuda::gpu::{Address, Gpu, Launch, Rows, THREADS};
use crate::qlora::dropout::Dropout;

/// A norm of rows, `y = x · inverse · weight`.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// `[width]`
    pub weight: Address,
    /// 1 / √(mean(x²) + ε) of each row, written forward and read on the way back: floats `[tokens]`.
    pub inverse: Address,
    /// `[tokens, width]` of x, which has no gaps.
    pub shape: [usize; 2],
}

/// The angles by which queries and keys are turned.
#[derive(Debug, Clone, Copy)]
pub struct Turning {
    /// How queries, keys and values stand in a row.
    pub heads: Heads,
    /// The position of each token, in 32 bits.
    pub positions: Address,
    /// Cosine and sine of each position and pair of values: floats `[positions, size / 2, 2]`.
    pub angles: Address,
    /// Rows to turn.
    pub tokens: usize,
}

impl<G: Gpu> Ops<'_, G> {
    /// Copies the rows `rows[0..count]` of `from` to `to`.
    pub fn gather(&self, from: Rows, rows: Address, count: usize, to: Rows, width: usize) -> Result<()> {
        self.0.launch(&Launch::new("gather_rows", [count, 1], &[&from, &rows, &to, &width]))
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
        self.0.launch(&Launch::new("sum_rows", [count, 1], &[&from, &starts, &entries, &to, &width]))
    }

    /// Writes the norm of x to `y`, or that of x + change: `change` says where the change is and where the sum goes,
    /// both without gaps.
    pub fn rms_norm(
        &self,
        norm: &Norm,
        x: Address,
        change: Option<(Address, Address)>,
        y: Rows,
        eps: f64,
    ) -> Result<()> {
        let Norm { weight, inverse, shape: [tokens, width] } = norm;
        let (change, sum) = change.unwrap_or_default();
        let launch =
            Launch::new("rms_norm", [*tokens, 1], &[&x, &change, &sum, weight, &y, inverse, width, &(eps as f32)]);
        self.0.launch(&Launch { shared: SUMS, ..launch })
    }

    /// Writes the gradient of x to `to`, added to what is there where `added`.
    pub fn rms_norm_backward(&self, norm: &Norm, dy: Rows, x: Address, to: Rows, added: bool) -> Result<()> {
        let Norm { weight, inverse, shape: [tokens, width] } = norm;
        let onto = if added { to.at } else { Address::default() };
        let launch = Launch::new("rms_norm_backward", [*tokens, 1], &[&dy, &x, weight, inverse, &onto, &to, width]);
        self.0.launch(&Launch { shared: SUMS, ..launch })
    }

    /// Adds the bias to queries, keys and values, and turns queries and keys by their positions.
    pub fn turn(&self, rows: Rows, bias: Address, by: &Turning) -> Result<()> {
        self.turned(rows, bias, by, 1.0)
    }

    /// Turns the gradients of queries and keys back.
    pub fn turn_back(&self, rows: Rows, by: &Turning) -> Result<()> {
        self.turned(rows, Address::default(), by, -1.0)
    }

    fn turned(&self, rows: Rows, bias: Address, by: &Turning, sign: f32) -> Result<()> {
        let Turning { heads, positions, angles, tokens } = by;
        let (all, turned) = (heads.heads + 2 * heads.kv_heads, heads.heads + heads.kv_heads);
        self.0.launch(&Launch::new(
            "turn",
            [*tokens, 1],
            &[&rows, &bias, &all, &turned, &(heads.size / 2), positions, angles, &sign],
        ))
    }

    /// Writes silu(gate) · up of rows that hold both side by side.
    pub fn swiglu(&self, gate_up: Rows, y: Rows, [tokens, width]: [usize; 2]) -> Result<()> {
        self.0.launch(&Launch::new("swiglu", [tokens, parts(width)], &[&gate_up, &y, &width]))
    }

    /// Replaces gate and up by their gradients.
    pub fn swiglu_backward(&self, dy: Rows, gate_up: Rows, [tokens, width]: [usize; 2]) -> Result<()> {
        self.0.launch(&Launch::new("swiglu_backward", [tokens, parts(width)], &[&dy, &gate_up, &width]))
    }

    /// Writes x to `to`, without what a hash of seed and place leaves out and with the rest scaled up; added to what is
    /// there where `added`.
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
        self.0.launch(&Launch::new(
            "drop_out",
            [tokens, 1],
            &[&x, &onto, &to, &width, &dropout.seed_of(place), &(bound as u32), &(kept as f32)],
        ))
    }
}

/// Blocks that share a wide row.
fn parts(width: usize) -> usize {
    (width / 8).div_ceil(4 * THREADS as usize)
}
