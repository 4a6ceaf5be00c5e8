//! Tasks: what is asked about a Reel, as `prompts/tasks.toml` lists them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::error::Hint;
use crate::reel::Reel;

/// One question about a Reel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// The key in `tasks.toml`, and in a record's `reference`.
    pub name: String,
    /// What an answer looks like.
    pub kind: TaskKind,
    /// File name of the template, beside `tasks.toml`.
    pub template: String,
    /// Of the answer, at most.
    pub max_tokens: usize,
    /// In the order written; empty for a text task.
    pub labels: Vec<String>,
    /// The positive label of a two-label task.
    pub positive: Option<String>,
    /// What a label means, by label.
    pub descriptions: BTreeMap<String, String>,
}

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One of the task's labels.
    Label,
    /// Free text.
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TasksFile {
    task: toml::map::Map<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskEntry {
    kind: TaskKind,
    template: String,
    max_tokens: usize,
    #[serde(default)]
    labels: Vec<String>,
    positive: Option<String>,
    #[serde(default)]
    descriptions: BTreeMap<String, String>,
}

/// Parses the text of a `tasks.toml`, keeping the file's order; `name` stands in the errors.
///
/// # Errors
/// Names the file and the key of what is missing, of the wrong type or inconsistent.
pub fn parse_tasks(text: &str, name: &str) -> Result<Vec<Task>> {
    let file: TasksFile = toml::from_str(text).map_err(|error| {
        anyhow!("{name}: {}", error.to_string().trim_end()).hint("each task is a table [task.NAME]")
    })?;
    ensure!(!file.task.is_empty(), anyhow!("{name} lists no task").hint("add a table [task.summary]"));
    file.task
        .into_iter()
        .map(|(task, value)| {
            let entry = value
                .try_into::<TaskEntry>()
                .map_err(|error| anyhow!("{}", error.to_string().trim().replace('\n', " ")))
                .and_then(|entry| check(task.clone(), entry));
            entry.with_context(|| format!("{name}: [task.{task}]"))
        })
        .collect()
}

fn check(name: String, entry: TaskEntry) -> Result<Task> {
    let TaskEntry { kind, template, max_tokens, labels, positive, descriptions } = entry;
    ensure!(max_tokens > 0, anyhow!("max_tokens is 0").hint("give the longest answer's tokens, e.g. max_tokens = 128"));
    match kind {
        TaskKind::Label => {
            ensure!(labels.len() >= 2, "kind = \"label\" needs at least two labels, found {}", labels.len());
            for (index, label) in labels.iter().enumerate() {
                ensure!(!label.trim().is_empty(), "label {} is empty", index + 1);
                ensure!(
                    !labels[..index].contains(label),
                    anyhow!("label {label:?} is listed twice").hint("remove one of the two")
                );
            }
        }
        TaskKind::Text => ensure!(
            labels.is_empty(),
            anyhow!("kind = \"text\" takes no labels").hint("set kind = \"label\" or remove the labels")
        ),
    }
    if let Some(positive) = &positive {
        ensure!(labels.len() == 2, "positive is for tasks of two labels, this one has {}", labels.len());
        ensure!(labels.contains(positive), "positive = {positive:?} is not among the labels {labels:?}");
    }
    if let Some(label) = descriptions.keys().find(|label| !labels.contains(label)) {
        bail!("descriptions names {label:?}, which is not among the labels {labels:?}");
    }
    Ok(Task { name, kind, template, max_tokens, labels, positive, descriptions })
}

/// The label that a text is, leaving out case and whatever isn't a letter or digit at its ends; `None` where it is none of
/// them, or could be two.
pub fn match_label<'a>(text: &str, labels: &'a [String]) -> Option<&'a str> {
    let fold = |text: &str| -> String {
        let composed: String = text.nfc().collect();
        composed.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase()
    };
    let exact = labels.iter().find(|label| *label == text.trim());
    let folded = fold(text);
    let mut alike = labels.iter().filter(|label| !folded.is_empty() && fold(label) == folded);
    let only = alike.next().filter(|_| alike.next().is_none());
    exact.or(only).map(String::as_str)
}

/// Checks that every gold label of a Reel is one its task knows. A blank one is none.
///
/// # Errors
/// Names the file, the Reel, the task and the label.
pub fn check_reference(reel: &Reel, tasks: &[Task], data: &str) -> Result<()> {
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        let label = reel.reference.get(&task.name).filter(|label| !label.trim().is_empty());
        if let Some(label) = label.filter(|label| !task.labels.contains(label)) {
            bail!(
                anyhow!(
                    "{data}: id {:?}: reference.{} is {label:?}, which is not among the task's labels ({})",
                    reel.id,
                    task.name,
                    task.labels.join(", ")
                )
                .hint("correct the record, add the label to tasks.toml, or name the right prompts with --prompts")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AD: &str =
        "[task.ad]\nkind = \"label\"\ntemplate = \"ad.jinja\"\nmax_tokens = 8\nlabels = [\"iklan\", \"bukan iklan\"]\n";

    #[test]
    fn keeps_file_order() {
        let text = format!(
            "[task.summary]\nkind = \"text\"\ntemplate = \"s.jinja\"\nmax_tokens = 9\n{AD}positive = \"iklan\"\n"
        );
        let tasks = parse_tasks(&text, "tasks.toml").unwrap();
        assert_eq!(tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["summary", "ad"]);
    }

    #[test]
    fn errors_name_file_and_key() {
        for (text, expected) in [
            (AD.replace("kind = \"label\"", "kind = \"labels\""), "tasks.toml: [task.ad]"),
            (AD.replace("\"bukan iklan\"", "\"iklan\""), "label \"iklan\" is listed twice"),
            (format!("{AD}positive = \"ya\"\n"), "positive = \"ya\" is not among the labels"),
            (format!("{AD}colour = 1\n"), "unknown field `colour`"),
            (AD.replace("max_tokens = 8", "max_tokens = 0"), "max_tokens is 0"),
            ("[task]".into(), "lists no task"),
        ] {
            let message = format!("{:#}", parse_tasks(&text, "tasks.toml").unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn answers_are_matched_to_labels_or_to_none() {
        let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        let ad = labels(&["iklan", "bukan iklan"]);
        for (text, expected) in [
            (" \"Iklan\".", Some("iklan")),
            ("Bukan Iklan\n", Some("bukan iklan")),
            ("**IKLAN**", Some("iklan")),
            ("iklan atau bukan", None),
            (" . ", None),
            ("", None),
        ] {
            assert_eq!(match_label(text, &ad), expected, "{text:?}");
        }
        // What is left of these without their signs is the same, or nothing.
        let odd = labels(&["C", "C++", "👍", "👎", "café"]);
        for (text, expected) in
            [("C++", Some("C++")), ("c", None), (" 👎", Some("👎")), ("🙂", None), ("Cafe\u{301}", Some("café"))]
        {
            assert_eq!(match_label(text, &odd), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unknown_gold_label_is_an_error() {
        let tasks = parse_tasks(AD, "tasks.toml").unwrap();
        let mut reel = Reel { id: "r1".into(), ..Reel::default() };
        reel.reference.insert("ad".into(), "ya".into());
        let message = check_reference(&reel, &tasks, "a.jsonl").unwrap_err().to_string();
        assert!(message.starts_with("a.jsonl: id \"r1\": reference.ad is \"ya\""), "{message}");
    }
}
