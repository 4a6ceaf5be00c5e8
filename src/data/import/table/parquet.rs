//! Parquet, a batch of rows of a row group at a time. Structs are taken apart; lists of texts are lists, deeper ones are
//! left.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow, ensure};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::cell::{Cell, Each, Row};
use crate::error::Hint;

/// Rows that are held at once.
const BATCH: usize = 1024;
/// A column of a row group, unpacked: one page of it may be all of it.
const COLUMN: i64 = 1 << 30;

/// A Parquet file.
pub struct Parquet<'a> {
    name: &'a str,
    reader: SerializedFileReader<File>,
    /// Indices of the columns, each in the header's place; `None` for those that nobody asks for.
    columns: Vec<Option<usize>>,
    /// Their names; of a field of a struct, with the struct's before a dot.
    pub header: Vec<String>,
    /// Names of columns that can't be a cell.
    pub nested: Vec<String>,
}

impl<'a> Parquet<'a> {
    /// Reads what columns there are.
    ///
    /// # Errors
    /// Names the file that is broken or would fill memory.
    pub fn open(name: &'a str, file: &File) -> Result<Parquet<'a>> {
        let reader = guarded(name, || Ok(SerializedFileReader::new(file.try_clone()?)?))?;
        let metadata = reader.metadata();
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            let (name_of, bytes) = (column.column_path().string(), column.uncompressed_size());
            ensure!(
                (0..=COLUMN).contains(&bytes),
                anyhow!("{name}: column {name_of} says that {bytes} bytes of it belong together")
                    .hint("write the file with smaller row groups, e.g. row_group_size=100000 in pandas")
            );
            let offsets =
                [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(column.compressed_size())];
            ensure!(
                offsets.into_iter().flatten().all(|offset| offset >= 0),
                anyhow!("{name}: the Parquet file is broken: column {name_of} begins before the file")
                    .hint("copy or write it again")
            );
        }
        let (mut columns, mut header, mut nested) = (vec![], vec![], vec![]);
        for (index, column) in metadata.file_metadata().schema_descr().columns().iter().enumerate() {
            let parts = column.path().parts();
            if column.max_rep_level() == 0 && is_read(column) {
                columns.push(Some(index));
                header.push(parts.join("."));
            } else if column.max_rep_level() == 1 && parts.len() <= 3 && column.physical_type() == Type::BYTE_ARRAY {
                columns.push(Some(index));
                header.push(parts[0].clone());
            } else {
                let name = if column.max_rep_level() == 0 { parts.join(".") } else { parts[0].clone() };
                nested.push(name);
            }
        }
        nested.dedup();
        Ok(Parquet { name, reader, columns, header, nested })
    }

    /// Leaves all other columns out.
    pub fn keep(&mut self, is_kept: impl Fn(usize) -> bool) {
        self.columns
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| !is_kept(*index))
            .for_each(|(_, column)| *column = None);
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// Names the file and the row group that is broken; and whatever `each` says.
    pub fn each(&self, each: Each) -> Result<()> {
        let mut line = 0;
        for group in 0..self.reader.num_row_groups() {
            let place = |error: anyhow::Error| error.context(format!("row group {group}"));
            let opened = guarded(self.name, || {
                let group = self.reader.get_row_group(group)?;
                let reader = |column: &Option<usize>| column.map(|column| group.get_column_reader(column)).transpose();
                Ok(self.columns.iter().map(reader).collect::<parquet::errors::Result<Vec<_>>>()?)
            });
            let mut readers = opened.map_err(place)?;
            let schema = self.reader.metadata().file_metadata().schema_descr();
            loop {
                let batch = guarded(self.name, || {
                    let read = |(reader, column): (&mut Option<ColumnReader>, &Option<usize>)| match (reader, column) {
                        (Some(reader), Some(column)) => cells(reader, &schema.column(*column)).map(Some),
                        _ => Ok(None),
                    };
                    readers.iter_mut().zip(&self.columns).map(read).collect::<Result<Vec<_>>>()
                });
                let batch = batch.map_err(place)?;
                let rows = batch.iter().flatten().map(Vec::len).max().unwrap_or(0);
                let same = batch.iter().flatten().all(|column| column.len() == rows);
                ensure!(same, place(anyhow!("{}: columns of unequal length", self.name).hint("write the file again")));
                if rows == 0 {
                    break;
                }
                let mut columns: Vec<_> =
                    batch.into_iter().map(|column| column.unwrap_or_default().into_iter()).collect();
                for _ in 0..rows {
                    line += 1;
                    let cells = Ok(columns.iter_mut().map(|column| column.next().unwrap_or_default()).collect());
                    if each(Row { line, cells })?.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a value of the column is a cell.
fn is_read(column: &ColumnDescriptor) -> bool {
    let is_time = matches!(column.converted_type(), ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS)
        || matches!(column.logical_type_ref(), Some(LogicalType::Time(_)));
    let is_decimal = column.converted_type() == ConvertedType::DECIMAL;
    match column.physical_type() {
        Type::FIXED_LEN_BYTE_ARRAY => false,
        Type::BYTE_ARRAY => !is_decimal && column.converted_type() != ConvertedType::BSON,
        _ => !is_time,
    }
}

/// The next cells of a column.
fn cells(reader: &mut ColumnReader, column: &ColumnDescriptor) -> Result<Vec<Cell>> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => batch(reader, column, |value| Cell::Truth(*value)),
        ColumnReader::Int32ColumnReader(reader) => batch(reader, column, |value| match column.converted_type() {
            ConvertedType::DATE => moment(i64::from(*value), 86_400, 1),
            ConvertedType::UINT_32 => Cell::Whole(i64::from(*value as u32)),
            _ => whole(i64::from(*value), column),
        }),
        ColumnReader::Int64ColumnReader(reader) => {
            let per_second = match (column.logical_type_ref(), column.converted_type()) {
                (Some(LogicalType::Timestamp(time)), _) if time.unit == TimeUnit::NANOS => Some(1_000_000_000),
                (_, ConvertedType::TIMESTAMP_MICROS) => Some(1_000_000),
                (_, ConvertedType::TIMESTAMP_MILLIS) => Some(1_000),
                _ => None,
            };
            batch(reader, column, |value| match per_second {
                Some(per_second) => moment(*value, 1, per_second),
                None if column.converted_type() == ConvertedType::UINT_64 && *value < 0 => {
                    Cell::Number(*value as u64 as f64)
                }
                None => whole(*value, column),
            })
        }
        ColumnReader::Int96ColumnReader(reader) => batch(reader, column, |value| moment(value.to_seconds(), 1, 1)),
        ColumnReader::FloatColumnReader(reader) => batch(reader, column, |value| Cell::Number(shortest(*value))),
        ColumnReader::DoubleColumnReader(reader) => batch(reader, column, |value| Cell::Number(*value)),
        ColumnReader::ByteArrayColumnReader(reader) if column.max_rep_level() > 0 => lists(reader, column),
        ColumnReader::ByteArrayColumnReader(reader) => batch(reader, column, |value| Cell::text(text(value))),
        ColumnReader::FixedLenByteArrayColumnReader(_) => Ok(vec![]),
    }
}

/// The number that one of 32 bits was written for: 41.2, not 41.20000076.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

fn text(value: &ByteArray) -> String {
    String::from_utf8_lossy(value.data()).into_owned()
}

fn whole(value: i64, column: &ColumnDescriptor) -> Cell {
    match column.type_scale() {
        scale if scale > 0 && column.converted_type() == ConvertedType::DECIMAL => {
            Cell::Number(value as f64 / 10f64.powi(scale))
        }
        _ => Cell::Whole(value),
    }
}

/// A moment that lies so many times a unit after 1970; nothing where there is no such moment.
fn moment(value: i64, seconds: i64, per_second: i64) -> Cell {
    let moment = value.checked_mul(seconds).map(|value| value.div_euclid(per_second));
    let moment = moment.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or(Cell::Empty, |moment| Cell::Moment(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

fn batch<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    column: &ColumnDescriptor,
    cell: impl Fn(&T::T) -> Cell,
) -> Result<Vec<Cell>> {
    let (mut values, mut levels) = (vec![], vec![]);
    let (rows, ..) = reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
    if column.max_def_level() == 0 {
        return Ok(values.iter().map(cell).collect());
    }
    let mut values = values.iter();
    let cell = |level: &i16| if *level == column.max_def_level() { values.next().map(&cell) } else { None };
    Ok(levels.iter().take(rows).map(cell).map(Option::unwrap_or_default).collect())
}

/// Lists of texts.
fn lists(
    reader: &mut ColumnReaderImpl<parquet::data_type::ByteArrayType>,
    column: &ColumnDescriptor,
) -> Result<Vec<Cell>> {
    let (mut values, mut levels, mut repeats) = (vec![], vec![], vec![]);
    reader.read_records(BATCH, Some(&mut levels), Some(&mut repeats), &mut values)?;
    let mut values = values.iter();
    let mut rows: Vec<Vec<String>> = vec![];
    for (level, repeat) in levels.iter().zip(repeats) {
        if repeat == 0 || rows.is_empty() {
            rows.push(vec![]);
        }
        if *level == column.max_def_level()
            && let (Some(value), Some(row)) = (values.next(), rows.last_mut())
        {
            row.push(text(value));
        }
    }
    Ok(rows.into_iter().map(|items| if items.is_empty() { Cell::Empty } else { Cell::List(items) }).collect())
}

/// The reader is other people's, and files are anybody's: what makes it panic is a broken file.
fn guarded<T>(name: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let broken =
        |what: String| anyhow!("{name}: the Parquet file is broken or cut off: {what}").hint("copy or write it again");
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| broken(format!("{error:#}"))),
        Err(_) => Err(broken("its reader gave up".into())),
    }
}
