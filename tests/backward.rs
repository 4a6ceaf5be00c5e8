//! The backward passes written by hand against candle's autograd, and the identities that hold between them. In 64 bits,
//! so that rounding hides nothing and a small gradient is checked as well as a large one; `train_reference.rs` is in 32.

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::prelude::*;
use reels::qlora::layer::Layer;
use reels::qlora::linear::{Adapter, Gradients, Linear, Matrix};
use reels::qlora::loss::cross_entropy;
use reels::qlora::nf4::Nf4;
use reels::qlora::ops::Rotary;

/// Of the largest reference value.
const TOLERANCE: f64 = 1e-9;

/// A random layer, and its parameters by name.
struct Made {
    layer: Layer,
    variables: Vec<(String, Var)>,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    kv: usize,
    group: usize,
    head_size: usize,
    intermediate: usize,
    rank: usize,
}

fn random(shape: impl Into<candle_core::Shape>, spread: f64) -> Var {
    Var::from_tensor(&Tensor::randn(0f64, spread, shape, &Device::Cpu).unwrap()).unwrap()
}

fn make(shape: Shape) -> Made {
    let Shape { kv, group, head_size, intermediate, rank } = shape;
    let heads = kv * group;
    let hidden = heads * head_size;
    let mut variables = Vec::new();
    let mut variable = |name: &str, shape: &[usize], spread: f64| {
        let var = random(shape, spread);
        variables.push((format!("l.{name}"), var.clone()));
        var.as_tensor().clone()
    };
    let mut linear = |name: &str, out: usize, into: usize, bias: bool| Linear {
        name: format!("l.{name}"),
        weight: Matrix::Dense(variable(&format!("{name}.weight"), &[out, into], 0.2)),
        bias: bias.then(|| variable(&format!("{name}.bias"), &[out], 0.2)),
        adapter: Some(Adapter {
            a: variable(&format!("{name}.lora_A.weight"), &[rank, into], 0.2),
            b: variable(&format!("{name}.lora_B.weight"), &[out, rank], 0.2),
            scale: 1.5,
        }),
        trained: true,
    };
    let (q, k) = (linear("q", hidden, hidden, true), linear("k", kv * head_size, hidden, true));
    let (v, o) = (linear("v", kv * head_size, hidden, true), linear("o", hidden, hidden, false));
    let (gate, up) = (linear("gate", intermediate, hidden, false), linear("up", intermediate, hidden, false));
    let down = linear("down", hidden, intermediate, false);
    let layer = Layer {
        name: "l".into(),
        input_norm: variable("input_layernorm.weight", &[hidden], 1.0),
        post_attention_norm: variable("post_attention_layernorm.weight", &[hidden], 1.0),
        q,
        k,
        v,
        o,
        gate,
        up,
        down,
        heads,
        kv_heads: kv,
        eps: 1e-6,
        trained: true,
    };
    Made { layer, variables }
}

/// Largest difference over largest reference.
fn off(found: &Tensor, expected: &Tensor) -> f64 {
    let largest =
        |tensor: Tensor| tensor.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap();
    assert_eq!(found.dims(), expected.dims());
    largest((found - expected).unwrap()) / largest(expected.clone()).max(1e-12)
}

fn check(name: &str, found: &Tensor, expected: &Tensor) {
    let off = off(found, expected);
    assert!(off <= TOLERANCE, "{name} is off by {off}");
}

/// Output, gradient of x, gradients of the parameters.
fn run(layer: &Layer, x: &Tensor, dy: &Tensor, documents: &[usize]) -> Result<(Tensor, Tensor, Gradients)> {
    let head_size = x.dim(1)? / layer.heads;
    let rotary = Rotary::new(documents, head_size, 10_000.0, x)?;
    let (y, trace) = layer.forward(x, documents, &rotary)?;
    let mut gradients = Gradients::default();
    let dx = layer.backward(dy, &trace, &rotary, &mut gradients)?;
    Ok((y, dx, gradients))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_layers_gradients_are_autograds(
        kv in 1usize..3,
        group in 1usize..4,
        half_head in 1usize..5,
        intermediate in 1usize..20,
        rank in 1usize..4,
        documents in prop::collection::vec(1usize..7, 1..4),
    ) {
        let shape = Shape { kv, group, head_size: 2 * half_head, intermediate, rank };
        let Made { layer, variables } = make(shape);
        let tokens = documents.iter().sum::<usize>();
        let x = random((tokens, layer.heads * shape.head_size), 1.0);
        let dy = random(x.dims(), 1.0);
        let (y, dx, gradients) = run(&layer, &x.detach(), &dy.detach(), &documents).unwrap();

        let rotary = Rotary::new(&documents, shape.head_size, 10_000.0, &x).unwrap();
        let (oracle, _) = layer.forward(&x, &documents, &rotary).unwrap();
        check("the output", &y, &oracle);
        let store = (oracle * dy.detach()).unwrap().sum_all().unwrap().backward().unwrap();
        check("dx", &dx, store.get(&x).unwrap());
        for (name, variable) in &variables {
            check(name, &gradients.0[name], store.get(variable).unwrap());
        }
        prop_assert_eq!(gradients.0.len(), variables.len(), "every parameter has its gradient, and no other");
    }
}

const SHAPE: Shape = Shape { kv: 2, group: 3, head_size: 8, intermediate: 40, rank: 3 };

#[test]
fn packed_documents_are_as_if_alone() {
    let layer = make(SHAPE).layer;
    let documents = [5, 1, 8];
    let x = Tensor::randn(0f64, 1.0, (14, 48), &Device::Cpu).unwrap();
    let dy = Tensor::randn(0f64, 1.0, (14, 48), &Device::Cpu).unwrap();
    let (y, dx, gradients) = run(&layer, &x, &dy, &documents).unwrap();
    let mut sum = Gradients::default();
    let mut start = 0;
    for length in documents {
        let part = |tensor: &Tensor| tensor.narrow(0, start, length).unwrap();
        let (own_y, own_dx, own) = run(&layer, &part(&x), &part(&dy), &[length]).unwrap();
        check("the output", &part(&y), &own_y);
        check("dx", &part(&dx), &own_dx);
        own.0.into_iter().for_each(|(name, gradient)| sum.add(name, gradient).unwrap());
        start += length;
    }
    for (name, expected) in &sum.0 {
        check(name, &gradients.0[name], expected);
    }
}

#[test]
fn a_quantised_layer_is_one_on_the_dequantised_weights() {
    let dense = make(SHAPE).layer;
    let quantised = |linear: &Linear, keep: bool| {
        let weight = linear.weight.dense().unwrap();
        let nf4 = Nf4::quantise(&weight.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .nested();
        let matrix =
            Matrix::Nf4 { weight: nf4, shape: weight.dims2().unwrap(), dtype: weight.dtype(), device: Device::Cpu };
        let weight = if keep { matrix } else { Matrix::Dense(matrix.dense().unwrap()) };
        Linear { weight, trained: false, ..linear.clone() }
    };
    let with = |keep: bool| Layer {
        q: quantised(&dense.q, keep),
        k: quantised(&dense.k, keep),
        v: quantised(&dense.v, keep),
        o: quantised(&dense.o, keep),
        gate: quantised(&dense.gate, keep),
        up: quantised(&dense.up, keep),
        down: quantised(&dense.down, keep),
        trained: false,
        ..dense.clone()
    };
    let x = Tensor::randn(0f64, 1.0, (9, 48), &Device::Cpu).unwrap();
    let dy = Tensor::randn(0f64, 1.0, (9, 48), &Device::Cpu).unwrap();
    let (y, dx, gradients) = run(&with(true), &x, &dy, &[9]).unwrap();
    let (dense_y, dense_dx, dense_gradients) = run(&with(false), &x, &dy, &[9]).unwrap();
    check("the output", &y, &dense_y);
    check("dx", &dx, &dense_dx);
    // Seven linears with an A and a B, and nothing that is frozen.
    assert_eq!(gradients.0.len(), 14);
    for (name, expected) in &dense_gradients.0 {
        check(name, &gradients.0[name], expected);
    }
}

#[test]
fn cross_entropy_in_chunks_is_autograds_in_one() {
    let (rows, hidden_size, vocabulary) = (150, 12, 31);
    let (hidden, head) = (random((rows, hidden_size), 1.0), random((vocabulary, hidden_size), 1.0));
    let targets: Vec<u32> = (0..rows as u32).map(|row| row * 7 % vocabulary as u32).collect();
    let weights: Vec<f32> = (0..rows).map(|row| (row % 4) as f32 * 0.5).collect();
    let loss = cross_entropy(&hidden.detach(), &head.detach(), &targets, &weights, true).unwrap();

    let logits = hidden.matmul(&head.t().unwrap()).unwrap();
    let log = log_softmax(&logits).unwrap();
    let index = Tensor::from_slice(&targets, (rows, 1), &Device::Cpu).unwrap();
    let picked = log.gather(&index, 1).unwrap().squeeze(1).unwrap();
    let weights = Tensor::from_slice(&weights, rows, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
    let expected = (picked * weights).unwrap().sum_all().unwrap().neg().unwrap();
    let store = expected.backward().unwrap();
    let sum = expected.to_scalar::<f64>().unwrap();
    assert!((loss.sum - sum).abs() < 1e-9 * sum, "{}, not {sum}", loss.sum);
    check("dhidden", &loss.dhidden, store.get(&hidden).unwrap());
    check("dhead", &loss.dhead.unwrap(), store.get(&head).unwrap());
}

/// Of plain operations, all of which autograd knows.
fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let largest = logits.max_keepdim(1)?.detach();
    let shifted = logits.broadcast_sub(&largest)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)
}
