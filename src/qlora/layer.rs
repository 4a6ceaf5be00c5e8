//! One layer of Qwen2: attention and a gated feed-forward part, each behind a norm and beside its input.

use candle_core::{Result, Tensor};

use super::linear::{Gradients, Linear};
use super::ops::{
    Attended, Normed, Rotary, attention, attention_backward, rms_norm, rms_norm_backward, swiglu, swiglu_backward,
};

/// The parameters of a layer.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct Layer {
    /// `model.layers.N`
    pub name: String,
    pub input_norm: Tensor,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub o: Linear,
    pub post_attention_norm: Tensor,
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
    pub heads: usize,
    pub kv_heads: usize,
    pub eps: f64,
    /// Whether the norms are trained.
    pub trained: bool,
}

/// What a forward pass leaves for the backward pass.
#[derive(Debug, Clone)]
pub struct Trace {
    normed: Tensor,
    norm: Normed,
    attended: Attended,
    /// `[tokens, hidden]`, what the output projection saw.
    mixed: Tensor,
    fed: Tensor,
    fed_norm: Normed,
    gate: Tensor,
    up: Tensor,
    activated: Tensor,
}

impl Layer {
    /// `x` and the result are `[tokens, hidden]`: documents of these lengths, one behind the other, that don't see each other.
    pub fn forward(&self, x: &Tensor, documents: &[usize], rotary: &Rotary) -> Result<(Tensor, Trace)> {
        let (normed, norm) = rms_norm(x, &self.input_norm, self.eps)?;
        let heads = |y: Tensor, heads: usize| {
            let (tokens, width) = y.dims2()?;
            y.reshape((tokens, heads, width / heads))
        };
        let queries = rotary.turn(&heads(self.q.forward(&normed)?, self.heads)?)?;
        let keys = rotary.turn(&heads(self.k.forward(&normed)?, self.kv_heads)?)?;
        let values = heads(self.v.forward(&normed)?, self.kv_heads)?;
        let (mixed, attended) = attention(&queries, &keys, &values, documents)?;
        let mixed = mixed.flatten_from(1)?;
        let middle = (x + self.o.forward(&mixed)?)?;
        let (fed, fed_norm) = rms_norm(&middle, &self.post_attention_norm, self.eps)?;
        let (gate, up) = (self.gate.forward(&fed)?, self.up.forward(&fed)?);
        let activated = swiglu(&gate, &up)?;
        let y = (&middle + self.down.forward(&activated)?)?;
        Ok((y, Trace { normed, norm, attended, mixed, fed, fed_norm, gate, up, activated }))
    }

    /// The gradient of x; those of what is trained are added up.
    pub fn backward(&self, dy: &Tensor, trace: &Trace, rotary: &Rotary, gradients: &mut Gradients) -> Result<Tensor> {
        let dactivated = self.down.backward(&trace.activated, dy, gradients)?;
        let [dgate, dup] = swiglu_backward(&dactivated, &trace.gate, &trace.up)?;
        let dfed =
            (self.gate.backward(&trace.fed, &dgate, gradients)? + self.up.backward(&trace.fed, &dup, gradients)?)?;
        let (dmiddle, dweight) = rms_norm_backward(&dfed, &self.post_attention_norm, &trace.fed_norm)?;
        self.add_norm("post_attention_layernorm", dweight, gradients)?;
        let dmiddle = (dmiddle + dy)?;

        let dmixed = self.o.backward(&trace.mixed, &dmiddle, gradients)?;
        let (tokens, width) = dmixed.dims2()?;
        let dmixed = dmixed.reshape((tokens, self.heads, width / self.heads))?;
        let [dqueries, dkeys, dvalues] = attention_backward(&dmixed, &trace.attended)?;
        let dqueries = rotary.turn_back(&dqueries)?.flatten_from(1)?;
        let dkeys = rotary.turn_back(&dkeys)?.flatten_from(1)?;
        let mut dnormed = self.q.backward(&trace.normed, &dqueries, gradients)?;
        dnormed = (dnormed + self.k.backward(&trace.normed, &dkeys, gradients)?)?;
        dnormed = (dnormed + self.v.backward(&trace.normed, &dvalues.flatten_from(1)?, gradients)?)?;
        let (dx, dweight) = rms_norm_backward(&dnormed, &self.input_norm, &trace.norm)?;
        self.add_norm("input_layernorm", dweight, gradients)?;
        dx + dmiddle
    }

    fn add_norm(&self, norm: &str, gradient: Tensor, gradients: &mut Gradients) -> Result<()> {
        if self.trained {
            gradients.add(format!("{}.{norm}.weight", self.name), gradient)?;
        }
        Ok(())
    }
}
