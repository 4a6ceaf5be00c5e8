//! Small runs for the tests of this module.

use anyhow::Result;
use indexmap::IndexMap;

use super::{Comparison, Run};
use crate::config::ScoreSettings;
use crate::prediction::Finish;
use crate::score::Table;
use crate::scores::Row;
use crate::task::{Task, parse_tasks};

/// A run whose rows can still be changed.
#[derive(Clone)]
pub struct Rows {
    pub name: String,
    pub rows: Vec<Row>,
    pub tasks: Vec<Task>,
}

/// Compares them as rows in files would be.
pub fn compare(runs: &[Rows], settings: &ScoreSettings) -> Result<Comparison> {
    let of = |run: &Rows| Run { name: run.name.clone(), table: Table::of(&run.rows, &run.tasks).unwrap() };
    super::compare(&runs.iter().map(of).collect::<Vec<_>>(), settings)
}

pub const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 999, seed: 42, interval: None };

/// 90 Reels of 30 accounts, of which a run gets `right` right.
pub fn run(name: &str, right: impl Fn(usize) -> bool) -> Rows {
    let tasks = "[task.ad]\nkind = \"label\"\ntemplate = \"a\"\nmax_tokens = 9\nlabels = [\"ya\", \"bukan\"]\n";
    let row = |index: usize| {
        let reference = ["ya", "bukan"][index % 2];
        let output = ["ya", "bukan"][(index + usize::from(!right(index))) % 2];
        Row {
            v: 1,
            reel_id: format!("r{index}"),
            account: Some(format!("a{}", index / 3)),
            task: "ad".into(),
            repeat: 0,
            prompt: String::new(),
            reference: Some(reference.into()),
            alternatives: vec![],
            annotations: IndexMap::new(),
            output: output.into(),
            label_logprobs: None,
            finish: Finish::Stop,
            metrics: [("correct".to_owned(), f64::from(u8::from(right(index))))].into(),
            flags: vec![],
            slices: IndexMap::new(),
        }
    };
    Rows { name: name.into(), rows: (0..90).map(row).collect(), tasks: parse_tasks(tasks, "tasks.toml").unwrap() }
}
