//! Whether training data holds copies of what a model is judged by.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use rayon::prelude::*;

use crate::ask::Records;
use crate::data::dedup::{Collection, Likeness, NearDuplicate, text};
use crate::error::Hint;
use crate::lines::Snapshot;
use crate::train::conversations;

/// # Errors
/// Names the texts of `data` that are copies of held-out ones.
pub fn refuse(data: &Path, held_out: &Path) -> Result<()> {
    const SHOWN: usize = 10;
    let copied = copied(data, held_out)?;
    if copied.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = copied.iter().take(SHOWN).map(ToString::to_string).collect();
    named.extend((copied.len() > SHOWN).then(|| format!("and {} more", copied.len() - SHOWN)));
    bail!(
        anyhow!(
            "{}: there are copies in it of {} texts of {}: {}",
            data.display(),
            copied.len(),
            held_out.display(),
            named.join("; ")
        )
        .hint("take them out, or the scores on what is held out mean nothing")
    )
}

/// Warns where dev data, which decides which step is kept, has copies in the training data.
///
/// # Errors
/// When a file can't be read.
pub fn warn(data: &Path, dev: &Path) -> Result<()> {
    let copied = copied(data, dev)?;
    if let Some(first) = copied.first() {
        eprintln!(
            "warning: {} has copies of {} texts of {}, so the loss on it says less: {first}{}",
            data.display(),
            copied.len(),
            dev.display(),
            if copied.len() > 1 { "; …" } else { "" }
        );
    }
    Ok(())
}

/// A text of the training data that is a copy of another one, both by their ids.
struct Copied {
    id: String,
    original: String,
    likeness: Likeness,
}

impl std::fmt::Display for Copied {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:?} of {:?} ({})", self.id, self.original, self.likeness)
    }
}

/// The texts of `originals` that have a copy in `data`. Runs of words that many texts have are counted in `data`, the
/// larger of the two.
fn copied(data: &Path, originals: &Path) -> Result<Vec<Copied>> {
    let data = texts(data)?;
    let collection = Collection::new(data.iter().map(|(_, text)| text.as_str()));
    let found = |(original, text): (String, String)| {
        let NearDuplicate { of, likeness } = collection.original(&text)?;
        Some(Copied { id: data[of].0.clone(), original, likeness })
    };
    Ok(texts(originals)?.into_par_iter().filter_map(found).collect())
}

/// Ids and texts of a file's records or conversations.
fn texts(path: &Path) -> Result<Vec<(String, String)>> {
    let opened = Snapshot::open(path, "data file")?;
    if conversations::are_conversations(&opened.lines)? {
        return conversations::texts(&opened.lines);
    }
    Ok(Records::of(opened, &[])?.reels()?.into_iter().map(|reel| (reel.id.clone(), text(&reel).to_owned())).collect())
}
