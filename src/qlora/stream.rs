//! A forward pass of a model that is never in memory as a whole: one layer at a time, for all prompts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

use super::adapter::AdapterWeights;
use super::checkpoint::Checkpoint;
use super::config::Config;
use super::cpu::gemm::{Into, Right, Strided, Threads, gemm};
use super::cpu::values;
use super::layer::{Pass, Trace};
use super::model::{AdapterShape, Loader, Method};
use super::ops::{Rotary, rms_norm};
use crate::error::Hint;
use crate::gguf::FloatType;
use crate::learner::Document;
use crate::stop::Stop;

/// Rows of the output matrix that exist in 32 bits at once.
const HEAD_ROWS: usize = 8192;

/// A base, with an adapter beside it if there is one, whose weights are read as they are needed.
#[derive(Debug, Clone, Copy)]
pub struct Streamed<'a> {
    #[expect(missing_docs, reason = "the type says it")]
    pub checkpoint: &'a Checkpoint,
    #[expect(missing_docs, reason = "the type says it")]
    pub config: &'a Config,
    #[expect(missing_docs, reason = "the type says it")]
    pub adapter: Option<&'a AdapterWeights>,
    /// Whether linear maps are quantised to four bits first, as in training.
    pub nf4: bool,
    /// How weights are rounded, where the pass is to be that of a file in fewer bits under llama.cpp.
    pub rounded: Option<Rounded>,
}

/// Weights are rounded to this type, and so is what they are multiplied with.
#[derive(Debug, Clone, Copy)]
pub enum Rounded {
    /// The adapter is merged into the weights before they are rounded.
    Merged(FloatType),
    /// The adapter stays beside the weights, in 32 bits.
    Beside(FloatType),
}

impl Rounded {
    fn dtype(self) -> DType {
        let (Rounded::Merged(stored) | Rounded::Beside(stored)) = self;
        match stored {
            FloatType::F32 => DType::F32,
            FloatType::F16 => DType::F16,
            FloatType::Bf16 => DType::BF16,
        }
    }

    fn values(self, values: &mut [f32]) {
        match self.dtype() {
            DType::F16 => values.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32()),
            DType::BF16 => values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32()),
            _ => (),
        }
    }
}

/// Sums of squares of what each matrix was multiplied with, by its name and column, and over how many tokens.
#[derive(Debug, Default)]
pub struct Squares {
    /// By name of the matrix, such as `model.layers.0.self_attn.q_proj.weight`.
    pub sums: BTreeMap<String, Vec<f64>>,
    #[expect(missing_docs, reason = "the name says it")]
    pub tokens: usize,
}

impl Squares {
    fn add(&mut self, name: String, x: &Tensor) -> Result<()> {
        let width = x.dim(1)?;
        let sums = self.sums.entry(name).or_insert_with(|| vec![0.0; width]);
        for row in values(x)?.slice::<f32>()?.chunks(width) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(value * value));
        }
        Ok(())
    }
}

impl Streamed<'_> {
    /// Logits behind some positions of each prompt: one row of `vocabulary` values a position, prompt by prompt.
    ///
    /// # Errors
    /// Names the tensor that can't be read, or the token that is beyond the vocabulary; and when it was stopped.
    pub fn logits(&self, prompts: &[Vec<u32>], positions: &[Vec<usize>], stop: &Stop) -> Result<Vec<Vec<f32>>> {
        let rows: Vec<Vec<u32>> =
            positions.iter().map(|each| each.iter().map(|position| *position as u32).collect()).collect();
        let normed = self.run(prompts, &rows, None, stop)?;
        let count: usize = rows.iter().map(Vec::len).sum();
        let (hidden, vocabulary) = (self.config.hidden, self.config.vocabulary);
        let mut inputs =
            normed.iter().map(|x| Ok(values(x)?.slice::<f32>()?.to_vec())).collect::<Result<Vec<_>>>()?.concat();
        self.rounded.iter().for_each(|rounded| rounded.values(&mut inputs));
        let mut logits = vec![vec![0.0; vocabulary]; count];
        let mut weight = Vec::new();
        let mut some = Vec::new();
        for first in (0..vocabulary).step_by(HEAD_ROWS) {
            let rows = HEAD_ROWS.min(vocabulary - first);
            weight.resize(rows * hidden, 0.0);
            self.rows_of(&self.config.head(), first, &mut weight)?;
            some.resize(count * rows, 0.0);
            let head = Right::Dense(Strided::new(&weight, rows, hidden).t());
            gemm(Into::new(&mut some, rows), 1.0, Strided::new(&inputs, count, hidden), head, Threads::All);
            for (logits, some) in logits.iter_mut().zip(some.chunks(rows)) {
                logits[first..first + rows].copy_from_slice(some);
            }
        }
        Ok(logits)
    }

    /// What each linear map sees of some texts.
    ///
    /// # Errors
    /// As [`Streamed::logits`].
    pub fn squares(&self, texts: &[Vec<u32>], stop: &Stop) -> Result<Squares> {
        let mut squares = Squares { tokens: texts.iter().map(Vec::len).sum(), ..Squares::default() };
        let all: Vec<Vec<u32>> = texts.iter().map(|text| (0..text.len() as u32).collect()).collect();
        for normed in self.run(texts, &all, Some(&mut squares), stop)? {
            squares.add(self.config.head(), &normed)?;
        }
        Ok(squares)
    }

    /// What the output layer sees at some rows of each prompt, `[rows, hidden]`.
    fn run(
        &self,
        prompts: &[Vec<u32>],
        rows: &[Vec<u32>],
        mut watch: Option<&mut Squares>,
        stop: &Stop,
    ) -> Result<Vec<Tensor>> {
        let method = if self.nf4 { Method::Qlora(no_adapter()) } else { Method::Lora(no_adapter()) };
        let device = Device::Cpu;
        let loader = Loader {
            checkpoint: self.checkpoint,
            config: self.config,
            method: &method,
            dtype: DType::F32,
            device: &device,
        };
        let mut states = prompts.iter().map(|prompt| self.embedded(prompt)).collect::<Result<Vec<Tensor>>>()?;
        for index in 0..self.config.layers {
            let mut layer = loader.layer(index)?;
            if let Some(adapter) = self.adapter {
                layer.linears_mut().into_iter().for_each(|linear| adapter.attach(linear));
            }
            if let Some(rounded) = self.rounded {
                for linear in layer.linears_mut() {
                    if matches!(rounded, Rounded::Merged(_)) {
                        linear.merge()?;
                    }
                    linear.round(rounded.dtype())?;
                }
            }
            let last = index + 1 == self.config.layers;
            for (x, rows) in states.iter_mut().zip(rows) {
                ensure!(!stop.wished(), "interrupted");
                let document = [Document::plain(x.dim(0)?)];
                let rotary = Rotary::new(&document, self.config.head_size, self.config.rope_theta, x)?;
                let rows = last.then(|| Tensor::from_slice(rows, rows.len(), &device)).transpose()?;
                let pass = Pass { documents: &document, rotary, dropout: None, rows };
                let (y, trace): (Tensor, Trace) = rayon::scope(|_| layer.forward(x, &pass))?;
                if let Some(squares) = watch.as_deref_mut() {
                    for (linear, input) in layer.linears_mut().into_iter().zip(trace.inputs()) {
                        squares.add(format!("{}.weight", linear.name), input)?;
                    }
                }
                *x = y;
            }
        }
        let norm = loader.dense(&self.config.architecture.norm.weight(), &[self.config.hidden])?;
        states.iter().map(|x| Ok(rms_norm(x, &norm, self.config.rms_norm_eps)?.0)).collect()
    }

    fn embedded(&self, tokens: &[u32]) -> Result<Tensor> {
        let hidden = self.config.hidden;
        let embedding = self.config.architecture.embedding.weight();
        let mut states = vec![0.0; tokens.len() * hidden];
        for (token, state) in tokens.iter().zip(states.chunks_mut(hidden)) {
            ensure!(
                (*token as usize) < self.config.vocabulary,
                anyhow!("token {token} is beyond the {} rows of the embedding", self.config.vocabulary)
                    .hint("the tokenizer is of another model")
            );
            self.rows_of(&embedding, *token as usize, state)?;
        }
        Ok(Tensor::from_vec(states, (tokens.len(), hidden), &Device::Cpu)?)
    }

    /// Reads rows from `first` on of a matrix that is as wide as the hidden states; as many as `values` has room for.
    fn rows_of(&self, name: &str, first: usize, values: &mut [f32]) -> Result<()> {
        let stored = self.checkpoint.float_type(name)?;
        let stored = stored.with_context(|| format!("{name} is in four bits")).hint("use a base in 16 bits")?;
        let bytes = self.checkpoint.bytes(name)?;
        super::checkpoint::widen(&bytes[first * self.config.hidden * stored.bytes()..], stored, values);
        self.rounded.iter().for_each(|rounded| rounded.values(values));
        Ok(())
    }
}

fn no_adapter() -> AdapterShape {
    AdapterShape { rank: 1, alpha: 1.0, rank_stabilised: false, targets: vec![], seed: 0 }
}
