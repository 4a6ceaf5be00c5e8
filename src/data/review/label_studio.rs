//! Label Studio: a form as a project's labelling config and tasks, and its exports as answers.
//!
//! Shapes are those of Label Studio 1.23.2, as `tests/reference/label_studio.py` makes it write them.

use anyhow::{Context, Result, anyhow, bail, ensure};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::form::{Form, Item};
use crate::annotation::{Kind, Role};
use crate::error::Hint;

mod export;

pub use export::{Export, read};

/// Before a task's name in that of its control: some exports have controls among the data.
const ANSWER: &str = "answer_";
/// The control that takes the note.
const NOTE: &str = "note";
/// The tag that controls are about.
const ABOUT: &str = "transcript";

/// Of a task's data, what comes back as it went.
#[derive(Debug, Serialize, Deserialize)]
struct Source {
    /// The record's id; `id` is the task's own in some exports.
    reel: String,
    account: Option<String>,
    shown: String,
    form: String,
    /// Reels that are asked about: exports leave out tasks that nobody annotated.
    of: usize,
}

/// A project's labelling config (XML): the Reel, the labels of each task with what they mean, and a note. The first 34 labels
/// get keys from Label Studio.
///
/// # Errors
/// Names what Label Studio isn't asked for (ratings, deciding between annotators), and labels that it would change.
pub fn config(form: &Form) -> Result<String> {
    let page = "write a page: --to html";
    ensure!(form.kind == Kind::Annotations, anyhow!("Label Studio isn't asked for ratings").hint(page));
    ensure!(form.role == Role::Annotator, anyhow!("Label Studio isn't asked to decide between annotators").hint(page));
    for task in &form.tasks {
        let mut names = std::iter::once(&task.name).chain(&task.labels);
        if let Some(name) = names.find(|name| name.contains(char::is_control)) {
            bail!(anyhow!("task {:?}: Label Studio would change {name:?}", task.name).hint(page));
        }
    }
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax);
    // A name in .xml turns escaping on.
    environment.add_template("config.xml", include_str!("label_studio.xml.jinja"))?;
    let view = json!({"tasks": form.tasks, "answer": ANSWER, "note": NOTE, "about": ABOUT});
    environment.get_template("config.xml")?.render(Serde(view)).context("cannot render the labelling config")
}

/// What a project imports (JSON): a task a Reel. A model's labels are predictions, which annotators find filled in.
///
/// Label Studio offers a task to one annotator only unless a project's `maximum_annotations` is more than 1: a project each,
/// with an order of its own, is the plain way.
pub fn tasks(form: &Form) -> Value {
    form.items.iter().map(|item| task(item, form)).collect()
}

fn task(item: &Item, form: &Form) -> Value {
    let source = Source {
        reel: item.id.clone(),
        account: item.account.clone(),
        shown: item.shown.clone(),
        form: form.form.clone(),
        of: form.items.len(),
    };
    let mut data = json!(source);
    data["facts"] = facts(item).into();
    data["caption"] = item.caption.as_deref().unwrap_or(UNKNOWN).into();
    data["transcript"] = item.transcript.as_deref().unwrap_or(UNKNOWN).into();
    if item.suggested.is_empty() {
        return json!({"data": data});
    }
    let result = item.suggested.iter().map(|(task, label)| {
        let control = format!("{ANSWER}{task}");
        json!({"from_name": control, "to_name": ABOUT, "type": "choices", "value": {"choices": [label]}})
    });
    let prediction = json!({"model_version": "reels", "result": result.collect::<Vec<_>>()});
    json!({"data": data, "predictions": [prediction]})
}

const UNKNOWN: &str = "tidak diketahui";

fn facts(item: &Item) -> String {
    let number = |number: Option<u64>| number.map_or(UNKNOWN.to_owned(), |number| number.to_string());
    let seconds = item.duration_s.map_or(UNKNOWN.to_owned(), |seconds| format!("{seconds} detik"));
    let hashtags: Vec<String> = item.hashtags.iter().map(|hashtag| format!("#{hashtag}")).collect();
    let facts = [
        ("Durasi", seconds),
        ("Suka", number(item.likes)),
        ("Tayangan", number(item.views)),
        ("Diputar", number(item.plays)),
        ("Komentar", number(item.comments)),
        ("Tagar", if hashtags.is_empty() { "tidak ada".to_owned() } else { hashtags.join(" ") }),
    ];
    facts.map(|(name, value)| format!("{name}: {value}")).join(" · ")
}

#[cfg(test)]
#[path = "label_studio_tests.rs"]
mod tests;
