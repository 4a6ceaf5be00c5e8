//! XLSX: sheets are read cell by cell; what is held are the workbook's texts, each once.
//!
//! XLS, XLSB and ODS are refused: their readers hold whole sheets as rectangles, which a few bytes can make as large as
//! memory.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow, bail, ensure};
use calamine::{DataRef, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx};
use memchr::memmem;
use zip::ZipArchive;

use super::cell::{Cell, Each, Row};
use crate::error::Hint;

/// Of all parts of a workbook together, unpacked.
const UNPACKED: u64 = 1 << 30;
/// So much may be unpacked whatever the file's size ...
const SMALL: u64 = 64 << 20;
/// ... and more only up to this many times it. Sheets are packed to a tenth, of equal rows to a fiftieth.
const RATIO: u64 = 200;
/// Text between two tags, of which Excel has 32,767 characters at most.
const TEXT: usize = 1 << 20;
const CELLS: u64 = 50_000_000;
/// Parts without tags.
const MEDIA: [&str; 8] = [".png", ".jpg", ".jpeg", ".gif", ".emf", ".wmf", ".bin", ".vml"];
/// Of a sheet that Excel can hold.
const COLUMNS: u32 = 16_384;
const SAVE: &str = "save the sheet as CSV in UTF-8, and import that";

/// A workbook, with the sheet that is read.
pub struct Workbook<'a> {
    name: &'a str,
    book: Xlsx<BufReader<File>>,
    sheet: String,
    /// Those that are not read.
    pub others: Vec<String>,
}

impl<'a> Workbook<'a> {
    /// Opens a workbook and chooses the sheet whose first rows `known` values most, the first of equal ones.
    ///
    /// # Errors
    /// Names the file that is broken, too large unpacked, or without a sheet.
    pub fn open(name: &'a str, file: &File, known: &dyn Fn(&[Row]) -> usize) -> Result<Workbook<'a>> {
        check(name, file)?;
        let book = guarded(name, || Ok(Xlsx::new(again(file)?)?))?;
        let is_shown =
            |sheet: &&calamine::Sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible;
        let sheets: Vec<String> =
            book.sheets_metadata().iter().filter(is_shown).map(|sheet| sheet.name.clone()).collect();
        let mut workbook = Workbook { name, book, sheet: String::new(), others: vec![] };
        let mut best: Option<(usize, String)> = None;
        for sheet in &sheets {
            workbook.sheet.clone_from(sheet);
            let mut head = vec![];
            workbook.each(&mut |row| {
                head.push(row);
                Ok(if head.len() < super::HEAD { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            let value = known(&head) * 2 + usize::from(!head.is_empty());
            if value > best.as_ref().map_or(0, |(best, _)| *best) {
                best = Some((value, sheet.clone()));
            }
        }
        let Some((_, sheet)) = best else {
            bail!(anyhow!("{name}: no sheet of this workbook has a cell that is filled").hint(SAVE));
        };
        workbook.others = sheets.into_iter().filter(|other| *other != sheet).collect();
        Ok(Workbook { sheet, ..workbook })
    }

    /// For people.
    pub fn what(&self) -> String {
        format!("a workbook, sheet {:?}", self.sheet)
    }

    /// Reads all rows that have a cell, as far as they are filled.
    ///
    /// # Errors
    /// Names the file and the row behind which it is broken; and whatever `each` says.
    pub fn each(&mut self, each: Each) -> Result<()> {
        let (name, sheet) = (self.name, &self.sheet);
        let mut reader = guarded(name, || Ok(self.book.worksheet_cells_reader(sheet)?))?;
        let (mut row, mut cells, mut read) = (0, vec![], 0);
        loop {
            let next = guarded(name, || Ok(reader.next_cell()?))
                .map_err(|error| error.context(format!("sheet {sheet:?}, behind row {}", row + 1)))?;
            let Some(cell) = next else { break };
            read += 1;
            let (at, column) = cell.get_position();
            ensure!(
                read <= CELLS && column < COLUMNS,
                anyhow!("{name}: sheet {sheet:?}: more than {CELLS} cells, or {COLUMNS} in a row").hint(SAVE)
            );
            if at != row && !cells.is_empty() {
                let cells = Ok(std::mem::take(&mut cells));
                if each(Row { line: u64::from(row) + 1, cells })?.is_break() {
                    return Ok(());
                }
            }
            row = at;
            let value = value(cell.get_value());
            if value != Cell::Empty {
                cells.resize(cells.len().max(column as usize + 1), Cell::Empty);
                cells[column as usize] = value;
            }
        }
        if !cells.is_empty() {
            // Whatever it says, nothing follows.
            let _ = each(Row { line: u64::from(row) + 1, cells: Ok(cells) })?;
        }
        Ok(())
    }
}

fn value(value: &DataRef) -> Cell {
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(number) => Cell::Whole(*number),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::String(text) => Cell::text(text.clone()),
        DataRef::SharedString(text) => Cell::text((*text).to_owned()),
        DataRef::Bool(truth) => Cell::Truth(*truth),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::text(text.clone()),
        DataRef::DateTime(moment) => time(moment),
        // #N/A and the like say that nothing is known.
        DataRef::Error(_) => Cell::Text("N/A".into()),
    }
}

/// A moment, or a length where Excel shows hours or no day.
fn time(moment: &ExcelDateTime) -> Cell {
    let days = moment.as_f64();
    if moment.is_duration() || (0.0..1.0).contains(&days) {
        // To the millisecond: days are counted in binary fractions.
        return Cell::Length((days * 86_400_000.0).round() / 1000.0);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    Cell::Moment(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

fn again(file: &File) -> Result<BufReader<File>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(BufReader::new(file))
}

/// Unpacks every part once, keeping nothing, so that none is read that would fill memory.
fn check(name: &str, file: &File) -> Result<()> {
    let bytes = file.metadata()?.len();
    let most = UNPACKED.min(SMALL.max(bytes.saturating_mul(RATIO)));
    let too_large = |what: String| anyhow!("{name}: {what}: made to fill memory, or too large a workbook").hint(SAVE);
    let broken = |error: &dyn std::fmt::Display| {
        anyhow!("{name}: the workbook is broken or cut off: {error}").hint("copy or save it again, or save it as CSV")
    };
    let mut archive = ZipArchive::new(again(file)?).map_err(|error| broken(&error))?;
    let is = |part: &str, archive: &ZipArchive<_>| archive.index_for_name(part).is_some();
    ensure!(
        !is("xl/workbook.bin", &archive) && !is("content.xml", &archive),
        anyhow!("{name}: a workbook in XLSB or ODS, which isn't read").hint("save it as XLSX, or as CSV in UTF-8")
    );
    let mut total = 0;
    let mut buffer = vec![0; 1 << 16];
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(|error| broken(&error))?;
        let part_name = part.name().map_err(|error| broken(&error))?.to_lowercase();
        let is_media = MEDIA.iter().any(|ending| part_name.ends_with(ending));
        ensure!(
            part.size() <= most,
            too_large(format!("a part of {} bytes says that it unpacks to {}", part.compressed_size(), part.size()))
        );
        let (start, mut text, mut most_counted) = (total, 0, 0);
        loop {
            let read = part.read(&mut buffer).map_err(|error| broken(&error))?;
            if read == 0 {
                break;
            }
            total += read as u64;
            ensure!(total <= most, too_large(format!("{bytes} bytes unpack to more than {most}")));
            let read = &buffer[..read];
            text = memchr::memrchr(b'<', read).map_or(text + read.len(), |at| read.len() - at);
            ensure!(text <= TEXT || is_media, too_large(format!("a text of more than {TEXT} bytes")));
            most_counted = most_counted.max(counted(read));
        }
        // Room is made for as many as a part says that it has.
        ensure!(most_counted <= total - start, too_large(format!("a part says that it has {most_counted} entries")));
    }
    Ok(())
}

/// The highest number that an attribute `count` or `uniqueCount` has.
fn counted(xml: &[u8]) -> u64 {
    let counts = memmem::find_iter(xml, b"ount=\"").map(|at| {
        let digits = xml[at + 6..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0u64, |count, digit| count.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    });
    counts.max().unwrap_or(0)
}

/// The reader is other people's, and files are anybody's: what makes it panic is a broken file.
fn guarded<T>(name: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let broken = |what: String| {
        anyhow!("{name}: the workbook is broken: {what}").hint("open it, save it again as XLSX or as CSV in UTF-8")
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| broken(format!("{error:#}"))),
        Err(_) => Err(broken("its reader gave up".into())),
    }
}
