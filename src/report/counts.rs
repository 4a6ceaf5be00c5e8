//! How a task's answers ended.

use indexmap::IndexMap;
use serde::Serialize;

use super::Rows;
use crate::prediction::Finish;
use crate::scores::Scores;

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
    /// Answers that repeated themselves again and again, and were ended there.
    pub looped: usize,
}

/// By task, those of `scores` first.
pub fn by_task<'a>(scores: &'a Scores, rows: &'a Rows) -> IndexMap<&'a str, Counts> {
    let tasks: indexmap::IndexSet<&str> = scores.tasks.keys().map(String::as_str).chain(rows.tasks()).collect();
    let of_task = |task: &'a str| {
        let mut counts = Counts::default();
        for mark in rows.of_task(task) {
            counts.answers += 1;
            counts.unscored += usize::from(!mark.is_scored);
            match mark.finish {
                Finish::Stop => {}
                Finish::Length => counts.cut += 1,
                Finish::Loop => counts.looped += 1,
                Finish::Invalid => counts.invalid += 1,
                Finish::Error => counts.failed += 1,
            }
        }
        (task, counts)
    };
    tasks.into_iter().map(of_task).collect()
}
