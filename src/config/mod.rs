//! Settings: what the user may override, and what it resolves to.
//!
//! Flags and `REELS_*` variables arrive as overrides (parsed by clap), the settings file adds what they leave out,
//! defaults fill the rest. Below `commands/` only the resolved structs are seen.

mod data;
mod doctor;
mod export;
mod file;
mod gal;
mod hosted;
mod predict;
mod prompt;
mod scoring;
mod shard;
mod split;
mod train;

pub use data::*;
pub use doctor::*;
pub use export::*;
pub use file::*;
pub use gal::*;
pub use hosted::*;
pub use predict::*;
pub use prompt::*;
pub use scoring::*;
pub use shard::*;
pub use split::*;
pub use train::*;

/// The model that comes with the project.
pub const BUNDLED_MODEL: &str = "gguf/reels-mini.gguf";
/// Of all that is drawn.
pub const DEFAULT_SEED: u64 = 42;

/// Threads by default: what affinity and control group allow.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
