//! A safetensors file, whose bytes are read where they are needed.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use half::f16;
use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::Hint;
use crate::foreign;
use crate::gguf::FloatType;

/// A safetensors file.
#[derive(Debug)]
pub struct Shard {
    pub(super) path: PathBuf,
    /// Pages come from the file as they are read, and can be dropped again.
    pub(super) bytes: Mmap,
    pub(super) tensors: HashMap<String, Stored>,
}

/// What the header says of a tensor.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Bytes of the file.
    pub(super) range: Range<usize>,
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

/// The type, where it is of 16 or 32 bits.
pub(super) fn float_type(dtype: Dtype) -> Option<FloatType> {
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
