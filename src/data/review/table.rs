//! A form as a table for a spreadsheet, and answers from one.

use anyhow::{Result, anyhow, bail, ensure};
use csv::{ReaderBuilder, StringRecord, Trim, Writer};
use indexmap::IndexMap;

use super::form::{Form, Item};
use crate::annotation::{Answered, Answers, Kind, Role};
use crate::error::Hint;

/// What tells where a row belongs; not to be altered.
const KEYS: [&str; 5] = ["id", "account", "shown", "form", "annotator"];
const NOTE: &str = "note";
/// Before a task's name: what a model says. It is no answer of whoever leaves it there.
const SUGGESTED: &str = "suggested_";
/// What is shown of a Reel.
const SHOWN: [&str; 8] = ["duration_s", "likes", "views", "plays", "comments", "caption", "hashtags", "transcript"];

/// One row an item, in the order of the form: a column to fill in for each task.
///
/// # Errors
/// Never, as it is written to memory.
pub fn write(form: &Form, annotator: &str) -> Result<Vec<u8>> {
    // Spreadsheets take a table without a byte order mark for one of another encoding.
    let mut writer = Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let tasks = || form.tasks.iter().map(|task| task.name.as_str());
    let suggested: Vec<&str> =
        tasks().filter(|task| form.items.iter().any(|item| item.suggested.contains_key(*task))).collect();
    let of_suggested: Vec<String> = suggested.iter().map(|task| format!("{SUGGESTED}{task}")).collect();
    let header = KEYS.into_iter().chain(tasks()).chain([NOTE]).chain(of_suggested.iter().map(String::as_str));
    writer.write_record(header.chain(SHOWN))?;
    for item in &form.items {
        let keys = [&item.id, item.account.as_deref().unwrap_or_default(), &item.shown, &form.form, annotator];
        let suggested = suggested.iter().map(|task| item.suggested.get(*task).map_or("", String::as_str));
        let unanswered = tasks().map(|_| "");
        let shown = shown(item);
        let texts = shown.iter().map(String::as_str);
        writer.write_record(keys.into_iter().chain(unanswered).chain([""]).chain(suggested).chain(texts))?;
    }
    Ok(writer.into_inner()?)
}

fn shown(item: &Item) -> [String; SHOWN.len()] {
    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    // What somebody posted is no formula.
    let safe = |text: &str| {
        if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text.to_owned() }
    };
    let text = |text: &Option<String>| text.as_deref().map(safe).unwrap_or_default();
    [
        item.duration_s.map(|seconds| seconds.to_string()).unwrap_or_default(),
        count(item.likes),
        count(item.views),
        count(item.plays),
        count(item.comments),
        text(&item.caption),
        safe(&item.hashtags.join(" ")),
        text(&item.transcript),
    ]
}

/// Whether a text begins like such a table.
pub fn is_one(text: &str) -> bool {
    let header = text.lines().next().unwrap_or_default();
    ["id", "shown", "form", "annotator"].iter().all(|column| header.contains(column)) && !header.starts_with(['{', '['])
}

/// The answers of a filled-in table, which may hold those of several annotators.
///
/// # Errors
/// Names the file, the line and the column that is missing or empty.
pub fn read(text: &str, name: &str) -> Result<Vec<Answers>> {
    let header = text.lines().next().unwrap_or_default();
    // As a spreadsheet of a country with decimal commas saves it.
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|at| header.bytes().filter(|byte| byte == at).count());
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter.unwrap_or(b',')).trim(Trim::All).from_reader(text.as_bytes());
    let columns = Columns::of(reader.headers()?, name)?;
    let mut all: IndexMap<String, Answers> = IndexMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| anyhow!("{name}: {error}").hint("every line needs a value for each column"))?;
        let line = row.position().map_or(0, csv::Position::line);
        let [id, account, shown, form, annotator] = columns.keys.map(|at| row[at].to_owned());
        for (key, value) in KEYS.iter().zip([&id, "-", &shown, &form, &annotator]) {
            ensure!(
                !value.is_empty(),
                anyhow!("{name}:{line}: {key} is empty").hint(match *key {
                    "annotator" => "write there who answered",
                    _ => "it tells which Reel the row is about, and is not to be altered: take it from the table as it was written",
                })
            );
        }
        let answers = all.entry(annotator.to_lowercase()).or_insert_with_key(|annotator| Answers {
            v: 1,
            kind: Kind::Annotations,
            form: form.clone(),
            role: Role::Annotator,
            annotator: annotator.clone(),
            tasks: vec![],
            of: 0,
            items: vec![],
        });
        if answers.form != form {
            bail!(
                anyhow!("{name}:{line}: form is {form}, and {} in the rows before it", answers.form)
                    .hint("rows of two versions of the tasks don't go together; keep them in two files")
            );
        }
        answers.of += 1;
        let filled = |at: usize| Some(row[at].to_owned()).filter(|value| !value.is_empty());
        let item = Answered {
            id,
            account: Some(account).filter(|account| !account.is_empty()),
            shown,
            answers: columns.tasks.iter().filter_map(|(task, at)| Some((task.clone(), filled(*at)?))).collect(),
            note: columns.note.and_then(filled),
            ..Answered::default()
        };
        if !item.answers.is_empty() || item.note.is_some() {
            answers.items.push(item);
        }
    }
    Ok(all.into_values().collect())
}

/// Where what stands.
struct Columns {
    keys: [usize; KEYS.len()],
    note: Option<usize>,
    tasks: Vec<(String, usize)>,
}

impl Columns {
    fn of(header: &StringRecord, name: &str) -> Result<Columns> {
        let at = |wanted: &str| header.iter().position(|column| column == wanted);
        let mut keys = [0; KEYS.len()];
        for (place, key) in keys.iter_mut().zip(KEYS) {
            *place = at(key).ok_or_else(|| {
                anyhow!("{name}:1: there is no column {key:?}").hint("take the table as `reels data review` wrote it")
            })?;
        }
        let note = at(NOTE);
        let is_task = |column: &&str| {
            !KEYS.contains(column) && !SHOWN.contains(column) && *column != NOTE && !column.starts_with(SUGGESTED)
        };
        let tasks = header.iter().enumerate().filter(|(_, column)| is_task(column));
        Ok(Columns { keys, note, tasks: tasks.map(|(at, column)| (column.to_owned(), at)).collect() })
    }
}
