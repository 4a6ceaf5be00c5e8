//! What is done with records before anything is learned from them.

pub mod columns;
pub mod dedup;
pub mod groups;
pub mod import;
pub mod known;
pub mod language;
pub mod lock;
pub mod overlap;

pub mod privacy;
pub mod review;
pub mod split;
pub mod stats;
