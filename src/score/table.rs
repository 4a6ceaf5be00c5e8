//! The scored rows as resampling needs them: numbers and names but no texts, so that a million of them fit.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::{IndexMap, IndexSet};

use super::calibration::Judged;
use super::classification;
use super::metric::{MetricInfo, main_of_texts};
use super::people::People;
use super::rouge;
use crate::error::Hint;
use crate::lines::Lines;
use crate::prediction::Finish;
use crate::scores::{Row, each_row};
use crate::task::{Task, TaskKind};

/// The scored rows of a run.
#[derive(Debug, Clone)]
pub struct Table {
    /// In the order they were asked for.
    pub tasks: Vec<TaskTable>,
    reels: IndexSet<String>,
    accounts: IndexSet<String>,
}

/// The scored rows of a task.
#[derive(Debug, Clone)]
pub struct TaskTable {
    #[expect(missing_docs, reason = "the name says it")]
    pub task: Task,
    /// Answers that were asked for, with a reference or not.
    pub asked: usize,
    /// Of those, the ones that there are.
    pub answered: usize,
    /// Whether missing answers are left out.
    pub answered_only: bool,
    /// How scored answers ended that name no label.
    pub(super) silent: Silent,
    /// Scored texts whose reference Google's ROUGE can't read.
    pub(super) unread: usize,
    pub(super) origins: Vec<Origin>,
    pub(super) answers: Answers,
    pub(super) groupings: IndexMap<String, Grouping>,
    pub(super) people: People,
}

/// Answers that say nothing, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Silent {
    pub empty: usize,
    pub failed: usize,
    pub missing: usize,
}

impl Silent {
    fn add(&mut self, row: &Row) {
        self.empty += usize::from(row.is_empty());
        self.failed += usize::from(row.finish == Finish::Error);
        self.missing += usize::from(row.finish == Finish::Missing);
    }
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    reel: u32,
    pub account: Option<u32>,
    repeat: u32,
    /// Hash of the reference text: enough to tell whether two runs have the same.
    reference: u64,
}

/// The answers of a task, in the order of the rows.
#[derive(Debug, Clone)]
pub(super) enum Answers {
    /// `values` is `[rows, keys]`.
    Text {
        keys: Vec<String>,
        values: Vec<f64>,
    },
    Labels(Vec<LabelAnswer>),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LabelAnswer {
    pub reference: u16,
    /// `None` if invalid.
    pub answer: Option<u16>,
    pub judged: Option<Judged>,
}

impl LabelAnswer {
    pub fn is_right(&self) -> bool {
        self.answer == Some(self.reference)
    }
}

/// Groups of rows by one property of their Reels.
#[derive(Debug, Clone, Default)]
pub(super) struct Grouping {
    pub groups: IndexSet<String>,
    /// By row; beyond `groups` where a row is in none.
    pub group_of: Vec<u32>,
}

impl Table {
    /// No rows yet.
    pub fn new(tasks: &[Task]) -> Table {
        let of_task = |task: &Task| TaskTable {
            task: task.clone(),
            asked: 0,
            answered: 0,
            answered_only: false,
            silent: Silent::default(),
            unread: 0,
            origins: vec![],
            answers: match task.kind {
                TaskKind::Text => Answers::Text { keys: vec![], values: vec![] },
                TaskKind::Label => Answers::Labels(vec![]),
            },
            groupings: IndexMap::new(),
            people: People::default(),
        };
        Table { tasks: tasks.iter().map(of_task).collect(), reels: IndexSet::new(), accounts: IndexSet::new() }
    }

    /// Takes in rows that are in memory.
    ///
    /// # Errors
    /// As [`Table::add`].
    pub fn of(rows: &[Row], tasks: &[Task]) -> Result<Table> {
        let mut table = Table::new(tasks);
        rows.iter().try_for_each(|row| table.add(row))?;
        Ok(table)
    }

    /// Takes in the rows of a `rows.jsonl`.
    ///
    /// # Errors
    /// As [`Table::add`], with the line; and when the file can't be read.
    pub fn read(rows: &Lines, tasks: &[Task]) -> Result<Table> {
        let mut table = Table::new(tasks);
        each_row(rows, |row, place| table.add(&row).with_context(|| format!("{}:{}", rows.name(), place.number)))?;
        Ok(table)
    }

    /// Takes in a row; one without a reference or of another task is passed over, as is a missing one that has no metrics.
    ///
    /// # Errors
    /// Names the row whose metrics or labels are not those of its task.
    pub fn add(&mut self, row: &Row) -> Result<()> {
        let Some(table) = self.tasks.iter_mut().find(|table| table.task.name == row.task) else { return Ok(()) };
        table.people.add_row(row, &table.task)?;
        let is_missing = row.finish == Finish::Missing;
        table.asked += 1;
        table.answered += usize::from(!is_missing);
        let Some(reference) = row.references().next() else { return Ok(()) };
        if is_missing && row.metrics.is_empty() {
            table.answered_only = true;
            return Ok(());
        }
        table.silent.add(row);
        match &mut table.answers {
            Answers::Text { keys, values } => {
                if keys.is_empty() {
                    keys.extend(row.metrics.keys().cloned());
                }
                ensure!(
                    !keys.is_empty() && row.metrics.keys().eq(keys.iter()),
                    anyhow!("Reel {:?}, task {:?} has other metrics than the rows before it", row.reel_id, row.task)
                        .hint("the rows are of different versions; run `reels score` again")
                );
                values.extend(row.metrics.values());
                table.unread += usize::from(row.references().any(rouge::is_unread));
            }
            Answers::Labels(answers) => {
                let index = table
                    .task
                    .labels
                    .iter()
                    .position(|label| *label == reference)
                    .with_context(|| {
                        format!(
                            "Reel {:?}: reference {reference:?} is not among the labels of task {:?}",
                            row.reel_id, row.task
                        )
                    })
                    .hint("the prompts beside the rows are not those they were made with; run `reels score` again")?;
                let answer = classification::answer(&table.task, &row.output, row.finish);
                answers.push(LabelAnswer {
                    reference: index as u16,
                    answer: answer.map(|answer| answer as u16),
                    judged: row.label_logprobs.as_ref().and_then(|logprobs| Judged::of(&table.task, logprobs, index)),
                });
            }
        }
        let rows = table.origins.len();
        for (name, group) in &row.slices {
            let grouping = table.groupings.entry(name.clone()).or_default();
            grouping.group_of.resize(rows, u32::MAX);
            grouping.group_of.push(number(&mut grouping.groups, group));
        }
        table.origins.push(Origin {
            reel: number(&mut self.reels, &row.reel_id),
            account: account(row).map(|account| number(&mut self.accounts, account)),
            repeat: row.repeat,
            reference: hash(&row.references().collect::<Vec<_>>().join("\n")),
        });
        Ok(())
    }

    /// Whether a scored row is about this Reel.
    pub fn has_reel(&self, id: &str) -> bool {
        self.reels.contains(id)
    }

    /// These tasks alone, the rows in an order in which two runs over the same data are alike.
    pub(super) fn restricted(&self, tasks: &[Task]) -> Table {
        let wanted = tasks.iter().filter_map(|task| self.tasks.iter().find(|table| table.task.name == task.name));
        // Names of rows that are left out would be clusters without rows.
        let mut table = Table { tasks: wanted.cloned().collect(), reels: IndexSet::new(), accounts: IndexSet::new() };
        for origin in table.tasks.iter_mut().flat_map(|table| &mut table.origins) {
            origin.reel = number(&mut table.reels, &self.reels[origin.reel as usize]);
            origin.account =
                origin.account.map(|account| number(&mut table.accounts, &self.accounts[account as usize]));
        }
        table.sort();
        table
    }

    /// Puts the rows of every task into the order of Reels and repeats, in which two runs over the same data are alike.
    fn sort(&mut self) {
        let reel_order = ranks(&self.reels);
        for table in &mut self.tasks {
            let mut order: Vec<usize> = (0..table.origins.len()).collect();
            order.sort_by_key(|row| {
                let origin = table.origins[*row];
                (reel_order[origin.reel as usize], origin.repeat)
            });
            let old = std::mem::take(&mut table.origins);
            table.origins = order.iter().map(|row| old[*row]).collect();
            match &mut table.answers {
                Answers::Text { keys, values } => {
                    *values = order
                        .iter()
                        .flat_map(|row| &values[row * keys.len()..(row + 1) * keys.len()])
                        .copied()
                        .collect();
                }
                Answers::Labels(answers) => *answers = order.iter().map(|row| answers[*row]).collect(),
            }
            for grouping in table.groupings.values_mut() {
                grouping.group_of.resize(old.len(), u32::MAX);
                grouping.group_of = order.iter().map(|row| grouping.group_of[*row]).collect();
            }
        }
    }

    /// Reel, repeat, account and what stands for the reference, of each row of a task.
    pub(super) fn keys(&self, task: usize) -> impl Iterator<Item = (&str, u32, Option<&str>, u64)> {
        self.tasks[task].origins.iter().map(|origin| {
            let account = origin.account.map(|account| self.accounts[account as usize].as_str());
            (self.reels[origin.reel as usize].as_str(), origin.repeat, account, origin.reference)
        })
    }

    /// The account of each row of a task.
    pub(super) fn accounts(&self, task: usize) -> impl Iterator<Item = Option<&str>> {
        self.keys(task).map(|(_, _, account, _)| account)
    }

    /// What is drawn: accounts where any is known, and each Reel of an unknown one by itself (its repeats stay together).
    ///
    /// Reels of one account resemble each other; drawing them one by one gives intervals that are too narrow.
    pub fn clusters(&self) -> Clusters {
        let origins = || self.tasks.iter().flat_map(|table| &table.origins);
        // In the order of names, so that the order of rows doesn't matter, and of those with a scored row only.
        let (accounts, reels) = (ranks(&self.accounts), ranks(&self.reels));
        let alone: BTreeSet<u32> =
            origins().filter(|origin| origin.account.is_none()).map(|origin| reels[origin.reel as usize]).collect();
        let places: HashMap<u32, u32> = (accounts.len() as u32..).zip(&alone).map(|(at, reel)| (*reel, at)).collect();
        let cluster = |origin: &Origin| match origin.account {
            Some(account) => accounts[account as usize],
            None => places[&reels[origin.reel as usize]],
        };
        let of = |table: &TaskTable| table.origins.iter().map(cluster).collect();
        Clusters {
            by_account: !accounts.is_empty(),
            count: accounts.len() + alone.len(),
            of_task: self.tasks.iter().map(of).collect(),
        }
    }
}

impl TaskTable {
    /// Whether nothing is scored.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Scored rows.
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    pub(super) fn labels(&self) -> &[LabelAnswer] {
        match &self.answers {
            Answers::Labels(answers) => answers,
            Answers::Text { .. } => &[],
        }
    }

    /// The metric that stands for the task's texts.
    pub(super) fn main_of_texts(&self) -> &'static MetricInfo {
        main_of_texts(self.unread, self.len())
    }

    /// The mean that groups of rows are compared by: its key, and its value in each row.
    pub(super) fn simple(&self) -> (&'static str, Vec<f64>) {
        match &self.answers {
            Answers::Text { keys, values } => {
                let main = self.main_of_texts().key;
                let column = keys.iter().position(|key| key == main);
                let of_column = |column| values.iter().skip(column).step_by(keys.len()).copied().collect();
                (main, column.map_or(vec![], of_column))
            }
            Answers::Labels(answers) => {
                ("accuracy", answers.iter().map(|answer| f64::from(u8::from(answer.is_right()))).collect())
            }
        }
    }
}

/// What is drawn, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    by_account: bool,
    /// How many there are.
    pub count: usize,
    /// By task, the cluster of each row.
    pub of_task: Vec<Vec<u32>>,
}

impl Clusters {
    /// What one is, for the signature.
    pub fn unit(&self) -> &'static str {
        if self.by_account { "account" } else { "reel" }
    }
}

/// A blank one is unknown: spreadsheets write it for every row that has none.
fn account(row: &Row) -> Option<&str> {
    row.account.as_deref().filter(|account| !account.trim().is_empty())
}

/// The place of each name among all in order.
fn ranks(names: &IndexSet<String>) -> Vec<u32> {
    let mut order: Vec<u32> = (0..names.len() as u32).collect();
    order.sort_unstable_by_key(|index| &names[*index as usize]);
    let mut ranks = vec![0; order.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index as usize] = rank as u32;
    }
    ranks
}

fn number(names: &mut IndexSet<String>, name: &str) -> u32 {
    let index = names.get_index_of(name).unwrap_or_else(|| names.insert_full(name.to_owned()).0);
    index as u32
}

/// A text's hash, which is the same only within a process.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
