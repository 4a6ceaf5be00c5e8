//! The weights of a base model, from safetensors files, one tensor at a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use candle_core::{Device, Tensor};
use half::f16;
use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::config::Config;
use super::nf4::{Absmax, BLOCK, NESTED_BLOCK, Nested, Nf4};
use crate::architecture::{ALL, list};
use crate::error::Hint;
use crate::foreign;
use crate::gguf::FloatType;

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

/// A safetensors file.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    /// Pages come from the file as they are read, and can be dropped again.
    bytes: Mmap,
    tensors: HashMap<String, Stored>,
}

/// What the header says of a tensor.
#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Bytes of the file.
    range: Range<usize>,
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
struct Index {
    weight_map: BTreeMap<String, String>,
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
            .filter_map(|name| Some((name, self.foreign(name, &known, config)?)))
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

    /// Why a tensor can't be left out, and what to do; `None` where it is one of the model's, or says nothing.
    fn foreign(&self, name: &str, known: &HashSet<String>, config: &Config) -> Option<(String, String)> {
        if known.contains(name) || name.ends_with("rotary_emb.inv_freq") {
            return None;
        }
        // What bitsandbytes writes beside a weight.
        let beside = |part: &str| name.strip_suffix(part).is_some_and(|weight| known.contains(weight));
        if [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state.bitsandbytes__nf4"]
            .into_iter()
            .any(beside)
        {
            return None;
        }
        let Config { architecture, layers, .. } = config;
        let layer = name.strip_prefix(architecture.layers.checkpoint).and_then(|rest| rest.strip_prefix('.'));
        let layer: Option<usize> = layer.and_then(|rest| rest.split('.').next()?.parse().ok());
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        Some(if ends(&[".qweight", ".qzeros", ".scales", ".g_idx", ".weight_scale", ".weight_scale_inv", ".SCB"]) {
            ("is a part of quantised weights".into(), UNQUANTISED.into())
        } else if let Some(layer) = layer.filter(|layer| layer >= layers) {
            (
                format!("is of layer {layer}, and config.json says num_hidden_layers is {layers}"),
                "correct num_hidden_layers in config.json, or take both from the same model".into(),
            )
        } else if name.contains(".lora_") || name.contains("base_layer") || name.starts_with("base_model.") {
            (
                "is a part of an adapter that wasn't merged: without it the answers would be another model's".into(),
                "merge it before saving: model = model.merge_and_unload(); model.save_pretrained(DIR)".into(),
            )
        } else if let Some(own) = known.iter().find(|own| own.ends_with(&format!(".{name}"))) {
            (
                format!("is called {own} where a whole model is saved"),
                "save it as one: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW), with the tokenizer's files".into(),
            )
        } else if let Some(own) = known.iter().find(|own| name.ends_with(&format!(".{own}"))) {
            (
                format!("has something in front of {own}"),
                "take it off all names: torch.compile, DataParallel and wrappers put it there".into(),
            )
        } else {
            (
                format!("is no tensor of {} models: it would be left out", architecture.name),
                format!("its weights are another architecture's; {} can be read", list(ALL)),
            )
        })
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

fn float_type(dtype: Dtype) -> Option<FloatType> {
    match dtype {
        Dtype::F32 => Some(FloatType::F32),
        Dtype::F16 => Some(FloatType::F16),
        Dtype::BF16 => Some(FloatType::Bf16),
        _ => None,
    }
}

/// Values of 16 or 32 bits, little endian, as 32-bit floats; as many as `values` has room for.
pub fn widen(bytes: &[u8], stored: FloatType, values: &mut [f32]) {
    let pairs = bytes.as_chunks::<2>().0;
    match stored {
        FloatType::F32 => {
            let fours = bytes.as_chunks::<4>().0;
            values.iter_mut().zip(fours).for_each(|(value, four)| *value = f32::from_le_bytes(*four));
        }
        FloatType::F16 => {
            values.iter_mut().zip(pairs).for_each(|(value, pair)| *value = f16::from_le_bytes(*pair).to_f32());
        }
        FloatType::Bf16 => {
            let wide = |pair: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16);
            values.iter_mut().zip(pairs).for_each(|(value, pair)| *value = wide(pair));
        }
    }
}

impl Shard {
    /// The names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// A tensor in 32 bits.
    ///
    /// # Errors
    /// When there is none, or it isn't stored in 16 or 32 bits.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let stored = self.tensors.get(name).with_context(|| format!("{} has no {name}", self.path.display()))?;
        let float = float_type(stored.dtype)
            .with_context(|| format!("{}: {name} is of type {:?}", self.path.display(), stored.dtype))
            .hint("save it in 16 or 32 bits")?;
        let mut values = vec![0.0; stored.shape.iter().product()];
        widen(&self.bytes[stored.range.clone()], float, &mut values);
        Ok(Tensor::from_vec(values, stored.shape.as_slice(), &Device::Cpu)?)
    }

    /// Maps a file and reads its header.
    ///
    /// # Errors
    /// Names the file and what it is.
    pub fn open(path: PathBuf) -> Result<Shard> {
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // SAFETY: the file is only read. Another program that cuts it off meanwhile would end this one with a bus
        // error, as it does every program that maps its weights.
        let bytes = unsafe { Mmap::map(&file) }.with_context(|| format!("cannot read {}", path.display()))?;
        let whole = SafeTensors::deserialize(&bytes).map_err(|error| {
            foreign::error(&path, "a whole safetensors file", &error.to_string(), "download it again")
        })?;
        let stored = |(name, tensor): (String, TensorView)| {
            let start = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let range = start..start + tensor.data().len();
            (name, Stored { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), range })
        };
        let tensors = whole.tensors().into_iter().map(stored).collect();
        Ok(Shard { path, bytes, tensors })
    }
}

fn shard_paths(directory: &Path) -> Result<Vec<PathBuf>> {
    let index = directory.join("model.safetensors.index.json");
    let single = directory.join("model.safetensors");
    if !index.exists() {
        ensure!(single.exists(), no_weights(directory));
        let shard = names_in(directory).into_iter().find(|name| is_shard(&name));
        ensure!(shard.is_none(), two_sets(&single, &shard.unwrap_or_default()));
        return Ok(vec![single]);
    }
    let text = std::fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let parsed: Index = serde_json::from_str(&text).with_context(|| format!("{}", index.display()))?;
    let mut names: Vec<String> = parsed.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    // MLX writes an index of one file.
    let is_single = names == ["model.safetensors"];
    ensure!(is_single || !single.exists(), two_sets(&single, "model.safetensors.index.json"));
    ensure!(!names.is_empty(), anyhow!("{} names no file", index.display()).hint("download it again"));
    let path = |name: String| {
        let path = directory.join(&name);
        ensure!(
            path.exists() && !name.contains('/'),
            anyhow!("{} names {name}, which is missing", index.display())
                .hint(format!("download it into {}", directory.display()))
        );
        Ok(path)
    };
    names.into_iter().map(path).collect()
}

fn is_shard(name: &&String) -> bool {
    name.starts_with("model-") && name.ends_with(".safetensors")
}

fn two_sets(single: &Path, other: &str) -> Error {
    anyhow!("{} and {other} beside it are two sets of weights", single.display())
        .hint("transformers reads model.safetensors; delete the set that isn't meant, with its index")
}

/// Why a directory has no weights that can be read.
pub fn no_weights(directory: &Path) -> Error {
    let names = names_in(directory);
    let has = |ends: &[&str]| names.iter().find(|name| ends.iter().any(|end| name.ends_with(end)));
    let place = directory.display();
    if let Some(shard) = names.iter().find(is_shard) {
        return anyhow!("{place} has {shard} and no model.safetensors.index.json")
            .hint("download the index, which says what is in which file");
    }
    if let Some(name) = has(&[".bin", ".pt", ".pth", ".ckpt"]) {
        return anyhow!("{place} has its weights in {name}, a pickle, which could run any program when it is read")
            .hint("save it as safetensors: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW), with the tokenizer's files beside it");
    }
    if let Some(name) = has(&[".gguf"]) {
        return anyhow!("{place} has no safetensors, but {name}").hint("a GGUF is used as it is: --model FILE");
    }
    anyhow!("{place} has neither model.safetensors nor model.safetensors.index.json")
        .hint("a base is a directory as Hugging Face has it, with weights in safetensors")
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
