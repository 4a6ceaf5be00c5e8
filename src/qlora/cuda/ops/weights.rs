//! Weights in four bits and dense, adapters beside them, losses and the optimizer: `kernels/weights.cu`.

use anyhow::Result;

use super::{Ops, SUMS};
use crate::qlora::cuda::gpu::{Address, Argument, Gpu, Launch, Operand, Rows, THREADS};

/// Blocks that a kernel has which loops over all values.
pub const LOOPING: usize = 1024;

/// Four-bit weights of a linear map.
#[derive(Debug, Clone, Copy)]
pub struct Packed {
    /// Two values a byte.
    pub values: Address,
    /// One byte for each 64 values; none where `maxima` are the maxima themselves.
    pub codes: Address,
    /// Floats: the largest absolute value of each 64 values, or what each 256 codes are multiplied by.
    pub maxima: Address,
    /// What codes stand for: 256 floats, to which `offset` is added after multiplying.
    pub map: Address,
    /// The mean of all maxima where there are codes.
    pub offset: f32,
}

impl Operand for Packed {
    fn push_to(&self, arguments: &mut Vec<Argument>) {
        arguments.extend([self.values, self.codes, self.maxima, self.map].map(Argument::At));
        arguments.push(Argument::Float(self.offset));
    }
}

/// One step of AdamW.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Adam {
    pub gradient_factor: f64,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub betas: [f64; 2],
    pub epsilon: f64,
    /// Counted from 1.
    pub step: u64,
}

impl Operand for Adam {
    fn push_to(&self, arguments: &mut Vec<Argument>) {
        let [one, two] = self.betas.map(|beta| 1.0 - beta.powi(self.step as i32));
        let numbers = [
            self.gradient_factor,
            self.learning_rate / one,
            two.sqrt(),
            1.0 - self.learning_rate * self.weight_decay,
            self.betas[0],
            self.betas[1],
            self.epsilon,
        ];
        arguments.extend(numbers.map(|number| Argument::Float(number as f32)));
    }
}

impl<G: Gpu> Ops<'_, G> {
    /// Quantises values in bf16 or floats to four bits, and gives the largest absolute value of each 64, which is NaN
    /// where a value isn't finite.
    pub fn quantise(&self, (from, floats): (Address, bool), count: usize, to: Address, maxima: Address) -> Result<()> {
        let blocks = (count / 8).div_ceil(THREADS as usize);
        self.0.launch(&Launch::new(
            "quantise",
            [blocks, 1],
            &[&from, &usize::from(floats), &(count as i64), &to, &maxima],
        ))
    }

    /// Makes four-bit weights `[out, in]` dense.
    pub fn dequantise(&self, packed: &Packed, [out, into]: [usize; 2], to: Rows) -> Result<()> {
        let count = out * into;
        let blocks = (count / 8).div_ceil(THREADS as usize);
        let launch = Launch::new("dequantise", [blocks, 1], &[packed, &(count as i64), &into, &to]);
        // The 16 values of a code.
        self.0.launch(&Launch { shared: 16 * 4, ..launch })
    }

    /// Rounds floats `[rows, columns]`, times `scale`, to columns `left` and on of `[all_rows, width]`; all else is 0
    /// there.
    pub fn place(
        &self,
        from: Address,
        [rows, columns]: [usize; 2],
        scale: f64,
        (to, left): (Rows, usize),
        [all_rows, width]: [usize; 2],
    ) -> Result<()> {
        self.0.launch(&Launch::new(
            "place",
            [all_rows, 1],
            &[&from, &rows, &columns, &(scale as f32), &to, &left, &width],
        ))
    }

    /// −weight · log p(target) of rows of logits in floats, and their gradients in bf16.
    pub fn cross_entropy(
        &self,
        logits: Address,
        [targets, weights]: [Address; 2],
        (gradients, losses): (Address, Address),
        [rows, vocabulary]: [usize; 2],
    ) -> Result<()> {
        let launch =
            Launch::new("cross_entropy", [rows, 1], &[&logits, &vocabulary, &targets, &weights, &gradients, &losses]);
        self.0.launch(&Launch { threads: 1024, shared: SUMS, ..launch })
    }

    /// Changes `count` parameters, and clears their gradients.
    pub fn adamw(&self, [values, gradients, first, second]: [Address; 4], count: usize, adam: &Adam) -> Result<()> {
        let count = count as i64;
        self.0.launch(&Launch::new("adamw", [LOOPING, 1], &[&values, &gradients, &first, &second, &count, adam]))
    }

    /// Writes [`LOOPING`] sums, which together are the sum of the squares of all values.
    pub fn squares(&self, values: Address, count: usize, sums: Address) -> Result<()> {
        let launch = Launch::new("squares", [LOOPING, 1], &[&values, &(count as i64), &sums]);
        self.0.launch(&Launch { shared: SUMS, ..launch })
    }
}
