//! Attention, forward and back: `kernels/attention.cu`.

use anyhow::Result;

use super::Ops;
use crate::qlora::cuda::gpu::{Address, Argument, Gpu, Launch, Operand, Rows};

/// Threads of a block.
const THREADS: u32 = 128;
/// Queries or keys of a tile.
pub const TILE: usize = 64;
/// Keys for a tile of queries, or queries for a tile of keys, that are at work at once on the way back.
const BLOCK: usize = 32;

/// The shape of attention.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Heads of queries; a multiple of `kv_heads`.
    pub heads: usize,
    /// Heads of keys, and of values.
    pub kv_heads: usize,
    /// Values of a head: 64 or 128.
    pub size: usize,
}

impl Heads {
    /// Values of a row of queries, keys and values side by side.
    pub fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.size
    }

    /// What scores are multiplied by.
    fn scale(&self) -> f32 {
        (self.size as f32).sqrt().recip()
    }

    /// The kernel for heads of this size.
    fn kernel(&self, name: &str) -> String {
        format!("{name}_{}", self.size)
    }

    /// Bytes of so many rows of a head.
    fn bytes(&self, rows: usize) -> u32 {
        (rows * self.size * 2) as u32
    }
}

/// A list of tiles, as [`crate::qlora::cuda::batch::Lists`] has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiles {
    /// Five numbers in 32 bits for each tile.
    pub at: Address,
    /// Tiles in the list.
    pub count: usize,
}

impl Operand for Tiles {
    fn push_to(&self, arguments: &mut Vec<Argument>) {
        self.at.push_to(arguments);
    }
}

/// What attention sees, forward and on the way back.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Queries, keys and values side by side: `[tokens, (heads + 2 kv_heads) size]`.
    pub rows: Rows,
    /// The shape of `rows`.
    pub heads: Heads,
    /// Tiles of queries with the keys that they see.
    pub query_tiles: Tiles,
    /// Tiles of keys with the queries that see them.
    pub key_tiles: Tiles,
    /// log₂ Σ exp(score) of each query, written forward and read on the way back: floats `[heads, tokens]`.
    pub sums: Address,
    /// Rows of the batch.
    pub tokens: usize,
}

impl<G: Gpu> Ops<'_, G> {
    /// Writes the output `[tokens, heads size]` to `to`, and the sums.
    pub fn attention(&self, of: &Attention, to: Rows) -> Result<()> {
        let Attention { rows, heads, query_tiles, sums, tokens, .. } = of;
        self.0.launch(&Launch {
            threads: THREADS,
            shared: heads.bytes(2 * TILE),
            ..Launch::new(
                &heads.kernel("attention"),
                [query_tiles.count, heads.heads],
                &[rows, query_tiles, &heads.heads, &heads.kv_heads, &to, sums, tokens, &heads.scale()],
            )
        })
    }

    /// Writes the gradients of `rows` to `to`, from the output `y` and its gradient `dy`; `dots` is room for floats
    /// `[heads, tokens]`.
    pub fn attention_backward(&self, of: &Attention, (dy, y): (Rows, Rows), dots: Address, to: Rows) -> Result<()> {
        let Attention { rows, heads, query_tiles, key_tiles, sums, tokens } = of;
        // Eight threads a query.
        let blocks = (tokens * heads.heads * 8).div_ceil(THREADS as usize);
        self.0.launch(&Launch {
            threads: THREADS,
            ..Launch::new(&heads.kernel("attention_dots"), [blocks, 1], &[&dy, &y, &heads.heads, tokens, &dots])
        })?;
        // A block of queries has its sums and dots beside it; a tile of queries keeps them in registers.
        for (name, tiles, in_parallel, extra) in [
            ("attention_queries", query_tiles, heads.heads, 0),
            ("attention_keys", key_tiles, heads.kv_heads, 2 * 4 * BLOCK as u32),
        ] {
            self.0.launch(&Launch {
                threads: THREADS,
                shared: heads.bytes(2 * TILE + 2 * BLOCK) + extra,
                ..Launch::new(
                    &heads.kernel(name),
                    [tiles.count, in_parallel],
                    &[rows, &dy, tiles, &heads.heads, &heads.kv_heads, sums, &dots, &to, tokens, &heads.scale()],
                )
            })?;
        }
        Ok(())
    }
}
