//! Cross-entropy of the rows that are learned, a few rows at a time, so that a distribution over the vocabulary never
//! exists for all of them.

use candle_core::{Result, Tensor};

use super::config::Config;
use super::cpu::gemm::{Into, Right, Strided, Threads, gemm};
use super::cpu::rows::cross_entropy as cross_entropy_rows;
use super::cpu::{Real, by_type, values};

/// Most logits that exist at once.
const CHUNK: usize = 16 << 20;

/// Weighted cross-entropy and its gradients.
#[derive(Debug)]
pub struct Loss {
    /// Σ weight · −log p(target)
    pub sum: f64,
    /// Gradient of the hidden states: `[rows, hidden]`.
    pub dhidden: Tensor,
    /// Gradient of the output matrix, where it is trained: `[vocabulary, hidden]`.
    pub dhead: Option<Tensor>,
}

/// The loss of hidden states `[rows, hidden]` under the output matrix `head`, `[vocabulary, hidden]`, with a target and
/// a weight for each row. Neither sum nor gradients are divided by the weights: a step does that once, over all its
/// rows. The distributions of `rows_at_once` rows exist at once.
pub fn cross_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    weights: &[f32],
    head_trained: bool,
    rows_at_once: usize,
) -> Result<Loss> {
    by_type!(hidden, run(hidden, head, targets, weights, head_trained, rows_at_once))
}

fn run<T: Real>(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    weights: &[f32],
    head_trained: bool,
    rows_at_once: usize,
) -> Result<Loss> {
    let (vocabulary, width) = head.dims2()?;
    let (hiddens, heads) = (values(hidden)?, values(head)?);
    let (hiddens, head_values) = (hiddens.slice::<T>()?, Strided::new(heads.slice::<T>()?, vocabulary, width));
    let mut sum = 0.0;
    let mut dhidden = vec![T::zero(); hiddens.len()];
    let mut dhead = vec![T::zero(); if head_trained { vocabulary * width } else { 0 }];
    let mut logits = Vec::new();
    for (chunk, targets) in targets.chunks(rows_at_once).enumerate() {
        let (start, count) = (chunk * rows_at_once, targets.len());
        logits.resize(count * vocabulary, T::zero());
        let hidden = Strided::new(&hiddens[start * width..(start + count) * width], count, width);
        let head_columns = Right::Dense(head_values.t());
        gemm(Into::new(&mut logits, vocabulary), T::one(), hidden, head_columns, Threads::All);
        sum += cross_entropy_rows(&mut logits, vocabulary, targets, &weights[start..][..count]);
        let dlogits = Strided::new(&logits, count, vocabulary);
        let own = Into::new(&mut dhidden[start * width..(start + count) * width], width);
        gemm(own, T::one(), dlogits, Right::Dense(head_values), Threads::All);
        if head_trained {
            gemm(Into::sum(&mut dhead, width), T::one(), dlogits.t(), Right::Dense(hidden), Threads::All);
        }
    }
    let dhead = head_trained.then(|| Tensor::from_vec(dhead, (vocabulary, width), head.device())).transpose()?;
    Ok(Loss { sum, dhidden: Tensor::from_vec(dhidden, hidden.shape(), hidden.device())?, dhead })
}

/// Rows whose distributions may exist at once.
pub fn rows_at_once(vocabulary: usize) -> usize {
    (CHUNK / vocabulary).max(1)
}

/// Bytes that [`cross_entropy`] takes for so many rows.
pub fn bytes(rows: usize, config: &Config) -> u64 {
    (4 * (rows.min(rows_at_once(config.vocabulary)) * config.vocabulary + 3 * rows * config.hidden)) as u64
}
