//! Whether Generate–Annotate–Learn helped, and what an examiner asks of it: `gal.html`, `gal.md` and `gal.json`.

mod methods;
mod questions;
mod sections;
mod verdict;

use std::collections::BTreeMap;

use anyhow::Result;
use indexmap::IndexMap;
use minijinja::value::Value;
use serde::Serialize;

pub use self::questions::{Question, questions};
use self::sections::{Section, sections};
pub use self::verdict::verdict;
use super::markdown::{data_table, escaped, list};
use super::page::{css, render};
use crate::ask::Manifest;
use crate::gal::ablation::Ablation;
use crate::gal::diversity::Diversity;
use crate::gal::filter::Yield;
use crate::gal::ladder::TaskLadder;
use crate::scores::Agreement;

/// How often a label was requested and which one was given: requested, given, rows.
pub type Assigned = BTreeMap<String, BTreeMap<String, usize>>;

/// All that is known of a GAL folder.
#[derive(Debug, Serialize)]
pub struct GalReport {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the name says it")]
    pub made_at: String,
    /// The folder's name.
    pub title: String,
    /// `None` before `reels gal ablate`.
    pub ablation: Option<Ablation>,
    /// By task that was ablated.
    pub tasks: Vec<TaskLadder>,
    /// Candidates and kept rows.
    pub rows: [usize; 2],
    /// Answers to a label task about one row, at most.
    pub answers: usize,
    #[expect(missing_docs, reason = "the type says it")]
    pub yields: Vec<Yield>,
    /// By label task.
    pub assigned: BTreeMap<String, Assigned>,
    /// Real records beside kept rows.
    pub diversity: Diversity,
    /// By arm, the Reels of the test set that have a near neighbour in what it learned from.
    pub neighbours: Vec<Neighbours>,
    /// What people say of kept and rejected rows, by label task; empty where none was asked.
    pub people: IndexMap<String, Reviewed>,
    /// Kept rows with a handle, an address, a long number or 13 words in a row of a seed: what filters have to leave none of.
    pub memorised: usize,
    /// Kept rows with a handle, an address or a long number at all.
    pub identifying: usize,
    /// Who wrote and who labelled.
    pub makers: [Maker; 2],
    /// Records of the lock that was kept from prompts, and of the one that was kept from rows; `None` without one.
    pub locked: [Option<usize>; 2],
    /// Test Reels that the lock holds.
    pub locked_of_test: Option<usize>,
    /// Filters' limits.
    pub limits: serde_json::Value,
}

/// A model and what it took.
#[derive(Debug, Default, Serialize)]
pub struct Maker {
    #[expect(missing_docs, reason = "the name says it")]
    pub name: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub sha256: String,
    /// As a model file says it; `None` where it doesn't, or where a host runs it.
    pub licence: Option<String>,
    /// Seconds, where they are known.
    pub seconds: Option<f64>,
    /// Read and written.
    pub tokens: Option<[usize; 2]>,
    /// In the currency of its price.
    pub cost: Option<f64>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(skip)]
    pub manifest: Manifest,
}

/// Reels that are judged by and have a near neighbour in what was learned from.
#[derive(Debug, Serialize)]
pub struct Neighbours {
    #[expect(missing_docs, reason = "the name says it")]
    pub arm: String,
    /// In the real records that it learned from: test Reel and neighbour.
    pub real: BTreeMap<String, String>,
    /// In the generated rows.
    pub generated: BTreeMap<String, String>,
}

/// What people say of rows.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Reviewed {
    pub kept: Side,
    pub rejected: Side,
}

/// What people say of kept, or of rejected rows.
#[derive(Debug, Default, Serialize)]
pub struct Side {
    /// Rows with a label by the teacher that somebody answered about.
    pub rows: usize,
    /// People's labels of them.
    pub labels: usize,
    /// Share of these that are the teacher's, with its bounds (Wilson's, a row counting once).
    pub as_the_teacher: Option<[f64; 3]>,
    /// Between people; `None` where no two answered about one row.
    pub agreement: Option<Agreement>,
}

#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    verdict: Vec<String>,
    sections: Vec<Section>,
    questions: Vec<Question>,
    methods: [String; 2],
    css: Value,
}

/// The page; loads nothing.
///
/// # Errors
/// When the template can't be rendered, which no report should be able to cause.
pub fn gal_html(report: &GalReport) -> Result<String> {
    let view = View {
        title: &report.title,
        verdict: verdict(report),
        sections: sections(report),
        questions: questions(report),
        methods: methods::methods(report),
        css: css(),
    };
    render("gal.html", view)
}

/// The same for a thesis.
pub fn gal_markdown(report: &GalReport) -> String {
    let mut parts = vec![format!("# {}", escaped(&report.title)), list(&verdict(report))];
    for Section { heading, sentences, tables, .. } in sections(report) {
        parts.push(format!("## {}", escaped(&heading)));
        parts.push(list(&sentences));
        for (caption, table) in tables {
            parts.extend([escaped(&caption), data_table(&table)]);
        }
    }
    parts.push("## What an examiner asks".to_owned());
    let asked = |Question { question, answer, is_missing }: &Question| match is_missing {
        // Has commands in it, and no names.
        true => format!("**{question}** Missing: {answer}"),
        false => format!("**{question}** {}", escaped(answer)),
    };
    parts.extend(questions(report).iter().enumerate().map(|(at, each)| format!("{}. {}", at + 1, asked(each))));
    let [english, indonesian] = methods::methods(report);
    parts.extend(["## Methods".to_owned(), escaped(&english), escaped(&indonesian)]);
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}
