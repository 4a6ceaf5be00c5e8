//! `comparison.html`: a file that loads nothing.

use anyhow::Result;
use minijinja::value::Value;
use serde::Serialize;

use super::comparison::{interval, p_value, signed, verdicts, word};
use super::intervals::unknown_in_words;
use super::page::{css, render};
use super::prose::comparison_methods;
use super::rated::{self, Captioned};
use super::svg::Figure;
use super::{RunDifference, figures, metrics};
use crate::score::compare::{Comparison, Flips, MetricComparison, MetricDifference, TaskComparison};
use crate::score::metric::{Direction, direction};

/// What the comparison's template sees.
#[derive(Serialize)]
struct ComparisonView<'a> {
    title: String,
    baseline: &'a str,
    differing: &'a [RunDifference],
    verdict: Vec<String>,
    figures: Vec<Figure>,
    tasks: Vec<ComparedTask<'a>>,
    ratings: Vec<Captioned>,
    methods: [String; 2],
    signature: Vec<&'a str>,
    css: Value,
}

#[derive(Serialize)]
struct ComparedTask<'a> {
    name: &'a str,
    sample: String,
    left_out: &'a [String],
    metrics: Vec<ComparedMetric<'a>>,
    flips: Vec<FlipsView<'a>>,
}

#[derive(Serialize)]
struct ComparedMetric<'a> {
    name: &'a str,
    lower_is_better: bool,
    rows: Vec<ComparedRun<'a>>,
}

#[derive(Serialize)]
struct ComparedRun<'a> {
    run: &'a str,
    is_best: bool,
    value: String,
    difference: String,
    interval: String,
    p: String,
    verdict: &'static str,
}

#[derive(Serialize)]
struct FlipsView<'a> {
    run: &'a str,
    gained: usize,
    lost: usize,
    rows: Vec<[&'a str; 2]>,
}

/// The page of a comparison as HTML; `differing` is what else differs between the runs.
///
/// # Errors
/// When the template can't be rendered, which no comparison should be able to cause.
pub fn comparison_html(comparison: &Comparison, differing: &[RunDifference]) -> Result<String> {
    let baseline = comparison.runs[0].as_str();
    render(
        "comparison.html",
        ComparisonView {
            title: comparison.runs.join(" · "),
            baseline,
            differing,
            verdict: verdicts(comparison),
            figures: [figures::differences(comparison), figures::ladder(comparison)].into_iter().flatten().collect(),
            tasks: comparison.tasks.iter().map(|(name, task)| compared_task(name, task, &comparison.runs)).collect(),
            ratings: rated::tables(comparison),
            methods: comparison_methods(comparison),
            signature: comparison.signature.split('|').collect(),
            css: css(),
        },
    )
}

fn compared_task<'a>(name: &'a str, task: &'a TaskComparison, runs: &'a [String]) -> ComparedTask<'a> {
    let sampling = &task.sampling;
    let flips = task.flips.iter().zip(&runs[1..]).filter(|(flips, _)| flips.gained + flips.lost > 0);
    let view = |(flips, run): (&'a Flips, &'a String)| {
        let of = |reels: &'a [String], index: usize| reels.get(index).map_or("", String::as_str);
        let rows = flips.gained_reels.len().max(flips.lost_reels.len());
        FlipsView {
            run,
            gained: flips.gained,
            lost: flips.lost,
            rows: (0..rows).map(|index| [of(&flips.gained_reels, index), of(&flips.lost_reels, index)]).collect(),
        }
    };
    ComparedTask {
        name,
        sample: format!(
            "{} in every run, of {}{}.",
            metrics::counted(task.n, "row"),
            metrics::counted(sampling.clusters, sampling.unit()),
            unknown_in_words(sampling).map_or(String::new(), |unknown| format!(" ({unknown})"))
        ),
        left_out: &task.left_out,
        metrics: task.metrics.iter().map(|(key, metric)| compared_metric(key, metric, runs)).collect(),
        flips: flips.map(view).collect(),
    }
}

fn compared_metric<'a>(key: &'a str, metric: &MetricComparison, runs: &'a [String]) -> ComparedMetric<'a> {
    let row = |(index, run): (usize, &'a String)| {
        let difference = index.checked_sub(1).map(|index| &metric.differences[index]);
        let of = |text: &dyn Fn(&MetricDifference) -> String| difference.map_or(String::new(), text);
        ComparedRun {
            run,
            is_best: metric.best.contains(&index) && direction(key) != Direction::Neither,
            value: metrics::decimal(metric.values[index]),
            difference: of(&|difference| signed(difference.value)),
            interval: of(&interval),
            p: of(&|difference| difference.p_adjusted.map_or("–".to_owned(), p_value)),
            verdict: difference.map_or("baseline", |difference| word(difference.verdict)),
        }
    };
    ComparedMetric {
        name: metrics::name(key),
        lower_is_better: direction(key) == Direction::Lower,
        rows: runs.iter().enumerate().map(row).collect(),
    }
}
