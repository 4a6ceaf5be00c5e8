//! Files of answers, whatever wrote them: the page, a spreadsheet, Label Studio, or records that are labelled.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use serde_json::Value;

use super::form::Item;
use super::label_studio::{self, Export};
use super::table;
use crate::annotation::{Annotation, Answered, Answers, Kind, Role};
use crate::ask::Records;
use crate::error::Hint;
use crate::lines::decoded;
use crate::reel::Reel;
use crate::task::{Task, TaskKind};

const EXPECTED: &str = "give the files that annotators saved from the page, filled-in tables, exports of Label Studio as JSON, or labelled records";

/// What one annotator answered, and the file that it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Brought {
    #[expect(missing_docs, reason = "the name says it")]
    pub file: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub answers: Answers,
}

/// Reads all of them. Labelled records are the answers of each annotator that they name, or else of one called `reference`.
///
/// # Errors
/// Names the file, and what in it isn't whole or isn't known.
pub fn read(paths: &[PathBuf], tasks: &[Task]) -> Result<Vec<Brought>> {
    let mut all = vec![];
    for path in paths {
        let file = path.display().to_string();
        let answers = read_one(path, &file, tasks)?;
        ensure!(!answers.is_empty(), anyhow!("{file} holds no answer of anybody").hint(EXPECTED));
        all.extend(answers.into_iter().map(|answers| Brought { file: file.clone(), answers }));
    }
    Ok(all)
}

fn read_one(path: &Path, file: &str, tasks: &[Task]) -> Result<Vec<Answers>> {
    let opened = File::open(path).with_context(|| format!("cannot read {file}"))?;
    let mut text = String::new();
    let read = decoded(file, BufReader::new(opened))?.read_to_string(&mut text);
    read.with_context(|| format!("{file}: cannot be read")).hint("is it a text in UTF-8?")?;
    if table::is_one(&text) {
        return table::read(&text, file);
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(fields)) if fields.contains_key("annotator") => {
            parse(&text, file).map(|answers| vec![answers])
        }
        Ok(Value::Array(values)) if !values.iter().any(is_record) => {
            let Export { answers, skipped } = label_studio::read(&text, file)?;
            if skipped > 0 {
                tracing::warn!("{file}: {skipped} times an annotator skipped a Reel");
            }
            Ok(answers)
        }
        Ok(value) if is_record(&value) || value.is_array() => of_records(path, tasks),
        Err(_)
            if text
                .lines()
                .next()
                .is_some_and(|line| serde_json::from_str(line).is_ok_and(|line| is_record(&line))) =>
        {
            of_records(path, tasks)
        }
        Err(error) if text.trim_start().starts_with(['{', '[']) => bail!(
            anyhow!("{file}: is not whole: {error}").hint("it was broken off; have whoever answered save it again")
        ),
        _ => bail!(anyhow!("{file}: holds no answers").hint(EXPECTED)),
    }
}

fn is_record(value: &Value) -> bool {
    value["id"].is_string() && ["transcript", "caption"].iter().any(|field| value[field].is_string())
}

/// What the page saved.
fn parse(text: &str, file: &str) -> Result<Answers> {
    let answers: Answers = serde_json::from_str(text).map_err(|error| {
        anyhow!("{file}: not answers to a form: {error}").hint("the page of `reels data review` saves them")
    })?;
    ensure!(
        answers.v == 1,
        anyhow!("{file}: is of version {}, and 1 is known", answers.v).hint("a newer `reels` can read it")
    );
    let name = answers.annotator.trim().to_lowercase();
    ensure!(!name.is_empty(), anyhow!("{file}: the annotator has no name").hint("write one into \"annotator\""));
    Ok(Answers { annotator: name, ..answers })
}

/// Who labelled these records, and how.
fn of_records(path: &Path, tasks: &[Task]) -> Result<Vec<Answers>> {
    const REFERENCE: &str = "reference";
    let records = Records::open_for(Some(path), tasks)?;
    records.problems.refuse_unusable()?;
    records.problems.warn();
    let reels = records.reels()?;
    let labelled: Vec<&Task> = tasks.iter().filter(|task| task.kind == TaskKind::Label).collect();
    let are_annotated = reels.iter().any(|reel| !reel.annotations.is_empty());
    let mut all: IndexMap<String, Answers> = IndexMap::new();
    for reel in &reels {
        for task in &labelled {
            let annotations = reel.annotations.get(&task.name).into_iter().flatten();
            for annotation in annotations.filter(|annotation| annotation.role == Role::Annotator) {
                add(&mut all, reel, task, annotation);
            }
            if let Some(answer) = reel.reference.get(&task.name).filter(|_| !are_annotated) {
                let (by, answer) = (REFERENCE.to_owned(), answer.clone());
                add(&mut all, reel, task, &Annotation { by, answer, role: Role::Annotator, note: None });
            }
        }
    }
    Ok(all.into_values().map(|answers| Answers { of: reels.len(), ..answers }).collect())
}

fn add(all: &mut IndexMap<String, Answers>, reel: &Reel, task: &Task, annotation: &Annotation) {
    let answers = all.entry(annotation.by.clone()).or_insert_with_key(|by| Answers {
        v: 1,
        kind: Kind::Annotations,
        form: String::new(),
        role: Role::Annotator,
        annotator: by.clone(),
        tasks: vec![],
        of: 0,
        items: vec![],
    });
    if answers.items.last().is_none_or(|item| item.id != reel.id) {
        let Item { id, account, shown, .. } = Item::from(reel);
        answers.items.push(Answered { id, account, shown, ..Answered::default() });
    }
    if let Some(item) = answers.items.last_mut() {
        item.answers.insert(task.name.clone(), annotation.answer.clone());
        item.note = item.note.take().or_else(|| annotation.note.clone());
    }
}
