//! Texts of runs, to be rated, and ratings as each run keeps them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::IndexMap;

use super::form::{Item, Text};
use super::read::Brought;
use crate::annotation::{self, Answered, Prefers, Rating, text_key};
use crate::error::Hint;
use crate::lines::Lines;
use crate::prediction::{Answer, Finish, open_answers};

/// Beside a run's rows.
pub const FILE: &str = "ratings.jsonl";

/// A run's texts.
#[derive(Debug)]
pub struct Texts {
    #[expect(missing_docs, reason = "the name says it")]
    pub folder: PathBuf,
    /// By the id of the Reel.
    texts: HashMap<String, Text>,
}

impl Texts {
    /// What a run answered to a text task.
    ///
    /// # Errors
    /// Names the folder without answers, and the line that is none.
    pub fn of(folder: &Path, task: &str) -> Result<Texts> {
        let answers = open_answers(&folder.join("predictions.jsonl"))
            .hint("name result directories of `reels eval` or `reels score`")?;
        let mut texts = HashMap::new();
        answers.each(|line| {
            let Some(answer) = Answer::of_line(&line, &answers)? else { return Ok(()) };
            let is_text = answer.task == task && answer.repeat == 0 && answer.finish != Some(Finish::Error);
            if let Some(text) = answer.output.filter(|text| is_text && !text.trim().is_empty()) {
                texts.insert(answer.id, Text { key: text_key(&text), text });
            }
            Ok(())
        })?;
        ensure!(
            !texts.is_empty(),
            anyhow!("{} has no answers to {task}", folder.display())
                .hint("name the text task of its answers by --task")
        );
        Ok(Texts { folder: folder.to_owned(), texts })
    }
}

/// Gives each item the texts of the runs about it, those that are the same once, in an order that tells nothing; items
/// without any are left out.
pub fn give(items: &mut Vec<Item>, runs: &[Texts]) {
    for item in &mut *items {
        item.texts = runs.iter().filter_map(|run| run.texts.get(&item.id)).cloned().collect();
        item.texts.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        item.texts.dedup();
    }
    items.retain(|item| !item.texts.is_empty());
}

/// The ratings of each run's texts, and those that it has already.
///
/// # Errors
/// Names the file, Reel and value of what is no rating or is about a text that no run has; what a run has otherwise from the
/// same annotator; and what can't be read.
pub fn ratings(runs: &[Texts], task: &str, brought: &[Brought]) -> Result<Vec<Vec<Rating>>> {
    let mut all: Vec<IndexMap<Key, Rating>> = vec![];
    for run in runs {
        let path = run.folder.join(FILE);
        let there = if path.exists() { annotation::ratings(&Lines::open(&path, "ratings")?)? } else { vec![] };
        all.push(there.into_iter().map(|rating| (key(&rating), rating)).collect());
    }
    for one in brought {
        for item in &one.answers.items {
            let keys = item
                .ratings
                .keys()
                .chain(item.preferences.iter().flat_map(|preference| [&preference.a, &preference.b]));
            for key in keys {
                let has = |run: &Texts| run.texts.get(&item.id).is_some_and(|text| text.key == *key);
                ensure!(
                    runs.iter().any(has),
                    anyhow!("{}: Reel {:?}: no run has the text that was rated ({key})", one.file, item.id).hint(
                        "name the same --runs as when the form was made; answers that were made again are other ones"
                    )
                );
            }
            for (run, ratings) in runs.iter().zip(&mut all) {
                let Some(text) = run.texts.get(&item.id) else { continue };
                let Some(new) = rating(one, item, task, &text.key)? else { continue };
                add(ratings, new, &one.file)?;
            }
        }
    }
    Ok(all.into_iter().map(|ratings| ratings.into_values().collect()).collect())
}

/// Reel, task, annotator and text.
type Key = [String; 4];

fn key(rating: &Rating) -> Key {
    [&rating.reel_id, &rating.task, &rating.annotator, &rating.text].map(Clone::clone)
}

fn add(ratings: &mut IndexMap<Key, Rating>, new: Rating, file: &str) -> Result<()> {
    let Some(old) = ratings.get_mut(&key(&new)) else {
        ratings.insert(key(&new), new);
        return Ok(());
    };
    let other = new.ratings.iter().any(|(scale, value)| old.ratings.get(scale).is_some_and(|old| old != value));
    let turned = new.preferred.iter().any(|(text, sign)| old.preferred.get(text).is_some_and(|old| old != sign));
    ensure!(
        !other && !turned,
        anyhow!("{file}: {} rated the text about {:?} otherwise before", new.annotator, new.reel_id)
            .hint(format!("one of the two counts: two people need two names; {FILE} in the run has the one before"))
    );
    old.ratings.extend(new.ratings);
    old.preferred.extend(new.preferred);
    Ok(())
}

/// What was said of a text; `None` where nothing was.
fn rating(one: &Brought, item: &Answered, task: &str, text: &str) -> Result<Option<Rating>> {
    let ratings = item.ratings.get(text).cloned().unwrap_or_default();
    let mut preferred = IndexMap::new();
    for preference in &item.preferences {
        let (sign, other) = match () {
            () if preference.a == text => (1, &preference.b),
            () if preference.b == text => (-1, &preference.a),
            () => continue,
        };
        let prefers = match preference.prefers {
            Prefers::A => sign,
            Prefers::B => -sign,
            Prefers::Neither => 0,
        };
        preferred.insert(other.clone(), prefers);
    }
    if ratings.is_empty() && preferred.is_empty() {
        return Ok(None);
    }
    let rating = Rating {
        v: 1,
        reel_id: item.id.clone(),
        task: task.to_owned(),
        annotator: one.answers.annotator.clone(),
        text: text.to_owned(),
        ratings,
        preferred,
        note: item.note.clone(),
    };
    rating.check().with_context(|| format!("{}: Reel {:?}", one.file, item.id))?;
    Ok(Some(rating))
}
