//! A tile of keys and values: scores, the softmax so far, and the sums of values under it.

use std::arch::x86_64::*;

use super::floats::exp;
use super::scratch::Scratch;
use super::sums::Sums;
use super::{Attention, LANES, TILE};
use crate::llama::kernels::groups_at_once;

impl Attention {
    /// Scores a tile of keys and takes in their values.
    ///
    /// # Safety
    /// As for [`Attention::attend`]; `scratch` holds the tile.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn take_in(&self, scratch: &Scratch) {
        let groups = self.groups();
        // SAFETY: as promised by the caller.
        unsafe {
            let one = _mm512_set1_ps(1.0);
            for group in 0..groups {
                std::ptr::copy_nonoverlapping(scratch.mask, scratch.weights.add(group * TILE), TILE);
            }
            let mut group = 0;
            while group < groups {
                let width = groups_at_once(groups - group);
                let scores = Sums {
                    broadcast: scratch.keys,
                    along: 1,
                    across: self.size,
                    steps: self.size,
                    lanes: scratch.queries.add(group * self.size),
                    result: scratch.weights.add(group * TILE),
                    rows: TILE,
                };
                scores.add(width, &[one; 3]);
                for group in group..group + width {
                    self.weigh(scratch, group);
                }
                let values = Sums {
                    broadcast: scratch.values,
                    along: self.size,
                    across: 1,
                    steps: TILE,
                    lanes: scratch.weights.add(group * TILE),
                    result: scratch.sums.add(group * self.size),
                    rows: self.size,
                };
                let fading =
                    std::array::from_fn(|g| _mm512_load_ps((*scratch.fading.add(group + g.min(width - 1))).as_ptr()));
                values.add(width, &fading);
                group += width;
            }
        }
    }

    /// Turns the scores of a tile into weights, relative to the largest score so far.
    ///
    /// # Safety
    /// As for [`Attention::attend`]; `scratch.weights` holds scores.
    #[target_feature(enable = "avx512f")]
    unsafe fn weigh(&self, scratch: &Scratch, group: usize) {
        // SAFETY: as promised by the caller.
        unsafe {
            let weights = scratch.weights.add(group * TILE).cast::<f32>();
            let (largest_at, total_at) = (scratch.largest.add(group).cast(), scratch.total.add(group).cast());
            let before = _mm512_load_ps(largest_at);
            let mut largest = before;
            for key in 0..TILE {
                largest = _mm512_max_ps(largest, _mm512_load_ps(weights.add(key * LANES)));
            }
            let fading = exp(_mm512_sub_ps(before, largest));
            let mut total = _mm512_mul_ps(_mm512_load_ps(total_at), fading);
            for key in 0..TILE {
                let at = weights.add(key * LANES);
                let weight = exp(_mm512_sub_ps(_mm512_load_ps(at), largest));
                total = _mm512_add_ps(total, weight);
                _mm512_store_ps(at, weight);
            }
            _mm512_store_ps(largest_at, largest);
            _mm512_store_ps(total_at, total);
            _mm512_store_ps(scratch.fading.add(group).cast(), fading);
        }
    }
}
