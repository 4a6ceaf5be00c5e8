//! The weights of a base model, from safetensors files, one tensor at a time.

mod foreign;
mod paths;
mod shard;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use safetensors::Dtype;
use serde::Deserialize;

pub use paths::no_weights;
pub use shard::{Shard, widen};

use super::config::Config;
use super::nf4::{Absmax, BLOCK, NESTED_BLOCK, Nested, Nf4};
use crate::error::Hint;
use crate::gguf::FloatType;
use foreign::foreign;
use paths::shard_paths;
use shard::{Stored, float_type};

/// What to do about weights that were quantised in a way that isn't read.
pub const UNQUANTISED: &str =
    "take the model it was made from, in 16 bits; of quantised ones bitsandbytes' NF4 can be read";
/// What bitsandbytes writes beside a weight of four bits.
const QUANT_STATE: &str = "quant_state.bitsandbytes__nf4";

/// Safetensors files of a directory, checked against the model's shape; no weight is read yet.
#[derive(Debug)]
pub struct Checkpoint {
    shards: Vec<Shard>,
    /// Index into `shards` by the tensor's name.
    shard_of: HashMap<String, usize>,
}

/// A weight as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Weight {
    /// Stored in 16 or 32 bits a value; here in 32.
    Dense(Vec<f32>),
    /// Stored in four bits, as bitsandbytes quantised it.
    Nf4(Nf4),
}

#[derive(Deserialize)]
struct QuantState {
    quant_type: String,
    blocksize: usize,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f32>,
}

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names, and checks that every tensor
    /// of the model is there in its shape, and no other that would be left out. A head of its own is used although
    /// `config` says that the embedding serves for it, as transformers 5 does; `config` is corrected then.
    ///
    /// # Errors
    /// Names the file or tensor that is missing, unknown, or of another shape or type.
    pub fn open(directory: &Path, config: &mut Config) -> Result<Checkpoint> {
        let shards = shard_paths(directory)?.into_iter().map(Shard::open).collect::<Result<Vec<Shard>>>()?;
        let mut shard_of: HashMap<String, usize> = HashMap::new();
        for (index, shard) in shards.iter().enumerate() {
            for name in shard.tensors.keys() {
                if let Some(other) = shard_of.insert(name.clone(), index) {
                    bail!(
                        anyhow!("{name} is in {} and in {}", shards[other].path.display(), shard.path.display())
                            .hint("delete the older files, so that it is known which weights are meant")
                    );
                }
            }
        }
        let checkpoint = Checkpoint { shards, shard_of };
        checkpoint.check_all(config).with_context(|| format!("{}", directory.display()))?;
        Ok(checkpoint)
    }

    fn check_all(&self, config: &mut Config) -> Result<()> {
        let [head, embedding] = [config.architecture.head, config.architecture.embedding].map(|names| names.weight());
        let mut known: HashSet<String> = config.tensors().into_iter().map(|tensor| tensor.name).collect();
        if config.tied && self.shard_of.contains_key(&head) {
            known.insert(head.clone());
        }
        // Before what is missing: it tells why.
        if let Some((name, why)) = self
            .shard_of
            .keys()
            .filter_map(|name| Some((name, foreign(name, &known, config)?)))
            .min_by_key(|(name, _)| *name)
        {
            bail!(anyhow!("the checkpoint holds {name}, which {}", why.0).hint(why.1));
        }
        for tensor in config.tensors() {
            self.check(&tensor.name, &tensor.shape)?;
        }
        if config.tied && known.contains(&head) {
            self.check(&head, &[config.vocabulary, config.hidden])?;
            if self.raw(&head)? != self.raw(&embedding)? {
                tracing::warn!(
                    "config.json says that the output layer is the embedding, but {} holds another {head}, which is used",
                    self.file(&head)
                );
                config.tied = false;
            }
        }
        Ok(())
    }

    fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        let Some(shard) = self.shard_of.get(name) else {
            let head = name.starts_with("lm_head");
            bail!(anyhow!("the checkpoint lacks the tensor {name}").hint(if head {
                "download it again; or set tie_word_embeddings to true in config.json if the embedding is its output layer"
            } else {
                "download it again, or correct config.json"
            }))
        };
        let tensor = &self.shards[*shard].tensors[name];
        let (found, count) = match tensor.dtype {
            Dtype::BF16 | Dtype::F16 | Dtype::F32 => (tensor.shape.clone(), shape.iter().product::<usize>()),
            Dtype::U8 => {
                let state = self.quant_state(name)?;
                let packed: usize = tensor.shape.iter().product();
                ensure!(
                    packed == state.shape.iter().product::<usize>().div_ceil(2),
                    anyhow!("{name} holds {packed} bytes for the shape {:?}", state.shape)
                        .hint("the file is damaged; download it again")
                );
                (state.shape, shape.iter().product::<usize>())
            }
            other => bail!(
                anyhow!("{name} is of type {other:?}")
                    .hint("weights of 16 or 32 bits can be read, and those of 4 bits by bitsandbytes (NF4)")
            ),
        };
        ensure!(
            found == shape && found.iter().product::<usize>() == count,
            anyhow!("{name} has the shape {found:?}, and config.json says {shape:?}")
                .hint("the two are of different models")
        );
        Ok(())
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.shard_of.contains_key(name)
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// Names the tensor that holds a value which is not finite, or lacks a part.
    pub fn read(&self, name: &str) -> Result<Weight> {
        let four_bits = self.raw(name)?.0 == Dtype::U8;
        Ok(if four_bits { Weight::Nf4(self.nf4(name)?) } else { Weight::Dense(self.floats(name)?) })
    }

    /// How a tensor's values are stored; `None` where they are in four bits.
    ///
    /// # Errors
    /// When there is no such tensor, or it is of another type.
    pub fn float_type(&self, name: &str) -> Result<Option<FloatType>> {
        let dtype = self.raw(name)?.0;
        let float = float_type(dtype);
        ensure!(float.is_some() || dtype == Dtype::U8, "{name} is of type {dtype:?}, not of 16 or 32 bits");
        Ok(float)
    }

    /// A tensor's bytes as they lie in its file.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        Ok(self.raw(name)?.1)
    }

    /// The file that holds a tensor, for errors.
    pub fn file(&self, name: &str) -> String {
        self.shard_of.get(name).map_or_else(String::new, |shard| self.shards[*shard].path.display().to_string())
    }

    fn raw(&self, name: &str) -> Result<(Dtype, &[u8])> {
        let shard = self.shard_of.get(name).with_context(|| format!("the checkpoint lacks the tensor {name}"))?;
        let shard = &self.shards[*shard];
        let Stored { dtype, range, .. } = &shard.tensors[name];
        Ok((*dtype, &shard.bytes[range.clone()]))
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let (dtype, bytes) = self.raw(name)?;
        let float = float_type(dtype).with_context(|| format!("{name} is of type {dtype:?}, not of 16 or 32 bits"))?;
        let mut values = vec![0.0; bytes.len() / float.bytes()];
        widen(bytes, float, &mut values);
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            bail!(
                anyhow!("{}: {name} holds {} at {index}", self.file(name), values[index])
                    .hint("the file is damaged; download it again")
            );
        }
        Ok(values)
    }

    fn quant_state(&self, name: &str) -> Result<QuantState> {
        let state = format!("{name}.{QUANT_STATE}");
        let (_, bytes) = self
            .raw(&state)
            .with_context(|| format!("{name} is of 8-bit codes without {QUANT_STATE}"))
            .hint("of quantised checkpoints, bitsandbytes' NF4 can be read")?;
        let parsed: QuantState = serde_json::from_slice(bytes).with_context(|| state.clone())?;
        ensure!(
            parsed.quant_type == "nf4" && parsed.blocksize == BLOCK,
            anyhow!("{state}: {} in blocks of {}", parsed.quant_type, parsed.blocksize)
                .hint(format!("NF4 in blocks of {BLOCK} can be read"))
        );
        ensure!(
            parsed.nested_blocksize.is_none_or(|size| size == NESTED_BLOCK),
            anyhow!("{state}: nested blocks of {:?}", parsed.nested_blocksize)
                .hint(format!("those of {NESTED_BLOCK} can be read"))
        );
        Ok(parsed)
    }

    /// Reads a tensor that is in four bits. Its maps are read rather than computed, because those stored are what the
    /// weights were quantised with.
    ///
    /// # Errors
    /// As [`Checkpoint::read`], and when the tensor isn't in four bits.
    pub fn nf4(&self, name: &str) -> Result<Nf4> {
        let packed = self.bytes(name)?;
        let state = self.quant_state(name)?;
        let len: usize = state.shape.iter().product();
        let part = |part: &str| format!("{name}.{part}");
        let code = self.floats(&part("quant_map"))?;
        ensure!(
            code == super::nf4::CODE,
            anyhow!("{} is not NF4's", part("quant_map")).hint("the checkpoint was quantised in a format of its own")
        );
        let blocks = len.div_ceil(BLOCK);
        let absmax = match state.nested_offset {
            None => Absmax::Plain(self.floats(&part("absmax"))?),
            Some(offset) => Absmax::Nested(Nested {
                codes: self.raw(&part("absmax"))?.1.to_vec(),
                absmax: self.floats(&part("nested_absmax"))?,
                offset,
                map: self.floats(&part("nested_quant_map"))?,
            }),
        };
        let (found, nested, map) = match &absmax {
            Absmax::Plain(maxima) => (maxima.len(), 0, 256),
            Absmax::Nested(nested) => (nested.codes.len(), nested.absmax.len(), nested.map.len()),
        };
        let fits = found == blocks && map == 256 && (nested == 0 || nested == blocks.div_ceil(NESTED_BLOCK));
        ensure!(
            fits,
            anyhow!("{name}: its absmax is not that of {len} values").hint("the file is damaged; download it again")
        );
        Ok(Nf4 { len, packed: packed.to_vec(), absmax })
    }
}
