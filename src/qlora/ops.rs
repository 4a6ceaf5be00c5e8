//! The operations of a Qwen2 layer with their derivatives, on tensors. Tokens of several documents stand behind one
//! another in `[tokens, …]`.

use std::ops::Deref;

use candle_core::{D, Result, Storage, Tensor};

use super::cpu::{Real, Values, attention as attention_kernel, by_type, rows, values};
use crate::learner::Document;

/// x / √(mean(x²) + ε) · w (Zhang and Sennrich 2019), and 1 / √(mean(x²) + ε) of each row, `[tokens]`. `x` is `[tokens,
/// hidden]`, `weight` `[hidden]`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    fn run<T: Real>(x: &Tensor, weight: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
        let [xs, weights] = [values(x)?, values(weight)?];
        let (y, inverse) = rows::rms_norm::<T>(xs.slice()?, weights.slice()?, eps);
        let tokens = inverse.len();
        Ok((Tensor::from_vec(y, x.shape(), x.device())?, Tensor::from_vec(inverse, tokens, x.device())?))
    }
    by_type!(x, run(x, weight, eps))
}

/// The gradient of x, added to `onto`; `inverse` is what [`rms_norm`] gave for each row.
pub fn rms_norm_backward(dy: &Tensor, x: &Tensor, weight: &Tensor, inverse: &Tensor, onto: &Tensor) -> Result<Tensor> {
    fn run<T: Real>(dy: &Tensor, x: &Tensor, weight: &Tensor, inverse: &Tensor, onto: &Tensor) -> Result<Tensor> {
        let [dys, xs, ontos] = [values(dy)?, values(x)?, values(onto)?];
        let (weights, inverses) = (values(weight)?, values(inverse)?);
        let known = (weights.slice::<T>()?, inverses.slice()?);
        Tensor::from_vec(
            rows::rms_norm_backward(dys.slice()?, xs.slice()?, known, ontos.slice()?),
            x.shape(),
            x.device(),
        )
    }
    by_type!(x, run(dy, x, weight, inverse, onto))
}

/// The gradient of the norm's weight, `[hidden]`.
pub fn rms_norm_weight_gradient(dy: &Tensor, x: &Tensor, inverse: &Tensor) -> Result<Tensor> {
    fn run<T: Real>(dy: &Tensor, x: &Tensor, inverse: &Tensor) -> Result<Tensor> {
        let [dys, xs, inverses] = [values(dy)?, values(x)?, values(inverse)?];
        let width = x.dim(D::Minus1)?;
        let gradient = rows::rms_norm_weight_gradient::<T>(dys.slice()?, xs.slice()?, width, inverses.slice()?);
        Tensor::from_vec(gradient, width, x.device())
    }
    by_type!(x, run(dy, x, inverse))
}

/// Cosines and sines of rotary positions (Su et al. 2021), each `[tokens, head_size / 2]`.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// The angles of all tokens of these documents, each of which starts at position 0; in the type and on the device
    /// of `like`.
    pub fn new(documents: &[Document], head_size: usize, theta: f64, like: &Tensor) -> Result<Rotary> {
        let half = head_size / 2;
        let frequencies: Vec<f64> = (0..half).map(|pair| theta.powf(-(pair as f64) / half as f64)).collect();
        let positions = documents.iter().flat_map(Document::positions);
        let angles: Vec<f64> =
            positions.flat_map(|position| frequencies.iter().map(move |each| position as f64 * each)).collect();
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f64> = angles.iter().map(|angle| of(*angle)).collect();
            Tensor::from_vec(values, (angles.len() / half, half), like.device())?.to_dtype(like.dtype())
        };
        Ok(Rotary { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// Turns `[tokens, heads, head_size]`: the first half of a head's elements are paired with the second half.
    pub fn turn(&self, x: &Tensor) -> Result<Tensor> {
        by_type!(x, turned(x, self, 1.0))
    }

    /// The gradient of what was turned: turned back.
    pub fn turn_back(&self, dy: &Tensor) -> Result<Tensor> {
        by_type!(dy, turned(dy, self, -1.0))
    }
}

fn turned<T: Real>(x: &Tensor, Rotary { cos, sin }: &Rotary, sign: f32) -> Result<Tensor> {
    let [xs, coss, sins] = [values(x)?, values(cos)?, values(sin)?];
    let angles = (coss.slice::<T>()?, sins.slice::<T>()?);
    let y = rows::turn(xs.slice()?, x.dim(1)?, angles, cos.dim(1)?, T::from_f32(sign));
    Tensor::from_vec(y, x.shape(), x.device())
}

/// What the backward pass of [`attention`] needs.
#[derive(Debug, Clone)]
pub struct Attended {
    /// `[tokens, heads, head_size]`
    queries: Tensor,
    /// `[tokens, kv_heads, head_size]`
    keys: Tensor,
    /// `[tokens, kv_heads, head_size]`
    values: Tensor,
    /// `[tokens, heads, head_size]`
    output: Tensor,
    /// log Σ exp(score) of each query: `[heads, tokens]`.
    sums: Tensor,
}

/// Causal attention within each document. `queries` is `[tokens, heads, head_size]`, `keys` and `values` `[tokens,
/// kv_heads, head_size]`; the result is shaped as the queries.
pub fn attention(queries: Tensor, keys: Tensor, values: Tensor, documents: &[Document]) -> Result<(Tensor, Attended)> {
    by_type!(queries, attend(queries, keys, values, documents))
}

fn attend<T: Real>(q: Tensor, k: Tensor, v: Tensor, documents: &[Document]) -> Result<(Tensor, Attended)> {
    let (tokens, heads, _) = q.dims3()?;
    let (output, sums) = {
        let [qs, ks, vs] = [values(&q)?, values(&k)?, values(&v)?];
        attention_kernel::forward::<T>(&inputs(&q, &k, [&qs, &ks, &vs])?, documents)
    };
    let output = Tensor::from_vec(output, q.shape(), q.device())?;
    let sums = Tensor::from_vec(sums, (heads, tokens), q.device())?;
    Ok((output.clone(), Attended { queries: q, keys: k, values: v, output, sums }))
}

fn inputs<'a, T: Real>(
    queries: &Tensor,
    keys: &Tensor,
    [q, k, v]: [&'a Values<impl Deref<Target = Storage>>; 3],
) -> Result<attention_kernel::Inputs<'a, T>> {
    let (_, heads, head_size) = queries.dims3()?;
    let (queries, keys, values, kv_heads) = (q.slice()?, k.slice()?, v.slice()?, keys.dim(1)?);
    Ok(attention_kernel::Inputs { queries, keys, values, heads, kv_heads, head_size })
}

/// The gradients of queries, keys and values, shaped as these.
pub fn attention_backward(dy: &Tensor, attended: &Attended, documents: &[Document]) -> Result<[Tensor; 3]> {
    fn run<T: Real>(dy: &Tensor, attended: &Attended, documents: &[Document]) -> Result<[Tensor; 3]> {
        let Attended { queries, keys, output, sums, .. } = attended;
        let [q, k, v] = [values(queries)?, values(keys)?, values(&attended.values)?];
        let [dys, outputs, sums] = [values(dy)?, values(output)?, values(sums)?];
        let inputs = inputs::<T>(queries, keys, [&q, &k, &v])?;
        let known = (outputs.slice()?, sums.slice()?);
        let [dq, dk, dv] = attention_kernel::backward(dys.slice()?, &inputs, documents, known);
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok([tensor(dq, queries)?, tensor(dk, keys)?, tensor(dv, keys)?])
    }
    by_type!(dy, run(dy, attended, documents))
}

/// SwiGLU (Shazeer 2020): silu(gate) · up.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    fn run<T: Real>(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        let (gates, ups) = (values(gate)?, values(up)?);
        Tensor::from_vec(rows::swiglu::<T>(gates.slice()?, ups.slice()?), gate.shape(), gate.device())
    }
    by_type!(gate, run(gate, up))
}

/// The gradients of gate and up, shaped as these.
pub fn swiglu_backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<[Tensor; 2]> {
    fn run<T: Real>(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<[Tensor; 2]> {
        let [dys, gates, ups] = [values(dy)?, values(gate)?, values(up)?];
        let (dgate, dup) = rows::swiglu_backward::<T>(dys.slice()?, gates.slice()?, ups.slice()?);
        let tensor = |values| Tensor::from_vec(values, gate.shape(), gate.device());
        Ok([tensor(dgate)?, tensor(dup)?])
    }
    by_type!(dy, run(dy, gate, up))
}
