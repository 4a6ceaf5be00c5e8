//! What training computes: the frozen weights in 32 or four bits, the layers with their derivatives, the loss. The only
//! place that knows candle.
//!
//! Backward passes are written by hand: autograd would compute gradients of frozen weights and keep every activation.

pub mod adapter;
pub mod checkpoint;
pub mod config;
pub mod cpu;
pub mod cuda;
pub mod directory;
pub mod dropout;
pub mod layer;
pub mod learner;
pub mod linear;
pub mod loss;
pub mod memory;
pub mod merge;
pub mod model;
pub mod nf4;
pub mod ops;
pub mod optimizer;
pub mod peft;
pub mod stream;
