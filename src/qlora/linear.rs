//! A linear map: a frozen or trained matrix, a bias, and a low-rank adapter (Hu et al. 2021).

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use super::dropout::Dropout;
use super::nf4::Nf4;

/// Gradients by parameter name.
#[derive(Debug, Default)]
pub struct Gradients(pub BTreeMap<String, Tensor>);

impl Gradients {
    /// Adds to what was there.
    pub fn add(&mut self, name: String, gradient: Tensor) -> Result<()> {
        let sum = match self.0.remove(&name) {
            Some(before) => (before + gradient)?,
            None => gradient,
        };
        self.0.insert(name, sum);
        Ok(())
    }
}

/// `y = x Wᵀ + b + scale · (dropout(x) Aᵀ) Bᵀ`
#[derive(Debug, Clone)]
pub struct Linear {
    /// Of its parameters, without `.weight`.
    pub name: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub weight: Matrix,
    /// `[out]`
    pub bias: Option<Tensor>,
    #[expect(missing_docs, reason = "the type says it")]
    pub adapter: Option<Adapter>,
    /// Whether weight and bias are trained.
    pub trained: bool,
}

/// `[out, in]`
#[derive(Debug, Clone)]
pub enum Matrix {
    /// As it is.
    Dense(Tensor),
    /// Four bits a value; made dense for each use.
    Nf4 {
        #[expect(missing_docs, reason = "the type says it")]
        weight: Nf4,
        /// `[out, in]`
        shape: (usize, usize),
        #[expect(missing_docs, reason = "the type says it")]
        dtype: DType,
        #[expect(missing_docs, reason = "the type says it")]
        device: Device,
    },
}

/// A low-rank change of a matrix.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// `[rank, in]`
    pub a: Tensor,
    /// `[out, rank]`
    pub b: Tensor,
    /// alpha / rank, or alpha / √rank with rsLoRA.
    pub scale: f64,
}

impl Matrix {
    /// `[out, in]` in the type of the computation.
    pub fn dense(&self) -> Result<Tensor> {
        match self {
            Matrix::Dense(tensor) => Ok(tensor.clone()),
            Matrix::Nf4 { weight, shape, dtype, device } => {
                Tensor::from_vec(weight.dequantise(), *shape, device)?.to_dtype(*dtype)
            }
        }
    }
}

impl Linear {
    /// `x` is `[tokens, in]`, the result `[tokens, out]`.
    pub fn forward(&self, x: &Tensor, dropout: Option<&Dropout>) -> Result<Tensor> {
        let mut y = x.matmul(&self.weight.dense()?.t()?)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        if let Some(Adapter { a, b, scale }) = &self.adapter {
            let x = dropped(x, dropout, &self.name)?;
            y = (y + (x.matmul(&a.t()?)?.matmul(&b.t()?)? * *scale)?)?;
        }
        Ok(y)
    }

    /// The gradient of x; those of what is trained are added up.
    pub fn backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        dropout: Option<&Dropout>,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let mut dx = dy.matmul(&self.weight.dense()?)?;
        let name = |part: &str| format!("{}.{part}", self.name);
        if self.trained {
            gradients.add(name("weight"), dy.t()?.matmul(x)?)?;
            if self.bias.is_some() {
                gradients.add(name("bias"), dy.sum(0)?)?;
            }
        }
        if let Some(Adapter { a, b, scale }) = &self.adapter {
            let x = dropped(x, dropout, &self.name)?;
            let low = x.matmul(&a.t()?)?;
            let dlow = (dy.matmul(b)? * *scale)?;
            gradients.add(name("lora_A.weight"), dlow.t()?.matmul(&x)?)?;
            gradients.add(name("lora_B.weight"), (dy.t()?.matmul(&low)? * *scale)?)?;
            dx = (dx + dropped(&dlow.matmul(a)?, dropout, &self.name)?)?;
        }
        Ok(dx)
    }
}

/// The same elements are left out on the way back, where this is applied to the gradient.
fn dropped(x: &Tensor, dropout: Option<&Dropout>, name: &str) -> Result<Tensor> {
    dropout.map_or_else(|| Ok(x.clone()), |dropout| dropout.apply(x, name))
}
