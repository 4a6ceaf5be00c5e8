//! Training on the CPU, by candle's tensors and our kernels.

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::{DType, Device};

use super::adapter::{self, AdapterShape, save_tensors};
use super::checkpoint::Checkpoint;
use super::config::Config;
use super::dropout::Dropout;
use super::linear::Gradients;
use super::model::{Method, Model};
use super::optimizer::{AdamW, read_moments, read_stored, save_moments, take};
use crate::learner::{Batch, Learner, Update};

const WEIGHTS: &str = "model.safetensors";

/// A model with its gradients and the optimizer's state.
#[derive(Debug)]
pub struct CandleLearner {
    #[expect(missing_docs, reason = "the type says it")]
    pub model: Model,
    /// `None` where all weights are trained.
    pub adapter: Option<AdapterShape>,
    /// Share of their input that adapters don't see in training.
    pub dropout: f64,
    /// The base's directory, which the adapter's configuration names.
    pub base: PathBuf,
    /// Layers that are run again on the way back.
    pub recomputed: usize,
    gradients: Gradients,
    optimizer: AdamW,
}

impl CandleLearner {
    /// A model on the CPU, with nothing learned yet, no dropout, and every layer computed twice.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(checkpoint: &Checkpoint, config: &Config, method: &Method, base: &Path) -> Result<CandleLearner> {
        Ok(CandleLearner {
            model: Model::load(checkpoint, config, method, DType::F32, &Device::Cpu)?,
            adapter: match method {
                Method::Full => None,
                Method::Qlora(shape) | Method::Lora(shape) => Some(shape.clone()),
            },
            dropout: 0.0,
            base: base.to_owned(),
            recomputed: config.layers,
            gradients: Gradients::default(),
            optimizer: AdamW::default(),
        })
    }
}

impl Learner for CandleLearner {
    fn accumulate(&mut self, batch: &Batch, seed: u64) -> Result<f64> {
        let dropout = (self.dropout > 0.0).then_some(Dropout { share: self.dropout, seed });
        let CandleLearner { model, gradients, recomputed, .. } = self;
        in_pool(|| model.backward(batch, dropout, *recomputed, gradients))
    }

    fn step(&mut self, update: &Update) -> Result<f64> {
        let mut gradients = std::mem::take(&mut self.gradients);
        let norm = gradients.finish(update.divisor, update.max_grad_norm)?;
        if norm.is_finite() {
            let parameters = self.model.parameters();
            self.optimizer.step(parameters, &gradients, update.learning_rate, update.weight_decay)?;
        }
        Ok(norm)
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<f64> {
        in_pool(|| self.model.loss(batch))
    }

    fn save(&mut self, directory: &Path) -> Result<()> {
        let parameters = self.model.parameters().into_iter().map(|(name, tensor)| (name, tensor.clone()));
        match &self.adapter {
            Some(shape) => adapter::save(parameters, shape, self.dropout, &self.base, directory)?,
            None => save_tensors(parameters, &directory.join(WEIGHTS))?,
        }
        let moments = self.optimizer.moments.iter().map(|(name, moments)| (name.clone(), moments.clone()));
        save_moments(moments, self.optimizer.steps, directory)
    }

    fn restore(&mut self, directory: &Path) -> Result<()> {
        match &self.adapter {
            Some(_) => adapter::load(&mut self.model, directory)?,
            None => {
                let path = directory.join(WEIGHTS);
                let mut stored = read_stored(&path)?;
                for (name, parameter) in self.model.parameters() {
                    *parameter = take(&mut stored, &name, parameter.dims(), &path)?;
                }
            }
        }
        let parameters = self.model.parameters();
        let shapes = parameters.iter().map(|(name, parameter)| (name.as_str(), parameter.dims().to_vec()));
        let (steps, moments) = read_moments(directory, shapes)?;
        self.optimizer.steps = steps;
        self.optimizer.moments = parameters.into_iter().map(|(name, _)| name).zip(moments).collect();
        Ok(())
    }

    fn peak_bytes(&self) -> u64 {
        crate::run::peak_bytes()
    }
}

/// Runs within the thread pool, whose threads then hand work to each other rather than being woken for every product: a
/// step of a small model takes half as long.
fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}
