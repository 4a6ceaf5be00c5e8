//! What `make bundled-model` needs beside the commands of `reels`: texts to train a base on, a tokenizer, first weights,
//! variations of Reels, and a check.
//!
//! ```text
//! cargo run --example bundled_model -- texts --news F.jsonl --reels F.jsonl -o text.jsonl
//! cargo run --example bundled_model -- base --texts text.jsonl -o base/
//! cargo run --example bundled_model -- vary --reels F.jsonl -o varied.jsonl
//! cargo run --example bundled_model -- agree --run RUN --base base/ --reels F.jsonl --predictions predictions.jsonl
//! ```

mod agree;
mod base;
mod texts;
mod topics;
mod vary;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Stages of `make bundled-model` that are no command of reels")]
enum Stage {
    /// Records → conversations whose answers are plain text, to learn the language from
    Texts(texts::Texts),
    /// A tokenizer and first weights in the shape of a small Qwen2
    Base(base::Base),
    /// Records → the same and variations of them, marked synthetic
    Vary(vary::Vary),
    /// Whether files made of a run choose the labels that our own forward pass chooses
    Agree(agree::Agree),
}

fn main() -> Result<()> {
    match Stage::parse() {
        Stage::Texts(stage) => stage.run(),
        Stage::Base(stage) => stage.run(),
        Stage::Vary(stage) => stage.run(),
        Stage::Agree(stage) => stage.run(),
    }
}

/// Writes a file that is there in whole or not at all.
fn write_lines(path: &Path, lines: impl Iterator<Item = Result<String>>) -> Result<()> {
    let part = path.with_extension("part");
    let write = || -> Result<()> {
        let mut out = BufWriter::new(File::create(&part)?);
        for line in lines {
            writeln!(out, "{}", line?)?;
        }
        out.flush()?;
        Ok(std::fs::rename(&part, path)?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
