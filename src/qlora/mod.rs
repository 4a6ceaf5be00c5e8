//! What training computes on. So far: the frozen weights, their shape, and the format they are kept in.

pub mod checkpoint;
pub mod config;
pub mod nf4;
