//! Directories in a build that can't train.

use std::path::Path;

use super::Finding;

/// Says that this build can't look into it.
pub fn directory(path: &Path) -> Vec<Finding> {
    vec![Finding::error(
        "directory",
        format!("{} can't be looked into: this build was made without the feature `train`", path.display()),
        "runs and checkpoints are read by what trains",
        "cargo build --release --features train",
    )]
}
