//! QLoRA on an NVIDIA GPU: the passes of `qlora::layer` in bf16 with sums in floats, by kernels of our own and cuBLAS.
//! All room is planned before the first step. Everything but [`driver`] is tested on a CPU: an emulator runs the
//! kernels.

pub mod batch;
pub mod dense_group;
#[cfg(feature = "cuda")]
pub mod driver;
#[cfg(not(feature = "cuda"))]
#[path = "driver_disabled.rs"]
pub mod driver;
pub mod engine;
pub mod gpu;
pub mod learner;
pub mod load;
pub mod memory;
pub mod ops;
pub mod room;
pub mod weights;
