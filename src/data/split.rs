//! Records → train, dev and test, or folds: groups of account, collaborators and near copies stay whole.

pub mod assign;
mod plan;

use std::collections::HashMap;

use anyhow::{Result, ensure};
use indexmap::IndexSet;

use super::dedup::fold::{hash, mixed};
use super::groups::{Groups, Tie};
use super::known::Known;
use crate::ask::Records;
use crate::lines::Place;
use crate::reel::{Reel, each_reel, reel_at};
use crate::stop::Stop;
use crate::task::{Task, TaskKind};

pub use self::assign::{Group, assign};
pub use self::plan::{LeftOut, Plan, TEST, Whole, Why, Wish, folds, plan, told};

/// What stands for a task without a label.
const NONE: u16 = u16::MAX;

/// A record, without what it says.
#[derive(Debug)]
pub struct Entry {
    /// Of its id: records are looked at in this order, whatever order they came in.
    key: u64,
    /// Number among the records, from 0.
    pub line: usize,
    place: Place,
    account: Option<u32>,
    /// Accounts that it was posted with.
    with: Vec<u32>,
    /// Its stratum for each label task, or [`NONE`].
    labels: Vec<u16>,
    /// Whether it has a gold answer, and was written by a person: what others are judged by.
    counts: bool,
    synthetic: bool,
}

/// The records that can be used, in an order that doesn't depend on the file's.
pub struct Data<'a> {
    records: &'a Records,
    stop: &'a Stop,
    #[expect(missing_docs, reason = "the type says it")]
    pub entries: Vec<Entry>,
    accounts: IndexSet<String>,
    /// Task and label of each stratum.
    pub strata: IndexSet<(String, String)>,
    /// Whether none has a gold answer: then all count.
    pub unlabelled: bool,
}

impl<'a> Data<'a> {
    /// Reads all that isn't text.
    ///
    /// # Errors
    /// Of the environment.
    pub fn read(records: &'a Records, tasks: &[Task], stop: &'a Stop) -> Result<Data<'a>> {
        let (mut entries, mut accounts, mut strata) = (vec![], IndexSet::new(), IndexSet::new());
        let of_labels: Vec<&Task> = tasks.iter().filter(|task| task.kind == TaskKind::Label).collect();
        // In the order of the tasks' own lists.
        for task in &of_labels {
            strata.extend(task.labels.iter().map(|label| (task.name.clone(), label.clone())));
        }
        let mut line = 0;
        each_reel(&records.lines, |reel, place| {
            line += 1;
            if reel.unusable.is_some() {
                return Ok(());
            }
            let stratum = |task: &&Task| {
                let label = reel.reference.get(&task.name)?;
                strata.get_index_of(&(task.name.clone(), label.clone()))
            };
            let labels = of_labels.iter().map(|task| stratum(task).map_or(NONE, |at| at as u16)).collect();
            let mut number = |account: &str| accounts.insert_full(account.to_owned()).0 as u32;
            entries.push(Entry {
                key: mixed(hash(reel.id.as_bytes()), 7),
                line: line - 1,
                place,
                account: reel.account.as_deref().map(&mut number),
                with: with(&reel).map(&mut number).collect(),
                labels,
                counts: !reel.reference.is_empty() && !reel.synthetic,
                synthetic: reel.synthetic,
            });
            Ok(())
        })?;
        entries.sort_by_key(|entry| entry.key);
        let unlabelled = !entries.iter().any(|entry| entry.counts);
        if unlabelled {
            entries.iter_mut().for_each(|entry| entry.counts = !entry.synthetic);
        }
        Ok(Data { records, stop, entries, accounts, strata, unlabelled })
    }

    /// Reads what a record says.
    ///
    /// # Errors
    /// Of the environment; when somebody wishes to stop.
    pub fn known(&self, at: usize) -> Result<Known> {
        ensure!(!self.stop.wished(), "interrupted");
        Ok(Known::from(&reel_at(&self.records.lines, self.entries[at].place)?))
    }

    /// Its account's pseudonym.
    pub fn account(&self, at: usize) -> Option<&str> {
        Some(self.accounts.get_index(self.entries[at].account? as usize)?.as_str())
    }

    /// The accounts that it was posted with.
    fn with(&self, at: usize) -> impl Iterator<Item = &str> {
        self.entries[at].with.iter().filter_map(|account| Some(self.accounts.get_index(*account as usize)?.as_str()))
    }

    /// Whether it has a gold answer and was written by a person; where none has a gold answer, the latter.
    pub fn counts(&self, at: usize) -> bool {
        self.entries[at].counts
    }

    /// Whether a model wrote it.
    pub fn is_synthetic(&self, at: usize) -> bool {
        self.entries[at].synthetic
    }

    /// Its strata.
    pub fn strata(&self, at: usize) -> impl Iterator<Item = u16> {
        self.entries[at].labels.iter().copied().filter(|stratum| *stratum != NONE)
    }

    /// Puts together what is of one account, and of accounts that posted together, of these records: by their places in the
    /// list.
    fn join_accounts(&self, chosen: &[usize]) -> Groups {
        let mut groups = Groups::new(chosen.len());
        let mut first_of: HashMap<u32, usize> = HashMap::new();
        for (place, at) in chosen.iter().enumerate() {
            if let Some(account) = self.entries[*at].account {
                let first = *first_of.entry(account).or_insert(place);
                groups.join(first, place, Tie::Account);
            }
        }
        for (place, at) in chosen.iter().enumerate() {
            for account in &self.entries[*at].with {
                let first = *first_of.entry(*account).or_insert(place);
                groups.join(first, place, Tie::Collaborators);
            }
        }
        groups
    }
}

/// The accounts that a Reel was posted with, as its importer noted them in `source.with`.
fn with(reel: &Reel) -> impl Iterator<Item = &str> {
    let with = reel.source.as_ref().and_then(|source| source.get("with")?.as_array());
    with.into_iter().flatten().filter_map(|account| account.as_str())
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
