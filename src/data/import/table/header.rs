//! Which column is which field: by `--map` or by its name.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail, ensure};

use super::cell::{Cell, Row};
use super::field::{FIELDS, Field, Mapping};
use super::guess::is_data;
use crate::ask::records::{folded, nearest};
use crate::error::Hint;
use crate::task::Task;

/// Rows in which the header is looked for, below titles.
const TITLES: usize = 20;
/// A text of more letters is no name of a column.
pub const NAME: usize = 60;

/// Why a column is taken for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `--map` says so.
    Mapped,
    /// Its name says so.
    Named,
    /// What stands in it says so.
    Guessed,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub field: Field,
    /// Index, from 0.
    pub column: usize,
    pub how: How,
}

/// Where the columns of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Line of the header.
    pub header: Option<u64>,
    /// Names of the columns, `column 3` where one has none.
    pub names: Vec<String>,
    /// Columns that are read, in the table's order.
    pub taken: Vec<Taken>,
    /// Columns that aren't read, each with the field that may be meant.
    pub unread: Vec<(String, Option<String>)>,
}

/// What a header's names are.
pub struct Names<'a> {
    /// In messages.
    pub name: &'a str,
    pub mapping: &'a [Mapping],
    pub tasks: &'a [Task],
}

impl Names<'_> {
    /// How many fields a row of names has.
    pub fn known(&self, cells: &[Cell]) -> usize {
        let mut fields: Vec<Field> = vec![];
        for cell in cells {
            let Cell::Text(name) = cell else { continue };
            let mapped = self.mapping.iter().find(|mapping| mapping.column == name.trim());
            let field = mapped.map(|mapping| mapping.field.clone());
            let of_name = || Field::of_column(name, self.tasks).map(|(field, _)| field);
            fields.extend(field.or_else(of_name).filter(|_| name.chars().count() <= NAME));
        }
        fields.sort();
        fields.dedup();
        fields.len()
    }

    /// The index of the header among the first rows.
    pub fn header(&self, head: &[Row]) -> Option<usize> {
        let filled = |row: &Row| match &row.cells {
            Ok(cells) => cells.iter().filter(|cell| **cell != Cell::Empty).count(),
            Err(_) => 0,
        };
        let rows = || head.iter().enumerate().take(TITLES);
        let known = |row: &Row| row.cells.as_ref().map_or(0, |cells| self.known(cells));
        let is_header = |row: &Row| known(row) >= 2 || known(row) == 1 && filled(row) <= 2;
        // The first of those that have most: a title may be a column's name too.
        let best = rows().rev().filter(|(_, row)| is_header(row)).max_by_key(|(_, row)| known(row));
        if let Some((index, _)) = best {
            return Some(index);
        }
        // Names that nobody knows, above what is no name.
        let widest = rows().map(|(_, row)| filled(row)).max().unwrap_or(0);
        let (index, first) = rows().find(|(_, row)| filled(row) > 0 && filled(row) * 2 > widest)?;
        let next = head.get(index + 1)?;
        (!is_data(first) && is_data(next)).then_some(index)
    }

    /// The layout under a header.
    ///
    /// # Errors
    /// Names the file, and the columns of which `--map` must choose, or none of which is known.
    pub fn layout(&self, header: &[String], line: Option<u64>) -> Result<Layout> {
        let last = header.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1);
        let name = |(index, name): (usize, &String)| match name.trim() {
            "" => format!("column {}", index + 1),
            name => name.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let names: Vec<String> = header[..last].iter().enumerate().map(name).collect();
        let mut layout = Layout { header: line, names, taken: self.mapped(&header[..last])?, unread: vec![] };
        let mut found: BTreeMap<Field, Vec<(usize, bool)>> = BTreeMap::new();
        let mut unread = vec![];
        for (column, name) in layout.names.iter().enumerate() {
            let is_mapped = layout.taken.iter().any(|taken| taken.column == column);
            match Field::of_column(name, self.tasks).filter(|_| !header[column].trim().is_empty()) {
                _ if is_mapped => {}
                Some((field, weak)) if layout.taken.iter().all(|taken| taken.field != field) => {
                    found.entry(field).or_default().push((column, weak));
                }
                _ => unread.push(column),
            }
        }
        for (field, columns) in found {
            let strong: Vec<usize> = columns.iter().filter(|(_, weak)| !weak).map(|(column, _)| *column).collect();
            let all: Vec<usize> = columns.iter().map(|(column, _)| *column).collect();
            let candidates = if strong.is_empty() { &all } else { &strong };
            if field.is_list() {
                let of = |column: &usize| Taken { field: field.clone(), column: *column, how: How::Named };
                layout.taken.extend(candidates.iter().map(of));
                continue;
            }
            let [column] = candidates[..] else {
                let names: Vec<&str> = candidates.iter().map(|column| layout.names[*column].as_str()).collect();
                let first = if header[..last].iter().filter(|name| name.trim() == names[0]).count() > 1 {
                    (candidates[0] + 1).to_string()
                } else {
                    names[0].to_owned()
                };
                bail!(
                    anyhow!("{}: {} could be the columns {}", self.name, field.name(), names.join(", "))
                        .hint(format!("say which: --map {}", quoted(&format!("{}={first}", field.name()))))
                );
            };
            unread.extend(all.into_iter().filter(|other| *other != column));
            layout.taken.push(Taken { field, column, how: How::Named });
        }
        unread.sort_unstable();
        let known: Vec<String> = self.fields().collect();
        layout.unread = unread
            .into_iter()
            .map(|column| {
                let name = layout.names[column].clone();
                let near = nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
                (name, near.filter(|near| layout.taken.iter().all(|taken| taken.field.name() != *near)))
            })
            .collect();
        self.check(layout)
    }

    /// What `--map` says of these columns; what isn't one of them is said of another table.
    pub fn mapped(&self, header: &[String]) -> Result<Vec<Taken>> {
        let mut taken: Vec<Taken> = vec![];
        for Mapping { field, column } in self.mapping {
            let is = |name: &String| name.trim() == column.as_str();
            let alike = |name: &String| folded(name) == folded(column) && !folded(column).is_empty();
            let number = column.parse().ok().filter(|number: &usize| (1..=header.len()).contains(number));
            let index = header.iter().position(is).or_else(|| header.iter().position(alike));
            // Other tables may have it.
            let Some(index) = index.or(number.map(|number| number - 1)) else { continue };
            ensure!(
                taken.iter().all(|taken| taken.field != *field),
                anyhow!("{}: --map names two of its columns for {}", self.name, field.name())
                    .hint("a field has one column; leave one out")
            );
            taken.push(Taken { field: field.clone(), column: index, how: How::Mapped });
        }
        Ok(taken)
    }

    /// Refuses what has nothing to read.
    pub fn check(&self, mut layout: Layout) -> Result<Layout> {
        layout.taken.sort_by_key(|taken| taken.column);
        let is_needed = |taken: &Taken| {
            matches!(taken.field, Field::Transcript | Field::Caption | Field::Id | Field::Shortcode | Field::Link)
        };
        ensure!(
            layout.taken.iter().any(is_needed),
            anyhow!(
                "{}: no column is known to hold a text or an id; there is {}",
                self.name,
                list_of(&layout.names.iter().collect::<Vec<_>>())
            )
            .hint("say which it is: --map transcript=COLUMN, by its name or its number from 1")
        );
        Ok(layout)
    }

    fn fields(&self) -> impl Iterator<Item = String> {
        let own = FIELDS.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "reference");
        own.chain(self.tasks.iter().map(|task| format!("reference.{}", task.name)))
    }
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|char| char.is_alphanumeric() || "._=-".contains(char));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Names, as many as one reads.
fn list_of(names: &[&String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<&str> = names.iter().take(MOST).map(|name| name.trim()).collect();
    shown.extend((names.len() > MOST).then_some("…"));
    shown.join(", ")
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
