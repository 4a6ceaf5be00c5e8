//! What stands in a table, whatever file it was in.

use std::ops::ControlFlow;

use anyhow::Result;

use crate::data::import::post::Skip;

/// One cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
    /// ISO 8601, UTC.
    Moment(String),
    /// Seconds.
    Length(f64),
    List(Vec<String>),
}

impl Cell {
    /// A text; nothing where it is blank.
    pub fn text(text: String) -> Cell {
        if text.trim().is_empty() { Cell::Empty } else { Cell::Text(text) }
    }

    /// As it is shown, and read where a text is wanted.
    pub fn shown(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) | Cell::Moment(text) => text.clone(),
            Cell::Whole(number) => number.to_string(),
            Cell::Number(number) | Cell::Length(number) => number.to_string(),
            Cell::Truth(truth) => truth.to_string(),
            Cell::List(items) => items.join(", "),
        }
    }
}

/// One row, or why it can't be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Counted from 1: the line of a text, the row of a sheet, the record of a Parquet file.
    pub line: u64,
    pub cells: Result<Vec<Cell>, Skip>,
}

/// What is done with each row; it says whether to go on.
pub type Each<'a> = &'a mut dyn FnMut(Row) -> Result<ControlFlow<()>>;
