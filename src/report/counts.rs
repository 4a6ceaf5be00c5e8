//! How a task's answers ended.

use indexmap::IndexMap;
use serde::Serialize;

use super::Rows;
use super::metrics::count;
use crate::prediction::Finish;
use crate::scores::Scores;

/// Answers of one task, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All rows of the task.
    pub asked: usize,
    /// Of those, the ones that there is an answer to, or a failure.
    pub answers: usize,
    /// Rows without a gold answer; they are not scored.
    pub unscored: usize,
    /// Labels that are none of the task's.
    pub invalid: usize,
    /// Answers that say nothing.
    pub empty: usize,
    /// Rows whose answer failed.
    pub failed: usize,
    /// Answers that ended at the task's `max_tokens`; `None` where some don't say how they ended.
    pub cut: Option<usize>,
    /// Answers that repeated themselves again and again, and were ended there.
    pub looped: usize,
}

impl Counts {
    /// `4`, or `2 of 4` where more were asked for.
    pub fn answered(&self) -> String {
        let answers = count(self.answers);
        if self.answers == self.asked { answers } else { format!("{answers} of {}", count(self.asked)) }
    }

    /// How many were cut off, or a dash.
    pub fn cut_off(&self) -> String {
        self.cut.map_or_else(|| "–".to_owned(), count)
    }
}

/// By task, those of `scores` first.
pub fn by_task<'a>(scores: &'a Scores, rows: &'a Rows) -> IndexMap<&'a str, Counts> {
    let tasks: indexmap::IndexSet<&str> = scores.tasks.keys().map(String::as_str).chain(rows.tasks()).collect();
    let of_task = |task: &'a str| {
        let mut counts = Counts { cut: Some(0), ..Counts::default() };
        for mark in rows.of_task(task) {
            counts.asked += 1;
            counts.answers += usize::from(mark.finish != Finish::Missing);
            counts.unscored += usize::from(!mark.has_reference);
            counts.empty += usize::from(mark.is_empty);
            match mark.finish {
                Finish::Stop | Finish::Missing => {}
                Finish::Length => counts.cut = counts.cut.map(|cut| cut + 1),
                Finish::Loop => counts.looped += 1,
                Finish::Invalid => counts.invalid += usize::from(!mark.is_empty),
                Finish::Error => counts.failed += 1,
                Finish::Unknown => counts.cut = None,
            }
        }
        (task, counts)
    };
    tasks.into_iter().map(of_task).collect()
}
