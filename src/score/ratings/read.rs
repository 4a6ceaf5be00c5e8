//! Ratings as files hold them, put beside the texts that they are about.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use indexmap::IndexMap;

use crate::annotation::{Rating, ratings, text_key};
use crate::lines::Lines;
use crate::scores::{Row, each_row};

/// Where a run is.
pub struct Files<'a> {
    /// How tables and pages call the run.
    pub name: &'a str,
    /// Its `rows.jsonl`.
    pub rows: &'a Lines,
    /// Its `ratings.jsonl`.
    pub ratings: &'a Lines,
}

/// A run's texts and what people say of them.
#[derive(Debug, Clone)]
pub struct RatedRun {
    /// How tables and pages call it.
    pub name: String,
    /// By task name; also tasks without ratings.
    pub(super) tasks: IndexMap<String, RatedTask>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RatedTask {
    /// By Reel; several where its repeats differ.
    pub reels: BTreeMap<String, Vec<Text>>,
    /// Ratings of texts that the run doesn't have.
    pub stale: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Text {
    pub account: Option<String>,
    pub key: String,
    /// By metric key, and [`FLAGS`].
    pub values: IndexMap<String, f64>,
    /// By annotator.
    pub said: BTreeMap<String, Rating>,
}

/// How many flags a text has.
pub(super) const FLAGS: &str = "flags";

/// Reads runs with their ratings; of their rows those of Reels of which any of these runs is rated.
///
/// # Errors
/// Names the file and the line.
pub fn read(runs: &[Files]) -> Result<Vec<RatedRun>> {
    let said = runs.iter().map(|run| ratings(run.ratings)).collect::<Result<Vec<_>>>()?;
    let rated: HashSet<&str> = said.iter().flatten().map(|rating| rating.reel_id.as_str()).collect();
    let of_run = |(run, said): (&Files, &Vec<Rating>)| {
        let mut rows = Vec::new();
        each_row(run.rows, |row, _| {
            if rated.contains(row.reel_id.as_str()) {
                rows.push(row);
            }
            Ok(())
        })?;
        Ok(RatedRun::of(run.name, &rows, said))
    };
    runs.iter().zip(&said).map(of_run).collect()
}

impl RatedRun {
    /// From a run's rows and what [`ratings`] read of them. A text that repeats give twice is one.
    pub fn of(name: &str, rows: &[Row], ratings: &[Rating]) -> RatedRun {
        let mut tasks: IndexMap<String, RatedTask> = IndexMap::new();
        for row in rows {
            let texts = tasks.entry(row.task.clone()).or_default().reels.entry(row.reel_id.clone()).or_default();
            let text = Text::of(row);
            if texts.iter().all(|other| other.key != text.key) {
                texts.push(text);
            }
        }
        for rating in ratings {
            let task = tasks.entry(rating.task.clone()).or_default();
            let texts = task.reels.get_mut(&rating.reel_id);
            match texts.and_then(|texts| texts.iter_mut().find(|text| text.key == rating.text)) {
                Some(text) => drop(text.said.insert(rating.annotator.clone(), rating.clone())),
                None => task.stale += 1,
            }
        }
        RatedRun { name: name.to_owned(), tasks }
    }
}

impl RatedTask {
    /// With the Reel that each is about.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.reels.iter().flat_map(|(reel, texts)| texts.iter().map(move |text| (reel.as_str(), text)))
    }

    /// Whether people said anything of its texts, these or former ones.
    pub fn is_rated(&self) -> bool {
        self.stale > 0 || self.texts().any(|(_, text)| !text.said.is_empty())
    }
}

impl Text {
    fn of(row: &Row) -> Text {
        let mut values = row.metrics.clone();
        values.insert(FLAGS.to_owned(), row.flags.len() as f64);
        Text {
            account: row.account.clone().filter(|account| !account.trim().is_empty()),
            key: text_key(&row.output),
            values,
            said: BTreeMap::new(),
        }
    }

    /// What each annotator gives on a scale.
    pub fn given(&self, scale: &str) -> impl Iterator<Item = (&str, f64)> {
        self.said.iter().filter_map(move |(by, said)| Some((by.as_str(), f64::from(*said.ratings.get(scale)?))))
    }

    /// The mean over annotators; `None` where it isn't rated.
    pub fn mean(&self, scale: &str) -> Option<f64> {
        let given: Vec<f64> = self.given(scale).map(|(_, value)| value).collect();
        (!given.is_empty()).then(|| given.iter().sum::<f64>() / given.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"v":1,"reel_id":"r1","task":"summary","annotator":"ana","text":"0a","ratings":{"faithful":4},"preferred":{"0b":1}}"#;

    #[test]
    fn ratings_go_to_the_text_that_they_are_about() {
        let rows = r#"{"v":1,"reel_id":"r1","account":" ","task":"summary","repeat":0,"prompt":"","reference":null,"output":"kopi","label_logprobs":null,"finish":"stop","metrics":{},"flags":["9","@a"]}"#;
        let (kopi, former) = (LINE.replace("0a", &text_key("kopi")), LINE.replace("ana", "ben"));
        let elsewhere = LINE.replace("r1", "r2").replace("summary", "title");
        let second = rows.replace("\"repeat\":0", "\"repeat\":1");
        let files = Files {
            name: "a",
            rows: &Lines::of("rows.jsonl", &format!("{rows}\n{second}\n{}\n", rows.replace("r1", "r3"))),
            ratings: &Lines::of("ratings.jsonl", &format!("{kopi}\n{former}\n{elsewhere}\n")),
        };
        let run = read(&[files]).unwrap().remove(0);
        let summary = &run.tasks["summary"];
        assert_eq!((summary.stale, run.tasks["title"].stale, summary.reels.len()), (1, 1, 1));
        let text = &summary.reels["r1"][..];
        assert_eq!((text.len(), &text[0].account, text[0].values[FLAGS]), (1, &None, 2.0));
        assert_eq!((text[0].mean("faithful"), text[0].mean("fluent")), (Some(4.0), None));
    }
}
