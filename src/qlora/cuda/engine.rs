//! The passes over a batch: forward, and back to the gradients of the adapters. As `qlora::layer` on the CPU, but in
//! bf16, with the products of a group of linear maps and their adapters as one.

use anyhow::{Result, anyhow, bail, ensure};

use super::batch::Lists;
use super::dense_group::DenseGroup;
use super::gpu::{Address, FLOAT, Gpu, Product, Rows, read_floats, write_floats, write_words};
use super::ops::{Attention, Heads, Norm, Ops, Tiles, Turning};
use super::room::{Room, TILE_NUMBERS, Trace};
use super::weights::{Layer, Trained};
use crate::error::Hint;
use crate::learner::Batch;
use crate::qlora::config::Config;
use crate::qlora::dropout::Dropout;
use crate::qlora::memory::Largest;
use crate::qlora::model::AdapterShape;

/// A model on a GPU with room for its passes.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Engine<G> {
    pub gpu: G,
    pub config: Config,
    pub shape: AdapterShape,
    pub embedding: Address,
    pub layers: Vec<Layer>,
    pub norm: Address,
    pub head: Address,
    pub trained: Trained,
    pub room: Room,
    /// The largest batch that there is room for.
    pub largest: Largest,
}

/// What all layers of a pass share beside the batch's lists in [`Room`].
#[derive(Debug, Clone, Copy)]
struct Pass {
    tokens: usize,
    query_tiles: Tiles,
    key_tiles: Tiles,
    dropout: Option<Dropout>,
}

impl<G: Gpu> Engine<G> {
    fn ops(&self) -> Ops<'_, G> {
        Ops(&self.gpu)
    }

    fn heads(&self) -> Heads {
        Heads { heads: self.config.heads, kv_heads: self.config.kv_heads, size: self.config.head_size }
    }

    /// Σ weight · −log p(target) of a batch.
    pub fn loss(&self, batch: &Batch) -> Result<f64> {
        let pass = self.begin(batch, None)?;
        self.forward(&pass)?;
        self.cross_entropy(batch.rows.len(), None)?;
        self.sum_of_losses(batch.rows.len())
    }

    /// The loss of a batch with dropout; its gradients are added to the trained parameters' gradients.
    pub fn backward(&self, batch: &Batch, dropout: Option<Dropout>) -> Result<f64> {
        let pass = self.begin(batch, dropout)?;
        self.forward(&pass)?;
        self.cross_entropy(batch.rows.len(), Some(&pass))?;
        for index in (0..self.layers.len()).rev() {
            if index < self.recomputed() {
                self.layer_forward(index, None, &pass)?;
            }
            self.layer_backward(index, &pass)?;
        }
        self.sum_of_losses(batch.rows.len())
    }

    /// Writes a batch's lists to the GPU.
    fn begin(&self, batch: &Batch, dropout: Option<Dropout>) -> Result<Pass> {
        ensure!(!batch.rows.is_empty(), "a batch has nothing to learn");
        if let Some(token) = batch.tokens.iter().find(|token| **token as usize >= self.config.vocabulary) {
            bail!(
                anyhow!("token {token} is beyond the {} rows of the embedding", self.config.vocabulary)
                    .hint("the tokenizer is of another model")
            );
        }
        let Largest { tokens, rows, parts } = self.largest;
        let own_parts: usize = batch.documents.iter().map(|document| 1 + document.branches.len()).sum();
        ensure!(
            batch.tokens.len() <= tokens && batch.rows.len() <= rows && own_parts <= parts,
            "a batch of {} tokens, {} rows and {own_parts} parts is larger than was planned ({tokens}, {rows}, {parts})",
            batch.tokens.len(),
            batch.rows.len()
        );
        let lists = Lists::new(batch);
        let to = &self.room.batch;
        for (at, words) in [
            (to.tokens, &batch.tokens),
            (to.positions, &lists.positions),
            (to.query_tiles, &lists.query_tiles),
            (to.key_tiles, &lists.key_tiles),
            (to.rows, &batch.rows),
            (to.targets, &batch.targets),
            (to.starts, &lists.starts),
            (to.entries, &lists.entries),
        ] {
            write_words(&self.gpu, at, words)?;
        }
        write_floats(&self.gpu, to.weights, &batch.weights)?;
        let tiles = |at, words: &[u32]| Tiles { at, count: words.len() / TILE_NUMBERS };
        Ok(Pass {
            tokens: batch.tokens.len(),
            query_tiles: tiles(to.query_tiles, &lists.query_tiles),
            key_tiles: tiles(to.key_tiles, &lists.key_tiles),
            dropout,
        })
    }

    /// Layers that are run again on the way back.
    fn recomputed(&self) -> usize {
        self.layers.len() - self.room.traces.len()
    }

    fn trace(&self, index: usize) -> Trace {
        self.room.traces[index.saturating_sub(self.recomputed())]
    }

    /// All layers and the last norm, whose result is in `normed`.
    fn forward(&self, pass: &Pass) -> Result<()> {
        let Room { inputs, change, activated, final_inverse, batch, .. } = &self.room;
        let hidden = self.config.hidden;
        let [embedding, first] = [self.embedding, inputs[0]].map(|at| Rows { at, stride: hidden });
        self.ops().gather(embedding, batch.tokens, pass.tokens, first, hidden)?;
        let mut middle = None;
        for (index, layer) in self.layers.iter().enumerate() {
            self.layer_forward(index, middle, pass)?;
            let trace = self.trace(index);
            self.ops().swiglu(trace.gate_up, *activated, [pass.tokens, self.config.intermediate])?;
            self.dense(&layer.groups.down, pass)?.forward(*activated, *change)?;
            middle = Some(trace.middle);
        }
        self.rms_norm(&self.norm_by(self.norm, *final_inverse, pass), inputs[self.layers.len()], middle)
    }

    fn norm_by(&self, weight: Address, inverse: Address, pass: &Pass) -> Norm {
        Norm { weight, inverse, shape: [pass.tokens, self.config.hidden] }
    }

    /// Writes the norm of x to `normed`. Where `sum_of` is given, x is first written as the sum of what is there and
    /// `change`.
    fn rms_norm(&self, norm: &Norm, x: Address, sum_of: Option<Address>) -> Result<()> {
        let (from, change) = match sum_of {
            Some(before) => (before, Some((self.room.change.at, x))),
            None => (x, None),
        };
        self.ops().rms_norm(norm, from, change, self.room.normed, self.config.rms_norm_eps)
    }

    fn attention(&self, trace: &Trace, pass: &Pass) -> Attention {
        let &Pass { query_tiles, key_tiles, tokens, .. } = pass;
        Attention { rows: trace.qkv, heads: self.heads(), query_tiles, key_tiles, sums: trace.sums, tokens }
    }

    fn turning(&self, pass: &Pass) -> Turning {
        let Room { batch, angles, .. } = &self.room;
        Turning { heads: self.heads(), positions: batch.positions, angles: *angles, tokens: pass.tokens }
    }

    /// Runs a layer up to gate and up. Its input is first made of `before`, the middle of the layer before, and
    /// `change`, if that is given.
    fn layer_forward(&self, index: usize, before: Option<Address>, pass: &Pass) -> Result<()> {
        let (layer, trace) = (&self.layers[index], self.trace(index));
        let Room { inputs, change, normed, .. } = &self.room;
        let input = inputs[index];
        self.rms_norm(&self.norm_by(layer.input_norm, trace.inverse, pass), input, before)?;
        self.dense(&layer.groups.qkv, pass)?.forward(*normed, trace.qkv)?;
        self.ops().turn(trace.qkv, layer.bias, &self.turning(pass))?;
        self.ops().attention(&self.attention(&trace, pass), trace.mixed)?;
        self.dense(&layer.groups.o, pass)?.forward(trace.mixed, *change)?;
        self.rms_norm(&self.norm_by(layer.post_attention_norm, trace.fed_inverse, pass), trace.middle, Some(input))?;
        self.dense(&layer.groups.gate_up, pass)?.forward(*normed, trace.gate_up)
    }

    /// From the gradient of a layer's output to that of its input, both in `dy`.
    fn layer_backward(&self, index: usize, pass: &Pass) -> Result<()> {
        let (layer, trace, ops) = (&self.layers[index], self.trace(index), self.ops());
        let Room { inputs, normed, activated, change, dy, dqkv, dots, .. } = &self.room;
        let (input, wide) = (inputs[index], [pass.tokens, self.config.intermediate]);
        let input_norm = self.norm_by(layer.input_norm, trace.inverse, pass);
        let post_attention_norm = self.norm_by(layer.post_attention_norm, trace.fed_inverse, pass);

        ops.swiglu(trace.gate_up, *activated, wide)?;
        let down = self.dense(&layer.groups.down, pass)?;
        down.lows(*activated)?;
        down.backward(*activated, *dy, *activated)?;
        // Gate and up are replaced by their gradients.
        ops.swiglu_backward(*activated, trace.gate_up, wide)?;
        self.rms_norm(&post_attention_norm, trace.middle, None)?;
        let gate_up = self.dense(&layer.groups.gate_up, pass)?;
        gate_up.lows(*normed)?;
        gate_up.backward(*normed, trace.gate_up, *change)?;
        ops.rms_norm_backward(&post_attention_norm, *change, trace.middle, *dy, true)?;

        let dmixed = Rows { stride: layer.groups.o.into, ..*change };
        self.dense(&layer.groups.o, pass)?.backward(trace.mixed, *dy, dmixed)?;
        ops.attention_backward(&self.attention(&trace, pass), (dmixed, trace.mixed), *dots, *dqkv)?;
        ops.turn_back(*dqkv, &self.turning(pass))?;
        self.rms_norm(&input_norm, input, None)?;
        let qkv = self.dense(&layer.groups.qkv, pass)?;
        qkv.lows(*normed)?;
        qkv.backward(*normed, *dqkv, *change)?;
        ops.rms_norm_backward(&input_norm, *change, input, *dy, true)
    }

    /// Writes the loss of each row to `losses`, and with a pass the gradient of what the last layer gave to `dy`.
    fn cross_entropy(&self, rows: usize, back: Option<&Pass>) -> Result<()> {
        let Room { inputs, normed, learned, change, dy, final_inverse, batch, logits, dlogits, losses, .. } =
            &self.room;
        let Config { hidden, vocabulary, .. } = self.config;
        let head = Rows { at: self.head, stride: hidden };
        self.ops().gather(*normed, batch.rows, rows, *learned, hidden)?;
        for start in (0..rows).step_by(self.room.logit_rows) {
            let count = self.room.logit_rows.min(rows - start);
            let own = learned.from(start, 0);
            let to = Rows { at: *logits, stride: vocabulary };
            let product = Product::new([count, vocabulary], hidden, own, head.transposed(), to);
            self.gpu.multiply(&Product { floats: true, ..product })?;
            let lists = [batch.targets, batch.weights].map(|at| at.plus(start, FLOAT));
            let results = (*dlogits, losses.plus(start, FLOAT));
            self.ops().cross_entropy(*logits, lists, results, [count, vocabulary])?;
            if back.is_some() {
                let dlogits = Rows { at: *dlogits, stride: vocabulary };
                self.gpu.multiply(&Product::new([count, hidden], vocabulary, dlogits, head, own))?;
            }
        }
        let Some(pass) = back else { return Ok(()) };
        self.ops().sum_rows(*learned, [batch.starts, batch.entries], pass.tokens, *change, hidden)?;
        let norm = self.norm_by(self.norm, *final_inverse, pass);
        self.ops().rms_norm_backward(&norm, *change, inputs[self.layers.len()], *dy, false)
    }

    fn sum_of_losses(&self, rows: usize) -> Result<f64> {
        Ok(read_floats(&self.gpu, self.room.losses, rows)?.into_iter().map(f64::from).sum())
    }

    fn dense<'a>(&'a self, group: &'a super::weights::Group, pass: &Pass) -> Result<DenseGroup<'a, G>> {
        DenseGroup::new(self, group, pass.tokens, pass.dropout)
    }
}
