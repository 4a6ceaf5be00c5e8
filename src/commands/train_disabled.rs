//! `reels train` in a build without it.

use anyhow::{Result, anyhow};

use super::Code;
use crate::config::{SettingsFile, TrainOverrides};
use crate::error::Hint;
use crate::stop::Stop;

pub(super) fn run(_: TrainOverrides, _: &SettingsFile, _: &Stop) -> Result<Code> {
    Err(anyhow!("this build can't train: it was made without the feature `train`")
        .hint("cargo build --release --features train"))
}
