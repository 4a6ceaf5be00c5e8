//! Kernels for the CPU, on slices. Generic over the float, so that derivatives can be checked in 64 bits.

pub mod attention;
pub mod gemm;
pub mod rows;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Deref;

use candle_core::{Result, Storage, Tensor, WithDType};
use num_traits::Float;

/// A tensor's values, locked for reading as long as this lives.
pub struct Values<Guard> {
    storage: Guard,
    start: usize,
    len: usize,
}

/// Locks the values of a tensor for reading.
///
/// # Errors
/// When it isn't contiguous.
pub fn values(tensor: &Tensor) -> Result<Values<impl Deref<Target = Storage> + '_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a tensor of shape {:?} is not contiguous", layout.shape())
    };
    Ok(Values { storage, start, len: end - start })
}

impl<Guard: Deref<Target = Storage>> Values<Guard> {
    /// The values, row-major.
    ///
    /// # Errors
    /// When they are of another type, or not on the CPU.
    pub fn slice<T: Real>(&self) -> Result<&[T]> {
        let Storage::Cpu(storage) = &*self.storage else { candle_core::bail!("a tensor is not on the CPU") };
        Ok(&storage.as_slice::<T>()?[self.start..][..self.len])
    }
}

/// Calls a function generic over [`Real`] for a tensor's type.
macro_rules! by_type {
    ($tensor:expr, $function:ident($($argument:expr),*)) => {
        match $tensor.dtype() {
            candle_core::DType::F64 => $function::<f64>($($argument),*),
            _ => $function::<f32>($($argument),*),
        }
    };
}
pub(crate) use by_type;

/// A float that kernels work on.
pub trait Real: Float + WithDType + Send + Sync {
    #[expect(missing_docs, reason = "the name says it")]
    fn from_f32(value: f32) -> Self;
    /// eˣ; the last bits may be wrong.
    fn quick_exp(self) -> Self;
    /// A buffer that [`Real::give_back`] kept, with whatever it holds, or an empty one.
    fn buffer() -> Vec<Self>;
    /// Keeps a buffer's memory for the next one.
    fn give_back(buffer: Vec<Self>);
}

impl Real for f32 {
    fn from_f32(value: f32) -> f32 {
        value
    }

    /// Within 2 ulp, by 2ⁿ · eʳ with |r| ≤ ln 2 / 2 and a polynomial of Cephes' expf; vectorises. Below −87 it is 0.
    #[inline(always)]
    fn quick_exp(self) -> f32 {
        // Adding and subtracting it rounds to a whole number.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.0, 88.0);
        let whole = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
        let r = whole.mul_add(-0.693_359_4, x);
        let r = whole.mul_add(2.121_944_4e-4, r);
        let p = 1.987_569_1e-4f32.mul_add(r, 1.398_2e-3);
        let p = p.mul_add(r, 8.333_452e-3).mul_add(r, 4.166_579_6e-2).mul_add(r, 1.666_666_5e-1).mul_add(r, 0.5);
        let e = p.mul_add(r * r, r) + 1.0;
        let power = f32::from_bits(((whole as i32 + 127) << 23) as u32);
        if self < -87.0 { 0.0 } else { e * power }
    }

    fn buffer() -> Vec<f32> {
        BUFFERS.with(|buffers| {
            let mut kept = buffers.take();
            let buffer = kept.pop().unwrap_or_default();
            buffers.set(kept);
            buffer
        })
    }

    fn give_back(buffer: Vec<f32>) {
        BUFFERS.with(|buffers| {
            let mut kept = buffers.take();
            kept.push(buffer);
            buffers.set(kept);
        });
    }
}

thread_local! {
    /// Buffers that were given back: as many as a thread once used at the same time.
    static BUFFERS: Cell<Vec<Vec<f32>>> = const { Cell::new(Vec::new()) };
}

impl Real for f64 {
    fn from_f32(value: f32) -> f64 {
        f64::from(value)
    }

    fn quick_exp(self) -> f64 {
        self.exp()
    }

    fn buffer() -> Vec<f64> {
        Vec::new()
    }

    fn give_back(_: Vec<f64>) {}
}
