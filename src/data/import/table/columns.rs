//! How a table was read, as people are told it.

use std::fmt;

use super::header::{How, Layout, Taken};
use crate::ask::records::Problems;

/// Columns that are named though they aren't read.
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
            let names: Vec<String> = unread.iter().take(UNREAD).map(shown).collect();
            let more = unread.len().saturating_sub(UNREAD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            write!(formatter, "\n  not read: {}{more}", names.join(", "))?;
        }
        self.notes.iter().try_for_each(|note| write!(formatter, "\n  {note}"))
    }
}
