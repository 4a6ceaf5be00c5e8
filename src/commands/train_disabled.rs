//! `reels train` in a build without it.

use std::path::Path;

use anyhow::{Result, bail};

use super::Code;
use crate::config::TrainOverrides;
use crate::stop::Stop;

pub(super) fn run(_: TrainOverrides, _: Option<&Path>, _: &Stop) -> Result<Code> {
    bail!(
        "this build can't train: it was made without the feature `train`\nhint: cargo build --release --features train"
    )
}
