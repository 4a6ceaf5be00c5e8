//! What training asks of a GPU: memory, kernels, matrix products. The driver answers, and in tests an emulator.

use anyhow::{Result, ensure};

/// A place in the GPU's memory, in bytes; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address(pub u64);

impl Address {
    /// The place of a value of `size` bytes that so many others are before.
    #[must_use]
    pub fn plus(self, values: usize, size: usize) -> Address {
        Address(self.0 + (values * size) as u64)
    }
}

/// What a kernel is given for a parameter.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Argument {
    At(Address),
    Int(i32),
    Long(i64),
    Word(u32),
    Seed(u64),
    Float(f32),
}

impl Argument {
    /// The bytes that the kernel reads, little endian; 0 behind those of a shorter argument.
    pub fn bytes(&self) -> [u8; 8] {
        let four = |bytes: [u8; 4]| [bytes, [0; 4]].concat().try_into().unwrap_or_default();
        match self {
            Argument::At(address) => address.0.to_le_bytes(),
            Argument::Int(value) => four(value.to_le_bytes()),
            Argument::Long(value) => value.to_le_bytes(),
            Argument::Word(value) => four(value.to_le_bytes()),
            Argument::Seed(value) => value.to_le_bytes(),
            Argument::Float(value) => four(value.to_le_bytes()),
        }
    }
}

/// A kernel, the threads that run it, and its arguments.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Its name in `kernels.cu`.
    pub kernel: &'a str,
    /// Blocks in both directions of the grid.
    pub blocks: [u32; 2],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes that the threads of a block share.
    pub shared: u32,
    /// As many as the kernel has parameters.
    pub arguments: Vec<Argument>,
}

/// Threads of a block, where a launch doesn't say otherwise.
pub const THREADS: u32 = 256;

impl<'a> Launch<'a> {
    /// Blocks of [`THREADS`] threads that share no memory.
    pub fn new(kernel: &'a str, blocks: [usize; 2], operands: &[&dyn Operand]) -> Launch<'a> {
        let mut arguments = Vec::new();
        operands.iter().for_each(|operand| operand.push_to(&mut arguments));
        Launch { kernel, blocks: blocks.map(|count| count as u32), threads: THREADS, shared: 0, arguments }
    }
}

/// What kernels take as one parameter or several that belong together.
pub trait Operand {
    /// Adds the parameters, in the order in which kernels have them.
    fn push_to(&self, arguments: &mut Vec<Argument>);
}

macro_rules! operand {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl Operand for $type {
            fn push_to(&self, arguments: &mut Vec<Argument>) {
                arguments.push(Argument::$variant(*self));
            }
        })*
    };
}

operand!(Address => At, i64 => Long, u32 => Word, u64 => Seed, f32 => Float);

/// A count or a width, in 32 bits.
impl Operand for usize {
    fn push_to(&self, arguments: &mut Vec<Argument>) {
        arguments.push(Argument::Int(*self as i32));
    }
}

/// Where the first row begins, and the stride in 64 bits.
impl Operand for Rows {
    fn push_to(&self, arguments: &mut Vec<Argument>) {
        arguments.extend([Argument::At(self.at), Argument::Long(self.stride as i64)]);
    }
}

/// Rows of values in the GPU's memory, `stride` values apart.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the type says it")]
pub struct Rows {
    pub at: Address,
    pub stride: usize,
}

/// Bytes of a bf16.
pub const HALF: usize = 2;
/// Bytes of a float.
pub const FLOAT: usize = 4;

impl Rows {
    /// The part of a matrix of bf16 values that begins at a row and column.
    #[must_use]
    pub fn from(self, row: usize, column: usize) -> Rows {
        Rows { at: self.at.plus(row * self.stride + column, HALF), ..self }
    }
}

/// A factor of a product, in bf16.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Factor {
    pub rows: Rows,
    pub transposed: bool,
}

impl From<Rows> for Factor {
    fn from(rows: Rows) -> Factor {
        Factor { rows, transposed: false }
    }
}

impl Rows {
    /// The transpose as a factor.
    #[must_use]
    pub fn transposed(self) -> Factor {
        Factor { rows: self, transposed: true }
    }
}

/// `to = alpha · left · right + beta · to`, summed in floats.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Rows and columns of the result.
    pub shape: [usize; 2],
    /// Columns of the left factor.
    pub inner: usize,
    /// `[rows, inner]` as multiplied, whatever is stored.
    pub left: Factor,
    /// `[inner, columns]` as multiplied, whatever is stored.
    pub right: Factor,
    #[expect(missing_docs, reason = "the name says it")]
    pub to: Rows,
    /// Whether the result is in floats rather than bf16.
    pub floats: bool,
    #[expect(missing_docs, reason = "the name says it")]
    pub alpha: f32,
    #[expect(missing_docs, reason = "the name says it")]
    pub beta: f32,
}

impl Product {
    /// `to = left · right`, in bf16.
    pub fn new(
        shape: [usize; 2],
        inner: usize,
        left: impl Into<Factor>,
        right: impl Into<Factor>,
        to: Rows,
    ) -> Product {
        Product { shape, inner, left: left.into(), right: right.into(), to, floats: false, alpha: 1.0, beta: 0.0 }
    }

    /// The product times `alpha`, in floats and added to what is there.
    #[must_use]
    pub fn added(self, alpha: f32) -> Product {
        Product { floats: true, alpha, beta: 1.0, ..self }
    }
}

/// A GPU. What is asked for happens in order; only reading waits for it.
pub trait Gpu {
    /// Bytes of memory that are free.
    ///
    /// # Errors
    /// When the driver refuses.
    fn free(&self) -> Result<u64>;

    /// Takes memory until the GPU is dropped. It holds whatever was there before.
    ///
    /// # Errors
    /// When less is free.
    fn allocate(&self, bytes: usize) -> Result<Address>;

    /// # Errors
    /// When the driver refuses.
    fn write(&self, to: Address, bytes: &[u8]) -> Result<()>;

    /// # Errors
    /// When the driver refuses, or something that was asked for before has failed.
    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<()>;

    /// Sets bytes to 0.
    ///
    /// # Errors
    /// When the driver refuses.
    fn clear(&self, at: Address, bytes: usize) -> Result<()>;

    /// # Errors
    /// When the driver refuses.
    fn launch(&self, launch: &Launch) -> Result<()>;

    /// # Errors
    /// When cuBLAS refuses.
    fn multiply(&self, product: &Product) -> Result<()>;
}

/// Hands out parts of memory one behind the other, or only counts what would be handed out.
#[derive(Debug, Clone, Copy)]
pub struct Arena {
    next: Address,
    end: u64,
}

/// Bytes that every part begins at a multiple of.
const ALIGNMENT: u64 = 256;

impl Arena {
    /// An arena without memory, which only counts.
    pub fn counting() -> Arena {
        Arena { next: Address(0), end: u64::MAX }
    }

    /// An arena of so many bytes from an address on.
    pub fn new(start: Address, bytes: usize) -> Arena {
        Arena { next: start, end: start.0 + bytes as u64 }
    }

    /// Bytes that were handed out by an arena that counts.
    pub fn used(&self) -> usize {
        self.next.0 as usize
    }

    /// Room for so many values of `size` bytes.
    ///
    /// # Panics
    /// When more is taken than was counted.
    pub fn take(&mut self, values: usize, size: usize) -> Address {
        let taken = self.next;
        self.next = Address((taken.0 + (values * size) as u64).next_multiple_of(ALIGNMENT));
        assert!(self.next.0 <= self.end, "more GPU memory is taken than was counted");
        taken
    }

    /// Room for so many rows of bf16 values.
    pub fn rows(&mut self, rows: usize, stride: usize) -> Rows {
        Rows { at: self.take(rows * stride, HALF), stride }
    }
}

/// Reads so many floats.
///
/// # Errors
/// As [`Gpu::read`].
pub fn read_floats(gpu: &impl Gpu, from: Address, count: usize) -> Result<Vec<f32>> {
    let mut bytes = vec![0; count * FLOAT];
    gpu.read(from, &mut bytes)?;
    let (floats, rest) = bytes.as_chunks::<FLOAT>();
    ensure!(rest.is_empty(), "floats are of four bytes");
    Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Writes floats, one behind the other.
///
/// # Errors
/// As [`Gpu::write`].
pub fn write_floats(gpu: &impl Gpu, to: Address, values: &[f32]) -> Result<()> {
    gpu.write(to, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// Writes whole numbers of 32 bits, one behind the other.
///
/// # Errors
/// As [`Gpu::write`].
pub fn write_words(gpu: &impl Gpu, to: Address, values: &[u32]) -> Result<()> {
    gpu.write(to, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}
