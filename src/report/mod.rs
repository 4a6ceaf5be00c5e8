//! Scores for people: a table for the terminal and one self-contained HTML page.
//!
//! Both are views of `scores.json` and `rows.jsonl`; nothing is computed here that those don't hold.

mod comparison;
mod counts;
mod examples;
mod facts;
#[cfg(test)]
mod fixture;
mod forest;
mod labels;
mod metrics;
mod page;
mod select;
mod table;

pub use comparison::comparison;
pub use page::html;
pub use table::table;

use crate::scores::{Row, Scores};
use crate::task::Task;

/// Everything a page shows.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The headline, usually the model's name.
    pub title: String,
    /// `scores.json`.
    pub scores: &'a Scores,
    /// `rows.jsonl`.
    pub rows: &'a [Row],
    /// Tasks that the rows answer; one that is missing is shown without its descriptions.
    pub tasks: &'a [Task],
    /// `manifest.json`, every key of which is optional.
    pub manifest: &'a serde_json::Value,
}
