//! Work on records before anything is learned from them.

pub mod dedup;
