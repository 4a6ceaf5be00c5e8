//! Runs and model files, and what they learned from.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::rewrite::{Shape, Tally};
use crate::ask::Records;
use crate::gguf::sidecar;
use crate::run::read_manifest;

/// The runs and model files among these that learned from a file from which something goes, with that file. What they say of
/// their data is its path, and its hash where it was moved.
pub fn learned_from(all: &[PathBuf], tallies: &[(PathBuf, Shape, Tally)]) -> Vec<(PathBuf, PathBuf)> {
    let touched: Vec<&PathBuf> =
        tallies.iter().filter(|(_, _, tally)| tally.removed > 0).map(|(path, ..)| path).collect();
    let mut hashes: Option<Vec<(String, String)>> = None;
    let mut found = vec![];
    for path in all {
        let Some((model, manifest)) = model(path) else { continue };
        let learned = [&manifest["data"], &manifest["dev"]];
        let paths: Vec<PathBuf> =
            learned.iter().filter_map(|data| fs::canonicalize(data["path"].as_str()?).ok()).collect();
        let is_it = |path: &&&PathBuf| fs::canonicalize(path).is_ok_and(|path| paths.contains(&path));
        if let Some(data) = touched.iter().find(is_it) {
            found.push((model, (*data).clone()));
            continue;
        }
        let hashes = hashes.get_or_insert_with(|| touched.iter().map(|path| hashes_of(path)).collect());
        let same = |(records, file): &(String, String)| {
            learned.into_iter().filter_map(|data| data["sha256"].as_str()).any(|hash| hash == records || hash == file)
        };
        if let Some(index) = hashes.iter().position(same) {
            found.push((model, touched[index].clone()));
        }
    }
    found
}

/// A run by its manifest, or a model file by what stands beside it, and what is written there.
fn model(path: &Path) -> Option<(PathBuf, Value)> {
    if path.extension().is_some_and(|extension| extension == "gguf") {
        let beside = fs::read(sidecar(path)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        return Some((path.to_owned(), beside?));
    }
    let folder = path.parent().filter(|_| path.ends_with("manifest.json"))?;
    let manifest = read_manifest(folder).ok()??;
    (manifest["command"] == "train").then(|| (folder.to_owned(), manifest))
}

/// Of the records whatever their order, and of the file; of what holds no records there is none to be equal to.
fn hashes_of(path: &Path) -> (String, String) {
    Records::open(Some(path))
        .map_or_else(|_| ("none".into(), "none".into()), |records| (records.sha256, records.file_sha256))
}
