//! Tables: CSV and the like, JSON objects, workbooks and Parquet, told by what is in them and not by their names.
//!
//! A table is read twice: what a column's dates and numbers mean is only known when all of it was seen. Memory doesn't
//! grow with the rows, but for a workbook's texts.

mod cell;
mod columns;
mod date;
mod facts;
mod field;
mod gold;
mod guess;
mod header;
mod json;
mod parquet;
mod text;
mod values;
mod workbook;

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, anyhow, bail, ensure};

use self::cell::{Cell, Each, Row};
pub use self::columns::Columns;
use self::columns::listed;
use self::facts::Facts;
use self::field::Field;
pub use self::field::Mapping;
use self::header::Names;
use self::header::{Layout, Taken};
use self::json::Objects;
use self::parquet::Parquet;
pub use self::text::Open;
use self::text::{Delimited, Encoding};
use self::values::Values;
use self::workbook::Workbook;
use super::post::{Read, Skip};
use crate::error::Hint;
use crate::task::Task;

/// Rows from which the layout is told.
const HEAD: usize = 100;

/// A file that may be a table.
pub struct Opened<'a> {
    /// For messages.
    pub name: &'a str,
    /// As it is; workbooks and Parquet are read by position.
    pub file: &'a File,
    /// Its text, decompressed and not in UTF-16, from the start each time.
    pub text: Open<'a>,
}

enum Table<'a> {
    Text(Delimited<'a>),
    Objects(Objects),
    Book(Box<Workbook<'a>>),
    Parquet(Parquet<'a>),
}

/// Reads a table, a post a row; rows that are none are given with the reason.
///
/// # Errors
/// Names the file that is broken, or of which it isn't known what its columns are; and whatever `each` says.
pub fn read(
    opened: &Opened,
    mapping: &[Mapping],
    tasks: &[Task],
    each: &mut dyn FnMut(Read) -> Result<()>,
) -> Result<Columns> {
    let names = Names { name: opened.name, mapping, tasks };
    let mut table = Table::open(opened, &names)?;
    let Survey { layout, facts, encoding } = survey(&mut table, &names)?;
    let is_told = |taken: &Taken| {
        matches!(taken.field, Field::Transcript | Field::Caption | Field::References | Field::Reference(_))
    };
    ensure!(
        !matches!(table, Table::Objects(_)) || layout.taken.iter().any(is_told),
        anyhow!("{}: no key is known to hold a text or a gold answer", opened.name)
            .hint("say which it is: --map transcript=KEY")
    );
    let mut values = Values::new(opened.name, tasks, &layout, &facts);
    let is_text = matches!(table, Table::Text(_));
    table.each(&mut |row| {
        let line = row.line;
        let at = |detail: String| format!("line {line}: {detail}");
        let read = match row.cells {
            _ if layout.header.is_some_and(|header| line <= header) => return Ok(ControlFlow::Continue(())),
            Ok(cells) if is_blank(&cells) => return Ok(ControlFlow::Continue(())),
            Ok(cells) if is_header(&cells, &layout) => Err(Skip::new("the header once more", format!("line {line}"))),
            Ok(cells) if is_text && !fits(&cells, &layout) => {
                let detail = format!("{} cells under a header of {}", cells.len(), layout.names.len());
                Err(Skip::new("more or fewer cells than the header has", at(detail)))
            }
            Ok(cells) => values.post(line, cells),
            Err(skip) => Err(Skip { detail: at(skip.detail), ..skip }),
        };
        each(read).map(ControlFlow::Continue)
    })?;
    let mut notes = table.notes(encoding);
    if values.made_ids > 0 {
        notes.push(format!("rows without an id: {}; it is made from their texts", values.made_ids));
    }
    let problems = values.problems;
    Ok(Columns { what: table.what(), layout, notes, problems })
}

/// What is known of a table when all of it was read once.
struct Survey {
    layout: Layout,
    /// Of each column that is read.
    facts: Vec<Facts>,
    encoding: Encoding,
}

fn survey(table: &mut Table, names: &Names) -> Result<Survey> {
    let mut layout = table.header().map(|header| names.layout(&header, None)).transpose()?;
    if let (Some(layout), Table::Parquet(parquet)) = (&layout, &mut *table) {
        parquet.keep(|column| layout.taken.iter().any(|taken| taken.column == column));
    }
    let mut facts = vec![Facts::default(); layout.as_ref().map_or(0, |layout| layout.taken.len())];
    let is_text = matches!(table, Table::Text(_));
    let add = |facts: &mut [Facts], layout: &Layout, row: &Row| {
        let Ok(cells) = &row.cells else { return };
        if is_header(cells, layout) || is_text && !fits(cells, layout) {
            return;
        }
        for (facts, taken) in facts.iter_mut().zip(&layout.taken) {
            facts.add(&taken.field, cells.get(taken.column).unwrap_or(&Cell::Empty));
        }
    };
    let mut head = vec![];
    let begin = |head: &[Row], facts: &mut Vec<Facts>| {
        let (layout, rest) = arrange(head, names)?;
        facts.resize(layout.taken.len(), Facts::default());
        rest.iter().for_each(|row| add(facts, &layout, row));
        anyhow::Ok(layout)
    };
    let encoding = table.each(&mut |row| {
        match &layout {
            Some(layout) => add(&mut facts, layout, &row),
            None if row.cells.as_ref().is_ok_and(|cells| is_blank(cells)) => {}
            None => head.push(row),
        }
        if head.len() == HEAD {
            layout = Some(begin(&std::mem::take(&mut head), &mut facts)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let layout = match layout {
        Some(layout) => layout,
        None => begin(&head, &mut facts)?,
    };
    Ok(Survey { layout, facts, encoding })
}

/// The layout that the first rows tell, and the rows below the header.
fn arrange<'a>(head: &'a [Row], names: &Names) -> Result<(Layout, &'a [Row])> {
    ensure!(
        !head.is_empty(),
        anyhow!("{}: the table has no rows", names.name).hint("is it the right file? it should have a header and rows")
    );
    let Some(index) = names.header(head) else { return Ok((names.guess(head)?, head)) };
    let cells = head[index].cells.as_deref().unwrap_or_default();
    let header: Vec<String> = cells.iter().map(Cell::shown).collect();
    Ok((names.layout(&header, Some(head[index].line))?, &head[index + 1..]))
}

fn is_blank(cells: &[Cell]) -> bool {
    cells.iter().all(|cell| *cell == Cell::Empty)
}

/// Whether a row is the header again, as in files that were put together.
fn is_header(cells: &[Cell], layout: &Layout) -> bool {
    let is_name = |taken: &Taken| {
        cells
            .get(taken.column)
            .is_some_and(|cell| matches!(cell, Cell::Text(text) if *text == layout.names[taken.column]))
    };
    layout.header.is_some() && layout.taken.iter().all(is_name)
}

/// Whether a row has a cell for each name; more are no matter where they are empty.
fn fits(cells: &[Cell], layout: &Layout) -> bool {
    cells.len() >= layout.names.len() && is_blank(&cells[layout.names.len()..])
}

impl<'a> Table<'a> {
    /// Told by what is in the file.
    fn open(opened: &Opened<'a>, names: &Names) -> Result<Table<'a>> {
        let name = opened.name;
        let mut start = [0; 4];
        let read = opened.file.read_at(&mut start, 0).with_context(|| format!("{name}: cannot be read"))?;
        match &start[..read] {
            b"PK\x03\x04" => {
                let known = |head: &[Row]| {
                    let known = head.iter().filter_map(|row| row.cells.as_ref().ok()).map(|cells| names.known(cells));
                    known.max().unwrap_or(0)
                };
                return Ok(Table::Book(Box::new(Workbook::open(name, opened.file, &known)?)));
            }
            b"PAR1" => return Ok(Table::Parquet(Parquet::open(name, opened.file)?)),
            b"\xd0\xcf\x11\xe0" => bail!(
                anyhow!("{name}: a workbook in XLS, or one with a password, which isn't read")
                    .hint("save it as XLSX without a password, or as CSV in UTF-8")
            ),
            _ => {}
        }
        let mut text = (opened.text)()?;
        let start = text.fill_buf().with_context(|| format!("{name}: cannot be read"))?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        match start {
            [b'{' | b'[', ..] => Ok(Table::Objects(Objects::open(name, text)?)),
            [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'?', ..] => bail!(
                anyhow!("{name}: a web page or XML, not a table")
                    .hint("open it in a spreadsheet program and save it as XLSX, or as CSV in UTF-8")
            ),
            _ => {
                let is_name = |line: &str| names.known(&[Cell::Text(line.to_owned())]) == 1;
                Ok(Table::Text(Delimited::open(name, opened.text, &is_name)?))
            }
        }
    }

    /// The names of the columns, where the file has them apart from its rows.
    fn header(&self) -> Option<Vec<String>> {
        match self {
            Table::Text(_) | Table::Book(_) => None,
            Table::Objects(objects) => Some(objects.keys.iter().cloned().collect()),
            Table::Parquet(parquet) => Some(parquet.header.clone()),
        }
    }

    fn each(&mut self, each: Each) -> Result<Encoding> {
        match self {
            Table::Text(text) => return text.each(each),
            Table::Objects(objects) => objects.each(each)?,
            Table::Book(book) => book.each(each)?,
            Table::Parquet(parquet) => parquet.each(each)?,
        }
        Ok(Encoding::default())
    }

    fn what(&self) -> String {
        match self {
            Table::Text(text) => text.what().to_owned(),
            Table::Objects(_) => "JSON objects".to_owned(),
            Table::Book(book) => book.what(),
            Table::Parquet(_) => "Parquet".to_owned(),
        }
    }

    fn notes(&self, encoding: Encoding) -> Vec<String> {
        let mut notes = vec![];
        match self {
            Table::Book(book) if !book.others.is_empty() => notes.push(format!(
                "sheets that are not read: {}; to import one, save it as a file of its own",
                listed(&book.others)
            )),
            Table::Objects(objects) => {
                if !objects.nested.is_empty() {
                    notes.push(format!("keys of what is no cell, not read: {}", listed(&objects.nested)));
                }
                if objects.more {
                    notes.push(format!("more than {} keys: the rest is not read", objects.keys.len()));
                }
            }
            Table::Parquet(parquet) if !parquet.nested.is_empty() => {
                notes.push(format!("columns of what is no cell, not read: {}", listed(&parquet.nested)))
            }
            _ => {}
        }
        if encoding.windows_1252 > 0 {
            notes.push(format!("rows not in UTF-8: {}, read as Windows-1252 (Latin-1)", encoding.windows_1252));
        }
        if encoding.broken > 0 {
            notes.push(format!("rows with bytes that are no characters: {}, they stand as \u{fffd}", encoding.broken));
        }
        notes
    }
}

#[cfg(test)]
mod tests;
