//! A build without CUDA.

use anyhow::{Error, Result, anyhow};

use super::gpu::{Address, Gpu, Launch, Product};
use crate::error::Hint;

fn missing() -> Error {
    anyhow!("this build can't compute on a GPU")
        .hint("build it with --features cuda, on a machine with the CUDA toolkit; or use --device cpu")
}

/// A GPU that this build can't have: there is no value of this type.
#[derive(Debug)]
pub enum Driver {}

/// The name of the GPU, which this build can't tell.
///
/// # Errors
/// Always.
pub fn describe() -> Result<String> {
    Err(missing())
}

impl Driver {
    /// Opens the GPU, which this build can't.
    ///
    /// # Errors
    /// Always.
    pub fn open() -> Result<Driver> {
        Err(missing())
    }
}

impl Gpu for Driver {
    fn free(&self) -> Result<u64> {
        match *self {}
    }

    fn allocate(&self, _: usize) -> Result<Address> {
        match *self {}
    }

    fn write(&self, _: Address, _: &[u8]) -> Result<()> {
        match *self {}
    }

    fn read(&self, _: Address, _: &mut [u8]) -> Result<()> {
        match *self {}
    }

    fn clear(&self, _: Address, _: usize) -> Result<()> {
        match *self {}
    }

    fn launch(&self, _: &Launch) -> Result<()> {
        match *self {}
    }

    fn multiply(&self, _: &Product) -> Result<()> {
        match *self {}
    }
}
