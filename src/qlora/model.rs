//! A model: loaded tensor by tensor, run and differentiated layer by layer.

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::checkpoint::{Checkpoint, Weight};
use super::config::Config;
use super::dropout::Dropout;
use super::layer::{Layer, Pass, Trace};
use super::linear::{Adapter, Gradients, Linear, Matrix};
use super::loss::{Loss, cross_entropy, rows_at_once};
use super::nf4::Nf4;
use super::ops::{Rotary, rms_norm, rms_norm_backward, rms_norm_weight_gradient};
use crate::architecture::{self, Names};
use crate::error::Hint;
use crate::learner::{Batch, Document};

/// How the weights are kept and what of them is trained.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Linear maps in four bits, an adapter is trained.
    Qlora(AdapterShape),
    /// Linear maps as they are, an adapter is trained.
    Lora(AdapterShape),
    /// Everything is trained.
    Full,
}

/// What adapters are like before anything is learned: their size, where they are and what they start from.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterShape {
    #[expect(missing_docs, reason = "the name says it")]
    pub rank: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub alpha: f64,
    /// Whether alpha is divided by √rank rather than rank (Kalajdzievski 2023).
    pub rank_stabilised: bool,
    /// Last parts of the names of the linear maps that have an adapter, such as `q_proj`.
    pub targets: Vec<String>,
    /// Seed of the first values of A; B starts at 0.
    pub seed: u64,
}

impl AdapterShape {
    /// What the product of the two matrices is multiplied by.
    pub fn scale(&self) -> f64 {
        AdapterShape::scale_of(self.alpha, self.rank, self.rank_stabilised)
    }

    /// alpha over the rank, or over its root.
    pub fn scale_of(alpha: f64, rank: usize, rank_stabilised: bool) -> f64 {
        alpha / if rank_stabilised { (rank as f64).sqrt() } else { rank as f64 }
    }

    /// What a parameter starts with: A uniform within ±1/√in, which is what PEFT's default comes to, and B 0.
    pub fn first_values(&self, parameter: &str, [rows, columns]: [usize; 2]) -> Vec<f32> {
        let Some(linear) = parameter.strip_suffix(".lora_A.weight") else { return vec![0.0; rows * columns] };
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // Each parameter has its own stream, by name, so that other targets change nothing here.
        random
            .set_stream(linear.bytes().fold(0u64, |hash, byte| hash.wrapping_mul(1_099_511_628_211) ^ u64::from(byte)));
        let bound = 1.0 / (columns as f32).sqrt();
        (0..rows * columns).map(|_| random.random_range(-bound..bound)).collect()
    }
}

/// A model's weights, in memory.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct Model {
    pub config: Config,
    /// `[vocabulary, hidden]`
    pub embedding: Tensor,
    pub layers: Vec<Layer>,
    /// `[hidden]`
    pub norm: Tensor,
    /// `[vocabulary, hidden]`; `None` where it is the embedding.
    pub head: Option<Tensor>,
    /// Whether all weights are trained, rather than adapters.
    pub trained: bool,
}

impl Model {
    /// Reads a checkpoint tensor by tensor; the 16-bit model never exists as a whole where weights are quantised.
    ///
    /// # Errors
    /// Names the tensor that can't be read.
    pub fn load(
        checkpoint: &Checkpoint,
        config: &Config,
        method: &Method,
        dtype: DType,
        device: &Device,
    ) -> Result<Model> {
        let loader = Loader { checkpoint, config, method, dtype, device };
        let names = config.architecture;
        Ok(Model {
            config: config.clone(),
            embedding: loader.dense(&names.embedding.weight(), &[config.vocabulary, config.hidden])?,
            layers: (0..config.layers).map(|index| loader.layer(index)).collect::<Result<_>>()?,
            norm: loader.dense(&names.norm.weight(), &[config.hidden])?,
            head: (!config.tied)
                .then(|| loader.dense(&names.head.weight(), &[config.vocabulary, config.hidden]))
                .transpose()?,
            trained: *method == Method::Full,
        })
    }

    /// Every trained parameter with its name, in the order of computation.
    pub fn parameters(&mut self) -> Vec<(String, &mut Tensor)> {
        let mut parameters = Vec::new();
        let names = self.config.architecture;
        if self.trained {
            parameters.push((names.embedding.weight(), &mut self.embedding));
        }
        for layer in &mut self.layers {
            if layer.trained {
                let name = |norm: Names| format!("{}.{}", layer.name, norm.weight());
                parameters.push((name(names.input_norm), &mut layer.input_norm));
                parameters.push((name(names.post_attention_norm), &mut layer.post_attention_norm));
            }
            let Layer { q, k, v, o, gate, up, down, .. } = layer;
            for Linear { name, weight, bias, adapter, trained, .. } in [q, k, v, o, gate, up, down] {
                if let (true, Matrix::Dense(weight)) = (*trained, weight) {
                    parameters.push((format!("{name}.weight"), weight));
                    parameters.extend(bias.as_mut().map(|bias| (format!("{name}.bias"), bias)));
                }
                if let Some(adapter) = adapter {
                    parameters.push((format!("{name}.lora_A.weight"), &mut adapter.a));
                    parameters.push((format!("{name}.lora_B.weight"), &mut adapter.b));
                }
            }
        }
        if self.trained {
            parameters.push((names.norm.weight(), &mut self.norm));
            parameters.extend(self.head.as_mut().map(|head| (names.head.weight(), head)));
        }
        parameters
    }

    /// Distributions over the vocabulary, not normalised: `[tokens, vocabulary]`.
    pub fn logits(&self, tokens: &[u32], documents: &[Document]) -> Result<Tensor> {
        let x = self.run(tokens, &self.pass(documents, None, None)?)?;
        let (normed, _) = rms_norm(&x, &self.norm, self.config.rms_norm_eps)?;
        Ok(normed.matmul(&self.output().t()?)?)
    }

    /// Σ weight · −log p(target) of a batch.
    pub fn loss(&self, batch: &Batch) -> Result<f64> {
        let x = self.run(&batch.tokens, &self.pass(&batch.documents, Some(&batch.rows), None)?)?;
        let (normed, _) = rms_norm(&x, &self.norm, self.config.rms_norm_eps)?;
        Ok(self.cross_entropy(&normed, batch, false)?.sum)
    }

    /// The loss of a batch with dropout; its gradients are added to `gradients`. The first `recomputed` layers keep
    /// only their input and are run again on the way back.
    pub fn backward(
        &self,
        batch: &Batch,
        dropout: Option<Dropout>,
        recomputed: usize,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        let last = self.pass(&batch.documents, Some(&batch.rows), dropout)?;
        let all = last.of_all_rows();
        let pass = |index: usize| if index + 1 == self.layers.len() { &last } else { &all };
        let mut x = self.embedded(&batch.tokens)?;
        let mut inputs: Vec<(Tensor, Option<Trace>)> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let (y, trace) = layer.forward(&x, pass(index))?;
            inputs.push((x, (index >= recomputed).then_some(trace)));
            x = y;
        }
        let (normed, inverse) = rms_norm(&x, &self.norm, self.config.rms_norm_eps)?;
        let loss = self.cross_entropy(&normed, batch, self.trained)?;
        let names = self.config.architecture;
        let mut dx = rms_norm_backward(&loss.dhidden, &x, &self.norm, &inverse, &x.zeros_like()?)?;
        if self.trained {
            gradients.add(names.norm.weight(), rms_norm_weight_gradient(&loss.dhidden, &x, &inverse)?)?;
        }
        for (index, (layer, (input, trace))) in self.layers.iter().zip(inputs).enumerate().rev() {
            let trace = match trace {
                Some(trace) => trace,
                None => layer.forward(&input, pass(index))?.1,
            };
            dx = layer.backward(&dx, &input, &trace, pass(index), gradients)?;
        }
        if self.trained {
            let tokens = Tensor::from_slice(&batch.tokens, batch.tokens.len(), dx.device())?;
            let dembedding = self.embedding.zeros_like()?.index_add(&tokens, &dx, 0)?;
            gradients.add(names.embedding.weight(), dembedding)?;
            gradients.add(self.config.head(), loss.dhead.context("the output matrix is trained")?)?;
        }
        Ok(loss.sum)
    }

    /// What the last layer gives, `[rows, hidden]`.
    fn run(&self, tokens: &[u32], last: &Pass) -> Result<Tensor> {
        let all = last.of_all_rows();
        let mut x = self.embedded(tokens)?;
        for (index, layer) in self.layers.iter().enumerate() {
            (x, _) = layer.forward(&x, if index + 1 == self.layers.len() { last } else { &all })?;
        }
        Ok(x)
    }

    fn pass<'a>(&self, documents: &'a [Document], rows: Option<&[u32]>, dropout: Option<Dropout>) -> Result<Pass<'a>> {
        ensure!(rows.is_none_or(|rows| !rows.is_empty()), "a batch has nothing to learn");
        let rotary = Rotary::new(documents, self.config.head_size, self.config.rope_theta, &self.embedding)?;
        let rows = rows.map(|rows| Tensor::from_slice(rows, rows.len(), self.embedding.device())).transpose()?;
        Ok(Pass { documents, rotary, dropout, rows })
    }

    fn embedded(&self, tokens: &[u32]) -> Result<Tensor> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.config.vocabulary) {
            bail!(
                anyhow!("token {token} is beyond the {} rows of the embedding", self.config.vocabulary)
                    .hint("the tokenizer is of another model")
            );
        }
        let tokens = Tensor::from_slice(tokens, tokens.len(), self.embedding.device())?;
        Ok(self.embedding.index_select(&tokens, 0)?)
    }

    fn cross_entropy(&self, normed: &Tensor, batch: &Batch, head_trained: bool) -> Result<Loss> {
        let rows = rows_at_once(self.config.vocabulary);
        Ok(cross_entropy(normed, self.output(), &batch.targets, &batch.weights, head_trained, rows)?)
    }

    fn output(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}

/// Reads a checkpoint into layers, as a method wants them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loader<'a> {
    pub checkpoint: &'a Checkpoint,
    pub config: &'a Config,
    pub method: &'a Method,
    pub dtype: DType,
    pub device: &'a Device,
}

impl Loader<'_> {
    pub fn layer(&self, index: usize) -> Result<Layer> {
        let Config { architecture, hidden, heads, kv_heads, rms_norm_eps: eps, .. } = *self.config;
        let name = architecture.layer(index);
        let norm = |norm: Names| self.dense(&format!("{name}.{}", norm.weight()), &[hidden]);
        let linear = |(name, linear, shape)| self.linear(name, linear, shape);
        let [q, k, v, o, gate, up, down] = self.config.linears(index);
        Ok(Layer {
            architecture,
            input_norm: norm(architecture.input_norm)?,
            post_attention_norm: norm(architecture.post_attention_norm)?,
            q: linear(q)?,
            k: linear(k)?,
            v: linear(v)?,
            o: linear(o)?,
            gate: linear(gate)?,
            up: linear(up)?,
            down: linear(down)?,
            heads,
            kv_heads,
            eps,
            trained: *self.method == Method::Full,
            name,
        })
    }

    fn adapter_shape(&self) -> Option<&AdapterShape> {
        match self.method {
            Method::Qlora(shape) | Method::Lora(shape) => Some(shape),
            Method::Full => None,
        }
    }

    fn tensor(&self, values: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::from_vec(values, shape, self.device)?.to_dtype(self.dtype)?)
    }

    /// A tensor that isn't quantised: embeddings, norms, biases.
    pub fn dense(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let values = match self.checkpoint.read(name)? {
            Weight::Dense(values) => values,
            Weight::Nf4(weight) => weight.dequantise(),
        };
        self.tensor(values, shape)
    }

    fn linear(&self, name: String, fact: architecture::Linear, [out, into]: [usize; 2]) -> Result<Linear> {
        let bias = fact.bias.then(|| self.dense(&format!("{name}.bias"), &[out])).transpose()?;
        let nf4 = |weight| Matrix::Nf4 { weight, shape: (out, into) };
        let weight = match (self.checkpoint.read(&format!("{name}.weight"))?, self.method) {
            (Weight::Dense(values), Method::Qlora(_)) => nf4(Nf4::quantise(&values).nested()),
            (Weight::Nf4(weight), Method::Qlora(_)) => nf4(weight),
            (Weight::Dense(values), _) => Matrix::Dense(self.tensor(values, &[out, into])?),
            (Weight::Nf4(_), _) => {
                bail!(
                    anyhow!("{name}.weight is quantised to four bits already")
                        .hint("use --method qlora, or a base in 16 bits")
                )
            }
        };
        let target = fact.target();
        let adapter = match self.adapter_shape().filter(|shape| shape.targets.iter().any(|each| each == target)) {
            Some(shape) => Some(self.adapter(shape, &name, (out, into))?),
            None => None,
        };
        Ok(Linear { name, weight, bias, adapter, trained: *self.method == Method::Full, input: None })
    }

    fn adapter(&self, shape: &AdapterShape, name: &str, (out, into): (usize, usize)) -> Result<Adapter> {
        let tensor = |half: &str, rows: usize, columns: usize| {
            let values = shape.first_values(&format!("{name}.{half}.weight"), [rows, columns]);
            Tensor::from_vec(values, (rows, columns), self.device)
        };
        Ok(Adapter {
            a: tensor("lora_A", shape.rank, into)?,
            b: tensor("lora_B", out, shape.rank)?,
            scale: shape.scale(),
        })
    }
}
