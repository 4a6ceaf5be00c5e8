//! `reels data erase`: somebody who doesn't want to be in it.

use anyhow::{Result, anyhow, ensure};

use super::table;
use crate::cli::EraseArgs;
use crate::commands::Code;
use crate::config::SettingsFile;
use crate::data::privacy::{Erasure, Key, Pseudonyms, Unread, erase, is_pseudonym};
use crate::error::{Hint, Shown};
use crate::stop::Stop;

pub(super) fn run(args: EraseArgs, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    let blank = args.ids.iter().find(|id| id.trim_start_matches('@').trim().is_empty());
    ensure!(blank.is_none(), anyhow!("an ID is empty").hint("give a handle, a shortcode or a pseudonym"));
    let path = file.add("data", args.settings)?.resolve()?;
    let key = Key::read(&path)?;
    let pseudonyms = key.as_ref().map(Pseudonyms::new);
    let erasure = erase(&args.ids, &args.paths, pseudonyms.as_ref(), args.dry_run, stop)?;
    if erasure.is_stopped {
        errln!("interrupted: nothing was altered; give the same command again");
        return Ok(Code::Interrupted);
    }
    show(&erasure, args.dry_run);
    // Its pseudonym can't be known, so that it may be there all the same.
    let is_named = |id: &String| is_pseudonym(id, 'a') || is_pseudonym(id, 'r');
    let keyless: Vec<&String> = args.ids.iter().filter(|id| key.is_none() && !is_named(id)).collect();
    if let Some(id) = keyless.first() {
        let found = erasure.given.iter().any(|(given, count)| given == *id && *count > 0);
        let what =
            anyhow!("there is no key at {}: records that have a pseudonym for {id:?} aren't found", path.display())
                .hint("name the key that they were imported with by --key, or give the pseudonym");
        ensure!(found, what);
        errln!("warning: {}", Shown::of(&what));
    }
    let missed: Vec<&str> = erasure.given.iter().filter(|(_, count)| *count == 0).map(|(id, _)| id.as_str()).collect();
    if !missed.is_empty() {
        errln!(
            "nothing in {} files has {}\nhint: is it spelt as on the platform, and is {} the key of these records?",
            erasure.files,
            missed.join(", "),
            path.display()
        );
    }
    let by_hand = !erasure.mentions.is_empty() || !erasure.unread.is_empty();
    Ok(match () {
        () if by_hand => Code::SomeFailed,
        () if !missed.is_empty() => Code::Missed,
        () => Code::Done,
    })
}

fn show(erasure: &Erasure, dry_run: bool) {
    let Erasure { erased, derived, again, models, mentions, unread, .. } = erasure;
    let (removed, deleted) = if dry_run { ("would go", "would be deleted") } else { ("removed", "deleted") };
    if !erased.is_empty() || !derived.is_empty() {
        let files = erased
            .iter()
            .map(|file| vec![file.path.display().to_string(), file.removed.to_string(), file.kept.to_string()]);
        let pages = derived.iter().map(|path| vec![path.display().to_string(), deleted.to_owned(), String::new()]);
        outln!("{}", table(&["file", removed, "kept"], files.chain(pages)));
    }
    if !again.is_empty() {
        errln!("scores and pages are made again by:");
        again.iter().for_each(|command| errln!("  {command}"));
    }
    for (model, data) in models {
        errln!(
            "warning: {} learned from {}, and isn't altered: train it again, and delete it",
            model.display(),
            data.display()
        );
    }
    for path in mentions {
        errln!("warning: {} names it, and isn't altered: look at it by hand", path.display());
    }
    for Unread { file, reason } in unread {
        errln!("warning: {} can't be looked into: {reason}", file.display());
    }
    if dry_run {
        errln!("nothing was altered");
    }
}
