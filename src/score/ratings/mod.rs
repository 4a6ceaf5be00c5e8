//! What people say of texts: how good they are, and which of two is better.
//!
//! Annotators are fixed: intervals are about other Reels that the same people would rate, not about other people. Reels
//! of an account vary together.

mod agreement;
#[cfg(test)]
mod behaviour_tests;
mod correlation;
mod difference;
mod format;
mod preference;
mod read;
#[cfg(test)]
mod reference_tests;
mod strength;
mod units;

use std::collections::BTreeSet;

use indexmap::IndexMap;

pub use self::difference::compare;
pub use self::format::{PairPreference, RatingComparison, RatingDifference, ScaleComparison};
use self::read::RatedTask;
pub use self::read::{Files, RatedRun, read};
use self::units::Units;
use super::interval::Interval;
use super::metric::find;
use super::spread::Spread;
use crate::annotation::{RATINGS, SCALES};
use crate::config::ScoreSettings;
use crate::scores::{Metric, TaskRatings};

/// What people say of a run's texts, by task that has ratings.
pub fn score(run: &RatedRun, settings: &ScoreSettings) -> IndexMap<String, TaskRatings> {
    let rated = run.tasks.iter().filter(|(_, task)| task.is_rated());
    rated.map(|(name, task)| (name.clone(), of_task(task, settings))).collect()
}

fn of_task(task: &RatedTask, settings: &ScoreSettings) -> TaskRatings {
    let rated = || task.texts().filter(|(_, text)| text.said.values().any(|said| !said.ratings.is_empty()));
    let annotators: BTreeSet<&String> = task.texts().flat_map(|(_, text)| text.said.keys()).collect();
    let units = Units::of(rated().map(|(reel, text)| (reel, text.account.as_deref())));
    TaskRatings {
        annotators: annotators.into_iter().cloned().collect(),
        texts: rated().count(),
        stale: task.stale,
        scales: means(task),
        agreement: agreement::agreements(task),
        correlations: correlation::correlations(task, settings),
        signature: format!(
            "scale:1-5|mean:annotators,texts|correlation:spearman|ci:jackknife|level:0.95|cluster:{}|v:{}",
            units.name().to_lowercase(),
            env!("CARGO_PKG_VERSION")
        ),
    }
}

/// By scale that is rated.
fn means(task: &RatedTask) -> IndexMap<String, Metric> {
    SCALES.iter().filter_map(|scale| Some(((*scale).to_owned(), mean(task, scale)?))).collect()
}

/// Over texts, of the mean over annotators.
fn mean(task: &RatedTask, scale: &str) -> Option<Metric> {
    let rated = task.texts().filter_map(|(reel, text)| Some((reel, text.account.as_deref(), text.mean(scale)?)));
    let rated: Vec<(&str, Option<&str>, f64)> = rated.collect();
    let units = Units::of(rated.iter().map(|(reel, account, _)| (*reel, *account)));
    let rows: Vec<(u32, f64)> = units.of.iter().copied().zip(rated.iter().map(|(.., value)| *value)).collect();
    (!rows.is_empty()).then(|| metric(interval_of_mean(&rows, &units), rows.len(), units.count))
}

/// As logits of shares. Most ratings are near the end of the scale, where an interval of 95 % on the scale itself holds the
/// truth 88 times of 100 (by simulation).
fn interval_of_mean(rows: &[(u32, f64)], units: &Units) -> Interval {
    let [least, most] = [RATINGS.start(), RATINGS.end()].map(|bound| f64::from(*bound));
    let value = Spread::of(rows).mean;
    if let Some(why) = units.withheld() {
        return Interval::withheld(value, why);
    }
    let shares: Vec<(u32, f64)> = rows.iter().map(|(unit, value)| (*unit, (value - least) / (most - least))).collect();
    // As of ROUGE, which is a mean of values from 0 to 1.
    let interval = Spread::of(&shares).interval(find("rougeL"));
    let bound = |share: f64| least + (most - least) * share;
    Interval { value, low: bound(interval.low), high: bound(interval.high), ..interval }
}

fn metric(interval: Interval, n: usize, clusters: usize) -> Metric {
    let Interval { value, low, high, method, withheld } = interval;
    Metric { value, low, high, withheld, n, clusters, method, bootstrap: None, note: None }
}
