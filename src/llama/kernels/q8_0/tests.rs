use std::arch::x86_64::*;
use std::ffi::c_void;

use super::{BLOCK, Product, WEIGHT_BLOCK};
use crate::llama::kernels::available;

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

/// [tokens, rows], by so many threads that pack.
fn multiply(weights: &[u8], input: &[f32], depth: usize, threads: usize) -> Vec<f32> {
    let (tokens, weights_stride) = (input.len() / depth, depth / BLOCK * WEIGHT_BLOCK);
    let rows = weights.len() / weights_stride;
    let poison = 123.0;
    let mut output = vec![poison; tokens * rows + 1];
    let product = Product {
        weights: weights.as_ptr(),
        input: input.as_ptr(),
        output: output.as_mut_ptr(),
        weights_stride,
        input_stride: depth,
        output_stride: rows,
        rows,
        tokens,
        depth,
    };
    let mut work = vec![0xAAu8; product.work_bytes()];
    // SAFETY: all pointers fit their shapes, and the caller has asked for the CPU.
    unsafe {
        for thread in 0..threads {
            product.pack(work.as_mut_ptr(), thread, threads);
        }
        product.multiply(work.as_mut_ptr(), 0..rows / 2);
        product.multiply(work.as_mut_ptr(), rows / 2..rows);
    }
    assert_eq!(output.pop(), Some(poison));
    output
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
        if !available() {
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
        let output = multiply(&weights, &input, depth, threads);
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

#[test]
fn what_is_no_number_stays_none() {
    if !available() {
        eprintln!("skipped: this CPU has no AVX-512 VNNI");
        return;
    }
    let (tokens, rows, depth) = (20, 7, 96);
    let numbers = |count: usize| (0..count).map(|index| (index as f32 * 0.618).sin()).collect::<Vec<f32>>();
    let (weights, input) = (quantise(&numbers(rows * depth), depth), numbers(tokens * depth));
    let check = |output: &[f32], odd: &dyn Fn(usize, usize) -> bool, what: &str| {
        for (index, value) in output.iter().enumerate() {
            let (token, row) = (index / rows, index % rows);
            assert_eq!(value.is_finite(), !odd(token, row), "{what}: {value} for token {token}, row {row}");
        }
    };
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in 0..depth {
            let mut input = input.clone();
            input[17 * depth + at] = odd;
            check(&multiply(&weights, &input, depth, 1), &|token, _| token == 17, &format!("{odd} in input {at}"));
        }
        for block in 0..depth / BLOCK {
            let mut weights = weights.clone();
            let half: u16 = if odd.is_nan() { 0x7E00 } else { 0x7C00 | (odd.to_bits() >> 16) as u16 & 0x8000 };
            weights[(2 * depth / BLOCK + block) * WEIGHT_BLOCK..][..2].copy_from_slice(&half.to_le_bytes());
            let mut input = input.clone();
            input[3 * depth..4 * depth].fill(0.0);
            let what = format!("{odd} for the scale of block {block}");
            check(&multiply(&weights, &input, depth, 1), &|_, row| row == 2, &what);
        }
    }
}
