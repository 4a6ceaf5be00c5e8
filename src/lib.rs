//! reels

pub mod prediction;
pub mod reel;
pub mod scores;
pub mod task;
