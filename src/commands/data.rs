//! The records a command works on.

use std::path::Path;

use anyhow::Result;

use crate::error::Hint;
use crate::lines::Lines;
use crate::reel::{Reel, read_reels};
use crate::run::{sha256, sha256_file};

const SAMPLE: &str = include_str!("../../eval/sample.jsonl");
const SAMPLE_NAME: &str = "eval/sample.jsonl";

/// A file of records, not read yet.
pub(super) struct Records {
    pub lines: Lines,
    /// Of the whole file.
    pub sha256: String,
}

impl Records {
    /// Opens a file, or the sample that is part of the program.
    pub fn open(path: Option<&Path>) -> Result<Records> {
        let Some(path) = path else {
            return Ok(Records { lines: Lines::embedded(SAMPLE_NAME, SAMPLE), sha256: sha256(SAMPLE.as_bytes()) });
        };
        let lines =
            Lines::open(path, "data file").hint("records are JSONL, one object a line, see eval/sample.jsonl")?;
        Ok(Records { lines, sha256: sha256_file(path)? })
    }

    pub fn read(&self) -> Result<Vec<Reel>> {
        read_reels(&self.lines)
    }
}
