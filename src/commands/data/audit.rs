//! `reels data audit`: what is left of personal data.

use anyhow::Result;

use super::table;
use crate::cli::AuditArgs;
use crate::commands::Code;
use crate::data::privacy::{Audit, Left, Place, Unread, audit};
use crate::stop::Stop;

/// Places of a kind that are shown.
const SHOWN: usize = 3;

pub(super) fn run(args: &AuditArgs, stop: &Stop) -> Result<Code> {
    let audit = audit(&args.paths, stop)?;
    if stop.wished() {
        errln!("interrupted: not all files were looked into");
        return Ok(Code::Interrupted);
    }
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&audit)?);
    } else {
        show(&audit);
    }
    for Unread { file, reason } in &audit.unread {
        errln!("error: {} can't be looked into: {reason}", file.display());
    }
    Ok(match () {
        () if !audit.unread.is_empty() => Code::BadInput,
        () if !audit.left.is_empty() => Code::Missed,
        () => Code::Done,
    })
}

fn show(audit: &Audit) {
    let Audit { files, weights, left, .. } = audit;
    if left.is_empty() {
        outln!("nothing is left in {files} files");
    } else {
        let rows = left.iter().map(|(kind, left)| vec![left.count.to_string(), kind.clone(), places(left)]);
        outln!("{}", table(&["left", "what", "where"], rows));
        errln!("hint: `reels import` writes placeholders for what stands in texts, and leaves the fields out");
    }
    if *weights > 0 {
        errln!("not looked into: {weights} with weights, which hold no text");
    }
}

fn places(left: &Left) -> String {
    let shown = left.places.iter().take(SHOWN).map(|Place { file, line, field, masked }| {
        let field = field.as_deref().unwrap_or_default();
        let parts = [format!("{}:{line}", file.display()), field.to_owned(), masked.clone()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let mut shown: Vec<String> = shown.collect();
    shown.extend((left.count > SHOWN).then(|| format!("and {} more", left.count - SHOWN)));
    shown.join("\n")
}
