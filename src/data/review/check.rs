//! Whether answers go together, with the tasks and with the data.

use std::collections::HashMap;

use anyhow::{Result, anyhow, bail, ensure};

use super::form::{differing, version};
use super::read::Brought;
use crate::annotation::{Answered, Kind, Question};
use crate::data::overlap::listed;
use crate::error::{Hint, did_you_mean};
use crate::task::Task;

/// Ids that are named.
const SHOWN: usize = 5;
const VERSIONS: &str = "answers to two versions of the tasks can't be put together: name the prompts that the form was made with by --prompts, or ask again";

/// What isn't wrong and has to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Labels that were spelt otherwise, as file, label and what it became.
    pub mended: Vec<(String, String, String)>,
    /// Files whose tasks were described otherwise than they are now.
    pub described_otherwise: Vec<String>,
}

/// Checks that all answer to the same questions, which are those of the tasks, about the same Reels, nobody twice; and
/// brings labels to their spelling.
///
/// # Errors
/// Names the file, the Reel and the value that isn't right.
pub fn check(brought: &mut [Brought], kind: Kind, tasks: &[Task]) -> Result<Told> {
    let mut told = Told::default();
    for one in brought.iter() {
        let (is, asked) = (words(one.answers.kind), words(kind));
        ensure!(
            one.answers.kind == kind,
            anyhow!("{}: holds {is}, not {asked}", one.file).hint("labels come back without --runs, ratings with it")
        );
        if same_tasks(one, tasks)? {
            told.described_otherwise.push(one.file.clone());
        }
    }
    same_form(brought)?;
    for one in brought.iter_mut() {
        labels(one, tasks, &mut told)?;
    }
    nobody_twice(brought)?;
    same_reels(brought)?;
    Ok(told)
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Annotations => "labels",
        Kind::Ratings => "ratings",
    }
}

/// Whether the tasks are described otherwise now.
fn same_tasks(one: &Brought, tasks: &[Task]) -> Result<bool> {
    let Brought { file, answers } = one;
    for question in &answers.tasks {
        let Some(task) = tasks.iter().find(|task| task.name == question.name) else {
            let hint = did_you_mean(&question.name, tasks.iter().map(|task| &task.name));
            bail!(
                anyhow!("{file}: answers to {:?}, which is none of the tasks", question.name)
                    .hint(format!("{hint}name the prompts that the form was made with by --prompts"))
            );
        };
        let now = Question::from(task);
        ensure!(
            question.labels == now.labels,
            anyhow!("{file}: {} had other labels: {}", task.name, difference(&question.labels, &now.labels))
                .hint(VERSIONS)
        );
    }
    let asked: Vec<Question> = tasks.iter().map(Question::from).collect();
    Ok(differing(&answers.form, &version(answers.kind, &asked)).next().is_some())
}

/// What is in one list alone.
fn difference(there: &[String], now: &[String]) -> String {
    let only =
        |a: &[String], b: &[String]| -> Vec<String> { a.iter().filter(|label| !b.contains(label)).cloned().collect() };
    let (gone, new) = (only(there, now), only(now, there));
    match (gone.is_empty(), new.is_empty()) {
        (true, true) => "their order is another".to_owned(),
        (false, true) => format!("{} there, not now", gone.join(", ")),
        (true, false) => format!("{} now, not there", new.join(", ")),
        (false, false) => format!("{} there, {} now", gone.join(", "), new.join(", ")),
    }
}

fn same_form(brought: &[Brought]) -> Result<()> {
    for (at, other) in brought.iter().enumerate() {
        for one in &brought[..at] {
            if let Some(task) = differing(&one.answers.form, &other.answers.form).next() {
                bail!(
                    anyhow!(
                        "{} and {}: {task} had other labels or descriptions in one than in the other",
                        one.file,
                        other.file
                    )
                    .hint(VERSIONS)
                );
            }
        }
    }
    Ok(())
}

/// Brings labels to their spelling.
fn labels(one: &mut Brought, tasks: &[Task], told: &mut Told) -> Result<()> {
    for item in &mut one.answers.items {
        for (name, answer) in &mut item.answers {
            let Some(task) = tasks.iter().find(|task| task.name == *name) else {
                bail!(anyhow!("{}: {name:?} is none of the tasks", one.file).hint(format!(
                    "{}remove the column, or name the prompts with --prompts",
                    did_you_mean(name, tasks.iter().map(|task| &task.name))
                )));
            };
            if task.labels.contains(answer) {
                continue;
            }
            let Some(label) = task.label_said(answer) else {
                bail!(
                    anyhow!(
                        "{}: id {:?}: {name} is {answer:?}, which is not among the labels ({})",
                        one.file,
                        item.id,
                        task.labels.join(", ")
                    )
                    .hint(format!("{}correct it in the file", did_you_mean(answer, &task.labels)))
                );
            };
            told.mended.push((one.file.clone(), std::mem::replace(answer, label.to_owned()), label.to_owned()));
        }
    }
    Ok(())
}

fn nobody_twice(brought: &[Brought]) -> Result<()> {
    let mut seen: HashMap<(&str, &str, &str), &str> = HashMap::new();
    for Brought { file, answers } in brought {
        for item in &answers.items {
            let tasks = item.answers.keys().chain(item.ratings.keys()).map(String::as_str);
            for task in tasks {
                if let Some(first) = seen.insert((&answers.annotator, &item.id, task), file) {
                    let what = if item.answers.is_empty() { "a text of" } else { task };
                    let place =
                        if first == file { format!("{file}: there twice") } else { format!("{first} and {file}") };
                    bail!(
                        anyhow!("{place}: {} answers about {what} {:?} in both", answers.annotator, item.id)
                            .hint("give one file of each annotator; two people need two names")
                    );
                }
            }
        }
    }
    Ok(())
}

/// Reels that several annotators were shown are the same.
fn same_reels(brought: &[Brought]) -> Result<()> {
    let mut seen: HashMap<&str, (&str, &str)> = HashMap::new();
    for Brought { file, answers } in brought {
        for item in &answers.items {
            let (shown, first) = seen.entry(&item.id).or_insert((&item.shown, file));
            ensure!(
                *shown == item.shown,
                anyhow!("{first} and {file}: Reel {:?} is another one in each", item.id)
                    .hint("the forms were made from two data sets, or from one before and after it was altered")
            );
        }
    }
    Ok(())
}

/// Checks that the answers are about these Reels, given by id with the hash of what is shown of them.
///
/// # Errors
/// Names the file and Reels that aren't there or were altered.
pub fn check_data(brought: &[Brought], shown: &HashMap<String, String>, data: &str) -> Result<()> {
    for Brought { file, answers } in brought {
        let unknown: Vec<&String> =
            answers.items.iter().map(|item| &item.id).filter(|id| !shown.contains_key(*id)).collect();
        ensure!(
            unknown.is_empty(),
            anyhow!(
                "{file}: {} of {} Reels aren’t in {data}: {}",
                unknown.len(),
                answers.items.len(),
                listed(&unknown, SHOWN)
            )
            .hint("give the data that the form was made from")
        );
        let altered = |item: &&Answered| shown.get(&item.id).is_some_and(|shown| *shown != item.shown);
        let altered: Vec<&String> = answers.items.iter().filter(altered).map(|item| &item.id).collect();
        ensure!(
            altered.is_empty(),
            anyhow!("{file}: {} Reels say something else in {data} now: {}", altered.len(), listed(&altered, SHOWN))
                .hint("they were altered after they were shown; ask about them again")
        );
    }
    Ok(())
}
