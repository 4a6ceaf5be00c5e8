//! Reads a checkpoint onto a GPU: a matrix goes there as it is stored, a piece at a time, and is quantised there.

use std::borrow::Cow;

use anyhow::{Error, Result, anyhow, bail};
use half::bf16;
use rayon::prelude::*;

use super::gpu::{Address, Arena, FLOAT, Gpu, HALF, Rows, read_floats, write_floats};
use super::ops::{Ops, Packed};
use super::weights::{Group, Groups, Layer, Panel, Parameter};
use crate::architecture::{Linear, Names};
use crate::error::Hint;
use crate::gguf::FloatType;
use crate::qlora::checkpoint::{Checkpoint, Weight, widen};
use crate::qlora::config::Config;
use crate::qlora::model::AdapterShape;
use crate::qlora::nf4::{Absmax, BLOCK, NESTED_BLOCK, Nested};

/// Values that are quantised at once: a whole number of blocks.
const AT_ONCE: usize = 1 << 22;
/// Floats of the map from 8-bit codes to what they stand for.
const MAP: usize = 256;

/// Room for what is only there while a matrix is loaded.
#[derive(Debug, Clone, Copy)]
pub struct Staging {
    /// For a matrix in four bits, where only its dense form is kept.
    packed: Arena,
    /// For [`AT_ONCE`] values as they are stored.
    values: Address,
    /// For the largest absolute values of their blocks, in floats.
    maxima: Address,
}

impl Staging {
    /// Takes room for matrices of up to so many values.
    pub fn new(values: usize, arena: &mut Arena) -> Staging {
        // Maxima are floats, or bytes with fewer floats and a map beside them.
        let maxima = values.div_ceil(BLOCK) * FLOAT;
        let bytes = taken(&[values.div_ceil(2), maxima, maxima, MAP * FLOAT]);
        Staging {
            packed: Arena::new(arena.take(bytes, 1), bytes),
            values: arena.take(AT_ONCE, FLOAT),
            maxima: arena.take(AT_ONCE / BLOCK, FLOAT),
        }
    }

    /// Bytes that staging takes for matrices of up to so many values.
    pub fn bytes(values: usize) -> usize {
        let mut arena = Arena::counting();
        Staging::new(values, &mut arena);
        arena.used()
    }
}

/// Bytes that parts of so many take from an arena.
fn taken(sizes: &[usize]) -> usize {
    let mut arena = Arena::counting();
    for size in sizes {
        arena.take(*size, 1);
    }
    arena.used()
}

/// Bytes of the parts of a matrix in four bits: values, codes of maxima, maxima, what codes stand for.
fn sizes(values: usize, nested: bool) -> [usize; 4] {
    let blocks = values.div_ceil(BLOCK);
    let maxima =
        if nested { [blocks, blocks.div_ceil(NESTED_BLOCK) * FLOAT, MAP * FLOAT] } else { [0, blocks * FLOAT, 0] };
    [values.div_ceil(2), maxima[0], maxima[1], maxima[2]]
}

/// Reads layers and other tensors onto a GPU.
#[derive(Debug)]
pub struct Loader<'a, G> {
    #[expect(missing_docs, reason = "the type says it")]
    pub gpu: &'a G,
    #[expect(missing_docs, reason = "the type says it")]
    pub checkpoint: &'a Checkpoint,
    #[expect(missing_docs, reason = "the type says it")]
    pub config: &'a Config,
    /// What the adapters are like.
    pub shape: &'a AdapterShape,
    /// Whether weights are kept in four bits.
    pub four_bits: bool,
    /// Whether dense weights are kept.
    pub panels: bool,
    #[expect(missing_docs, reason = "the type says it")]
    pub staging: Staging,
}

impl<G: Gpu> Loader<'_, G> {
    /// A tensor that isn't quantised, in bf16.
    ///
    /// # Errors
    /// As [`Checkpoint::read`], and when the GPU refuses.
    pub fn dense(&self, name: &str) -> Result<Address> {
        let bytes = self.halves(name)?;
        let at = self.gpu.allocate(bytes.len())?;
        self.gpu.write(at, &bytes)?;
        Ok(at)
    }

    /// A tensor's values in bf16.
    fn halves(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        if self.checkpoint.float_type(name)? == Some(FloatType::Bf16) {
            let bytes = self.checkpoint.bytes(name)?;
            let finite = |halves: &[[u8; HALF]]| halves.iter().all(|half| bf16::from_le_bytes(*half).is_finite());
            if !bytes.as_chunks::<HALF>().0.par_chunks(1 << 14).all(finite) {
                return Err(self.not_finite(name));
            }
            return Ok(Cow::Borrowed(bytes));
        }
        let values = match self.checkpoint.read(name)? {
            Weight::Dense(values) => values,
            Weight::Nf4(weight) => weight.dequantise(),
        };
        Ok(Cow::Owned(values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect()))
    }

    fn not_finite(&self, name: &str) -> Error {
        self.checkpoint.read(name).err().unwrap_or_else(|| anyhow!("{name} holds values that are not finite"))
    }

    /// A layer; its adapters are added to `parameters`.
    ///
    /// # Errors
    /// As [`Self::dense`]; when weights are in four bits that should not be.
    pub fn layer(&self, index: usize, parameters: &mut Vec<Parameter>) -> Result<Layer> {
        let architecture = self.config.architecture;
        let norm = |norm: Names| self.dense(&format!("{}.{}", architecture.layer(index), norm.weight()));
        let bias = self.bias(index)?;
        let mut groups = Groups::new(self.config, self.shape, index, parameters);
        groups.all_mut().into_iter().try_for_each(|group| self.fill(group))?;
        Ok(Layer {
            input_norm: norm(architecture.input_norm)?,
            post_attention_norm: norm(architecture.post_attention_norm)?,
            bias,
            groups,
        })
    }

    /// The biases of queries, keys and values, one behind the other.
    fn bias(&self, index: usize) -> Result<Address> {
        let [q, k, v, ..] = self.config.linears(index);
        let parts = [q, k, v];
        if parts.iter().all(|(_, linear, _)| !linear.bias) {
            return Ok(Address::default());
        }
        let halves = |(name, linear, [out, _]): &(String, Linear, [usize; 2])| {
            if linear.bias { self.halves(&format!("{name}.bias")) } else { Ok(Cow::Owned(vec![0; out * HALF])) }
        };
        let bias = parts.iter().map(halves).collect::<Result<Vec<_>>>()?.concat();
        let at = self.gpu.allocate(bias.len())?;
        self.gpu.write(at, &bias)?;
        Ok(at)
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
            let (name, shape) = (format!("{}.weight", part.name), [part.out, into]);
            let rows = |panel: Address| Rows { at: panel.plus(before * stride, HALF), stride };
            match (group.panel, self.four_bits) {
                (Panel::Shared, true) => part.packed = Some(self.pack(&name, shape, None)?),
                (Panel::Own(panel), true) => {
                    let packed = self.pack(&name, shape, Some(self.staging.packed))?;
                    Ops(self.gpu).dequantise(&packed, shape, rows(panel))?;
                }
                (Panel::Own(panel), false) => self.write_rows(&name, into, rows(panel))?,
                (Panel::Shared, false) => bail!("weights in 16 bits need panels of their own"),
            }
            before += part.out;
        }
        Ok(())
    }

    fn write_rows(&self, name: &str, columns: usize, to: Rows) -> Result<()> {
        if self.checkpoint.float_type(name)?.is_none() {
            bail!(anyhow!("{name} is quantised to four bits already").hint("use --method qlora, or a base in 16 bits"))
        }
        for (row, halves) in self.halves(name)?.chunks(columns * HALF).enumerate() {
            self.gpu.write(to.from(row, 0).at, halves)?;
        }
        Ok(())
    }

    /// A matrix in four bits, in an arena or in memory of its own.
    fn pack(&self, name: &str, [out, into]: [usize; 2], arena: Option<Arena>) -> Result<Packed> {
        let parts = |nested: bool| {
            let sizes = sizes(out * into, nested);
            let bytes = taken(&sizes);
            let own = || Ok::<_, Error>(Arena::new(self.gpu.allocate(bytes)?, bytes));
            let mut arena = arena.map_or_else(own, Ok)?;
            Ok::<_, Error>(sizes.map(|size| arena.take(size, 1)))
        };
        let ([values, codes, maxima, map], absmax) = if let Some(float_type) = self.checkpoint.float_type(name)? {
            let parts = parts(true)?;
            (parts, Absmax::Nested(Nested::new(&self.quantise(name, float_type, parts[0])?)))
        } else {
            let nf4 = self.checkpoint.nf4(name)?;
            let parts = parts(matches!(nf4.absmax, Absmax::Nested(_)))?;
            self.gpu.write(parts[0], &nf4.packed)?;
            (parts, nf4.absmax)
        };
        Ok(match absmax {
            Absmax::Plain(each) => {
                write_floats(self.gpu, maxima, &each)?;
                Packed { values, codes: Address::default(), maxima, map: Address::default(), offset: 0.0 }
            }
            Absmax::Nested(nested) => {
                self.gpu.write(codes, &nested.codes)?;
                write_floats(self.gpu, maxima, &nested.absmax)?;
                write_floats(self.gpu, map, &nested.map)?;
                Packed { values, codes, maxima, map, offset: nested.offset }
            }
        })
    }

    /// Quantises a matrix on the GPU to four bits at `to`, and gives the largest absolute value of each block.
    fn quantise(&self, name: &str, float_type: FloatType, mut to: Address) -> Result<Vec<f32>> {
        let mut maxima = Vec::new();
        for piece in self.checkpoint.bytes(name)?.chunks(AT_ONCE * float_type.bytes()) {
            let count = piece.len() / float_type.bytes();
            if float_type == FloatType::F16 {
                let mut floats = vec![0.0; count];
                widen(piece, float_type, &mut floats);
                write_floats(self.gpu, self.staging.values, &floats)?;
            } else {
                self.gpu.write(self.staging.values, piece)?;
            }
            let floats = float_type != FloatType::Bf16;
            Ops(self.gpu).quantise((self.staging.values, floats), count, to, self.staging.maxima)?;
            maxima.extend(read_floats(self.gpu, self.staging.maxima, count.div_ceil(BLOCK))?);
            to = to.plus(count / 2, 1);
        }
        if maxima.iter().all(|maximum| maximum.is_finite()) { Ok(maxima) } else { Err(self.not_finite(name)) }
    }
}
