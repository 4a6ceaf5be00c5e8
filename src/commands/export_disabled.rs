//! `reels export` in a build without it.

use anyhow::{Result, anyhow};

use super::Code;
use crate::config::ExportSettings;
use crate::error::Hint;
use crate::stop::Stop;

pub(super) fn run(_: ExportSettings, _: &Stop) -> Result<Code> {
    Err(anyhow!("this build can't export: it was made without the features `train` and `infer`")
        .hint("cargo build --release --features train,infer"))
}
