//! Rows of weights, as they lie in the file, times packed activations.

use std::arch::x86_64::*;
use std::ops::Range;

use super::pack::PackedBlock;
use super::{BLOCK, LANES, Product, WEIGHT_BLOCK};
use crate::llama::kernels::groups_at_once;

impl Product {
    /// Computes some rows for all tokens.
    ///
    /// # Safety
    /// As for [`Product::pack`], which all threads have finished.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn multiply(&self, work: *mut u8, rows: Range<usize>) {
        let packed = Self::packed(work);
        let groups = self.groups();
        let mut group = 0;
        while group < groups {
            let width = groups_at_once(groups - group);
            let mut row = rows.start;
            // SAFETY: as promised by the caller.
            unsafe {
                while row < rows.end {
                    let left = rows.end - row;
                    row += match width {
                        3 if left >= 4 => self.tile::<4, 3>(packed, row, group),
                        2 if left >= 6 => self.tile::<6, 2>(packed, row, group),
                        1 if left >= 8 => self.tile::<8, 1>(packed, row, group),
                        3 => self.tile::<1, 3>(packed, row, group),
                        2 => self.tile::<1, 2>(packed, row, group),
                        _ => self.tile::<1, 1>(packed, row, group),
                    }
                }
            }
            group += width;
        }
    }

    /// `ROWS` rows for `GROUPS` × 16 tokens; returns `ROWS`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    #[expect(clippy::needless_range_loop, reason = "indices are unrolled to registers, iterators over arrays are not")]
    unsafe fn tile<const ROWS: usize, const GROUPS: usize>(
        &self,
        packed: *const PackedBlock,
        row: usize,
        group: usize,
    ) -> usize {
        let blocks = self.blocks();
        // Hidden from LLVM 21, which never ends when it sees this constant go into `vpdpbusd` on some CPUs.
        let sign = _mm512_set1_epi32(std::hint::black_box(0x8080_8080_u32 as i32));
        let mut sums = [[_mm512_setzero_ps(); GROUPS]; ROWS];
        // SAFETY: as promised by the caller of `multiply`.
        unsafe {
            let rows: [*const u8; ROWS] = std::array::from_fn(|r| self.weights.add((row + r) * self.weights_stride));
            let ahead = ROWS * self.weights_stride;
            let packed = packed.add(group * blocks);
            for block in 0..blocks {
                let at = block * WEIGHT_BLOCK;
                let mut tokens = [packed; GROUPS];
                for g in 0..GROUPS {
                    tokens[g] = packed.add(g * blocks + block);
                }
                let mut products = [[_mm512_setzero_si512(); GROUPS]; ROWS];
                for g in 0..GROUPS {
                    let start = _mm512_load_si512((&raw const (*tokens[g]).starts).cast());
                    for r in 0..ROWS {
                        products[r][g] = start;
                    }
                }
                for four in 0..BLOCK / 4 {
                    let mut inputs = [_mm512_setzero_si512(); GROUPS];
                    for g in 0..GROUPS {
                        inputs[g] = _mm512_load_si512((&raw const (*tokens[g]).quants[four]).cast());
                    }
                    for r in 0..ROWS {
                        let bytes = rows[r].add(at + 2 + 4 * four).cast::<i32>();
                        let weight = _mm512_xor_si512(_mm512_set1_epi32(bytes.read_unaligned()), sign);
                        for g in 0..GROUPS {
                            products[r][g] = _mm512_dpbusd_epi32(products[r][g], weight, inputs[g]);
                        }
                    }
                }
                // The next tile's rows come from memory, not from a cache.
                for r in 0..ROWS {
                    _mm_prefetch::<_MM_HINT_T0>(rows[r].wrapping_add(ahead + at).cast());
                }
                let mut scales = [_mm512_setzero_ps(); GROUPS];
                for g in 0..GROUPS {
                    scales[g] = _mm512_load_ps((&raw const (*tokens[g]).scales).cast());
                }
                for r in 0..ROWS {
                    let half = rows[r].add(at).cast::<i16>().read_unaligned();
                    let scale = _mm512_cvtph_ps(_mm256_set1_epi16(half));
                    for g in 0..GROUPS {
                        let product = _mm512_cvtepi32_ps(products[r][g]);
                        sums[r][g] = _mm512_fmadd_ps(product, _mm512_mul_ps(scale, scales[g]), sums[r][g]);
                    }
                }
            }
            for g in 0..GROUPS {
                let first = (group + g) * LANES;
                let count = (self.tokens - first).min(LANES);
                let mut lanes = [[0f32; LANES]; ROWS];
                for (lanes, sums) in lanes.iter_mut().zip(&sums) {
                    _mm512_storeu_ps(lanes.as_mut_ptr(), sums[g]);
                }
                for lane in 0..count {
                    let output = self.output.add((first + lane) * self.output_stride + row);
                    for (r, lanes) in lanes.iter().enumerate() {
                        *output.add(r) = lanes[lane];
                    }
                }
            }
        }
        ROWS
    }
}
