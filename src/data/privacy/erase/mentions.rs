//! Files of another make: whether they name somebody.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use regex::bytes::{Regex, RegexBuilder};

use super::rewrite::{Shape, unreadable_line};
use crate::lines::decoded;

const CHUNK: usize = 1 << 20;
/// No name is as long.
const OVERLAP: usize = 256;

/// Names to look for; none where all are words that anything may have.
pub struct Mentions {
    pattern: Option<Regex>,
}

impl Mentions {
    /// Names without a digit, dot or underscore are words, and found behind `@` alone.
    ///
    /// # Errors
    /// When they are too many to look for.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Mentions> {
        let is_distinct = |name: &str| {
            name.len() >= 5 && name.contains(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '_'))
        };
        let escaped = names.filter(|name| !name.is_empty() && name.len() < OVERLAP).map(|name| {
            let at = if is_distinct(name) { "" } else { "@" };
            format!("{at}{}", regex::escape(name))
        });
        let mut names: Vec<String> = escaped.collect();
        names.sort_unstable();
        let text = format!("(?i)({})", names.join("|"));
        let pattern = RegexBuilder::new(&text).size_limit(usize::MAX).build().context("too many names to look for")?;
        Ok(Mentions { pattern: (!names.is_empty()).then_some(pattern) })
    }

    /// Whether any stands in a file, which may be compressed with gzip or in UTF-16.
    ///
    /// # Errors
    /// Names the file that can't be read, and what it holds where that is no text.
    pub fn stand_in(&self, path: &Path) -> Result<bool> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        let mut text = decoded(&name, BufReader::with_capacity(CHUNK, file))?;
        let mut chunk = Vec::new();
        loop {
            let read = text.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            if read.with_context(|| format!("{name}: cannot be read"))? == 0 {
                return Ok(false);
            }
            if self.is_in(&chunk) {
                return Ok(true);
            }
            let rest = chunk.len().saturating_sub(OVERLAP);
            chunk.drain(..rest);
        }
    }

    /// Whether any stands in a line that is no object.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn stand_in_unreadable(&self, path: &Path, shape: Shape) -> Result<bool> {
        unreadable_line(path, shape, |line| self.is_in(line))
    }

    /// As a whole word.
    fn is_in(&self, text: &[u8]) -> bool {
        let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let found = self.pattern.iter().flat_map(|pattern| pattern.find_iter(text));
        found.into_iter().any(|found| {
            let before = found.start().checked_sub(1).map(|before| &text[before]);
            !is_part(before) && !is_part(text.get(found.end()))
        })
    }
}
