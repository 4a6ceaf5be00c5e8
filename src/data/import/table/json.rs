//! JSON objects, a row each: the columns are all keys that there are, those of an object within with its own before a dot.

use std::collections::BTreeSet;
use std::io::BufRead;

use anyhow::Result;
use indexmap::IndexSet;
use serde_json::{Map, Value};

use super::cell::{Cell, Each, Row};
use crate::ask::records::{NO_NUMBER, lenient};
use crate::data::import::post::Skip;
use crate::lines::{Line, Lines, objects};

/// Keys that are told apart: objects by id are no table.
const KEYS: usize = 1000;
/// Objects within objects.
const DEPTH: usize = 3;

/// Objects that were taken apart, one a line.
pub struct Objects {
    lines: Lines,
    pub keys: IndexSet<String>,
    /// Keys of what is no cell.
    pub nested: BTreeSet<String>,
    /// Whether there are more keys than are read.
    pub more: bool,
}

impl Objects {
    /// Reads the text, and which keys there are.
    ///
    /// # Errors
    /// Names the file and the line that can't be read.
    pub fn open(name: &str, text: Box<dyn BufRead + '_>) -> Result<Objects> {
        let mut objects =
            Objects { lines: objects(name, text)?, keys: IndexSet::new(), nested: BTreeSet::new(), more: false };
        let Objects { lines, keys, nested, more } = &mut objects;
        lines.each(|line| {
            let Ok(fields) = object(&line) else { return Ok(()) };
            flat("", fields, 0, &mut |key, cell| match cell {
                None if nested.len() < KEYS => drop(nested.insert(key)),
                Some(_) if keys.len() < KEYS => drop(keys.insert(key)),
                None => {}
                Some(_) => *more |= !keys.contains(&key),
            });
            Ok(())
        })?;
        Ok(objects)
    }

    /// Reads all objects.
    ///
    /// # Errors
    /// Names the file and the line that can't be read; and whatever `each` says.
    pub fn each(&self, each: Each) -> Result<()> {
        let mut ended = false;
        self.lines.each(|line| {
            if ended {
                return Ok(());
            }
            let cells = object(&line).map(|fields| {
                let mut cells = vec![Cell::Empty; self.keys.len()];
                flat("", fields, 0, &mut |key, cell| {
                    if let (Some(index), Some(cell)) = (self.keys.get_index_of(&key), cell) {
                        cells[index] = cell;
                    }
                });
                cells
            });
            ended = each(Row { line: u64::from(line.place.number), cells })?.is_break();
            Ok(())
        })
    }
}

fn object(line: &Line) -> Result<Map<String, Value>, Skip> {
    let start = || String::from_utf8_lossy(line.bytes).chars().take(60).collect::<String>();
    let text = std::str::from_utf8(line.bytes).map_err(|_| Skip::new("not UTF-8", start()))?;
    match lenient(text) {
        Ok((fields, _)) => Ok(fields),
        Err(_) if !text.trim_start().starts_with('{') => Err(Skip::new("no JSON object", start())),
        Err(error) => Err(Skip::new("broken JSON", format!("{error}: {}", start()))),
    }
}

/// Every value with the path of its keys; nothing of one that is no cell.
fn flat(before: &str, fields: Map<String, Value>, depth: usize, each: &mut dyn FnMut(String, Option<Cell>)) {
    for (key, value) in fields {
        let key = if before.is_empty() { key } else { format!("{before}.{key}") };
        match value {
            Value::Object(fields) if depth < DEPTH => flat(&key, fields, depth + 1, each),
            value => each(key, cell(value)),
        }
    }
}

fn cell(value: Value) -> Option<Cell> {
    Some(match value {
        Value::Null => Cell::Empty,
        Value::Bool(truth) => Cell::Truth(truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cell::Whole(whole),
            (None, number) => Cell::Number(number?),
        },
        Value::String(text) => Cell::text(text.trim_start_matches(NO_NUMBER).to_owned()),
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.into_iter().map(|item| Some(cell(item)?.shown())).collect();
            match texts? {
                texts if texts.is_empty() => Cell::Empty,
                texts => Cell::List(texts),
            }
        }
        Value::Object(_) => return None,
    })
}
