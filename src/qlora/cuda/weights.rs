//! What a pass reads: frozen weights, and where the adapters beside them are.

use anyhow::{Result, bail, ensure};
use half::bf16;
use rayon::prelude::*;

use super::gpu::{Address, FLOAT, Gpu, HALF, Rows, write_floats};
use super::ops::Packed;
use crate::qlora::checkpoint::{Checkpoint, Weight};
use crate::qlora::config::Config;
use crate::qlora::model::AdapterShape;
use crate::qlora::nf4::{Absmax, Nf4};

/// Linear maps that see the same input, as one product takes them: see `kernels/weights.cu`.
#[derive(Debug)]
pub struct Group {
    #[expect(missing_docs, reason = "the type says it")]
    pub parts: Vec<Part>,
    /// Values of an input row.
    pub into: usize,
    /// Of all parts, and of their adapters' inner sides.
    pub panel: Panel,
}

/// A linear map of a group.
#[derive(Debug)]
pub struct Part {
    /// Of its parameters, without `.weight`.
    pub name: String,
    /// Values of an output row.
    pub out: usize,
    /// `None` where the group keeps its panel.
    pub packed: Option<Packed>,
    /// A and B among the trained parameters.
    pub adapter: Option<[usize; 2]>,
}

/// Where the dense weights of a group are.
#[derive(Debug, Clone, Copy)]
pub enum Panel {
    /// Made anew for each use, in room that all groups share.
    Shared,
    /// Kept.
    Own(Address),
}

/// The linear maps of a layer.
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
    /// Of queries, keys and values.
    pub bias: Address,
    pub groups: Groups,
}

impl Groups {
    /// Of a layer, without weights; its adapters are added to `parameters`.
    pub fn new(config: &Config, shape: &AdapterShape, layer: usize, parameters: &mut Vec<Parameter>) -> Groups {
        let Config { hidden, intermediate, kv_heads, .. } = *config;
        let kv = kv_heads * config.head_size();
        let mut group = |parts: &[(&str, usize)], into: usize| {
            let part = |(name, out): &(&str, usize)| {
                let name = format!("model.layers.{layer}.{name}");
                let target = name.rsplit('.').next().unwrap_or_default();
                let adapted = shape.targets.iter().any(|each| each == target);
                let halves = [("lora_A", [shape.rank, into]), ("lora_B", [*out, shape.rank])];
                let adapter = adapted.then(|| {
                    halves.map(|(half, shape)| {
                        let start = parameters.last().map_or(0, |last: &Parameter| last.start + last.values());
                        parameters.push(Parameter { name: format!("{name}.{half}.weight"), shape, start });
                        parameters.len() - 1
                    })
                });
                Part { name, out: *out, packed: None, adapter }
            };
            Group { parts: parts.iter().map(part).collect(), into, panel: Panel::Shared }
        };
        Groups {
            qkv: group(&[("self_attn.q_proj", hidden), ("self_attn.k_proj", kv), ("self_attn.v_proj", kv)], hidden),
            o: group(&[("self_attn.o_proj", hidden)], hidden),
            gate_up: group(&[("mlp.gate_proj", intermediate), ("mlp.up_proj", intermediate)], hidden),
            down: group(&[("mlp.down_proj", hidden)], intermediate),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Group; 4] {
        [&self.qkv, &self.o, &self.gate_up, &self.down]
    }

    fn all_mut(&mut self) -> [&mut Group; 4] {
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
    /// Values before it.
    pub start: usize,
}

impl Parameter {
    /// Values.
    pub fn values(&self) -> usize {
        self.shape[0] * self.shape[1]
    }
}

/// Rank of an adapter, as products take it.
pub fn padded(rank: usize) -> usize {
    rank.next_multiple_of(8)
}

impl Group {
    /// Values of an output row.
    pub fn out(&self) -> usize {
        self.parts.iter().map(|part| part.out).sum()
    }

    /// What its adapters add to the inner side of a product.
    pub fn tail(&self, rank: usize) -> usize {
        self.parts.iter().filter(|part| part.adapter.is_some()).count() * padded(rank)
    }

    /// Values of the panel.
    pub fn panel_values(&self, rank: usize) -> usize {
        (self.out() + self.tail(rank)) * (self.into + self.tail(rank))
    }

    /// Each part with the columns before it, of the output and of the tail.
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

/// Puts bytes into the GPU's memory one behind the other.
pub struct Memory<'a, G> {
    gpu: &'a G,
    next: Address,
}

impl<'a, G: Gpu> Memory<'a, G> {
    const ALIGNMENT: usize = 256;

    /// Room for as many.
    fn new(gpu: &'a G, sizes: impl Iterator<Item = usize>) -> Result<Memory<'a, G>> {
        let bytes = sizes.map(|size| size.next_multiple_of(Self::ALIGNMENT)).sum();
        Ok(Memory { gpu, next: gpu.allocate(bytes)? })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<Address> {
        let at = self.next;
        self.gpu.write(at, bytes)?;
        self.next = at.plus(bytes.len().next_multiple_of(Self::ALIGNMENT), 1);
        Ok(at)
    }

    fn put_rounded(&mut self, values: &[f32]) -> Result<Address> {
        self.put(&rounded(values))
    }
}

/// bf16, as bytes.
fn rounded(values: &[f32]) -> Vec<u8> {
    const AT_ONCE: usize = 1 << 14;
    let mut bytes = vec![0; values.len() * HALF];
    bytes.par_chunks_mut(AT_ONCE * HALF).zip(values.par_chunks(AT_ONCE)).for_each(|(bytes, values)| {
        let (halves, _) = bytes.as_chunks_mut::<HALF>();
        halves.iter_mut().zip(values).for_each(|(half, value)| *half = bf16::from_f32(*value).to_le_bytes());
    });
    bytes
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Bytes of each part of a four-bit matrix.
fn packed_sizes(nf4: &Nf4) -> [usize; 4] {
    match &nf4.absmax {
        Absmax::Plain(maxima) => [nf4.packed.len(), 0, maxima.len() * FLOAT, 0],
        Absmax::Nested(nested) => {
            [nf4.packed.len(), nested.codes.len(), nested.absmax.len() * FLOAT, nested.map.len() * FLOAT]
        }
    }
}

fn put_packed<G: Gpu>(memory: &mut Memory<G>, nf4: &Nf4) -> Result<Packed> {
    let values = memory.put(&nf4.packed)?;
    Ok(match &nf4.absmax {
        Absmax::Plain(maxima) => {
            let maxima = memory.put(&float_bytes(maxima))?;
            Packed { values, codes: Address::default(), maxima, map: Address::default(), offset: 0.0 }
        }
        Absmax::Nested(nested) => Packed {
            values,
            codes: memory.put(&nested.codes)?,
            maxima: memory.put(&float_bytes(&nested.absmax))?,
            map: memory.put(&float_bytes(&nested.map))?,
            offset: nested.offset,
        },
    })
}

/// Reads a checkpoint onto a GPU, a layer at a time.
#[derive(Debug)]
pub struct Loader<'a, G> {
    #[expect(missing_docs, reason = "the type says it")]
    pub gpu: &'a G,
    #[expect(missing_docs, reason = "the type says it")]
    pub checkpoint: &'a Checkpoint,
    #[expect(missing_docs, reason = "the type says it")]
    pub config: &'a Config,
    /// Of the adapters.
    pub shape: &'a AdapterShape,
    /// Whether weights are kept in four bits.
    pub four_bits: bool,
    /// Whether dense weights are kept.
    pub panels: bool,
}

impl<G: Gpu> Loader<'_, G> {
    /// A tensor that isn't quantised, in bf16.
    pub fn dense(&self, name: &str) -> Result<Address> {
        let bytes = rounded(&self.values(name)?);
        Memory::new(self.gpu, [bytes.len()].into_iter())?.put(&bytes)
    }

    fn values(&self, name: &str) -> Result<Vec<f32>> {
        Ok(match self.checkpoint.read(name)? {
            Weight::Dense(values) => values,
            Weight::Nf4(weight) => weight.dequantise(),
        })
    }

    /// A layer; its adapters are added to `parameters`.
    pub fn layer(&self, index: usize, parameters: &mut Vec<Parameter>) -> Result<Layer> {
        let values = |part: &str| self.values(&format!("model.layers.{index}.{part}"));
        let input_norm = values("input_layernorm.weight")?;
        let post_attention_norm = values("post_attention_layernorm.weight")?;
        let biases = ["q", "k", "v"].map(|each| values(&format!("self_attn.{each}_proj.bias")));
        let bias = biases.into_iter().collect::<Result<Vec<_>>>()?.concat();
        let sizes = [&input_norm, &post_attention_norm, &bias].map(|values| values.len() * HALF);
        let mut memory = Memory::new(self.gpu, sizes.into_iter())?;
        let mut groups = Groups::new(self.config, self.shape, index, parameters);
        groups.all_mut().into_iter().try_for_each(|group| self.fill(group))?;
        Ok(Layer {
            input_norm: memory.put_rounded(&input_norm)?,
            post_attention_norm: memory.put_rounded(&post_attention_norm)?,
            bias: memory.put_rounded(&bias)?,
            groups,
        })
    }

    /// Reads the weights of a group.
    fn fill(&self, group: &mut Group) -> Result<()> {
        let (rank, into) = (self.shape.rank, group.into);
        let stride = into + group.tail(rank);
        if self.panels {
            group.panel = Panel::Own(self.gpu.allocate(group.panel_values(rank) * HALF)?);
        }
        let mut before = 0;
        for part in &mut group.parts {
            let weight = self.checkpoint.read(&format!("{}.weight", part.name))?;
            let dense = match (weight, self.four_bits) {
                (Weight::Nf4(_), false) => bail!(
                    "{}.weight is quantised to four bits already\nhint: use --method qlora, or a base in 16 bits",
                    part.name
                ),
                (Weight::Dense(values), false) => values,
                (weight, true) => {
                    let nf4 = match weight {
                        Weight::Dense(values) => Nf4::quantise(&values).nested(),
                        Weight::Nf4(nf4) => nf4,
                    };
                    if let Panel::Shared = group.panel {
                        let mut memory = Memory::new(self.gpu, packed_sizes(&nf4).into_iter())?;
                        part.packed = Some(put_packed(&mut memory, &nf4)?);
                        continue;
                    }
                    nf4.dequantise()
                }
            };
            let Panel::Own(panel) = group.panel else { bail!("weights in 16 bits need panels of their own") };
            self.write_rows(&dense, into, Rows { at: panel.plus(before * stride, HALF), stride })?;
            before += part.out;
        }
        Ok(())
    }

    fn write_rows(&self, values: &[f32], columns: usize, to: Rows) -> Result<()> {
        for (row, values) in values.chunks(columns).enumerate() {
            self.gpu.write(to.at.plus(row * to.stride, HALF), &rounded(values))?;
        }
        Ok(())
    }
}

/// Trained parameters with their gradients and moments, each a row of floats.
#[derive(Debug)]
pub struct Trained {
    #[expect(missing_docs, reason = "the type says it")]
    pub parameters: Vec<Parameter>,
    /// Values, gradients, first and second moments.
    pub floats: [Address; 4],
    /// Values of each.
    pub count: usize,
}

impl Trained {
    /// Everything but the values is 0.
    pub fn new(gpu: &impl Gpu, parameters: Vec<Parameter>, values: &[f32]) -> Result<Trained> {
        let count = parameters.last().map_or(0, |last| last.start + last.values());
        ensure!(values.len() == count, "{} values for {count} trained ones", values.len());
        let start = gpu.allocate(4 * count * FLOAT)?;
        let floats = [0, 1, 2, 3].map(|index| start.plus(index * count, FLOAT));
        write_floats(gpu, floats[0], values)?;
        gpu.clear(floats[1], 3 * count * FLOAT)?;
        Ok(Trained { parameters, floats, count })
    }

    /// A parameter's values.
    pub fn value(&self, index: usize) -> Address {
        self.floats[0].plus(self.parameters[index].start, FLOAT)
    }

    /// A parameter's gradient, in floats.
    pub fn gradient(&self, index: usize) -> Rows {
        let parameter = &self.parameters[index];
        Rows { at: self.floats[1].plus(parameter.start, FLOAT), stride: parameter.shape[1] }
    }
}
