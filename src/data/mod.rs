//! What is done with records before anything is learned from them.

pub mod dedup;
pub mod import;
pub mod overlap;
pub mod privacy;
pub mod stats;
