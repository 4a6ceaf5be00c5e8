//! What every report says of intervals: which are withheld and why, how the others are made, and which labels are too few.

use indexmap::IndexMap;

use super::metrics;
use crate::score::bootstrap::ResamplePlan;
use crate::score::metric::{Direction, Headline, direction, main_metric, main_of};
use crate::scores::{ClassScores, Metric, Sampling, Scores, TaskScores};
use crate::task::TaskKind;

/// A task's metrics in the order in which they are printed. What is another metric's number by definition is left out:
/// micro F1 where it is the accuracy, and macro F1 over labels that occur where all do.
pub fn distinct(scores: &TaskScores) -> Vec<(&str, &Metric)> {
    let is_value_of = |metric: &Metric, key: &str| scores.metrics.get(key).is_some_and(|of| of.value == metric.value);
    let is_double = |key: &str, metric: &Metric| match key {
        "micro_f1" => is_value_of(metric, "accuracy"),
        "macro_f1_present" => absent(scores).is_empty() && is_value_of(metric, "macro_f1"),
        _ => false,
    };
    let mut metrics = metrics::ordered(&scores.metrics);
    metrics.retain(|(key, metric)| !is_double(key, metric));
    if main_of(scores).unread_headline {
        // First what can read the references.
        metrics.sort_by_key(|(key, _)| !(key.starts_with("rouge") && key.contains("_id")));
    }
    metrics
}

/// Of how many answers that were asked for there is one; `None` where it is all.
pub fn coverage(scores: &TaskScores) -> Option<String> {
    let fate = if scores.answered_only { "are left out, which flatters the result" } else { "count as wrong" };
    let [answered, asked] = [scores.answered, scores.asked].map(metrics::count);
    (scores.missing() > 0)
        .then(|| format!("{answered} of {asked} answers asked for are there; the missing ones {fate}"))
}

/// That ROUGE as Google counts it says little of a task's texts; `None` where it can read them.
pub fn unread_in_words(scores: &TaskScores, name: fn(&str) -> &str) -> Option<String> {
    let (usual, main) = (main_metric(TaskKind::Text).key, main_of(scores));
    let rows = scores.metrics.get(usual).map_or(0, |metric| metric.n);
    main.unread_headline.then(|| {
        format!(
            "{} of {} are mostly in letters that {} and its kind drop (all but a–z and 0–9), which makes them too low; {} \
             reads them and stands for the task",
            metrics::count(scores.unread),
            metrics::counted(rows, "reference"),
            name(usual),
            name(main.key)
        )
    })
}

/// As [`distinct`], those that say how good answers are rather than what they are like.
pub fn judging(scores: &TaskScores) -> Vec<(&str, &Metric)> {
    distinct(scores).into_iter().filter(|(key, _)| direction(key) != Direction::Neither).collect()
}

/// Why intervals are withheld, and of what.
pub struct Withheld<'a> {
    pub why: &'a str,
    /// Metrics, where there are none all, of tasks.
    of: IndexMap<Vec<&'a str>, Vec<&'a str>>,
}

impl Withheld<'_> {
    /// `Macro F1 of category, ad; all metrics of summary`
    pub fn which(&self) -> String {
        self.joined("all metrics", "of")
    }

    /// As [`Withheld::which`], in Indonesian.
    pub fn yang_mana(&self) -> String {
        self.joined("semua metrik", "pada")
    }

    fn joined(&self, all: &str, of: &str) -> String {
        let each = self.of.iter().map(|(names, tasks)| {
            let names = if names.is_empty() { all.to_owned() } else { names.join(", ") };
            format!("{names} {of} {}", tasks.join(", "))
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

/// Each reason for withholding intervals of the `shown` metrics once; these are called by `name`.
pub fn withheld<'a>(
    scores: &'a Scores,
    shown: fn(&'a TaskScores) -> Vec<(&'a str, &'a Metric)>,
    name: fn(&'a str) -> &'a str,
) -> Vec<Withheld<'a>> {
    let mut reasons: IndexMap<&str, IndexMap<Vec<&str>, Vec<&str>>> = IndexMap::new();
    for (task, scores) in &scores.tasks {
        let shown = shown(scores);
        let mut of_task: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (key, metric) in &shown {
            if let Some(why) = &metric.withheld {
                of_task.entry(why).or_default().push(name(key));
            }
        }
        for (why, mut names) in of_task {
            if names.len() == shown.len() {
                names.clear();
            }
            reasons.entry(why).or_default().entry(names).or_default().push(task);
        }
    }
    reasons.into_iter().map(|(why, of)| Withheld { why, of }).collect()
}

/// In place of what a metric stands for its task; `None` where it is the usual one.
pub fn instead(headline: &Headline, name: fn(&str) -> &str) -> Option<String> {
    headline.instead?;
    let usual = name(main_metric(TaskKind::Label).key);
    let lack =
        if headline.metric.withheld.is_some() { "which has no interval either" } else { "whose interval is withheld" };
    Some(format!("in place of {usual}, {lack}"))
}

/// What the rows of a task come from, and how the intervals of its metrics are made: first as most are.
pub fn sample(sampling: &Sampling, metrics: &[(&str, &Metric)], name: fn(&str) -> &str) -> String {
    let units = metrics::counted(sampling.clusters, sampling.unit());
    let mut text = match sampling.clusters {
        1 => format!("all rows are of {units}"),
        _ => format!("{units}, the largest with {} of the rows", metrics::percent(sampling.largest_share)),
    };
    text.extend(unknown_in_words(sampling).map(|unknown| format!(" ({unknown})")));
    if let Some(effect) = sampling.design_effect {
        text.push_str(&format!(", design effect {effect:.2}"));
    }
    let mut ways: IndexMap<String, Vec<&str>> = IndexMap::new();
    for (key, metric) in metrics {
        if let Some(way) = way(&metric.method, sampling) {
            ways.entry(way).or_default().push(name(key));
        }
    }
    ways.sort_by(|_, a, _, b| b.len().cmp(&a.len()));
    for (index, (way, names)) in ways.iter().enumerate() {
        let of = if index == 0 { String::new() } else { format!(" for {}", names.join(", ")) };
        text.push_str(&format!("; {}{way}{of}", if index == 0 { "intervals " } else { "" }));
    }
    text
}

/// How many rows are of accounts that nobody knows, and what that does (`benches/coverage/unknown_accounts.md`); `None` where all
/// are known, or none is.
pub fn unknown_in_words(sampling: &Sampling) -> Option<String> {
    let rows = metrics::counted(sampling.unknown_accounts, "row");
    (sampling.unknown_accounts > 0)
        .then(|| format!("{rows} of unknown account, each by itself: where they share one, intervals are too narrow"))
}

/// How a method makes an interval.
fn way(method: &str, sampling: &Sampling) -> Option<String> {
    let unit = sampling.unit();
    Some(match method.split(':').next()? {
        "jackknife" if ResamplePlan::groups(sampling.clusters) < sampling.clusters => {
            format!("by leaving out one group of {unit}s at a time")
        }
        "jackknife" => format!("by leaving out one {unit} at a time"),
        "bootstrap-t" => format!("by resampling {unit}s (bootstrap-t)"),
        "bca" => format!("by resampling {unit}s (BCa)"),
        "percentile" => format!("by resampling {unit}s (percentiles)"),
        "wilson" => "by Wilson’s formula".into(),
        _ => return None,
    })
}

/// Labels that are no row's reference.
pub fn absent(scores: &TaskScores) -> Vec<&str> {
    scores.classes.iter().filter(|(_, class)| class.support == 0).map(|(label, _)| label.as_str()).collect()
}

/// `2 of 15 labels don’t occur: …`; `None` where all occur.
pub fn absent_in_words(scores: &TaskScores) -> Option<String> {
    let absent = absent(scores);
    let (count, all) = (absent.len(), scores.classes.len());
    (count > 0).then(|| format!("{count} of {all} labels don’t occur: {}", absent.join(", ")))
}

/// The labels of which few rows or accounts tell, with how many; `None` where there is no such label.
pub fn rare_in_words(scores: &TaskScores) -> Option<String> {
    let unit = scores.sampling.as_ref().map_or("account", Sampling::unit);
    let rare: Vec<(&String, &ClassScores)> = scores.classes.iter().filter(|(_, class)| class.is_rare()).collect();
    let describe = |(index, (label, class)): (usize, &(&String, &ClassScores))| match index {
        0 => {
            let [rows, units] =
                [(class.support, "row"), (class.clusters, unit)].map(|(n, noun)| metrics::counted(n, noun));
            format!("{label} ({rows}, {units})")
        }
        _ => format!("{label} ({}, {})", metrics::count(class.support), metrics::count(class.clusters)),
    };
    let list: Vec<String> = rare.iter().enumerate().map(describe).collect();
    let (count, all) = (rare.len(), scores.classes.len());
    let are = if count == 1 { "is" } else { "are" };
    (count > 0)
        .then(|| format!("{count} of {all} labels {are} rare, with under 5 rows or 3 {unit}s: {}", list.join(", ")))
}

/// When the interval of a label's score is withheld.
pub fn rule_of_labels(scores: &TaskScores) -> String {
    let unit = scores.sampling.as_ref().map_or("account", Sampling::unit);
    format!("it is withheld where too few {unit}s bear on it")
}
