//! Erasing somebody: records, answers about them, what was synthesised from them, and pages that show any of it.

mod mentions;
mod models;
mod rewrite;
mod who;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use self::mentions::Mentions;
use self::models::learned_from;
use self::rewrite::{Shape, Tally, rewrite, scan, shape};
use self::who::Who;
use super::files::{Unread, files, is_weights, quietly};
use super::pseudonym::Pseudonyms;
use crate::error::environment;
use crate::publish::Draft;
use crate::run::read_manifest;
use crate::stop::Stop;

/// What was erased, and what has to be looked at by hand.
#[derive(Debug, Default)]
pub struct Erasure {
    /// The ids that were given, each with the records and rows that went for it.
    pub given: Vec<(String, usize)>,
    /// Files that were looked into.
    pub files: usize,
    /// Files from which something went.
    pub erased: Vec<Erased>,
    /// Pages and scores that were made of it, which went as a whole.
    pub derived: Vec<PathBuf>,
    /// The commands that make them again.
    pub again: Vec<String>,
    /// Runs and models that learned from a file that held it, with that file.
    pub models: Vec<(PathBuf, PathBuf)>,
    /// Files of another make that name it, which weren't altered.
    pub mentions: Vec<PathBuf>,
    #[expect(missing_docs, reason = "the type says it")]
    pub unread: Vec<Unread>,
    /// Whether the user stopped it; nothing is altered then.
    pub is_stopped: bool,
}

/// A file from which something went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    #[expect(missing_docs, reason = "the name says it")]
    pub path: PathBuf,
    /// Records or rows.
    pub removed: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub kept: usize,
}

/// Erases whom `ids` name (handles, shortcodes or pseudonyms) from all files named and in the folders named. Without
/// pseudonyms only what has that very name is found. All files are written before the first takes its place; with `dry_run` none
/// is.
///
/// # Errors
/// Names what was named and doesn't exist; of the environment where a file can't be written.
pub fn erase(
    ids: &[String],
    named: &[PathBuf],
    pseudonyms: Option<&Pseudonyms>,
    dry_run: bool,
    stop: &Stop,
) -> Result<Erasure> {
    let mut erasure = Erasure::default();
    let mut who = Who::of(ids, pseudonyms);
    let mut texts = vec![];
    let mut data = vec![];
    let all = files(named, &mut erasure.unread)?;
    for path in &all {
        match shape(path) {
            Ok(Some(shape)) => data.push((path.clone(), shape)),
            Ok(None) if !is_weights(path) => texts.push(path.clone()),
            Ok(None) => {}
            Err(error) => erasure.unread.push(Unread::of(path, &error)),
        }
    }
    erasure.files = data.len() + texts.len();
    let Some(mut tallies) = close(&mut data, &mut who, &mut erasure.unread, stop)? else {
        return Ok(Erasure { is_stopped: true, ..erasure });
    };
    // Locks last: they know what the records beside them are. Before them what names a record by its account, so that what is
    // broken off in between can be found again.
    tallies.sort_by_key(|(_, shape, tally)| (*shape == Shape::Lock, tally.direct > 0));
    erasure.models = learned_from(&all, &tallies);
    results(&mut erasure, &tallies);

    let mentions = Mentions::of(who.names())?;
    for path in texts.iter().filter(|path| !erasure.derived.contains(path)) {
        match quietly(|| mentions.stand_in(path)) {
            Ok(true) => erasure.mentions.push(path.clone()),
            Ok(false) => {}
            Err(error) => erasure.unread.push(Unread::of(path, &error)),
        }
    }
    for (path, shape, tally) in &tallies {
        if *shape != Shape::Lock && tally.unreadable > 0 && mentions.stand_in_unreadable(path, *shape)? {
            erasure.mentions.push(path.clone());
        }
    }
    tallies.retain(|(_, _, tally)| tally.removed > 0);
    if !dry_run {
        let mut drafts: BTreeMap<PathBuf, Draft> = BTreeMap::new();
        for (path, shape, _) in &tallies {
            if stop.wished() {
                return Ok(Erasure { is_stopped: true, ..erasure });
            }
            let draft = rewrite(path, *shape, &who, &drafts)?;
            drafts.insert(path.clone(), draft);
        }
        // Pages first: once the records are gone, nothing tells what the pages are of.
        for path in &erasure.derived {
            fs::remove_file(path).map_err(|error| environment(format!("cannot delete {}: {error}", path.display())))?;
        }
        for (path, ..) in &tallies {
            drafts.remove(path).map_or(Ok(()), Draft::publish)?;
        }
    }
    let counts = who.counts(tallies.iter().map(|(_, _, tally)| tally));
    erasure.given = ids.iter().cloned().zip(counts).collect();
    let erased = |(path, _, tally): (PathBuf, Shape, Tally)| Erased { path, removed: tally.removed, kept: tally.kept };
    erasure.erased = tallies.into_iter().map(erased).collect();
    erasure.erased.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(erasure)
}

/// Looks for records until none more is found: a child of a child may stand before its parent. `None` where the user stopped
/// it; what can't be read is told to `unread` and left out from then on.
fn close(
    data: &mut Vec<(PathBuf, Shape)>,
    who: &mut Who,
    unread: &mut Vec<Unread>,
    stop: &Stop,
) -> Result<Option<Vec<(PathBuf, Shape, Tally)>>> {
    loop {
        let known = who.len();
        let mut tallies = vec![];
        for (path, shape) in std::mem::take(data) {
            if stop.wished() {
                return Ok(None);
            }
            match scan(&path, shape, who) {
                Ok(tally) => tallies.push((path, shape, tally)),
                Err(error) => unread.push(Unread::of(&path, &error)),
            }
        }
        if who.len() == known {
            return Ok(Some(tallies));
        }
        data.extend(tallies.into_iter().map(|(path, shape, _)| (path, shape)));
    }
}

/// Notes pages and scores of the results from which something goes, and how they are made again.
fn results(erasure: &mut Erasure, tallies: &[(PathBuf, Shape, Tally)]) {
    let touched = tallies.iter().filter(|(_, _, tally)| tally.removed > 0).filter_map(|(path, ..)| path.parent());
    let mut folders: Vec<&Path> = touched.collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        let predictions = folder.join("predictions.jsonl");
        if !predictions.is_file() && !folder.join("rows.jsonl").is_file() {
            continue;
        }
        let entries = fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        let mut pages: Vec<PathBuf> = entries.unwrap_or_default();
        pages.retain(|path| path.is_file() && is_derived(path));
        pages.sort_unstable();
        if pages.is_empty() {
            continue;
        }
        erasure.derived.extend(pages);
        if predictions.is_file() {
            let manifest = read_manifest(folder).ok().flatten().unwrap_or_default();
            let data = manifest["data"]["path"].as_str().unwrap_or("F.jsonl");
            let (predictions, folder) = (predictions.display(), folder.display());
            erasure.again.push(format!("reels score --predictions {predictions} --data {data} --output {folder}"));
        }
    }
}

/// Whether a file of a result is made of its rows.
fn is_derived(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "scores.json" || name.starts_with("report.") || name.starts_with("comparison.")
}
