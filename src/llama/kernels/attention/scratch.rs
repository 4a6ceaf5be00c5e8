//! What a thread works in: its part of ggml's work buffer.

use super::{Attention, LANES, Lanes, TILE};

/// A thread's memory, in floats of a work buffer. `groups` registers of queries are attended to at once.
pub(super) struct Scratch {
    /// [groups, size, lanes], scaled
    pub queries: *mut Lanes,
    /// [groups, size, lanes], sums of values under the weights so far
    pub sums: *mut Lanes,
    /// [groups, tile, lanes], scores and then weights
    pub weights: *mut Lanes,
    /// [tile, lanes]
    pub mask: *mut Lanes,
    /// [groups, lanes], the largest score so far
    pub largest: *mut Lanes,
    /// [groups, lanes], the sum of weights so far
    pub total: *mut Lanes,
    /// [groups, lanes], what sums so far are to be multiplied by
    pub fading: *mut Lanes,
    /// [tile, size]
    pub keys: *mut f32,
    /// [tile, size]
    pub values: *mut f32,
}

impl Attention {
    fn lanes_of_a_thread(&self) -> usize {
        let groups = self.groups();
        groups * (2 * self.size + TILE + 3) + TILE + 2 * TILE * self.size / LANES
    }

    /// Bytes of work memory for all threads, room to align it included.
    pub fn work_bytes(&self, threads: usize) -> usize {
        threads * self.lanes_of_a_thread() * size_of::<Lanes>() + size_of::<Lanes>()
    }

    /// # Safety
    /// `work` has `work_bytes` for more threads than `thread`.
    pub(super) unsafe fn scratch(&self, work: *mut u8, thread: usize) -> Scratch {
        let offset = work.align_offset(size_of::<Lanes>());
        // SAFETY: these are `lanes_of_a_thread` in all.
        unsafe {
            let mut next = work.add(offset).cast::<Lanes>().add(thread * self.lanes_of_a_thread());
            let mut take = |lanes: usize| {
                let taken = next;
                next = next.add(lanes);
                taken
            };
            let groups = self.groups();
            Scratch {
                queries: take(groups * self.size),
                sums: take(groups * self.size),
                weights: take(groups * TILE),
                mask: take(TILE),
                largest: take(groups),
                total: take(groups),
                fading: take(groups),
                keys: take(TILE * self.size / LANES).cast(),
                values: take(TILE * self.size / LANES).cast(),
            }
        }
    }
}
