//! Training against transformers and PEFT on tiny models; `tests/reference/train.py` writes what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use reels::error::Shown;
use reels::learner::{Batch, Document};
use reels::qlora::adapter;
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;
use reels::qlora::linear::Gradients;
use reels::qlora::model::{Method, Model};
use reels::qlora::optimizer::AdamW;
use serde::Deserialize;

const NAMES: [&str; 2] = ["tied", "untied"];

#[derive(Deserialize)]
struct Expected {
    /// `[tokens, vocabulary]` of the first batch.
    logits: Vec<f32>,
    loss: f64,
    gradients: BTreeMap<String, Vec<f32>>,
    /// Tokens, and where the answer starts.
    batches: Vec<(Vec<u32>, usize)>,
    /// Loss and norm of the gradients.
    steps: Vec<(f64, f64)>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/train").join(name)
}

fn expected(name: &str) -> Expected {
    let text = std::fs::read_to_string(folder(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The tiny model with the adapter that PEFT made.
fn model(name: &str, method: fn(adapter::AdapterShape) -> Method) -> Model {
    let base = folder(name).join("base");
    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let shape = adapter::shape(&folder(name).join("adapter")).unwrap();
    let mut model = Model::load(&checkpoint, &config, &method(shape), DType::F32, &Device::Cpu).unwrap();
    adapter::load(&mut model, &folder(name).join("adapter")).unwrap();
    model
}

fn batch((tokens, answer_at): &(Vec<u32>, usize)) -> Batch {
    let rows = (*answer_at as u32 - 1..tokens.len() as u32 - 1).collect::<Vec<u32>>();
    Batch {
        documents: vec![Document::plain(tokens.len())],
        targets: tokens[*answer_at..].to_vec(),
        weights: vec![1.0; rows.len()],
        tokens: tokens.clone(),
        rows,
    }
}

/// Largest difference over largest reference.
fn off(found: &Tensor, expected: &[f32]) -> f32 {
    let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0f32, |largest, value| largest.max(value.abs()));
    largest(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / largest(&mut expected.iter().copied())
}

#[test]
fn logits_and_gradients_are_those_of_peft() {
    for name in NAMES {
        let expected = expected(name);
        let mut model = model(name, Method::Lora);
        let first = batch(&expected.batches[0]);
        let logits = off(&model.logits(&first.tokens, &first.documents).unwrap(), &expected.logits);
        assert!(logits < 1e-4, "{name}: logits are off by {logits}");
        for recomputed in [0, 1, 2] {
            let mut gradients = Gradients::default();
            let n = first.rows.len() as f64;
            let loss = model.backward(&first, None, recomputed, &mut gradients).unwrap() / n;
            assert!((loss - expected.loss).abs() < 1e-4 * expected.loss, "{name}: {loss}, not {}", expected.loss);
            gradients.finish(n, None).unwrap();
            assert_eq!(gradients.0.len(), expected.gradients.len());
            for (parameter, values) in &expected.gradients {
                let off = off(&gradients.0[parameter], values);
                assert!(off < 1e-4, "{name}: the gradient of {parameter} is off by {off}");
            }
        }
        assert_eq!(model.parameters().len(), expected.gradients.len());
    }
}

#[test]
fn thirty_steps_are_those_of_torch() {
    for name in NAMES {
        let expected = expected(name);
        let mut model = model(name, Method::Lora);
        let mut optimizer = AdamW::default();
        for (step, (tokens, (loss, norm))) in expected.batches.iter().zip(&expected.steps).enumerate() {
            let batch = batch(tokens);
            let mut gradients = Gradients::default();
            let n = batch.rows.len() as f64;
            let own_loss = model.backward(&batch, None, 0, &mut gradients).unwrap() / n;
            let own_norm = gradients.finish(n, Some(0.3)).unwrap();
            optimizer.step(model.parameters(), &gradients, 1e-2, 0.1).unwrap();
            assert!((own_loss - loss).abs() < 1e-3 * loss, "{name}, step {step}: loss {own_loss}, not {loss}");
            assert!((own_norm - norm).abs() < 1e-3 * norm, "{name}, step {step}: norm {own_norm}, not {norm}");
        }
    }
}

#[test]
fn a_saved_adapter_is_read_again_and_others_are_refused() {
    let folder_of_run = tempfile::tempdir().unwrap();
    let mut first = model("tied", Method::Lora);
    let shape = adapter::shape(&folder("tied").join("adapter")).unwrap();
    let parameters = first.parameters().into_iter().map(|(name, tensor)| (name, tensor.clone()));
    adapter::save(parameters, &shape, 0.0, Path::new("base"), folder_of_run.path()).unwrap();
    assert_eq!(adapter::shape(folder_of_run.path()).unwrap(), shape);
    let mut second = model("tied", Method::Lora);
    adapter::load(&mut second, folder_of_run.path()).unwrap();
    let logits = |model: &Model| model.logits(&[1, 2, 3], &[Document::plain(3)]).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(logits(&first), logits(&second));

    let base = folder("tied").join("base");
    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let load = |change: fn(&mut adapter::AdapterShape)| {
        let mut shape = shape.clone();
        change(&mut shape);
        let mut model = Model::load(&checkpoint, &config, &Method::Lora(shape), DType::F32, &Device::Cpu)?;
        adapter::load(&mut model, folder_of_run.path())
    };
    for (result, expected) in [
        (load(|shape| shape.rank = 8), "the adapter is of another rank or model"),
        (load(|shape| shape.targets = vec!["q_proj".into()]), "more parameters, one of them"),
    ] {
        let message = Shown::of(&result.unwrap_err()).to_string();
        assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
    }
    let message = second.logits(&[99], &[Document::plain(1)]).unwrap_err().to_string();
    assert!(message.contains("token 99 is beyond the 61 rows of the embedding"), "{message}");
}

#[test]
fn accumulated_batches_are_one_batch() {
    let expected = expected("untied");
    let model = model("untied", Method::Qlora);
    let parts: Vec<Batch> = expected.batches[..3].iter().map(batch).collect();
    let mut whole = Batch::default();
    for part in &parts {
        whole.extend(part);
    }
    let mut apart = Gradients::default();
    let sum: f64 = parts.iter().map(|part| model.backward(part, None, 0, &mut apart).unwrap()).sum();
    let mut together = Gradients::default();
    let loss = model.backward(&whole, None, 0, &mut together).unwrap();
    assert!((sum - loss).abs() < 1e-5 * loss && (model.loss(&whole).unwrap() - loss).abs() < 1e-5 * loss);
    for (name, gradient) in &together.0 {
        let values: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert!(off(&apart.0[name], &values) < 1e-4, "{name}");
    }
}
