//! Where the values of a pass are: planned once, so that a step allocates nothing.

use super::gpu::{Address, Arena, FLOAT, HALF, Rows};
use super::load::Staging;
use super::ops::{LOOPING, TILE};
use super::weights::padded;
use crate::qlora::config::Config;
use crate::qlora::memory::Largest;

/// Bytes of logits and their gradients that exist at once.
const LOGITS: usize = 512 << 20;
/// Numbers that a tile has in the lists of tiles.
pub const TILE_NUMBERS: usize = 5;

/// What a layer leaves for the way back, beside its input.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names are those of the layer's values")]
pub struct Trace {
    pub inverse: Address,
    /// Queries, keys and values side by side.
    pub qkv: Rows,
    /// What attention gives, and behind it its product with A.
    pub mixed: Rows,
    pub sums: Address,
    /// The layer's input plus what attention adds: `[tokens, hidden]` without gaps.
    pub middle: Address,
    pub fed_inverse: Address,
    /// Gate and up side by side.
    pub gate_up: Rows,
}

/// Room for everything that a pass over the largest batch computes.
#[derive(Debug)]
pub struct Room {
    /// The input of each layer, and what the last one gives: `[tokens, hidden]` without gaps.
    pub inputs: Vec<Address>,
    /// Traces of the layers that are kept; recomputed ones use the first.
    pub traces: Vec<Trace>,
    /// A norm's result, and behind it its products with A.
    pub normed: Rows,
    /// silu(gate) · up, the input of a layer's last map, and behind it its product with A; then its gradient.
    pub activated: Rows,
    /// What attention or the feed-forward part adds; on the way back the gradient of a map's input, in rows as wide as that.
    pub change: Rows,
    /// The gradient of what layers pass on, and behind it its product with B.
    pub dy: Rows,
    /// Gradients of queries, keys and values, and behind them their products with B.
    pub dqkv: Rows,
    /// Σ output · gradient of each head's outputs: floats `[heads, tokens]`.
    pub dots: Address,
    /// A map's input without what dropout leaves out, or the gradient of that.
    pub dropped: Rows,
    /// Dense weights of the group at work, where groups don't keep their own.
    pub panel: Address,
    /// What the last norm keeps of each row.
    pub final_inverse: Address,
    /// Hidden states of the rows that something is learned from, then their gradients.
    pub learned: Rows,
    #[expect(missing_docs, reason = "the name says it")]
    pub logits: Address,
    #[expect(missing_docs, reason = "the name says it")]
    pub dlogits: Address,
    /// Rows whose logits exist at once.
    pub logit_rows: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub losses: Address,
    /// Sums of squares of all gradients, one a block of threads.
    pub squares: Address,
    #[expect(missing_docs, reason = "the name says it")]
    pub batch: BatchRoom,
    /// Cosine and sine of each position and pair of values: floats `[positions, size / 2, 2]`.
    pub angles: Address,
}

/// A batch as [`super::batch::Lists`] has it, on the GPU.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BatchRoom {
    pub tokens: Address,
    pub positions: Address,
    pub query_tiles: Address,
    pub key_tiles: Address,
    pub rows: Address,
    pub targets: Address,
    pub weights: Address,
    /// Where each token's `entries` start.
    pub starts: Address,
    pub entries: Address,
}

/// What decides how much room a pass takes.
#[derive(Debug, Clone, Copy)]
pub struct Needs<'a> {
    #[expect(missing_docs, reason = "the type says it")]
    pub config: &'a Config,
    #[expect(missing_docs, reason = "the type says it")]
    pub largest: Largest,
    /// Rank of the adapters.
    pub rank: usize,
    /// Whether adapters see only a part of their input.
    pub dropout: bool,
    /// Layers whose traces are kept; at least one.
    pub kept: usize,
    /// Values of the panel that groups share; 0 where they keep their own.
    pub panel: usize,
    /// Values of the largest weight: it is quantised in this room before anything passes.
    pub matrix: usize,
}

/// Most columns that the adapters of a group of so many parts add to a row.
fn tail(rank: usize, parts: usize) -> usize {
    parts * padded(rank)
}

impl Room {
    /// Takes the room from an arena.
    pub fn new(needs: &Needs, arena: &mut Arena) -> Room {
        let Needs { config, largest, rank, kept, .. } = *needs;
        let Config { hidden, intermediate, heads, head_size: size, vocabulary, layers, .. } = *config;
        let Largest { tokens, rows, parts } = largest;
        let sizes = config.sizes();
        let queries = sizes.queries();
        let qkv = queries + 2 * sizes.keys();
        let trace = |arena: &mut Arena| Trace {
            inverse: arena.take(tokens, FLOAT),
            qkv: arena.rows(tokens, qkv),
            mixed: arena.rows(tokens, queries + tail(rank, 1)),
            sums: arena.take(heads * tokens, FLOAT),
            middle: arena.take(tokens * hidden, HALF),
            fed_inverse: arena.take(tokens, FLOAT),
            gate_up: arena.rows(tokens, 2 * intermediate + tail(rank, 2)),
        };
        let at_once = LOGITS / (vocabulary * (FLOAT + HALF));
        // Whole tiles of a product, where there are several.
        let logit_rows = if at_once > 128 { at_once / 128 * 128 } else { at_once }.clamp(1, rows.max(1));
        // Each part of a document may end with a tile that isn't full.
        let tiles = (tokens / TILE + parts) * TILE_NUMBERS;
        let batch = |arena: &mut Arena| BatchRoom {
            tokens: arena.take(tokens, FLOAT),
            positions: arena.take(tokens, FLOAT),
            query_tiles: arena.take(tiles, FLOAT),
            key_tiles: arena.take(tiles, FLOAT),
            rows: arena.take(rows, FLOAT),
            targets: arena.take(rows, FLOAT),
            weights: arena.take(rows, FLOAT),
            starts: arena.take(tokens + 1, FLOAT),
            entries: arena.take(rows, FLOAT),
        };
        Room {
            inputs: (0..=layers).map(|_| arena.take(tokens * hidden, HALF)).collect(),
            traces: (0..kept).map(|_| trace(arena)).collect(),
            normed: arena.rows(tokens, hidden + tail(rank, 3)),
            activated: arena.rows(tokens, intermediate + tail(rank, 1)),
            change: Rows { at: arena.take(tokens * hidden.max(queries), HALF), stride: hidden },
            dy: arena.rows(tokens, hidden + tail(rank, 1)),
            dqkv: arena.rows(tokens, qkv + tail(rank, 3)),
            dots: arena.take(heads * tokens, FLOAT),
            dropped: arena.rows(if needs.dropout { tokens } else { 0 }, hidden.max(intermediate).max(queries)),
            panel: arena.take(needs.panel, HALF),
            final_inverse: arena.take(tokens, FLOAT),
            learned: arena.rows(rows, hidden),
            logits: arena.take(logit_rows * vocabulary, FLOAT),
            dlogits: arena.take(logit_rows * vocabulary, HALF),
            logit_rows,
            losses: arena.take(rows, FLOAT),
            squares: arena.take(LOOPING, FLOAT),
            batch: batch(arena),
            angles: arena.take(config.max_positions.min(tokens) * size, FLOAT),
        }
    }

    /// Bytes of the room, and at least those that staging takes there.
    pub fn bytes(needs: &Needs) -> usize {
        let mut arena = Arena::counting();
        Room::new(needs, &mut arena);
        arena.used().max(Staging::bytes(needs.matrix))
    }
}
