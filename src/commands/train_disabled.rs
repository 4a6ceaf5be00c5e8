//! `reels train` in a build without it.

use anyhow::{Result, bail};

use super::Code;
use crate::config::{SettingsFile, TrainOverrides};
use crate::stop::Stop;

pub(super) fn run(_: TrainOverrides, _: &SettingsFile, _: &Stop) -> Result<Code> {
    bail!(
        "this build can't train: it was made without the feature `train`\nhint: cargo build --release --features train"
    )
}
