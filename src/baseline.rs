//! Baselines: answers that need no model, to be beaten by one. They are runs like any other.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use crate::generator::{Answer, Generator, Job, Outcome};
use crate::reel::Reel;
use crate::run::{interrupted, sha256};
use crate::task::{Task, TaskKind};

/// A stretch without an end of sentence is cut here: recognisers often write no punctuation.
const MAX_SENTENCE_WORDS: usize = 40;

/// A baseline that is ready to answer.
#[derive(Debug, Clone)]
pub struct Baseline {
    name: String,
    rule: Rule,
    tasks: Vec<Task>,
}

#[derive(Debug, Clone)]
enum Rule {
    /// The first sentences of the transcript.
    Lead(usize),
    /// The most frequent label of each task in the training records, by task name.
    Majority(HashMap<String, String>),
}

impl Baseline {
    /// `name` is what stands behind `baseline:`; `train` are the records of `--train`.
    ///
    /// # Errors
    /// Names the baseline that is unknown or has nothing to learn from.
    pub fn new(name: &str, tasks: &[Task], train: Option<&[Reel]>) -> Result<Baseline> {
        let rule = match name {
            "lead-1" => Rule::Lead(1),
            "lead-3" => Rule::Lead(3),
            "majority" => {
                let train =
                    train.context("baseline:majority needs records to count labels in\nhint: add --train F.jsonl")?;
                Rule::Majority(majority(tasks, train)?)
            }
            other => {
                bail!("baseline:{other} is not known\nhint: baseline:lead-1, baseline:lead-3 or baseline:majority")
            }
        };
        Ok(Baseline { name: format!("baseline:{name}"), rule, tasks: tasks.to_vec() })
    }

    /// Its name on the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stands for the hash of a model file: over the rule and what it learned.
    pub fn sha256(&self) -> String {
        let learned: Vec<_> = match &self.rule {
            Rule::Lead(_) => vec![],
            Rule::Majority(labels) => self.tasks.iter().map(|task| labels.get(&task.name)).collect(),
        };
        sha256(format!("{} {learned:?}", self.name).as_bytes())
    }

    /// Whether it has an answer to this kind of task.
    pub fn answers(&self, task: &Task) -> bool {
        match self.rule {
            Rule::Lead(_) => task.kind == TaskKind::Text,
            Rule::Majority(_) => task.kind == TaskKind::Label,
        }
    }

    fn answer(&self, reel: &Reel, task: &Task) -> String {
        match &self.rule {
            Rule::Lead(sentences) => {
                lead(reel.transcript.as_deref().or(reel.caption.as_deref()).unwrap_or_default(), *sentences)
            }
            Rule::Majority(labels) => labels.get(&task.name).cloned().unwrap_or_default(),
        }
    }
}

impl Generator for Baseline {
    fn run(
        &mut self,
        jobs: &mut dyn Iterator<Item = Result<Job>>,
        done: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        for job in jobs {
            let job = job?;
            for ask in &job.asks {
                let text = self.answer(&job.reel, &self.tasks[ask.task]);
                done(Answer {
                    job: job.id,
                    task: ask.task,
                    outcome: Ok(Outcome::Text { text, ended: true }),
                    cached_tokens: 0,
                    generated_tokens: 0,
                    seconds: 0.0,
                })?;
            }
            if interrupted() {
                break;
            }
        }
        Ok(())
    }
}

fn majority(tasks: &[Task], train: &[Reel]) -> Result<HashMap<String, String>> {
    let mut labels = HashMap::new();
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        let count = |label: &String| train.iter().filter(|reel| reel.reference.get(&task.name) == Some(label)).count();
        // Of equally frequent labels, the one listed first.
        let most = task.labels.iter().rev().max_by_key(|label| count(label)).filter(|label| count(label) > 0);
        if let Some(label) = most {
            labels.insert(task.name.clone(), label.clone());
        }
    }
    ensure!(
        !labels.is_empty(),
        "the --train records have no label for any task\nhint: baseline:majority needs reference.<task> in them"
    );
    Ok(labels)
}

/// The first sentences of a text; a sentence ends at `.`, `!` or `?` before white space, or at a line's end.
fn lead(text: &str, sentences: usize) -> String {
    let mut taken = Vec::new();
    let mut words = Vec::new();
    for line in text.lines() {
        for word in line.split_whitespace() {
            words.push(word);
            if word.ends_with(['.', '!', '?']) || words.len() == MAX_SENTENCE_WORDS {
                taken.push(std::mem::take(&mut words).join(" "));
            }
        }
        if !words.is_empty() {
            taken.push(std::mem::take(&mut words).join(" "));
        }
        if taken.len() >= sentences {
            break;
        }
    }
    taken.truncate(sentences);
    taken.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lead_takes_sentences() {
        assert_eq!(lead("Halo guys! Ini Rp1.500 saja. Beli ya?\nLagi", 2), "Halo guys! Ini Rp1.500 saja.");
        assert_eq!(lead("tanpa titik\nbaris dua", 1), "tanpa titik");
        assert_eq!(lead(&"kata ".repeat(100), 1).split(' ').count(), MAX_SENTENCE_WORDS);
    }

    #[test]
    fn majority_prefers_the_label_listed_first() {
        let tasks = crate::task::parse_tasks(
            "[task.ad]\nkind = \"label\"\ntemplate = \"ad.jinja\"\nmax_tokens = 8\nlabels = [\"iklan\", \"bukan iklan\"]\n",
            "tasks.toml",
        )
        .unwrap();
        let reel = |label: &str| {
            let mut reel = Reel::default();
            reel.reference.insert("ad".into(), label.into());
            reel
        };
        let learned = majority(&tasks, &[reel("bukan iklan"), reel("iklan")]).unwrap();
        assert_eq!(learned["ad"], "iklan");
        assert!(majority(&tasks, &[Reel::default()]).is_err());
    }
}
