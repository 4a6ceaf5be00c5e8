//! Cross-entropy of the rows that are learned, a few rows at a time, so that a distribution over the vocabulary never
//! exists for all of them.

use candle_core::{D, DType, Result, Tensor};

use super::config::Config;

/// Rows whose distributions exist at once.
const CHUNK: usize = 64;

/// Weighted cross-entropy and its gradients.
#[derive(Debug)]
pub struct Loss {
    /// Σ weight · −log p(target)
    pub sum: f64,
    /// Of the hidden states: `[rows, hidden]`.
    pub dhidden: Tensor,
    /// Of the output matrix, where it is trained: `[vocabulary, hidden]`.
    pub dhead: Option<Tensor>,
}

/// `hidden` is `[rows, hidden]`, `head` `[vocabulary, hidden]`; a target and a weight a row. Neither sum nor gradients are
/// divided by the weights: a step does that once, over all its rows.
pub fn cross_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    weights: &[f32],
    head_trained: bool,
) -> Result<Loss> {
    let device = hidden.device();
    let (mut sum, mut dhidden, mut dhead) = (0.0, Vec::new(), None::<Tensor>);
    for (chunk, targets) in targets.chunks(CHUNK).enumerate() {
        let rows = targets.len();
        let hidden = hidden.narrow(0, chunk * CHUNK, rows)?;
        let weights =
            Tensor::from_slice(&weights[chunk * CHUNK..][..rows], (rows, 1), device)?.to_dtype(hidden.dtype())?;
        let targets = Tensor::from_slice(targets, (rows, 1), device)?;
        let logits = hidden.matmul(&head.t()?)?;
        let largest = logits.max_keepdim(D::Minus1)?;
        let exponentials = logits.broadcast_sub(&largest)?.exp()?;
        let total = exponentials.sum_keepdim(D::Minus1)?;
        let loss = (total.log()? + largest)?.sub(&logits.gather(&targets, 1)?)?;
        sum += (loss * &weights)?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let probabilities = exponentials.broadcast_div(&total)?;
        let minus_one = (weights.zeros_like()? - 1.0)?;
        let dlogits = probabilities.scatter_add(&targets, &minus_one, 1)?.broadcast_mul(&weights)?;
        dhidden.push(dlogits.matmul(head)?);
        if head_trained {
            let own = dlogits.t()?.matmul(&hidden)?;
            dhead = Some(match dhead {
                Some(before) => (before + own)?,
                None => own,
            });
        }
    }
    Ok(Loss { sum, dhidden: Tensor::cat(&dhidden, 0)?, dhead })
}

/// Bytes that [`cross_entropy`] takes for so many rows.
pub fn bytes(rows: usize, config: &Config) -> u64 {
    let chunk = rows.min(CHUNK) * config.vocabulary;
    (4 * (3 * chunk + 3 * rows * config.hidden)) as u64
}
