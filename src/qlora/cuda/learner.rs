//! Training on a GPU.

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::{Device, Tensor};

use super::engine::Engine;
use super::gpu::{Arena, FLOAT, Gpu, read_floats, write_floats};
use super::load::{Loader, Staging};
use super::memory::{GpuMemoryPlan, TrainingSetup};
use super::ops::{Adam, LOOPING, Ops};
use super::room::Room;
use super::weights::Trained;
use crate::learner::{Batch, Learner, Update};
use crate::qlora::adapter;
use crate::qlora::checkpoint::Checkpoint;
use crate::qlora::config::Config;
use crate::qlora::dropout::Dropout;
use crate::qlora::optimizer::{BETAS, EPSILON, read_moments, save_moments};

/// A model on a GPU with its optimizer's state.
#[derive(Debug)]
pub struct GpuLearner<G> {
    #[expect(missing_docs, reason = "the type says it")]
    pub engine: Engine<G>,
    /// Share of their input that adapters don't see in training.
    pub dropout: f64,
    /// The base's directory, which the adapter's configuration names.
    pub base: PathBuf,
    /// Bytes of the GPU's memory that are taken.
    pub bytes: u64,
    /// Steps that the optimizer has taken.
    pub steps: u64,
}

impl<G: Gpu> GpuLearner<G> {
    /// A model on a GPU, with nothing learned yet.
    ///
    /// # Errors
    /// As [`TrainingSetup::adapters`]; when the checkpoint can't be read or the GPU refuses.
    pub fn load(
        gpu: G,
        checkpoint: &Checkpoint,
        setup: &TrainingSetup,
        plan: &GpuMemoryPlan,
        base: &Path,
    ) -> Result<GpuLearner<G>> {
        let (shape, four_bits) = setup.adapters()?;
        let config = setup.config;
        let before = gpu.free()?;
        let needs = setup.needs(shape, plan.kept, plan.panels);
        let bytes = Room::bytes(&needs);
        let start = gpu.allocate(bytes)?;
        // While weights are loaded no values pass, and the room is free.
        let staging = Staging::new(needs.matrix, &mut Arena::new(start, bytes));
        let loader = Loader { gpu: &gpu, checkpoint, config, shape, four_bits, panels: plan.panels, staging };
        let mut parameters = Vec::new();
        let layers =
            (0..config.layers).map(|index| loader.layer(index, &mut parameters)).collect::<Result<Vec<_>>>()?;
        let names = config.architecture;
        let embedding = loader.dense(&names.embedding.weight())?;
        let head = if config.tied { embedding } else { loader.dense(&names.head.weight())? };
        let norm = loader.dense(&names.norm.weight())?;
        let values = parameters.iter().flat_map(|parameter| shape.first_values(&parameter.name, parameter.shape));
        let values = values.collect::<Vec<f32>>();
        let trained = Trained::new(&gpu, parameters, &values)?;
        let room = Room::new(&needs, &mut Arena::new(start, bytes));
        write_floats(&gpu, room.angles, &angles(config, setup.largest.tokens))?;
        let bytes = before.saturating_sub(gpu.free()?);
        let (config, shape) = (config.clone(), shape.clone());
        let largest = setup.largest;
        let engine = Engine { gpu, config, shape, embedding, layers, norm, head, trained, room, largest };
        Ok(GpuLearner { engine, dropout: setup.dropout, base: base.to_owned(), bytes, steps: 0 })
    }

    /// The trained parameters with their names: their values, gradients, first or second moments, by their index in
    /// [`Trained::floats`].
    fn tensors(&self, which: usize) -> Result<Vec<(String, Tensor)>> {
        let trained = &self.engine.trained;
        let values = read_floats(&self.engine.gpu, trained.floats[which], trained.count)?;
        let tensor = |own: &[f32], shape: [usize; 2]| Tensor::from_slice(own, (shape[0], shape[1]), &Device::Cpu);
        let named = trained.parameters.iter().map(|parameter| {
            let own = &values[parameter.start..][..parameter.values()];
            Ok((parameter.name.clone(), tensor(own, parameter.shape)?))
        });
        named.collect()
    }

    fn write(&self, which: usize, index: usize, tensor: &Tensor) -> Result<()> {
        let trained = &self.engine.trained;
        let parameter = &trained.parameters[index];
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        write_floats(&self.engine.gpu, trained.floats[which].plus(parameter.start, FLOAT), &values)
    }

    /// Replaces the adapters' values by those of a stored adapter.
    ///
    /// # Errors
    /// As [`adapter::load`].
    pub fn load_adapter(&mut self, directory: &Path) -> Result<()> {
        let parameters = &self.engine.trained.parameters;
        let shapes = parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.shape.to_vec()));
        let stored = adapter::read(directory, shapes)?;
        for (index, tensor) in stored.iter().enumerate() {
            self.write(0, index, tensor)?;
        }
        Ok(())
    }
}

impl<G: Gpu> Learner for GpuLearner<G> {
    fn accumulate(&mut self, batch: &Batch, seed: u64) -> Result<f64> {
        let dropout = (self.dropout > 0.0).then_some(Dropout { share: self.dropout, seed });
        self.engine.backward(batch, dropout)
    }

    fn step(&mut self, update: &Update) -> Result<f64> {
        let Engine { gpu, trained, room, .. } = &self.engine;
        Ops(gpu).squares(trained.floats[1], trained.count, room.squares)?;
        let squares = read_floats(gpu, room.squares, LOOPING)?;
        let norm = squares.into_iter().map(f64::from).sum::<f64>().sqrt() / update.divisor;
        if !norm.is_finite() {
            gpu.clear(trained.floats[1], trained.count * FLOAT)?;
            return Ok(norm);
        }
        let factor = update.max_grad_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        self.steps += 1;
        let adam = Adam {
            gradient_factor: factor / update.divisor,
            learning_rate: update.learning_rate,
            weight_decay: update.weight_decay,
            betas: BETAS,
            epsilon: EPSILON,
            step: self.steps,
        };
        Ops(gpu).adamw(trained.floats, trained.count, &adam)?;
        Ok(norm)
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<f64> {
        self.engine.loss(batch)
    }

    fn save(&mut self, directory: &Path) -> Result<()> {
        adapter::save(self.tensors(0)?, &self.engine.shape, self.dropout, &self.base, directory)?;
        let [first, second] = [self.tensors(2)?, self.tensors(3)?];
        let moments = first.into_iter().zip(second).map(|((name, first), (_, second))| (name, [first, second]));
        save_moments(moments, self.steps, directory)
    }

    fn restore(&mut self, directory: &Path) -> Result<()> {
        self.load_adapter(directory)?;
        let parameters = &self.engine.trained.parameters;
        let shapes = parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.shape.to_vec()));
        let (steps, moments) = read_moments(directory, shapes)?;
        self.steps = steps;
        for (index, [first, second]) in moments.iter().enumerate() {
            self.write(2, index, first)?;
            self.write(3, index, second)?;
        }
        Ok(())
    }

    fn peak_bytes(&self) -> u64 {
        self.bytes
    }
}

/// Cosine and sine of each position and pair of values: `[positions, size / 2, 2]`.
fn angles(config: &Config, positions: usize) -> Vec<f32> {
    let half = config.head_size / 2;
    let frequencies: Vec<f64> = (0..half).map(|pair| config.rope_theta.powf(-(pair as f64) / half as f64)).collect();
    let of = |position: usize| {
        let turned = frequencies.iter().map(move |each| position as f64 * each);
        turned.flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect::<Vec<f32>>()
    };
    (0..positions.min(config.max_positions)).flat_map(of).collect()
}
