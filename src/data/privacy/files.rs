//! The files in some folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use serde::Serialize;
use tracing::subscriber::NoSubscriber;

use crate::error::{Hint, Shown};

/// A file or folder that couldn't be looked into.
#[derive(Debug, Serialize)]
pub struct Unread {
    #[expect(missing_docs, reason = "the name says it")]
    pub file: PathBuf,
    #[expect(missing_docs, reason = "the name says it")]
    pub reason: String,
}

impl Unread {
    /// Because of an error, which names the file itself.
    pub fn of(file: &Path, error: &Error) -> Unread {
        Unread { file: file.to_owned(), reason: Shown::of(error).message }
    }
}

/// Reads without a word on compression, encodings and arrays, which make no difference here.
pub fn quietly<T>(read: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(NoSubscriber::default(), read)
}

/// All files named, and those below the folders named, each once and in order. Links in folders aren't followed, and what a
/// version control keeps isn't looked at. A folder that can't be listed is told to `unread`.
///
/// # Errors
/// Names what was named and doesn't exist.
pub fn files(named: &[PathBuf], unread: &mut Vec<Unread>) -> Result<Vec<PathBuf>> {
    let (mut seen, mut found) = (BTreeSet::new(), vec![]);
    for path in named {
        let real = fs::canonicalize(path)
            .with_context(|| format!("cannot read {}", path.display()))
            .hint("name files, or folders in which all files are looked at")?;
        if real.is_dir() {
            walk(path, unread, &mut found);
        } else {
            found.push(path.clone());
        }
    }
    found.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    Ok(found)
}

fn walk(folder: &Path, unread: &mut Vec<Unread>, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().collect(),
        Err(error) => {
            unread.push(Unread { file: folder.to_owned(), reason: error.to_string() });
            return;
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => walk(&entry.path(), unread, found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Whether a file is one of weights, which holds no text.
pub fn is_weights(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension
        .is_some_and(|extension| matches!(extension, "gguf" | "safetensors" | "bin" | "pt" | "pth" | "npy" | "npz"))
}
