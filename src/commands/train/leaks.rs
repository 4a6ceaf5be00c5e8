//! Whether training data holds copies of what a model is judged by.

use std::path::Path;

use anyhow::{Result, bail};
use rayon::prelude::*;

use super::super::data::Records;
use crate::data::dedup::{Collection, Likeness, NearDuplicate, text};
use crate::train::conversations;

/// # Errors
/// Names the texts of `data` that are copies of what is held out.
pub fn refuse(data: &Path, held_out: &Path) -> Result<()> {
    const SHOWN: usize = 10;
    let copies = copies(data, held_out)?;
    if copies.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = copies.iter().take(SHOWN).map(ToString::to_string).collect();
    named.extend((copies.len() > SHOWN).then(|| format!("and {} more", copies.len() - SHOWN)));
    bail!(
        "{}: {} texts are copies of some in {}: {}\nhint: take them out, or the scores on what is held out mean nothing",
        data.display(),
        copies.len(),
        held_out.display(),
        named.join("; ")
    )
}

/// Says how much of the data that decides which step is kept was learned from.
///
/// # Errors
/// When a file can't be read.
pub fn warn(data: &Path, dev: &Path) -> Result<()> {
    let copies = copies(data, dev)?;
    if let Some(first) = copies.first() {
        eprintln!(
            "warning: {} texts of {} are copies of some in {}, so the loss on it says less: {first}{}",
            copies.len(),
            data.display(),
            dev.display(),
            if copies.len() > 1 { "; …" } else { "" }
        );
    }
    Ok(())
}

/// A text of the data, and what it is a copy of.
struct Found {
    id: String,
    original: String,
    likeness: Likeness,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:?} of {:?} ({})", self.id, self.original, self.likeness)
    }
}

/// What of `data` is a copy of something in `originals`.
fn copies(data: &Path, originals: &Path) -> Result<Vec<Found>> {
    let originals = texts(originals)?;
    let collection = Collection::new(originals.iter().map(|(_, text)| text.as_str()));
    let found = |(id, text): (String, String)| {
        let NearDuplicate { of, likeness } = collection.original(&text)?;
        Some(Found { id, original: originals[of].0.clone(), likeness })
    };
    Ok(texts(data)?.into_par_iter().filter_map(found).collect())
}

/// With their ids.
fn texts(path: &Path) -> Result<Vec<(String, String)>> {
    let records = Records::open(Some(path))?;
    if conversations::are_conversations(&records.lines)? {
        return conversations::texts(&records.lines);
    }
    Ok(records.read()?.into_iter().map(|reel| (reel.id.clone(), text(&reel).to_owned())).collect())
}
