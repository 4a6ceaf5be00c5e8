//! Which column is which field where there is no header: by what stands in it.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};

use super::cell::{Cell, Row};
use super::date;
use super::field::Field;
use super::header::{How, Layout, NAME, Names, Taken};
use crate::ask::records::is_unknown;
use crate::data::import::post::linked;
use crate::error::Hint;
use crate::task::{Task, TaskKind};

impl Names<'_> {
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
pub fn is_data(row: &Row) -> bool {
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

fn list(columns: &[usize]) -> String {
    columns.iter().map(|column| (column + 1).to_string()).collect::<Vec<_>>().join(", ")
}
