//! AdamW (Loshchilov and Hutter 2019) with 32-bit state, as torch computes it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};

use super::adapter::save_tensors;
use super::linear::Gradients;
use crate::error::Hint;

/// How much of the first and second moment a step keeps: torch's defaults.
pub const BETAS: [f64; 2] = [0.9, 0.999];
/// Added to the root of the second moment, so that nothing is divided by 0: torch's default.
pub const EPSILON: f64 = 1e-8;

const FILE: &str = "optimizer.safetensors";

/// Writes moments by parameter name, and the steps taken.
///
/// # Errors
/// As [`save_tensors`].
pub fn save_moments(moments: impl Iterator<Item = (String, [Tensor; 2])>, steps: u64, directory: &Path) -> Result<()> {
    let moments = moments
        .flat_map(|(name, [first, second])| [(format!("{name}.first"), first), (format!("{name}.second"), second)]);
    let steps = Tensor::new(steps as i64, &Device::Cpu)?;
    save_tensors(moments.chain([("steps".to_owned(), steps)]), &directory.join(FILE))
}

/// The steps taken, and the first and second moment of each parameter of these names and shapes.
///
/// # Errors
/// As [`read_stored`] and [`take`].
pub fn read_moments<'a>(
    directory: &Path,
    shapes: impl Iterator<Item = (&'a str, Vec<usize>)>,
) -> Result<(u64, Vec<[Tensor; 2]>)> {
    let path = directory.join(FILE);
    let mut stored = read_stored(&path)?;
    let steps = take(&mut stored, "steps", &[], &path)?.to_scalar::<i64>()? as u64;
    let moments = shapes.map(|(name, shape)| {
        let mut moment = |which: &str| take(&mut stored, &format!("{name}.{which}"), &shape, &path);
        Ok([moment("first")?, moment("second")?])
    });
    Ok((steps, moments.collect::<Result<_>>()?))
}

/// All tensors of a checkpoint's file.
///
/// # Errors
/// Names the file.
pub fn read_stored(path: &Path) -> Result<HashMap<String, Tensor>> {
    candle_core::safetensors::load(path, &Device::Cpu)
        .with_context(|| format!("cannot read {}", path.display()))
        .hint("delete this checkpoint, and go on from another")
}

/// One of these tensors, taken out.
///
/// # Errors
/// Names the file, and the tensor that is missing or of another shape.
pub fn take(stored: &mut HashMap<String, Tensor>, name: &str, dims: &[usize], path: &Path) -> Result<Tensor> {
    let tensor = stored.remove(name).with_context(|| format!("{} lacks {name}", path.display()))?;
    ensure!(tensor.dims() == dims, "{}: {name} has the shape {:?}, not {dims:?}", path.display(), tensor.dims());
    Ok(tensor)
}

/// The optimizer's state.
#[derive(Debug, Default)]
pub struct AdamW {
    /// Steps taken.
    pub steps: u64,
    /// First and second moment of each parameter, by its name.
    pub moments: BTreeMap<String, [Tensor; 2]>,
}

impl AdamW {
    /// One step. Weights of matrices decay; biases and norms don't.
    ///
    /// # Errors
    /// Names the parameter that has no gradient.
    pub fn step(
        &mut self,
        parameters: Vec<(String, &mut Tensor)>,
        gradients: &Gradients,
        learning_rate: f64,
        weight_decay: f64,
    ) -> Result<()> {
        self.steps += 1;
        let [first, second] = BETAS.map(|beta| 1.0 - beta.powi(self.steps as i32));
        for (name, parameter) in parameters {
            let gradient = gradients.0.get(&name).with_context(|| format!("{name} has no gradient"))?;
            let gradient = gradient.to_dtype(DType::F32)?;
            let [m, v] = match self.moments.remove(&name) {
                Some(moments) => moments,
                None => [gradient.zeros_like()?, gradient.zeros_like()?],
            };
            let m = ((m * BETAS[0])? + (&gradient * (1.0 - BETAS[0]))?)?;
            let v = ((v * BETAS[1])? + (gradient.sqr()? * (1.0 - BETAS[1]))?)?;
            let change = (&m / ((v.sqrt()? / second.sqrt())? + EPSILON)?)?;
            let decay = if parameter.rank() > 1 { 1.0 - learning_rate * weight_decay } else { 1.0 };
            let value = (parameter.to_dtype(DType::F32)? * decay)?;
            *parameter = (value - (change * (learning_rate / first))?)?.to_dtype(parameter.dtype())?;
            self.moments.insert(name, [m, v]);
        }
        Ok(())
    }
}

impl Gradients {
    /// Divides all gradients by `divisor`, then scales them down together to the norm `max_norm`, if that is set. Gives
    /// the norm before scaling down, as torch's `clip_grad_norm_` does.
    pub fn finish(&mut self, divisor: f64, max_norm: Option<f64>) -> Result<f64> {
        let mut squares = 0.0;
        for gradient in self.0.values_mut() {
            *gradient = (&*gradient / divisor)?;
            squares += f64::from(gradient.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let norm = squares.sqrt();
        let factor = max_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        if factor < 1.0 {
            for gradient in self.0.values_mut() {
                *gradient = (&*gradient * factor)?;
            }
        }
        Ok(norm)
    }
}
