use rand::{RngExt, SeedableRng};

use super::{Attention, LANES, Tensor};
use crate::llama::kernels::available;

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
        if !available() {
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
