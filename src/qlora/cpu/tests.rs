//! The exponential; and that NaN and infinity, wherever they come from, reach the loss, by which damage is noticed.

use super::Real;
use super::attention::{self, Inputs};
use super::gemm::{Into, Quantised, Right, Strided, Threads, gemm};
use super::rows;
use crate::learner::Document;
use crate::qlora::nf4::Nf4;

const ODD: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// Positive numbers that are not alike, and one odd one.
fn numbers<T: Real>(count: usize, odd: Option<(usize, f32)>) -> Vec<T> {
    let value = |index| (index as f32 * 0.618).sin().abs() + 0.1;
    let mut values: Vec<T> = (0..count).map(|index| T::from_f32(value(index))).collect();
    if let Some((at, odd)) = odd {
        values[at] = T::from_f32(odd);
    }
    values
}

fn none_finite<T: Real>(values: &[T], what: &str) {
    assert!(!values.is_empty() && values.iter().all(|value| !value.is_finite()), "{what}");
}

fn attention_of<T: Real>() {
    let (tokens, heads, kv_heads, head_size) = (90, 2, 1, 32);
    let documents = [Document { prefix: 70, branches: vec![15, 5] }];
    let of = |odd: [Option<(usize, f32)>; 3]| {
        let sizes = [heads, kv_heads, kv_heads].map(|heads| tokens * heads * head_size);
        let [queries, keys, values] = std::array::from_fn(|index| numbers::<T>(sizes[index], odd[index]));
        let inputs = Inputs { queries: &queries, keys: &keys, values: &values, heads, kv_heads, head_size };
        let (output, sums) = attention::forward(&inputs, &documents);
        let dy = numbers(output.len(), None);
        let gradients = attention::backward(&dy, &inputs, &documents, (&output, &sums));
        (output, gradients)
    };
    let (output, gradients) = of([None; 3]);
    assert!(output.iter().chain(gradients.iter().flatten()).all(|value| value.is_finite()));
    let width = heads * head_size;
    for odd in ODD {
        // Of the first token, which all see, and of one that only the last of a branch sees.
        for token in [0, 84] {
            let last = 84 * width + head_size;
            let (output, gradients) = of([Some((last + 7, odd)), None, None]);
            none_finite(&output[last..][..head_size], &format!("{odd} in a query"));
            assert!(output[..width].iter().all(|value| value.is_finite()));
            none_finite(&gradients[0][last..][..head_size], &format!("gradient of a query with {odd}"));
            // A score of −∞ has weight 0, by definition, where there are others.
            if odd != f32::NEG_INFINITY {
                let (output, _) = of([None, Some((token * head_size + 7, odd)), None]);
                none_finite(&output[84 * width..][..width], &format!("{odd} in key {token}"));
            }
            let (output, gradients) = of([None, None, Some((token * head_size + 7, odd))]);
            for head in output[84 * width..][..width].chunks(head_size) {
                none_finite(&head[7..8], &format!("{odd} in value {token}"));
            }
            none_finite(&gradients[0][84 * width..][..width], &format!("gradient with {odd} in value {token}"));
        }
    }
}

#[test]
fn attention_passes_on_what_is_no_number() {
    attention_of::<f32>();
    attention_of::<f64>();
}

#[test]
fn products_pass_on_what_is_no_number() {
    let (rows, depth) = (15, 300);
    for columns in [5, 40] {
        let product = |a: &[f32], right: Right<f32>| {
            let mut c = vec![0.0; rows * columns];
            let left = Strided::new(a, rows, depth);
            gemm(Into::new(&mut c, columns), 0.5, left, right, Threads::One);
            c
        };
        let check = |c: &[f32], odd: &dyn Fn(usize, usize) -> bool, what: &str| {
            for (at, value) in c.iter().enumerate() {
                assert_eq!(value.is_finite(), !odd(at / columns, at % columns), "{what}: {value} at {at}");
            }
        };
        for odd in ODD {
            let (a, b) = (numbers::<f32>(rows * depth, None), numbers::<f32>(columns * depth, None));
            let right = |b| Right::Dense(Strided::new(b, columns, depth).t());
            let odd_a = numbers::<f32>(rows * depth, Some((14 * depth + 299, odd)));
            check(&product(&odd_a, right(&b)), &|row, _| row == 14, &format!("{odd} on the left"));
            let odd_b = numbers::<f32>(columns * depth, Some((3 * depth + 255, odd)));
            check(&product(&a, right(&odd_b)), &|_, column| column == 3, &format!("{odd} on the right"));
            let weight = Nf4::quantise(&b);
            let mut maxima = weight.maxima();
            // In the middle of a row, so that no other has a part in it.
            maxima[2 * depth / 64 + 1] = odd;
            let quantised = Quantised { weight: &weight, maxima: &maxima, columns: depth, transposed: true };
            check(&product(&a, Right::Nf4(quantised)), &|_, column| column == 2, &format!("{odd} for a scale"));
        }
    }
}

fn rows_of<T: Real>() {
    let width = 40;
    let ones = numbers::<T>(width, None);
    for odd in ODD {
        for at in [0, 17, 39] {
            let x = numbers::<T>(width, Some((at, odd)));
            let one = |values: &[T], what: &str| none_finite(&values[at..=at], &format!("{what} of {odd}"));
            one(&rows::rms_norm(&x, &ones, 1e-6).0, "norm");
            one(&rows::rms_norm(&ones, &x, 1e-6).0, "weight of a norm");
            one(&rows::swiglu(&ones, &x), "swiglu");
            let (dgate, dup) = rows::swiglu_backward(&x, &ones, &ones);
            one(&dgate, "gradient of a gate");
            one(&dup, "gradient of what is gated");
            if odd != f32::NEG_INFINITY {
                one(&rows::swiglu(&x, &ones), "gate");
            }
            let half = width / 2;
            let turned = rows::turn(&x, 1, (&ones[..half], &ones[..half]), half, T::one());
            none_finite(&[turned[at % half], turned[at % half + half]], &format!("position of {odd}"));
            let mut logits = x.clone();
            let target = if odd == f32::NEG_INFINITY { at } else { 5 };
            let loss = rows::cross_entropy(&mut logits, width, &[target as u32], &[1.0]);
            assert!(!loss.is_finite(), "loss {loss} of {odd}");
        }
    }
}

#[test]
fn rows_pass_on_what_is_no_number() {
    rows_of::<f32>();
    rows_of::<f64>();
}

#[test]
fn the_quick_exponential_is_within_two_ulp() {
    for step in -87_000..88_000 {
        let x = step as f32 / 1000.0;
        let (found, exact) = (x.quick_exp(), f64::from(x).exp());
        assert!((f64::from(found) - exact).abs() <= 2.4e-7 * exact, "exp({x}) is {exact}, not {found}");
    }
    assert_eq!((f32::NEG_INFINITY.quick_exp(), 0f32.quick_exp()), (0.0, 1.0));
    assert!(f32::NAN.quick_exp().is_nan());
}
