//! Training. So far: what is learned from, and how it is put into batches.

pub mod examples;
pub mod pack;
