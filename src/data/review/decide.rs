//! What several annotators' answers come to: a gold label, shares of labels, and what is left to decide.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::read::Brought;
use crate::annotation::{Annotation, Answered, Role};
use crate::error::Hint;
use crate::reel::Reel;

/// What is known of a record's labels now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labelled {
    /// By task name; of a task that isn't here nothing was answered.
    pub annotations: BTreeMap<String, Vec<Annotation>>,
    /// What they come to, by task name.
    pub reference: BTreeMap<String, String>,
    /// Shares of two annotators and more, by task name and label.
    pub soft: BTreeMap<String, BTreeMap<String, f64>>,
    /// Tasks on which annotators differ and nobody has decided.
    pub disputed: Vec<String>,
}

impl Labelled {
    /// A record's fields as they were brought, with its labels. What isn't JSON as it should be is written as it was read.
    ///
    /// # Errors
    /// Never: what was read can be written.
    pub fn record(&self, brought: &[u8], reel: &Reel) -> Result<Map<String, Value>> {
        let brought = brought.strip_prefix("\u{feff}".as_bytes()).unwrap_or(brought);
        let fields: Option<Map<String, Value>> = serde_json::from_slice(brought).ok();
        let mut fields = fields.map_or_else(|| serde_json::from_value(serde_json::to_value(reel)?), Ok)?;
        let mut set = |field: &str, task: &String, value: Value| {
            let of_field = fields.entry(field).or_insert(Value::Null);
            if !of_field.is_object() {
                *of_field = json!({});
            }
            of_field[task.as_str()] = value;
        };
        for (task, label) in &self.reference {
            set("reference", task, json!(label));
        }
        for (task, shares) in &self.soft {
            set("soft", task, json!(shares));
        }
        fields.insert("annotations".to_owned(), json!(self.annotations));
        Ok(fields)
    }
}

/// Answers by the id of their Reel.
pub type ByReel<'a> = IndexMap<&'a str, Vec<(&'a Brought, &'a Answered)>>;

/// All answers, by Reel in the order in which they come.
pub fn by_reel(brought: &[Brought]) -> ByReel<'_> {
    let mut all = ByReel::new();
    for one in brought {
        for item in &one.answers.items {
            all.entry(&item.id).or_default().push((one, item));
        }
    }
    all
}

/// Puts new answers about a record to those that it has, and tells what they come to: what all annotators say, or more than
/// half of three and more, or whoever decides. Where that isn't the reference that the record has, that is kept among the
/// annotations.
///
/// # Errors
/// Names the Reel and annotator who answered otherwise before, and two who decided differently.
pub fn decide(reel: &Reel, answers: &[(&Brought, &Answered)]) -> Result<Labelled> {
    let mut labelled = Labelled { annotations: reel.annotations.clone(), ..Labelled::default() };
    for (brought, item) in answers {
        for (task, answer) in &item.answers {
            let new = Annotation {
                by: brought.answers.annotator.clone(),
                answer: answer.clone(),
                role: brought.answers.role,
                note: item.note.clone(),
            };
            let there = labelled.annotations.entry(task.clone()).or_default();
            match there.iter().find(|old| (&old.by, old.role) == (&new.by, new.role)) {
                Some(old) if old.answer == new.answer => {}
                Some(old) => bail!(
                    anyhow!(
                        "{}: {} says {:?} about {task} of {:?}, and {:?} in the data",
                        brought.file,
                        new.by,
                        new.answer,
                        reel.id,
                        old.answer
                    )
                    .hint("the data has an answer of that annotator; two people need two names")
                ),
                None => there.push(new),
            }
        }
    }
    let tasks: Vec<String> = labelled.annotations.keys().cloned().collect();
    for task in tasks {
        let annotations = &labelled.annotations[&task];
        let shares = shares(annotations);
        match decided(annotations, &shares, reel, &task)? {
            Some(label) => keep(&mut labelled, reel, &task, label),
            None => labelled.disputed.push(task.clone()),
        }
        if shares.values().sum::<usize>() > 1 {
            let of = shares.values().sum::<usize>() as f64;
            labelled.soft.insert(task, shares.into_iter().map(|(label, count)| (label, count as f64 / of)).collect());
        }
    }
    Ok(labelled)
}

/// Annotators by the label that they gave.
fn shares(annotations: &[Annotation]) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for annotation in annotations.iter().filter(|annotation| annotation.role == Role::Annotator) {
        *shares.entry(annotation.answer.clone()).or_default() += 1;
    }
    shares
}

fn decided(
    annotations: &[Annotation],
    shares: &BTreeMap<String, usize>,
    reel: &Reel,
    task: &str,
) -> Result<Option<String>> {
    let mut deciding = annotations.iter().filter(|annotation| annotation.role == Role::Adjudicator);
    if let Some(first) = deciding.next() {
        if let Some(other) = deciding.find(|other| other.answer != first.answer) {
            bail!(
                anyhow!(
                    "{task} of {:?} is decided twice: {:?} by {}, {:?} by {}",
                    reel.id,
                    first.answer,
                    first.by,
                    other.answer,
                    other.by
                )
                .hint("give the file of one of them")
            );
        }
        return Ok(Some(first.answer.clone()));
    }
    let all: usize = shares.values().sum();
    let most = shares.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| 2 * **count > all);
    Ok(most.map(|(label, _)| label.clone()))
}

/// Makes a label the reference, and keeps the one that was there.
fn keep(labelled: &mut Labelled, reel: &Reel, task: &str, label: String) {
    let annotations = labelled.annotations.entry(task.to_owned()).or_default();
    let has_former = annotations.iter().any(|annotation| annotation.role == Role::Former);
    if let Some(before) = reel.reference.get(task).filter(|before| **before != label && !has_former) {
        let (by, answer) = ("reference".to_owned(), before.clone());
        annotations.push(Annotation { by, answer, role: Role::Former, note: None });
    }
    labelled.reference.insert(task.to_owned(), label);
}
