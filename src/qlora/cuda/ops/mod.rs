//! The kernels, one function each. All matrices are bf16, one row a token, unless it says otherwise.

mod attention;
mod rows;
mod weights;

pub use self::attention::{Attention, Heads, TILE, Tiles};
pub use self::rows::{Norm, Turning};
pub use self::weights::{Adam, LOOPING, Packed};

/// Bytes that the threads of a block share to add up their sums: a float for each of up to 32 warps.
const SUMS: u32 = 32 * 4;

/// Runs kernels.
#[derive(Debug)]
pub struct Ops<'a, G>(pub &'a G);
