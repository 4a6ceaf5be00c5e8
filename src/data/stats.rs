//! What there is in a set of records: counts by class, account, month and length, what is missing, what is there twice, and what a
//! model's prompts would cut.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use indexmap::IndexMap;
use serde::Serialize;

use super::dedup::near::{self, Alike};
use super::groups::Groups;
use super::known::Known;
use crate::ask::Records;
use crate::lines::Place;
use crate::reel::{Reel, each_reel, reel_at};
use crate::scores::Agreement;
use crate::task::{Task, TaskKind};

/// Accounts named.
const LARGEST: usize = 10;

/// How values lie: least, quartiles, most. All 0 where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub n: usize,
    pub least: f64,
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
    pub most: f64,
    pub mean: f64,
}

impl Spread {
    /// Quantiles as numpy has them by default: linear between the two nearest.
    pub fn of(values: &mut [f64]) -> Spread {
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else { return Spread::default() };
        let quantile = |share: f64| {
            let at = share * last as f64;
            let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Spread {
            n: values.len(),
            least: values[0],
            lower_quartile: quantile(0.25),
            median: quantile(0.5),
            upper_quartile: quantile(0.75),
            most: values[last],
            mean: values.iter().sum::<f64>() / values.len() as f64,
        }
    }
}

/// Values in bins of equal width.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Where each bin begins, and how many values are in it.
    pub bins: Vec<(f64, usize)>,
    #[expect(missing_docs, reason = "the type says it")]
    pub spread: Spread,
}

impl Histogram {
    /// At most so many bins, of a width of 1, 2 or 5 × 10ⁿ.
    pub fn of(mut values: Vec<f64>, most: usize) -> Histogram {
        let spread = Spread::of(&mut values);
        if values.is_empty() {
            return Histogram::default();
        }
        let rough = ((spread.most - spread.least) / most as f64).max(1.0);
        let magnitude = 10f64.powf(rough.log10().floor());
        let width = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|width| *width >= rough);
        let width = width.unwrap_or(10.0 * magnitude);
        let first = (spread.least / width).floor();
        let count = ((spread.most / width).floor() - first) as usize + 1;
        let mut bins: Vec<(f64, usize)> = (0..count).map(|bin| ((first + bin as f64) * width, 0)).collect();
        for value in values {
            bins[((value / width).floor() - first) as usize].1 += 1;
        }
        Histogram { bins, spread }
    }
}

/// Gold answers to one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskStats {
    #[expect(missing_docs, reason = "as of the task")]
    pub kind: TaskKind,
    /// Records that have one.
    pub labelled: usize,
    /// Of a label task, in the task's order; behind them what is none of its labels.
    pub classes: IndexMap<String, usize>,
    /// What is none of the task's labels.
    pub foreign: Vec<String>,
    /// Accounts by class, of those that are known.
    pub accounts: IndexMap<String, usize>,
    /// Words of a gold text.
    pub words: Option<Histogram>,
}

/// Prompts under a model's tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tokens {
    /// For people.
    pub model: String,
    /// `max_prompt_tokens`.
    pub budget: usize,
    /// Tokens of a Reel's longest prompt before anything is cut.
    pub prompt: Histogram,
    /// Reels whose transcript is cut to fit.
    pub cut: usize,
    /// Tokens of those that are left out.
    pub left_out: Spread,
    /// Reels of which no prompt fits.
    pub none_fits: usize,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Name of the file.
    pub data: String,
    /// Identity of the records, whatever their order.
    pub sha256: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub records: usize,
    /// Of those, that can't be used.
    pub unusable: usize,
    /// Of those, written by a model.
    pub synthetic: usize,
    /// How many there are.
    pub accounts: usize,
    /// The largest with their records.
    pub largest_accounts: Vec<(String, usize)>,
    /// Records of each account.
    pub records_of_account: Histogram,
    #[expect(missing_docs, reason = "the name says it")]
    pub tasks: IndexMap<String, TaskStats>,
    /// By ISO 639-1 code; unknown is `unknown`.
    pub languages: BTreeMap<String, usize>,
    /// By `2025-03`.
    pub months: BTreeMap<String, usize>,
    /// Words of a transcript.
    pub transcript_words: Histogram,
    #[expect(missing_docs, reason = "the name says it")]
    pub duration_s: Histogram,
    /// Records in which a field is unknown.
    pub missing: IndexMap<&'static str, usize>,
    /// By collector.
    pub sources: BTreeMap<String, usize>,
    /// Groups of near copies, and the records in them.
    pub copies: (usize, usize),
    #[expect(missing_docs, reason = "the type says it")]
    pub tokens: Option<Tokens>,
    /// How far annotators agree, by task that two and more labelled.
    pub agreement: IndexMap<String, Agreement>,
}

/// Counts all records; tokens and agreement are for others to add.
///
/// # Errors
/// Of the environment.
pub fn stats(records: &Records, tasks: &[Task]) -> Result<Stats> {
    let mut accounts: HashMap<String, usize> = HashMap::new();
    let mut of_task: Vec<OfTask> = tasks.iter().map(|_| OfTask::default()).collect();
    let mut missing: IndexMap<&'static str, usize> = FIELDS.iter().map(|(name, _)| (*name, 0)).collect();
    let (mut transcript_words, mut durations) = (vec![], vec![]);
    let (mut languages, mut months, mut sources) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut unusable, mut synthetic) = (0, 0);
    let mut places = vec![];
    each_reel(&records.lines, |reel, place| {
        if reel.unusable.is_some() {
            unusable += 1;
            return Ok(());
        }
        places.push(place);
        synthetic += usize::from(reel.synthetic);
        if let Some(account) = &reel.account {
            *accounts.entry(account.clone()).or_default() += 1;
        }
        for (name, is_known) in FIELDS {
            missing[name] += usize::from(!is_known(&reel));
        }
        transcript_words.extend(reel.transcript.as_deref().map(words));
        durations.extend(reel.duration_s);
        let unknown = || "unknown".to_owned();
        *languages.entry(reel.language.clone().unwrap_or_else(unknown)).or_default() += 1;
        if let Some(month) = reel.posted_at.as_deref().and_then(|posted| posted.get(..7)) {
            *months.entry(month.to_owned()).or_default() += 1;
        }
        let kind = reel.source.as_ref().and_then(|source| source["kind"].as_str()).map(str::to_owned);
        *sources.entry(kind.unwrap_or_else(unknown)).or_default() += 1;
        for (task, of) in tasks.iter().zip(&mut of_task) {
            if let Some(gold) = reel.reference.get(&task.name) {
                of.add(task, gold, reel.account.as_deref());
            }
        }
        Ok(())
    })?;
    let mut largest: Vec<(String, usize)> = accounts.into_iter().collect();
    largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let sizes = largest.iter().map(|(_, size)| *size as f64).collect();
    Ok(Stats {
        data: records.lines.name().to_owned(),
        sha256: records.sha256.clone(),
        records: records.problems.records,
        unusable,
        synthetic,
        accounts: largest.len(),
        records_of_account: Histogram::of(sizes, 20),
        largest_accounts: largest.into_iter().take(LARGEST).collect(),
        tasks: tasks.iter().zip(of_task).map(|(task, of)| (task.name.clone(), of.stats(task))).collect(),
        languages,
        months,
        transcript_words: Histogram::of(transcript_words, 20),
        duration_s: Histogram::of(durations, 20),
        missing,
        sources,
        copies: copies(records, &places)?,
        tokens: None,
        agreement: IndexMap::new(),
    })
}

/// Groups of records that are near copies of one another, and how many are in them.
fn copies(records: &Records, places: &[Place]) -> Result<(usize, usize)> {
    let mut groups = Groups::new(places.len());
    let read = |at: usize| Ok(Known::from(&reel_at(&records.lines, places[at])?));
    near::join(places.len(), &read, &Alike::among(places.len()), &mut groups)?;
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    (0..places.len()).for_each(|at| *sizes.entry(groups.root(at)).or_default() += 1);
    let copied = sizes.values().filter(|size| **size > 1);
    Ok((copied.clone().count(), copied.sum()))
}

/// Whether a field is known.
type IsKnown = fn(&Reel) -> bool;

/// Fields that may be unknown.
const FIELDS: [(&str, IsKnown); 10] = [
    ("account", |reel| reel.account.is_some()),
    ("posted_at", |reel| reel.posted_at.is_some()),
    ("duration_s", |reel| reel.duration_s.is_some()),
    ("likes", |reel| reel.likes.is_some()),
    ("views", |reel| reel.views.is_some()),
    ("plays", |reel| reel.plays.is_some()),
    ("comments", |reel| reel.comments.is_some()),
    ("caption", |reel| reel.caption.is_some()),
    ("transcript", |reel| reel.transcript.is_some()),
    ("language", |reel| reel.language.is_some()),
];

#[derive(Default)]
struct OfTask {
    labelled: usize,
    classes: HashMap<String, usize>,
    accounts: HashMap<String, HashSet<String>>,
    words: Vec<f64>,
}

impl OfTask {
    fn add(&mut self, task: &Task, gold: &str, account: Option<&str>) {
        self.labelled += 1;
        match task.kind {
            TaskKind::Text => self.words.push(words(gold)),
            TaskKind::Label => {
                *self.classes.entry(gold.to_owned()).or_default() += 1;
                self.accounts.entry(gold.to_owned()).or_default().extend(account.map(str::to_owned));
            }
        }
    }

    fn stats(self, task: &Task) -> TaskStats {
        let mut foreign: Vec<String> =
            self.classes.keys().filter(|label| !task.labels.contains(label)).cloned().collect();
        foreign.sort();
        let labels = || task.labels.iter().chain(&foreign);
        let of = |label: &String, count: usize| (label.clone(), count);
        TaskStats {
            kind: task.kind,
            labelled: self.labelled,
            classes: labels().map(|label| of(label, self.classes.get(label).copied().unwrap_or(0))).collect(),
            accounts: labels().map(|label| of(label, self.accounts.get(label).map_or(0, HashSet::len))).collect(),
            foreign,
            words: (!self.words.is_empty()).then(|| Histogram::of(self.words, 20)),
        }
    }
}

fn words(text: &str) -> f64 {
    text.split_whitespace().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile` of the same values, numpy 2.3.
    #[test]
    fn quantiles_are_those_of_numpy() {
        let spread = Spread::of(&mut [7.0, 1.0, 3.0, 10.0]);
        let Spread { n, least, lower_quartile, median, upper_quartile, most, mean } = spread;
        assert_eq!(
            (n, least, lower_quartile, median, upper_quartile, most, mean),
            (4, 1.0, 2.5, 5.0, 7.75, 10.0, 5.25)
        );
        assert_eq!(Spread::of(&mut []), Spread::default());
    }

    #[test]
    fn every_value_is_in_a_bin() {
        for values in [vec![0.0], vec![3.0, 3.0, 3.0], vec![1.0, 99.5, 1000.0], (0..500).map(f64::from).collect()] {
            let n = values.len();
            let Histogram { bins, .. } = Histogram::of(values, 20);
            assert_eq!(bins.iter().map(|(_, count)| count).sum::<usize>(), n);
            assert!(bins.len() <= 22, "{bins:?}");
        }
    }
}
