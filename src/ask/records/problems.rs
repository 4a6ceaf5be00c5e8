//! What reading records found, by kind: the table that is shown.

use std::fmt;

use anyhow::{Result, anyhow, ensure};
use indexmap::IndexMap;

use crate::error::{Hint, Shown};

/// Kinds that are told apart; more are counted together.
const KINDS: usize = 1000;
/// Rows of the table.
const ROWS: usize = 40;
/// Fields named that nothing is known to be meant by.
const NAMES: usize = 12;
/// Lines named in a row.
const LINES: usize = 3;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The record can't be used.
    Unusable,
    /// A field that a record doesn't have: what it says is not read.
    Unknown,
    /// A value was written in a way that had to be mended.
    Mended,
    /// A value of a record that is used says nothing that can be read.
    LeftOut,
    /// Used as it is, and likely not what was meant.
    Odd,
}

/// One thing found in a record.
#[derive(Debug)]
pub struct Note {
    what: &'static str,
    field: String,
    value: String,
    /// What to take for it, or what was taken.
    meant: Option<String>,
    /// Whether each value is a row of its own.
    by_value: bool,
}

impl Note {
    /// `value` is what stands there, as far as it is worth showing.
    pub fn new(what: &'static str, field: &str, value: &str) -> Note {
        Note { what, field: short(field), value: short(value), meant: None, by_value: false }
    }

    /// The same with what to take for it.
    pub fn meant(self, meant: Option<String>) -> Note {
        Note { meant, ..self }
    }

    /// The same, as a row of its own for each value.
    pub fn by_value(self) -> Note {
        Note { by_value: true, ..self }
    }
}

/// At most 40 characters, on one line.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        short.push('…');
    }
    short
}

#[derive(Debug, Default)]
struct Found {
    count: usize,
    lines: Vec<u32>,
    value: String,
    meant: Option<String>,
}

/// What reading found.
#[derive(Debug)]
pub struct Problems {
    name: String,
    /// Records that there are.
    pub records: usize,
    /// Of those, that can't be used.
    pub unusable: usize,
    /// Why the first of them can't be used.
    pub(super) first_unusable: Option<Shown>,
    /// By kind, what it is, field, and value where each is a row of its own.
    found: IndexMap<(Kind, &'static str, String, String), Found>,
    /// Findings of kinds beyond [`KINDS`].
    others: usize,
}

impl Problems {
    /// None yet, of a file with this name.
    pub fn new(name: &str) -> Problems {
        let found = IndexMap::new();
        Problems { name: name.to_owned(), records: 0, unusable: 0, first_unusable: None, found, others: 0 }
    }

    /// Counts one more.
    pub fn add(&mut self, kind: Kind, number: u32, note: Note) {
        self.unusable += usize::from(kind == Kind::Unusable);
        let Note { what, field, value, meant, by_value } = note;
        let own = if by_value { value.clone() } else { String::new() };
        let found = self.row((kind, what, field, own), number);
        if let Some(found) = found.filter(|found| found.count == 1) {
            (found.value, found.meant) = (value, meant);
        }
    }

    /// Counts one more field that a record doesn't have; what is meant is only looked for once.
    pub(super) fn unknown(&mut self, number: u32, field: &str, meant: impl FnOnce() -> Option<String>) {
        let found = self.row((Kind::Unknown, "unknown field", short(field), String::new()), number);
        if let Some(found) = found.filter(|found| found.count == 1) {
            found.meant = meant();
        }
    }

    fn row(&mut self, key: (Kind, &'static str, String, String), number: u32) -> Option<&mut Found> {
        if self.found.len() >= KINDS && !self.found.contains_key(&key) {
            self.others += 1;
            return None;
        }
        let found = self.found.entry(key).or_default();
        found.count += 1;
        if found.lines.len() < LINES {
            found.lines.push(number);
        }
        Some(found)
    }

    /// Refuses records of which none can be used, and with `strict` those in which anything was mended or isn't read.
    ///
    /// # Errors
    /// With the table.
    pub fn refuse(&self, strict: bool) -> Result<()> {
        if self.unusable == self.records {
            self.refuse_unusable()?;
        }
        let as_written = self.others == 0 && self.found.keys().all(|(kind, ..)| *kind == Kind::Odd);
        ensure!(
            !strict || as_written,
            anyhow!("--strict: {self}")
                .hint("correct the data, or leave --strict out: what can be mended is, the rest is counted as failed")
        );
        Ok(())
    }

    /// Refuses records of which any can't be used.
    ///
    /// # Errors
    /// With the reason of the first one, and the table where there are more.
    pub fn refuse_unusable(&self) -> Result<()> {
        let Some(Shown { message, hints }) = &self.first_unusable else { return Ok(()) };
        let alone = self.unusable == 1 && self.found.len() == 1 && self.found[0].meant.is_none();
        let error = if alone { anyhow!("{message}") } else { anyhow!("{message}\n{self}") };
        Err(hints.iter().fold(error, |error, hint| error.hint(hint)))
    }

    /// Shows the table, where there is anything in it.
    pub fn warn(&self) {
        if !self.found.is_empty() {
            errln!("{self}");
        }
    }

    fn count(&self, wanted: Kind) -> usize {
        self.found.iter().filter(|((kind, ..), _)| *kind == wanted).map(|(_, found)| found.count).sum()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = [
            (self.unusable, "can't be used", "can't be used"),
            (self.count(Kind::Unknown), "field is unknown and not read", "fields are unknown and not read"),
            (self.count(Kind::Mended), "value was mended", "values were mended"),
            (self.count(Kind::LeftOut), "value can't be read and is left out", "values can't be read and are left out"),
            (self.count(Kind::Odd), "value is odd and used as it is", "values are odd and used as they are"),
        ];
        let counted = counted.iter().filter(|(count, ..)| *count > 0);
        let counted: Vec<String> =
            counted.map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more })).collect();
        write!(formatter, "{}: of {} records, {}", self.name, self.records, counted.join(", "))?;
        let (nameless, mut rows): (Vec<_>, Vec<_>) =
            self.found.iter().partition(|((kind, ..), found)| *kind == Kind::Unknown && found.meant.is_none());
        rows.sort_by_key(|((kind, ..), found)| (*kind, found.meant.is_none(), std::cmp::Reverse(found.count)));
        let more = rows.len().saturating_sub(ROWS) + self.others;
        rows.truncate(ROWS);
        let cells: Vec<[String; 4]> = rows
            .iter()
            .map(|((_, what, field, _), found)| {
                let lines: Vec<String> = found.lines.iter().map(u32::to_string).collect();
                let rest = if found.count > lines.len() { " …" } else { "" };
                let plural = if lines.len() > 1 { "s" } else { "" };
                [
                    found.count.to_string(),
                    (*what).to_owned(),
                    field.clone(),
                    format!("line{plural} {}{rest}", lines.join(", ")),
                ]
            })
            .collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3].map(width);
        for (row, (_, found)) in cells.iter().zip(&rows) {
            let [count, what, field, lines] = row;
            let value = if found.value.is_empty() { String::new() } else { format!("\"{}\"", found.value) };
            let meant = found.meant.as_deref().unwrap_or("");
            let between = if value.is_empty() || meant.is_empty() { "" } else { " → " };
            let line = format!(
                "{count:>0$}  {what:<1$}  {field:<2$}  {lines:<3$}  {value}{between}{meant}",
                widths[0] + 2,
                widths[1],
                widths[2],
                widths[3]
            );
            write!(formatter, "\n{}", line.trim_end())?;
        }
        if !nameless.is_empty() {
            let count: usize = nameless.iter().map(|(_, found)| found.count).sum();
            let mut names: Vec<&str> =
                nameless.iter().take(NAMES).map(|((_, _, field, _), _)| field.as_str()).collect();
            names.extend((nameless.len() > NAMES).then_some("…"));
            write!(
                formatter,
                "\n{count:>0$}  other fields, {1}: {2}",
                widths[0] + 2,
                nameless.len(),
                names.join(", ")
            )?;
        }
        if more > 0 {
            write!(formatter, "\n  … and {more} more")?;
        }
        Ok(())
    }
}
