//! The forest plot: every interval on one axis.

use serde::Serialize;

use super::metrics;
use crate::scores::{Metric, Scores};

/// User units of the SVG: narrow enough that its text is still readable at a phone's width.
const WIDTH: f64 = 400.0;
const LABELS: f64 = 144.0;
const MARGIN: f64 = 14.0;
const ROW: f64 = 22.0;
const HEADING: f64 = 28.0;
const AXIS: f64 = 30.0;

/// Coordinates and texts of the plot.
#[derive(Debug, Serialize)]
pub struct Forest {
    width: f64,
    height: f64,
    plot_left: f64,
    plot_right: f64,
    plot_bottom: f64,
    ticks: Vec<Tick>,
    tasks: Vec<Heading>,
    marks: Vec<Mark>,
    finding: String,
}

#[derive(Debug, Serialize)]
struct Tick {
    x: f64,
    label: String,
}

#[derive(Debug, Serialize)]
struct Heading {
    y: f64,
    label: String,
}

#[derive(Debug, Serialize)]
struct Mark {
    y: f64,
    low: f64,
    value: f64,
    high: f64,
    label: String,
}

/// Draws the metrics that lie on the scale −1…1 and where more is better; `None` where there are none.
pub fn forest(scores: &Scores) -> Option<Forest> {
    let drawn: Vec<(&str, Vec<(&str, &Metric)>)> = scores
        .tasks
        .iter()
        .map(|(task, scores)| {
            let metrics = metrics::ordered(&scores.metrics);
            (task.as_str(), metrics.into_iter().filter(|(key, metric)| is_drawn(key, metric)).collect())
        })
        .filter(|(_, metrics): &(_, Vec<_>)| !metrics.is_empty())
        .collect();
    let metrics = || drawn.iter().flat_map(|(_, metrics)| metrics.iter().map(|(_, metric)| *metric));
    let low = metrics().map(|metric| metric.low).reduce(f64::min)?;
    let high = metrics().map(|metric| metric.high).reduce(f64::max)?;
    let axis = Axis::around(low, high);

    let (mut y, mut tasks, mut marks) = (0.0, Vec::new(), Vec::new());
    for (task, metrics) in &drawn {
        y += HEADING;
        tasks.push(Heading { y: y - 8.0, label: (*task).to_owned() });
        for (key, metric) in metrics {
            let [low, value, high] = [metric.low, metric.value, metric.high].map(|value| axis.x(value));
            marks.push(Mark { y: y + ROW / 2.0, low, value, high, label: metrics::name(key).to_owned() });
            y += ROW;
        }
    }
    Some(Forest {
        width: WIDTH,
        height: y + AXIS,
        plot_left: LABELS,
        plot_right: WIDTH - MARGIN,
        plot_bottom: y + 4.0,
        ticks: axis.ticks(),
        tasks,
        marks,
        finding: finding(&drawn),
    })
}

fn is_drawn(key: &str, metric: &Metric) -> bool {
    let on_scale = |value: f64| (-1.0..=1.0).contains(&value);
    !crate::scores::less_is_better(key) && [metric.low, metric.value, metric.high].into_iter().all(on_scale)
}

/// What a reader should take from the plot.
fn finding(drawn: &[(&str, Vec<(&str, &Metric)>)]) -> String {
    let width = |metric: &Metric| metric.high - metric.low;
    let all =
        || drawn.iter().flat_map(|(task, metrics)| metrics.iter().map(move |(key, metric)| (*task, *key, *metric)));
    let widest = all().max_by(|a, b| width(a.2).total_cmp(&width(b.2)));
    let narrowest = all().min_by(|a, b| width(a.2).total_cmp(&width(b.2)));
    let describe = |(task, key, metric): (&str, &str, &Metric)| {
        format!("{} of {task} ({})", metrics::name(key), metrics::interval(metric))
    };
    match (widest, narrowest) {
        (Some(widest), Some(narrowest)) if drawn.iter().map(|(_, metrics)| metrics.len()).sum::<usize>() > 1 => {
            format!("Least certain is {}; most certain is {}.", describe(widest), describe(narrowest))
        }
        (Some(only), _) => format!("{}.", describe(only)),
        _ => String::new(),
    }
}

/// A linear axis whose ends and ticks are multiples of a round step.
#[derive(Debug, PartialEq)]
struct Axis {
    first: i64,
    last: i64,
    step: f64,
}

impl Axis {
    /// Up to six steps of 1, 2 or 5 × 10ⁿ around the given range.
    fn around(low: f64, high: f64) -> Self {
        // A single point still needs an axis with two ends.
        let rough = (high - low).max(0.01) / 5.0;
        let magnitude = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * magnitude >= rough).unwrap_or(10.0);
        let step = factor * magnitude;
        // Rounding first keeps 0.6 / 0.1 = 5.999… from adding an empty step.
        let steps = |value: f64| (value / step * 1e6).round() / 1e6;
        let first = steps(low).floor() as i64;
        Self { first, last: (steps(high).ceil() as i64).max(first + 1), step }
    }

    /// In user units, to a tenth.
    fn x(&self, value: f64) -> f64 {
        let share = (value / self.step - self.first as f64) / (self.last - self.first) as f64;
        ((LABELS + share * (WIDTH - MARGIN - LABELS)) * 10.0).round() / 10.0
    }

    fn ticks(&self) -> Vec<Tick> {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        let tick = |value: f64| Tick { x: self.x(value), label: format!("{value:.decimals$}") };
        (self.first..=self.last).map(|index| tick(index as f64 * self.step)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn axis_ends_are_round_and_hold_the_range() {
        for (low, high, labels) in [
            (0.0, 1.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"][..]),
            (0.12, 0.93, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.3, 0.6, &["0.3", "0.4", "0.5", "0.6"]),
            (-0.13, 0.41, &["-0.2", "0.0", "0.2", "0.4", "0.6"]),
            (-0.07, 0.08, &["-0.10", "-0.05", "0.00", "0.05", "0.10"]),
            (0.5, 0.5, &["0.500", "0.502"]),
        ] {
            let axis = Axis::around(low, high);
            assert!(axis.x(low) >= LABELS && axis.x(high) <= WIDTH - MARGIN, "{axis:?}");
            assert_eq!(axis.ticks().into_iter().map(|tick| tick.label).collect::<Vec<_>>(), labels);
        }
    }

    #[test]
    fn the_axis_spans_the_plot_and_is_linear() {
        let axis = Axis { first: 2, last: 6, step: 0.1 };
        assert_eq!(axis.x(0.2), LABELS);
        assert_eq!(axis.x(0.6), WIDTH - MARGIN);
        assert_eq!(axis.x(0.4), (LABELS + WIDTH - MARGIN) / 2.0);
    }

    #[test]
    fn draws_what_shares_the_scale() {
        let mut scores = fixture::scores();
        let chrf = Metric { value: 41.0, low: 39.0, high: 43.0, ..scores.tasks["summary"].metrics["rouge1"].clone() };
        scores.tasks["summary"].metrics.insert("chrf".into(), chrf);
        let forest = forest(&scores).unwrap();
        let labels: Vec<_> = forest.marks.iter().map(|mark| mark.label.as_str()).collect();
        assert!(labels.contains(&"ROUGE-1") && !labels.contains(&"chrF") && !labels.contains(&"Invalid rate"));
        for mark in &forest.marks {
            assert!(forest.plot_left <= mark.low && mark.low <= mark.value, "{mark:?}");
            assert!(mark.value <= mark.high && mark.high <= forest.plot_right, "{mark:?}");
            assert!(mark.y < forest.plot_bottom);
        }
    }

    #[test]
    fn nothing_scored_is_no_plot() {
        let scores = Scores { v: 1, tasks: indexmap::IndexMap::new() };
        assert!(forest(&scores).is_none());
    }
}
