//! CSV and what else separates cells by a character, as spreadsheets and people write it.
//!
//! Read here and not by crate csv, for which a quote that isn't closed makes one cell of the rest of the file. A file of
//! answers with such a quote is refused; here only its row is.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;

use anyhow::{Result, anyhow, ensure};
use encoding_rs::WINDOWS_1252;

use super::cell::{Cell, Each, Row};
use crate::data::import::post::Skip;
use crate::error::Hint;

/// A row of more bytes is none: a quote in it isn't closed, or it is no table.
const ROW: usize = 1 << 20;
/// Bytes in which the separator is looked for.
const HEAD: u64 = 1 << 16;
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Opens a text, at its start each time.
pub type Open<'a> = &'a dyn Fn() -> Result<Box<dyn BufRead + 'a>>;

/// A table that is a text.
pub struct Delimited<'a> {
    name: &'a str,
    open: Open<'a>,
    /// `None` for a single column.
    separator: Option<u8>,
    /// Of a line.
    end: u8,
    /// Whether the first line names the separator.
    named: bool,
}

/// How the text's characters were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Rows in Windows-1252, of which Latin-1 is a part.
    pub windows_1252: u64,
    /// Rows with bytes that are no characters beside others in UTF-8.
    pub broken: u64,
}

impl<'a> Delimited<'a> {
    /// Looks at the start of a text for what separates its cells: nothing where the first line `is_name` of a column alone.
    ///
    /// # Errors
    /// Names the file that can't be read, or holds no text.
    pub fn open(name: &'a str, open: Open<'a>, is_name: &dyn Fn(&str) -> bool) -> Result<Delimited<'a>> {
        let mut head = vec![];
        let read = open()?.take(HEAD).read_to_end(&mut head);
        read.map_err(|error| cannot_be_read(name, 1, &error))?;
        ensure!(
            !head.contains(&0),
            anyhow!("{name}: no text: it has zero bytes").hint("save the table as CSV in UTF-8, XLSX or Parquet")
        );
        let end = if !head.contains(&b'\n') && head.contains(&b'\r') { b'\r' } else { b'\n' };
        let text = without_mark(&head);
        let separator = match text.strip_prefix(b"sep=") {
            Some([separator, b'\r' | b'\n', ..]) => Some(*separator),
            _ => None,
        };
        let first = text.split(|byte| *byte == end).map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
        let first = String::from_utf8_lossy(first.unwrap_or_default());
        let is_alone = !first.contains(SEPARATORS.map(char::from)) && is_name(first.trim_matches('"'));
        let guessed = || SEPARATORS.into_iter().filter_map(|separator| evenness(name, text, separator, end)).max();
        Ok(Delimited {
            name,
            open,
            separator: separator.or_else(|| guessed().filter(|_| !is_alone).map(|evenness| evenness.separator)),
            end,
            named: separator.is_some(),
        })
    }

    /// For people.
    pub fn what(&self) -> &'static str {
        match self.separator {
            None => "a text of one column",
            Some(b',') => "CSV, cells separated by commas",
            Some(b';') => "CSV, cells separated by semicolons",
            Some(b'\t') => "cells separated by tabs",
            Some(b'|') => "cells separated by |",
            Some(_) => "cells separated as its first line says",
        }
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// Names the file and the line that can't be read; and whatever `each` says.
    pub fn each(&self, each: Each) -> Result<Encoding> {
        self.each_of((self.open)()?, each)
    }

    fn each_of(&self, text: Box<dyn BufRead + '_>, each: Each) -> Result<Encoding> {
        let mut lines = Lines { text, end: self.end, number: 0, again: VecDeque::new() };
        let mut encoding = Encoding::default();
        let next = |lines: &mut Lines| {
            let line = lines.next();
            line.map_err(|error| cannot_be_read(self.name, lines.number + 1, &error))
        };
        while let Some(line) = next(&mut lines)? {
            if self.named && line.number == 1 {
                continue;
            }
            let number = line.number;
            let cells = self.cells(line, &mut lines, &next)?.map(|cells| decoded(cells, &mut encoding));
            if each(Row { line: number, cells })?.is_break() {
                break;
            }
        }
        Ok(encoding)
    }

    /// The cells of the row that begins with a line; further lines are taken while a quote is open.
    fn cells(
        &self,
        first: Line,
        lines: &mut Lines,
        next: &dyn Fn(&mut Lines) -> Result<Option<Line>>,
    ) -> Result<Result<Vec<Vec<u8>>, Skip>> {
        if first.cut {
            return Ok(Err(Skip::new("a line too long", format!("more than {} MiB", ROW >> 20))));
        }
        let mut scanner = Scanner { separator: self.separator, cells: vec![], cell: vec![], state: State::Start };
        let mut outcome = scanner.line(&first.bytes);
        let mut bytes = first.bytes.len();
        let mut taken = VecDeque::new();
        while outcome == Outcome::Open {
            let Some(line) = next(lines)? else { break };
            bytes += line.bytes.len();
            if !line.cut && bytes <= ROW {
                outcome = scanner.line(&line.bytes);
            }
            let ends = line.cut || bytes > ROW;
            taken.push_back(line);
            if ends {
                break;
            }
        }
        if outcome == Outcome::Whole {
            return Ok(Ok(scanner.cells));
        }
        // What stands behind the line is read as if the quote weren't there.
        taken.append(&mut lines.again);
        lines.again = taken;
        let start: String = String::from_utf8_lossy(&first.bytes).chars().take(60).collect();
        Ok(Err(Skip::new("a quote that isn't closed where its cell ends", start)))
    }
}

fn cannot_be_read(name: &str, line: u64, error: &io::Error) -> anyhow::Error {
    anyhow!("{name}:{line}: cannot be read: {error}").hint("is the file whole?")
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// How well a character separates cells: as many in every row is best, then more of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Evenness {
    /// Rows of the number of cells that most have.
    rows: usize,
    cells: usize,
    separator: u8,
}

/// `None` where it separates nothing in most rows.
fn evenness(name: &str, head: &[u8], separator: u8, end: u8) -> Option<Evenness> {
    const ROWS: usize = 50;
    let unopened = || -> Result<Box<dyn BufRead>> { Ok(Box::new(io::empty())) };
    let table = Delimited { name, open: &unopened, separator: Some(separator), end, named: false };
    let mut often: HashMap<usize, usize> = HashMap::new();
    let mut rows = 0;
    // The last line is likely cut.
    let whole = if head.len() as u64 == HEAD { memchr::memrchr(end, head).unwrap_or(head.len()) } else { head.len() };
    let count = table.each_of(Box::new(&head[..whole]), &mut |row| {
        let Ok(cells) = row.cells else { return Ok(ControlFlow::Continue(())) };
        let filled = cells.iter().rposition(|cell| *cell != Cell::Empty).map_or(0, |last| last + 1);
        if filled > 0 {
            rows += 1;
            *often.entry(cells.len()).or_default() += 1;
        }
        Ok(if rows < ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    });
    count.ok()?;
    let (cells, most) =
        often.into_iter().filter(|(cells, _)| *cells > 1).max_by_key(|(cells, often)| (*often, *cells))?;
    (most * 2 >= rows).then_some(Evenness { rows: most, cells, separator })
}

/// A row's cells as text: UTF-8, or Windows-1252 where no character of it is UTF-8.
fn decoded(cells: Vec<Vec<u8>>, encoding: &mut Encoding) -> Vec<Cell> {
    let is_utf8 = cells.iter().all(|cell| std::str::from_utf8(cell).is_ok());
    let some_utf8 = || cells.iter().any(|cell| cell.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()));
    let windows_1252 = !is_utf8 && !some_utf8();
    encoding.windows_1252 += u64::from(windows_1252);
    encoding.broken += u64::from(!is_utf8 && !windows_1252);
    let text = |cell: Vec<u8>| match String::from_utf8(cell) {
        Ok(text) => text,
        Err(error) if windows_1252 => WINDOWS_1252.decode_without_bom_handling(error.as_bytes()).0.into_owned(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    cells.into_iter().map(|cell| Cell::text(text(cell))).collect()
}

/// A line without its end.
struct Line {
    number: u64,
    bytes: Vec<u8>,
    /// Whether more of it was left out.
    cut: bool,
}

struct Lines<'a> {
    text: Box<dyn BufRead + 'a>,
    end: u8,
    /// Of the line read last.
    number: u64,
    /// Lines that are read once more.
    again: VecDeque<Line>,
}

impl Lines<'_> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = vec![];
        if self.text.by_ref().take(ROW as u64 + 2).read_until(self.end, &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let ended = bytes.last() == Some(&self.end);
        let cut = !ended && bytes.len() > ROW;
        if cut {
            self.text.skip_until(self.end)?;
        }
        if ended {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if self.number == 1 {
            bytes.drain(..bytes.len() - without_mark(&bytes).len());
        }
        Ok(Some(Line { number: self.number, bytes, cut }))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell: its end, or the first of two that stand for one.
    Quote,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    /// A quote is open.
    Open,
    /// Text follows a quote that closed a cell.
    Broken,
}

/// Takes a row apart, line by line.
struct Scanner {
    separator: Option<u8>,
    cells: Vec<Vec<u8>>,
    cell: Vec<u8>,
    state: State,
}

impl Scanner {
    fn line(&mut self, line: &[u8]) -> Outcome {
        let mut rest = line;
        while let Some(&byte) = rest.first() {
            match self.state {
                State::Start if byte == b'"' => (self.state, rest) = (State::Quoted, &rest[1..]),
                State::Start => self.state = State::Plain,
                State::Plain => {
                    let end = self.separator.and_then(|separator| memchr::memchr(separator, rest));
                    self.cell.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                    rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
                    if end.is_some() {
                        self.end_cell();
                    }
                }
                State::Quoted => {
                    let end = memchr::memchr(b'"', rest);
                    self.cell.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                    rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
                    if end.is_some() {
                        self.state = State::Quote;
                    }
                }
                State::Quote if byte == b'"' => {
                    self.cell.push(b'"');
                    (self.state, rest) = (State::Quoted, &rest[1..]);
                }
                State::Quote if Some(byte) == self.separator => {
                    rest = &rest[1..];
                    self.end_cell();
                }
                State::Quote => return Outcome::Broken,
            }
        }
        if self.state == State::Quoted {
            self.cell.push(b'\n');
            return Outcome::Open;
        }
        self.end_cell();
        Outcome::Whole
    }

    fn end_cell(&mut self) {
        self.cells.push(std::mem::take(&mut self.cell));
        self.state = State::Start;
    }
}
