//! Which column is which field: by `--map`, by its name, or by what stands in it.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail, ensure};

use super::cell::{Cell, Row};
use super::date;
use super::field::{FIELDS, Field, Mapping};
use crate::ask::records::{folded, is_unknown, nearest};
use crate::data::import::post::linked;
use crate::error::{Hint, did_you_mean};
use crate::task::{Task, TaskKind};

/// Rows in which the header is looked for, below titles.
const TITLES: usize = 20;
/// A text of more letters is no name of a column.
const NAME: usize = 60;

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
    #[expect(missing_docs, reason = "the type says it")]
    pub field: Field,
    /// Index, from 0.
    pub column: usize,
    #[expect(missing_docs, reason = "the type says it")]
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
        let rows = || head.iter().take(TITLES).enumerate();
        let is_header = |(_, row): &(usize, &Row)| {
            let known = row.cells.as_ref().map_or(0, |cells| self.known(cells));
            known >= 2 || known == 1 && filled(row) <= 2
        };
        if let Some((index, _)) = rows().find(is_header) {
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

    /// The layout of rows without a header.
    ///
    /// # Errors
    /// As [`Names::layout`].
    pub fn guess(&self, head: &[Row]) -> Result<Layout> {
        let rows: Vec<&Vec<Cell>> = head.iter().filter_map(|row| row.cells.as_ref().ok()).collect();
        let mut often: BTreeMap<usize, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *often.entry(row.len()).or_default() += 1);
        let width = often.iter().max_by_key(|(_, often)| **often).map_or(0, |(width, _)| *width);
        let names: Vec<String> = (1..=width).map(|number| format!("column {number}")).collect();
        let mut layout =
            Layout { header: None, taken: self.mapped(&vec![String::new(); width])?, names, unread: vec![] };
        let mut texts = vec![];
        for column in 0..width {
            if layout.taken.iter().any(|taken| taken.column == column) {
                continue;
            }
            let cells: Vec<&Cell> =
                rows.iter().filter_map(|row| row.get(column)).filter(|cell| **cell != Cell::Empty).collect();
            let sort = self.sort(&cells);
            if let Sort::Text = sort {
                texts.push(column);
            }
            match sort {
                Sort::Field(field) if layout.taken.iter().all(|taken| taken.field != field) => {
                    layout.taken.push(Taken { field, column, how: How::Guessed });
                }
                Sort::Text => {}
                sort => layout.unread.push((format!("column {} ({})", column + 1, sort.what()), None)),
            }
        }
        let is_text = |taken: &Taken| matches!(taken.field, Field::Transcript | Field::Caption);
        match (layout.taken.iter().any(is_text), &texts[..]) {
            (_, []) => {}
            (true, _) => {
                layout.unread.extend(texts.iter().map(|column| (format!("column {} (texts)", column + 1), None)))
            }
            (false, [column]) => {
                layout.taken.push(Taken { field: Field::Transcript, column: *column, how: How::Guessed });
            }
            (false, [first, second, ..]) => {
                bail!(anyhow!("{}: there is no header, and the columns {} hold texts", self.name, list(&texts)).hint(
                    format!(
                        "say which is which, e.g. --map caption={} --map transcript={}, or write a header",
                        first + 1,
                        second + 1
                    )
                ))
            }
        }
        self.check(layout)
    }

    fn mapped(&self, header: &[String]) -> Result<Vec<Taken>> {
        let mut taken: Vec<Taken> = vec![];
        for Mapping { field, column } in self.mapping {
            let is = |name: &String| name.trim() == column.as_str();
            let alike = |name: &String| folded(name) == folded(column) && !folded(column).is_empty();
            let number = column.parse().ok().filter(|number: &usize| (1..=header.len()).contains(number));
            let index = header.iter().position(is).or_else(|| header.iter().position(alike));
            let Some(index) = index.or(number.map(|number| number - 1)) else {
                let names: Vec<&String> = header.iter().filter(|name| !name.trim().is_empty()).collect();
                let shown = match names[..] {
                    [] => format!("there is no header, and {} columns", header.len()),
                    _ => format!("there is {}", list_of(&names)),
                };
                bail!(
                    anyhow!("{}: --map {}={column}: no column {column:?}; {shown}", self.name, field.name())
                        .hint(format!("{}name a column, or give its number from 1", did_you_mean(column, names)))
                );
            };
            ensure!(
                taken.iter().all(|taken| taken.field != *field),
                anyhow!("--map {}=… stands twice", field.name()).hint("a field has one column; leave one out")
            );
            taken.push(Taken { field: field.clone(), column: index, how: How::Mapped });
        }
        Ok(taken)
    }

    /// Refuses what has nothing to read.
    fn check(&self, mut layout: Layout) -> Result<Layout> {
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

    /// What the cells of a column are.
    fn sort(&self, cells: &[&Cell]) -> Sort {
        let texts: Vec<String> = cells.iter().map(|cell| cell.shown()).filter(|text| !is_unknown(text)).collect();
        if texts.is_empty() {
            return Sort::Nothing;
        }
        let all = |is: &dyn Fn(&str) -> bool| texts.iter().all(|text| is(text.trim()));
        let is_label = |task: &&Task| {
            task.kind == TaskKind::Label && texts.len() >= 2 && all(&|text| task.label_said(text).is_some())
        };
        if all(&|text| linked(text).is_some()) {
            Sort::Field(Field::Link)
        } else if all(&is_media_number) {
            Sort::Field(Field::Id)
        } else if all(&is_shortcode) {
            Sort::Field(Field::Shortcode)
        } else if let Some(task) = self.tasks.iter().find(is_label) {
            Sort::Field(Field::Reference(task.name.clone()))
        } else if all(&is_number) {
            Sort::Numbers
        } else if all(&|text| date::read(text, false).is_some()) {
            Sort::Field(Field::PostedAt)
        } else if texts.iter().map(|text| text.chars().count()).sum::<usize>() > 30 * texts.len() {
            Sort::Text
        } else {
            Sort::Words
        }
    }
}

/// What stands in a column without a name.
enum Sort {
    Field(Field),
    Numbers,
    /// Texts of a sentence or more.
    Text,
    Words,
    Nothing,
}

impl Sort {
    fn what(&self) -> &'static str {
        match self {
            Sort::Field(_) => "as another one",
            Sort::Numbers => "numbers",
            Sort::Text => "texts",
            Sort::Words => "words",
            Sort::Nothing => "empty",
        }
    }
}

/// Whether a row holds what no header does.
fn is_data(row: &Row) -> bool {
    let is = |cell: &Cell| match cell {
        Cell::Empty => false,
        Cell::Text(text) => {
            let text = text.trim();
            text.chars().count() > NAME
                || text.contains("://")
                || is_number(text)
                || is_shortcode(text) && text.bytes().any(|byte| byte.is_ascii_digit())
                || date::read(text, false).is_some()
        }
        _ => true,
    };
    row.cells.as_ref().is_ok_and(|cells| cells.iter().any(is))
}

fn is_number(text: &str) -> bool {
    let rest: &str = text.trim_start_matches(['-', '+']);
    rest.starts_with(|char: char| char.is_ascii_digit())
        && rest.len() <= 20
        && rest.chars().all(|char| char.is_ascii_digit() || ".,:".contains(char))
}

/// Instagram's number of a post, which may have that of its account behind `_`.
pub fn is_media_number(text: &str) -> bool {
    let number = text.split('_').next().unwrap_or_default();
    matches!(number.len(), 18 | 19) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text has the form of a post's name in links.
fn is_shortcode(text: &str) -> bool {
    text.len() == 11
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|char| char.is_alphanumeric() || "._=-".contains(char));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn list(columns: &[usize]) -> String {
    columns.iter().map(|column| (column + 1).to_string()).collect::<Vec<_>>().join(", ")
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
