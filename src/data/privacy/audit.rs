//! What is left of personal data in files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::fields::{Entry, each};
use super::files::{Unread, files, is_weights, quietly};
use super::scrub::{Kind, Scrubber};
use crate::lines::{decoded, objects};
use crate::stop::Stop;

/// Places of a kind that are kept.
const PLACES: usize = 5;
/// Longer lines are told to be unread.
const LONGEST: u64 = 64 << 20;

/// What is left.
#[derive(Debug, Default, Serialize)]
pub struct Audit {
    /// Files that were looked into.
    pub files: usize,
    /// Files of weights, which hold no text.
    pub weights: usize,
    /// By kind, in words.
    pub left: BTreeMap<String, Left>,
    #[expect(missing_docs, reason = "the type says it")]
    pub unread: Vec<Unread>,
}

/// What is left of a kind.
#[derive(Debug, Default, Serialize)]
pub struct Left {
    #[expect(missing_docs, reason = "the name says it")]
    pub count: usize,
    /// The first ones.
    pub places: Vec<Place>,
}

/// Where something is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    #[expect(missing_docs, reason = "the name says it")]
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u32,
    /// Names of fields with dots between them; `None` outside of records.
    pub field: Option<String>,
    /// Its first and last letters.
    pub masked: String,
}

/// Looks into all files named and in the folders named.
///
/// # Errors
/// Names what was named and doesn't exist. What else can't be read is in [`Audit::unread`].
pub fn audit(named: &[PathBuf], stop: &Stop) -> Result<Audit> {
    let mut audit = Audit::default();
    let scrubber = Scrubber::default();
    for path in files(named, &mut audit.unread)? {
        if stop.wished() {
            break;
        }
        if is_weights(&path) {
            audit.weights += 1;
            continue;
        }
        match quietly(|| audit.file(&path, &scrubber)) {
            Ok(()) => audit.files += 1,
            Err(error) => audit.unread.push(Unread::of(&path, &error)),
        }
    }
    Ok(audit)
}

impl Audit {
    fn file(&mut self, path: &Path, scrubber: &Scrubber) -> Result<()> {
        let name = path.display().to_string();
        let text = || -> Result<Box<dyn BufRead>> {
            let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
            decoded(&name, BufReader::with_capacity(1 << 18, file))
        };
        // Lines of objects are read below, without a copy.
        if path.extension().is_some_and(|extension| extension == "json") {
            return objects(&name, text()?)?.each(|line| {
                self.line(path, line.place.number, line.bytes, scrubber, false);
                Ok(())
            });
        }
        let is_page = path.extension().is_some_and(|extension| extension == "html");
        let (mut text, mut line) = (text()?, Vec::new());
        for number in 1.. {
            line.clear();
            let read = text.by_ref().take(LONGEST).read_until(b'\n', &mut line);
            let read = read.with_context(|| format!("{name}:{number}: cannot be read"))?;
            if read as u64 == LONGEST {
                bail!("{name}:{number}: the line is longer than {} MiB", LONGEST >> 20);
            }
            if read == 0 {
                break;
            }
            self.line(path, number, &line, scrubber, is_page);
        }
        Ok(())
    }

    fn line(&mut self, file: &Path, number: u32, line: &[u8], scrubber: &Scrubber, is_page: bool) {
        let place =
            |field: Option<String>, masked: String| Place { file: file.to_owned(), line: number, field, masked };
        let value = line.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice::<Value>(line).ok());
        let Some(value) = value.flatten() else {
            self.text(&String::from_utf8_lossy(line), scrubber, is_page, |masked| place(None, masked));
            return;
        };
        each(&value, &mut vec![], &mut |path, entry| {
            let place = |masked| place(Some(path.join(".")), masked);
            match entry {
                Entry::Text(text) => self.text(text, scrubber, is_page, place),
                Entry::Forbidden(name) => self.note(format!("field {name}"), place(String::new())),
                Entry::Account(name) => self.note("account that is no pseudonym".into(), place(masked(name, 2))),
                Entry::Reel(name) => self.note("id that is no pseudonym".into(), place(masked(name, 2))),
            }
        });
    }

    fn text(&mut self, text: &str, scrubber: &Scrubber, is_page: bool, place: impl Fn(String) -> Place) {
        for found in scrubber.find(text, &[]) {
            let written = &text[found.range];
            if is_page && is_of_style(written) {
                continue;
            }
            let shown = match found.kind {
                Kind::Phone | Kind::Nik | Kind::Account => 4,
                _ => 2,
            };
            self.note(found.kind.word().into(), place(masked(written, shown)));
        }
    }

    fn note(&mut self, kind: String, place: Place) {
        let left = self.left.entry(kind).or_default();
        left.count += 1;
        if left.places.len() < PLACES {
            left.places.push(place);
        }
    }
}

/// What stands in the style of a page behind `@`.
fn is_of_style(written: &str) -> bool {
    const RULES: [&str; 8] =
        ["@media", "@page", "@import", "@charset", "@supports", "@keyframes", "@layer", "@container"];
    RULES.contains(&written)
}

/// The first letters, and the last two of a long text.
fn masked(text: &str, shown: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    let rest = if letters.len() >= 10 { 2 } else { 0 };
    let start: String = letters.iter().take(shown.min(letters.len() / 2)).collect();
    let end: String = letters[letters.len() - rest..].iter().collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    #[test]
    fn a_number_is_never_shown_whole() {
        for (text, shown, expected) in [
            ("0812-3456-7890", 4, "0812…90"),
            ("@rani_kue", 2, "@r…"),
            ("", 4, "…"),
            ("ab", 4, "a…"),
            ("é@x.id", 2, "é@…"),
        ] {
            assert_eq!(masked(text, shown), expected);
        }
    }

    #[test]
    fn what_is_left_is_told_by_kind_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "a.jsonl",
            concat!(
                "{\"id\":\"r_0123456789abcdef\",\"account\":\"a_0123456789abcdef\",\"caption\":\"WA <TELP> 25rb\",\"comments\":3}\n",
                "{\"id\":\"DHhaNTBaQgM\",\"account\":\"rani_kue\",\"caption\":\"WA 0812-3456-7890\",\"full_name\":\"Rani\",\"comments\":[{\"text\":\"x\"}],\"source\":{\"with\":[\"kopi.senja\"]}}\n",
            ),
        );
        write(
            "pretty.json",
            "[\n {\n  \"caption\": \"x\"\n },\n {\n  \"caption\": \"tulis ke rani@contoh.id ya\"\n }\n]\n",
        );
        write("page.html", "<style>\n@media print {}\n</style>\n<p>@rani_kue</p>\n");
        write("model.gguf", "0812-3456-7890");
        write("table.parquet", "PAR1");
        let audit = audit(&[folder.path().to_owned()], &Stop::default()).unwrap();
        assert_eq!((audit.files, audit.weights, audit.unread.len()), (3, 1, 1));
        let counts: Vec<(&str, usize)> = audit.left.iter().map(|(kind, left)| (kind.as_str(), left.count)).collect();
        let expected = [
            ("account that is no pseudonym", 2),
            ("e-mail address", 1),
            ("field comments", 1),
            ("field full_name", 1),
            ("handle", 1),
            ("id that is no pseudonym", 1),
            ("phone number", 1),
        ];
        assert_eq!(counts, expected);
        let place = |kind: &str| {
            let Place { line, field, masked, .. } = audit.left[kind].places[0].clone();
            (line, field, masked)
        };
        assert_eq!(place("phone number"), (2, Some("caption".into()), "0812…90".into()));
        assert_eq!(place("e-mail address"), (5, Some("caption".into()), "ra…id".into()));
        assert_eq!(place("handle"), (4, None, "@r…".into()));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let error = audit(&["/nowhere/a.jsonl".into()], &Stop::default()).unwrap_err();
        assert!(Shown::of(&error).to_string().contains("/nowhere/a.jsonl"), "{error}");
    }
}
