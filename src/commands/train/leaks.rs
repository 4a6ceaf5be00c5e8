//! Whether training data holds copies of what a model is judged by.

use std::path::Path;

use anyhow::{Result, bail};

use super::super::data::Records;
use crate::data::dedup::{Collection, Copy, text};
use crate::train::conversations;

/// # Errors
/// Names a record of `data` that is a copy of one that is held out.
pub fn refuse(data: &Path, held_out: &Path) -> Result<()> {
    let (originals, copies) = (texts(held_out)?, copies(data, held_out)?);
    let Some((id, copy)) = copies.first() else { return Ok(()) };
    bail!(
        "{}: record {id:?} is a copy of {:?} in {}: {}{}\nhint: take out what is to be held out, or the scores on it mean nothing",
        data.display(),
        originals[copy.of].0,
        held_out.display(),
        copy.likeness,
        if copies.len() > 1 { format!("; and {} more are copies", copies.len() - 1) } else { String::new() }
    )
}

/// Says how much of the data that decides what is kept was learned from.
///
/// # Errors
/// When a file can't be read.
pub fn warn(data: &Path, dev: &Path) -> Result<()> {
    let copies = copies(dev, data)?;
    if let Some((id, copy)) = copies.first() {
        eprintln!(
            "warning: {} records of {} are copies of training records, so its loss says little; the first is {id:?} ({})",
            copies.len(),
            dev.display(),
            copy.likeness
        );
    }
    Ok(())
}

/// What of `data` is a copy of something in `originals`, by id.
fn copies(data: &Path, originals: &Path) -> Result<Vec<(String, Copy)>> {
    let originals = texts(originals)?;
    let collection = Collection::new(originals.iter().map(|(_, text)| text.as_str()));
    let copy = |(id, text): (String, String)| Some((id, collection.original(&text)?));
    Ok(texts(data)?.into_iter().filter_map(copy).collect())
}

/// With their ids.
fn texts(path: &Path) -> Result<Vec<(String, String)>> {
    let records = Records::open(Some(path))?;
    if conversations::are_conversations(&records.lines)? {
        return conversations::texts(&records.lines);
    }
    Ok(records.read()?.into_iter().map(|reel| (reel.id.clone(), text(&reel).to_owned())).collect())
}
