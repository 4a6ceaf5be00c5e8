//! Attention over a 16-bit cache, by AVX-512.
//!
//! Sixteen queries fill the lanes of a register: sixteen tokens of a head in prefill, the heads that share keys and
//! values in decoding. Keys and values are then broadcast, so the running softmax needs nothing across lanes, both
//! products have the same shape, and a tile of keys is converted to 32 bits once for all heads that share it.

use std::arch::x86_64::*;

use llama_cpp_sys_2::{GGML_OP_FLASH_ATTN_EXT, GGML_TYPE_F16, GGML_TYPE_F32, ggml_tensor};

use super::groups_at_once;

/// Queries in a register.
const LANES: usize = 16;
/// Keys that are scored before their values are summed.
const TILE: usize = 32;
/// Keys, or elements of a value, whose sums are in registers at once.
const ROWS: usize = 8;
/// Below every score, and finite, so that the difference of two is a number.
const NOTHING: f32 = -1e30;

type Lanes = [f32; LANES];

/// `output[token][head] = softmax(scale × queries[token][head] · keys + mask[token]) · values`, a stream at a time.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    output: Tensor,
    scale: f32,
    /// Elements of a head.
    size: usize,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    cells: usize,
    streams: usize,
}

/// Where a tensor lies, with the bytes from one index to the next in its dimensions 1, 2 and 3.
#[derive(Clone, Copy)]
struct Tensor {
    data: *mut u8,
    strides: [usize; 3],
}

impl Tensor {
    fn of(tensor: &ggml_tensor) -> Tensor {
        Tensor { data: tensor.data.cast(), strides: [tensor.nb[1], tensor.nb[2], tensor.nb[3]] }
    }

    /// # Safety
    /// The index is within the tensor.
    unsafe fn at<T>(&self, index: [usize; 3]) -> *mut T {
        let bytes: usize = index.iter().zip(self.strides).map(|(index, stride)| index * stride).sum();
        // SAFETY: as promised by the caller.
        unsafe { self.data.add(bytes) }.cast()
    }
}

/// A thread's memory, in floats of a work buffer. `groups` registers of queries are attended to at once.
struct Work {
    /// [groups, size, lanes], scaled
    queries: *mut Lanes,
    /// [groups, size, lanes], sums of values under the weights so far
    sums: *mut Lanes,
    /// [groups, tile, lanes], scores and then weights
    weights: *mut Lanes,
    /// [tile, lanes]
    mask: *mut Lanes,
    /// [groups, lanes], the largest score so far
    largest: *mut Lanes,
    /// [groups, lanes], the sum of weights so far
    total: *mut Lanes,
    /// [groups, lanes], what sums so far are to be multiplied by
    fading: *mut Lanes,
    /// [tile, size]
    keys: *mut f32,
    /// [tile, size]
    values: *mut f32,
}

impl Attention {
    /// # Safety
    /// `op` is a node of a graph.
    pub unsafe fn of(op: &ggml_tensor) -> Option<Attention> {
        if op.op != GGML_OP_FLASH_ATTN_EXT {
            return None;
        }
        // SAFETY: the sources of this operation are four tensors or none, and a fifth that we don't take.
        let [queries, keys, values, mask] = unsafe { [0, 1, 2, 3].map(|index| op.src[index].as_ref()) };
        let (queries, keys, values, mask) = (queries?, keys?, values?, mask?);
        let [scale, largest_bias, softcap] = [0, 1, 2].map(|index| f32::from_bits(op.op_params[index] as u32));
        let attention = Attention {
            queries: Tensor::of(queries),
            keys: Tensor::of(keys),
            values: Tensor::of(values),
            mask: Tensor::of(mask),
            output: Tensor::of(op),
            scale,
            size: queries.ne[0] as usize,
            tokens: queries.ne[1] as usize,
            heads: queries.ne[2] as usize,
            kv_heads: keys.ne[2] as usize,
            cells: keys.ne[1] as usize,
            streams: queries.ne[3] as usize,
        };
        let ours = op.src[4].is_null()
            && largest_bias == 0.0
            && softcap == 0.0
            && queries.type_ == GGML_TYPE_F32
            && [keys, values, mask].iter().all(|tensor| tensor.type_ == GGML_TYPE_F16 && tensor.nb[0] == 2)
            && op.type_ == GGML_TYPE_F32
            && queries.nb[0] == 4
            && values.ne[0] == keys.ne[0]
            && values.ne[2] == keys.ne[2]
            && [keys, values, mask].iter().all(|tensor| tensor.ne[3] == queries.ne[3])
            && mask.ne[2] == 1
            && attention.size.is_multiple_of(LANES)
            && attention.heads.is_multiple_of(attention.kv_heads);
        ours.then_some(attention)
    }

    /// Query heads that share keys and values.
    fn sharing(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Whether the lanes are the heads of one token, rather than tokens of one head.
    fn lanes_are_heads(&self) -> bool {
        self.tokens == 1
    }

    fn groups(&self) -> usize {
        if self.lanes_are_heads() { self.sharing().div_ceil(LANES) } else { self.sharing() }
    }

    fn blocks(&self) -> usize {
        self.tokens.div_ceil(LANES)
    }

    /// Pieces of work that don't depend on each other.
    pub fn items(&self) -> usize {
        self.streams * self.blocks() * self.kv_heads
    }

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
    unsafe fn work(&self, work: *mut u8, thread: usize) -> Work {
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
            Work {
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

    /// One of [`Attention::items`].
    ///
    /// # Safety
    /// The tensors are good for their shapes, `work` for `work_bytes` of more threads than `thread`, which no other
    /// thread is, and the CPU has AVX-512 F.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn attend(&self, item: usize, work: *mut u8, thread: usize) {
        let kv_head = item % self.kv_heads;
        let first = item / self.kv_heads % self.blocks() * LANES;
        let stream = item / self.kv_heads / self.blocks();
        let tokens = (self.tokens - first).min(LANES);
        // The token and head of a lane, the head counted among those that share keys.
        let query = |group: usize, lane: usize| -> Option<[usize; 3]> {
            let (token, head) = if self.lanes_are_heads() { (0, group * LANES + lane) } else { (lane, group) };
            (token < tokens && head < self.sharing()).then_some([
                first + token,
                kv_head * self.sharing() + head,
                stream,
            ])
        };
        let groups = self.groups();
        // SAFETY: as promised by the caller.
        unsafe {
            let work = self.work(work, thread);
            for group in 0..groups {
                for lane in 0..LANES {
                    let from = query(group, lane).map(|query| self.queries.at::<f32>(query));
                    for element in 0..self.size {
                        let to = &mut *work.queries.add(group * self.size + element);
                        to[lane] = from.map_or(0.0, |from| *from.add(element) * self.scale);
                    }
                }
                *work.largest.add(group) = [NOTHING; LANES];
                *work.total.add(group) = [0.0; LANES];
            }
            work.sums.write_bytes(0, groups * self.size);

            for start in (0..self.cells).step_by(TILE) {
                if self.load_mask(&work, stream, first, tokens, start) {
                    let tile = (self.cells - start).min(TILE);
                    load(work.keys, self.keys.at([start, kv_head, stream]), self.keys.strides[0], self.size, tile);
                    load(
                        work.values,
                        self.values.at([start, kv_head, stream]),
                        self.values.strides[0],
                        self.size,
                        tile,
                    );
                    self.take_in(&work);
                }
            }

            for group in 0..groups {
                for lane in 0..LANES {
                    let Some([token, head, stream]) = query(group, lane) else { continue };
                    let to = self.output.at::<f32>([head, token, stream]);
                    let total = (*work.total.add(group))[lane];
                    let factor = if total == 0.0 { 0.0 } else { 1.0 / total };
                    for element in 0..self.size {
                        *to.add(element) = (*work.sums.add(group * self.size + element))[lane] * factor;
                    }
                }
            }
        }
    }

    /// The mask of a tile of cells, cells beyond the last masked; false if no query sees any of them.
    ///
    /// # Safety
    /// As for [`Attention::attend`].
    #[target_feature(enable = "avx512f")]
    unsafe fn load_mask(&self, work: &Work, stream: usize, first: usize, tokens: usize, start: usize) -> bool {
        let mut seen = false;
        let shared = self.lanes_are_heads();
        for lane in 0..LANES {
            for half in (0..TILE).step_by(LANES) {
                let cells = self.cells.saturating_sub(start + half).min(LANES);
                let there = ((1u32 << cells) - 1) as __mmask16;
                // SAFETY: as promised by the caller; nothing is read beyond the last cell and token.
                unsafe {
                    let mut mask = _mm512_set1_ps(f32::NEG_INFINITY);
                    // Heads of one token see the same. A lane without a token sees nothing.
                    if lane < tokens {
                        let from: *const u16 = self.mask.at([first + lane, 0, stream]);
                        let mut halves = [0u16; LANES];
                        std::ptr::copy_nonoverlapping(from.add(start + half), halves.as_mut_ptr(), cells);
                        mask = _mm512_mask_cvtph_ps(mask, there, _mm256_loadu_si256(halves.as_ptr().cast()));
                    }
                    let sees = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(mask, _mm512_set1_ps(NOTHING));
                    seen |= sees != 0;
                    let mut values = [0f32; LANES];
                    _mm512_storeu_ps(values.as_mut_ptr(), mask);
                    for (cell, value) in values.into_iter().enumerate() {
                        let to = &mut *work.mask.add(half + cell);
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

    /// Scores a tile of keys and takes in their values.
    ///
    /// # Safety
    /// As for [`Attention::attend`]; `work` holds the tile.
    #[target_feature(enable = "avx512f")]
    unsafe fn take_in(&self, work: &Work) {
        let groups = self.groups();
        // SAFETY: as promised by the caller.
        unsafe {
            let one = _mm512_set1_ps(1.0);
            for group in 0..groups {
                std::ptr::copy_nonoverlapping(work.mask, work.weights.add(group * TILE), TILE);
            }
            let mut group = 0;
            while group < groups {
                let width = groups_at_once(groups - group);
                let scores = Sums {
                    broadcast: work.keys,
                    along: 1,
                    across: self.size,
                    steps: self.size,
                    lanes: work.queries.add(group * self.size),
                    result: work.weights.add(group * TILE),
                    rows: TILE,
                };
                scores.add(width, &[one; 3]);
                for group in group..group + width {
                    self.weigh(work, group);
                }
                let values = Sums {
                    broadcast: work.values,
                    along: self.size,
                    across: 1,
                    steps: TILE,
                    lanes: work.weights.add(group * TILE),
                    result: work.sums.add(group * self.size),
                    rows: self.size,
                };
                let fading =
                    std::array::from_fn(|g| _mm512_load_ps((*work.fading.add(group + g.min(width - 1))).as_ptr()));
                values.add(width, &fading);
                group += width;
            }
        }
    }

    /// Turns the scores of a tile into weights, relative to the largest score so far.
    ///
    /// # Safety
    /// As for [`Attention::attend`]; `work.weights` holds scores.
    #[target_feature(enable = "avx512f")]
    unsafe fn weigh(&self, work: &Work, group: usize) {
        // SAFETY: as promised by the caller.
        unsafe {
            let weights = work.weights.add(group * TILE).cast::<f32>();
            let (largest_at, total_at) = (work.largest.add(group).cast(), work.total.add(group).cast());
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
            _mm512_store_ps(work.fading.add(group).cast(), fading);
        }
    }
}

/// `result[group][row] = result[group][row] × factor[group] + Σ_step broadcast[step][row] · lanes[group][step]`
struct Sums {
    /// [steps, rows] by the strides below
    broadcast: *const f32,
    /// Elements from one step to the next.
    along: usize,
    /// Elements from one row to the next.
    across: usize,
    steps: usize,
    /// [groups, steps]
    lanes: *const Lanes,
    /// [groups, rows]
    result: *mut Lanes,
    /// A multiple of [`ROWS`].
    rows: usize,
}

impl Sums {
    /// # Safety
    /// All pointers are good for their shapes with `groups` from 1 to 3, and the CPU has AVX-512 F.
    #[target_feature(enable = "avx512f")]
    unsafe fn add(&self, groups: usize, factors: &[__m512; 3]) {
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

/// Rows of 16-bit floats, `size` each and `stride` bytes apart, as 32-bit ones; zeros up to a whole tile.
///
/// # Safety
/// `from` is good for `rows`, `to` for a tile, and the CPU has AVX-512 F.
#[target_feature(enable = "avx512f")]
unsafe fn load(to: *mut f32, from: *const u8, stride: usize, size: usize, rows: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        for row in 0..rows {
            let from = from.add(row * stride);
            for element in (0..size).step_by(LANES) {
                // The next tile comes from memory, not from a cache, when it is the turn of another text.
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(TILE * stride + 2 * element).cast());
                let halves = _mm256_loadu_si256(from.add(2 * element).cast());
                _mm512_store_ps(to.add(row * size + element), _mm512_cvtph_ps(halves));
            }
        }
        to.add(rows * size).write_bytes(0, (TILE - rows) * size);
    }
}

/// eˣ for x ≤ 0, within two units in the last place; 0 below −104.
#[target_feature(enable = "avx512f")]
fn exp(x: __m512) -> __m512 {
    /// Taylor's, highest first: on |r| ≤ ln 2 / 2 what follows them is below 2⁻²⁷.
    const COEFFICIENTS: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let x = _mm512_max_ps(x, _mm512_set1_ps(-104.0));
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
    use rand::{RngExt, SeedableRng};

    unsafe extern "C" {
        fn ggml_cpu_init();
        fn ggml_cpu_fp32_to_fp16(from: *const f32, to: *mut u16, count: i64);
        fn ggml_cpu_fp16_to_fp32(from: *const u16, to: *mut f32, count: i64);
    }

    /// 16-bit floats, and what they are in 32 bits.
    fn halves(values: &[f32]) -> (Vec<u16>, Vec<f32>) {
        let (mut halves, mut rounded) = (vec![0; values.len()], vec![0.0; values.len()]);
        // SAFETY: as many of each; the first makes the tables that the others read.
        unsafe {
            ggml_cpu_init();
            ggml_cpu_fp32_to_fp16(values.as_ptr(), halves.as_mut_ptr(), values.len() as i64);
            ggml_cpu_fp16_to_fp32(halves.as_ptr(), rounded.as_mut_ptr(), values.len() as i64);
        }
        (halves, rounded)
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(96))]
        /// Against the definition in 64 bits: odd sizes, poisoned memory, cells that hold no number, tokens that see
        /// nothing.
        #[test]
        fn attention_is_its_definition(
            tokens in 1usize..40,
            kv_heads in 1usize..3,
            sharing in 1usize..19,
            registers in 1usize..9,
            cells in 1usize..150,
            streams in 1usize..3,
            blind in 0usize..60,
            seed: u64,
        ) {
            if !super::super::available() {
                eprintln!("skipped: this CPU has no AVX-512 VNNI");
                return Ok(());
            }
            let (size, heads) = (registers * LANES, kv_heads * sharing);
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut normal = |count: usize, spread: f32| -> Vec<f32> {
                (0..count).map(|_| spread * (0..6).map(|_| random.random_range(-1f32..1.0)).sum::<f32>()).collect()
            };
            let mut queries = normal(streams * heads * tokens * size, 1.0);
            let (mut keys, keys_read) = halves(&normal(streams * cells * kv_heads * size, 1.0));
            let (mut values, values_read) = halves(&normal(streams * cells * kv_heads * size, 1.0));
            let mut seen: Vec<f32> = normal(streams * tokens * cells, 1.0);
            for (index, seen) in seen.iter_mut().enumerate() {
                let token = index / cells % tokens;
                // Tokens see different stretches, whole tiles left out in the middle, and some nothing.
                let hidden = token == blind || index % cells < token || (32 + token..70).contains(&(index % cells));
                *seen = if hidden { f32::NEG_INFINITY } else { seen.min(0.0) };
            }
            let (mut mask, mask_read) = halves(&seen);
            let mut output = vec![123f32; streams * tokens * heads * size + 1];
            let attention = Attention {
                queries: Tensor {
                    data: queries.as_mut_ptr().cast(),
                    strides: [4 * size, 4 * size * tokens, 4 * size * tokens * heads],
                },
                keys: Tensor {
                    data: keys.as_mut_ptr().cast(),
                    strides: [2 * size * kv_heads, 2 * size, 2 * size * kv_heads * cells],
                },
                values: Tensor {
                    data: values.as_mut_ptr().cast(),
                    strides: [2 * size * kv_heads, 2 * size, 2 * size * kv_heads * cells],
                },
                mask: Tensor {
                    data: mask.as_mut_ptr().cast(),
                    strides: [2 * cells, 0, 2 * cells * tokens],
                },
                output: Tensor {
                    data: output.as_mut_ptr().cast(),
                    strides: [4 * size, 4 * size * heads, 4 * size * heads * tokens],
                },
                scale: 1.0 / (size as f32).sqrt(),
                size,
                tokens,
                heads,
                kv_heads,
                cells,
                streams,
            };
            let mut work = vec![0xFFu8; attention.work_bytes(2)];
            for item in 0..attention.items() {
                // SAFETY: all tensors fit their shapes, and the CPU was asked above.
                unsafe { attention.attend(item, work.as_mut_ptr(), item % 2) };
            }
            proptest::prop_assert_eq!(output.pop(), Some(123.0));
            for (index, found) in output.chunks(size).enumerate() {
                let (stream, token, head) = (index / heads / tokens, index / heads % tokens, index % heads);
                let query = &queries[((stream * heads + head) * tokens + token) * size..][..size];
                let row = |matrix: &[f32], cell: usize| -> Vec<f64> {
                    let from = ((stream * cells + cell) * kv_heads + head / sharing) * size;
                    matrix[from..from + size].iter().map(|value| f64::from(*value)).collect()
                };
                let weights: Vec<f64> = (0..cells).map(|cell| {
                    let score: f64 = row(&keys_read, cell).iter().zip(query).map(|(key, query)| key * f64::from(*query)).sum();
                    (score / (size as f64).sqrt() + f64::from(mask_read[(stream * tokens + token) * cells + cell])).exp()
                }).collect();
                let total: f64 = weights.iter().sum();
                for element in 0..size {
                    let sum: f64 = (0..cells).map(|cell| weights[cell] * row(&values_read, cell)[element]).sum();
                    let expected = if total == 0.0 { 0.0 } else { sum / total };
                    let found = f64::from(found[element]);
                    proptest::prop_assert!((found - expected).abs() <= 2e-5, "{found} for {expected} at {index}");
                }
            }
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        if !super::super::available() {
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
    }

    #[target_feature(enable = "avx512f")]
    fn exp_of(x: f32) -> __m512 {
        exp(_mm512_set1_ps(x))
    }
}
