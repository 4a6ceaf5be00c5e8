//! What is computed row by row: norms, positions, activations, the loss of a row. Rows are spread over threads.

use num_traits::Float;
use rayon::prelude::*;

use super::Real;

/// Values a thread takes at once.
const GRAIN: usize = 1 << 13;

/// Rows a thread takes at once.
fn grain(width: usize) -> usize {
    (GRAIN / width.max(1)).max(1)
}

fn sum<T: Real>(values: impl Iterator<Item = T>) -> T {
    values.fold(T::zero(), |sum, value| sum + value)
}

/// Σ aᵢ bᵢ, in sixteen sums that the compiler can keep in a vector.
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); 16];
    let (a_blocks, a_rest) = a.as_chunks::<16>();
    let (b_blocks, b_rest) = b.as_chunks::<16>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for index in 0..16 {
            sums[index] = a[index].mul_add(b[index], sums[index]);
        }
    }
    sum(sums.into_iter()) + sum(a_rest.iter().zip(b_rest).map(|(a, b)| *a * *b))
}

/// x / √(mean(x²) + ε) · w, and 1 / √(mean(x²) + ε) of each row.
pub fn rms_norm<T: Real>(x: &[T], weight: &[T], eps: f64) -> (Vec<T>, Vec<T>) {
    let width = weight.len();
    let mut y = vec![T::zero(); x.len()];
    let mut inverse = vec![T::zero(); x.len() / width];
    let (eps, n) = (T::from_f64(eps), T::from_f64(width as f64));
    y.par_chunks_mut(width).zip(&mut inverse).zip(x.par_chunks(width)).with_min_len(grain(width)).for_each(
        |((y, inverse), x)| {
            *inverse = (dot(x, x) / n + eps).sqrt().recip();
            y.iter_mut().zip(x).zip(weight).for_each(|((y, x), weight)| *y = *x * *inverse * *weight);
        },
    );
    (y, inverse)
}

/// The gradient of x, added to `onto`: with u = x · r, r · (du − u · mean(du · u)).
pub fn rms_norm_backward<T: Real>(dy: &[T], x: &[T], (weight, inverse): (&[T], &[T]), onto: &[T]) -> Vec<T> {
    let width = weight.len();
    let n = T::from_f64(width as f64);
    let mut dx = vec![T::zero(); x.len()];
    dx.par_chunks_mut(width)
        .zip(dy.par_chunks(width))
        .zip(x.par_chunks(width).zip(onto.par_chunks(width)))
        .zip(inverse)
        .with_min_len(grain(width))
        .for_each(|(((dx, dy), (x, onto)), r)| {
            dx.iter_mut().zip(dy).zip(weight).for_each(|((dx, dy), weight)| *dx = *dy * *weight);
            let along = dot(dx, x) * *r * *r / n;
            dx.iter_mut().zip(x).zip(onto).for_each(|((dx, x), onto)| *dx = *onto + (*dx - *x * along) * *r);
        });
    dx
}

/// The gradient of the norm's weight, `[width]`.
pub fn rms_norm_weight_gradient<T: Real>(dy: &[T], x: &[T], width: usize, inverse: &[T]) -> Vec<T> {
    let mut sums = vec![T::zero(); width];
    for ((dy, x), r) in dy.chunks(width).zip(x.chunks(width)).zip(inverse) {
        sums.iter_mut().zip(dy).zip(x).for_each(|((sum, dy), x)| *sum += *dy * *x * *r);
    }
    sums
}

/// Turns pairs of a head's halves by angles; `sign` −1 turns them back. `x` is `[tokens, heads, 2 · half]`, `cos` and
/// `sin` `[tokens, half]`.
pub fn turn<T: Real>(x: &[T], heads: usize, (cos, sin): (&[T], &[T]), half: usize, sign: T) -> Vec<T> {
    let mut y = vec![T::zero(); x.len()];
    let width = heads * 2 * half;
    y.par_chunks_mut(width)
        .zip(x.par_chunks(width))
        .zip(cos.par_chunks(half).zip(sin.par_chunks(half)))
        .with_min_len(grain(width))
        .for_each(|((y, x), (cos, sin))| {
            for (y, x) in y.chunks_mut(2 * half).zip(x.chunks(2 * half)) {
                let ((y1, y2), (x1, x2)) = (y.split_at_mut(half), x.split_at(half));
                for index in 0..half {
                    let (cos, sin) = (cos[index], sin[index] * sign);
                    y1[index] = x1[index] * cos - x2[index] * sin;
                    y2[index] = x2[index] * cos + x1[index] * sin;
                }
            }
        });
    y
}

/// silu(gate) · up
pub fn swiglu<T: Real>(gate: &[T], up: &[T]) -> Vec<T> {
    let mut y = vec![T::zero(); gate.len()];
    y.par_chunks_mut(GRAIN).zip(gate.par_chunks(GRAIN)).zip(up.par_chunks(GRAIN)).for_each(|((y, gate), up)| {
        for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
            *y = *gate * sigmoid(*gate) * *up;
        }
    });
    y
}

#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    (T::one() + (-x).quick_exp()).recip()
}

/// The gradients of gate and up: silu′ = σ + silu · (1 − σ).
pub fn swiglu_backward<T: Real>(dy: &[T], gate: &[T], up: &[T]) -> (Vec<T>, Vec<T>) {
    let (mut dgate, mut dup) = (vec![T::zero(); dy.len()], vec![T::zero(); dy.len()]);
    dgate
        .par_chunks_mut(GRAIN)
        .zip(dup.par_chunks_mut(GRAIN))
        .zip(dy.par_chunks(GRAIN))
        .zip(gate.par_chunks(GRAIN).zip(up.par_chunks(GRAIN)))
        .for_each(|(((dgate, dup), dy), (gate, up))| {
            for index in 0..dy.len() {
                let sigmoid = sigmoid(gate[index]);
                let silu = gate[index] * sigmoid;
                dgate[index] = dy[index] * up[index] * (sigmoid + silu * (T::one() - sigmoid));
                dup[index] = dy[index] * silu;
            }
        });
    (dgate, dup)
}

/// Σ weight · −log p(target) over rows of logits, which are replaced by their gradients.
pub fn cross_entropy<T: Real>(logits: &mut [T], vocabulary: usize, targets: &[u32], weights: &[f32]) -> f64 {
    let losses: Vec<f64> = logits
        .par_chunks_mut(vocabulary)
        .zip(targets)
        .zip(weights)
        .map(|((row, target), weight)| {
            let target = *target as usize;
            let largest = row.iter().fold(T::neg_infinity(), |largest, logit| Float::max(largest, *logit));
            let learned = row[target] - largest;
            row.iter_mut().for_each(|logit| *logit = (*logit - largest).quick_exp());
            let total = sum(row.chunks(16).map(|part| sum(part.iter().copied())));
            let scale = T::from_f32(*weight) / total;
            row.iter_mut().for_each(|value| *value *= scale);
            row[target] -= T::from_f32(*weight);
            f64::from(*weight) * (total.ln() - learned).to_f64()
        })
        .collect();
    losses.iter().sum()
}

/// x with elements left out and the others multiplied by `kept`. An element is left out where 16 bits of a hash of the
/// seed and of where it stands are below `bound`.
pub fn drop_out<T: Real>(x: &[T], seed: u64, bound: u64, kept: T) -> Vec<T> {
    let mut y = vec![T::zero(); x.len()];
    y.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN)).enumerate().for_each(|(part, (y, x))| {
        for (block, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let bits = crate::qlora::dropout::mix(seed ^ (part * (GRAIN / 4) + block) as u64);
            for (index, (y, x)) in y.iter_mut().zip(x).enumerate() {
                *y = if (bits >> (16 * index)) & 0xFFFF < bound { T::zero() } else { *x * kept };
            }
        }
    });
    y
}
