//! Attention over a 16-bit cache, by AVX-512.
//!
//! Sixteen queries fill the lanes of a register: sixteen tokens of a head in prefill, the heads that share keys and
//! values in decoding. Keys and values are then broadcast, so the running softmax needs nothing across lanes, both
//! products have the same shape, and a tile of keys is converted to 32 bits once for all heads that share it.

mod attend;
mod floats;
mod scratch;
mod sums;
#[cfg(test)]
mod tests;
mod tile;

use llama_cpp_sys_2::{GGML_OP_FLASH_ATTN_EXT, GGML_TYPE_F16, GGML_TYPE_F32, ggml_tensor};

/// Queries in a register.
const LANES: usize = 16;
/// Keys that are scored before their values are summed.
const TILE: usize = 32;
/// Below every score, and finite, so that the difference of two is a number.
const NOTHING: f32 = -1e30;

type Lanes = [f32; LANES];

/// `output[token][head] = softmax(scale × queries[token][head] · keys + mask[token]) · values`, a stream at a time.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    output: Tensor,
    scale: f32,
    /// Elements of a head.
    size: usize,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    cells: usize,
    streams: usize,
}

/// Where a tensor lies, with the bytes from one index to the next in its dimensions 1, 2 and 3.
#[derive(Clone, Copy)]
struct Tensor {
    data: *mut u8,
    strides: [usize; 3],
}

impl Tensor {
    fn of(tensor: &ggml_tensor) -> Tensor {
        Tensor { data: tensor.data.cast(), strides: [tensor.nb[1], tensor.nb[2], tensor.nb[3]] }
    }

    /// # Safety
    /// The index is within the tensor.
    #[inline]
    unsafe fn at<T>(&self, index: [usize; 3]) -> *mut T {
        let bytes: usize = index.iter().zip(self.strides).map(|(index, stride)| index * stride).sum();
        // SAFETY: as promised by the caller.
        unsafe { self.data.add(bytes) }.cast()
    }
}

impl Attention {
    /// # Safety
    /// `op` is a node of a graph.
    pub unsafe fn of(op: &ggml_tensor) -> Option<Attention> {
        if op.op != GGML_OP_FLASH_ATTN_EXT {
            return None;
        }
        // SAFETY: the sources of this operation are four tensors or none, and a fifth that we don't take.
        let [queries, keys, values, mask] = unsafe { [0, 1, 2, 3].map(|index| op.src[index].as_ref()) };
        let (queries, keys, values, mask) = (queries?, keys?, values?, mask?);
        let [scale, largest_bias, softcap] = [0, 1, 2].map(|index| f32::from_bits(op.op_params[index] as u32));
        let attention = Attention {
            queries: Tensor::of(queries),
            keys: Tensor::of(keys),
            values: Tensor::of(values),
            mask: Tensor::of(mask),
            output: Tensor::of(op),
            scale,
            size: queries.ne[0] as usize,
            tokens: queries.ne[1] as usize,
            heads: queries.ne[2] as usize,
            kv_heads: keys.ne[2] as usize,
            cells: keys.ne[1] as usize,
            streams: queries.ne[3] as usize,
        };
        let ours = op.src[4].is_null()
            && largest_bias == 0.0
            && softcap == 0.0
            && queries.type_ == GGML_TYPE_F32
            && [keys, values, mask].iter().all(|tensor| tensor.type_ == GGML_TYPE_F16 && tensor.nb[0] == 2)
            && op.type_ == GGML_TYPE_F32
            && queries.nb[0] == 4
            && values.ne[0] == keys.ne[0]
            && values.ne[2] == keys.ne[2]
            && [keys, values, mask].iter().all(|tensor| tensor.ne[3] == queries.ne[3])
            && mask.ne[2] == 1
            && attention.size.is_multiple_of(LANES)
            && attention.heads.is_multiple_of(attention.kv_heads);
        ours.then_some(attention)
    }

    /// Query heads that share keys and values.
    fn sharing(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Whether the lanes are the heads of one token, rather than tokens of one head.
    fn lanes_are_heads(&self) -> bool {
        self.tokens == 1
    }

    fn groups(&self) -> usize {
        if self.lanes_are_heads() { self.sharing().div_ceil(LANES) } else { self.sharing() }
    }

    fn blocks(&self) -> usize {
        self.tokens.div_ceil(LANES)
    }

    /// Pieces of work that don't depend on each other.
    pub fn items(&self) -> usize {
        self.streams * self.blocks() * self.kv_heads
    }
}
