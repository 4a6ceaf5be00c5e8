//! Whether weights can be right: with one that is no number, or a norm that is 0, every answer is nonsense, and not all kernels
//! let it be seen.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use rayon::prelude::*;

use super::{Gguf, Problem, Tensor, block};
use crate::error::Hint;

/// Bytes that a thread reads at once, roughly: they stay in its own cache.
const PART: usize = 1 << 18;

/// The floats of a tensor: values, or the scales of its blocks.
#[derive(Clone, Copy)]
enum Float {
    F32,
    F16,
    Bf16,
}

/// Checks that no answer is nonsense because of a weight. It takes less time than the file's hash.
///
/// # Errors
/// Names the file and what [`weights_problem`] finds.
pub fn check_weights(gguf: &Gguf) -> Result<()> {
    match weights_problem(gguf)? {
        Some(Problem { what, why, hint, .. }) => Err(anyhow!("{}: {what}: {why}", gguf.path.display()).hint(hint)),
        None => Ok(()),
    }
}

/// The first tensor, in file order, with a value or scale that isn't finite, or of a norm that is 0 everywhere.
///
/// # Errors
/// Names the file when it can't be read.
pub fn weights_problem(gguf: &Gguf) -> Result<Option<Problem>> {
    for (name, tensor) in &gguf.tensors {
        let what = match not_finite(gguf, tensor)? {
            Some(value) => format!("{name} holds {value}"),
            None if name.ends_with("norm.weight") && is_zero(gguf, tensor)? => format!("{name} is 0 everywhere"),
            None => continue,
        };
        const HINT: &str = "copy or download it again; if it is as it was made, export or convert it anew";
        return Ok(Some(Problem::fatal(what, "every answer would be nonsense", HINT)));
    }
    Ok(None)
}

/// A value or scale of a tensor that isn't finite.
fn not_finite(gguf: &Gguf, tensor: &Tensor) -> Result<Option<f32>> {
    let path = gguf.file_of(tensor);
    of_tensor(path, tensor).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether all bytes of a tensor are 0, which all values are then in every type of floats.
///
/// # Errors
/// Names the file when it can't be read.
pub fn is_zero(gguf: &Gguf, tensor: &Tensor) -> Result<bool> {
    let path = gguf.file_of(tensor);
    let mut bytes = vec![0; tensor.bytes.unwrap_or_default() as usize];
    File::open(path)
        .and_then(|file| file.read_exact_at(&mut bytes, tensor.offset))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

fn of_tensor(path: &Path, tensor: &Tensor) -> std::io::Result<Option<f32>> {
    let Some(((float, places), (_, each))) = floats(tensor.dtype).zip(block(tensor.dtype)) else { return Ok(None) };
    let (bytes, each) = (tensor.bytes.unwrap_or_default(), each as usize);
    let part = (PART / each * each) as u64;
    let file = File::open(path)?;
    let find = |buffer: &mut Vec<u8>, index: u64| {
        let start = index * part;
        buffer.resize(part.min(bytes - start) as usize, 0);
        file.read_exact_at(buffer, tensor.offset + start)?;
        Ok(places.iter().find_map(|place| float.find_odd(buffer, each, *place)))
    };
    let parts = (0..bytes.div_ceil(part)).into_par_iter();
    let found = parts.map_init(Vec::new, |buffer, index| find(buffer, index).transpose());
    found.find_first(Option::is_some).flatten().transpose()
}

/// The floats of a ggml type, and where they stand in each of its blocks. `None` for integers, for types whose scales
/// aren't floats by themselves (IQ1_M, MXFP4), and for those this reader doesn't know.
///
/// Source: llama.cpp's `ggml/src/ggml-common.h`.
fn floats(dtype: u32) -> Option<(Float, &'static [usize])> {
    Some(match dtype {
        0 | 15 => (Float::F32, &[0]),
        1 => (Float::F16, &[0]),
        30 => (Float::Bf16, &[0]),
        // Q4_0, Q5_0, Q8_0 and most IQ types: d.
        2 | 6 | 8 | 16..=23 => (Float::F16, &[0]),
        // Q4_1, Q5_1, Q8_1, Q4_K, Q5_K: d, and m, s or dmin.
        3 | 7 | 9 | 12 | 13 => (Float::F16, &[0, 2]),
        // Q2_K, Q3_K, Q6_K, TQ1_0, TQ2_0: behind the quants.
        10 => (Float::F16, &[80, 82]),
        11 => (Float::F16, &[108]),
        14 => (Float::F16, &[208]),
        34 => (Float::F16, &[52]),
        35 => (Float::F16, &[64]),
        _ => return None,
    })
}

impl Float {
    /// The first that isn't finite of those that stand `place` bytes into each block of `each` bytes.
    fn find_odd(self, bytes: &[u8], each: usize, place: usize) -> Option<f32> {
        // Without an end at the first, the compiler looks at many at once.
        let none = match (self, each) {
            (Float::F32, 4) => {
                bytes.as_chunks().0.iter().fold(true, |none, value| none & f32::from_le_bytes(*value).is_finite())
            }
            (_, 2) => bytes.as_chunks().0.iter().fold(true, |none, value| none & self.is_finite(*value)),
            _ => false,
        };
        let mut blocks = bytes.chunks_exact(each).filter(|_| !none);
        blocks.find_map(|block| self.odd(&block[place..]))
    }

    /// The float that begins here, if it isn't finite.
    fn odd(self, bytes: &[u8]) -> Option<f32> {
        if let Float::F32 = self {
            return Some(f32::from_le_bytes(*bytes.first_chunk()?)).filter(|value| !value.is_finite());
        }
        let half = *bytes.first_chunk()?;
        let infinity = if half[1] & 0x80 == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        let value = if u16::from_le_bytes(half) & 0x7FFF == self.exponent() { infinity } else { f32::NAN };
        (!self.is_finite(half)).then_some(value)
    }

    fn is_finite(self, half: [u8; 2]) -> bool {
        u16::from_le_bytes(half) & self.exponent() != self.exponent()
    }

    /// The bits of 16 that are all set in NaN and infinity.
    fn exponent(self) -> u16 {
        if matches!(self, Float::F16) { 0x7C00 } else { 0x7F80 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which floats of each type are looked at is tested against llama.cpp, beside its bindings.
    #[test]
    fn the_first_value_that_is_no_number_is_found_in_any_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let (count, behind) = (PART + 100, 7);
        for (dtype, width) in [(0, 4), (1, 2), (30, 2)] {
            let bytes = (count * width) as u64;
            let tensor = Tensor { shape: vec![count as u64], dtype, part: 0, offset: behind, bytes: Some(bytes) };
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in [0, PART / width, count - 1] {
                    let mut file = vec![0x33; behind as usize + count * width];
                    let half = (odd.to_bits() >> 16) as u16;
                    let half = if dtype == 1 { half & 0x8000 | 0x7C00 | (half & 0x7F) << 3 } else { half };
                    let end = behind as usize + (at + 1) * width;
                    file[end - 2..end].copy_from_slice(&half.to_le_bytes());
                    if dtype == 0 {
                        file[end - 4..end - 2].fill(0);
                    }
                    std::fs::write(&path, file).unwrap();
                    let found = of_tensor(&path, &tensor).unwrap();
                    assert_eq!(found.map(f32::to_bits), Some(odd.to_bits()), "{odd} at {at} of type {dtype}");
                }
            }
            std::fs::write(&path, vec![0x33; behind as usize + count * width]).unwrap();
            assert_eq!(of_tensor(&path, &tensor).unwrap(), None);
        }
    }
}
