//! The records a command works on.

use std::path::Path;

use anyhow::{Context, Result};

use crate::reel::{Reel, parse_reels};
use crate::run::sha256;

const SAMPLE: &str = include_str!("../../eval/sample.jsonl");
const SAMPLE_NAME: &str = "eval/sample.jsonl";

/// Records and where they came from.
pub(super) struct Data {
    /// For messages and the manifest.
    pub name: String,
    /// Of the whole file.
    pub sha256: String,
    pub reels: Vec<Reel>,
}

impl Data {
    /// Reads a file, or the sample that is part of the program.
    pub fn open(path: Option<&Path>) -> Result<Data> {
        let (name, bytes) = match path {
            Some(path) => {
                let name = path.display().to_string();
                let bytes = std::fs::read(path).with_context(|| {
                    format!("cannot read data file {name}\nhint: records are JSONL, one object a line; without --data the bundled sample is used")
                })?;
                (name, bytes)
            }
            None => (SAMPLE_NAME.to_owned(), SAMPLE.as_bytes().to_vec()),
        };
        let reels = parse_reels(&bytes[..], &name)?;
        Ok(Data { name, sha256: sha256(&bytes), reels })
    }
}
