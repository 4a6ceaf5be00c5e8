//! The operations of a Qwen2 layer with their derivatives. Tokens of several documents stand behind one another in
//! `[tokens, …]`; what concerns documents is told their lengths.
//!
//! Forward passes are plain candle operations, so that candle's autograd can check the backward passes written here.

use candle_core::{D, Result, Tensor};

use crate::learner::Document;

/// What the backward pass of [`rms_norm`] needs.
#[derive(Debug, Clone)]
pub struct Normed {
    /// `[tokens, hidden]`, before the weight.
    unit: Tensor,
    /// `[tokens, 1]`, one over the root of the mean square.
    inverse: Tensor,
}

/// x / √(mean(x²) + ε) · w (Zhang and Sennrich 2019). `x` is `[tokens, hidden]`, `weight` `[hidden]`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<(Tensor, Normed)> {
    let inverse = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?;
    let unit = x.broadcast_mul(&inverse)?;
    Ok((unit.broadcast_mul(weight)?, Normed { unit, inverse }))
}

/// The gradients of x and of the weight.
pub fn rms_norm_backward(dy: &Tensor, weight: &Tensor, normed: &Normed) -> Result<(Tensor, Tensor)> {
    let Normed { unit, inverse } = normed;
    let dunit = dy.broadcast_mul(weight)?;
    // u = x·r: dx = r · (du − u · mean(du · u))
    let along = (&dunit * unit)?.mean_keepdim(D::Minus1)?;
    let dx = (dunit - unit.broadcast_mul(&along)?)?.broadcast_mul(inverse)?;
    Ok((dx, (dy * unit)?.sum(0)?))
}

/// Cosines and sines of rotary positions (Su et al. 2021), each `[tokens, 1, head_size / 2]`.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Positions start anew in every document.
    pub fn new(documents: &[Document], head_size: usize, theta: f64, like: &Tensor) -> Result<Rotary> {
        let half = head_size / 2;
        let positions = documents.iter().flat_map(Document::positions);
        let angles: Vec<f64> = positions
            .flat_map(|position| (0..half).map(move |pair| position as f64 / theta.powf(pair as f64 / half as f64)))
            .collect();
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = angles.iter().map(|angle| of(*angle) as f32).collect();
            Tensor::from_vec(values, (angles.len() / half, 1, half), like.device())?.to_dtype(like.dtype())
        };
        Ok(Rotary { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// Turns `[tokens, heads, head_size]`: the first half of a head's elements are paired with the second half.
    pub fn turn(&self, x: &Tensor) -> Result<Tensor> {
        turned(x, &self.cos, &self.sin)
    }

    /// The gradient: turned back.
    pub fn turn_back(&self, dy: &Tensor) -> Result<Tensor> {
        turned(dy, &self.cos, &self.sin.neg()?)
    }
}

fn turned(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (first, second) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let turned_first = (first.broadcast_mul(cos)? - second.broadcast_mul(sin)?)?;
    let turned_second = (second.broadcast_mul(cos)? + first.broadcast_mul(sin)?)?;
    Tensor::cat(&[turned_first, turned_second], D::Minus1)
}

/// What the backward pass of [`attention`] needs, by document.
#[derive(Debug, Clone)]
pub struct Attended(Vec<AttendedDocument>);

/// `kv` are the heads of keys and values, `group` the query heads that share one, `length` the tokens.
#[derive(Debug, Clone)]
struct AttendedDocument {
    /// `[kv, group · length, head_size]`
    queries: Tensor,
    /// `[kv, length, head_size]`
    keys: Tensor,
    /// `[kv, length, head_size]`
    values: Tensor,
    /// `[kv, group · length, length]`
    weights: Tensor,
}

/// Causal attention within each document. `queries` is `[tokens, heads, head_size]`, `keys` and `values` `[tokens, kv,
/// head_size]`; so is the result, with all heads.
pub fn attention(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    documents: &[Document],
) -> Result<(Tensor, Attended)> {
    let (heads, kv) = (queries.dim(1)?, keys.dim(1)?);
    let scale = 1.0 / (queries.dim(2)? as f64).sqrt();
    let (mut outputs, mut attended) = (Vec::new(), Vec::new());
    let mut start = 0;
    for document in documents {
        let length = document.tokens();
        let queries = grouped(&queries.narrow(0, start, length)?, kv)?;
        let keys = keys.narrow(0, start, length)?.transpose(0, 1)?.contiguous()?;
        let values = values.narrow(0, start, length)?.transpose(0, 1)?.contiguous()?;
        let scores = (queries.matmul(&keys.transpose(1, 2)?.contiguous()?)? * scale)?;
        let scores = scores.broadcast_add(&unseen(document, heads / kv, &scores)?)?;
        let weights = softmax(&scores)?;
        outputs.push(ungrouped(&weights.matmul(&values)?, heads, length)?);
        attended.push(AttendedDocument { queries, keys, values, weights });
        start += length;
    }
    Ok((Tensor::cat(&outputs, 0)?, Attended(attended)))
}

/// The gradients of queries, keys and values.
pub fn attention_backward(dy: &Tensor, attended: &Attended) -> Result<[Tensor; 3]> {
    let heads = dy.dim(1)?;
    let scale = 1.0 / (dy.dim(2)? as f64).sqrt();
    let mut gradients = [vec![], vec![], vec![]];
    let mut start = 0;
    for AttendedDocument { queries, keys, values, weights } in &attended.0 {
        let (kv, length) = (keys.dim(0)?, keys.dim(1)?);
        let dy = grouped(&dy.narrow(0, start, length)?, kv)?;
        let dvalues = weights.transpose(1, 2)?.contiguous()?.matmul(&dy)?;
        let dweights = dy.matmul(&values.transpose(1, 2)?.contiguous()?)?;
        // softmax: ds = p · (dp − Σ dp · p)
        let along = (&dweights * weights)?.sum_keepdim(D::Minus1)?;
        let dscores = (dweights.broadcast_sub(&along)?.mul(weights)? * scale)?;
        let dqueries = dscores.matmul(keys)?;
        // The sum over the query heads that share a key is in the product.
        let dkeys = dscores.transpose(1, 2)?.contiguous()?.matmul(queries)?;
        gradients[0].push(ungrouped(&dqueries, heads, length)?);
        gradients[1].push(dkeys.transpose(0, 1)?);
        gradients[2].push(dvalues.transpose(0, 1)?);
        start += length;
    }
    let [queries, keys, values] = gradients.map(|parts| Tensor::cat(&parts, 0));
    Ok([queries?, keys?, values?])
}

/// `[length, heads, head_size]` as `[kv, group · length, head_size]`.
fn grouped(x: &Tensor, kv: usize) -> Result<Tensor> {
    let (length, heads, size) = x.dims3()?;
    let group = heads / kv;
    x.reshape((length, kv, group, size))?.permute((1, 2, 0, 3))?.contiguous()?.reshape((kv, group * length, size))
}

/// Back from [`grouped`].
fn ungrouped(x: &Tensor, heads: usize, length: usize) -> Result<Tensor> {
    let (kv, _, size) = x.dims3()?;
    let apart = x.reshape((kv, heads / kv, length, size))?.permute((2, 0, 1, 3))?.contiguous()?;
    apart.reshape((length, heads, size))
}

/// −∞ where a query doesn't see a key: `[1, group · length, length]`.
fn unseen(document: &Document, group: usize, like: &Tensor) -> Result<Tensor> {
    let length = document.tokens();
    // Where the part starts that a token stands in, beside the prefix.
    let parts = [&document.prefix].into_iter().chain(&document.branches);
    let starts: Vec<usize> = parts
        .scan(0, |end, part| {
            let start = *end;
            *end += part;
            Some(std::iter::repeat_n(start, *part))
        })
        .flatten()
        .collect();
    let sees = |query: usize, key: usize| key <= query && (key < document.prefix || key >= starts[query]);
    let value = |(query, key)| if sees(query, key) { 0.0 } else { f32::NEG_INFINITY };
    let mask: Vec<f32> = (0..group)
        .flat_map(|_| (0..length).flat_map(|query| (0..length).map(move |key| (query, key))))
        .map(value)
        .collect();
    Tensor::from_vec(mask, (1, group * length, length), like.device())?.to_dtype(like.dtype())
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    // The largest is only there for the range: no gradient goes through it.
    let largest = scores.max_keepdim(D::Minus1)?.detach();
    let exponentials = scores.broadcast_sub(&largest)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

/// SwiGLU (Shazeer 2020): silu(gate) · up.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

/// The gradients of gate and up.
pub fn swiglu_backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<[Tensor; 2]> {
    let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
    let silu = (gate * &sigmoid)?;
    // silu′ = σ · (1 + x · (1 − σ)) = σ + silu · (1 − σ)
    let slope = (&sigmoid + (&silu * (1.0 - &sigmoid)?)?)?;
    Ok([((dy * up)? * slope)?, (dy * silu)?])
}
