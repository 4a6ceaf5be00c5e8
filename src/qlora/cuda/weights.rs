//! What a pass reads: frozen weights, and where the adapters' values are among the trained ones.

use anyhow::{Result, ensure};

use super::gpu::{Address, FLOAT, Gpu, Rows, write_floats};
use super::ops::Packed;
use crate::architecture::Linear;
use crate::qlora::config::Config;
use crate::qlora::model::AdapterShape;

/// Linear maps that see the same input, as one product takes them: see `kernels/weights.cu`.
#[derive(Debug)]
pub struct Group {
    #[expect(missing_docs, reason = "the type says it")]
    pub parts: Vec<Part>,
    /// Values of an input row.
    pub into: usize,
    /// Where the dense weights of all parts are, with the adapters beside them.
    pub panel: Panel,
}

/// A linear map of a group.
#[derive(Debug)]
pub struct Part {
    /// What the names of its parameters begin with, such as `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// Values of an output row.
    pub out: usize,
    /// Its weight in four bits; `None` where the group keeps its panel.
    pub packed: Option<Packed>,
    /// Indices of A and B among the trained parameters.
    pub adapter: Option<[usize; 2]>,
}

/// Where the dense weights of a group are.
#[derive(Debug, Clone, Copy)]
pub enum Panel {
    /// Made anew for each use, in room that all groups share.
    Shared,
    /// Made once, and kept.
    Own(Address),
}

/// The linear maps of a layer, in groups that see the same input.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Groups {
    pub qkv: Group,
    pub o: Group,
    pub gate_up: Group,
    pub down: Group,
}

/// The parameters of a layer.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Layer {
    pub input_norm: Address,
    pub post_attention_norm: Address,
    /// Biases of queries, keys and values side by side.
    pub bias: Address,
    pub groups: Groups,
}

impl Groups {
    /// The groups of a layer, without weights; its adapters are added to `parameters`.
    pub fn new(config: &Config, shape: &AdapterShape, layer: usize, parameters: &mut Vec<Parameter>) -> Groups {
        let mut group = |parts: &[(String, Linear, [usize; 2])]| {
            let part = |(name, linear, [out, into]): &(String, Linear, [usize; 2])| {
                let adapted = shape.targets.iter().any(|each| each == linear.target());
                let halves = [("lora_A", [shape.rank, *into]), ("lora_B", [*out, shape.rank])];
                let adapter = adapted.then(|| {
                    halves.map(|(half, shape)| {
                        let start = parameters.last().map_or(0, |last: &Parameter| last.start + last.values());
                        parameters.push(Parameter { name: format!("{name}.{half}.weight"), shape, start });
                        parameters.len() - 1
                    })
                });
                Part { name: name.clone(), out: *out, packed: None, adapter }
            };
            let [_, into] = parts[0].2;
            Group { parts: parts.iter().map(part).collect(), into, panel: Panel::Shared }
        };
        let linears = config.linears(layer);
        Groups {
            qkv: group(&linears[..3]),
            o: group(&linears[3..4]),
            gate_up: group(&linears[4..6]),
            down: group(&linears[6..]),
        }
    }

    /// All groups.
    pub fn all(&self) -> [&Group; 4] {
        [&self.qkv, &self.o, &self.gate_up, &self.down]
    }

    /// All groups.
    pub fn all_mut(&mut self) -> [&mut Group; 4] {
        [&mut self.qkv, &mut self.o, &mut self.gate_up, &mut self.down]
    }
}

/// A trained matrix.
#[derive(Debug)]
pub struct Parameter {
    #[expect(missing_docs, reason = "the type says it")]
    pub name: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub shape: [usize; 2],
    /// Trained values before its first one.
    pub start: usize,
}

impl Parameter {
    /// How many values it has.
    pub fn values(&self) -> usize {
        self.shape[0] * self.shape[1]
    }
}

/// The rank that products are computed with: the next multiple of 8.
pub fn padded(rank: usize) -> usize {
    rank.next_multiple_of(8)
}

impl Group {
    /// Values of an output row.
    pub fn out(&self) -> usize {
        self.parts.iter().map(|part| part.out).sum()
    }

    /// Columns that its adapters add to the inner side of a product.
    pub fn tail(&self, rank: usize) -> usize {
        self.parts.iter().filter(|part| part.adapter.is_some()).count() * padded(rank)
    }

    /// Values of the panel `[out + tail, into + tail]`.
    pub fn panel_values(&self, rank: usize) -> usize {
        (self.out() + self.tail(rank)) * (self.into + self.tail(rank))
    }

    /// Each part with the number of columns before it, in the output and in the tail.
    pub fn placed(&self, rank: usize) -> impl Iterator<Item = (&Part, usize, usize)> {
        let mut before = (0, 0);
        self.parts.iter().map(move |part| {
            let now = before;
            before.0 += part.out;
            before.1 += part.adapter.map_or(0, |_| padded(rank));
            (part, now.0, now.1)
        })
    }
}

/// Trained parameters with their gradients and moments, each a row of floats.
#[derive(Debug)]
pub struct Trained {
    #[expect(missing_docs, reason = "the type says it")]
    pub parameters: Vec<Parameter>,
    /// Values, gradients, first and second moments.
    pub floats: [Address; 4],
    /// Values of each of these.
    pub count: usize,
}

impl Trained {
    /// Takes memory on the GPU; gradients and moments begin as 0.
    pub fn new(gpu: &impl Gpu, parameters: Vec<Parameter>, values: &[f32]) -> Result<Trained> {
        let count = parameters.last().map_or(0, |last| last.start + last.values());
        ensure!(values.len() == count, "{} values for {count} trained ones", values.len());
        let start = gpu.allocate(4 * count * FLOAT)?;
        let floats = [0, 1, 2, 3].map(|index| start.plus(index * count, FLOAT));
        write_floats(gpu, floats[0], values)?;
        gpu.clear(floats[1], 3 * count * FLOAT)?;
        Ok(Trained { parameters, floats, count })
    }

    /// Where a parameter's values are.
    pub fn value(&self, index: usize) -> Address {
        self.floats[0].plus(self.parameters[index].start, FLOAT)
    }

    /// Where a parameter's gradient is, in floats.
    pub fn gradient(&self, index: usize) -> Rows {
        let parameter = &self.parameters[index];
        Rows { at: self.floats[1].plus(parameter.start, FLOAT), stride: parameter.shape[1] }
    }
}
