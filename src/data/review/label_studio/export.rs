//! An export of Label Studio → the answers of each annotator.

use std::collections::HashSet;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::{ANSWER, NOTE, Source};
use crate::annotation::{Answered, Answers, Kind, Role};
use crate::error::Hint;

/// What an export holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// One an annotator, in the order in which they come.
    pub answers: Vec<Answers>,
    /// Annotations that were cancelled: Reels that an annotator skipped. JSON-MIN leaves them out.
    pub skipped: usize,
}

/// Reads an export, as JSON or JSON-MIN; `name` stands in the errors.
///
/// An annotator is called as what stands before the @ of the e-mail where the export has it, else `ls-` and the user's number. Labels are as they were
/// chosen, whether a task has them or not. Drafts and predictions are nobody's answers.
///
/// # Errors
/// Names the file, and the task and value, of what is no export, of tasks that reels didn't write, of several forms in one
/// export, and of two answers of one annotator about a Reel.
pub fn read(text: &str, name: &str) -> Result<Export> {
    let entries: Vec<Value> = serde_json::from_str(text).map_err(|error| unreadable(&error, name))?;
    let mut gathered = Gathered::default();
    for (at, entry) in entries.iter().enumerate() {
        let place = || match entry.get("id") {
            Some(id) => format!("{name}: task {id}"),
            None => format!("{name}: entry {} of the list", at + 1),
        };
        gathered.add(entry).with_context(place)?;
    }
    ensure!(
        !gathered.answers.is_empty(),
        anyhow!("{name}: {} tasks, and nobody answered one (skipped: {})", entries.len(), gathered.skipped)
            .hint("export the project when tasks are annotated; drafts don't count until they are submitted")
    );
    let of = gathered.of.max(gathered.reels.len());
    let answers = gathered.answers.into_values().map(|answers| Answers { of, ..answers });
    Ok(Export { answers: answers.collect(), skipped: gathered.skipped })
}

fn unreadable(error: &serde_json::Error, name: &str) -> Error {
    if error.is_eof() {
        return anyhow!("{name}: ends in the middle, at line {}", error.line())
            .hint("export again: the file isn't whole");
    }
    anyhow!("{name}: not an export of Label Studio: {error}").hint("export as JSON or JSON-MIN")
}

/// What was read so far.
#[derive(Default)]
struct Gathered {
    form: String,
    /// As the tasks say it.
    of: usize,
    reels: HashSet<String>,
    /// By annotator.
    answers: IndexMap<String, Answers>,
    /// Annotator and Reel.
    answered: HashSet<(String, String)>,
    skipped: usize,
}

impl Gathered {
    fn add(&mut self, entry: &Value) -> Result<()> {
        let annotations = annotations(entry)?;
        let source = Source::deserialize(entry.get("data").unwrap_or(entry)).map_err(|error| {
            anyhow!("its data isn't what reels wrote: {error}")
                .hint("export the project that has the tasks of `reels data review --to label-studio`")
        })?;
        if self.reels.is_empty() {
            self.form.clone_from(&source.form);
        }
        ensure!(
            self.form == source.form,
            anyhow!("asks by form {}, the tasks before it by {}", source.form, self.form)
                .hint("tasks changed in between: export what was imported at one time")
        );
        self.of = self.of.max(source.of);
        self.reels.insert(source.reel.clone());
        annotations.into_iter().try_for_each(|annotation| self.answer(annotation, &source))
    }

    fn answer(&mut self, annotation: Annotation, source: &Source) -> Result<()> {
        let Annotation { by, cancelled, answers, note, seconds } = annotation;
        if cancelled {
            self.skipped += 1;
            return Ok(());
        }
        if answers.is_empty() && note.is_none() {
            return Ok(());
        }
        ensure!(
            self.answered.insert((by.clone(), source.reel.clone())),
            anyhow!("{by} answered about {:?} before", source.reel)
                .hint("delete one of the two annotations in Label Studio, then export again")
        );
        let (id, account, shown) = (source.reel.clone(), source.account.clone(), source.shown.clone());
        let item = Answered { id, account, shown, answers, note, seconds, ..Answered::default() };
        let person = self.answers.entry(by).or_insert_with_key(|by| Answers {
            v: 1,
            kind: Kind::Annotations,
            form: source.form.clone(),
            role: Role::Annotator,
            annotator: by.clone(),
            tasks: vec![],
            of: 0,
            items: vec![],
        });
        person.items.push(item);
        Ok(())
    }
}

/// What one annotator says of one Reel.
struct Annotation {
    by: String,
    cancelled: bool,
    /// By task.
    answers: IndexMap<String, String>,
    note: Option<String>,
    seconds: Option<f64>,
}

/// An annotation in JSON.
#[derive(Deserialize)]
struct Full {
    completed_by: Option<User>,
    #[serde(default)]
    was_cancelled: bool,
    result: Option<Vec<Said>>,
    lead_time: Option<f64>,
}

#[derive(Deserialize)]
struct Said {
    from_name: String,
    value: Given,
}

/// What a control holds: one of these, by its kind.
#[derive(Deserialize)]
struct Given {
    choices: Option<Texts>,
    text: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// Whose it is: in snapshots with names, in other exports without.
#[derive(Deserialize)]
#[serde(untagged)]
enum User {
    Number(u64),
    Email(String),
    Named { id: u64, email: Option<String> },
}

const UNCHANGED: &str = "export again as JSON or JSON-MIN, and change nothing in the file";

/// The annotations in an entry of the list: JSON has an entry a task, JSON-MIN one an annotation.
fn annotations(entry: &Value) -> Result<Vec<Annotation>> {
    if let Some(annotations) = entry.get("annotations") {
        let full = Vec::<Full>::deserialize(annotations).context("its annotations can't be read").hint(UNCHANGED)?;
        return full.into_iter().map(of_full).collect();
    }
    match entry.get("annotation_id") {
        // A task that nobody annotated.
        Some(Value::Null) => Ok(vec![]),
        Some(_) => Ok(vec![of_min(entry)?]),
        None => bail!(
            anyhow!("has no annotations: it is a task as it is imported, or of another program")
                .hint("export the project in Label Studio as JSON or JSON-MIN")
        ),
    }
}

fn of_full(full: Full) -> Result<Annotation> {
    let mut annotation = Annotation::by(full.completed_by, full.lead_time)?;
    annotation.cancelled = full.was_cancelled;
    for Said { from_name, value } in full.result.unwrap_or_default() {
        annotation.say(&from_name, value.choices.or(value.text))?;
    }
    Ok(annotation)
}

fn of_min(entry: &Value) -> Result<Annotation> {
    let field = |key: &str| entry.get(key).unwrap_or(&Value::Null);
    let user =
        Option::<User>::deserialize(field("annotator")).context("its annotator can't be read").hint(UNCHANGED)?;
    let seconds =
        Option::<f64>::deserialize(field("lead_time")).context("its lead_time can't be read").hint(UNCHANGED)?;
    let mut annotation = Annotation::by(user, seconds)?;
    // Controls stand among the data.
    let is_control = |(name, _): &(&String, &Value)| *name == NOTE || name.starts_with(ANSWER);
    for (control, value) in entry.as_object().into_iter().flatten().filter(is_control) {
        let texts = Texts::deserialize(value).map_err(|_| anyhow!("{control} is {value}, which isn't one label"))?;
        annotation.say(control, Some(texts))?;
    }
    Ok(annotation)
}

impl Annotation {
    fn by(user: Option<User>, seconds: Option<f64>) -> Result<Annotation> {
        let by = match user {
            Some(User::Email(email) | User::Named { email: Some(email), .. }) => {
                email.trim().split('@').next().unwrap_or_default().to_lowercase()
            }
            Some(User::Number(id) | User::Named { id, email: None }) => format!("ls-{id}"),
            None => String::new(),
        };
        let hint = "its user was deleted in Label Studio: delete the annotation as well";
        ensure!(!by.is_empty(), anyhow!("an annotation is nobody's").hint(hint));
        Ok(Annotation { by, cancelled: false, answers: IndexMap::new(), note: None, seconds })
    }

    /// Adds what a control holds.
    fn say(&mut self, control: &str, texts: Option<Texts>) -> Result<()> {
        let texts = match texts {
            Some(Texts::One(text)) => vec![text],
            Some(Texts::Many(texts)) => texts,
            None => vec![],
        };
        if control == NOTE {
            self.note = Some(texts.join("\n").trim().to_owned()).filter(|note| !note.is_empty());
            return Ok(());
        }
        let Some(task) = control.strip_prefix(ANSWER) else {
            let hint = "take the control out of the project's labelling config, and the results it has";
            bail!(anyhow!("control {control:?} isn't one that reels wrote").hint(hint));
        };
        let one = match texts.as_slice() {
            [label] => self.answers.insert(task.to_owned(), label.clone()).is_none(),
            _ => false,
        };
        let hint = "correct it in Label Studio, where the labelling config has choice=\"single\", and export again";
        ensure!(one, anyhow!("{} answered {task} with {texts:?}, which isn't one label", self.by).hint(hint));
        Ok(())
    }
}
