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

/// An operation with everything it reads.
struct Case {
    tokens: usize,
    kv_heads: usize,
    sharing: usize,
    size: usize,
    cells: usize,
    streams: usize,
    /// [streams, heads, tokens, size]
    queries: Vec<f32>,
    /// [streams, cells, kv_heads, size]
    keys: Vec<u16>,
    /// [streams, cells, kv_heads, size]
    values: Vec<u16>,
    /// [streams, tokens, cells]
    mask: Vec<u16>,
}

const NAN: u16 = 0x7E00;
const INFINITY: u16 = 0x7C00;

impl Case {
    /// [streams, tokens, heads, size]
    fn output(&mut self) -> Vec<f32> {
        let &mut Case { tokens, kv_heads, sharing, size, cells, streams, .. } = self;
        let heads = kv_heads * sharing;
        let mut output = vec![123f32; streams * tokens * heads * size + 1];
        let attention = Attention {
            queries: Tensor {
                data: self.queries.as_mut_ptr().cast(),
                strides: [4 * size, 4 * size * tokens, 4 * size * tokens * heads],
            },
            keys: Tensor {
                data: self.keys.as_mut_ptr().cast(),
                strides: [2 * size * kv_heads, 2 * size, 2 * size * kv_heads * cells],
            },
            values: Tensor {
                data: self.values.as_mut_ptr().cast(),
                strides: [2 * size * kv_heads, 2 * size, 2 * size * kv_heads * cells],
            },
            mask: Tensor { data: self.mask.as_mut_ptr().cast(), strides: [2 * cells, 0, 2 * cells * tokens] },
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
            // SAFETY: all tensors fit their shapes, and the caller has asked for the CPU.
            unsafe { attention.attend(item, work.as_mut_ptr(), item % 2) };
        }
        assert_eq!(output.pop(), Some(123.0));
        output
    }
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
        let queries = normal(streams * heads * tokens * size, 1.0);
        let (mut keys, keys_read) = halves(&normal(streams * cells * kv_heads * size, 1.0));
        let (mut values, values_read) = halves(&normal(streams * cells * kv_heads * size, 1.0));
        let mut seen: Vec<f32> = normal(streams * tokens * cells, 1.0);
        for (index, seen) in seen.iter_mut().enumerate() {
            let token = index / cells % tokens;
            // Tokens see different stretches, whole tiles left out in the middle, and some nothing.
            let hidden = token == blind || index % cells < token || (32 + token..70).contains(&(index % cells));
            *seen = if hidden { f32::NEG_INFINITY } else { seen.min(0.0) };
        }
        let row = kv_heads * size;
        for cell in 0..streams * cells {
            let sees = |token| seen[(cell / cells * tokens + token) * cells + cell % cells] > f32::NEG_INFINITY;
            if !(0..tokens).any(sees) {
                keys[cell * row..][..row].fill(NAN);
                values[cell * row..][..row].fill(INFINITY);
            }
        }
        let (mask, mask_read) = halves(&seen);
        let mut case = Case { tokens, kv_heads, sharing, size, cells, streams, queries, keys, values, mask };
        let output = case.output();
        for (index, found) in output.chunks(size).enumerate() {
            let (stream, token, head) = (index / heads / tokens, index / heads % tokens, index % heads);
            let query = &case.queries[((stream * heads + head) * tokens + token) * size..][..size];
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

/// Of damaged weights come no answers that look right: neither in decoding nor in prefill, wherever in the cache it is.
#[test]
fn what_is_no_number_stays_none() {
    if !available() {
        eprintln!("skipped: this CPU has no AVX-512 VNNI");
        return;
    }
    let (sharing, size, cells) = (3, 32, 75);
    for (tokens, cell) in [(1, 0), (1, 40), (1, 74), (20, 0), (20, 31), (20, 74)] {
        let numbers = |count: usize| (0..count).map(|index| (index as f32 * 0.618).sin().abs()).collect::<Vec<f32>>();
        let case = || Case {
            tokens,
            kv_heads: 1,
            sharing,
            size,
            cells,
            streams: 1,
            queries: numbers(sharing * tokens * size),
            keys: halves(&numbers(cells * size)).0,
            values: halves(&numbers(cells * size)).0,
            mask: vec![0; tokens * cells],
        };
        assert!(case().output().iter().all(|value| value.is_finite()));
        for (odd, half) in [(f32::NAN, NAN), (f32::INFINITY, INFINITY), (f32::NEG_INFINITY, INFINITY | 0x8000)] {
            let mut of_query = case();
            let last = of_query.queries.len() - size;
            of_query.queries[last + 7] = odd;
            let output = of_query.output();
            let (right, wrong) = output.split_at(output.len() - size);
            assert!(right.iter().all(|value| value.is_finite()), "{odd} of another query, {tokens} tokens");
            assert!(wrong.iter().all(|value| !value.is_finite()), "{odd} in a query, {tokens} tokens");
            let mut of_value = case();
            of_value.values[cell * size + 7] = half;
            let output = of_value.output();
            assert!(output.chunks(size).all(|row| !row[7].is_finite()), "{odd} in value {cell}, {tokens} tokens");
            // A score of −∞ has weight 0, by definition.
            if odd != f32::NEG_INFINITY {
                let mut of_key = case();
                of_key.keys[cell * size + 7] = half;
                let output = of_key.output();
                assert!(output.iter().all(|value| !value.is_finite()), "{odd} in key {cell}, {tokens} tokens");
            }
        }
    }
}
