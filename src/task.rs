//! Tasks: what is asked about a Reel, as `prompts/tasks.toml` lists them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Hint, did_you_mean};
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
    /// As references and predictions have them, in the order written; empty for a text task.
    pub labels: Vec<String>,
    /// What the model reads and answers, a label each: the label itself, unless `label_alias` says otherwise.
    pub wordings: Vec<String>,
    /// The positive label of a two-label task.
    pub positive: Option<String>,
    /// What a label means, by its wording.
    pub descriptions: BTreeMap<String, String>,
}

impl Task {
    /// What the model reads and answers for a label.
    pub fn wording<'a>(&'a self, label: &'a str) -> &'a str {
        let index = self.labels.iter().position(|other| other == label);
        index.map_or(label, |index| &self.wordings[index])
    }

    /// The same with its labels in another order: the numbers of those here.
    pub fn in_order(&self, order: &[usize]) -> Task {
        let placed = |labels: &[String]| order.iter().map(|at| labels[*at].clone()).collect();
        match order {
            [] => self.clone(),
            _ => Task { labels: placed(&self.labels), wordings: placed(&self.wordings), ..self.clone() },
        }
    }

    /// The label that an answer is, worded as the model reads it or as the references have it, leaving out case and whatever
    /// isn't a letter or digit at its ends; `None` where it is none of them, or could be two.
    pub fn label_said(&self, answer: &str) -> Option<&str> {
        // What could be two wordings is none of the labels either.
        let is_wording = self.wordings.iter().any(|wording| fold(wording) == fold(answer) && !fold(answer).is_empty());
        let of_labels = || match_label(answer, &self.labels).filter(|_| !is_wording);
        let index = match_label(answer, &self.wordings).or_else(of_labels);
        index.map(|index| self.labels[index].as_str())
    }
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
    /// The references' label by the label that the model reads.
    #[serde(default)]
    label_alias: BTreeMap<String, String>,
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
    let TaskEntry { kind, template, max_tokens, labels: wordings, label_alias, positive, descriptions } = entry;
    ensure!(max_tokens > 0, anyhow!("max_tokens is 0").hint("give the longest answer's tokens, e.g. max_tokens = 128"));
    match kind {
        TaskKind::Label => {
            ensure!(wordings.len() >= 2, "kind = \"label\" needs at least two labels, found {}", wordings.len());
            for (index, label) in wordings.iter().enumerate() {
                ensure!(!label.trim().is_empty(), "label {} is empty", index + 1);
                ensure!(
                    !wordings[..index].contains(label),
                    anyhow!("label {label:?} is listed twice").hint("remove one of the two")
                );
            }
        }
        TaskKind::Text => ensure!(
            wordings.is_empty() && label_alias.is_empty(),
            anyhow!("kind = \"text\" takes no labels").hint("set kind = \"label\" or remove the labels")
        ),
    }
    let labels = references(&wordings, &label_alias)?;
    // As the references have it, or as the model reads it.
    let index = |name: &String| {
        wordings.iter().position(|other| other == name).or(labels.iter().position(|other| other == name))
    };
    let positive = positive.map(|positive| {
        ensure!(labels.len() == 2, "positive is for tasks of two labels, this one has {}", labels.len());
        let index = index(&positive);
        index
            .map(|index| labels[index].clone())
            .with_context(|| format!("positive = {positive:?} is not among the labels {wordings:?}"))
    });
    let mut described = BTreeMap::new();
    for (label, description) in descriptions {
        let Some(index) = index(&label) else {
            bail!("descriptions names {label:?}, which is not among the labels {wordings:?}");
        };
        ensure!(
            described.insert(wordings[index].clone(), description).is_none(),
            anyhow!("descriptions has two for the label {:?}", wordings[index]).hint("remove one of the two")
        );
    }
    Ok(Task {
        name,
        kind,
        template,
        max_tokens,
        labels,
        wordings,
        positive: positive.transpose()?,
        descriptions: described,
    })
}

/// The references' label of each wording.
fn references(wordings: &[String], alias: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let hint = "label_alias has the label that the model reads, then the one in the references: promosi = \"iklan\"";
    for (wording, label) in alias {
        ensure!(
            wordings.contains(wording),
            anyhow!("label_alias names {wording:?}, which is not among the labels {wordings:?}")
                .hint(format!("{}{hint}", did_you_mean(wording, wordings)))
        );
        ensure!(!label.trim().is_empty(), anyhow!("label_alias of {wording:?} is empty").hint(hint));
        ensure!(
            label == wording || !wordings.contains(label),
            anyhow!("label_alias makes {label:?} of {wording:?}, and {label:?} is itself a label that the model reads")
                .hint("one label of the references has one wording, and no other label's; choose another")
        );
    }
    let labels: Vec<String> = wordings.iter().map(|wording| alias.get(wording).unwrap_or(wording).clone()).collect();
    for (index, label) in labels.iter().enumerate() {
        if let Some(first) = labels[..index].iter().position(|other| other == label) {
            bail!(
                anyhow!("{:?} and {:?} are both {label:?} in the references", wordings[first], wordings[index])
                    .hint("one label of the references has one wording; remove the other")
            );
        }
    }
    Ok(labels)
}

/// Without case and whatever isn't a letter or digit at its ends.
fn fold(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase()
}

/// Index of the label that a text is.
fn match_label(text: &str, labels: &[String]) -> Option<usize> {
    let exact = labels.iter().position(|label| label == text.trim());
    let folded = fold(text);
    let mut alike = (0..labels.len()).filter(|index| !folded.is_empty() && fold(&labels[*index]) == folded);
    let only = alike.next().filter(|_| alike.next().is_none());
    exact.or(only)
}

/// Checks that every gold label of a Reel is one its task knows, and the only one. A blank one is none.
///
/// # Errors
/// Names the file, the Reel, the task and the label.
pub fn check_reference(reel: &Reel, tasks: &[Task], data: &str) -> Result<()> {
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        if let Some(rest) = reel.alternatives.get(&task.name) {
            bail!(
                anyhow!("{data}: id {:?}: reference.{} has {} labels", reel.id, task.name, rest.len() + 1)
                    .hint("give one; only texts may have several gold answers")
            );
        }
        let label = reel.reference.get(&task.name).filter(|label| !label.trim().is_empty());
        if let Some(label) = label.filter(|label| !task.labels.contains(label)) {
            if let Some(index) = task.wordings.iter().position(|wording| wording == label) {
                bail!(
                    anyhow!(
                        "{data}: id {:?}: reference.{} is {label:?}, which is what the model reads for {:?}",
                        reel.id,
                        task.name,
                        task.labels[index]
                    )
                    .hint("references keep their labels; label_alias in tasks.toml has the label that the model reads, then theirs")
                );
            }
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

    const ALIASED: &str = "[task.ad]\nkind = \"label\"\ntemplate = \"ad.jinja\"\nmax_tokens = 8\n\
        labels = [\"promosi\", \"bukan iklan\"]\npositive = \"iklan\"\n\
        [task.ad.label_alias]\npromosi = \"iklan\"\n[task.ad.descriptions]\niklan = \"ajakan membeli\"\n";

    #[test]
    fn what_the_model_reads_may_differ_from_the_references() {
        let task = parse_tasks(ALIASED, "tasks.toml").unwrap().remove(0);
        assert_eq!(
            (&*task.labels, &*task.wordings),
            (&["iklan", "bukan iklan"].map(str::to_owned)[..], &["promosi", "bukan iklan"].map(str::to_owned)[..])
        );
        assert_eq!((task.wording("iklan"), task.wording("bukan iklan")), ("promosi", "bukan iklan"));
        assert_eq!(task.descriptions["promosi"], "ajakan membeli");
        let worded = parse_tasks(&ALIASED.replace("positive = \"iklan\"", "positive = \"promosi\""), "tasks.toml")
            .unwrap()
            .remove(0);
        assert_eq!((worded.positive.as_deref(), &worded), (Some("iklan"), &task));
        let mut reel = Reel { id: "r1".into(), ..Reel::default() };
        reel.reference.insert("ad".into(), "promosi".into());
        let message = check_reference(&reel, &[task], "a.jsonl").unwrap_err().to_string();
        assert!(
            message.ends_with("reference.ad is \"promosi\", which is what the model reads for \"iklan\""),
            "{message}"
        );
    }

    #[test]
    fn an_alias_that_is_not_one_to_one_is_refused() {
        for (from, to, expected) in [
            (
                "promosi = \"iklan\"",
                "promosy = \"iklan\"",
                "label_alias names \"promosy\", which is not among the labels",
            ),
            ("promosi = \"iklan\"", "promosi = \" \"", "label_alias of \"promosi\" is empty"),
            (
                "promosi = \"iklan\"",
                "promosi = \"bukan iklan\"",
                "\"bukan iklan\" is itself a label that the model reads",
            ),
            (
                "promosi = \"iklan\"",
                "promosi = \"iklan\"\n\"bukan iklan\" = \"iklan\"",
                "\"promosi\" and \"bukan iklan\" are both \"iklan\" in the references",
            ),
            (
                "iklan = \"ajakan membeli\"",
                "iklan = \"a\"\npromosi = \"b\"",
                "descriptions has two for the label \"promosi\"",
            ),
        ] {
            let error = parse_tasks(&ALIASED.replace(from, to), "tasks.toml").unwrap_err();
            let message = crate::error::Shown::of(&error).to_string();
            assert!(message.contains(expected) && message.starts_with("tasks.toml: [task.ad]: "), "{message}");
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
            assert_eq!(match_label(text, &ad).map(|index| &*ad[index]), expected, "{text:?}");
        }
        // What is left of these without their signs is the same, or nothing.
        let alike = Task {
            labels: labels(&["iklan", "bukan iklan"]),
            wordings: labels(&["iklan", "IKLAN"]),
            ..parse_tasks(AD, "tasks.toml").unwrap().remove(0)
        };
        assert_eq!(
            ["iklan", "IKLAN", "Iklan", "bukan iklan"].map(|text| alike.label_said(text)),
            [Some("iklan"), Some("bukan iklan"), None, Some("bukan iklan")]
        );
        let odd = labels(&["C", "C++", "👍", "👎", "café"]);
        for (text, expected) in
            [("C++", Some("C++")), ("c", None), (" 👎", Some("👎")), ("🙂", None), ("Cafe\u{301}", Some("café"))]
        {
            assert_eq!(match_label(text, &odd).map(|index| &*odd[index]), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unknown_gold_label_is_an_error() {
        let tasks = parse_tasks(AD, "tasks.toml").unwrap();
        let mut reel = Reel { id: "r1".into(), ..Reel::default() };
        reel.reference.insert("ad".into(), "ya".into());
        let message = check_reference(&reel, &tasks, "a.jsonl").unwrap_err().to_string();
        assert!(message.starts_with("a.jsonl: id \"r1\": reference.ad is \"ya\""), "{message}");
        reel.reference.insert("ad".into(), "iklan".into());
        reel.alternatives.insert("ad".into(), vec!["bukan iklan".into()]);
        let message = check_reference(&reel, &tasks, "a.jsonl").unwrap_err().to_string();
        assert_eq!(message, "a.jsonl: id \"r1\": reference.ad has 2 labels");
    }
}
