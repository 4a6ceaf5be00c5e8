//! Files of lines that may be too large to hold: read one by one, and again by where they stand.

mod snapshot;
mod split;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::{SpooledData, SpooledTempFile};

pub use self::snapshot::{Snapshot, decoded, objects, utf16};
use crate::error::environment;

const BUFFER: usize = 1 << 18;

/// What a spool holds in memory; more goes to a temporary file without a name.
const IN_MEMORY: usize = 64 << 20;

/// A file, or a text in memory.
#[derive(Debug)]
pub struct Lines {
    name: String,
    source: Source,
    /// Where each line stood in what it was taken from; empty where that is its own number.
    numbers: Vec<u32>,
}

#[derive(Debug)]
enum Source {
    File(File),
    Memory(Vec<u8>),
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    offset: u64,
    length: u32,
    /// Counted from 1, in the file that was brought.
    pub number: u32,
}

/// A line without its end.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    #[expect(missing_docs, reason = "the name says it")]
    pub bytes: &'a [u8],
    #[expect(missing_docs, reason = "the name says it")]
    pub place: Place,
    /// Whether a line break follows; only the last line may have none.
    pub ended: bool,
}

impl Lines {
    /// Opens a file; `what` it is stands in the error.
    ///
    /// # Errors
    /// Names the file.
    pub fn open(path: &Path, what: &str) -> Result<Lines> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {what} {name}"))?;
        anyhow::ensure!(!file.metadata()?.is_dir(), "cannot read {what} {name}: it is a directory");
        Ok(Lines { name, source: Source::File(file), numbers: vec![] })
    }

    /// No lines.
    pub fn none() -> Lines {
        Lines { name: String::new(), source: Source::Memory(vec![]), numbers: vec![] }
    }

    /// A text of a test.
    #[cfg(test)]
    pub fn of(name: &str, text: &str) -> Lines {
        Lines { name: name.to_owned(), source: Source::Memory(text.into()), numbers: vec![] }
    }

    /// For messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads all lines, in order.
    ///
    /// # Errors
    /// Names the file and line that can't be read; and whatever `each` says.
    pub fn each(&self, each: impl FnMut(Line) -> Result<()>) -> Result<()> {
        match &self.source {
            // From the start, wherever the file was read last.
            Source::File(file) => self.each_of(BufReader::with_capacity(BUFFER, From { file, offset: 0 }), each),
            Source::Memory(bytes) => self.each_of(&bytes[..], each),
        }
    }

    fn each_of(&self, mut reader: impl BufRead, mut each: impl FnMut(Line) -> Result<()>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut offset = 0u64;
        for index in 0.. {
            bytes.clear();
            let number = self.numbers.get(index).copied().unwrap_or(index as u32 + 1);
            let read = reader
                .read_until(b'\n', &mut bytes)
                .with_context(|| format!("{}:{number}: cannot be read", self.name))?;
            if read == 0 {
                return Ok(());
            }
            let ended = bytes.last() == Some(&b'\n');
            let line = &bytes[..read - usize::from(ended)];
            let length = u32::try_from(line.len())
                .with_context(|| format!("{}:{number}: a line of {} bytes is too long", self.name, line.len()))?;
            each(Line { bytes: line, place: Place { offset, length, number }, ended })?;
            offset += read as u64;
        }
        Ok(())
    }

    /// Reads one line again.
    ///
    /// # Errors
    /// Names the file and the line.
    pub fn at(&self, place: Place) -> Result<Vec<u8>> {
        let (start, length) = (place.offset, place.length as usize);
        let mut bytes = vec![0; length];
        match &self.source {
            Source::File(file) => file
                .read_exact_at(&mut bytes, start)
                .with_context(|| format!("{}:{}: cannot be read again", self.name, place.number))?,
            Source::Memory(all) => bytes.copy_from_slice(&all[start as usize..][..length]),
        }
        Ok(bytes)
    }
}

/// Lines to be, that nobody else can change.
pub struct Spool {
    name: String,
    file: BufWriter<SpooledTempFile>,
    numbers: Vec<u32>,
}

impl Spool {
    /// An empty one; `name` stands in messages.
    pub fn new(name: &str) -> Spool {
        let file = BufWriter::with_capacity(BUFFER, SpooledTempFile::new(IN_MEMORY));
        Spool { name: name.to_owned(), file, numbers: vec![] }
    }

    /// Adds a line, with the number that it had.
    ///
    /// # Errors
    /// Of the environment, when the temporary file can't be written.
    pub fn push(&mut self, line: &[u8], number: u32) -> Result<()> {
        self.numbers.push(number);
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|error| self.failed(&error))
    }

    /// The lines.
    ///
    /// # Errors
    /// As [`Spool::push`].
    pub fn finish(mut self) -> Result<Lines> {
        self.file.flush().map_err(|error| self.failed(&error))?;
        let file = self.file.into_inner().map_err(|error| environment(error.to_string()))?;
        let source = match file.into_inner() {
            SpooledData::InMemory(bytes) => Source::Memory(bytes.into_inner()),
            SpooledData::OnDisk(file) => Source::File(file),
        };
        Ok(Lines { name: self.name, source, numbers: self.numbers })
    }

    fn failed(&self, error: &std::io::Error) -> anyhow::Error {
        environment(format!("cannot keep a copy of {} in {}: {error}", self.name, std::env::temp_dir().display()))
    }
}

/// A file read by position, so that several readers don't move each other.
struct From<'a> {
    file: &'a File,
    offset: u64,
}

impl std::io::Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        const TEXT: &str = "eins\n\nzwei\r\ndrei";
        std::fs::write(&path, TEXT).unwrap();
        for lines in [Lines::open(&path, "text").unwrap(), Lines::of("a.txt", TEXT)] {
            let mut seen = Vec::new();
            lines
                .each(|line| {
                    seen.push((line.bytes.to_vec(), line.place, line.ended));
                    Ok(())
                })
                .unwrap();
            let texts: Vec<&[u8]> = seen.iter().map(|(bytes, ..)| &bytes[..]).collect();
            assert_eq!(texts, [&b"eins"[..], b"", b"zwei\r", b"drei"]);
            assert_eq!(seen.iter().map(|(.., ended)| *ended).collect::<Vec<_>>(), [true, true, true, false]);
            for (bytes, place, _) in seen.iter().rev() {
                assert_eq!(lines.at(*place).unwrap(), *bytes);
            }
        }
    }
}
