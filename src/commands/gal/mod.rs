//! `reels gal`: Generate–Annotate–Learn, a file a stage.

mod annotate;
mod build;
mod filter;
mod generate;
mod review;

use anyhow::{Result, ensure};

use super::{Code, priced};
use crate::cli::{GalCommand, PlanArgs};
use crate::config::SettingsFile;
use crate::stop::Stop;

/// The records that were written, before anybody looked at them.
const CANDIDATES: &str = "candidates.jsonl";
/// The teacher's answers about them: a folder of predictions.
const ANNOTATED: &str = "annotated";
/// The candidates with labels, kept and rejected.
const ROWS: &str = "rows.jsonl";
/// What each filter did.
const YIELD: &str = "yield.json";

pub(super) fn run(command: GalCommand, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    match command {
        GalCommand::Plan(PlanArgs { generate: args, preview }) => {
            ensure!(preview > 0, "--preview 0 looks at nothing");
            generate::plan(&generate::settings(args, file)?, preview, stop)
        }
        GalCommand::Generate(args) => generate::run(&generate::settings(args, file)?, stop),
        GalCommand::Annotate(args) => {
            let settings = priced(file, file.add("predict", args.settings)?.resolve()?)?;
            annotate::run(&args.folder, args.samples, settings, stop)
        }
        GalCommand::Filter(args) => filter::run(&args),
        GalCommand::Review(args) => review::run(args),
        GalCommand::Build(args) => build::run(&args),
    }
}
