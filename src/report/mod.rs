//! Scores for people: a table for the terminal, pages, and what goes into a paper.
//!
//! All are views of `scores.json` and `rows.jsonl`; nothing is computed here that those don't hold.

mod agreement;
mod cautions;
mod comparison;
mod comparison_page;
mod counts;
mod csv;
mod data;
mod examples;
mod facts;
mod figures;
#[cfg(test)]
mod fixture;
pub mod gal;
mod highlight;
mod intervals;
mod intervals_made;
mod labels;
mod latex;
mod markdown;
mod methods;
mod metrics;
mod page;
mod people;
mod prose;
mod rated;
mod rows;
mod select;
mod svg;
mod table;
mod training;

use serde::Serialize;

pub use agreement::{TaskAgreement, agreement_markdown, agreement_table};
pub use comparison::{comparison, left_out};
pub use comparison_page::comparison_html;
pub use csv::csv;
pub use data::{data_card, data_html, sentences as data_sentences};
pub use latex::{comparison_latex, latex};
pub use markdown::{comparison_markdown, markdown, model_card};
pub use page::html;
pub use rows::Rows;
pub use table::table;
pub use training::{Curves, training_html};

use crate::ask::Manifest;
use crate::score::compare::Comparison;
use crate::scores::Scores;
use crate::task::Task;

/// Everything a page shows.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The headline, usually the model's name.
    pub title: String,
    /// `scores.json`.
    pub scores: &'a Scores,
    /// `rows.jsonl`.
    pub rows: &'a Rows,
    /// Tasks that the rows answer; one that is missing is shown without its descriptions.
    pub tasks: &'a [Task],
    /// `manifest.json`, or an empty one.
    pub manifest: &'a Manifest,
    /// This result, as the last run, against others.
    pub ladder: Option<&'a Comparison>,
}

/// Something besides the answers that is not the same in all compared runs.
#[derive(Debug, Clone, Serialize)]
pub struct RunDifference {
    /// `model`, `adapter`, `prompts` or `data`.
    pub what: &'static str,
    /// By run.
    pub values: Vec<String>,
}
