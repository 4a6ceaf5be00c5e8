//! `reels data`: what there is, and what must not be there.

mod agreement;
mod annotate;
mod audit;
mod erase;
mod review;
mod stats;

use anyhow::Result;
use comfy_table::{Table, presets};

use super::Code;
use crate::cli::{DataCommand, ReviewArgs};
use crate::config::SettingsFile;
use crate::stop::Stop;

pub(super) fn run(command: DataCommand, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    match command {
        DataCommand::Stats(args) => stats::run(args, file),
        DataCommand::Agreement(args) => agreement::run(&args),
        DataCommand::Review(mut args) => match args.from_model.take() {
            Some(model) => annotate::run(args, model, file, stop),
            None => review::run(&args),
        },
        DataCommand::Audit(args) => audit::run(&args, stop),
        DataCommand::Erase(args) => erase::run(args, file, stop),
    }
}

/// Forms for annotators, and what they answered.
pub(super) fn review(args: &ReviewArgs) -> Result<Code> {
    review::run(args)
}

pub(super) use review::{answers, refuse_inputs};

/// A table without lines.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    table
}
