//! From paths to what stands in files: walking folders, decompressing, taking JSON apart.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use walkdir::WalkDir;

use super::post::{Read, Skip};
use super::source::{Source, recognise};
use crate::ask::{NO_NUMBER, mended_json};
use crate::error::Hint;
use crate::lines::{decoded, objects};

const BUFFER: usize = 1 << 16;
/// A JSON text up to this size is read as one value, a larger one object by object.
const WHOLE: usize = 16 << 20;
/// No object of a collector is near this size; what is larger is broken, or made to fill memory.
const LARGEST: u64 = 64 << 20;

/// Endings of what collectors put beside their data.
const MEDIA: [&str; 22] = [
    "mp4", "m4a", "mp3", "webm", "mkv", "mov", "wav", "ogg", "opus", "aac", "flac", "part", "ytdl", "jpg", "jpeg",
    "png", "webp", "heic", "gif", "html", "log", "ds_store",
];

/// A file to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    pub path: PathBuf,
    /// Whether it stands among transcripts, so that plain text is one.
    pub is_transcript: bool,
}

/// All files below paths, in the order of their names, each once; links are followed.
///
/// # Errors
/// Names the path that doesn't exist, and says so where there is no file.
pub fn walk(paths: &[PathBuf], transcripts: &[PathBuf]) -> Result<Vec<Result<Walked>>> {
    let mut walked = vec![];
    let mut seen = HashSet::new();
    let among = |paths: &'_ [PathBuf], is_transcript| {
        paths.iter().cloned().map(move |path| (path, is_transcript)).collect::<Vec<_>>()
    };
    // What is named as a transcript is one wherever it stands.
    for (path, is_transcript) in among(transcripts, true).into_iter().chain(among(paths, false)) {
        ensure!(
            path.exists(),
            anyhow!("{} does not exist", path.display()).hint("name files, or folders of them, that a collector wrote")
        );
        for entry in WalkDir::new(&path).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => {
                    let path = entry.into_path();
                    if seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                        walked.push(Ok(Walked { path, is_transcript }));
                    }
                }
                Err(error) => walked.push(Err(error.into())),
            }
        }
    }
    ensure!(
        !walked.is_empty(),
        anyhow!("no file in {}", paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))
            .hint("name the folder that a collector wrote into")
    );
    Ok(walked)
}

/// Whether a file's ending says that it holds no data.
pub fn is_media(path: &Path) -> bool {
    let ending = path.extension().or_else(|| path.file_name()).and_then(|ending| ending.to_str()).unwrap_or_default();
    MEDIA.contains(&ending.trim_start_matches('.').to_lowercase().as_str())
}

/// What a file's first letters tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An object or an array.
    Json,
    Text,
    /// A workbook or Parquet.
    Binary,
}

/// A file without its compression.
pub struct Opened {
    /// For messages.
    pub name: String,
    pub text: Box<dyn BufRead>,
    pub shape: Shape,
}

/// Opens a file; gzip, xz and UTF-16 are decoded.
///
/// # Errors
/// Names the file that is no regular one or can't be read.
pub fn open(path: &Path) -> Result<Opened> {
    let name = path.display().to_string();
    let cannot = || format!("{name}: cannot be read");
    let file = File::open(path).with_context(cannot)?;
    ensure!(file.metadata().with_context(cannot)?.is_file(), "{name}: no regular file");
    let mut file = BufReader::with_capacity(BUFFER, file);
    let start = file.fill_buf().with_context(cannot)?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PAR1") {
        return Ok(Opened { text: Box::new(io::empty()), shape: Shape::Binary, name });
    }
    let source: Box<dyn BufRead> = if start.starts_with(b"\xfd7zXZ\0") {
        Box::new(BufReader::with_capacity(BUFFER, liblzma::bufread::XzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    let mut text = decoded(&name, source)?;
    let start = text.fill_buf().with_context(cannot)?.trim_ascii_start().first();
    let shape = if let Some(b'{' | b'[') = start { Shape::Json } else { Shape::Text };
    Ok(Opened { text: Box::new(Capped { text, line: 0 }), shape, name })
}

/// Ends with an error where a line is longer than [`LARGEST`].
struct Capped {
    text: Box<dyn BufRead>,
    line: u64,
}

impl io::Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Capped {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.line > LARGEST {
            let message = format!("a line of more than {} MB", LARGEST >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.text.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(taken) = self.text.fill_buf() {
            let taken = &taken[..amount.min(taken.len())];
            match memchr::memrchr(b'\n', taken) {
                Some(at) => self.line = (taken.len() - at - 1) as u64,
                None => self.line += taken.len() as u64,
            }
        }
        self.text.consume(amount);
    }
}

/// A value in a file, with its line where the file has several.
pub struct Found {
    pub line: Option<u32>,
    /// What is wrong with it, where it can't be parsed.
    pub value: Result<Value, serde_json::Error>,
}

/// The JSON values of a text: one, or those of an array or of lines.
///
/// # Errors
/// Names the file that can't be read to its end; what was found before was given to `each`.
pub fn values(opened: Opened, each: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
    let Opened { name, mut text, .. } = opened;
    let mut start = vec![];
    text.by_ref()
        .take(WHOLE as u64)
        .read_to_end(&mut start)
        .map_err(|error| anyhow!("{name}: cannot be read: {error}").hint("is the file whole?"))?;
    let whole = if start.len() < WHOLE { parsed(&start).ok() } else { None };
    match whole {
        Some(Value::Array(items)) => {
            items.into_iter().try_for_each(|value| each(Found { line: None, value: Ok(value) }))
        }
        Some(value) => each(Found { line: None, value: Ok(value) }),
        None => {
            let lines = objects(&name, Box::new(io::Cursor::new(start).chain(text)))?;
            lines.each(|line| each(Found { line: Some(line.place.number), value: parsed(line.bytes) }))
        }
    }
}

/// JSON, also as Python writes it: NaN and Infinity are unknown, half a character is U+FFFD.
fn parsed(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| {
        let (mended, kinds) = mended_json(std::str::from_utf8(bytes).unwrap_or_default());
        let mut value = if kinds.is_empty() { Err(error) } else { serde_json::from_str(&mended) }?;
        forget_no_numbers(&mut value);
        Ok(value)
    })
}

fn forget_no_numbers(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with(NO_NUMBER) => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(forget_no_numbers),
        Value::Object(fields) => fields.values_mut().for_each(forget_no_numbers),
        _ => {}
    }
}

/// What a value is made into, with the source that wrote it.
///
/// # Errors
/// Why it is none of a source that is known, with the nearest.
pub fn posts(value: &Value, forced: Option<&'static Source>) -> Result<(&'static Source, Vec<Read>), Skip> {
    let source = match forced {
        Some(source) => source,
        None => recognise(value).map_err(|nearest| {
            let keys: Vec<&str> = match value {
                Value::Object(fields) => fields.keys().take(6).map(String::as_str).collect(),
                _ => vec![],
            };
            let nearest = nearest.map_or(String::new(), |(source, missing)| {
                format!("; nearest is {}, which has {} too", source.name, missing.join(", "))
            });
            Skip::new("written by no collector that is known", format!("it has {}{nearest}", keys.join(", ")))
        })?,
    };
    Ok((source, (source.read)(value)))
}
