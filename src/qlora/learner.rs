//! candle as a learner.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};

use super::adapter::{self, AdapterShape, save_tensors};
use super::checkpoint::Checkpoint;
use super::config::Config;
use super::dropout::Dropout;
use super::linear::Gradients;
use super::model::{Method, Model};
use super::optimizer::AdamW;
use crate::learner::{Batch, Learner, Update};

const OPTIMIZER: &str = "optimizer.safetensors";
const WEIGHTS: &str = "model.safetensors";

/// A model with its gradients and the optimizer's state.
#[derive(Debug)]
pub struct CandleLearner {
    #[expect(missing_docs, reason = "the type says it")]
    pub model: Model,
    /// `None` where all weights are trained.
    pub adapter: Option<AdapterShape>,
    /// Of what adapters see.
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
        match &self.adapter {
            Some(shape) => adapter::save(&mut self.model, shape, self.dropout, &self.base, directory)?,
            None => {
                let parameters = self.model.parameters().into_iter();
                save_tensors(parameters.map(|(name, tensor)| (name, tensor.clone())), &directory.join(WEIGHTS))?;
            }
        }
        let moments = self.optimizer.moments.iter().flat_map(|(name, [first, second])| {
            [(format!("{name}.first"), first.clone()), (format!("{name}.second"), second.clone())]
        });
        let steps = Tensor::new(self.optimizer.steps as i64, self.model.embedding.device())?;
        save_tensors(moments.chain([("steps".to_owned(), steps)]), &directory.join(OPTIMIZER))
    }

    fn restore(&mut self, directory: &Path) -> Result<()> {
        match &self.adapter {
            Some(_) => adapter::load(&mut self.model, directory)?,
            None => {
                let path = directory.join(WEIGHTS);
                let mut stored = self.stored(&path)?;
                for (name, parameter) in self.model.parameters() {
                    *parameter = take(&mut stored, &name, parameter.dims(), &path)?;
                }
            }
        }
        let path = directory.join(OPTIMIZER);
        let mut stored = self.stored(&path)?;
        self.optimizer.steps = take(&mut stored, "steps", &[], &path)?.to_scalar::<i64>()? as u64;
        self.optimizer.moments.clear();
        for (name, parameter) in self.model.parameters() {
            let mut moment = |which: &str| take(&mut stored, &format!("{name}.{which}"), parameter.dims(), &path);
            self.optimizer.moments.insert(name.clone(), [moment("first")?, moment("second")?]);
        }
        Ok(())
    }

    fn peak_bytes(&self) -> u64 {
        crate::run::peak_bytes()
    }
}

/// Runs within the thread pool, whose threads then hand work to each other rather than being woken for every product:
/// half as long on small models.
fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

impl CandleLearner {
    fn stored(&self, path: &Path) -> Result<HashMap<String, Tensor>> {
        candle_core::safetensors::load(path, self.model.embedding.device()).with_context(|| {
            format!("cannot read {}\nhint: delete this checkpoint, and go on from another", path.display())
        })
    }
}

fn take(stored: &mut HashMap<String, Tensor>, name: &str, dims: &[usize], path: &Path) -> Result<Tensor> {
    let tensor = stored.remove(name).with_context(|| format!("{} lacks {name}", path.display()))?;
    ensure!(tensor.dims() == dims, "{}: {name} has the shape {:?}, not {dims:?}", path.display(), tensor.dims());
    Ok(tensor)
}
