//! `reels export` in a build without it.

use anyhow::{Result, bail};

use super::Code;
use crate::config::ExportSettings;
use crate::stop::Stop;

pub(super) fn run(_: ExportSettings, _: &Stop) -> Result<Code> {
    bail!(
        "this build can't export: it was made without the features `train` and `infer`\nhint: cargo build --release --features train,infer"
    )
}
