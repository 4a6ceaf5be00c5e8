//! A group of linear maps with dense weights: products of their inputs and gradients with the frozen weights and the
//! adapters.

use anyhow::Result;

use super::engine::Engine;
use super::gpu::{Gpu, Product, Rows};
use super::ops::Ops;
use super::weights::{Group, Panel, Part, padded};
use crate::qlora::dropout::Dropout;

/// A group of linear maps in a pass, its weights dense in the panel `[W, s B; A, ·]`. With dropout adapters see less
/// than the frozen weights, and have products of their own.
pub struct DenseGroup<'a, G> {
    engine: &'a Engine<G>,
    group: &'a Group,
    panel: Rows,
    tokens: usize,
    dropout: Option<Dropout>,
}

/// A part that has an adapter.
struct Adapted<'a> {
    part: &'a Part,
    output: usize,
    tail: usize,
    /// Indices of A and B among the trained parameters.
    a: usize,
    b: usize,
}

impl<'a, G: Gpu> DenseGroup<'a, G> {
    /// Makes the weights dense, if they aren't kept so, and puts the adapters beside them.
    pub fn new(
        engine: &'a Engine<G>,
        group: &'a Group,
        tokens: usize,
        dropout: Option<Dropout>,
    ) -> Result<DenseGroup<'a, G>> {
        let (rank, scale) = (engine.shape.rank, engine.shape.scale());
        let tail = group.tail(rank);
        let at = match group.panel {
            Panel::Shared => engine.room.panel,
            Panel::Own(at) => at,
        };
        let panel = Rows { at, stride: group.into + tail };
        let ops = Ops(&engine.gpu);
        for (part, output, before) in group.placed(rank) {
            if let (Panel::Shared, Some(packed)) = (group.panel, &part.packed) {
                ops.dequantise(packed, [part.out, group.into], panel.from(output, 0))?;
            }
            if tail == 0 {
                continue;
            }
            let beside = panel.from(output, group.into);
            match part.adapter {
                Some([a, b]) => {
                    let (a, b) = (engine.trained.value(a), engine.trained.value(b));
                    ops.place(b, [part.out, rank], scale, (beside, before), [part.out, tail])?;
                    let below = panel.from(group.out() + before, 0);
                    ops.place(a, [rank, group.into], 1.0, (below, 0), [padded(rank), group.into])?;
                }
                None => ops.place(panel.at, [0, 0], 0.0, (beside, 0), [part.out, tail])?,
            }
        }
        Ok(DenseGroup { engine, group, panel, tokens, dropout })
    }

    fn tail(&self) -> usize {
        self.group.tail(self.engine.shape.rank)
    }

    fn adapted(&self) -> impl Iterator<Item = Adapted<'a>> + use<'a, G> {
        self.group
            .placed(self.engine.shape.rank)
            .filter_map(|(part, output, tail)| part.adapter.map(|[a, b]| Adapted { part, output, tail, a, b }))
    }

    /// The rows of A that belong to a part.
    fn a(&self, part: &Adapted) -> Rows {
        self.panel.from(self.group.out() + part.tail, 0)
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        self.engine.gpu.multiply(product)
    }

    /// Writes x Aᵀ behind x.
    pub fn lows(&self, x: Rows) -> Result<()> {
        let (tail, into) = (self.tail(), self.group.into);
        if self.dropout.is_none() {
            if tail == 0 {
                return Ok(());
            }
            let a = self.panel.from(self.group.out(), 0);
            return self.multiply(&Product::new([self.tokens, tail], into, x, a.transposed(), x.from(0, into)));
        }
        for part in self.adapted() {
            let (seen, to) = (self.seen(x, &part)?, x.from(0, into + part.tail));
            let rank = padded(self.engine.shape.rank);
            self.multiply(&Product::new([self.tokens, rank], into, seen, self.a(&part).transposed(), to))?;
        }
        Ok(())
    }

    /// What the adapter of a part sees of x: all of it, or with dropout a copy without what is left out.
    fn seen(&self, x: Rows, part: &Adapted) -> Result<Rows> {
        let Some(dropout) = self.dropout else { return Ok(x) };
        let to = Rows { stride: self.group.into, ..self.engine.room.dropped };
        self.drop_out(x, to, false, (dropout, part))?;
        Ok(to)
    }

    fn drop_out(&self, x: Rows, to: Rows, added: bool, (dropout, part): (Dropout, &Adapted)) -> Result<()> {
        let place = part.part.name.as_str();
        Ops(&self.engine.gpu).drop_out(x, to, added, (dropout, place), [self.tokens, self.group.into])
    }

    /// Writes x Wᵀ + s x Aᵀ Bᵀ of all parts to `to`, and x Aᵀ behind x.
    pub fn forward(&self, x: Rows, to: Rows) -> Result<()> {
        self.lows(x)?;
        let (out, inner) = (self.group.out(), self.group.into + self.tail());
        self.multiply(&Product::new([self.tokens, out], inner, x, self.panel.transposed(), to))
    }

    /// Writes the gradient of x to `to`, which may be x, and adds those of A and B to the trained parameters'
    /// gradients. Behind x stands x Aᵀ; s dy B is written behind dy, which has room for it.
    pub fn backward(&self, x: Rows, dy: Rows, to: Rows) -> Result<()> {
        let DenseGroup { tokens, group, engine, .. } = self;
        let (out, into, rank) = (group.out(), group.into, engine.shape.rank);
        for part in self.adapted() {
            let own = dy.from(0, part.output);
            let b = self.panel.from(part.output, into + part.tail);
            let dlow = dy.from(0, out + part.tail);
            self.multiply(&Product::new([*tokens, padded(rank)], part.part.out, own, b, dlow))?;
            let low = x.from(0, into + part.tail);
            let (da, db) = (engine.trained.gradient(part.a), engine.trained.gradient(part.b));
            let scale = engine.shape.scale() as f32;
            self.multiply(&Product::new([part.part.out, rank], *tokens, own.transposed(), low, db).added(scale))?;
            let seen = self.seen(x, &part)?;
            self.multiply(&Product::new([rank, into], *tokens, dlow.transposed(), seen, da).added(1.0))?;
        }
        let Some(dropout) = self.dropout else {
            let inner = out + self.tail();
            return self.multiply(&Product::new([*tokens, into], inner, dy, self.panel, to));
        };
        self.multiply(&Product::new([*tokens, into], out, dy, self.panel, to))?;
        for part in self.adapted() {
            let dlow = dy.from(0, out + part.tail);
            let through = Rows { stride: into, ..engine.room.dropped };
            self.multiply(&Product::new([*tokens, into], padded(rank), dlow, self.a(&part), through))?;
            self.drop_out(through, to, true, (dropout, &part))?;
        }
        Ok(())
    }
}
