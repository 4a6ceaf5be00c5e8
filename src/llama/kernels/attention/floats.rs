//! Numbers: 16-bit floats as 32-bit ones, and powers of e.

use std::arch::x86_64::*;

use super::{LANES, TILE};

/// A tile of 16-bit floats, `size` a row and `stride` bytes apart, as 32-bit ones. A row whose bit isn't set in `seen` is
/// zeros: it may hold NaN, which a weight of 0 wouldn't take out.
///
/// # Safety
/// `from` is good for the rows that are seen, `to` for a tile, and the CPU has AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn load(to: *mut f32, from: *const u8, stride: usize, size: usize, seen: u32) {
    // SAFETY: as promised by the caller.
    unsafe {
        for row in 0..TILE {
            if seen >> row & 1 == 0 {
                to.add(row * size).write_bytes(0, size);
                continue;
            }
            let from = from.add(row * stride);
            for element in (0..size).step_by(LANES) {
                // The next tile comes from memory, not from a cache, when it is the turn of another text.
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(TILE * stride + 2 * element).cast());
                let halves = _mm256_loadu_si256(from.add(2 * element).cast());
                _mm512_store_ps(to.add(row * size + element), _mm512_cvtph_ps(halves));
            }
        }
    }
}

/// eˣ for x ≤ 0, within two units in the last place; 0 below −104, NaN of NaN.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn exp(x: __m512) -> __m512 {
    /// Taylor's, highest first: on |r| ≤ ln 2 / 2 what follows them is below 2⁻²⁷.
    const COEFFICIENTS: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    // Of a pair with NaN the second is taken.
    let x = _mm512_max_ps(_mm512_set1_ps(-104.0), x);
    let power = _mm512_roundscale_ps::<0x08>(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)));
    // ln 2 in two parts: the first has few enough bits for its product to be exact.
    let rest = _mm512_fnmadd_ps(power, _mm512_set1_ps(0.693_359_4), x);
    let rest = _mm512_fnmadd_ps(power, _mm512_set1_ps(-2.121_944_4e-4), rest);
    let mut sum = _mm512_set1_ps(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(*coefficient));
    }
    _mm512_scalef_ps(sum, power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::kernels::available;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        if !available() {
            eprintln!("skipped: this CPU has no AVX-512 VNNI");
            return;
        }
        for step in 0..200_000 {
            let x = step as f32 * -87.0 / 200_000.0;
            let mut found = [0f32; LANES];
            // SAFETY: the CPU was asked above.
            unsafe { _mm512_storeu_ps(found.as_mut_ptr(), exp_of(x)) };
            let expected = f64::from(x).exp();
            let unit = f64::from(f32::from_bits((expected as f32).to_bits() + 1)) - f64::from(expected as f32);
            assert!((f64::from(found[0]) - expected).abs() <= 2.0 * unit, "{x}: {} for {expected}", found[0]);
        }
        // SAFETY: the CPU was asked above.
        assert_eq!(unsafe { _mm512_reduce_max_ps(exp_of(f32::NEG_INFINITY)) }, 0.0);
        // SAFETY: the CPU was asked above.
        assert!(unsafe { _mm512_reduce_add_ps(exp_of(f32::NAN)) }.is_nan());
    }

    #[target_feature(enable = "avx512f")]
    fn exp_of(x: f32) -> __m512 {
        exp(_mm512_set1_ps(x))
    }
}
