//! By how much runs differ, Reel by Reel and annotator by annotator.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, ensure};
use indexmap::IndexMap;

use super::format::{RatingComparison, RatingDifference, ScaleComparison};
use super::mean;
use super::preference::{judged, preferences};
use super::read::{RatedRun, RatedTask, Text};
use super::strength::strengths;
use super::units::{Flipped, Units};
use crate::annotation::{RATINGS, SCALES};
use crate::config::ScoreSettings;
use crate::error::Hint;
use crate::score::compare::{MetricDifference, Verdict};
use crate::score::interval::Interval;
use crate::score::significance::{LEVEL, holm};
use crate::score::spread::Spread;

/// Compares what people say of several runs, by task that two of them or more have ratings of; the first is the baseline.
///
/// # Errors
/// Names the Reel that is of different accounts in two runs, or of which an annotator prefers now one text, now the other.
pub fn compare(runs: &[RatedRun], settings: &ScoreSettings) -> Result<IndexMap<String, RatingComparison>> {
    let mut compared = IndexMap::new();
    let none = RatedTask::default();
    for name in runs.iter().flat_map(|run| run.tasks.keys()) {
        let tasks: Vec<&RatedTask> = runs.iter().map(|run| run.tasks.get(name).unwrap_or(&none)).collect();
        if !compared.contains_key(name) && tasks.iter().filter(|task| task.is_rated()).count() > 1 {
            check_accounts(runs, &tasks)?;
            compared.insert(name.clone(), of_task(runs, &tasks, settings)?);
        }
    }
    Ok(compared)
}

fn of_task(runs: &[RatedRun], tasks: &[&RatedTask], settings: &ScoreSettings) -> Result<RatingComparison> {
    let judged = judged(runs, tasks)?;
    let units =
        Units::of(tasks.iter().flat_map(|task| task.texts()).map(|(reel, text)| (reel, text.account.as_deref())));
    Ok(RatingComparison {
        scales: scales(tasks, settings),
        preferences: preferences(&judged, settings),
        strengths: if runs.len() > 2 && !judged.is_empty() { strengths(runs, &judged, settings) } else { vec![] },
        signature: format!(
            "paired:reel,annotator|ci:jackknife|level:0.95|cluster:{}|tests:sign-flip,sign|B:{}|adjusted:holm|\
             strengths:bradley-terry,ties-half|seed:{}|v:{}",
            units.name().to_lowercase(),
            settings.bootstrap,
            settings.seed,
            env!("CARGO_PKG_VERSION")
        ),
    })
}

fn check_accounts(runs: &[RatedRun], tasks: &[&RatedTask]) -> Result<()> {
    let mut accounts: BTreeMap<&str, (&str, &Option<String>)> = BTreeMap::new();
    for (run, task) in runs.iter().zip(tasks) {
        for (reel, text) in task.texts() {
            let (first, account) = accounts.entry(reel).or_insert((&run.name, &text.account));
            ensure!(
                **account == text.account,
                anyhow!("Reel {reel:?} has another account in {} than in {first}", run.name)
                    .hint("the runs were scored with different data; score both again with the same --data")
            );
        }
    }
    Ok(())
}

fn scales(tasks: &[&RatedTask], settings: &ScoreSettings) -> IndexMap<String, ScaleComparison> {
    let of_scale = |scale: &&str| {
        let means: Vec<_> = tasks.iter().map(|task| mean(task, scale)).collect();
        let differences = tasks[1..].iter().map(|task| difference(tasks[0], task, scale, settings)).collect();
        means.iter().any(Option::is_some).then(|| ((*scale).to_owned(), ScaleComparison { means, differences }))
    };
    let mut scales: IndexMap<String, ScaleComparison> = SCALES.iter().filter_map(of_scale).collect();
    judge(scales.values_mut().flat_map(|scale| &mut scale.differences).map(|of| &mut of.difference).collect());
    scales
}

/// Adjusts the p-values of all that could be tested.
fn judge(mut differences: Vec<&mut MetricDifference>) {
    differences.retain(|difference| difference.p.is_some());
    let p_values: Vec<f64> = differences.iter().filter_map(|difference| difference.p).collect();
    for (difference, adjusted) in differences.into_iter().zip(holm(&p_values)) {
        difference.p_adjusted = Some(adjusted);
        difference.verdict = match () {
            () if adjusted >= LEVEL => Verdict::NoDifferenceShown,
            () if difference.value > 0.0 => Verdict::Better,
            () => Verdict::Worse,
        };
    }
}

/// Whoever rated only one of a Reel's two texts may be stricter than who rated the other, so that says nothing.
fn difference(first: &RatedTask, other: &RatedTask, scale: &str, settings: &ScoreSettings) -> RatingDifference {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for (reel, texts) in &other.reels {
        let Some(before) = first.reels.get(reel) else { continue };
        let before = by_annotator(before, scale);
        let pairs = by_annotator(texts, scale).into_iter().filter_map(|(by, value)| Some(value - before.get(by)?));
        let differences: Vec<f64> = pairs.collect();
        if !differences.is_empty() {
            rows.push((reel.as_str(), texts[0].account.as_deref()));
            values.push(differences.iter().sum::<f64>() / differences.len() as f64);
        }
    }
    let units = Units::of(rows.into_iter());
    RatingDifference { n: values.len(), difference: of_values(&values, &units, settings) }
}

fn of_values(values: &[f64], units: &Units, settings: &ScoreSettings) -> MetricDifference {
    let rows: Vec<(u32, f64)> = units.of.iter().copied().zip(values.iter().copied()).collect();
    let spread = Spread::of(&rows);
    let interval = match units.withheld() {
        _ if values.is_empty() => Interval::withheld(f64::NAN, "nobody rated both runs’ texts of a Reel"),
        Some(why) => Interval::withheld(spread.mean, why),
        // Near the end of the scale differences are skew, and few accounts hide how much.
        None => spread.careful_interval(None),
    };
    let most = f64::from(RATINGS.end() - RATINGS.start());
    let Interval { value, low, high, method, withheld } = interval;
    let Flipped { p, smallest, differing } = units.flipped(values, settings);
    let is_tested = !values.is_empty();
    MetricDifference {
        value,
        low: low.clamp(-most, most),
        high: high.clamp(-most, most),
        withheld,
        method,
        test: is_tested.then(|| "sign-flip".to_owned()),
        p: is_tested.then_some(p),
        smallest_p: is_tested.then_some(smallest),
        differing,
        p_adjusted: None,
        verdict: Verdict::NotTested,
        smallest_shown: spread.smallest_shown(),
    }
}

/// What each annotator gives a run's texts of a Reel on average.
fn by_annotator<'a>(texts: &'a [Text], scale: &str) -> BTreeMap<&'a str, f64> {
    let mut given: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (by, value) in texts.iter().flat_map(|text| text.given(scale)) {
        let (sum, count) = given.entry(by).or_default();
        *sum += value;
        *count += 1.0;
    }
    given.into_iter().map(|(by, (sum, count))| (by, sum / count)).collect()
}
