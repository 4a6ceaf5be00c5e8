//! Each kernel of the GPU, run by an emulator, against the same on the CPU in floats, on the same rounded input: sizes that fill
//! no block, several documents, memory that starts as NaN.

mod emulated;

use emulated::Emulated;
use half::bf16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::learner::{Batch, Document};
use reels::qlora::cpu::attention::{self, Inputs};
use reels::qlora::cpu::rows;
use reels::qlora::cuda::batch::Lists;
use reels::qlora::cuda::gpu::{Address, FLOAT, Gpu, HALF, Rows, read_floats, write_floats, write_words};
use reels::qlora::cuda::ops::{Adam, Attention, Heads, LOOPING, Norm, Ops, Packed, Tiles, Turning};
use reels::qlora::nf4::{Absmax, Nf4};

/// Of the largest value, for results in bf16.
const HALVES: f32 = 1e-2;
/// For results in floats.
const FLOATS: f32 = 1e-4;

struct Bench {
    gpu: Emulated,
    random: ChaCha8Rng,
}

impl Bench {
    fn new() -> Bench {
        Bench { gpu: Emulated::default(), random: ChaCha8Rng::seed_from_u64(1) }
    }

    fn ops(&self) -> Ops<'_, Emulated> {
        Ops(&self.gpu)
    }

    fn random(&mut self, count: usize, spread: f32) -> Vec<f32> {
        let value = || bf16::from_f32(self.random.random_range(-spread..spread)).to_f32();
        std::iter::repeat_with(value).take(count).collect()
    }

    fn floats(&self, values: &[f32]) -> Address {
        let at = self.gpu.allocate(values.len() * FLOAT).unwrap();
        write_floats(&self.gpu, at, values).unwrap();
        at
    }

    fn words(&self, values: &[u32]) -> Address {
        let at = self.gpu.allocate(values.len() * FLOAT).unwrap();
        write_words(&self.gpu, at, values).unwrap();
        at
    }

    /// Rows with a gap behind each.
    fn rows(&self, values: &[f32], width: usize, gap: usize) -> Rows {
        let rows = self.room(values.len() / width, width + gap);
        for (row, values) in values.chunks(width).enumerate() {
            let bytes: Vec<u8> = values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
            self.gpu.write(rows.from(row, 0).at, &bytes).unwrap();
        }
        rows
    }

    fn room(&self, count: usize, stride: usize) -> Rows {
        Rows { at: self.gpu.allocate(count * stride * HALF).unwrap(), stride }
    }

    fn read(&self, rows: Rows, count: usize, width: usize) -> Vec<f32> {
        let mut bytes = vec![0; width * HALF];
        let mut values = Vec::new();
        for row in 0..count {
            self.gpu.read(rows.from(row, 0).at, &mut bytes).unwrap();
            values.extend(bytes.as_chunks::<HALF>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()));
        }
        values
    }
}

fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= tolerance * largest, "{what}, {index}: {found}, not {expected}; the largest is {largest}");
    }
}

#[test]
fn norms() {
    let mut bench = Bench::new();
    let (tokens, width, eps) = (5, 88, 1e-6);
    let [x, change, dy, onto] = [0; 4].map(|_| bench.random(tokens * width, 2.0));
    let weight = bench.random(width, 1.5);
    let at = |values: &[f32]| bench.rows(values, width, 0);
    let (x_at, weight_at, sum_at) = (at(&x).at, at(&weight).at, bench.room(tokens, width));
    let (y, inverse_at) = (bench.room(tokens, width + 24), bench.gpu.allocate(tokens * FLOAT).unwrap());
    let norm = Norm { weight: weight_at, inverse: inverse_at, shape: [tokens, width] };

    bench.ops().rms_norm(&norm, x_at, None, y, eps).unwrap();
    let (expected, inverse) = rows::rms_norm(&x, &weight, eps);
    close("norm", &bench.read(y, tokens, width), &expected, HALVES);
    close("inverse", &read_floats(&bench.gpu, inverse_at, tokens).unwrap(), &inverse, FLOATS);

    let (dy_at, to) = (bench.rows(&dy, width, 8), bench.rows(&onto, width, 16));
    bench.ops().rms_norm_backward(&norm, dy_at, x_at, to, true).unwrap();
    let expected = rows::rms_norm_backward(&dy, &x, (&weight, &inverse), &onto);
    close("gradient of a norm", &bench.read(to, tokens, width), &expected, HALVES);
    bench.ops().rms_norm_backward(&norm, dy_at, x_at, to, false).unwrap();
    let expected = rows::rms_norm_backward(&dy, &x, (&weight, &inverse), &vec![0.0; onto.len()]);
    close("gradient alone", &bench.read(to, tokens, width), &expected, HALVES);

    let change_at = at(&change).at;
    bench.ops().rms_norm(&norm, x_at, Some((change_at, sum_at.at)), y, eps).unwrap();
    let sum: Vec<f32> = x.iter().zip(&change).map(|(x, change)| x + change).collect();
    close("sum", &bench.read(sum_at, tokens, width), &sum, HALVES);
    close("norm of a sum", &bench.read(y, tokens, width), &rows::rms_norm(&sum, &weight, eps).0, HALVES);
}

#[test]
fn activations() {
    let mut bench = Bench::new();
    let (tokens, width) = (3, 200);
    let (gate, up) = (bench.random(tokens * width, 4.0), bench.random(tokens * width, 2.0));
    let dy = bench.random(tokens * width, 1.0);
    let side_by_side: Vec<f32> =
        gate.chunks(width).zip(up.chunks(width)).flat_map(|(gate, up)| [gate, up].concat()).collect();
    let (gate_up, y) = (bench.rows(&side_by_side, 2 * width, 16), bench.room(tokens, width + 8));
    bench.ops().swiglu(gate_up, y, [tokens, width]).unwrap();
    close("swiglu", &bench.read(y, tokens, width), &rows::swiglu(&gate, &up), HALVES);
    bench.ops().swiglu_backward(bench.rows(&dy, width, 8), gate_up, [tokens, width]).unwrap();
    let (dgate, dup) = rows::swiglu_backward(&dy, &gate, &up);
    let expected: Vec<f32> =
        dgate.chunks(width).zip(dup.chunks(width)).flat_map(|(gate, up)| [gate, up].concat()).collect();
    close("gradients of swiglu", &bench.read(gate_up, tokens, 2 * width), &expected, HALVES);
}

#[test]
fn rows_are_gathered_and_summed() {
    let mut bench = Bench::new();
    let width = 40;
    let values = bench.random(4 * width, 1.0);
    let (from, to) = (bench.rows(&values, width, 8), bench.room(3, width));
    bench.ops().gather(from, bench.words(&[2, 0, 2]), 3, to, width).unwrap();
    let row = |row: usize| &values[row * width..][..width];
    assert_eq!(bench.read(to, 3, width), [row(2), row(0), row(2)].concat());
    let sums = bench.room(3, width);
    // Row 0 is the sum of two, row 1 of none.
    bench.ops().sum_rows(from, [bench.words(&[0, 2, 2, 3]), bench.words(&[3, 1, 0])], 3, sums, width).unwrap();
    let both: Vec<f32> = row(3).iter().zip(row(1)).map(|(a, b)| a + b).collect();
    close("sums", &bench.read(sums, 3, width), &[both.as_slice(), &[0.0; 40], row(0)].concat(), HALVES);
}

fn documents() -> Vec<Document> {
    vec![Document { prefix: 70, branches: vec![5, 90, 1] }, Document::plain(33), Document::plain(64)]
}

fn lists() -> (Lists, usize) {
    let documents = documents();
    let tokens = documents.iter().map(Document::tokens).sum();
    let batch = Batch { tokens: vec![0; tokens], documents, rows: vec![3, 1, 3], ..Batch::default() };
    (Lists::new(&batch), tokens)
}

#[test]
fn entries_are_those_of_a_token() {
    let (lists, tokens) = lists();
    assert_eq!(lists.starts.len(), tokens + 1);
    assert_eq!(&lists.starts[..5], [0, 0, 1, 1, 3]);
    assert_eq!(lists.entries, [1, 0, 2]);
}

#[test]
fn attention_and_positions() {
    for size in [64, 128] {
        attention_of(size);
    }
}

fn attention_of(size: usize) {
    let mut bench = Bench::new();
    let (lists, tokens) = lists();
    let heads = Heads { heads: 4, kv_heads: 2, size };
    let width = heads.width();
    let (mut all, bias) = (bench.random(tokens * width, 2.0), bench.random(width, 0.5));
    let rows_at = bench.rows(&all, width, 8);
    let half = size / 2;
    let angles: Vec<f32> = (0..200).flat_map(|at| (0..half).map(move |pair| at as f32 / (1 + pair) as f32)).collect();
    let table: Vec<f32> = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
    let turning = Turning { heads, positions: bench.words(&lists.positions), angles: bench.floats(&table), tokens };
    bench.ops().turn(rows_at, bench.rows(&bias, width, 0).at, &turning).unwrap();
    // The same: the bias, then turned but for the values.
    all.chunks_mut(width).for_each(|row| row.iter_mut().zip(&bias).for_each(|(x, bias)| *x += bias));
    let turned = |all: &[f32], sign: f32| {
        let of = |by: fn(f32) -> f32| -> Vec<f32> {
            lists.positions.iter().flat_map(|at| angles[*at as usize * half..][..half].iter().map(|x| by(*x))).collect()
        };
        let (cos, sin) = (of(f32::cos), of(f32::sin));
        let mut y = rows::turn(all, width / size, (&cos, &sin), half, sign);
        let plain = (heads.heads + heads.kv_heads) * size;
        y.chunks_mut(width).zip(all.chunks(width)).for_each(|(y, x)| y[plain..].copy_from_slice(&x[plain..]));
        y
    };
    close("turned", &bench.read(rows_at, tokens, width), &turned(&all, 1.0), HALVES);

    let all = bench.read(rows_at, tokens, width);
    let part = |all: &[f32], start: usize, count: usize| -> Vec<f32> {
        all.chunks(width).flat_map(|row| row[start * size..][..count * size].to_vec()).collect()
    };
    let split = |all: &[f32]| [part(all, 0, 4), part(all, 4, 2), part(all, 6, 2)];
    let [queries, keys, values] = split(&all);
    let inputs = Inputs { queries: &queries, keys: &keys, values: &values, heads: 4, kv_heads: 2, head_size: size };
    let (expected, sums) = attention::forward(&inputs, &documents());
    let tiles = |words: &[u32]| Tiles { at: bench.words(words), count: words.len() / 5 };
    let (query_tiles, key_tiles) = (tiles(&lists.query_tiles), tiles(&lists.key_tiles));
    let (y, room) = (bench.room(tokens, 4 * size + 16), 4 * tokens);
    let [sums_at, dots_at] = [0; 2].map(|_| bench.gpu.allocate(room * FLOAT).unwrap());
    let seen = Attention { rows: rows_at, heads, query_tiles, key_tiles, sums: sums_at, tokens };
    bench.ops().attention(&seen, y).unwrap();
    close("attention", &bench.read(y, tokens, 4 * size), &expected, HALVES);
    let found: Vec<f32> = read_floats(&bench.gpu, sums_at, room).unwrap();
    let found: Vec<f32> = found.into_iter().map(|sum| sum * std::f32::consts::LN_2).collect();
    close("sums", &found, &sums, FLOATS);

    let dy = bench.random(tokens * 4 * size, 1.0);
    let output = bench.read(y, tokens, 4 * size);
    let expected = attention::backward(&dy, &inputs, &documents(), (&output, &sums));
    let to = bench.room(tokens, width + 24);
    let ends = (bench.rows(&dy, 4 * size, 0), y);
    bench.ops().attention_backward(&seen, ends, dots_at, to).unwrap();
    let found = split(&bench.read(to, tokens, width));
    for (name, (found, expected)) in ["queries", "keys", "values"].iter().zip(found.iter().zip(&expected)) {
        close(&format!("gradients of {name}"), found, expected, HALVES);
    }
    bench.ops().turn_back(to, &turning).unwrap();
    let all: Vec<f32> = (0..tokens)
        .flat_map(|token| {
            found.iter().flat_map(move |part| part[token * part.len() / tokens..][..part.len() / tokens].to_vec())
        })
        .collect();
    close("turned back", &bench.read(to, tokens, width), &turned(&all, -1.0), HALVES);
}

/// Blocks of zeros, one that isn't full, values on both sides of every bound.
#[test]
fn values_become_four_bits_as_on_the_cpu() {
    let mut bench = Bench::new();
    let mut values = bench.random(64 * 37 + 40, 1.0);
    values[64..128].fill(0.0);
    let [first, second] = [0, 1].map(|half| half * 64 + 1280);
    values[first..second].iter_mut().enumerate().for_each(|(index, value)| *value = index as f32 / 32.0 - 1.0);
    values[first] = 1.0;
    let count = values.len();
    let (packed, maxima) = (bench.room(count / 4, 1).at, bench.gpu.allocate(38 * FLOAT).unwrap());
    let check = |values: &[f32], from: Address, floats: bool| {
        bench.ops().quantise((from, floats), count, packed, maxima).unwrap();
        let expected = Nf4::quantise(values);
        let mut found = vec![0; count / 2];
        bench.gpu.read(packed, &mut found).unwrap();
        assert_eq!(found, expected.packed);
        assert_eq!(Absmax::Plain(read_floats(&bench.gpu, maxima, 38).unwrap()), expected.absmax);
    };
    check(&values, bench.rows(&values, count, 0).at, false);
    let finer: Vec<f32> = values.iter().map(|value| value * 1.000_123).collect();
    check(&finer, bench.floats(&finer), true);
    values[count - 40..].fill(0.0);
    check(&values, bench.floats(&values), true);
    for odd in [f32::NAN, f32::INFINITY] {
        values[130] = odd;
        bench.ops().quantise((bench.floats(&values), true), count, packed, maxima).unwrap();
        let found = read_floats(&bench.gpu, maxima, 38).unwrap();
        assert!(found.iter().enumerate().all(|(block, value)| value.is_nan() == (block == 2)), "{found:?}");
    }
}

#[test]
fn four_bits_become_dense_and_adapters_stand_beside() {
    let mut bench = Bench::new();
    let (out, into) = (5, 72);
    let weights = bench.random(out * into, 1.0);
    for nf4 in [Nf4::quantise(&weights), Nf4::quantise(&weights).nested()] {
        let bytes = |bytes: &[u8]| {
            let at = bench.gpu.allocate(bytes.len()).unwrap();
            bench.gpu.write(at, bytes).unwrap();
            at
        };
        let values = bytes(&nf4.packed);
        let packed = match &nf4.absmax {
            Absmax::Plain(maxima) => Packed {
                values,
                codes: Address::default(),
                maxima: bench.floats(maxima),
                map: Address::default(),
                offset: 0.0,
            },
            Absmax::Nested(nested) => Packed {
                values,
                codes: bytes(&nested.codes),
                maxima: bench.floats(&nested.absmax),
                map: bench.floats(&nested.map),
                offset: nested.offset,
            },
        };
        let to = bench.room(out, into + 16);
        bench.ops().dequantise(&packed, [out, into], to).unwrap();
        let expected: Vec<f32> = nf4.dequantise().iter().map(|value| bf16::from_f32(*value).to_f32()).collect();
        assert_eq!(bench.read(to, out, into), expected);
    }
    let b = bench.random(5 * 3, 1.0);
    let to = bench.room(6, 20);
    bench.ops().place(bench.floats(&b), [5, 3], 2.0, (to, 8), [6, 16]).unwrap();
    let row = |row: usize| -> Vec<f32> {
        let own = if row < 5 { b[row * 3..][..3].iter().map(|value| 2.0 * value).collect() } else { vec![0.0; 3] };
        [vec![0.0; 8], own, vec![0.0; 5]].concat()
    };
    assert_eq!(bench.read(to, 6, 16), (0..6).flat_map(row).collect::<Vec<f32>>());
}

#[test]
fn losses_of_rows() {
    let mut bench = Bench::new();
    let (count, vocabulary) = (3, 1_501);
    let mut logits = bench.random(count * vocabulary, 8.0);
    let (targets, weights) = ([0u32, 1_500, 77], [1.0f32, 0.5, 2.0]);
    let at = bench.floats(&logits);
    let (gradients, losses) = (bench.room(count, vocabulary), bench.gpu.allocate(count * FLOAT).unwrap());
    let lists = [bench.words(&targets), bench.floats(&weights)];
    bench.ops().cross_entropy(at, lists, (gradients.at, losses), [count, vocabulary]).unwrap();
    let expected = rows::cross_entropy(&mut logits, vocabulary, &targets, &weights);
    let found: f32 = read_floats(&bench.gpu, losses, count).unwrap().iter().sum();
    close("loss", &[found], &[expected as f32], FLOATS);
    close("gradients of logits", &bench.read(gradients, count, vocabulary), &logits, HALVES);
}

/// NaN and infinity reach the loss: it is what a damaged checkpoint is noticed by.
#[test]
fn what_is_no_number_stays_none() {
    let mut bench = Bench::new();
    let (lists, tokens) = lists();
    let heads = Heads { heads: 2, kv_heads: 1, size: 64 };
    let (width, out) = (heads.width(), heads.heads * heads.size);
    let tiles = |bench: &Bench, words: &[u32]| Tiles { at: bench.words(words), count: words.len() / 5 };
    let none_finite = |values: &[f32], what: String| {
        assert!(values.iter().all(|value| !value.is_finite()), "{what}: {values:?}");
    };
    let positive: Vec<f32> = bench.random(tokens * width, 1.0).iter().map(|value| value.abs()).collect();
    for odd in [f32::NAN, f32::INFINITY] {
        // A query, a key and a value of a token, and what that one then sees.
        for (part, seen) in [(64, 64..128), (128, 0..128), (192, 0..1)] {
            for token in [0, 69, 164] {
                let mut all = positive.clone();
                all[token * width + part] = odd;
                let (query_tiles, key_tiles) = (tiles(&bench, &lists.query_tiles), tiles(&bench, &lists.key_tiles));
                let sums = bench.gpu.allocate(2 * tokens * FLOAT).unwrap();
                let rows = bench.rows(&all, width, 0);
                let y = bench.room(tokens, out);
                let attention = Attention { rows, heads, query_tiles, key_tiles, sums, tokens };
                bench.ops().attention(&attention, y).unwrap();
                let found = bench.read(y, tokens, out);
                none_finite(&found[token * out..][seen.clone()], format!("{odd} at {part} of token {token}"));
                assert!(found[198 * out..].iter().all(|value| value.is_finite()), "another document");
            }
        }

        let (width, at) = (88, 41);
        let ones = vec![1.0; width];
        let mut x = ones.clone();
        x[at] = odd;
        let inverse = bench.gpu.allocate(FLOAT).unwrap();
        for (x, weight) in [(&x, &ones), (&ones, &x)] {
            let y = bench.room(1, width);
            let norm = Norm { weight: bench.rows(weight, width, 0).at, inverse, shape: [1, width] };
            bench.ops().rms_norm(&norm, bench.rows(x, width, 0).at, None, y, 1e-6).unwrap();
            none_finite(&bench.read(y, 1, width)[at..=at], format!("norm of {odd}"));
        }
        for side_by_side in [[x.clone(), ones.clone()].concat(), [ones.clone(), x.clone()].concat()] {
            let y = bench.room(1, width);
            bench.ops().swiglu(bench.rows(&side_by_side, 2 * width, 0), y, [1, width]).unwrap();
            none_finite(&bench.read(y, 1, width)[at..=at], format!("swiglu of {odd}"));
        }
        let (gradients, losses) = (bench.room(1, width), bench.gpu.allocate(FLOAT).unwrap());
        let lists = [bench.words(&[3]), bench.floats(&[1.0])];
        bench.ops().cross_entropy(bench.floats(&x), lists, (gradients.at, losses), [1, width]).unwrap();
        none_finite(&read_floats(&bench.gpu, losses, 1).unwrap(), format!("loss of {odd}"));
    }
}

#[test]
fn adam_steps() {
    let mut bench = Bench::new();
    let count = 1_000;
    let [values, gradients, first] = [0; 3].map(|_| bench.random(count, 1.0));
    let second: Vec<f32> = bench.random(count, 1.0).iter().map(|value| value.abs()).collect();
    let at = [&values, &gradients, &first, &second].map(|values| bench.floats(values));
    let sums = bench.gpu.allocate(LOOPING * FLOAT).unwrap();
    bench.ops().squares(at[1], count, sums).unwrap();
    let found: f32 = read_floats(&bench.gpu, sums, LOOPING).unwrap().iter().sum();
    close("squares", &[found], &[gradients.iter().map(|value| value * value).sum()], FLOATS);

    let adam = Adam {
        gradient_factor: 0.25,
        learning_rate: 1e-2,
        weight_decay: 0.1,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        step: 3,
    };
    bench.ops().adamw(at, count, &adam).unwrap();
    let expected: Vec<f32> = (0..count)
        .map(|index| {
            let gradient = 0.25 * f64::from(gradients[index]);
            let m = 0.9 * f64::from(first[index]) + 0.1 * gradient;
            let v = 0.999 * f64::from(second[index]) + 0.001 * gradient * gradient;
            let change = m / (1.0 - 0.9f64.powi(3)) / ((v / (1.0 - 0.999f64.powi(3))).sqrt() + 1e-8);
            (f64::from(values[index]) * (1.0 - 1e-3) - 1e-2 * change) as f32
        })
        .collect();
    close("parameters", &read_floats(&bench.gpu, at[0], count).unwrap(), &expected, FLOATS);
    assert!(read_floats(&bench.gpu, at[1], count).unwrap().iter().all(|gradient| *gradient == 0.0));
}

#[test]
fn what_is_left_out_is_the_same() {
    let mut bench = Bench::new();
    let (tokens, width) = (7, 52);
    let (x, onto) = (bench.random(tokens * width, 1.0), bench.random(tokens * width, 1.0));
    let dropout = reels::qlora::dropout::Dropout { share: 0.3, seed: 9 };
    let expected = dropout.apply(&x, "a.place");
    let (from, to) = (bench.rows(&x, width, 4), bench.rows(&onto, width, 12));
    let which = (dropout, "a.place");
    bench.ops().drop_out(from, to, true, which, [tokens, width]).unwrap();
    let sums: Vec<f32> = expected.iter().zip(&onto).map(|(own, onto)| own + onto).collect();
    close("added", &bench.read(to, tokens, width), &sums, HALVES);
    bench.ops().drop_out(from, to, false, which, [tokens, width]).unwrap();
    close("alone", &bench.read(to, tokens, width), &expected, HALVES);
}
