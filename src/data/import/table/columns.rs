//! How a table was read, as people are told it.

use std::fmt;

use super::field::Mapping;
use super::header::{How, Layout, Taken};
use crate::ask::records::Problems;

/// Columns that aren't read are named up to so many.
const UNREAD: usize = 20;

/// How a table was read, to be shown.
#[derive(Debug)]
pub struct Columns {
    /// What the file is.
    pub what: String,
    /// Which column is which field.
    pub layout: Layout,
    /// What else is to be said of the file, once.
    pub notes: Vec<String>,
    /// What was mended, odd or left out of cells.
    pub problems: Problems,
}

impl Columns {
    /// Whether a column was taken because of this.
    pub fn is_mapped(&self, mapping: &Mapping) -> bool {
        self.layout.taken.iter().any(|taken| taken.how == How::Mapped && taken.field == mapping.field)
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { header, names, taken, unread } = &self.layout;
        write!(formatter, "{}", self.what)?;
        match header {
            Some(line) if *line > 1 => write!(formatter, ", header on line {line}")?,
            None if taken.iter().any(|taken| taken.how == How::Guessed) => {
                write!(formatter, ", no header: columns are told by what stands in them")?;
            }
            _ => {}
        }
        for Taken { field, column, how } in taken {
            let how = if *how == How::Mapped { " (--map)" } else { "" };
            write!(formatter, "\n  {} ← {}{how}", field.name(), names[*column])?;
        }
        let mut unread: Vec<_> = unread.iter().collect();
        unread.sort_by_key(|(_, near)| near.is_none());
        let shown = |(name, near): &&(String, Option<String>)| match near {
            Some(near) => format!("{name} ({near}?)"),
            None => name.clone(),
        };
        if !unread.is_empty() {
            let names: Vec<String> = unread.iter().map(shown).collect();
            write!(formatter, "\n  not read: {}", listed(&names))?;
        }
        self.notes.iter().try_for_each(|note| write!(formatter, "\n  {note}"))
    }
}

/// Names of what isn't read, as many as one looks at.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    let more = names.len().saturating_sub(UNREAD);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
