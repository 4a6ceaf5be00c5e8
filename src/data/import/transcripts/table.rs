//! Whisper's TSV: start and end in milliseconds, and the text.

use anyhow::{Context, Result};

use super::{Segment, Transcript};
use crate::error::Hint;

const HEAD: &str = "start\tend\ttext";

/// Whether a text begins with the names of the three columns.
pub fn is_table(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim().eq_ignore_ascii_case(HEAD))
}

/// Reads all rows.
///
/// # Errors
/// Names the file and the line that has no times.
pub fn read(name: &str, text: &str) -> Result<Transcript> {
    let mut segments = Vec::new();
    for (index, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let mut cells = line.splitn(3, '\t');
        let mut seconds = || Some(f64::from(cells.next()?.trim().parse::<u32>().ok()?) / 1000.0);
        let times = seconds().zip(seconds());
        let (start, end) = times
            .with_context(|| format!("{name}:{}: expected start, end and text, found {line:?}", index + 1))
            .hint("times are whole milliseconds, cells are separated by tabs; is the file whole?")?;
        let text = cells.next().unwrap_or("").to_owned();
        segments.push(Segment { start_s: Some(start), end_s: Some(end), text, ..Segment::default() });
    }
    Ok(Transcript::new("tsv", None, segments))
}
