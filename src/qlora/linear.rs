//! A linear map: a frozen or trained matrix, a bias, and a low-rank adapter (Hu et al. 2021).

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use super::cpu::gemm::{Into, Quantised, Right, Strided, Threads, gemm};
use super::cpu::{Real, by_type, values};
use super::dropout::Dropout;
use super::nf4::Nf4;

/// Gradients by parameter name.
#[derive(Debug, Default)]
pub struct Gradients(pub BTreeMap<String, Tensor>);

impl Gradients {
    /// Adds to the gradient that the parameter has so far.
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
    /// What the names of its parameters begin with, such as `model.layers.0.self_attn.q_proj`.
    pub name: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub weight: Matrix,
    /// `[out]`
    pub bias: Option<Tensor>,
    #[expect(missing_docs, reason = "the type says it")]
    pub adapter: Option<Adapter>,
    /// Whether weight and bias are trained.
    pub trained: bool,
    /// What x is rounded to before it is multiplied with the weight, as llama.cpp does where weights are stored in this
    /// type.
    pub input: Option<DType>,
}

/// `[out, in]`
#[derive(Debug, Clone)]
pub enum Matrix {
    /// In floats.
    Dense(Tensor),
    /// Four bits a value; made dense a panel at a time for each product.
    Nf4 {
        #[expect(missing_docs, reason = "the type says it")]
        weight: Nf4,
        /// `[out, in]`
        shape: (usize, usize),
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

impl Adapter {
    /// Rows of A.
    pub fn rank(&self) -> usize {
        self.a.dims()[0]
    }
}

impl Matrix {
    /// `into = x · W`, or `x · Wᵀ`.
    fn product<T: Real>(&self, into: Into<T>, x: &[T], transposed: bool) -> Result<()> {
        let inner = x.len() / (into.data.len() / into.columns);
        let x = Strided::new(x, x.len() / inner, inner);
        match self {
            Matrix::Dense(tensor) => {
                let values = values(tensor)?;
                let (out, columns) = tensor.dims2()?;
                let weight = Strided::new(values.slice()?, out, columns);
                gemm(into, T::one(), x, Right::Dense(if transposed { weight.t() } else { weight }), Threads::All);
            }
            Matrix::Nf4 { weight, shape } => {
                let quantised = Quantised { weight, maxima: &weight.maxima(), columns: shape.1, transposed };
                gemm(into, T::one(), x, Right::Nf4(quantised), Threads::All);
            }
        }
        Ok(())
    }

    fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Matrix::Dense(tensor) => tensor.dims2(),
            Matrix::Nf4 { shape, .. } => Ok(*shape),
        }
    }
}

impl Linear {
    /// From `[tokens, in]` to `[tokens, out]`, added to `onto` if there is one.
    pub fn forward(&self, x: &Tensor, dropout: Option<&Dropout>, onto: Option<&Tensor>) -> Result<Tensor> {
        by_type!(x, forward(self, x, dropout, onto))
    }

    /// The gradient of x, added to `onto` if there is one; those of trained parameters are added to `gradients`.
    pub fn backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        dropout: Option<&Dropout>,
        onto: Option<&Tensor>,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        by_type!(x, backward(self, x, dy, dropout, onto, gradients))
    }

    /// Merges the adapter into the weight, which is dense from then on.
    pub fn merge(&mut self) -> Result<()> {
        if let Some(Adapter { a, b, scale }) = self.adapter.take() {
            self.weight = Matrix::Dense((self.dense()? + (b.matmul(&a)? * scale)?)?);
        }
        Ok(())
    }

    /// Rounds the weight, and from then on also what it is multiplied with.
    pub fn round(&mut self, to: DType) -> Result<()> {
        self.weight = Matrix::Dense(self.dense()?.to_dtype(to)?.to_dtype(DType::F32)?);
        self.input = Some(to);
        Ok(())
    }

    fn dense(&self) -> Result<Tensor> {
        match &self.weight {
            Matrix::Dense(tensor) => Ok(tensor.clone()),
            Matrix::Nf4 { weight, shape } => Tensor::from_vec(weight.dequantise(), *shape, &Device::Cpu),
        }
    }
}

/// `alpha · a · b` in memory of its own.
fn product<T: Real>(alpha: T, a: Strided<T>, b: Strided<T>) -> Vec<T> {
    let columns = b.columns;
    let mut data = vec![T::zero(); a.rows * columns];
    gemm(Into::new(&mut data, columns), alpha, a, Right::Dense(b), Threads::All);
    data
}

fn forward<T: Real>(linear: &Linear, x: &Tensor, dropout: Option<&Dropout>, onto: Option<&Tensor>) -> Result<Tensor> {
    let (tokens, into) = x.dims2()?;
    let (out, _) = linear.weight.dims()?;
    let xs = values(x)?;
    let mut y = start::<T>(onto, tokens * out)?;
    if let Some(bias) = &linear.bias {
        let bias = values(bias)?;
        let bias = bias.slice::<T>()?;
        y.chunks_mut(out).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, bias)| *y += *bias));
    }
    let to = Into { accumulate: onto.is_some() || linear.bias.is_some(), ..Into::new(&mut y, out) };
    let rounded = linear.input.map(|to| x.to_dtype(to)?.to_dtype(x.dtype())).transpose()?;
    linear.weight.product(to, values(rounded.as_ref().unwrap_or(x))?.slice()?, true)?;
    if let Some(Adapter { a, b, scale }) = &linear.adapter {
        let (rank, a, b) = (a.dim(0)?, values(a)?, values(b)?);
        let x = dropped::<T>(xs.slice()?, dropout, &linear.name);
        let low = product(T::one(), Strided::new(&x, tokens, into), Strided::new(a.slice()?, rank, into).t());
        let b = Right::Dense(Strided::new(b.slice()?, out, rank).t());
        gemm(Into::sum(&mut y, out), T::from_f64(*scale), Strided::new(&low, tokens, rank), b, Threads::All);
    }
    Tensor::from_vec(y, (tokens, out), x.device())
}

fn backward<T: Real>(
    linear: &Linear,
    x: &Tensor,
    dy: &Tensor,
    dropout: Option<&Dropout>,
    onto: Option<&Tensor>,
    gradients: &mut Gradients,
) -> Result<Tensor> {
    let ((tokens, into), out) = (x.dims2()?, dy.dim(1)?);
    let device = x.device();
    let [xs, dys] = [values(x)?, values(dy)?];
    let dy_rows = Strided::new(dys.slice::<T>()?, tokens, out);
    let mut dx = start::<T>(onto, tokens * into)?;
    linear.weight.product(Into { accumulate: onto.is_some(), ..Into::new(&mut dx, into) }, dys.slice()?, false)?;
    let name = |part: &str| format!("{}.{part}", linear.name);
    if linear.trained {
        let dweight = product(T::one(), dy_rows.t(), Strided::new(xs.slice()?, tokens, into));
        gradients.add(name("weight"), Tensor::from_vec(dweight, (out, into), device)?)?;
        if linear.bias.is_some() {
            gradients.add(name("bias"), dy.sum(0)?)?;
        }
    }
    if let Some(Adapter { a, b, scale }) = &linear.adapter {
        let (rank, a, b) = (a.dim(0)?, values(a)?, values(b)?);
        let (a, b) = (Strided::new(a.slice::<T>()?, rank, into), Strided::new(b.slice::<T>()?, out, rank));
        let x = dropped::<T>(xs.slice()?, dropout, &linear.name);
        let x = Strided::new(&x, tokens, into);
        let scale = T::from_f64(*scale);
        let low = product(scale, x, a.t());
        let dlow = product(scale, dy_rows, b);
        let dlow = Strided::new(&dlow, tokens, rank);
        // A gradient of A has few rows and many columns: its transpose fills the product's tiles.
        let da = product(T::one(), x.t(), dlow);
        let db = product(T::one(), dy_rows.t(), Strided::new(&low, tokens, rank));
        gradients.add(name("lora_A.weight"), Tensor::from_vec(da, (into, rank), device)?.t()?.contiguous()?)?;
        gradients.add(name("lora_B.weight"), Tensor::from_vec(db, (out, rank), device)?)?;
        match dropout {
            None => {
                gemm(Into::sum(&mut dx, into), T::one(), dlow, Right::Dense(a), Threads::All);
            }
            Some(dropout) => {
                let own = dropout.apply(&product(T::one(), dlow, a), &linear.name);
                dx.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
    }
    Tensor::from_vec(dx, (tokens, into), device)
}

/// What a sum starts from: a copy of `onto`, or zeros.
fn start<T: Real>(onto: Option<&Tensor>, len: usize) -> Result<Vec<T>> {
    onto.map_or_else(|| Ok(vec![T::zero(); len]), |onto| Ok(values(onto)?.slice()?.to_vec()))
}

/// What adapters see of x. On the way back the same elements of the gradient are left out.
fn dropped<'a, T: Real>(x: &'a [T], dropout: Option<&Dropout>, name: &str) -> Cow<'a, [T]> {
    dropout.map_or(Cow::Borrowed(x), |dropout| Cow::Owned(dropout.apply(x, name)))
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn what_a_file_in_16_bits_computes_is_computed() {
        let tensor = |values: &[f32], shape: (usize, usize)| Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
        let adapter = Adapter { a: tensor(&[1.0, 0.5], (1, 2)), b: tensor(&[0.003, -0.2], (2, 1)), scale: 2.0 };
        let weight = Matrix::Dense(tensor(&[1.0, 1.001, -3.0, 0.7], (2, 2)));
        let (bias, input) = (None, None);
        let mut linear = Linear { name: "l".into(), weight, bias, adapter: Some(adapter), trained: false, input };
        linear.merge().unwrap();
        linear.round(DType::BF16).unwrap();
        assert!(linear.adapter.is_none());
        let round = |value: f32| bf16::from_f32(value).to_f32();
        let [a, b, c, d] = [1.006, 1.004, -3.4, 0.5].map(round);
        let [x, y] = [0.123456, -7.891];
        let found = linear.forward(&tensor(&[x, y], (1, 2)), None, None).unwrap();
        let [x, y] = [x, y].map(round);
        let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (found, expected) in found.into_iter().zip([a * x + b * y, c * x + d * y]) {
            assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
        }
    }
}
