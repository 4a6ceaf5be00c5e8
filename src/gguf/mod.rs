//! GGUF files: a bounds-checked reader, through which an untrusted file goes before llama.cpp sees it, and what a
//! file to write begins with.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little endian; version 3 is
//! written.

mod adapter;
mod check;
mod finite;
mod read;
mod write;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::architecture::{ALL, Architecture, in_gguf};

pub use adapter::{adapter_problems, check_adapter};
pub use check::{Problem, check_language_model, problems, problems_of};
pub use finite::{check_weights, is_zero, weights_problem};
pub use read::read_header;
pub use write::{Entry, FloatType, Layout};

/// What a GGUF file says before its tensor data.
#[derive(Debug)]
pub struct Gguf {
    /// The path as it was given.
    pub path: PathBuf,
    /// The same, and the other parts of a split model.
    pub parts: Vec<PathBuf>,
    /// Size of all parts in bytes.
    pub file_bytes: u64,
    /// Metadata by key, in file order.
    pub metadata: IndexMap<String, Value>,
    /// Tensors by name, in file order.
    pub tensors: IndexMap<String, Tensor>,
}

/// A metadata value; integers of every width become `Int`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Array(Array),
}

/// Many values of one type, kept as the bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// GGUF's id of a value type.
    dtype: u32,
    count: u64,
    bytes: Vec<u8>,
}

/// Where a tensor lies and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Fastest-varying dimension first, as ggml counts.
    pub shape: Vec<u64>,
    /// ggml's type id.
    pub dtype: u32,
    /// The part that holds the data.
    pub part: usize,
    /// First byte of the data, from the start of that file.
    pub offset: u64,
    /// Bytes of the data; `None` for a type this reader doesn't know.
    pub bytes: Option<u64>,
}

/// Path of the manifest beside a model file: its name with `.json` behind it.
pub fn sidecar(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".json");
    path.with_file_name(name)
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The integer, if it is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        if let Value::Int(number) = self { u64::try_from(*number).ok() } else { None }
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<&Array> {
        if let Value::Array(values) = self { Some(values) } else { None }
    }
}

impl Array {
    const TEXT: u32 = 8;

    /// How many elements it has.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// The elements, if they are texts. Some tokenizers store single bytes as tokens: what isn't UTF-8 becomes U+FFFD.
    pub fn texts(&self) -> Option<impl Iterator<Item = Cow<'_, str>>> {
        let mut rest = &self.bytes[..];
        let text = move || {
            let (length, behind) = rest.split_first_chunk::<8>()?;
            let (text, behind) = behind.split_at(u64::from_le_bytes(*length) as usize);
            rest = behind;
            Some(String::from_utf8_lossy(text))
        };
        (self.dtype == Self::TEXT).then(|| std::iter::from_fn(text))
    }

    /// The elements, if they are numbers or truth values; none if they are texts.
    pub fn scalars(&self) -> impl Iterator<Item = Value> {
        let each = if self.dtype == Self::TEXT { 0 } else { self.bytes.len() / (self.count as usize).max(1) };
        self.bytes.chunks_exact(each.max(1)).filter(move |_| each > 0).map(|bytes| read::scalar(self.dtype, bytes))
    }
}

impl Gguf {
    /// The text under a key; `None` where there is none.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str()
    }

    /// The number under a key, a count or an id; `None` where there is none or it is negative.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.metadata.get(key)?.as_u64()
    }

    /// The file that holds a tensor's data.
    pub fn file_of(&self, tensor: &Tensor) -> &Path {
        &self.parts[tensor.part]
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// What is known of its architecture, if anything is.
    pub fn known_architecture(&self) -> Option<&'static Architecture> {
        in_gguf(ALL, self.architecture()?, self.text("tokenizer.ggml.pre"))
    }

    /// A number below the architecture's own prefix, e.g. `block_count`.
    pub fn hyperparameter(&self, key: &str) -> Option<u64> {
        self.number(&format!("{}.{key}", self.architecture()?))
    }

    /// Values of a head's keys and of its values: what the file says, else, as llama.cpp has it, an equal part of the
    /// embedding.
    pub fn head_sizes(&self) -> [u64; 2] {
        let number = |key| self.hyperparameter(key).unwrap_or_default();
        let part = number("embedding_length").checked_div(number("attention.head_count")).unwrap_or_default();
        ["attention.key_length", "attention.value_length"].map(|key| self.hyperparameter(key).unwrap_or(part))
    }

    /// Elements of all tensors.
    pub fn parameters(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.shape.iter().product::<u64>()).sum()
    }

    /// The strings that the tokenizer reads as single control or user-defined tokens (`<|im_end|>` …).
    pub fn added_tokens(&self) -> Vec<String> {
        const CONTROL: i128 = 3;
        const USER_DEFINED: i128 = 4;
        let array = |key| self.metadata.get(key).and_then(Value::as_array);
        self.texts("tokenizer.ggml.tokens")
            .zip(array("tokenizer.ggml.token_type").into_iter().flat_map(Array::scalars))
            .filter(|(_, kind)| matches!(kind, Value::Int(CONTROL | USER_DEFINED)))
            .map(|(token, _)| token.into_owned())
            .collect()
    }

    /// The texts of an array; none if it isn't there or holds other values.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.metadata.get(key).and_then(Value::as_array).and_then(Array::texts).into_iter().flatten()
    }
}

/// Elements and bytes of one block of a ggml type, by type id; `None` for types this reader doesn't know.
///
/// Source: `type_traits` in llama.cpp's `ggml/src/ggml.c`.
fn block(dtype: u32) -> Option<(u64, u64)> {
    Some(match dtype {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        39 => (32, 17),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        _ => return None,
    })
}

/// A ggml type as llama.cpp's file names have it, by type id; integers and types this reader doesn't know are `other`.
///
/// Source: `enum ggml_type` in llama.cpp's `ggml/include/ggml.h`.
pub fn type_name(dtype: u32) -> &'static str {
    match dtype {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        30 => "BF16",
        _ => "other",
    }
}
