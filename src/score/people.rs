//! What annotators answered to a task, for how far they agree.

use anyhow::{Context, Result};
use indexmap::{IndexMap, IndexSet};

use super::agreement::{Judgements, Scale, agreement};
use crate::error::Hint;
use crate::scores::{Agreement, Row};
use crate::task::Task;

/// The annotators' answers about the Reels of a task, with a reference or not: those on which they differ may have none.
#[derive(Debug, Clone, Default)]
pub struct People {
    annotators: IndexSet<String>,
    accounts: IndexSet<String>,
    /// By Reel.
    items: IndexMap<String, Judged>,
}

#[derive(Debug, Clone)]
struct Judged {
    account: Option<u32>,
    /// Annotators and their labels, as numbers.
    labels: Vec<(usize, u16)>,
}

impl People {
    /// Takes in what was answered about a Reel; what is asked again is the same.
    ///
    /// # Errors
    /// Names the Reel and annotator whose answer is none of the task's labels.
    pub fn add<'a>(
        &mut self,
        reel: &str,
        account: Option<&str>,
        task: &Task,
        answers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<()> {
        let mut labels = vec![];
        for (annotator, answer) in answers {
            let label = task
                .labels
                .iter()
                .position(|label| label == answer)
                .with_context(|| {
                    format!(
                        "Reel {reel:?}: {annotator} answered {answer:?}, which is not among the labels of task {:?}",
                        task.name
                    )
                })
                .hint("its annotations are to another version of the tasks; name the right prompts with --prompts")?;
            labels.push((self.annotators.insert_full(annotator.to_owned()).0, label as u16));
        }
        if !labels.is_empty() && !self.items.contains_key(reel) {
            let account = account.map(|account| self.accounts.insert_full(account.to_owned()).0 as u32);
            self.items.insert(reel.to_owned(), Judged { account, labels });
        }
        Ok(())
    }

    /// Takes in what the row's record has.
    ///
    /// # Errors
    /// As [`People::add`].
    pub fn add_row(&mut self, row: &Row, task: &Task) -> Result<()> {
        let answers = row.annotations.iter().map(|(annotator, answer)| (annotator.as_str(), answer.as_str()));
        self.add(&row.reel_id, row.account.as_deref(), task, answers)
    }

    /// How far they agree; `None` where no Reel has answers of two.
    pub fn agreement(&self, task: &Task) -> Option<Agreement> {
        if !self.items.values().any(|judged| judged.labels.len() > 1) {
            return None;
        }
        let width = self.annotators.len();
        let mut answers = vec![None; self.items.len() * width];
        for (row, judged) in answers.chunks_exact_mut(width).zip(self.items.values()) {
            judged.labels.iter().for_each(|(annotator, label)| row[*annotator] = Some(*label));
        }
        let judgements = Judgements {
            annotators: self.annotators.iter().cloned().collect(),
            categories: task.labels.len(),
            answers,
            accounts: self.items.values().map(|judged| judged.account).collect(),
        };
        Some(agreement(&judgements, Scale::Nominal))
    }
}
