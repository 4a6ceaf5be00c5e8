//! `reels import`: what collectors wrote → records.

use anyhow::Result;
use indicatif::ProgressBar;

use super::Code;
use crate::cli::ImportArgs;
use crate::config::SettingsFile;
use crate::data::import::{From, How, Naming, gather, walk, write};
use crate::data::privacy::{Key, Pseudonyms};
use crate::error::environment;
use crate::prompt::PromptSet;

pub(super) fn run(args: ImportArgs, file: &SettingsFile) -> Result<Code> {
    let prompts = PromptSet::find(None)?;
    let from = args.from.as_deref().and_then(From::named);
    let how = How { from, mapping: &args.mapping, tasks: &prompts.tasks };
    let naming = if args.raw {
        errln!(
            "warning: --raw: {} will name people, with their phone numbers and links\nhint: don't pass it on; leave --raw out for pseudonyms and placeholders",
            args.output.display()
        );
        Naming::Raw
    } else {
        let path = file.add("data", args.settings)?.resolve()?;
        let key = Key::read_or_create(&path)?;
        if key.is_new {
            errln!("{}", Key::advice(&path));
        } else {
            errln!("key      {}", path.display());
        }
        Naming::Pseudonyms(Pseudonyms::new(&key))
    };
    if let Some(folder) = args.output.parent().filter(|_| !args.check) {
        std::fs::create_dir_all(folder)
            .map_err(|error| environment(format!("cannot make {}: {error}", folder.display())))?;
    }
    let walked = walk(&args.paths, &args.transcripts)?;
    let bar = ProgressBar::new(walked.len() as u64);
    let gathered = gather(walked, &how, &naming, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let (told, gathered) = write(gathered, &naming, &args.output, args.check)?;
    for (path, columns) in &gathered.tables {
        errln!("{}: {columns}", path.display());
        columns.problems.warn();
    }
    gathered.broken.iter().for_each(|error| errln!("{error}"));
    errln!("{}", told.shown(&gathered));
    errln!("{}", args.output.display());
    Ok(if gathered.broken.is_empty() { Code::Done } else { Code::SomeFailed })
}
