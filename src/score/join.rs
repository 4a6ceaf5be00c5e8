//! Joins predictions with the records they are about.
//!
//! Both files may be larger than memory: they are read once to know where each line stands, and then again line by line in
//! the order of the rows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use indexmap::IndexSet;
use rayon::prelude::*;
use serde::Deserialize;

use super::row::{RowScorer, Thresholds};
use crate::config::MetricSettings;
use crate::error::Hint;
use crate::lines::{Lines, Place};
use crate::prediction::{Prediction, not_a_prediction};
use crate::publish::publish;
use crate::reel::{Reel, each_reel, reel_at};
use crate::task::{Task, check_reference};

/// Rows that are scored between two writes: they are held in memory.
const CHUNK: usize = 1024;

/// Predictions beside the records they are about.
#[derive(Debug)]
pub struct Join<'a> {
    predictions: &'a Lines,
    records: &'a Lines,
    tasks: &'a [Task],
    /// Of each record's line.
    places: Vec<Place>,
    /// In the order of the tasks, then of the data, then of the repeats.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    task: u16,
    reel: u32,
    repeat: u32,
    /// Stands for the hash of its prompt.
    prompt: u64,
    /// Of its line.
    place: Place,
}

/// What the first reading takes of a prediction: its key, and what all predictions of one run have in common.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    reel_id: Cow<'a, str>,
    #[serde(borrow)]
    task: Cow<'a, str>,
    repeat: u32,
    #[serde(borrow)]
    prompt_sha256: Cow<'a, str>,
    #[serde(borrow)]
    model_sha256: Cow<'a, str>,
    #[serde(borrow)]
    adapter_sha256: Option<Cow<'a, str>>,
    #[serde(borrow)]
    settings_sha256: Cow<'a, str>,
}

impl<'a> Join<'a> {
    /// Reads both files. Where a prediction stands on several lines, the last one counts.
    ///
    /// # Errors
    /// Names the line that is no record or no prediction, what is unknown (Reel, task, gold label), what is mixed
    /// (settings, model, adapter) and what was answered twice.
    pub fn new(predictions: &'a Lines, records: &'a Lines, tasks: &'a [Task]) -> Result<Join<'a>> {
        let mut reels: HashMap<String, u32> = HashMap::new();
        let mut places = Vec::new();
        each_reel(records, |reel, place| {
            check_reference(&reel, tasks, records.name())?;
            reels.insert(reel.id, places.len() as u32);
            places.push(place);
            Ok(())
        })?;
        let entries = entries(predictions, &reels, tasks)?;
        Ok(Join { predictions, records, tasks, places, entries })
    }

    /// How many records there are.
    pub fn reels(&self) -> usize {
        self.places.len()
    }

    /// How many rows there are.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Writes a `rows.jsonl`, whole or not at all; `written` hears how many more there are.
    ///
    /// A row without a reference has no metrics. A failed answer counts as an empty one.
    ///
    /// # Errors
    /// Names the line that is no prediction, and what can't be written.
    pub fn write_rows(
        &self,
        settings: &MetricSettings,
        thresholds: &Thresholds,
        path: &Path,
        written: &dyn Fn(u64),
    ) -> Result<()> {
        publish(path, |file| {
            for entries in self.entries.chunks(CHUNK) {
                let line = |scorer: &mut RowScorer, entry: &Entry| -> Result<Vec<u8>> {
                    let (prediction, reel) = self.pair(entry)?;
                    let row = scorer.row(prediction, &self.tasks[entry.task as usize], reel);
                    let mut line = serde_json::to_vec(&row)?;
                    line.push(b'\n');
                    Ok(line)
                };
                let scorer = || RowScorer::new(self.tasks, settings, thresholds);
                let lines: Vec<Vec<u8>> = entries.par_iter().map_init(scorer, line).collect::<Result<_>>()?;
                for line in lines {
                    file.write_all(&line)?;
                }
                written(entries.len() as u64);
            }
            Ok(())
        })
    }

    fn pair(&self, entry: &Entry) -> Result<(Prediction, Reel)> {
        let bytes = self.predictions.at(entry.place)?;
        let prediction =
            serde_json::from_slice(&bytes).map_err(|error| not_a_prediction(self.predictions, entry.place, &error))?;
        Ok((prediction, reel_at(self.records, self.places[entry.reel as usize])?))
    }
}

/// The predictions that count, in the order of the rows.
fn entries(predictions: &Lines, reels: &HashMap<String, u32>, tasks: &[Task]) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let [mut settings, mut models, mut adapters] = [const { Vec::<String>::new() }; 3];
    let (mut unknown_reels, mut unknown_tasks) = (IndexSet::new(), IndexSet::new());
    predictions.each(|line| {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let head: Head = match serde_json::from_slice(line.bytes) {
            Ok(head) => head,
            Err(_) if !line.ended => {
                crate::prediction::warn_of_torn_line(predictions, line.place);
                return Ok(());
            }
            Err(error) => return Err(not_a_prediction(predictions, line.place, &error)),
        };
        let adapter = head.adapter_sha256.unwrap_or("none".into());
        for (seen, value) in
            [(&mut settings, &head.settings_sha256), (&mut models, &head.model_sha256), (&mut adapters, &adapter)]
        {
            if !seen.iter().any(|seen| seen == value) {
                seen.push(value.clone().into_owned());
            }
        }
        let task = tasks.iter().position(|task| task.name == head.task);
        match (task, reels.get(&*head.reel_id)) {
            (Some(task), Some(reel)) => entries.push(Entry {
                task: task as u16,
                reel: *reel,
                repeat: head.repeat,
                prompt: super::table::hash(&head.prompt_sha256),
                place: line.place,
            }),
            (task, reel) => {
                if reel.is_none() {
                    unknown_reels.insert(head.reel_id.into_owned());
                }
                if task.is_none() {
                    unknown_tasks.insert(head.task.into_owned());
                }
            }
        }
        Ok(())
    })?;
    ensure!(
        !settings.is_empty(),
        anyhow!("{} holds no predictions", predictions.name()).hint("`reels predict` writes them")
    );
    refuse_mixed("settings_sha256", &settings)?;
    refuse_mixed("model_sha256", &models)?;
    refuse_mixed("adapter_sha256", &adapters)?;
    refuse_unknown("Reel", &unknown_reels, "score with the --data file they were made from")?;
    refuse_unknown("task", &unknown_tasks, "name their prompts with --prompts")?;

    last_of_each(entries, predictions)
}

/// Sorted by key, of equal keys the last line alone.
fn last_of_each(mut entries: Vec<Entry>, predictions: &Lines) -> Result<Vec<Entry>> {
    // Stable: of equal keys the last line stays last.
    entries.sort_by_key(Entry::key);
    if let Some(pair) =
        entries.windows(2).find(|pair| pair[0].key() == pair[1].key() && pair[0].prompt != pair[1].prompt)
    {
        let prediction: Prediction = serde_json::from_slice(&predictions.at(pair[1].place)?)
            .map_err(|error| not_a_prediction(predictions, pair[1].place, &error))?;
        bail!(
            anyhow!(
                "id {:?}, task {:?}, repeat {} was answered twice, to different prompts",
                prediction.reel_id,
                prediction.task,
                prediction.repeat
            )
            .hint("the template or the data changed in between; predict into a new folder")
        );
    }
    entries.reverse();
    entries.dedup_by_key(|entry| entry.key());
    entries.reverse();
    Ok(entries)
}

impl Entry {
    fn key(&self) -> (u16, u32, u32) {
        (self.task, self.reel, self.repeat)
    }
}

fn refuse_mixed(name: &str, values: &[String]) -> Result<()> {
    ensure!(
        values.len() <= 1,
        anyhow!("the predictions mix {} values of {name}: {}", values.len(), listed(values.iter()))
            .hint("score one run at a time; give each run its own predictions file")
    );
    Ok(())
}

fn refuse_unknown(what: &str, unknown: &IndexSet<String>, hint: &str) -> Result<()> {
    ensure!(
        unknown.is_empty(),
        anyhow!("the predictions name {} unknown {what}(s): {}", unknown.len(), listed(unknown.iter())).hint(hint)
    );
    Ok(())
}

/// The first few: a wrong data file makes hundreds.
fn listed<'a>(values: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 5;
    let more = values.len() > SHOWN;
    let mut parts: Vec<&str> = values.take(SHOWN).map(String::as_str).collect();
    if more {
        parts.push("…");
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;
    use crate::prediction::Finish;
    use crate::score::fixture::{prediction, reel, tasks};
    use crate::scores::Row;

    const SETTINGS: MetricSettings = MetricSettings { amounts: false, stems: false };

    /// Through files, as a command does it.
    fn rows(predictions: &[Prediction], reels: &[Reel], tasks: &[Task]) -> Result<Vec<Row>> {
        fn text<T: serde::Serialize>(values: &[T]) -> String {
            values.iter().map(|value| serde_json::to_string(value).unwrap() + "\n").collect()
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        std::fs::write(path("predictions.jsonl"), text(predictions)).unwrap();
        std::fs::write(path("data.jsonl"), text(reels)).unwrap();
        let (predictions, records) =
            (Lines::open(&path("predictions.jsonl"), "").unwrap(), Lines::open(&path("data.jsonl"), "").unwrap());
        Join::new(&predictions, &records, tasks)?.write_rows(
            &SETTINGS,
            &Thresholds::new(),
            &path("rows.jsonl"),
            &|_| (),
        )?;
        let mut rows = Vec::new();
        crate::scores::each_row(&Lines::open(&path("rows.jsonl"), "").unwrap(), |row, _| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn rows_stand_in_the_order_of_tasks_data_and_repeats() {
        let reels = [reel("b", Some("kopi")), reel("a", None)];
        let predictions = [
            prediction("a", "ad", 1, "iklan"),
            prediction("a", "ad", 0, "apa"),
            prediction("b", "ad", 0, "iklan"),
            prediction("a", "summary", 0, "teh"),
            prediction("b", "summary", 0, "Kopi."),
        ];
        let rows = rows(&predictions, &reels, &tasks()).unwrap();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.task.as_str(), row.reel_id.as_str(), row.repeat, row.metrics.get("correct")))
            .collect();
        assert_eq!(
            seen,
            [
                ("summary", "b", 0, None),
                ("summary", "a", 0, None),
                ("ad", "b", 0, Some(&1.0)),
                ("ad", "a", 0, Some(&0.0)),
                ("ad", "a", 1, Some(&1.0)),
            ]
        );
        assert_eq!((rows[0].metrics["rouge1"], rows[0].prompt.as_str()), (1.0, "summary?"));
        assert!(rows[1].reference.is_none() && rows[1].metrics.is_empty());
    }

    #[test]
    fn errors_name_the_values_and_the_next_step() {
        let good = prediction("a", "ad", 0, "iklan");
        let other = |change: fn(&mut Prediction)| {
            let mut other = Prediction { repeat: 1, ..good.clone() };
            change(&mut other);
            other
        };
        for (second, expected) in [
            (other(|p| p.reel_id = "z".into()), "the predictions name 1 unknown Reel(s): z\nhint: "),
            (other(|p| p.task = "mood".into()), "the predictions name 1 unknown task(s): mood\nhint: "),
            (other(|p| p.settings_sha256 = "t".into()), "mix 2 values of settings_sha256: s, t\nhint: "),
            (other(|p| p.model_sha256 = "n".into()), "mix 2 values of model_sha256: m, n\nhint: "),
            (other(|p| p.adapter_sha256 = Some("x".into())), "mix 2 values of adapter_sha256: none, x\nhint: "),
            (
                other(|p| (p.repeat, p.prompt_sha256) = (0, "q".into())),
                "id \"a\", task \"ad\", repeat 0 was answered twice",
            ),
        ] {
            let error = rows(&[good.clone(), second], &[reel("a", None)], &tasks()).unwrap_err();
            let message = Shown::of(&error).to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(rows(&[], &[reel("a", None)], &tasks()).unwrap_err().to_string().contains("holds no predictions"));
    }

    #[test]
    fn the_last_line_of_a_prediction_counts() {
        let first = Prediction { finish: Finish::Error, ..prediction("a", "ad", 0, "") };
        let rows = rows(&[first, prediction("a", "ad", 0, "iklan")], &[reel("a", None)], &tasks()).unwrap();
        assert_eq!((rows.len(), rows[0].output.as_str()), (1, "iklan"));
    }
}
