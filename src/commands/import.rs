//! `reels import`: what collectors wrote → records.

use anyhow::{Result, anyhow, ensure};
use indicatif::ProgressBar;

use super::Code;
use crate::cli::ImportArgs;
use crate::config::SettingsFile;
use crate::data::import::{How, Naming, WrittenBy, gather, walk, write};
use crate::data::overlap::listed;
use crate::data::privacy::{Key, Pseudonyms};
use crate::error::{Hint, did_you_mean, environment};
use crate::prompt::PromptSet;
use crate::stop::Stop;

pub(super) fn run(args: ImportArgs, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    let walked = walk(&args.paths, &args.transcripts)?;
    let prompts = PromptSet::find(None)?;
    let from = args.from.as_deref().and_then(WrittenBy::named);
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
    let bar = ProgressBar::new(walked.len() as u64);
    let gathered = gather(walked, &how, &naming, &|| {
        bar.inc(1);
        !stop.wished()
    })?;
    bar.finish_and_clear();
    if stop.wished() {
        errln!("interrupted: nothing was written; give the same command again");
        return Ok(Code::Interrupted);
    }
    for (path, columns) in &gathered.tables {
        errln!("{}: {columns}", path.display());
        columns.problems.warn();
    }
    gathered.broken.iter().for_each(|error| errln!("{error}"));
    for mapping in &args.mapping {
        let columns: Vec<&String> = gathered.tables.iter().flat_map(|(_, columns)| &columns.layout.names).collect();
        ensure!(
            gathered.tables.iter().any(|(_, columns)| columns.is_mapped(mapping)),
            anyhow!("{mapping}: no table has such a column; there is {}", listed(&columns, 20))
                .hint(format!("{}name a column, or give its number from 1", did_you_mean(&mapping.column, columns)))
        );
    }
    let (told, gathered) = write(gathered, &naming, &args.output, args.check)?;
    errln!("{}", told.shown(&gathered));
    errln!("{}", args.output.display());
    Ok(if gathered.broken.is_empty() { Code::Done } else { Code::SomeFailed })
}
