//! NF4 against bitsandbytes; `tests/reference/nf4.py` writes what it says.

use reels::qlora::nf4::{Absmax, Nested, Nf4, dynamic_map};
use reels::run::sha256;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    /// Floats by their bits, as everywhere here.
    map: Vec<i32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    count: usize,
    seed: u32,
    dtype: String,
    packed_sha256: String,
    packed_start: Vec<u8>,
    absmax: Vec<i32>,
    nested_codes: Vec<u8>,
    nested_absmax: Vec<i32>,
    offset: i32,
    plain_sha256: String,
    nested_sha256: String,
}

/// As `values` of the script.
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let fractions: f32 = [0, 8, 16, 24].iter().map(|shift| (state >> shift & 0xFF) as f32 - 127.5).sum::<f32>();
            fractions / 256.0 * 2f32.powi((index / 977 % 7) as i32 - 3)
        })
        .collect()
}

fn bits(values: &[f32]) -> Vec<i32> {
    values.iter().map(|value| value.to_bits() as i32).collect()
}

fn hash(values: &[f32]) -> String {
    sha256(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

#[test]
fn nf4_equals_bitsandbytes_bit_for_bit() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/nf4.json");
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let map: Vec<f32> = file.map.iter().map(|bits| f32::from_bits(*bits as u32)).collect();
    for (value, expected) in dynamic_map().iter().zip(&map) {
        assert!((value - expected).abs() <= 3.0 * f32::EPSILON * expected.abs(), "{value}, not {expected}");
    }
    for case in file.cases {
        let round = |value: f32| match case.dtype.as_str() {
            "float32" => value,
            "bfloat16" => half::bf16::from_f32(value).to_f32(),
            "float16" => half::f16::from_f32(value).to_f32(),
            other => panic!("{other}"),
        };
        let data: Vec<f32> = values(case.count, case.seed).into_iter().map(round).collect();
        let quantised = Nf4::quantise(&data);
        assert_eq!(quantised.packed[..case.packed_start.len()], case.packed_start);
        assert_eq!(sha256(&quantised.packed), case.packed_sha256, "{} values", case.count);
        let maxima = quantised.maxima();
        assert_eq!(bits(&maxima), case.absmax);
        let back: Vec<f32> = quantised.dequantise().into_iter().map(round).collect();
        assert_eq!(hash(&back), case.plain_sha256);

        let Absmax::Nested(own) = quantised.clone().nested().absmax else { panic!("nested") };
        let offset = f32::from_bits(case.offset as u32);
        assert!((own.offset.to_bits() as i32 - case.offset).abs() <= 1, "{}, not {offset}", own.offset);
        let nested = Nested::quantise(&maxima, offset);
        assert_eq!(nested.codes, case.nested_codes);
        assert_eq!(bits(&nested.absmax), case.nested_absmax);
        // The last bit of a map is that of the CPU it was made on.
        let nested = Nested { map: map.clone(), ..nested };
        let back = Nf4 { absmax: Absmax::Nested(nested), ..quantised }.dequantise();
        let back: Vec<f32> = back.into_iter().map(round).collect();
        assert_eq!(hash(&back), case.nested_sha256);
    }
}
