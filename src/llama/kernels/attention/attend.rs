//! A piece of the work: the queries of some tokens and of the heads that share keys and values, against all these keys.

use std::arch::x86_64::*;

use super::floats::load;
use super::scratch::Scratch;
use super::{Attention, LANES, NOTHING, TILE};

/// The queries of a piece of the work.
#[derive(Clone, Copy)]
struct Block {
    kv_head: usize,
    first_token: usize,
    tokens: usize,
    stream: usize,
}

impl Attention {
    /// One of [`Attention::items`].
    ///
    /// # Safety
    /// The tensors are good for their shapes, `work` for `work_bytes` of more threads than `thread`, which no other
    /// thread is, and the CPU has AVX-512 F.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn attend(&self, item: usize, work: *mut u8, thread: usize) {
        let block = self.block(item);
        // SAFETY: as promised by the caller.
        unsafe {
            let scratch = self.scratch(work, thread);
            self.begin(&scratch, block);
            for start in (0..self.cells).step_by(TILE) {
                let seen = self.load_mask(&scratch, block, start);
                if seen != 0 {
                    for (tensor, to) in [(&self.keys, scratch.keys), (&self.values, scratch.values)] {
                        let from = tensor.at([start, block.kv_head, block.stream]);
                        load(to, from, tensor.strides[0], self.size, seen);
                    }
                    self.take_in(&scratch);
                }
            }
            self.finish(&scratch, block);
        }
    }

    fn block(&self, item: usize) -> Block {
        let first_token = item / self.kv_heads % self.blocks() * LANES;
        Block {
            kv_head: item % self.kv_heads,
            first_token,
            tokens: (self.tokens - first_token).min(LANES),
            stream: item / self.kv_heads / self.blocks(),
        }
    }

    /// Token, head and stream of a lane, if it has a query.
    fn query(&self, block: Block, group: usize, lane: usize) -> Option<[usize; 3]> {
        // The head is counted among those that share keys.
        let (token, head) = if self.lanes_are_heads() { (0, group * LANES + lane) } else { (lane, group) };
        (token < block.tokens && head < self.sharing()).then_some([
            block.first_token + token,
            block.kv_head * self.sharing() + head,
            block.stream,
        ])
    }

    /// Loads the queries; nothing is seen yet.
    ///
    /// # Safety
    /// As for [`Attention::attend`].
    #[target_feature(enable = "avx512f")]
    unsafe fn begin(&self, scratch: &Scratch, block: Block) {
        let groups = self.groups();
        // SAFETY: as promised by the caller.
        unsafe {
            for group in 0..groups {
                for lane in 0..LANES {
                    let from = self.query(block, group, lane).map(|query| self.queries.at::<f32>(query));
                    for element in 0..self.size {
                        let to = &mut *scratch.queries.add(group * self.size + element);
                        to[lane] = from.map_or(0.0, |from| *from.add(element) * self.scale);
                    }
                }
                *scratch.largest.add(group) = [NOTHING; LANES];
                *scratch.total.add(group) = [0.0; LANES];
            }
            scratch.sums.write_bytes(0, groups * self.size);
        }
    }

    /// The mask of a tile of cells, cells beyond the last masked; a bit for each that some query sees.
    ///
    /// # Safety
    /// As for [`Attention::attend`].
    #[target_feature(enable = "avx512f")]
    unsafe fn load_mask(&self, scratch: &Scratch, block: Block, start: usize) -> u32 {
        let mut seen = 0;
        let shared = self.lanes_are_heads();
        for lane in 0..LANES {
            for half in (0..TILE).step_by(LANES) {
                let cells = self.cells.saturating_sub(start + half).min(LANES);
                let there = ((1u32 << cells) - 1) as __mmask16;
                // SAFETY: as promised by the caller; nothing is read beyond the last cell and token.
                unsafe {
                    let mut mask = _mm512_set1_ps(f32::NEG_INFINITY);
                    // Heads of one token see the same. A lane without a token sees nothing.
                    if lane < block.tokens {
                        let from: *const u16 = self.mask.at([block.first_token + lane, 0, block.stream]);
                        let mut halves = [0u16; LANES];
                        std::ptr::copy_nonoverlapping(from.add(start + half), halves.as_mut_ptr(), cells);
                        mask = _mm512_mask_cvtph_ps(mask, there, _mm256_loadu_si256(halves.as_ptr().cast()));
                    }
                    let sees = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(mask, _mm512_set1_ps(NOTHING));
                    seen |= u32::from(sees) << half;
                    let mut values = [0f32; LANES];
                    _mm512_storeu_ps(values.as_mut_ptr(), mask);
                    for (cell, value) in values.into_iter().enumerate() {
                        let to = &mut *scratch.mask.add(half + cell);
                        if shared {
                            *to = [value; LANES];
                        } else {
                            to[lane] = value;
                        }
                    }
                }
            }
            if shared {
                break;
            }
        }
        seen
    }

    /// Whether a token sees any cell.
    ///
    /// # Safety
    /// The index is that of a row of the mask.
    unsafe fn sees(&self, row: [usize; 3]) -> bool {
        const MASKED: u16 = 0xFC00;
        // SAFETY: as promised by the caller.
        unsafe { std::slice::from_raw_parts(self.mask.at::<u16>(row), self.cells) }.iter().any(|cell| *cell != MASKED)
    }

    /// Writes what the queries have seen; nothing is 0.
    ///
    /// # Safety
    /// As for [`Attention::attend`].
    #[target_feature(enable = "avx512f")]
    unsafe fn finish(&self, scratch: &Scratch, block: Block) {
        for group in 0..self.groups() {
            for lane in 0..LANES {
                let Some([token, head, stream]) = self.query(block, group, lane) else { continue };
                // SAFETY: as promised by the caller.
                unsafe {
                    let to = self.output.at::<f32>([head, token, stream]);
                    let total = (*scratch.total.add(group))[lane];
                    // Scores of −∞ add up to 0 too, and come of what isn't finite: 0 / 0.
                    let factor = if total == 0.0 && !self.sees([token, 0, stream]) { 0.0 } else { 1.0 / total };
                    for element in 0..self.size {
                        *to.add(element) = (*scratch.sums.add(group * self.size + element))[lane] * factor;
                    }
                }
            }
        }
    }
}
