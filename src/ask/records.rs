//! The records that are asked about.

mod count;
mod json;
mod mend;
mod names;
mod problems;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use sha2::{Digest, Sha256};

pub use self::count::{Written, count, is_unknown, seconds};
pub use self::json::{NO_NUMBER, lenient, mended as mended_json};
use self::mend::{Golds, Mender};
pub use self::names::{folded, nearest, synonym};
pub use self::problems::{Kind, Note, Problems};
use crate::error::{Hint, Shown};
use crate::lines::{Line, Lines, Snapshot, Spool};
use crate::reel::{Reel, read_reels};
use crate::run::sha256;
use crate::task::Task;

const SAMPLE: &str = include_str!("../../eval/sample.jsonl");
const SAMPLE_NAME: &str = "eval/sample.jsonl";

/// Records as they were when the file was opened, read and mended once: what was asked about is what is scored.
///
/// One that can't be used (no JSON, no id, nothing to read, a value that can't be mended, a label that isn't the task's, an
/// id that is taken) stands in its place as a Reel with [`Reel::unusable`]. Its id is its own; where it has none or that is
/// taken, it is `line:17`. So it is asked and failed: a prediction with an error for every task, which is wrong where its
/// gold answer can be read.
pub struct Records {
    /// For reading them one by one.
    pub lines: Lines,
    /// Identity of the records whatever their order: SHA-256 over their sorted hashes.
    pub sha256: String,
    /// SHA-256 of the whole file, as it was brought.
    pub file_sha256: String,
    /// What was mended, and what can't be used.
    pub problems: Problems,
}

impl Records {
    /// Opens a file, or the sample that is part of the program, for tasks that nobody knows: references are not checked.
    ///
    /// # Errors
    /// Names the file, and what it holds where that is no JSON; when there is no record.
    pub fn open(path: Option<&Path>) -> Result<Records> {
        Records::open_for(path, &[])
    }

    /// Opens a file, or the sample that is part of the program; references must be such as these tasks have.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn open_for(path: Option<&Path>, tasks: &[Task]) -> Result<Records> {
        let snapshot = match path {
            None => Snapshot::of(SAMPLE_NAME, &mut SAMPLE.as_bytes())?,
            Some(path) => Snapshot::open(path, "data file")?,
        };
        Records::of(&snapshot, tasks)
    }

    /// Reads and mends what was opened.
    ///
    /// # Errors
    /// When there is no record, and of the environment.
    pub fn of(snapshot: &Snapshot, tasks: &[Task]) -> Result<Records> {
        let name = snapshot.lines.name();
        let mut reader = Reader {
            tasks,
            name,
            spool: Spool::new(name),
            line_of_id: HashMap::new(),
            ids: HashSet::new(),
            texts: HashSet::new(),
            problems: Problems::new(name),
            hashes: vec![],
        };
        snapshot.lines.each(|line| reader.line(&line))?;
        let Reader { spool, problems, hashes, .. } = reader;
        ensure!(
            !hashes.is_empty(),
            anyhow!("{name} has no records").hint("one JSON object a line, see eval/sample.jsonl for an example")
        );
        let mut sorted = hashes.clone();
        sorted.sort_unstable();
        let sha256 = sha256(sorted.as_flattened());
        Ok(Records { lines: spool.finish()?, sha256, file_sha256: snapshot.sha256.clone(), problems })
    }

    /// All of them.
    ///
    /// # Errors
    /// With the table of what can't be used, where there is any.
    pub fn read(&self) -> Result<Vec<Reel>> {
        self.problems.refuse_unusable()?;
        self.reels()
    }

    /// All of them, with those that can't be used, see [`Reel::unusable`].
    ///
    /// # Errors
    /// Of the environment.
    pub fn reels(&self) -> Result<Vec<Reel>> {
        read_reels(&self.lines)
    }
}

/// Why a record can't be used.
struct Unusable {
    note: Note,
    /// Names the file and the line.
    error: anyhow::Error,
}

struct Reader<'a> {
    tasks: &'a [Task],
    name: &'a str,
    spool: Spool,
    line_of_id: HashMap<String, u32>,
    /// Hashes of ids without case, and of texts.
    ids: HashSet<u64>,
    texts: HashSet<u64>,
    problems: Problems,
    /// Of each record's JSON after mending, with keys in a fixed order; of its line where it can't be used.
    hashes: Vec<[u8; 32]>,
}

impl Reader<'_> {
    fn line(&mut self, line: &Line) -> Result<()> {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let number = line.place.number;
        let place = Place { name: self.name, number };
        let mut mender =
            Mender { tasks: self.tasks, place, problems: &mut self.problems, id: None, golds: Golds::default() };
        let reel = json::object(line.bytes, &mut mender).and_then(|fields| mender.reel(fields));
        let (id, golds) = (mender.id.take(), std::mem::take(&mut mender.golds));
        let golds = if reel.is_err() { golds } else { Golds::default() };
        if let Ok(reel) = &reel {
            self.note_alike(reel, number);
        }
        let reel = reel.and_then(|reel| match self.line_of_id.get(&reel.id) {
            None => Ok(reel),
            Some(first) => Err(place.unusable(
                Note::new("id used twice", "id", &reel.id),
                anyhow!("id {:?} was already used on line {first}", reel.id)
                    .hint("ids must be unique; remove one of the two lines"),
            )),
        });
        let (reel, hashed) = match reel {
            Ok(reel) => (reel, None),
            Err(unusable) => (self.stand_in(id, golds, unusable, number), Some(line.bytes.trim_ascii())),
        };
        let written = serde_json::to_vec(&reel)?;
        self.hashes.push(Sha256::digest(hashed.unwrap_or(&written)).into());
        self.problems.records += 1;
        self.line_of_id.insert(reel.id, number);
        self.spool.push(&written, number)
    }

    /// Notes ids and texts that are nearly those of another record: they are used, and may be the same Reel.
    fn note_alike(&mut self, reel: &Reel, number: u32) {
        let id = reel.id.trim().to_lowercase();
        if self.line_of_id.contains_key(&reel.id) {
            return;
        }
        if !self.ids.insert(hash(&id)) {
            self.problems.add(
                Kind::Odd,
                number,
                Note::new("id of another record but for case or spaces", "id", &reel.id),
            );
        }
        let text = reel.transcript.as_deref().unwrap_or_default();
        if !self.texts.insert(hash(&(text, reel.caption.as_deref()))) && !text.is_empty() {
            self.problems.add(Kind::Odd, number, Note::new("texts of another record", "transcript", text));
        }
    }

    /// What stands for a record that can't be used.
    fn stand_in(&mut self, id: Option<String>, golds: Golds, unusable: Unusable, number: u32) -> Reel {
        let Unusable { note, error } = unusable;
        let shown = Shown::of(&error);
        let reason = shown.to_string();
        self.problems.add(Kind::Unusable, number, note);
        self.problems.first_unusable.get_or_insert(shown);
        let is_free = |id: &String| !self.line_of_id.contains_key(id);
        let mut id = id.filter(is_free).unwrap_or_else(|| format!("line:{number}"));
        while !is_free(&id) {
            id.push('+');
        }
        let (mut reference, alternatives) = golds;
        let of = |name: &str| self.tasks.iter().find(|task| task.name == name);
        reference
            .retain(|name, label| of(name).is_none_or(|task| task.labels.is_empty() || task.labels.contains(label)));
        Reel { id, reference, alternatives, unusable: Some(reason), ..Reel::default() }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Where a record stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    number: u32,
}

impl Place<'_> {
    fn unusable(&self, note: Note, error: anyhow::Error) -> Unusable {
        Unusable { note, error: error.context(format!("{}:{}", self.name, self.number)) }
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
