//! Products of Q8_0 weights with 32-bit activations, by AVX-512 VNNI.
//!
//! Sixteen tokens fill the lanes of a register, so the weights are used as they lie in the file: four bytes of a row,
//! broadcast, against the same four inputs of sixteen tokens, is one instruction for 64 products. Activations are
//! quantised per token and block of 32, as llama.cpp does, and laid out for that once a product. `vpdpbusd` wants its
//! first factor unsigned: weights get 128 added by flipping their sign bit, and a block's sum starts at −128 × the sum
//! of its activations, which takes that out again exactly.

mod multiply;
mod pack;
#[cfg(test)]
mod tests;

use llama_cpp_sys_2::{GGML_OP_MUL_MAT, GGML_TYPE_F32, GGML_TYPE_Q8_0, ggml_tensor};

use self::pack::PackedBlock;

/// With fewer tokens than this too many lanes stay empty: a product takes as long as for 16.
const LEAST_TOKENS: i64 = 4;

/// Elements that share a scale, in weights and activations.
const BLOCK: usize = 32;
/// Bytes of a block of weights: a 16-bit scale, then 32 signed bytes.
const WEIGHT_BLOCK: usize = 2 + BLOCK;
/// Tokens in a register.
const LANES: usize = 16;

/// `output[token][row] = Σ weights[row][k] · input[token][k]`
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// [rows, depth] in blocks.
    pub weights: *const u8,
    /// [tokens, depth]
    pub input: *const f32,
    /// [tokens, rows]
    pub output: *mut f32,
    /// Bytes from one row of weights to the next.
    pub weights_stride: usize,
    /// Elements from one token to the next.
    pub input_stride: usize,
    /// Elements from one token to the next.
    pub output_stride: usize,
    pub rows: usize,
    pub tokens: usize,
    /// A multiple of 32.
    pub depth: usize,
}

impl Product {
    /// # Safety
    /// `op` is a node of a graph.
    pub unsafe fn of(op: &ggml_tensor) -> Option<Product> {
        if op.op != GGML_OP_MUL_MAT {
            return None;
        }
        // SAFETY: a product has two sources.
        let (weights, input) = unsafe { (&*op.src[0], &*op.src[1]) };
        let ours = op.type_ == GGML_TYPE_F32
            && weights.type_ == GGML_TYPE_Q8_0
            && input.type_ == GGML_TYPE_F32
            && input.ne[1] >= LEAST_TOKENS
            && [weights, input, op].iter().all(|tensor| tensor.ne[2] == 1 && tensor.ne[3] == 1)
            && weights.nb[0] == WEIGHT_BLOCK
            && input.nb[0] == 4
            && op.nb[0] == 4;
        ours.then(|| Product {
            weights: weights.data.cast(),
            input: input.data.cast(),
            output: op.data.cast(),
            weights_stride: weights.nb[1],
            input_stride: input.nb[1] / 4,
            output_stride: op.nb[1] / 4,
            rows: weights.ne[1] as usize,
            tokens: input.ne[1] as usize,
            depth: weights.ne[0] as usize,
        })
    }

    /// Bytes for the packed activations, room to align them included.
    pub fn work_bytes(&self) -> usize {
        self.groups() * self.blocks() * size_of::<PackedBlock>() + align_of::<PackedBlock>()
    }

    fn blocks(&self) -> usize {
        self.depth / BLOCK
    }

    fn groups(&self) -> usize {
        self.tokens.div_ceil(LANES)
    }
}
