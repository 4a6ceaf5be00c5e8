//! The backward passes written by hand against candle's autograd, and the identities that hold between them. In 64 bits,
//! so that rounding hides nothing and a small gradient is checked as well as a large one; `train_reference.rs` is in 32.

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::prelude::*;
use reels::architecture::QWEN2;
use reels::learner::Document;
use reels::qlora::layer::{Layer, Pass};
use reels::qlora::linear::{Adapter, Gradients, Linear, Matrix};
use reels::qlora::loss::cross_entropy;
use reels::qlora::nf4::Nf4;
use reels::qlora::ops::Rotary;

const THETA: f64 = 10_000.0;
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
    hidden: usize,
    intermediate: usize,
    rank: usize,
}

fn random(shape: impl Into<candle_core::Shape>, spread: f64) -> Var {
    Var::from_tensor(&Tensor::randn(0f64, spread, shape, &Device::Cpu).unwrap()).unwrap()
}

fn make(shape: Shape) -> Made {
    let Shape { kv, group, head_size, hidden, intermediate, rank } = shape;
    let heads = kv * group;
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
        input: None,
    };
    let (q, k) = (linear("q", heads * head_size, hidden, true), linear("k", kv * head_size, hidden, true));
    let (v, o) = (linear("v", kv * head_size, hidden, true), linear("o", hidden, heads * head_size, false));
    let (gate, up) = (linear("gate", intermediate, hidden, false), linear("up", intermediate, hidden, false));
    let down = linear("down", hidden, intermediate, false);
    let layer = Layer {
        architecture: &QWEN2,
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
    // All here are of the order of 1, but for those that are 0, such as a query's that sees one key alone: of these only
    // rounding is left.
    largest((found - expected).unwrap()) / largest(expected.clone()).max(1e-3)
}

fn check(name: &str, found: &Tensor, expected: &Tensor) {
    let off = off(found, expected);
    assert!(off <= TOLERANCE, "{name} is off by {off}");
}

/// Output, gradient of x, gradients of the parameters.
fn run(layer: &Layer, x: &Tensor, dy: &Tensor, documents: &[Document]) -> Result<(Tensor, Tensor, Gradients)> {
    let head_size = layer.q.bias.as_ref().unwrap().dim(0)? / layer.heads;
    let pass = Pass { documents, rotary: Rotary::new(documents, head_size, THETA, x)?, dropout: None, rows: None };
    let (y, trace) = layer.forward(x, &pass)?;
    let mut gradients = Gradients::default();
    let dx = layer.backward(dy, x, &trace, &pass, &mut gradients)?;
    Ok((y, dx, gradients))
}

/// `[out, in]`
fn dense_of(matrix: &Matrix) -> Tensor {
    match matrix {
        Matrix::Dense(tensor) => tensor.clone(),
        Matrix::Nf4 { weight, shape } => {
            Tensor::from_vec(weight.dequantise(), *shape, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
        }
    }
}

/// The layer again, of plain operations that autograd knows, with one matrix of who sees whom.
fn oracle(layer: &Layer, x: &Tensor, documents: &[Document]) -> Result<Tensor> {
    let norm = |x: &Tensor, weight: &Tensor| {
        let mean = (x.sqr()?.mean_keepdim(1)? + layer.eps)?;
        x.broadcast_div(&mean.sqrt()?)?.broadcast_mul(weight)
    };
    let linear = |linear: &Linear, x: &Tensor| {
        let Adapter { a, b, scale } = linear.adapter.as_ref().unwrap();
        let y = x.matmul(&dense_of(&linear.weight).t()?)?;
        let y = (y + (x.matmul(&a.t()?)?.matmul(&b.t()?)? * *scale)?)?;
        linear.bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
    };
    let tokens = x.dim(0)?;
    let half = layer.q.bias.as_ref().unwrap().dim(0)? / layer.heads / 2;
    let positions: Vec<usize> = documents.iter().flat_map(Document::positions).collect();
    let angle = |position: usize, pair: usize| position as f64 / THETA.powf(pair as f64 / half as f64);
    let table = |of: fn(f64) -> f64| {
        let values = positions.iter().flat_map(|position| (0..half).map(move |pair| of(angle(*position, pair))));
        Tensor::from_vec(values.collect::<Vec<f64>>(), (tokens, 1, half), &Device::Cpu)
    };
    let (cos, sin) = (table(f64::cos)?, table(f64::sin)?);
    let turned = |x: Tensor, heads: usize| {
        let x = x.reshape((tokens, heads, 2 * half))?;
        let (first, second) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
        let turned_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
        let turned_second = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
        Tensor::cat(&[turned_first, turned_second], 2)
    };
    // Document and part of each token; the prefix is part 0.
    let places: Vec<(usize, usize)> = documents
        .iter()
        .enumerate()
        .flat_map(|(index, document)| {
            let parts = std::iter::once(&document.prefix).chain(&document.branches).enumerate();
            parts.flat_map(move |(part, length)| std::iter::repeat_n((index, part), *length)).collect::<Vec<_>>()
        })
        .collect();
    let sees = |query: usize, key: usize| {
        let ((document, part), (other, own)) = (places[query], places[key]);
        key <= query && document == other && (own == 0 || own == part)
    };
    let mask = (0..tokens * tokens).map(|at| if sees(at / tokens, at % tokens) { 0.0 } else { f64::NEG_INFINITY });
    let mask = Tensor::from_vec(mask.collect::<Vec<f64>>(), (1, tokens, tokens), &Device::Cpu)?;

    let normed = norm(x, &layer.input_norm)?;
    let queries = turned(linear(&layer.q, &normed)?, layer.heads)?;
    let keys = turned(linear(&layer.k, &normed)?, layer.kv_heads)?;
    let values = linear(&layer.v, &normed)?.reshape((tokens, layer.kv_heads, 2 * half))?;
    let by_head = |x: Tensor| {
        let each: Vec<u32> = (0..layer.heads).map(|head| (head * x.dim(1).unwrap() / layer.heads) as u32).collect();
        x.index_select(&Tensor::new(each, &Device::Cpu)?, 1)?.transpose(0, 1)?.contiguous()
    };
    let (queries, keys, values) = (by_head(queries)?, by_head(keys)?, by_head(values)?);
    let scores = (queries.matmul(&keys.t()?.contiguous()?)? / (2.0 * half as f64).sqrt())?.broadcast_add(&mask)?;
    let weights = scores.broadcast_sub(&scores.max_keepdim(2)?.detach())?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(2)?)?;
    let mixed = weights.matmul(&values)?.transpose(0, 1)?.contiguous()?.flatten_from(1)?;
    let middle = (x + linear(&layer.o, &mixed)?)?;
    let fed = norm(&middle, &layer.post_attention_norm)?;
    let activated = (linear(&layer.gate, &fed)?.silu()? * linear(&layer.up, &fed)?)?;
    middle + linear(&layer.down, &activated)?
}

fn check_against_autograd(made: &Made, documents: &[Document]) {
    let Made { layer, variables } = made;
    let tokens = documents.iter().map(Document::tokens).sum::<usize>();
    let x = random((tokens, layer.input_norm.dim(0).unwrap()), 1.0);
    let dy = random(x.dims(), 1.0);
    let (y, dx, gradients) = run(layer, &x.detach(), &dy.detach(), documents).unwrap();
    let oracle = oracle(layer, &x, documents).unwrap();
    check("the output", &y, &oracle);
    let store = (oracle * dy.detach()).unwrap().sum_all().unwrap().backward().unwrap();
    check("dx", &dx, store.get(&x).unwrap());
    for (name, variable) in variables {
        check(name, &gradients.0[name], store.get(variable).unwrap());
    }
    assert_eq!(gradients.0.len(), variables.len(), "every parameter has its gradient, and no other");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_layers_gradients_are_autograds(
        kv in 1usize..3,
        group in 1usize..4,
        half_head in 1usize..5,
        own_hidden in prop::option::of(1usize..20),
        intermediate in 1usize..20,
        rank in 1usize..4,
        documents in prop::collection::vec((1usize..7, prop::collection::vec(1usize..4, 0..4)), 1..4),
    ) {
        let head_size = 2 * half_head;
        // Queries are as wide as the model, or not.
        let hidden = own_hidden.unwrap_or(kv * group * head_size);
        let shape = Shape { kv, group, head_size, hidden, intermediate, rank };
        let document = |(prefix, branches)| Document { prefix, branches };
        check_against_autograd(&make(shape), &documents.into_iter().map(document).collect::<Vec<_>>());
    }
}

const SHAPE: Shape = Shape { kv: 2, group: 3, head_size: 8, hidden: 48, intermediate: 40, rank: 3 };

#[test]
fn a_token_that_sees_itself_alone() {
    check_against_autograd(&make(SHAPE), &[Document::plain(1)]);
}

#[test]
fn documents_longer_than_a_tile() {
    let documents = [Document { prefix: 150, branches: vec![70, 3] }, Document::plain(129)];
    check_against_autograd(&make(SHAPE), &documents);
}

#[test]
fn examples_that_share_their_beginning_are_as_if_alone() {
    let layer = make(SHAPE).layer;
    let (prefix, branches) = (70, [5, 1, 66]);
    let rows = |count: usize| Tensor::randn(0f64, 1.0, (count, 48), &Device::Cpu).unwrap();
    let (x, dy) = (rows(142), rows(142));
    // What follows on the prefix is learned from; the prefix itself is not.
    let dy =
        Tensor::cat(&[dy.narrow(0, 0, prefix).unwrap().zeros_like().unwrap(), dy.narrow(0, prefix, 72).unwrap()], 0)
            .unwrap();
    let document = Document { prefix, branches: branches.to_vec() };
    let (y, dx, gradients) = run(&layer, &x, &dy, &[document]).unwrap();
    let mut sum = Gradients::default();
    let mut dprefix = rows(prefix).zeros_like().unwrap();
    let mut start = prefix;
    for length in branches {
        let part = |tensor: &Tensor| tensor.narrow(0, start, length).unwrap();
        let whole = |tensor: &Tensor| Tensor::cat(&[tensor.narrow(0, 0, prefix).unwrap(), part(tensor)], 0).unwrap();
        let (own_y, own_dx, own) = run(&layer, &whole(&x), &whole(&dy), &[Document::plain(prefix + length)]).unwrap();
        check("the output", &whole(&y), &own_y);
        check("dx", &part(&dx), &own_dx.narrow(0, prefix, length).unwrap());
        dprefix = (dprefix + own_dx.narrow(0, 0, prefix).unwrap()).unwrap();
        own.0.into_iter().for_each(|(name, gradient)| sum.add(name, gradient).unwrap());
        start += length;
    }
    check("dx of the prefix", &dx.narrow(0, 0, prefix).unwrap(), &dprefix);
    for (name, expected) in &sum.0 {
        check(name, &gradients.0[name], expected);
    }
}

#[test]
fn a_layer_of_some_rows_is_one_of_all_rows_in_part() {
    for hidden in [48, 20] {
        some_rows(Shape { hidden, ..SHAPE });
    }
}

fn some_rows(shape: Shape) {
    let layer = make(shape).layer;
    let documents = [Document { prefix: 5, branches: vec![3, 2] }, Document::plain(4)];
    let rows = [4u32, 6, 4, 13];
    let x = Tensor::randn(0f64, 1.0, (14, shape.hidden), &Device::Cpu).unwrap();
    let dy = Tensor::randn(0f64, 1.0, (rows.len(), shape.hidden), &Device::Cpu).unwrap();
    let rows = Tensor::new(&rows, &Device::Cpu).unwrap();
    let rotary = Rotary::new(&documents, 8, THETA, &x).unwrap();
    let pass = Pass { documents: &documents, rotary, dropout: None, rows: Some(rows.clone()) };
    let (y, trace) = layer.forward(&x, &pass).unwrap();
    let mut gradients = Gradients::default();
    let dx = layer.backward(&dy, &x, &trace, &pass, &mut gradients).unwrap();
    let spread = x.zeros_like().unwrap().index_add(&rows, &dy, 0).unwrap();
    let (all, all_dx, all_gradients) = run(&layer, &x, &spread, &documents).unwrap();
    check("the output", &y, &all.index_select(&rows, 0).unwrap());
    check("dx", &dx, &all_dx);
    for (name, expected) in &all_gradients.0 {
        check(name, &gradients.0[name], expected);
    }
}

#[test]
fn packed_documents_are_as_if_alone() {
    let layer = make(SHAPE).layer;
    let documents = [5, 1, 8];
    let x = Tensor::randn(0f64, 1.0, (14, 48), &Device::Cpu).unwrap();
    let dy = Tensor::randn(0f64, 1.0, (14, 48), &Device::Cpu).unwrap();
    let (y, dx, gradients) = run(&layer, &x, &dy, &documents.map(Document::plain)).unwrap();
    let mut sum = Gradients::default();
    let mut start = 0;
    for length in documents {
        let part = |tensor: &Tensor| tensor.narrow(0, start, length).unwrap();
        let (own_y, own_dx, own) = run(&layer, &part(&x), &part(&dy), &[Document::plain(length)]).unwrap();
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
        let weight = dense_of(&linear.weight);
        let nf4 = Nf4::quantise(&weight.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .nested();
        let matrix = Matrix::Nf4 { weight: nf4, shape: weight.dims2().unwrap() };
        let weight = if keep { matrix } else { Matrix::Dense(dense_of(&matrix)) };
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
    let (y, dx, gradients) = run(&with(true), &x, &dy, &[Document::plain(9)]).unwrap();
    let (dense_y, dense_dx, dense_gradients) = run(&with(false), &x, &dy, &[Document::plain(9)]).unwrap();
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
    let loss = cross_entropy(&hidden.detach(), &head.detach(), &targets, &weights, true, 64).unwrap();

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
