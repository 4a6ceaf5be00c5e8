//! Files of records, answers and rows: what goes, and the file without it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::super::files::quietly;
use super::who::{Names, Who};
use crate::error::environment;
use crate::lines::{Lines, decoded, objects};
use crate::publish::Draft;
use crate::run::sha256_file;

const GZIP: &[u8] = b"\x1f\x8b";

/// How objects stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One a line.
    Lines,
    /// In an array.
    Array,
    /// In the list `records` of a lock.
    Lock,
}

/// What goes from a file.
#[derive(Debug, Default)]
pub struct Tally {
    pub removed: usize,
    pub kept: usize,
    /// Removed because of an account.
    pub direct: usize,
    /// Lines that are no objects.
    pub unreadable: usize,
    /// By the number of the id given.
    pub by_given: BTreeMap<usize, usize>,
}

/// How objects stand in a file; `None` where there are none, or it is compressed or in UTF-16.
///
/// # Errors
/// Names the file that can't be read.
pub fn shape(path: &Path) -> Result<Option<Shape>> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_lock = extension == Some("lock");
    if !is_lock && !matches!(extension, Some("json" | "jsonl" | "ndjson")) {
        return Ok(None);
    }
    let cannot = || format!("cannot read {}", path.display());
    let mut start = Vec::new();
    File::open(path).with_context(cannot)?.take(1 << 12).read_to_end(&mut start).with_context(cannot)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    // Of one object there is nothing to leave out.
    let is_one = || extension == Some("json") && !has_second(text);
    Ok(match text.first() {
        _ if text.contains(&0) || start.starts_with(GZIP) => None,
        Some(b'{') if is_lock => Some(Shape::Lock),
        Some(b'[') if !is_lock => Some(Shape::Array),
        Some(_) if !is_lock && !is_one() => Some(Shape::Lines),
        _ => None,
    })
}

/// Whether a second object follows on a line of its own.
fn has_second(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    let is_whole = lines.next().is_some_and(|line| line.trim_ascii_end().ends_with(b"}"));
    is_whole && lines.any(|line| line.starts_with(b"{"))
}

/// Counts what goes; what it learns of names is in `who` from then on.
///
/// # Errors
/// Names the file that can't be read.
pub fn scan(path: &Path, shape: Shape, who: &mut Who) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut each = |names: Option<Names>| {
        let found = names.as_ref().and_then(|names| who.learn(names));
        tally.unreadable += usize::from(names.is_none());
        match found {
            Some((given, direct)) => {
                tally.removed += 1;
                tally.direct += usize::from(direct);
                *tally.by_given.entry(given).or_default() += 1;
            }
            None => tally.kept += 1,
        }
    };
    match shape {
        Shape::Lines | Shape::Array => lines(path, shape)?.each(|line| {
            if !line.bytes.trim_ascii().is_empty() {
                each(names(line.bytes));
            }
            Ok(())
        })?,
        Shape::Lock => {
            let lock = lock(path)?;
            let records = lock["records"].as_array().into_iter().flatten();
            records.for_each(|record| each(serde_json::from_value(record.clone()).ok()));
        }
    }
    Ok(tally)
}

/// Writes the file without what goes, beside it. A lock takes over the hash of the records beside it, where it had the right one.
///
/// # Errors
/// Names the file that can't be read; of the environment where it can't be written.
pub fn rewrite(path: &Path, shape: Shape, who: &Who, drafts: &BTreeMap<PathBuf, Draft>) -> Result<Draft> {
    // What a link points to is rewritten, not the link.
    let path = &fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))?;
    let draft = Draft::of(path);
    let cannot = |error: std::io::Error| environment(format!("cannot write {}: {error}", path.display()));
    let mut file = BufWriter::new(File::create_new(draft.path()).map_err(cannot)?);
    let stays = |line: &[u8]| names(line).is_none_or(|names| who.find(&names).is_none());
    match shape {
        Shape::Lines => lines(path, shape)?.each(|line| {
            if stays(line.bytes) {
                file.write_all(line.bytes).map_err(cannot)?;
                file.write_all(&b"\n"[..usize::from(line.ended)]).map_err(cannot)?;
            }
            Ok(())
        })?,
        Shape::Array => {
            let mut separator = "[\n";
            lines(path, shape)?.each(|line| {
                if stays(line.bytes) {
                    file.write_all(separator.as_bytes()).and_then(|()| file.write_all(line.bytes)).map_err(cannot)?;
                    separator = ",\n";
                }
                Ok(())
            })?;
            file.write_all(if separator == "[\n" { b"[]\n" } else { b"\n]\n" }).map_err(cannot)?;
        }
        Shape::Lock => {
            let mut lock = lock(path)?;
            if let Some(records) = lock["records"].as_array_mut() {
                let gone = |record: &Value| {
                    serde_json::from_value(record.clone()).is_ok_and(|names: Names| who.find(&names).is_some())
                };
                records.retain(|record| !gone(record));
            }
            rehash(&mut lock, path, drafts)?;
            serde_json::to_writer_pretty(&mut file, &lock)?;
            file.write_all(b"\n").map_err(cannot)?;
        }
    }
    file.flush().map_err(cannot)?;
    let permissions = path.metadata().map_err(cannot)?.permissions();
    fs::set_permissions(draft.path(), permissions).map_err(cannot)?;
    Ok(draft)
}

/// The hash of the records that a lock is of, as they are without what goes.
fn rehash(lock: &mut Value, path: &Path, drafts: &BTreeMap<PathBuf, Draft>) -> Result<()> {
    let Some(data) = lock["data"].as_str().map(|name| path.with_file_name(name)) else { return Ok(()) };
    let is_it = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|path| path == data);
    let Some((_, draft)) = drafts.iter().find(|(path, _)| is_it(path)) else { return Ok(()) };
    if lock["data_sha256"].as_str() == Some(&sha256_file(&data)?) {
        lock["data_sha256"] = sha256_file(draft.path())?.into();
    }
    Ok(())
}

/// The lines of a file, or the objects of its array.
fn lines(path: &Path, shape: Shape) -> Result<Lines> {
    if shape == Shape::Lines {
        return Lines::open(path, "data file");
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    quietly(|| objects(&name, decoded(&name, BufReader::new(file))?))
}

fn names(line: &[u8]) -> Option<Names> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    serde_json::from_slice(line).ok()
}

fn lock(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| anyhow!("{}: not JSON: {error}", path.display()))
}

/// Whether a line that is no object has any of the names.
///
/// # Errors
/// Names the file that can't be read.
pub fn unreadable_line(path: &Path, shape: Shape, is_named: impl Fn(&[u8]) -> bool) -> Result<bool> {
    let mut found = false;
    lines(path, shape)?.each(|line| {
        found |= names(line.bytes).is_none() && is_named(line.bytes);
        Ok(())
    })?;
    Ok(found)
}
