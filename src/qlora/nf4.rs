//! NF4 (Dettmers et al. 2023) as bitsandbytes has it, bit for bit: blocks of 64 values share a maximum, two values a
//! byte, the even one in the high half; the maxima may be quantised to 8 bits themselves.

use rayon::prelude::*;

/// Values that share a maximum.
pub const BLOCK: usize = 64;
/// Maxima that share a maximum of their own.
pub const NESTED_BLOCK: usize = 256;
/// The values that four bits stand for, relative to their block's maximum.
pub const CODE: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];
/// What the two halves of every byte stand for, the high one first.
static PAIRS: [[f32; 2]; 256] = {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [CODE[byte >> 4], CODE[byte & 0xF]];
        byte += 1;
    }
    pairs
};
/// Stands for a maximum of 0, which nothing can be divided by.
const TINY: f32 = 1e-38;

/// A quantised tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Nf4 {
    /// How many values there are.
    pub len: usize,
    /// Two values a byte: `[⌈len / 2⌉]`.
    pub packed: Vec<u8>,
    /// The largest absolute value of each block: `[⌈len / 64⌉]`.
    pub absmax: Absmax,
}

/// The largest absolute value of each block.
#[derive(Debug, Clone, PartialEq)]
pub enum Absmax {
    /// In 32 bits.
    Plain(Vec<f32>),
    /// Their differences from their mean, in 8 bits (double quantisation).
    Nested(Nested),
}

/// Maxima in 8 bits: `map[codes[block]] × absmax[block / 256] + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    /// Each block's code: `[blocks]`.
    pub codes: Vec<u8>,
    /// What the codes of each 256 blocks are multiplied by: `[⌈blocks / 256⌉]`.
    pub absmax: Vec<f32>,
    /// The mean of all maxima.
    pub offset: f32,
    /// What a code stands for, ascending: `[256]`.
    pub map: Vec<f32>,
}

impl Nf4 {
    /// Quantises values. Where one isn't finite, its block's largest isn't, and so no value of the block.
    pub fn quantise(values: &[f32]) -> Nf4 {
        let bounds: [f32; 15] = std::array::from_fn(|index| (CODE[index] + CODE[index + 1]) / 2.0);
        let mut packed = vec![0; values.len().div_ceil(2)];
        let mut absmax = vec![0.0; values.len().div_ceil(BLOCK)];
        let block = |((packed, absmax), values): ((&mut [u8], &mut f32), &[f32])| {
            let (largest, whole) = (largest(values), values.len() == BLOCK);
            *absmax = if whole || largest.is_nan() { largest } else { largest.max(TINY) };
            for (index, value) in values.iter().enumerate() {
                let value = scaled(*value, largest, whole);
                let code = bounds.iter().filter(|bound| **bound < value).count() as u8;
                packed[index / 2] |= if index.is_multiple_of(2) { code << 4 } else { code };
            }
        };
        let blocks = packed.par_chunks_mut(BLOCK / 2).zip(&mut absmax).zip(values.par_chunks(BLOCK));
        blocks.with_min_len(256).for_each(block);
        // The half byte that is left over holds the code of 0, as bitsandbytes has it.
        if !values.len().is_multiple_of(2) {
            packed[values.len() / 2] |= 7;
        }
        Nf4 { len: values.len(), packed, absmax: Absmax::Plain(absmax) }
    }

    /// Quantises the maxima too, less their mean.
    pub fn nested(self) -> Nf4 {
        let Absmax::Plain(maxima) = self.absmax else { return self };
        Nf4 { absmax: Absmax::Nested(Nested::new(&maxima)), ..self }
    }

    /// The largest absolute value of each block, in 32 bits.
    pub fn maxima(&self) -> Vec<f32> {
        match &self.absmax {
            Absmax::Plain(maxima) => maxima.clone(),
            Absmax::Nested(nested) => nested.dequantise(),
        }
    }

    /// The values that the codes stand for.
    pub fn dequantise(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len];
        self.dequantise_into(&self.maxima(), 0, &mut values);
        values
    }

    /// The values from `start` on, counted row-major; `maxima` are [`Nf4::maxima`].
    pub fn dequantise_into(&self, maxima: &[f32], start: usize, mut values: &mut [f32]) {
        let mut at = start;
        while !values.is_empty() {
            let count = values.len().min(BLOCK - at % BLOCK);
            let (now, later) = values.split_at_mut(count);
            let maximum = maxima[at / BLOCK];
            let (first, now) = now.split_at_mut(at % 2);
            first.iter_mut().for_each(|value| *value = PAIRS[usize::from(self.packed[at / 2])][1] * maximum);
            let bytes = &self.packed[at.div_ceil(2)..];
            let (pairs, last) = now.as_chunks_mut::<2>();
            for (pair, byte) in pairs.iter_mut().zip(bytes) {
                *pair = PAIRS[usize::from(*byte)].map(|value| value * maximum);
            }
            last.iter_mut().for_each(|value| *value = PAIRS[usize::from(bytes[pairs.len()])][0] * maximum);
            (at, values) = (at + count, later);
        }
    }
}

impl Nested {
    /// Quantises maxima less their mean.
    pub fn new(maxima: &[f32]) -> Nested {
        let mean = maxima.iter().map(|value| f64::from(*value)).sum::<f64>() / maxima.len().max(1) as f64;
        Nested::quantise(maxima, mean as f32)
    }

    /// Quantises maxima less `offset`.
    pub fn quantise(maxima: &[f32], offset: f32) -> Nested {
        let map = dynamic_map();
        let bounds: Vec<f32> = map.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
        let mut codes = vec![0; maxima.len()];
        let quantise = |(codes, block): (&mut [u8], &[f32])| {
            let centred: Vec<f32> = block.iter().map(|value| value - offset).collect();
            let largest = largest(&centred);
            // bitsandbytes on a CPU looks codes up by 16 bits of the value, which puts what lies within 10⁻⁵ of a
            // boundary on either side. Where all maxima are the mean its search for 0 / 0 ends at the first code; any
            // stands for 0.
            const STEPS: f32 = 65535.0;
            for (code, value) in codes.iter_mut().zip(&centred).filter(|_| largest > 0.0) {
                let step = ((scaled(*value, largest, true) + 1.0) * 0.5 * STEPS + 0.5).floor();
                let value = step / STEPS * 2.0 - 1.0;
                *code = bounds.partition_point(|bound| *bound < value) as u8;
            }
            largest
        };
        let blocks = codes.par_chunks_mut(NESTED_BLOCK).zip(maxima.par_chunks(NESTED_BLOCK));
        let absmax = blocks.map(quantise).collect();
        Nested { codes, absmax, offset, map }
    }

    fn dequantise(&self) -> Vec<f32> {
        let value = |(block, code): (usize, &u8)| {
            self.map[usize::from(*code)] * self.absmax[block / NESTED_BLOCK] + self.offset
        };
        self.codes.iter().enumerate().map(value).collect()
    }
}

/// The largest absolute value. By their bits, absolute values are in order, with NaN above all others.
fn largest(values: &[f32]) -> f32 {
    f32::from_bits(values.iter().fold(0, |largest, value| largest.max(value.abs().to_bits())))
}

/// A value relative to its block's largest, as bitsandbytes computes it: times the inverse in whole blocks, divided in
/// the last, shorter one.
fn scaled(value: f32, largest: f32, whole: bool) -> f32 {
    let largest = largest.max(TINY);
    let scaled = if whole { value * (1.0 / largest) } else { value / largest };
    scaled.clamp(-1.0, 1.0)
}

/// The signed dynamic 8-bit map (Dettmers 2016), ascending: seven decades, each with twice the steps of the one below;
/// 0 and 1. What torch computes differs in the last bit from CPU to CPU, so a checkpoint stores the map it was made
/// with.
pub fn dynamic_map() -> Vec<f32> {
    let mut map = vec![0.0, 1.0];
    for decade in 0..7 {
        let steps = 1 << decade;
        for step in 0..steps {
            let middle = 0.1 + 0.9 * (f64::from(step) + 0.5) / f64::from(steps);
            let value = (middle * 10f64.powi(decade - 6)) as f32;
            map.extend([value, -value]);
        }
    }
    map.sort_by(f32::total_cmp);
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_value_is_further_off_than_half_a_step(
            values in proptest::collection::vec(-3f32..3.0, 1..400),
            nested: bool,
        ) {
            let quantised = Nf4::quantise(&values);
            let quantised = if nested { quantised.nested() } else { quantised };
            let found = quantised.dequantise();
            proptest::prop_assert_eq!(found.len(), values.len());
            let plain: Vec<f32> = values.chunks(BLOCK).map(largest).collect();
            for (index, (found, value)) in found.iter().zip(&values).enumerate() {
                // Half of the widest step, and what the maximum is off.
                let off = (quantised.maxima()[index / BLOCK] - plain[index / BLOCK]).abs();
                let most = 0.152 * plain[index / BLOCK] + off + 1e-6;
                proptest::prop_assert!((found - value).abs() <= most, "{} for {}", found, value);
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for odd in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (at, block) in [(5, 0..64), (127, 64..128), (128, 128..130)] {
                let mut values = [0.5; 130];
                values[at] = odd;
                let found = Nf4::quantise(&values).dequantise();
                for (index, value) in found.iter().enumerate() {
                    assert_eq!(value.is_finite(), !block.contains(&index), "{odd} at {at}: {value} at {index}");
                }
                let nested = Nf4::quantise(&values).nested().dequantise();
                assert!(nested[block].iter().all(|value| !value.is_finite()), "{odd} at {at}, nested");
            }
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        assert!(Nf4::quantise(&[0.0; 130]).dequantise().iter().all(|value| *value == 0.0));
        assert!(Nf4::quantise(&[]).dequantise().is_empty());
    }
}
