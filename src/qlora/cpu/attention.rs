//! Causal attention in tiles of queries (after Dao et al. 2022): the matrix of all weights never exists. For the way
//! back only log Σ exp(score) of each row is kept.

use num_traits::Float;
use rayon::prelude::*;

use super::Real;
use super::gemm::{Into, Right, Strided, Threads, gemm};
use crate::learner::Document;

/// Most queries of a tile.
const TILE: usize = 64;

/// Queries, keys and values: `[tokens, heads, head_size]`, `[tokens, kv_heads, head_size]` twice.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Inputs<'a, T> {
    pub queries: &'a [T],
    pub keys: &'a [T],
    pub values: &'a [T],
    pub heads: usize,
    pub kv_heads: usize,
    pub head_size: usize,
}

/// Queries `[start, end)` that see the same keys, except that each sees its own part only up to itself. All are counted
/// from the start of the document.
struct Tile {
    start: usize,
    end: usize,
    /// Keys `[0, prefix)` are seen by all queries.
    prefix: usize,
    /// Keys from here on are seen by each query up to itself.
    own: usize,
}

impl Tile {
    fn keys(&self) -> usize {
        self.prefix + self.end - self.own
    }

    /// How many of the tile's keys one of its queries sees.
    fn seen(&self, query: usize) -> usize {
        self.prefix + self.start + query + 1 - self.own
    }
}

fn tiles(document: &Document) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut part = |prefix: usize, own: usize, length: usize| {
        let end = own + length;
        tiles.extend((own..end).step_by(TILE).map(|start| Tile { start, end: end.min(start + TILE), prefix, own }));
    };
    part(0, 0, document.prefix);
    let mut start = document.prefix;
    for branch in &document.branches {
        part(document.prefix, start, *branch);
        start += branch;
    }
    tiles
}

/// One head of one document.
struct Head<'a, T> {
    queries: Strided<'a, T>,
    keys: Strided<'a, T>,
    values: Strided<'a, T>,
    scale: T,
}

fn rows<'a, T: Real>(all: Strided<'a, T>, start: usize, end: usize) -> Strided<'a, T> {
    Strided { data: &all.data[start * all.row_stride..], rows: end - start, ..all }
}

impl<'a, T: Real> Head<'a, T> {
    fn new(inputs: &Inputs<'a, T>, start: usize, length: usize, head: usize) -> Head<'a, T> {
        let &Inputs { queries, keys, values, heads, kv_heads, head_size } = inputs;
        let of = |data: &'a [T], heads: usize, head: usize| Strided {
            data: &data[(start * heads + head) * head_size..],
            rows: length,
            columns: head_size,
            row_stride: heads * head_size,
            column_stride: 1,
        };
        let kv = head / (heads / kv_heads);
        let scale = T::from_f64(head_size as f64).sqrt().recip();
        Head {
            queries: of(queries, heads, head),
            keys: of(keys, kv_heads, kv),
            values: of(values, kv_heads, kv),
            scale,
        }
    }

    /// `into = alpha · left · (keys or values of the tile)ᵀ`: `[queries, keys]`.
    fn with_keys(&self, left: Strided<T>, right: Strided<T>, tile: &Tile, alpha: T, into: &mut [T]) {
        let stride = tile.keys();
        for (at, start, end) in tile.parts() {
            let part = Right::Dense(rows(right, start, end).t());
            let to = Into { data: &mut into[at..], columns: end - start, stride, accumulate: false };
            gemm(to, alpha, left, part, Threads::One);
        }
    }
}

impl Tile {
    /// Where a part of the keys starts in a row of weights, and which keys these are.
    fn parts(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let parts = [(0, 0, self.prefix), (self.prefix, self.own, self.end)];
        parts.into_iter().filter(|(_, start, end)| end > start)
    }
}

/// The output, `[tokens, heads, head_size]`, and log Σ exp(score) of each query, `[heads, tokens]`.
pub fn forward<T: Real>(inputs: &Inputs<T>, documents: &[Document]) -> (Vec<T>, Vec<T>) {
    let &Inputs { queries, heads, head_size, .. } = inputs;
    let width = heads * head_size;
    let tokens = queries.len() / width;
    let tasks = tasks(documents, heads);
    let done: Vec<(Vec<T>, Vec<T>)> =
        tasks.par_iter().map(|(start, document, head)| head_forward(inputs, *start, document, *head)).collect();
    let (mut output, mut sums) = (vec![T::zero(); queries.len()], vec![T::zero(); heads * tokens]);
    for ((start, document, head), (own, own_sums)) in tasks.iter().zip(done) {
        let rows = output.chunks_mut(width).skip(*start).take(document.tokens());
        for (row, own) in rows.zip(own.chunks(head_size)) {
            row[head * head_size..][..head_size].copy_from_slice(own);
        }
        sums[head * tokens + start..][..own_sums.len()].copy_from_slice(&own_sums);
    }
    (output, sums)
}

/// Each head of each document with the token that it starts at, the longest first.
fn tasks(documents: &[Document], heads: usize) -> Vec<(usize, &Document, usize)> {
    let mut start = 0;
    let mut tasks = Vec::new();
    for document in documents {
        tasks.extend((0..heads).map(|head| (start, document, head)));
        start += document.tokens();
    }
    tasks.sort_by_key(|(_, document, _)| std::cmp::Reverse(document.tokens()));
    tasks
}

fn head_forward<T: Real>(inputs: &Inputs<T>, start: usize, document: &Document, head: usize) -> (Vec<T>, Vec<T>) {
    let length = document.tokens();
    let head = Head::new(inputs, start, length, head);
    let size = inputs.head_size;
    let (mut output, mut sums) = (vec![T::zero(); length * size], vec![T::zero(); length]);
    let mut weights = T::buffer();
    for tile in tiles(document) {
        let (queries, keys) = (tile.end - tile.start, tile.keys());
        weights.resize(queries * keys, T::zero());
        let own = rows(head.queries, tile.start, tile.end);
        head.with_keys(own, head.keys, &tile, head.scale, &mut weights);
        for (query, row) in weights.chunks_mut(keys).enumerate() {
            let (seen, unseen) = row.split_at_mut(tile.seen(query));
            let largest = seen.iter().fold(T::neg_infinity(), |largest, score| Float::max(largest, *score));
            seen.iter_mut().for_each(|score| *score = (*score - largest).quick_exp());
            let total = seen.iter().fold(T::zero(), |total, weight| total + *weight);
            let inverse = total.recip();
            seen.iter_mut().for_each(|weight| *weight *= inverse);
            unseen.fill(T::zero());
            sums[tile.start + query] = largest + total.ln();
        }
        let weights = Strided::new(&weights[..queries * keys], queries, keys);
        let output = &mut output[tile.start * size..tile.end * size];
        for (index, (at, first, last)) in tile.parts().enumerate() {
            let left = Strided { data: &weights.data[at..], columns: last - first, ..weights };
            let to = Into { accumulate: index > 0, ..Into::new(output, size) };
            gemm(to, T::one(), left, Right::Dense(rows(head.values, first, last)), Threads::One);
        }
    }
    T::give_back(weights);
    (output, sums)
}

/// The gradients of queries, keys and values, shaped as these. `output` and `sums` are what [`forward`] returned.
pub fn backward<T: Real>(
    dy: &[T],
    inputs: &Inputs<T>,
    documents: &[Document],
    (output, sums): (&[T], &[T]),
) -> [Vec<T>; 3] {
    let &Inputs { queries, keys, heads, kv_heads, head_size, .. } = inputs;
    let tokens = queries.len() / (heads * head_size);
    let tasks = tasks(documents, heads);
    let done: Vec<[Vec<T>; 3]> = tasks
        .par_iter()
        .map(|&(start, document, head)| {
            let of = |data| Inputs { queries: data, ..*inputs };
            let own = |data| Head::new(&of(data), start, document.tokens(), head).queries;
            let sums = &sums[head * tokens + start..][..document.tokens()];
            head_backward(own(dy), own(output), sums, &Head::new(inputs, start, document.tokens(), head), document)
        })
        .collect();
    let zeros = |like: &[T]| vec![T::zero(); like.len()];
    let mut gradients = [zeros(queries), zeros(keys), zeros(keys)];
    for (&(start, document, head), own) in tasks.iter().zip(done) {
        let kv = head / (heads / kv_heads);
        for ((gradient, own), (heads, head)) in
            gradients.iter_mut().zip(own).zip([(heads, head), (kv_heads, kv), (kv_heads, kv)])
        {
            let rows = gradient.chunks_mut(heads * head_size).skip(start).take(document.tokens());
            for (row, own) in rows.zip(own.chunks(head_size)) {
                let row = &mut row[head * head_size..][..head_size];
                row.iter_mut().zip(own).for_each(|(sum, own)| *sum += *own);
            }
        }
    }
    gradients
}

/// The gradients by one head of queries; heads that share keys and values add theirs up.
fn head_backward<T: Real>(
    dy: Strided<T>,
    output: Strided<T>,
    sums: &[T],
    head: &Head<T>,
    document: &Document,
) -> [Vec<T>; 3] {
    let (length, size) = (document.tokens(), dy.columns);
    let zeros = || vec![T::zero(); length * size];
    let (mut dqueries, mut dkeys, mut dvalues) = (zeros(), zeros(), zeros());
    let (mut weights, mut dscores) = (T::buffer(), T::buffer());
    for tile in tiles(document) {
        let (queries, keys) = (tile.end - tile.start, tile.keys());
        weights.resize(queries * keys, T::zero());
        dscores.resize(queries * keys, T::zero());
        let own = rows(head.queries, tile.start, tile.end);
        let own_dy = rows(dy, tile.start, tile.end);
        head.with_keys(own, head.keys, &tile, head.scale, &mut weights);
        head.with_keys(own_dy, head.values, &tile, T::one(), &mut dscores);
        for query in 0..queries {
            let at = tile.start + query;
            // Σ p · dp = dy · y
            let pairs = dy.data[at * dy.row_stride..][..size].iter().zip(&output.data[at * output.row_stride..]);
            let along = pairs.fold(T::zero(), |sum, (dy, y)| sum + *dy * *y);
            let (weights, dscores) = (&mut weights[query * keys..][..keys], &mut dscores[query * keys..][..keys]);
            let seen = tile.seen(query);
            for (weight, dscore) in weights[..seen].iter_mut().zip(&mut dscores[..seen]) {
                *weight = (*weight - sums[at]).quick_exp();
                *dscore = *weight * (*dscore - along);
            }
            weights[seen..].fill(T::zero());
            dscores[seen..].fill(T::zero());
        }
        let weights = Strided::new(&weights[..queries * keys], queries, keys);
        let dscores = Strided::new(&dscores[..queries * keys], queries, keys);
        for (index, (at, first, last)) in tile.parts().enumerate() {
            let dscores = Strided { data: &dscores.data[at..], columns: last - first, ..dscores };
            let weights = Strided { data: &weights.data[at..], columns: last - first, ..weights };
            let dqueries = &mut dqueries[tile.start * size..tile.end * size];
            let to = Into { accumulate: index > 0, ..Into::new(dqueries, size) };
            gemm(to, head.scale, dscores, Right::Dense(rows(head.keys, first, last)), Threads::One);
            let dkeys = Into::sum(&mut dkeys[first * size..last * size], size);
            gemm(dkeys, head.scale, dscores.t(), Right::Dense(own), Threads::One);
            let dvalues = Into::sum(&mut dvalues[first * size..last * size], size);
            gemm(dvalues, T::one(), weights.t(), Right::Dense(own_dy), Threads::One);
        }
    }
    // The one taken last goes back first, so that each is taken again for what it is large enough for.
    T::give_back(dscores);
    T::give_back(weights);
    [dqueries, dkeys, dvalues]
}
