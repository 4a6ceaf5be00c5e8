//! The collectors that are known, and which of them wrote a value.

use serde_json::Value;

use super::post::{Counted, Read};
use super::value::at;
use super::{apify, gallery_dl, graph, instaloader, web, ytdlp, zeeschuimer};

/// One way of writing posts down.
pub struct Source {
    /// What `--from` takes and records name.
    pub name: &'static str,
    /// Sets of paths; a value that has all of one set is of this source.
    pub marks: &'static [&'static [&'static str]],
    /// Counts of which 0 says that they weren't there.
    pub zero_is_unknown: &'static [Counted],
    /// Everything in a value, Reels and what is none.
    pub read: fn(&Value) -> Vec<Read>,
}

/// In the order in which a value is tried.
pub const SOURCES: [&Source; 7] = [
    &ytdlp::SOURCE,
    &instaloader::SOURCE,
    &gallery_dl::SOURCE,
    &zeeschuimer::SOURCE,
    &apify::SOURCE,
    &web::SOURCE,
    &graph::SOURCE,
];

/// The source that wrote a value.
///
/// # Errors
/// Where none did, the one whose marks it has most of, if it has any, and what it lacks of them.
pub fn recognise(value: &Value) -> Result<&'static Source, Option<(&'static Source, Vec<&'static str>)>> {
    let missing = |marks: &'static [&'static str]| -> Vec<&'static str> {
        marks.iter().filter(|path| at(value, path).is_none()).copied().collect()
    };
    let mut nearest: Option<(&'static Source, Vec<&'static str>, f64)> = None;
    for source in SOURCES {
        for marks in source.marks {
            let missing = missing(marks);
            if missing.is_empty() {
                return Ok(source);
            }
            let share = 1.0 - missing.len() as f64 / marks.len() as f64;
            if share > nearest.as_ref().map_or(0.0, |(.., best)| *best) {
                nearest = Some((source, missing, share));
            }
        }
    }
    Err(nearest.map(|(source, missing, _)| (source, missing)))
}

/// Whether 0 says that a source doesn't know a count.
pub fn zero_is_unknown(name: &str, counted: Counted) -> bool {
    SOURCES.iter().find(|source| source.name == name).is_some_and(|source| source.zero_is_unknown.contains(&counted))
}
#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
