//! A base's weights with an adapter merged in, a piece at a time, so that no tensor is held as a whole.

use anyhow::{Result, anyhow, ensure};
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::adapter::AdapterWeights;
use super::checkpoint::{Checkpoint, Weight, widen};
use super::cpu::gemm::{Into, Right, Strided, Threads, gemm};
use super::cpu::values;
use super::linear::Adapter;
use super::nf4::Nf4;
use crate::architecture::TensorInfo;
use crate::error::Hint;
use crate::gguf::FloatType;

/// Values that a thread works on at once: they stay in its cache until the system has copied them.
const TASK: usize = 1 << 17;
/// Values that go through all steps while they are in the nearest cache.
const BLOCK: usize = 2048;

/// Memory of a thread, kept from one task to the next: fresh memory costs as much as the work does.
#[derive(Default)]
struct Scratch {
    base: Vec<f32>,
    merged: Vec<f32>,
    bytes: Vec<u8>,
}

/// A base and the adapter that is merged into it.
#[derive(Debug, Clone, Copy)]
pub struct Merge<'a> {
    #[expect(missing_docs, reason = "the type says it")]
    pub checkpoint: &'a Checkpoint,
    #[expect(missing_docs, reason = "the type says it")]
    pub adapter: Option<&'a AdapterWeights>,
    /// Whether linear maps are taken as the trainer saw them, in four bits, rather than as they are stored.
    pub dequantised: bool,
}

/// How far an adapter moved a tensor, after rounding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Frobenius norm of the difference between what is written and the base.
    pub norm: f64,
    /// Frobenius norm of the base's tensor.
    pub of: f64,
}

enum Source<'a> {
    Dense { bytes: &'a [u8], stored: FloatType },
    Nf4 { weight: Nf4, maxima: Vec<f32> },
}

impl Source<'_> {
    fn read(&self, start: usize, into: &mut [f32]) {
        match self {
            Source::Dense { bytes, stored } => widen(&bytes[start * stored.bytes()..], *stored, into),
            Source::Nf4 { weight, maxima } => weight.dequantise_into(maxima, start, into),
        }
    }
}

impl Merge<'_> {
    /// Gives a tensor's values, little endian, in pieces with the byte they begin at, from several threads in any
    /// order; and how far the adapter moved it if it has a say in it. `columns` is the length of a row.
    ///
    /// # Errors
    /// Names the tensor that holds a value which is not finite, or too large for `to`; and whatever `out` says.
    pub fn tensor(
        &self,
        tensor: &TensorInfo,
        to: FloatType,
        out: &(dyn Fn(u64, &[u8]) -> Result<()> + Sync),
    ) -> Result<Option<Change>> {
        let TensorInfo { name, shape, .. } = tensor;
        let columns = shape[shape.len() - 1];
        let linear = name.strip_suffix(".weight");
        let adapter = linear.and_then(|linear| self.adapter?.of.get(linear));
        let source = self.source(tensor)?;
        let len = match &source {
            Source::Dense { bytes, stored } => bytes.len() / stored.bytes(),
            Source::Nf4 { weight, .. } => weight.len,
        };
        let task_rows = (TASK / columns).max(1);
        let tasks: Vec<usize> = (0..len / columns).step_by(task_rows).collect();
        let task = |scratch: &mut Scratch, row: &usize| {
            let rows = task_rows.min(len / columns - row);
            let change = part(&source, adapter, *row, (rows, columns), to, scratch)
                .map_err(|error| error.context(format!("{}: {name}", self.checkpoint.file(name))))?;
            out((row * columns * to.bytes()) as u64, &scratch.bytes)?;
            Ok(change)
        };
        // Added up in order, so that the sum is the same every time.
        let changes = tasks.par_iter().map_init(Scratch::default, task).collect::<Result<Vec<Change>>>()?;
        let total = |of: fn(&Change) -> f64| changes.iter().map(of).sum::<f64>().sqrt();
        Ok(adapter.map(|_| Change { norm: total(|change| change.norm), of: total(|change| change.of) }))
    }

    fn source(&self, TensorInfo { name, target, .. }: &TensorInfo) -> Result<Source<'_>> {
        let quantised = self.dequantised && target.is_some();
        let weight = match self.checkpoint.float_type(name)? {
            Some(stored) if !quantised => {
                return Ok(Source::Dense { bytes: self.checkpoint.bytes(name)?, stored });
            }
            _ => match self.checkpoint.read(name)? {
                Weight::Dense(values) => Nf4::quantise(&values).nested(),
                Weight::Nf4(weight) => weight,
            },
        };
        let maxima = weight.maxima();
        Ok(Source::Nf4 { weight, maxima })
    }
}

/// Merges some rows from `row` on into the scratch's bytes, and gives the squares of both norms.
fn part(
    source: &Source,
    adapter: Option<&Adapter>,
    row: usize,
    (rows, columns): (usize, usize),
    to: FloatType,
    Scratch { base, merged, bytes }: &mut Scratch,
) -> Result<Change> {
    let count = rows * columns;
    if let Some(Adapter { a, b, scale }) = adapter {
        let (rank, a, b) = (a.dim(0)?, values(a)?, values(b)?);
        let b = Strided::new(&b.slice()?[row * rank..][..rows * rank], rows, rank);
        let a = Right::Dense(Strided::new(a.slice()?, rank, columns));
        merged.resize(count, 0.0);
        gemm(Into::new(merged, columns), *scale as f32, b, a, Threads::One);
    }
    base.resize(BLOCK, 0.0);
    bytes.resize(count * to.bytes(), 0);
    let mut change = Change { norm: 0.0, of: 0.0 };
    for (block, bytes) in bytes.chunks_mut(BLOCK * to.bytes()).enumerate() {
        let (at, len) = (block * BLOCK, bytes.len() / to.bytes());
        let base = &mut base[..len];
        source.read(row * columns + at, base);
        let largest = if adapter.is_some() {
            let merged = &mut merged[at..at + len];
            merged.iter_mut().zip(&*base).for_each(|(merged, base)| *merged += base);
            let largest = narrow(merged, to, bytes);
            widen(bytes, to, merged);
            merged.iter_mut().zip(&*base).for_each(|(written, base)| *written -= base);
            change.norm += squares(merged);
            change.of += squares(base);
            largest
        } else {
            narrow(base, to, bytes)
        };
        ensure!(
            largest.is_finite(),
            anyhow!("a value that is not finite, or too large for 16-bit floats")
                .hint("the file is damaged; or use --quant bf16")
        );
    }
    Ok(change)
}

/// The sum of the squares of at most a block's values; in 16 lanes, because a plain sum is one long chain of additions.
fn squares(values: &[f32]) -> f64 {
    let mut lanes = [0f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value * value);
    }
    lanes.into_iter().chain(rest.iter().map(|value| value * value)).map(f64::from).sum()
}

/// Rounds to the nearest, ties to even. Gives the largest magnitude that came out, or infinity or NaN where there is
/// one.
fn narrow(values: &[f32], to: FloatType, bytes: &mut [u8]) -> f32 {
    // Magnitudes compare as their bits do, infinity and NaN above all others.
    let largest = |values: &[f32]| values.iter().fold(0, |largest, value| largest.max(value.to_bits() & 0x7fff_ffff));
    match to {
        FloatType::F32 => {
            let fours = bytes.as_chunks_mut::<4>().0;
            fours.iter_mut().zip(values).for_each(|(four, value)| *four = value.to_le_bytes());
            f32::from_bits(largest(values))
        }
        FloatType::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            let pairs = bytes.as_chunks_mut::<2>().0;
            pairs.iter_mut().zip(&halves).for_each(|(pair, half)| *pair = half.to_le_bytes());
            let largest = halves.iter().fold(0, |largest, half| largest.max(half.to_bits() & 0x7fff));
            f16::from_bits(largest).to_f32()
        }
        FloatType::Bf16 => {
            let round = |value: f32| {
                let bits = value.to_bits();
                ((bits.wrapping_add(0x7fff + (bits >> 16 & 1))) >> 16) as u16
            };
            let pairs = bytes.as_chunks_mut::<2>().0;
            pairs.iter_mut().zip(values).for_each(|(pair, value)| *pair = round(*value).to_le_bytes());
            let rounded = pairs.iter().fold(0, |largest, pair| largest.max(u16::from_le_bytes(*pair) & 0x7fff));
            // What rounding makes of a NaN may be none.
            f32::from_bits(largest(values).max(u32::from(rounded) << 16))
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn values_are_rounded_as_half_does() {
        let values: Vec<f32> = (0..100_000).map(|at| ((at as f32) * 0.37).sin() * 10f32.powi(at % 9 - 4)).collect();
        let mut bytes = vec![0; 2 * values.len()];
        narrow(&values, FloatType::Bf16, &mut bytes);
        assert!(
            bytes.as_chunks().0.iter().zip(&values).all(|(pair, value)| bf16::from_f32(*value).to_le_bytes() == *pair)
        );
        narrow(&values, FloatType::F16, &mut bytes);
        assert!(
            bytes.as_chunks().0.iter().zip(&values).all(|(pair, value)| f16::from_f32(*value).to_le_bytes() == *pair)
        );
    }

    #[test]
    fn what_does_not_fit_is_noticed() {
        let mut bytes = [0; 8];
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
            for to in [FloatType::F32, FloatType::F16, FloatType::Bf16] {
                assert!(!narrow(&[1.0, bad], to, &mut bytes).is_finite(), "{bad} as {to:?}");
            }
        }
        assert!(!narrow(&[70_000.0], FloatType::F16, &mut bytes).is_finite());
        assert!(!narrow(&[3.4e38], FloatType::Bf16, &mut bytes).is_finite());
        assert_eq!(narrow(&[-2.0, 1.0], FloatType::Bf16, &mut bytes[..4]), 2.0);
    }
}
