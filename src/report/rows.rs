//! The rows of a result: a few numbers of each, and the whole of those that are shown.

use anyhow::Result;
use indexmap::{IndexMap, IndexSet};

use crate::lines::{Lines, Place};
use crate::prediction::Finish;
use crate::scores::{CORRECT, Row, each_row, row_at};

/// A `rows.jsonl` of any size.
#[derive(Debug)]
pub struct Rows {
    lines: Lines,
    marks: Vec<Mark>,
    reels: IndexSet<String>,
    tasks: IndexSet<String>,
}

/// What choosing rows takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    place: Place,
    /// Number of its Reel.
    pub reel: u32,
    task: u32,
    pub finish: Finish,
    pub has_reference: bool,
    /// Whether the answer says nothing.
    pub is_empty: bool,
    /// Main metric of a text, 1 or 0 of a label; NaN without a reference.
    pub value: f32,
    /// Probability of the label that was answered; NaN where there is none.
    pub confidence: f32,
}

impl Rows {
    /// Reads all rows once; `main` is the metric that stands for a task's texts.
    ///
    /// # Errors
    /// Names the line that is no row.
    pub fn read(lines: Lines, main: impl Fn(&str) -> &'static str) -> Result<Rows> {
        let (mut marks, mut reels, mut tasks) = (Vec::new(), IndexSet::new(), IndexSet::new());
        each_row(&lines, |row, place| {
            let number = |names: &mut IndexSet<String>, name: &str| {
                names.get_index_of(name).unwrap_or_else(|| names.insert_full(name.to_owned()).0) as u32
            };
            let value = row.metrics.get(CORRECT).or_else(|| row.metrics.get(main(&row.task)));
            let logprob = row.label_logprobs.as_ref().and_then(|logprobs| logprobs.get(&row.output));
            marks.push(Mark {
                place,
                reel: number(&mut reels, &row.reel_id),
                task: number(&mut tasks, &row.task),
                finish: row.finish,
                has_reference: row.references().next().is_some(),
                is_empty: row.is_empty(),
                value: value.map_or(f32::NAN, |value| *value as f32),
                confidence: logprob.map_or(f32::NAN, |logprob| logprob.exp() as f32),
            });
            Ok(())
        })?;
        Ok(Rows { lines, marks, reels, tasks })
    }

    /// The whole of a row.
    pub(super) fn row(&self, mark: &Mark) -> Result<Row> {
        row_at(&self.lines, mark.place)
    }

    /// Those of a task, in file order.
    pub(super) fn of_task(&self, task: &str) -> impl Iterator<Item = &Mark> {
        let task = self.tasks.get_index_of(task);
        self.marks.iter().filter(move |mark| Some(mark.task as usize) == task)
    }

    /// The row of a Reel and task, the first of its repeats.
    pub(super) fn find(&self, task: &str, reel: &str) -> Option<&Mark> {
        let reel = self.reels.get_index_of(reel)?;
        self.of_task(task).find(|mark| mark.reel as usize == reel)
    }

    /// Those with an answer or a failure, by Reel, in file order.
    pub(super) fn by_reel(&self) -> Vec<Vec<&Mark>> {
        let mut reels: IndexMap<u32, Vec<&Mark>> = IndexMap::new();
        for mark in self.marks.iter().filter(|mark| mark.finish != Finish::Missing) {
            reels.entry(mark.reel).or_default().push(mark);
        }
        reels.into_values().collect()
    }

    /// Names of the tasks that have rows.
    pub(super) fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(String::as_str)
    }
}
