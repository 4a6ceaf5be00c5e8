//! Directories of the tests with a file that is any bytes.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").join(name)
}

/// The directory with one of these files, chosen by the first byte, made of the others; the rest are links.
pub fn with(name: &str, files: &[&str], bytes: &[u8]) -> Option<TempDir> {
    let (which, bytes) = bytes.split_first()?;
    let chosen = files[*which as usize % files.len()];
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(reference(name)).unwrap().flatten().filter(|entry| entry.file_name() != chosen) {
        std::os::unix::fs::symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    std::fs::write(folder.path().join(chosen), bytes).unwrap();
    Some(folder)
}
