//! What every stage shares: hashes, append-only logs, and what the machine has.

mod claim;
mod memory;
mod progress;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::claim::Claim;
pub use self::memory::available_memory;
pub use self::progress::Progress;
use crate::error::{Hint, environment};

/// Lowercase hexadecimal of a finished hash.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// Names the file when it can't be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    sha256_files(&[path])
}

/// SHA-256 of some files as if they were one, in hexadecimal.
///
/// # Errors
/// Names the file that can't be read.
pub fn sha256_files(paths: &[impl AsRef<Path>]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for path in paths.iter().map(AsRef::as_ref) {
        let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        loop {
            match file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
    }
    Ok(hex(hash))
}

/// SHA-256 over names and hashes of what a model or adapter directory consists of.
///
/// # Errors
/// Names the file or directory that can't be read.
pub fn sha256_directory(directory: &Path) -> Result<String> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let counts = |name: &str| {
        let stem = name.starts_with("config") || name.starts_with("tokenizer") || name.starts_with("adapter_config");
        name.ends_with(".safetensors") || name.ends_with(".jinja") || (stem && name.ends_with(".json"))
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| counts(name))
        .collect();
    names.sort();
    let lines: Vec<String> = names
        .iter()
        .map(|name| Ok(format!("{} {name}\n", sha256_file(&directory.join(name))?)))
        .collect::<Result<_>>()?;
    Ok(sha256(lines.concat().as_bytes()))
}

/// SHA-256 of token ids, each as 4 little-endian bytes.
pub fn sha256_tokens(tokens: &[u32]) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    sha256(&bytes)
}

/// Now, in UTC, to the second.
pub fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The manifest of a directory of any kind, if it has one.
///
/// # Errors
/// Names the file that can't be read or isn't JSON.
pub fn read_manifest(folder: &Path) -> Result<Option<serde_json::Value>> {
    let path = folder.join("manifest.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest = serde_json::from_str(&text);
    manifest.map(Some).with_context(|| format!("{}: not JSON", path.display())).hint("name another directory")
}

/// What tells that a file isn't what it was: size, time of the last change in nanoseconds, inode.
pub type Stamp = (u64, i128, u64);

/// The stamps of some files.
///
/// # Errors
/// Names the file that can't be looked at.
pub fn stamps(paths: &[impl AsRef<Path>]) -> Result<Vec<Stamp>> {
    let stamp = |path: &Path| -> Result<Stamp> {
        let found = path.metadata().with_context(|| format!("cannot look at {}", path.display()))?;
        let modified = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        Ok((found.len(), modified, found.ino()))
    };
    paths.iter().map(|path| stamp(path.as_ref())).collect()
}

/// A file of JSON lines that only grows: each line is written before the next piece of work starts.
#[derive(Debug)]
pub struct Log {
    file: File,
    name: String,
}

impl Log {
    /// Opens or makes the file; a torn last line, left by a killed writer, is cut off.
    ///
    /// # Errors
    /// Of the environment, and names the file.
    pub fn append_to(path: &Path) -> Result<Log> {
        let name = path.display().to_string();
        let open = || -> std::io::Result<File> {
            let mut file = File::options().create(true).read(true).append(true).open(path)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
            // A last line that is complete but for its newline is kept.
            if serde_json::from_slice::<serde_json::Value>(&text[whole..]).is_ok() {
                file.write_all(b"\n")?;
            } else {
                file.set_len(whole as u64)?;
                file.seek(SeekFrom::End(0))?;
            }
            Ok(file)
        };
        let file = open().map_err(|error| environment(format!("cannot append to {name}: {error}")))?;
        Ok(Log { file, name })
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// Of the environment, and names the file.
    pub fn bytes(&self) -> Result<u64> {
        let found = self.file.metadata();
        Ok(found.map_err(|error| environment(format!("cannot look at {}: {error}", self.name)))?.len())
    }

    /// Takes back what was appended since it had this size.
    ///
    /// # Errors
    /// Of the environment, and names the file.
    pub fn cut(&mut self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes).map_err(|error| environment(format!("cannot shorten {}: {error}", self.name)))
    }

    /// Appends one line in a single write.
    ///
    /// # Errors
    /// Of the environment, and names the file.
    pub fn append(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| environment(format!("cannot append to {}: {error}", self.name)))
    }
}

/// The most memory this process has had in use, in bytes; 0 where the system doesn't say.
pub fn peak_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// The memory that this process has in use, in bytes; 0 where the system doesn't say.
pub fn memory_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// A number of `/proc/self/status`, which gives it in KiB, in bytes; 0 where it isn't there.
fn status_bytes(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// Bytes as text for people: in MiB, or in GiB where it is at least one.
pub fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

/// What is free on the disk that holds a folder, in bytes; `None` where the system doesn't say.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

/// What machine something ran on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    #[expect(missing_docs, reason = "the name says it")]
    pub os: String,
    /// Such as `x86_64`.
    pub arch: String,
    /// As it names itself; `None` where the system doesn't say.
    pub cpu: Option<String>,
    /// Those this process may use.
    pub cores: Option<usize>,
}

/// What machine this is, for a manifest.
pub fn machine() -> Machine {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(':'));
    Machine {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: cpu.map(|(_, name)| name.trim().to_owned()),
        cores: std::thread::available_parallelism().map(usize::from).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_before_appending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        for (before, after) in [("", ""), ("{\"a\":1}\n{\"b\":", "{\"a\":1}\n"), ("{\"a\":1}", "{\"a\":1}\n")] {
            std::fs::write(&path, before).unwrap();
            Log::append_to(&path).unwrap().append(&serde_json::json!({"c": 2})).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{after}{{\"c\":2}}\n"));
        }
    }

    #[test]
    fn hashes_are_sha256() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256_tokens(&[]), sha256(b""));
    }
}
