//! All that stands in files about Reels, kept out of memory until every file is read: only then is it known which of them are
//! about the same Reel, who is who, and which counts are placeholders.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indexmap::IndexMap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::files::{Found, Shape, Walked, is_media, open, posts, values};
use super::naming::Naming;
use super::post::{Account, Counted, Post, Read, Skip};
use super::source::{SOURCES, Source};
use super::table::{self, Columns, Mapping};
use super::transcripts::{self, Transcript};
use crate::error::Shown;
use crate::lines::{Lines, Place, Spool};
use crate::run::sha256_file;
use crate::task::Task;

/// Files that are read at once, and held in memory meanwhile.
const AT_ONCE: usize = 64;
/// A larger file is read by itself, and not held.
const SMALL: u64 = 1 << 20;
/// Places named for a reason.
const SHOWN: usize = 1;

/// What `--from` and records call a table.
pub const TABLE: &str = "table";

/// Who wrote all files.
#[derive(Clone, Copy)]
pub enum WrittenBy {
    #[expect(missing_docs, reason = "the type says it")]
    Source(&'static Source),
    #[expect(missing_docs, reason = "the name says it")]
    Table,
}

impl WrittenBy {
    /// By its name.
    pub fn named(name: &str) -> Option<WrittenBy> {
        let source = || SOURCES.into_iter().find(|source| source.name == name).map(WrittenBy::Source);
        if name == TABLE { Some(WrittenBy::Table) } else { source() }
    }

    /// All names.
    pub fn names() -> Vec<&'static str> {
        SOURCES.iter().map(|source| source.name).chain([TABLE]).collect()
    }
}

/// How files are read.
pub struct How<'a> {
    /// `None` where each file is known by what stands in it.
    pub from: Option<WrittenBy>,
    /// Columns of tables that are told.
    pub mapping: &'a [Mapping],
    /// Whose gold answers tables may have.
    pub tasks: &'a [Task],
}

/// A file that posts were in.
#[derive(Debug, Clone)]
pub struct FileFacts {
    /// As it was named or found.
    pub path: PathBuf,
    pub sha256: String,
}

/// A post with where it stood.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placed {
    /// Number in [`Gathered::files`].
    pub file: u32,
    /// In a file of several.
    pub line: Option<u32>,
    /// [`Source::name`].
    pub kind: String,
    pub post: Post,
}

/// How often something was left out, and where first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    pub count: usize,
    /// Place and detail of the first few.
    pub first: Vec<String>,
}

impl Count {
    /// Counts one more, and names the first few.
    pub fn add(&mut self, place: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(place());
        }
    }
}

/// How an account's likes look: hidden ones are 3 on nearly every post.
#[derive(Debug, Clone, Copy, Default)]
pub struct Likes {
    pub posts: u32,
    pub threes: u32,
}

/// What was found.
pub struct Gathered {
    #[expect(missing_docs, reason = "the name says it")]
    pub files: Vec<FileFacts>,
    /// Of each post the hash of its record's id and where it stands in `lines`, in the order of the files.
    pub posts: Vec<(u64, Place)>,
    #[expect(missing_docs, reason = "the name says it")]
    pub lines: Lines,
    /// Files looked at.
    pub looked_at: usize,
    /// Media and the like.
    pub media: usize,
    /// What is no Reel, by reason.
    pub skipped: IndexMap<&'static str, Count>,
    #[expect(missing_docs, reason = "the type says it")]
    pub transcripts: Vec<(PathBuf, Result<Transcript>)>,
    /// How tables were read.
    pub tables: Vec<(PathBuf, Columns)>,
    /// Files that can't be read, or not to their end.
    pub broken: Vec<Shown>,
    /// By hash of the account.
    pub likes: HashMap<u64, Likes>,
    /// Handles by the platform's number of the account.
    pub handle_of: HashMap<String, String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub handles: HashSet<String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub names: HashSet<String>,
    /// Of flags the values that they have, up to two of them, by source.
    pub flags: BTreeMap<(String, String), HashMap<String, usize>>,
}

/// What a file gave.
struct FileRead {
    sha256: String,
    reads: Vec<(Option<u32>, &'static str, Read)>,
    /// What it is beside them, or why it can't be read to its end.
    read: Result<Other>,
}

/// Reads all files, or those until it doesn't go on, which is asked before each.
///
/// # Errors
/// Of the environment, when what was read can't be kept.
pub fn gather(walked: Vec<Result<Walked>>, how: &How, naming: &Naming, goes_on: &dyn Fn() -> bool) -> Result<Gathered> {
    let mut gatherer = Gatherer::new(naming);
    for chunk in walked.chunks(AT_ONCE) {
        let small = |path: &Path| path.metadata().is_ok_and(|file| file.len() <= SMALL);
        let is_held = |file: &&Walked| !is_media(&file.path) && small(&file.path);
        let held: Vec<Option<FileRead>> =
            chunk.par_iter().map(|file| file.as_ref().ok().filter(is_held).map(|file| whole(file, how))).collect();
        for (file, held) in chunk.iter().zip(held) {
            if !goes_on() {
                return gatherer.finish();
            }
            gatherer.gathered.looked_at += 1;
            match (file, held) {
                (Err(error), _) => gatherer.gathered.broken.push(Shown::of(error)),
                (Ok(file), Some(read)) => gatherer.file(&file.path, read)?,
                (Ok(file), None) if is_media(&file.path) => gatherer.gathered.media += 1,
                (Ok(file), None) => gatherer.streamed(file, how)?,
            }
        }
    }
    gatherer.finish()
}

/// Reads a file that fits in memory.
fn whole(file: &Walked, how: &How) -> FileRead {
    let mut reads = vec![];
    let read = each_read(file, how, &mut |line, kind, read| {
        reads.push((line, kind, read));
        Ok(())
    });
    FileRead { sha256: sha256_file(&file.path).unwrap_or_default(), reads, read }
}

/// What a file is beside the posts in it.
enum Other {
    Nothing,
    Transcript(Transcript),
    Table(Box<Columns>),
}

type EachRead<'a> = &'a mut dyn FnMut(Option<u32>, &'static str, Read) -> Result<()>;

/// Everything that stands in a file, with its line and source; and what else it is.
fn each_read(file: &Walked, how: &How, each: EachRead) -> Result<Other> {
    if file.is_transcript {
        return Ok(transcript(file)?.map_or(Other::Nothing, Other::Transcript));
    }
    let opened = open(&file.path)?;
    let forced = match how.from {
        Some(WrittenBy::Table) => return table(file, how, each),
        Some(WrittenBy::Source(source)) => Some(source),
        None => None,
    };
    match opened.shape {
        Shape::Binary => return table(file, how, each),
        Shape::Text => {
            if let Some(transcript) = transcript(file)? {
                return Ok(Other::Transcript(transcript));
            }
            // Captions and notes are texts too.
            if is_called_table(file) || has_tabs(opened.text)? {
                return table(file, how, each);
            }
            each(None, "", Err(Skip::new("a text that is no table", "")))?;
            return Ok(Other::Nothing);
        }
        Shape::Json => {}
    }
    // What no collector wrote may be a transcript or a table: the first value tells.
    let mut first = true;
    let mut unknown = None;
    let read = values(opened, &mut |Found { line, value }| match value {
        Err(error) => each(line, "", Err(Skip::new("broken JSON", error.to_string()))),
        Ok(value) => match posts(&value, forced) {
            Ok((source, reads)) => {
                first = false;
                reads.into_iter().try_for_each(|read| each(line, source.name, read))
            }
            Err(skip) if first => {
                unknown = Some(skip);
                bail!("no collector's")
            }
            Err(skip) => each(line, "", Err(skip)),
        },
    });
    match unknown {
        None => read.map(|()| Other::Nothing),
        Some(skip) => match transcript(file)? {
            Some(transcript) => Ok(Other::Transcript(transcript)),
            None => maybe_table(file, how, each, skip),
        },
    }
}

fn is_called_table(file: &Walked) -> bool {
    let ending = file.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["csv", "tsv", "tab"].contains(&ending.to_lowercase().as_str())
}

/// Whether a text's first line has cells.
fn has_tabs(mut text: Box<dyn BufRead>) -> Result<bool> {
    let start = text.fill_buf()?;
    Ok(start.split(|byte| *byte == b'\n').next().is_some_and(|line| line.contains(&b'\t')))
}

/// Reads JSON that no collector wrote as rows of a table; where its keys are no columns it is skipped.
fn maybe_table(file: &Walked, how: &How, each: EachRead, skip: Skip) -> Result<Other> {
    let mut rows = 0;
    let read = table(file, how, &mut |line, kind, read| {
        rows += 1;
        each(line, kind, read)
    });
    if read.is_err() && rows == 0 {
        each(None, "", Err(skip))?;
        return Ok(Other::Nothing);
    }
    read
}

fn table(file: &Walked, how: &How, each: EachRead) -> Result<Other> {
    let name = file.path.display().to_string();
    let on_disk = File::open(&file.path).with_context(|| format!("{name}: cannot be read"))?;
    let opened = table::Opened { name: &name, file: &on_disk, text: &|| Ok(open(&file.path)?.text) };
    let columns = table::read(&opened, how.mapping, how.tasks, &mut |read| {
        let line = read.as_ref().ok().and_then(|post| post.line).and_then(|line| u32::try_from(line).ok());
        each(line, TABLE, read)
    })?;
    Ok(Other::Table(Box::new(columns)))
}

/// The transcript that a file is, if it is one.
fn transcript(file: &Walked) -> Result<Option<Transcript>> {
    let name = file.path.display().to_string();
    if file.path.metadata().is_ok_and(|file| file.len() > transcripts::LARGEST as u64) {
        return Ok(None);
    }
    let bytes = std::fs::read(&file.path).with_context(|| format!("{name}: cannot be read"))?;
    transcripts::read(&name, &bytes, file.is_transcript)
}

struct Gatherer<'a> {
    naming: &'a Naming,
    gathered: Gathered,
    spool: Spool,
    keys: Vec<u64>,
}

impl Gatherer<'_> {
    fn new(naming: &Naming) -> Gatherer<'_> {
        let gathered = Gathered {
            files: vec![],
            posts: vec![],
            lines: Lines::none(),
            looked_at: 0,
            media: 0,
            skipped: IndexMap::new(),
            transcripts: vec![],
            tables: vec![],
            broken: vec![],
            likes: HashMap::new(),
            handle_of: HashMap::new(),
            handles: HashSet::new(),
            names: HashSet::new(),
            flags: BTreeMap::new(),
        };
        Gatherer { naming, gathered, spool: Spool::new("what was read"), keys: vec![] }
    }

    fn file(&mut self, path: &Path, file: FileRead) -> Result<()> {
        let number = self.begin(path);
        for (line, kind, read) in file.reads {
            self.read(number, line, kind, read)?;
        }
        self.end(number, file.sha256, file.read);
        Ok(())
    }

    fn streamed(&mut self, file: &Walked, how: &How) -> Result<()> {
        let number = self.begin(&file.path);
        let mut kept = Ok(());
        let read = each_read(file, how, &mut |line, kind, read| {
            kept = self.read(number, line, kind, read);
            ensure!(kept.is_ok(), "stopped");
            Ok(())
        });
        kept?;
        self.end(number, sha256_file(&file.path).unwrap_or_default(), read);
        Ok(())
    }

    fn end(&mut self, number: usize, sha256: String, read: Result<Other>) {
        let gathered = &mut self.gathered;
        gathered.files[number].sha256 = sha256;
        match read {
            Ok(Other::Nothing) => {}
            Ok(Other::Transcript(transcript)) => {
                gathered.transcripts.push((gathered.files[number].path.clone(), Ok(transcript)));
            }
            Ok(Other::Table(columns)) => gathered.tables.push((gathered.files[number].path.clone(), *columns)),
            Err(error) => gathered.broken.push(Shown::of(&error)),
        }
    }

    fn begin(&mut self, path: &Path) -> usize {
        self.gathered.files.push(FileFacts { path: path.to_owned(), sha256: String::new() });
        self.gathered.files.len() - 1
    }

    fn read(&mut self, file: usize, line: Option<u32>, kind: &str, read: Read) -> Result<()> {
        let gathered = &mut self.gathered;
        let post = match read {
            Ok(post) => post,
            Err(Skip { reason, detail }) => {
                let place = || {
                    let path = gathered.files[file].path.display();
                    let line = line.map_or(String::new(), |line| format!(":{line}"));
                    let detail = if detail.is_empty() { detail } else { format!(" ({detail})") };
                    format!("{path}{line}{detail}")
                };
                gathered.skipped.entry(reason).or_default().add(place);
                return Ok(());
            }
        };
        for account in std::iter::once(&post.owner).chain(&post.with) {
            if let (Some(id), Some(handle)) = (&account.id, &account.handle) {
                gathered.handle_of.insert(id.clone(), handle.clone());
            }
            gathered.handles.extend(account.handle.clone());
            gathered.names.extend(account.name.clone());
        }
        gathered.handles.extend(post.handles.iter().cloned());
        for (flag, value) in &post.flags {
            let values = gathered.flags.entry((kind.to_owned(), flag.clone())).or_default();
            let value = value.to_string();
            if values.len() < 2 || values.contains_key(&value) {
                *values.entry(value).or_default() += 1;
            }
        }
        if let Some(likes) = post.counts.get(&Counted::Likes) {
            let account = gathered.likes.entry(account_hash(&post.owner)).or_default();
            account.posts += 1;
            account.threes += u32::from(*likes == 3);
        }
        self.keys.push(hash(&self.naming.reel(&post.id)));
        let placed = Placed { file: file as u32, line, kind: kind.to_owned(), post };
        self.spool.push(&serde_json::to_vec(&placed)?, file as u32)
    }

    fn finish(mut self) -> Result<Gathered> {
        let lines = self.spool.finish()?;
        let mut keys = self.keys.into_iter();
        let posts = &mut self.gathered.posts;
        lines.each(|line| {
            posts.extend(keys.next().map(|key| (key, line.place)));
            Ok(())
        })?;
        self.gathered.lines = lines;
        Ok(self.gathered)
    }
}

/// Of an account, by handle where it is known.
pub fn account_hash(account: &Account) -> u64 {
    hash(&(account.handle.as_ref(), account.id.as_ref().filter(|_| account.handle.is_none())))
}

pub fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
