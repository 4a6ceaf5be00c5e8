//! `reels import`: what collectors wrote → records.

use anyhow::Result;
use indicatif::ProgressBar;

use super::Code;
use crate::cli::ImportArgs;
use crate::data::import::{SOURCES, gather, walk, write};

pub(super) fn run(args: ImportArgs) -> Result<Code> {
    let from = args.from.and_then(|name| SOURCES.into_iter().find(|source| source.name == name));
    let walked = walk(&args.paths)?;
    let bar = ProgressBar::new(walked.len() as u64);
    let gathered = gather(walked, from, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let told = write(&gathered, &args.output, args.check)?;
    gathered.broken.iter().for_each(|error| errln!("{error}"));
    errln!("{}", told.shown(&gathered));
    errln!("{}", args.output.display());
    Ok(if gathered.broken.is_empty() { Code::Done } else { Code::SomeFailed })
}
