//! How a task's answers ended.

use indexmap::IndexMap;
use serde::Serialize;

use crate::prediction::Finish;
use crate::scores::{Row, Scores};

/// Answers of one task, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All rows of the task.
    pub answers: usize,
    /// Of those, rows without a gold answer; they are not scored.
    pub unscored: usize,
    /// Generated labels that are none of the task's.
    pub invalid: usize,
    /// Rows without an answer.
    pub failed: usize,
    /// Answers that ended at the task's `max_tokens`.
    pub cut: usize,
}

/// By task, those of `scores` first.
pub fn by_task<'a>(scores: &'a Scores, rows: &'a [Row]) -> IndexMap<&'a str, Counts> {
    let mut counts: IndexMap<_, _> = scores.tasks.keys().map(|task| (task.as_str(), Counts::default())).collect();
    for row in rows {
        let task = counts.entry(row.task.as_str()).or_default();
        task.answers += 1;
        task.unscored += usize::from(row.reference.is_none());
        match row.finish {
            Finish::Stop => {}
            Finish::Length => task.cut += 1,
            Finish::Invalid => task.invalid += 1,
            Finish::Error => task.failed += 1,
        }
    }
    counts
}
