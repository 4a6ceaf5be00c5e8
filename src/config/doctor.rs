//! Settings of `reels doctor`.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

/// What `reels doctor` may be told; nothing needs a default.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct DoctorOverrides {
    /// LoRA adapter for the model file
    #[arg(long, env = "REELS_ADAPTER", value_name = "F.gguf", requires = "path")]
    pub adapter: Option<PathBuf>,
}
