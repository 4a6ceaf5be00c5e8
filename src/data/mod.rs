//! What is done with records before anything is learned from them.

pub mod dedup;
pub mod groups;
pub mod known;
pub mod lock;
pub mod overlap;
pub mod split;
