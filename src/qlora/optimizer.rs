//! AdamW (Loshchilov and Hutter 2019) with 32-bit state, as torch computes it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};

use super::linear::Gradients;

/// torch's defaults, but for the weight decay.
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Moments by parameter name.
#[derive(Debug, Default)]
pub struct AdamW {
    /// Steps taken.
    pub steps: u64,
    /// First and second moment of each parameter.
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
    /// Divides all by `divisor`, then scales them down to `max_norm` together, if that is set; the norm before scaling
    /// down, as torch's `clip_grad_norm_`.
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
