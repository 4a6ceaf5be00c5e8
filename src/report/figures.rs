//! The charts of a result and of a comparison, each with what it shows in a sentence.

use super::comparison::{interval, signed};
use super::intervals;
use super::metrics::{self, count, counted, decimal, in_words, percent};
use super::svg::{Curve, DataTable, Figure, Group, Mark, curve, forest};
use crate::score::compare::Comparison;
use crate::score::metric::{Direction, direction};
use crate::scores::{Metric, Scores, TaskScores};
use crate::task::Task;

/// Every interval on one axis: the metrics that lie on the scale −1…1 and of which more is better.
pub fn all_metrics(scores: &Scores) -> Option<Figure> {
    let drawn: Vec<(&str, Vec<(&str, &Metric)>)> = scores
        .tasks
        .iter()
        .map(|(task, scores)| {
            let metrics = intervals::distinct(scores);
            (task.as_str(), metrics.into_iter().filter(|(key, metric)| is_drawn(key, metric)).collect())
        })
        .collect();
    let groups: Vec<Group> = drawn
        .iter()
        .map(|(task, metrics)| Group {
            heading: (*task).to_owned(),
            marks: metrics.iter().map(|(key, metric)| mark(metrics::name(key), metric)).collect(),
        })
        .collect();
    let finding = certainty(&drawn);
    let svg = forest(
        "Forest plot of 95 % intervals",
        &format!("{finding} The table of all metrics has the same numbers."),
        &groups,
        false,
    )?;
    Some(Figure {
        heading: "How certain the scores are.".into(),
        finding,
        key: format!(
            "A square is the value, its line the 95\u{a0}% interval; further right is better.{}",
            bare(&groups, " The table says why.")
        ),
        svg,
        table: None,
    })
}

/// What an empty square means, where there is one.
fn bare(groups: &[Group], why: &str) -> String {
    let has_bare = groups.iter().flat_map(|group| &group.marks).any(|mark| mark.is_bare() && mark.value.is_finite());
    if has_bare {
        format!(" An empty square without a line is a value whose interval is withheld.{why}")
    } else {
        String::new()
    }
}

fn is_drawn(key: &str, metric: &Metric) -> bool {
    let on_scale = |value: f64| (-1.0..=1.0).contains(&value);
    let fits = |bound: f64| bound.is_nan() || on_scale(bound);
    direction(key) == Direction::Higher && on_scale(metric.value) && fits(metric.low) && fits(metric.high)
}

fn mark(label: &str, metric: &Metric) -> Mark {
    Mark { label: label.to_owned(), low: metric.low, value: metric.value, high: metric.high }
}

/// Which interval is widest, and which narrowest.
fn certainty(drawn: &[(&str, Vec<(&str, &Metric)>)]) -> String {
    let width = |metric: &Metric| metric.high - metric.low;
    let all =
        || drawn.iter().flat_map(|(task, metrics)| metrics.iter().map(move |(key, metric)| (*task, *key, *metric)));
    let all = || all().filter(|(.., metric)| !width(metric).is_nan());
    let widest = all().max_by(|a, b| width(a.2).total_cmp(&width(b.2)));
    let narrowest = all().min_by(|a, b| width(a.2).total_cmp(&width(b.2)));
    let describe = |(task, key, metric): (&str, &str, &Metric)| {
        format!("{} of {task} ({})", metrics::name(key), metrics::interval(metric))
    };
    match (widest, narrowest) {
        (Some(widest), Some(narrowest)) if all().count() > 1 => {
            format!("Least certain is {}; most certain is {}.", describe(widest), describe(narrowest))
        }
        (Some(only), _) => format!("{}.", describe(only)),
        _ => "All intervals are withheld.".into(),
    }
}

/// Whether answers are right as often as the model is sure of them.
pub fn reliability(name: &str, scores: &TaskScores) -> Option<Figure> {
    let bins = &scores.reliability;
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    if n == 0 {
        return None;
    }
    let mean = |of: fn(&crate::scores::ReliabilityBin) -> f64| {
        bins.iter().map(|bin| of(bin) * bin.n as f64).sum::<f64>() / n as f64
    };
    let (confidence, right) = (mean(|bin| bin.confidence), mean(|bin| bin.accuracy));
    // Where a threshold decides, the accuracy is that of other answers.
    let accuracy = scores.metrics.get("accuracy").filter(|accuracy| (accuracy.value - right).abs() < 1e-6);
    let bounds = accuracy.and_then(|accuracy| metrics::bounds(accuracy.low, accuracy.high).map(|_| accuracy));
    let word = match bounds {
        None => "whether that is more than chance, the data can’t tell",
        Some(bounds) if confidence > bounds.high => "it is too sure of itself",
        Some(bounds) if confidence < bounds.low => "it is less sure than it could be",
        Some(_) => "it is not shown to be too sure or too unsure",
    };
    let interval = accuracy.map_or(String::new(), |accuracy| format!(" ({})", in_words(accuracy)));
    let ece = scores.metrics.get("ece").map_or(String::new(), |ece| {
        format!(
            " The ECE is {} ({}); some of that is chance, which makes it too large.",
            decimal(ece.value),
            in_words(ece)
        )
    });
    let finding = format!(
        "The model’s mean confidence is {}, and {} of its answers are right{interval}: {word}.{ece}",
        percent(confidence),
        percent(right)
    );
    let svg = curve(
        &format!("Reliability of {name}"),
        &finding,
        &Curve {
            x: "confidence",
            y: "share of right answers",
            points: bins.iter().map(|bin| (bin.confidence, bin.accuracy)).collect(),
            bounds: bins.iter().map(|bin| (bin.low, bin.high)).collect(),
            diagonal: true,
            level: None,
            steps: false,
        },
    );
    let row = |bin: &crate::scores::ReliabilityBin| {
        vec![decimal(bin.confidence), decimal(bin.accuracy), metrics::range(bin.low, bin.high), count(bin.n)]
    };
    Some(Figure {
        heading: "Reliability.".into(),
        finding,
        key: "A point is a tenth of the answers, by confidence, with its 95\u{a0}% interval where one holds; points on the dashed line would be perfect.".into(),
        svg,
        table: Some(DataTable::new(&["Confidence", "Right", "95 % interval", "n"], bins.iter().map(row).collect())),
    })
}

/// What other thresholds would give.
pub fn precision_recall(name: &str, scores: &TaskScores, task: Option<&Task>) -> Option<Figure> {
    let points = &scores.precision_recall;
    let positive = task?.positive.as_ref()?;
    let share = points.last()?.precision;
    let area = scores.metrics.get("average_precision");
    let area = area
        .map_or(String::new(), |area| format!("Average precision is {} ({}); ", decimal(area.value), in_words(area)));
    let at_half = points.iter().rev().find(|point| point.recall <= 0.8).unwrap_or(points.last()?);
    let finding = format!(
        "{area}answering “{positive}” at random would make {}. At a recall of {} precision is {}.",
        decimal(share),
        decimal(at_half.recall),
        decimal(at_half.precision)
    );
    let svg = curve(
        &format!("Precision and recall of {name}"),
        &finding,
        &Curve {
            x: "recall",
            y: "precision",
            points: points.iter().map(|point| (point.recall, point.precision)).collect(),
            bounds: vec![],
            diagonal: false,
            level: Some(share),
            steps: true,
        },
    );
    let shown = points.len().div_ceil(20).max(1);
    let row = |point: &crate::scores::PrecisionRecall| {
        vec![decimal(point.threshold), decimal(point.precision), decimal(point.recall)]
    };
    Some(Figure {
        heading: "Precision and recall.".into(),
        finding,
        key: "Each point of the line is a threshold for the positive label; the dashed line is chance.".into(),
        svg,
        table: Some(DataTable::new(
            &["Threshold", "Precision", "Recall"],
            points.iter().step_by(shown).map(row).collect(),
        )),
    })
}

/// Where a run is good and where it isn't.
pub fn slices(name: &str, scores: &TaskScores) -> Option<Figure> {
    let slices = scores.slices.as_ref()?;
    let all =
        || slices.by.iter().flat_map(|(by, groups)| groups.iter().map(move |(group, metric)| (by, group, metric)));
    let groups: Vec<Group> = slices
        .by
        .iter()
        .map(|(by, groups)| Group {
            heading: format!("by {by}"),
            marks: groups.iter().map(|(group, metric)| mark(group, metric)).collect(),
        })
        .collect();
    // A group of which the interval leaves out the value of the whole.
    let simple = scores.metrics.get(&slices.metric)?.value;
    let apart: Vec<String> = all()
        .filter(|(.., metric)| metric.high < simple || metric.low > simple)
        .map(|(by, group, metric)| format!("{by} “{group}” ({}, n = {})", decimal(metric.value), count(metric.n)))
        .collect();
    let metric = metrics::name(&slices.metric);
    let finding = match &apart[..] {
        [] if all().all(|(.., metric)| metric.withheld.is_some()) => "No group has an interval.".into(),
        [] => format!("No group’s interval leaves out the {metric} of the whole, {}.", decimal(simple)),
        _ => {
            let more = if apart.len() > 4 { format!(" and {} more", apart.len() - 4) } else { String::new() };
            format!("Apart from the whole ({}): {}{more}.", decimal(simple), apart[..apart.len().min(4)].join("; "))
        }
    };
    let svg = forest(&format!("{metric} of {name} by group"), &finding, &groups, false)?;
    let row = |(by, group, metric): (&String, &String, &Metric)| {
        vec![
            by.clone(),
            group.clone(),
            decimal(metric.value),
            metrics::interval(metric),
            count(metric.n),
            count(metric.clusters),
        ]
    };
    Some(Figure {
        heading: format!("{metric} by group."),
        finding,
        key: format!(
            "Groups are looked at one by one, unadjusted: of twenty, one is apart by chance. Accounts are the largest ones.{}",
            bare(&groups, " Too few accounts are behind it, or all are alike.")
        ),
        svg,
        table: Some(DataTable::new(&["By", "Group", metric, "95 % interval", "n", "Units"], all().map(row).collect())),
    })
}

/// The runs of a comparison by their main metrics.
pub fn ladder(comparison: &Comparison) -> Option<Figure> {
    let mut rows = Vec::new();
    let groups: Vec<Group> = comparison
        .tasks
        .iter()
        .filter_map(|(name, task)| {
            let metric = task.metrics.get(&task.main)?;
            let label = metrics::name(&task.main);
            let runs = comparison.runs.iter().zip(&metric.values).zip(&metric.intervals);
            let marks: Vec<Mark> = runs
                .map(|((run, value), [low, high])| Mark { label: run.clone(), low: *low, value: *value, high: *high })
                .collect();
            rows.extend(marks.iter().map(|mark| {
                let interval = format!("{} – {}", decimal(mark.low), decimal(mark.high));
                vec![name.clone(), mark.label.clone(), label.to_owned(), decimal(mark.value), interval]
            }));
            Some(Group { heading: format!("{name}: {label}"), marks })
        })
        .collect();
    let finding = format!("{} on the same {}.", counted(comparison.runs.len(), "run"), rows_of(comparison));
    Some(Figure {
        svg: forest("Runs by their main metrics", &finding, &groups, false)?,
        heading: "The runs side by side.".into(),
        finding,
        key: "Overlapping intervals don’t mean that there is no difference: the runs answer the same rows. Their differences tell.".into(),
        table: Some(DataTable::new(&["Task", "Run", "Metric", "Value", "95 % interval"], rows)),
    })
}

fn rows_of(comparison: &Comparison) -> String {
    let rows: Vec<String> =
        comparison.tasks.iter().map(|(name, task)| format!("{} of {name}", counted(task.n, "row"))).collect();
    rows.join(", ")
}

/// What sets the runs apart from the baseline, by their main metrics.
pub fn differences(comparison: &Comparison) -> Option<Figure> {
    let baseline = comparison.runs.first()?;
    let mut told = 0;
    let mut rows = Vec::new();
    let groups: Vec<Group> = comparison
        .tasks
        .iter()
        .filter_map(|(name, task)| {
            let metric = task.metrics.get(&task.main)?;
            let label = metrics::name(&task.main);
            let pairs = || comparison.runs[1..].iter().zip(&metric.differences);
            for (run, difference) in pairs() {
                told += usize::from(difference.low > 0.0 || difference.high < 0.0);
                rows.push(vec![
                    name.clone(),
                    run.clone(),
                    label.to_owned(),
                    signed(difference.value),
                    interval(difference),
                ]);
            }
            let marks = pairs()
                .map(|(run, difference)| Mark {
                    label: run.clone(),
                    low: difference.low,
                    value: difference.value,
                    high: difference.high,
                })
                .collect();
            Some(Group { heading: format!("{name}: {label}"), marks })
        })
        .collect();
    let finding = format!("{told} of {} intervals leave out 0.", rows.len());
    Some(Figure {
        svg: forest(&format!("Differences from {baseline}"), &finding, &groups, true)?,
        heading: format!("Differences from {baseline}."),
        finding,
        key: "A square is the run’s value minus the baseline’s, its line the 95\u{a0}% interval; right of the dashed line the run is better.".into(),
        table: Some(DataTable::new(&["Task", "Run", "Metric", "Difference", "95 % interval"], rows)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::scores::{PrecisionRecall, ReliabilityBin, Slices};

    #[test]
    fn the_forest_draws_what_shares_the_scale() {
        let mut scores = fixture::scores();
        let off_scale =
            Metric { value: 41.0, low: 39.0, high: 43.0, ..scores.tasks["summary"].metrics["rouge1"].clone() };
        scores.tasks["summary"].metrics.insert("density".into(), off_scale);
        let figure = all_metrics(&scores).unwrap();
        let svg = figure.svg.to_string();
        assert!(svg.contains("ROUGE-1<") && !svg.contains("density") && !svg.contains("Invalid rate"));
        assert!(figure.finding.starts_with("Least certain is") && !figure.key.contains("withheld"));
        fixture::withhold(&mut scores);
        let figure = all_metrics(&scores).unwrap();
        assert!(figure.svg.to_string().contains("value bare") && figure.key.contains("interval is withheld"));
        assert!(all_metrics(&Scores { v: 1, tasks: indexmap::IndexMap::new() }).is_none());
    }

    #[test]
    fn curves_say_what_they_show() {
        let mut scores = fixture::scores().tasks["category"].clone();
        scores.reliability = vec![
            ReliabilityBin { confidence: 0.6, accuracy: 0.4, low: 0.2, high: 0.6, n: 10 },
            ReliabilityBin { confidence: 0.9, accuracy: 0.8, low: 0.5, high: 0.9, n: 10 },
        ];
        scores.precision_recall = vec![
            PrecisionRecall { threshold: 0.9, precision: 1.0, recall: 0.5 },
            PrecisionRecall { threshold: 0.1, precision: 0.4, recall: 1.0 },
        ];
        let reliability = reliability("category", &scores).unwrap();
        assert_eq!(
            reliability.finding,
            "The model’s mean confidence is 75\u{a0}%, and 60\u{a0}% of its answers are right: whether that is more than chance, \
             the data can’t tell."
        );
        let accuracy = Metric { value: 0.6, low: 0.5, high: 0.7, ..scores.metrics["accuracy"].clone() };
        let ece = Metric { value: 0.15, low: f64::NAN, high: f64::NAN, ..accuracy.clone() };
        scores.metrics.extend([("accuracy".to_owned(), accuracy), ("ece".to_owned(), ece)]);
        let finding = super::reliability("category", &scores).unwrap().finding;
        assert!(
            finding.contains("(95\u{a0}% interval 0.500 – 0.700): it is too sure of itself. The ECE is 0.150 (95\u{a0}% interval withheld);"),
            "{finding}"
        );
        let mut task = fixture::tasks()[1].clone();
        assert!(precision_recall("category", &scores, Some(&task)).is_none());
        task.positive = Some("musik".into());
        let finding = precision_recall("category", &scores, Some(&task)).unwrap().finding;
        assert_eq!(finding, "answering “musik” at random would make 0.400. At a recall of 0.500 precision is 1.000.");
    }

    #[test]
    fn slices_apart_from_the_whole_are_named() {
        let mut scores = fixture::scores().tasks["category"].clone();
        let metric =
            |value: f64| Metric { value, low: value - 0.05, high: value + 0.05, ..scores.metrics["accuracy"].clone() };
        let groups =
            [("short", metric(0.8)), ("long", metric(0.6))].map(|(name, metric)| (name.to_owned(), metric)).into();
        scores.slices = Some(Slices { metric: "accuracy".into(), by: [("length".to_owned(), groups)].into() });
        let figure = slices("category", &scores).unwrap();
        assert_eq!(figure.finding, "Apart from the whole (0.800): length “long” (0.600, n = 1,204).");
        assert_eq!(figure.table.unwrap().rows.len(), 2);
    }
}
