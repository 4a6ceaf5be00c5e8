//! Both products of attention: sums of what is broadcast times the lanes of registers.

use std::arch::x86_64::*;

use super::{LANES, Lanes};

/// Keys, or elements of a value, whose sums are in registers at once.
const ROWS: usize = 8;

/// `result[group][row] = result[group][row] × factor[group] + Σ_step broadcast[step][row] · lanes[group][step]`
pub(super) struct Sums {
    /// [steps, rows] by the strides below
    pub broadcast: *const f32,
    /// Elements from one step to the next.
    pub along: usize,
    /// Elements from one row to the next.
    pub across: usize,
    pub steps: usize,
    /// [groups, steps]
    pub lanes: *const Lanes,
    /// [groups, rows]
    pub result: *mut Lanes,
    /// A multiple of [`ROWS`].
    pub rows: usize,
}

impl Sums {
    /// Computes all rows for some groups.
    ///
    /// # Safety
    /// All pointers are good for their shapes with `groups` from 1 to 3, and the CPU has AVX-512 F.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub unsafe fn add(&self, groups: usize, factors: &[__m512; 3]) {
        for row in (0..self.rows).step_by(ROWS) {
            // SAFETY: as promised by the caller.
            unsafe {
                match groups {
                    1 => self.add_rows::<1>(row, factors),
                    2 => self.add_rows::<2>(row, factors),
                    _ => self.add_rows::<3>(row, factors),
                }
            }
        }
    }

    /// [`ROWS`] rows from `row` on, whose sums stay in registers.
    ///
    /// # Safety
    /// As for [`Sums::add`].
    #[target_feature(enable = "avx512f")]
    #[expect(clippy::needless_range_loop, reason = "indices are unrolled to registers, iterators over arrays are not")]
    unsafe fn add_rows<const GROUPS: usize>(&self, row: usize, factors: &[__m512; 3]) {
        let mut sums = [[_mm512_setzero_ps(); GROUPS]; ROWS];
        // SAFETY: as promised by the caller.
        unsafe {
            let mut broadcast = self.broadcast.add(row * self.across);
            let mut lanes = self.lanes.cast::<f32>();
            for _ in 0..self.steps {
                let mut queries = [_mm512_setzero_ps(); GROUPS];
                for g in 0..GROUPS {
                    queries[g] = _mm512_load_ps(lanes.add(g * self.steps * LANES));
                }
                for r in 0..ROWS {
                    let value = _mm512_set1_ps(*broadcast.add(r * self.across));
                    for g in 0..GROUPS {
                        sums[r][g] = _mm512_fmadd_ps(value, queries[g], sums[r][g]);
                    }
                }
                broadcast = broadcast.add(self.along);
                lanes = lanes.add(LANES);
            }
            for r in 0..ROWS {
                for g in 0..GROUPS {
                    let to = self.result.add(g * self.rows + row + r).cast::<f32>();
                    _mm512_store_ps(to, _mm512_fmadd_ps(_mm512_load_ps(to), factors[g], sums[r][g]));
                }
            }
        }
    }
}
