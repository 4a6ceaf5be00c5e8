//! Joins predictions with the records they are about.
//!
//! Both files may be larger than memory: they are read once to know where each line stands, and then again line by line in
//! the order of the rows.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::row::{RowScorer, Scoring};
use crate::error::Hint;
use crate::lines::{Lines, Place};
use crate::prediction::{Answer, Finish};
use crate::publish::publish;
use crate::reel::{Reel, each_reel, reel_at};
use crate::run::hex;
use crate::task::{Task, check_reference};

/// Rows that are scored between two writes: they are held in memory.
const CHUNK: usize = 1024;

/// What was asked, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Records, counted from the first; `None` is all of them.
    pub reels: Option<usize>,
    /// The same by task, where it is known of one. Of other tasks those count that have an answer.
    pub tasks: IndexMap<String, usize>,
}

/// Answers beside the records they are about.
#[derive(Debug)]
pub struct Join<'a> {
    answers: &'a Lines,
    records: &'a Lines,
    tasks: &'a [Task],
    /// Of each record's line.
    places: Vec<Place>,
    /// Numbers of tasks of which some record has several references.
    several: BTreeSet<usize>,
    /// In the order of the tasks, then of the data, then of the repeats.
    entries: Vec<Entry>,
    /// What made the answers, where they say it.
    pub made_by: MadeBy,
}

/// Which answers these are, as hashes; `None` where they don't say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Prediction` with these names")]
pub struct MadeBy {
    pub model_sha256: Option<String>,
    pub adapter_sha256: Option<String>,
    pub settings_sha256: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    task: u16,
    reel: u32,
    repeat: u32,
    /// Stands for the hash of its prompt.
    prompt: u64,
    /// There is no answer.
    failed: bool,
    /// Of its line; `None` where it was asked for and isn't there.
    place: Option<Place>,
}

impl<'a> Join<'a> {
    /// Reads both files. Where an answer stands on several lines, the last one counts.
    ///
    /// # Errors
    /// Names the line that is no record or no answer, what is unknown (Reel, task, gold label), what is mixed
    /// (settings, model, adapter) and what was answered twice.
    pub fn new(answers: &'a Lines, records: &'a Lines, tasks: &'a [Task]) -> Result<Join<'a>> {
        let mut reels: HashMap<String, u32> = HashMap::new();
        let (mut places, mut several) = (Vec::new(), BTreeSet::new());
        each_reel(records, |reel, place| {
            check_reference(&reel, tasks, records.name())?;
            several.extend((0..tasks.len()).filter(|task| reel.alternatives.contains_key(&tasks[*task].name)));
            reels.insert(reel.id, places.len() as u32);
            places.push(place);
            Ok(())
        })?;
        let (entries, made_by) = entries(answers, &reels, tasks)?;
        Ok(Join { answers, records, tasks, places, several, entries, made_by })
    }

    /// Leaves out what wasn't asked, and makes room for what was asked and isn't answered, as often as the task's other
    /// records are. By task, the answers that were left out.
    pub fn restrict(&mut self, asked: &Asked) -> IndexMap<&'a str, usize> {
        let all = self.places.len();
        let mut left_out = IndexMap::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        for (number, task) in self.tasks.iter().enumerate() {
            let own: Vec<Entry> =
                self.entries.iter().filter(|entry| usize::from(entry.task) == number).copied().collect();
            let reels = match asked.tasks.get(&task.name) {
                Some(reels) => (*reels).min(all),
                None if own.is_empty() => 0,
                None => asked.reels.unwrap_or(all).min(all),
            };
            let mut repeats: BTreeSet<u32> = own.iter().map(|entry| entry.repeat).collect();
            if repeats.is_empty() {
                repeats.insert(0);
            }
            let before = entries.len();
            let mut there = own.iter().peekable();
            for (reel, repeat) in (0..reels as u32).flat_map(|reel| repeats.iter().map(move |repeat| (reel, *repeat))) {
                let missing = Entry { task: number as u16, reel, repeat, prompt: 0, failed: true, place: None };
                entries.push(there.next_if(|entry| entry.key() == missing.key()).copied().unwrap_or(missing));
            }
            let kept = entries[before..].iter().filter(|entry| entry.place.is_some()).count();
            if kept < own.len() {
                left_out.insert(task.name.as_str(), own.len() - kept);
            }
        }
        self.entries = entries;
        left_out
    }

    /// How many records there are a row of.
    pub fn reels(&self) -> usize {
        self.entries.iter().map(|entry| entry.reel).collect::<BTreeSet<u32>>().len()
    }

    /// How many rows there are.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Writes a `rows.jsonl`, whole or not at all; `written` hears how many more there are.
    ///
    /// A row without a reference has no metrics. A failed or missing answer counts as an empty one.
    ///
    /// # Errors
    /// Names the line that is no answer, and what can't be written.
    pub fn write_rows(&self, scoring: &Scoring, path: &Path, written: &dyn Fn(u64)) -> Result<()> {
        publish(path, |file| {
            for entries in self.entries.chunks(CHUNK) {
                let line = |scorer: &mut RowScorer, entry: &Entry| -> Result<Vec<u8>> {
                    let (answer, reel) = self.pair(entry)?;
                    let task = usize::from(entry.task);
                    let row = scorer.row(answer, &self.tasks[task], reel, self.several.contains(&task));
                    let mut line = serde_json::to_vec(&row)?;
                    line.push(b'\n');
                    Ok(line)
                };
                let scorer = || RowScorer::new(self.tasks, scoring);
                let lines: Vec<Vec<u8>> = entries.par_iter().map_init(scorer, line).collect::<Result<_>>()?;
                for line in lines {
                    file.write_all(&line)?;
                }
                written(entries.len() as u64);
            }
            Ok(())
        })
    }

    /// SHA-256 of what was answered, whatever the file looks like that it came in.
    ///
    /// # Errors
    /// Names the line that is no answer.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        for Entry { task, reel, repeat, place, .. } in &self.entries {
            let output =
                place.map(|place| Answer::at(place, self.answers)).transpose()?.and_then(|answer| answer.output);
            hasher.update(serde_json::to_vec(&(task, reel, repeat, output))?);
        }
        Ok(hex(hasher))
    }

    fn pair(&self, entry: &Entry) -> Result<(Answer, Reel)> {
        let reel = reel_at(self.records, self.places[entry.reel as usize])?;
        let answer = match entry.place {
            Some(place) => Answer::at(place, self.answers)?,
            None => {
                let task = &self.tasks[usize::from(entry.task)];
                Answer::missing(reel.id.clone(), task.name.clone(), entry.repeat)
            }
        };
        Ok((answer, reel))
    }
}

/// The answers that count, in the order of the rows, and what made them.
fn entries(answers: &Lines, reels: &HashMap<String, u32>, tasks: &[Task]) -> Result<(Vec<Entry>, MadeBy)> {
    let mut entries: Vec<Entry> = Vec::new();
    let [mut settings, mut models, mut adapters] = [const { Vec::<Option<String>>::new() }; 3];
    let (mut unknown_reels, mut unknown_tasks) = (IndexMap::new(), IndexMap::new());
    answers.each(|line| {
        let Some(answer) = Answer::of_line(&line, answers)? else { return Ok(()) };
        for (seen, value) in [
            (&mut settings, answer.settings_sha256),
            (&mut models, answer.model_sha256),
            (&mut adapters, answer.adapter_sha256),
        ] {
            if !seen.contains(&value) {
                seen.push(value);
            }
        }
        let task = tasks.iter().position(|task| task.name == answer.task);
        let failed = answer.finish == Some(Finish::Error);
        // Spreadsheets and pandas write 7 as 7.0.
        let reel = reels.get(&answer.id).or_else(|| reels.get(answer.id.strip_suffix(".0")?));
        match (task, reel) {
            // Of a record that couldn't be used, and has been mended since.
            (_, None) if failed => {}
            (Some(task), Some(reel)) => entries.push(Entry {
                task: task as u16,
                reel: *reel,
                repeat: answer.repeat,
                prompt: super::table::hash(answer.prompt_sha256.as_deref().unwrap_or_default()),
                failed,
                place: Some(line.place),
            }),
            (task, reel) => {
                if reel.is_none() {
                    unknown_reels.entry(answer.id).or_insert(line.place.number);
                }
                if task.is_none() {
                    unknown_tasks.entry(answer.task).or_insert(line.place.number);
                }
            }
        }
        Ok(())
    })?;
    ensure!(
        !settings.is_empty(),
        anyhow!("{} holds no predictions", answers.name()).hint("`reels predict` writes them")
    );
    refuse_mixed("settings_sha256", "unknown", &settings)?;
    refuse_mixed("model_sha256", "unknown", &models)?;
    refuse_mixed("adapter_sha256", "none", &adapters)?;
    let reels_known = || reels.keys().map(String::as_str);
    refuse_unknown(
        answers.name(),
        "Reel",
        &unknown_reels,
        reels_known(),
        "score with the --data file they were made from",
    )?;
    let tasks_known = tasks.iter().map(|task| task.name.as_str());
    refuse_unknown(answers.name(), "task", &unknown_tasks, tasks_known, "name their prompts with --prompts")?;

    let [model_sha256, adapter_sha256, settings_sha256] =
        [models, adapters, settings].map(|mut all| all.swap_remove(0));
    Ok((last_of_each(entries, answers)?, MadeBy { model_sha256, adapter_sha256, settings_sha256 }))
}

/// Sorted by key, of equal keys the last line alone.
fn last_of_each(mut entries: Vec<Entry>, answers: &Lines) -> Result<Vec<Entry>> {
    // Stable: of equal keys the last line stays last.
    entries.sort_by_key(Entry::key);
    if let Some(pair) = entries.windows(2).find(|pair| {
        let answered = !pair[0].failed && !pair[1].failed;
        answered && pair[0].key() == pair[1].key() && pair[0].prompt != pair[1].prompt
    }) && let Some(place) = pair[1].place
    {
        let Answer { id, task, repeat, .. } = Answer::at(place, answers)?;
        bail!(
            anyhow!("id {id:?}, task {task:?}, repeat {repeat} was answered twice, to different prompts")
                .hint("the template or the data changed in between; predict into a new folder")
        );
    }
    let twice = |pair: &&[Entry]| pair[0].key() == pair[1].key() && !pair[0].failed && !pair[1].failed;
    if let Some([Some(first), Some(last)]) = entries.windows(2).find(twice).map(|pair| [pair[0].place, pair[1].place]) {
        tracing::warn!(
            "{}: {} answers stand there again, as that of line {} on line {}; the last of each counts",
            answers.name(),
            entries.windows(2).filter(twice).count(),
            first.number,
            last.number
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

fn refuse_mixed(name: &str, none: &str, values: &[Option<String>]) -> Result<()> {
    ensure!(
        values.len() <= 1,
        anyhow!(
            "the predictions mix {} values of {name}: {}",
            values.len(),
            listed(values.iter().map(|value| value.as_deref().unwrap_or(none)))
        )
        .hint("score one run at a time; give each run its own predictions file")
    );
    Ok(())
}

/// `unknown` is by name the first line that has it.
fn refuse_unknown<'a>(
    name: &str,
    what: &str,
    unknown: &IndexMap<String, u32>,
    known: impl Iterator<Item = &'a str>,
    hint: &str,
) -> Result<()> {
    let Some((first, line)) = unknown.first() else { return Ok(()) };
    // Of equally near ones the first by name, whatever the order of the file.
    let near = known.map(|known| (strsim::osa_distance(&known.to_lowercase(), &first.to_lowercase()), known)).min();
    let near = near.filter(|(distance, _)| *distance <= first.chars().count().div_ceil(3));
    let near = near.map_or(String::new(), |(_, near)| format!("the nearest to {first} is {near}; "));
    bail!(
        anyhow!(
            "{name}:{line}: the predictions name {} unknown {what}(s): {}",
            unknown.len(),
            listed(unknown.keys().map(String::as_str))
        )
        .hint(format!("{near}{hint}"))
    );
}

/// The first few: a wrong data file makes hundreds.
fn listed<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let more = values.len() > SHOWN;
    let mut parts: Vec<&str> = values.take(SHOWN).collect();
    if more {
        parts.push("…");
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;
    use crate::prediction::{Finish, Prediction};
    use crate::score::fixture::{prediction, reel, tasks};
    use crate::scores::Row;

    fn rows(predictions: &[Prediction], reels: &[Reel], tasks: &[Task]) -> Result<Vec<Row>> {
        rows_of(predictions, reels, tasks, None)
    }

    /// Through files, as a command does it.
    fn rows_of(predictions: &[Prediction], reels: &[Reel], tasks: &[Task], asked: Option<Asked>) -> Result<Vec<Row>> {
        fn text<T: serde::Serialize>(values: &[T]) -> String {
            values.iter().map(|value| serde_json::to_string(value).unwrap() + "\n").collect()
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        std::fs::write(path("predictions.jsonl"), text(predictions)).unwrap();
        std::fs::write(path("data.jsonl"), text(reels)).unwrap();
        let (predictions, records) =
            (Lines::open(&path("predictions.jsonl"), "").unwrap(), Lines::open(&path("data.jsonl"), "").unwrap());
        let mut join = Join::new(&predictions, &records, tasks)?;
        asked.map(|asked| join.restrict(&asked));
        join.write_rows(&Scoring::default(), &path("rows.jsonl"), &|_| ())?;
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
            (other(|p| p.reel_id = "A".into()), "unknown Reel(s): A\nhint: the nearest to A is a; "),
            (other(|p| p.task = "mood".into()), "the predictions name 1 unknown task(s): mood\nhint: name "),
            (other(|p| p.task = "sumary".into()), "unknown task(s): sumary\nhint: the nearest to sumary is summary; "),
            (other(|p| p.settings_sha256 = String::new()), "mix 2 values of settings_sha256: s, unknown\nhint: "),
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
    fn what_was_asked_and_is_not_answered_is_a_row_of_its_own() {
        let reels = ["a", "b", "c"].map(|id| reel(id, Some("kopi")));
        let answers = [
            prediction("a", "ad", 0, "iklan"),
            prediction("a", "ad", 1, "iklan"),
            prediction("c", "ad", 1, "iklan"),
            prediction("c", "summary", 0, "Kopi."),
        ];
        let seen = |reels_asked, tasks_asked: &[(&str, usize)]| -> Vec<String> {
            let of_tasks = tasks_asked.iter().map(|(task, reels)| ((*task).to_owned(), *reels));
            let asked = Asked { reels: reels_asked, tasks: of_tasks.collect() };
            let rows = rows_of(&answers, &reels, &tasks(), Some(asked)).unwrap();
            rows.iter().map(|row| format!("{} {} {} {:?}", row.task, row.reel_id, row.repeat, row.finish)).collect()
        };
        // All records × the tasks that have an answer × the repeats that have one.
        let all = seen(None, &[]);
        assert_eq!(all[..3], ["summary a 0 Missing", "summary b 0 Missing", "summary c 0 Stop"]);
        assert_eq!(
            all[3..],
            ["ad a 0 Stop", "ad a 1 Stop", "ad b 0 Missing", "ad b 1 Missing", "ad c 0 Missing", "ad c 1 Stop"]
        );
        // The first two records; and of summary the first alone.
        let some = seen(Some(2), &[("summary", 1)]);
        assert_eq!(some, ["summary a 0 Missing", "ad a 0 Stop", "ad a 1 Stop", "ad b 0 Missing", "ad b 1 Missing"]);
        // Asked, and nothing is there.
        assert_eq!(seen(Some(1), &[("summary", 2)])[..2], ["summary a 0 Missing", "summary b 0 Missing"]);
        let asked = Asked { reels: None, tasks: [("summary".to_owned(), 3)].into() };
        let rows = rows_of(&answers[..1], &reels, &tasks(), Some(asked)).unwrap();
        assert_eq!((rows.len(), rows[0].metrics["rouge1"], rows[4].metrics["correct"]), (6, 0.0, 0.0));
    }

    #[test]
    fn the_last_line_of_a_prediction_counts() {
        let first = Prediction { finish: Finish::Error, ..prediction("a", "ad", 0, "") };
        let rows = rows(&[first, prediction("a", "ad", 0, "iklan")], &[reel("a", None)], &tasks()).unwrap();
        assert_eq!((rows.len(), rows[0].output.as_str()), (1, "iklan"));
    }
}
