//! Products of Q8_0 weights with 32-bit activations, by AVX-512 VNNI.
//!
//! Sixteen tokens fill the lanes of a register, so the weights are used as they lie in the file: four bytes of a row,
//! broadcast, against the same four inputs of sixteen tokens, is one instruction for 64 products. Activations are
//! quantised per token and block of 32, as llama.cpp does, and laid out for that once a product. `vpdpbusd` wants its
//! first factor unsigned: weights get 128 added by flipping their sign bit, and a block's sum starts at −128 × the sum
//! of its activations, which takes that out again exactly.

use std::arch::x86_64::*;
use std::ops::Range;

use llama_cpp_sys_2::{GGML_OP_MUL_MAT, GGML_TYPE_F32, GGML_TYPE_Q8_0, ggml_tensor};

use super::groups_at_once;

/// With fewer tokens than this too many lanes stay empty: a product takes as long as for 16.
const LEAST_TOKENS: i64 = 4;

/// Elements that share a scale, in weights and activations.
const BLOCK: usize = 32;
/// Bytes of a block of weights: a 16-bit scale, then 32 signed bytes.
const WEIGHT_BLOCK: usize = 2 + BLOCK;
/// Tokens in a register.
const LANES: usize = 16;

/// One block of 16 tokens.
#[repr(C, align(64))]
struct PackedBlock {
    /// For each four elements, those of 16 tokens.
    quants: [[i32; LANES]; BLOCK / 4],
    scales: [f32; LANES],
    /// −128 × the sum of a token's quants.
    starts: [i32; LANES],
}

/// `output[token][row] = Σ weights[row][k] · input[token][k]`
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// [rows, depth] in blocks.
    pub weights: *const u8,
    /// [tokens, depth]
    pub input: *const f32,
    /// [tokens, rows]
    pub output: *mut f32,
    /// Bytes from one row of weights to the next.
    pub weights_stride: usize,
    /// Elements from one token to the next.
    pub input_stride: usize,
    /// Elements from one token to the next.
    pub output_stride: usize,
    pub rows: usize,
    pub tokens: usize,
    /// A multiple of 32.
    pub depth: usize,
}

impl Product {
    /// # Safety
    /// `op` is a node of a graph.
    pub unsafe fn of(op: &ggml_tensor) -> Option<Product> {
        if op.op != GGML_OP_MUL_MAT {
            return None;
        }
        // SAFETY: a product has two sources.
        let (weights, input) = unsafe { (&*op.src[0], &*op.src[1]) };
        let ours = op.type_ == GGML_TYPE_F32
            && weights.type_ == GGML_TYPE_Q8_0
            && input.type_ == GGML_TYPE_F32
            && input.ne[1] >= LEAST_TOKENS
            && [weights, input, op].iter().all(|tensor| tensor.ne[2] == 1 && tensor.ne[3] == 1)
            && weights.nb[0] == WEIGHT_BLOCK
            && input.nb[0] == 4
            && op.nb[0] == 4;
        ours.then(|| Product {
            weights: weights.data.cast(),
            input: input.data.cast(),
            output: op.data.cast(),
            weights_stride: weights.nb[1],
            input_stride: input.nb[1] / 4,
            output_stride: op.nb[1] / 4,
            rows: weights.ne[1] as usize,
            tokens: input.ne[1] as usize,
            depth: weights.ne[0] as usize,
        })
    }

    /// Bytes for the packed activations, room to align them included.
    pub fn work_bytes(&self) -> usize {
        self.groups() * self.blocks() * size_of::<PackedBlock>() + align_of::<PackedBlock>()
    }

    fn blocks(&self) -> usize {
        self.depth / BLOCK
    }

    fn groups(&self) -> usize {
        self.tokens.div_ceil(LANES)
    }

    fn packed(work: *mut u8) -> *mut PackedBlock {
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
                    let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
                    let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
                    let inverse = _mm512_set1_ps(inverse);
                    let low = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
                    let high = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
                    packed.scales[lane] = largest / 127.0;
                    packed.starts[lane] = -128 * _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_void;

    unsafe extern "C" {
        fn ggml_cpu_init();
        fn quantize_row_q8_0(from: *const f32, to: *mut c_void, count: i64);
        fn ggml_vec_dot_q8_0_q8_0(
            count: i32,
            result: *mut f32,
            _: usize,
            a: *const c_void,
            _: usize,
            b: *const c_void,
            _: usize,
            rows: i32,
        );
    }

    /// llama.cpp's Q8_0 of a matrix.
    fn quantise(values: &[f32], depth: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; values.len() / BLOCK * WEIGHT_BLOCK];
        for (row, bytes) in values.chunks(depth).zip(bytes.chunks_mut(depth / BLOCK * WEIGHT_BLOCK)) {
            // SAFETY: a row of whole blocks, and room for them.
            unsafe { quantize_row_q8_0(row.as_ptr(), bytes.as_mut_ptr().cast(), depth as i64) };
        }
        bytes
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]
        /// llama.cpp's own product of the same rows. It keeps the scales of the activations in 16 bits, ours have 32.
        #[test]
        fn products_are_those_of_llama_cpp(
            tokens in 1usize..70,
            rows in 1usize..40,
            blocks in 1usize..9,
            threads in 1usize..4,
            seed: u64,
        ) {
            if !super::super::available() {
                eprintln!("skipped: this CPU has no AVX-512 VNNI");
                return Ok(());
            }
            // SAFETY: makes the tables that llama.cpp's product reads.
            unsafe { ggml_cpu_init() };
            use rand::{RngExt, SeedableRng};
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let depth = blocks * BLOCK;
            let mut matrix = |rows: usize| -> Vec<f32> {
                (0..rows * depth).map(|_| random.random_range(-1f32..1.0) * 8f32.powi(random.random_range(-3..3))).collect()
            };
            let (weights, mut input) = (quantise(&matrix(rows), depth), matrix(tokens));
            input[..BLOCK].fill(0.0);
            let poison = 123.0;
            let mut output = vec![poison; tokens * rows + 1];
            let product = Product {
                weights: weights.as_ptr(),
                input: input.as_ptr(),
                output: output.as_mut_ptr(),
                weights_stride: blocks * WEIGHT_BLOCK,
                input_stride: depth,
                output_stride: rows,
                rows,
                tokens,
                depth,
            };
            let mut work = vec![0xAAu8; product.work_bytes()];
            // SAFETY: all pointers fit their shapes, and the CPU was asked above.
            unsafe {
                for thread in 0..threads {
                    product.pack(work.as_mut_ptr(), thread, threads);
                }
                product.multiply(work.as_mut_ptr(), 0..rows / 2);
                product.multiply(work.as_mut_ptr(), rows / 2..rows);
            }
            proptest::prop_assert_eq!(output[tokens * rows], poison);
            let packed = quantise(&input, depth);
            for token in 0..tokens {
                for row in 0..rows {
                    let row_of = |bytes: &[u8], row: usize| bytes[row * blocks * WEIGHT_BLOCK..].as_ptr();
                    let (a, b) = (row_of(&weights, row), row_of(&packed, token));
                    let mut expected = 0f32;
                    // SAFETY: two rows of the same depth.
                    unsafe { ggml_vec_dot_q8_0_q8_0(depth as i32, &mut expected, 0, a.cast(), 0, b.cast(), 0, 1) };
                    let size: f32 = (0..blocks).map(|block| size_of_block(a, block) * size_of_block(b, block)).sum();
                    let found = output[token * rows + row];
                    // Half a unit in the last place of a 16-bit scale.
                    proptest::prop_assert!((found - expected).abs() <= size / 2048.0, "{found} for {expected}, {size}");
                }
            }
        }
    }

    /// The square root of the largest product that a block may be part of.
    fn size_of_block(row: *const u8, block: usize) -> f32 {
        // SAFETY: within a row of the test above.
        unsafe {
            let block = row.add(block * WEIGHT_BLOCK);
            let half = block.cast::<i16>().read_unaligned();
            let scale = half_to_f32(half);
            let squares: i32 = (0..BLOCK).map(|k| i32::from(*block.add(2 + k).cast::<i8>()).pow(2)).sum();
            scale.abs() * (squares as f32).sqrt()
        }
    }

    fn half_to_f32(half: i16) -> f32 {
        // SAFETY: only called where AVX-512 is.
        #[target_feature(enable = "avx512f")]
        fn convert(half: i16) -> f32 {
            _mm512_cvtss_f32(_mm512_cvtph_ps(_mm256_set1_epi16(half)))
        }
        // SAFETY: the test has asked for it.
        unsafe { convert(half) }
    }
}
