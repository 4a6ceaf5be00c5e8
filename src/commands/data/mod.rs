//! `reels data`: what there is in records.

mod stats;

use anyhow::Result;

use super::Code;
use crate::cli::DataCommand;
use crate::config::SettingsFile;

pub(super) fn run(command: DataCommand, file: &SettingsFile) -> Result<Code> {
    match command {
        DataCommand::Stats(args) => stats::run(args, file),
    }
}
