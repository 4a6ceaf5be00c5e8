//! The types that quantised weights are in. llama.cpp stores a matrix whose rows aren't whole blocks of a type in another
//! one, without a word: of a hidden size of 896, q4_k_m has nothing in four bits.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::Quant;
use crate::gguf::{Gguf, type_name};
use crate::qlora::config::Config;

/// What a file's weights are stored in.
#[derive(Debug)]
pub struct Mixture {
    /// By type, the most weights first.
    parts: Vec<Part>,
}

/// The tensors of one type.
#[derive(Debug)]
struct Part {
    dtype: &'static str,
    weights: u64,
    bytes: u64,
    /// Lengths of the rows of matrices.
    rows: BTreeSet<u64>,
}

impl Part {
    fn bits(&self) -> f64 {
        8.0 * self.bytes as f64 / self.weights as f64
    }
}

impl Mixture {
    /// What a header says.
    pub fn of(gguf: &Gguf) -> Mixture {
        let mut parts: Vec<Part> = Vec::new();
        for tensor in gguf.tensors.values() {
            let dtype = type_name(tensor.dtype);
            let index = parts.iter().position(|part| part.dtype == dtype).unwrap_or(parts.len());
            if index == parts.len() {
                parts.push(Part { dtype, weights: 0, bytes: 0, rows: BTreeSet::new() });
            }
            let part = &mut parts[index];
            part.weights += tensor.shape.iter().product::<u64>();
            part.bytes += tensor.bytes.unwrap_or_default();
            if tensor.shape.len() > 1 {
                part.rows.insert(tensor.shape[0]);
            }
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.weights));
        Mixture { parts }
    }

    fn share(&self, weights: u64) -> f64 {
        weights as f64 / self.parts.iter().map(|part| part.weights).sum::<u64>().max(1) as f64
    }

    /// Bits that a weight takes.
    pub fn bits_per_weight(&self) -> f64 {
        let share = |part: &Part| self.share(part.weights) * part.bits();
        self.parts.iter().map(share).sum()
    }

    /// The share of each type, for people.
    pub fn line(&self) -> String {
        let share = |part: &Part| format!("{} {:.1} %", part.dtype, 100.0 * self.share(part.weights));
        self.parts.iter().map(share).collect::<Vec<_>>().join(", ")
    }

    /// The share of each type, for a manifest.
    pub fn json(&self) -> Value {
        self.parts.iter().map(|part| (part.dtype.to_owned(), json!(self.share(part.weights)))).collect()
    }

    /// Which matrices are in a type that the quantisation has only for rows that its own don't fit; `None` if none are.
    pub fn fallback(&self, quant: Quant) -> Option<String> {
        let own = own_types(quant);
        let fell: Vec<&Part> =
            self.parts.iter().filter(|part| !part.rows.is_empty() && !own.contains(&part.dtype)).collect();
        if own.is_empty() || fell.is_empty() {
            return None;
        }
        let part = |part: &&Part| {
            let rows: Vec<String> = part.rows.iter().map(u64::to_string).collect();
            let share = 100.0 * self.share(part.weights);
            format!("{share:.1} % in {}, {:.1} bits each (rows of {})", part.dtype, part.bits(), rows.join(", "))
        };
        let share = 100.0 * self.share(fell.iter().map(|part| part.weights).sum());
        Some(format!(
            "{share:.1} % of the weights aren't in the types of {} ({}), whose blocks don't fit into their rows: {}",
            quant.name(),
            own.join(", "),
            fell.iter().map(part).collect::<Vec<_>>().join("; ")
        ))
    }
}

/// The types of matrices whose rows are multiples of 256.
///
/// Source: `llama_tensor_get_type_impl` and `tensor_type_fallback` in llama.cpp's `src/llama-quant.cpp`.
fn own_types(quant: Quant) -> &'static [&'static str] {
    match quant {
        Quant::F32 | Quant::F16 | Quant::Bf16 => &[],
        Quant::Q8_0 => &["Q8_0"],
        Quant::Q6K => &["Q6_K"],
        Quant::Q5KM => &["Q5_K", "Q6_K"],
        Quant::Q4KM => &["Q4_K", "Q6_K"],
        // Q4_1 is for some matrices with an importance matrix.
        Quant::Q4_0 => &["Q4_0", "Q4_1", "Q6_K"],
    }
}

/// Bytes that the weights of a model take when they are quantised, roughly.
pub fn quantised_bytes(config: &Config, quant: Quant) -> u64 {
    let bits: f64 = config
        .tensors()
        .iter()
        .map(|tensor| {
            let vocabulary = tensor.target.is_none();
            let row = tensor.shape.last().copied().unwrap_or_default();
            let each = if tensor.shape.len() == 1 { 32.0 } else { bits(quant, row, vocabulary) };
            each * tensor.values() as f64
        })
        .sum();
    (bits / 8.0) as u64
}

/// Bits of a weight in a row of so many, of a matrix of the vocabulary or of a layer.
fn bits(quant: Quant, row: usize, vocabulary: bool) -> f64 {
    let whole = row.is_multiple_of(256);
    // Q6_K or Q8_0.
    let most = if whole { 6.6 } else { 8.5 };
    match quant {
        Quant::F32 => 32.0,
        Quant::F16 | Quant::Bf16 => 16.0,
        _ if !row.is_multiple_of(32) => 16.0,
        Quant::Q8_0 => 8.5,
        Quant::Q6K => most,
        _ if vocabulary => most,
        Quant::Q5KM => {
            if whole {
                5.8
            } else {
                6.5
            }
        }
        Quant::Q4KM => {
            if whole {
                5.0
            } else {
                6.1
            }
        }
        Quant::Q4_0 => 4.6,
    }
}
