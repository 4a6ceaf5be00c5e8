//! One layer: attention and a gated feed-forward part, each behind a norm and beside its input.

use candle_core::{Result, Tensor};

use super::dropout::Dropout;
use super::linear::{Gradients, Linear};
use super::ops::{
    Attended, Rotary, attention, attention_backward, rms_norm, rms_norm_backward, rms_norm_weight_gradient, swiglu,
    swiglu_backward,
};
use crate::architecture::{Architecture, Names, Sizes};
use crate::learner::Document;

/// The parameters of a layer.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct Layer {
    /// Whose names these are.
    pub architecture: &'static Architecture,
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

/// What all layers of a pass share.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// Documents, one behind the other, that don't see each other.
    pub documents: &'a [Document],
    #[expect(missing_docs, reason = "the type says it")]
    pub rotary: Rotary,
    /// `None` where nothing is left out.
    pub dropout: Option<Dropout>,
    /// Indices of the rows that the last layer is to give, `[rows]`: those that something is learned from. `None` where
    /// it is to give all.
    pub rows: Option<Tensor>,
}

impl Pass<'_> {
    /// The pass as layers before the last see it: keys and values need all rows.
    pub fn of_all_rows(&self) -> Pass<'_> {
        Pass { rows: None, ..self.clone() }
    }
}

/// What a forward pass leaves for the backward pass, beside its input.
#[derive(Debug, Clone)]
pub struct Trace {
    normed: Tensor,
    inverse: Tensor,
    attended: Attended,
    /// `[tokens, queries]`, what the output projection saw.
    mixed: Tensor,
    middle: Tensor,
    fed: Tensor,
    fed_inverse: Tensor,
    gate: Tensor,
    up: Tensor,
    activated: Tensor,
}

impl Layer {
    /// Its linear maps, in the order of computation.
    pub fn linears_mut(&mut self) -> [&mut Linear; 7] {
        let Layer { q, k, v, o, gate, up, down, .. } = self;
        [q, k, v, o, gate, up, down]
    }

    /// From `[tokens, hidden]` to `[tokens, hidden]`, or `[rows, hidden]` where the pass wants only some rows.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<(Tensor, Trace)> {
        let Pass { documents, rotary, dropout, rows } = pass;
        let dropout = dropout.as_ref();
        let (normed, inverse) = rms_norm(x, &self.input_norm, self.eps)?;
        let heads = |y: Tensor, heads: usize| {
            let (tokens, width) = y.dims2()?;
            y.reshape((tokens, heads, width / heads))
        };
        let queries = rotary.turn(&heads(self.q.forward(&normed, dropout, None)?, self.heads)?)?;
        let keys = rotary.turn(&heads(self.k.forward(&normed, dropout, None)?, self.kv_heads)?)?;
        let values = heads(self.v.forward(&normed, dropout, None)?, self.kv_heads)?;
        let (mixed, attended) = attention(queries, keys, values, documents)?;
        // From here on rows don't see each other.
        let chosen = |all: &Tensor| rows.as_ref().map_or_else(|| Ok(all.clone()), |rows| all.index_select(rows, 0));
        let mixed = chosen(&mixed.flatten_from(1)?)?;
        let middle = self.o.forward(&mixed, dropout, Some(&chosen(x)?))?;
        let (fed, fed_inverse) = rms_norm(&middle, &self.post_attention_norm, self.eps)?;
        let (gate, up) = (self.gate.forward(&fed, dropout, None)?, self.up.forward(&fed, dropout, None)?);
        let activated = swiglu(&gate, &up)?;
        let y = self.down.forward(&activated, dropout, Some(&middle))?;
        Ok((y, Trace { normed, inverse, attended, mixed, middle, fed, fed_inverse, gate, up, activated }))
    }

    /// The gradient of `x`; those of trained parameters are added to `gradients`.
    pub fn backward(
        &self,
        dy: &Tensor,
        x: &Tensor,
        trace: &Trace,
        pass: &Pass,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let Pass { documents, rotary, dropout, rows } = pass;
        let dropout = dropout.as_ref();
        let dactivated = self.down.backward(&trace.activated, dy, dropout, None, gradients)?;
        let [dgate, dup] = swiglu_backward(&dactivated, &trace.gate, &trace.up)?;
        let dfed = self.gate.backward(&trace.fed, &dgate, dropout, None, gradients)?;
        let dfed = self.up.backward(&trace.fed, &dup, dropout, Some(&dfed), gradients)?;
        let dmiddle = rms_norm_backward(&dfed, &trace.middle, &self.post_attention_norm, &trace.fed_inverse, dy)?;
        self.add_norm(self.architecture.post_attention_norm, &dfed, &trace.middle, &trace.fed_inverse, gradients)?;

        let spread = |own: Tensor| match rows {
            None => Ok(own),
            Some(rows) => Tensor::zeros((x.dim(0)?, own.dim(1)?), own.dtype(), own.device())?.index_add(rows, &own, 0),
        };
        let dmixed = spread(self.o.backward(&trace.mixed, &dmiddle, dropout, None, gradients)?)?;
        let dmiddle = spread(dmiddle)?;
        let (tokens, width) = dmixed.dims2()?;
        let dmixed = dmixed.reshape((tokens, self.heads, width / self.heads))?;
        let [dqueries, dkeys, dvalues] = attention_backward(&dmixed, &trace.attended, documents)?;
        let dqueries = rotary.turn_back(&dqueries)?.flatten_from(1)?;
        let dkeys = rotary.turn_back(&dkeys)?.flatten_from(1)?;
        let dnormed = self.q.backward(&trace.normed, &dqueries, dropout, None, gradients)?;
        let dnormed = self.k.backward(&trace.normed, &dkeys, dropout, Some(&dnormed), gradients)?;
        let dvalues = dvalues.flatten_from(1)?;
        let dnormed = self.v.backward(&trace.normed, &dvalues, dropout, Some(&dnormed), gradients)?;
        self.add_norm(self.architecture.input_norm, &dnormed, x, &trace.inverse, gradients)?;
        rms_norm_backward(&dnormed, x, &self.input_norm, &trace.inverse, &dmiddle)
    }

    fn add_norm(
        &self,
        norm: Names,
        dy: &Tensor,
        x: &Tensor,
        inverse: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        if self.trained {
            gradients.add(format!("{}.{}", self.name, norm.weight()), rms_norm_weight_gradient(dy, x, inverse)?)?;
        }
        Ok(())
    }
}

impl Trace {
    /// What each linear map saw, `[tokens, in]`, in the order of [`Layer::linears_mut`].
    pub fn inputs(&self) -> [&Tensor; 7] {
        let Trace { normed, mixed, fed, activated, .. } = self;
        [normed, normed, normed, mixed, fed, fed, activated]
    }
}

/// Values that a [`Trace`] holds a token.
pub fn kept_values(sizes: &Sizes) -> usize {
    // The norms and the middle; queries and what attention makes of them; keys and values; gate, up and their product; what
    // norms and attention keep of a row.
    3 * sizes.hidden + 2 * sizes.queries() + 2 * sizes.keys() + 3 * sizes.intermediate + sizes.heads + 2
}
