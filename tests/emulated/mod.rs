//! A GPU that is emulated: memory of its own, kernels by the emulator, products in plain loops.

use std::cell::{Cell, RefCell};

use anyhow::{Result, anyhow};
use half::bf16;
use reels::qlora::cuda::gpu::{Address, Argument, Factor, Gpu, Launch, Product};

#[derive(Debug, Default)]
pub struct Emulated {
    memory: RefCell<Vec<Box<[u64]>>>,
    launches: Cell<u32>,
}

/// What memory holds before anything is written: NaN, as bf16 and as floats.
const POISON: u64 = u64::MAX;

/// # Safety
/// The address must be of as many bytes, which nothing else looks at meanwhile.
unsafe fn bytes<'a>(at: Address, count: usize) -> &'a mut [u8] {
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts_mut(at.0 as *mut u8, count) }
}

impl Emulated {
    /// Row-major.
    fn values(&self, factor: &Factor, [rows, columns]: [usize; 2]) -> Vec<f32> {
        let (stored_rows, width) = if factor.transposed { (columns, rows) } else { (rows, columns) };
        let mut values = vec![0.0; rows * columns];
        for row in 0..stored_rows {
            // SAFETY: `engine` gives addresses of its own memory.
            let stored = unsafe { bytes(factor.rows.from(row, 0).at, 2 * width) };
            for (column, bytes) in stored.as_chunks::<2>().0.iter().enumerate() {
                let place = if factor.transposed { column * columns + row } else { row * columns + column };
                values[place] = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        values
    }
}

impl Gpu for Emulated {
    fn free(&self) -> Result<u64> {
        Ok(1 << 30)
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let memory = vec![POISON; bytes.div_ceil(8) + 32].into_boxed_slice();
        let at = (memory.as_ptr() as u64).next_multiple_of(256);
        self.memory.borrow_mut().push(memory);
        Ok(Address(at))
    }

    fn write(&self, to: Address, from: &[u8]) -> Result<()> {
        // SAFETY: `engine` gives addresses of its own memory.
        unsafe { bytes(to, from.len()) }.copy_from_slice(from);
        Ok(())
    }

    fn read(&self, from: Address, to: &mut [u8]) -> Result<()> {
        // SAFETY: as above.
        to.copy_from_slice(unsafe { bytes(from, to.len()) });
        Ok(())
    }

    fn clear(&self, at: Address, count: usize) -> Result<()> {
        // SAFETY: as above.
        unsafe { bytes(at, count) }.fill(0);
        Ok(())
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        self.launches.set(self.launches.get() + 1);
        let mut arguments: Vec<[u8; 8]> = launch.arguments.iter().map(Argument::bytes).collect();
        let [x, y] = launch.blocks;
        // SAFETY: `ops` gives each kernel what it takes.
        let done = unsafe {
            emulator::launch(
                launch.kernel,
                [x, y, 1],
                launch.threads,
                launch.shared as usize,
                &mut arguments,
                self.launches.get(),
            )
        };
        done.map_err(|error| anyhow!(error))
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        let &Product { shape: [rows, columns], inner, to, floats, alpha, beta, .. } = product;
        let left = self.values(&product.left, [rows, inner]);
        let right = self.values(&product.right, [inner, columns]);
        for row in 0..rows {
            let mut sums = vec![0f32; columns];
            for (value, right) in left[row * inner..][..inner].iter().zip(right.chunks(columns)) {
                sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += value * right);
            }
            for (column, sum) in sums.into_iter().enumerate() {
                let at = to.at.plus(row * to.stride + column, if floats { 4 } else { 2 });
                // SAFETY: as above.
                let result = unsafe { bytes(at, if floats { 4 } else { 2 }) };
                if floats {
                    let before = f32::from_le_bytes([result[0], result[1], result[2], result[3]]);
                    // As cuBLAS: what is there isn't looked at where it counts nothing.
                    let before = if beta == 0.0 { 0.0 } else { beta * before };
                    result.copy_from_slice(&(alpha * sum + before).to_le_bytes());
                } else {
                    assert_eq!(beta, 0.0, "products in bf16 are not added");
                    result.copy_from_slice(&bf16::from_f32(alpha * sum).to_le_bytes());
                }
            }
        }
        Ok(())
    }
}
