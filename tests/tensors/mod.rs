//! Safetensors files that tests change.

#![allow(dead_code, reason = "not every test that shares this uses all of it")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};

/// A tensor's type, shape and bytes.
#[derive(Clone)]
pub struct Tensor(pub Dtype, pub Vec<usize>, pub Vec<u8>);

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        self.0
    }

    fn shape(&self) -> &[usize] {
        &self.1
    }

    fn data(&self) -> Cow<'_, [u8]> {
        (&self.2).into()
    }

    fn data_len(&self) -> usize {
        self.2.len()
    }
}

pub type Tensors = BTreeMap<String, Tensor>;

pub fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |tensor: safetensors::tensor::TensorView| {
        Tensor(tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec())
    };
    stored.tensors().into_iter().map(|(name, tensor)| (name, owned(tensor))).collect()
}

pub fn write(path: &Path, tensors: &Tensors) {
    safetensors::serialize_to_file(tensors.clone(), None, path).unwrap();
}
