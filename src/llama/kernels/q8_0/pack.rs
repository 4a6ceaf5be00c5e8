//! Activations as a product takes them: in 8 bits, four elements of sixteen tokens side by side.

use std::arch::x86_64::*;

use super::{BLOCK, LANES, Product};

/// One block of 16 tokens.
#[repr(C, align(64))]
pub(super) struct PackedBlock {
    /// For each four elements, those of 16 tokens.
    pub quants: [[i32; LANES]; BLOCK / 4],
    pub scales: [f32; LANES],
    /// −128 × the sum of a token's quants.
    pub starts: [i32; LANES],
}

impl Product {
    pub(super) fn packed(work: *mut u8) -> *mut PackedBlock {
        let offset = work.align_offset(align_of::<PackedBlock>());
        // SAFETY: `work_bytes` has room for it.
        unsafe { work.add(offset) }.cast()
    }

    /// The part of packing that is this thread's.
    ///
    /// # Safety
    /// All pointers are good for their shapes, `work` for `work_bytes`, and the CPU has AVX-512 F, BW, VL and VNNI.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub unsafe fn pack(&self, work: *mut u8, thread: usize, threads: usize) {
        let packed = Self::packed(work);
        let items = self.groups() * self.blocks();
        for item in items * thread / threads..items * (thread + 1) / threads {
            let (group, block) = (item / self.blocks(), item % self.blocks());
            // SAFETY: as promised by the caller; no two threads have the same item.
            unsafe {
                let packed = &mut *packed.add(item);
                let mut quants = [[0i32; BLOCK / 4]; LANES];
                for (lane, quants) in quants.iter_mut().enumerate() {
                    let token = group * LANES + lane;
                    if token >= self.tokens {
                        packed.scales[lane] = 0.0;
                        packed.starts[lane] = 0;
                        continue;
                    }
                    let from = self.input.add(token * self.input_stride + block * BLOCK);
                    let (low, high) = (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)));
                    // A maximum drops NaN; as the scale it makes all sums of this token NaN.
                    let largest = match _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(low, high) {
                        0 => _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high))),
                        _ => f32::NAN,
                    };
                    let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
                    let inverse = _mm512_set1_ps(inverse);
                    let low = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
                    let high = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
                    packed.scales[lane] = largest / 127.0;
                    // What isn't finite is the least integer here, whose low byte is 0 and which drops out of this.
                    packed.starts[lane] = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high)).wrapping_mul(-128);
                    let bytes = quants.as_mut_ptr().cast::<__m128i>();
                    _mm_storeu_si128(bytes, _mm512_cvtepi32_epi8(low));
                    _mm_storeu_si128(bytes.add(1), _mm512_cvtepi32_epi8(high));
                }
                for (four, column) in packed.quants.iter_mut().enumerate() {
                    for (lane, place) in column.iter_mut().enumerate() {
                        *place = quants[lane][four];
                    }
                }
            }
        }
    }
}
