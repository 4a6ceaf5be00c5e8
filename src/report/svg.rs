//! Charts as SVG: axes, intervals and curves, drawn in user units that are readable at a phone's width.

use std::fmt::Write;

use minijinja::value::Value;
use serde::Serialize;

const WIDTH: f64 = 400.0;
/// On the right, with room for half of the last tick's label.
const MARGIN: f64 = 22.0;
/// About the width of one.
const CHARACTER: f64 = 7.3;
const ROW: f64 = 22.0;
const HEADING: f64 = 28.0;
const AXIS: f64 = 30.0;
/// Of a curve's plot: both axes are of equal length.
const SQUARE: f64 = 300.0;

/// A chart, what it shows in a sentence, and the same numbers as a table.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub heading: String,
    pub finding: String,
    /// How to read it.
    pub key: String,
    pub svg: Value,
    /// Absent where a table beside the chart has the same numbers.
    pub table: Option<DataTable>,
}

/// Numbers behind a chart; the first column is text.
#[derive(Debug, Serialize)]
pub struct DataTable {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl DataTable {
    pub fn new(header: &[&str], rows: Vec<Vec<String>>) -> DataTable {
        DataTable { header: header.iter().map(|name| (*name).to_owned()).collect(), rows }
    }
}

/// Intervals under one heading.
#[derive(Debug, Clone)]
pub struct Group {
    pub heading: String,
    pub marks: Vec<Mark>,
}

/// A value with its interval; where that is withheld, both bounds are NaN.
#[derive(Debug, Clone)]
pub struct Mark {
    pub label: String,
    pub low: f64,
    pub value: f64,
    pub high: f64,
}

impl Mark {
    /// The bounds, or the value where there are none.
    fn ends(&self) -> [f64; 2] {
        if self.is_bare() { [self.value; 2] } else { [self.low, self.high] }
    }

    /// Whether there is no interval.
    pub fn is_bare(&self) -> bool {
        !(self.low.is_finite() && self.high.is_finite())
    }
}

/// Intervals on one axis, under headings; the axis reaches 0 where that is what they are compared `with_zero`. `None`
/// without marks.
pub fn forest(title: &str, description: &str, groups: &[Group], with_zero: bool) -> Option<Value> {
    let is_drawn = |mark: &&Mark| mark.value.is_finite();
    let marks = || groups.iter().flat_map(|group| &group.marks).filter(is_drawn);
    let zero = with_zero.then_some(0.0);
    let low = marks().map(|mark| mark.ends()[0]).reduce(f64::min).map(|low| zero.map_or(low, |zero| low.min(zero)))?;
    let high =
        marks().map(|mark| mark.ends()[1]).reduce(f64::max).map(|high| zero.map_or(high, |zero| high.max(zero)))?;
    // The plot keeps more than half.
    let longest = marks().map(|mark| mark.label.chars().count()).max()? as f64;
    let left = (8.0 + CHARACTER * longest).clamp(96.0, 180.0);
    let axis = Axis { scale: Scale::around(low, high), start: left, end: WIDTH - MARGIN };
    let shown = ((left - 8.0) / CHARACTER) as usize;

    let mut body = String::new();
    let mut y = 0.0;
    for group in groups.iter().filter(|group| group.marks.iter().any(|mark| is_drawn(&mark))) {
        y += HEADING;
        text(&mut body, "task", 0.0, y - 8.0, &group.heading);
        for mark in group.marks.iter().filter(is_drawn) {
            let middle = y + ROW / 2.0;
            text(&mut body, "label", 8.0, middle + 4.5, &cut(&mark.label, shown));
            let value = axis.at(mark.value);
            if !mark.is_bare() {
                let ([low, high], top) = (mark.ends().map(|end| axis.at(end)), middle - 4.0);
                let _ = write!(
                    body,
                    "<path class=\"interval\" d=\"M{low} {middle}H{high}M{low} {top}v8M{high} {top}v8\"/>"
                );
            }
            let _ = write!(
                body,
                "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"7\" height=\"7\"/>",
                if mark.is_bare() { "value bare" } else { "value" },
                round(value - 3.5),
                middle - 3.5
            );
            y += ROW;
        }
    }
    let bottom = y + 4.0;
    let mut grid = String::new();
    for (value, label) in axis.scale.ticks() {
        let class = if value == 0.0 && (with_zero || low < 0.0) { "zero" } else { "grid" };
        line(&mut grid, class, [axis.at(value), 8.0, axis.at(value), bottom]);
        text(&mut grid, "tick", axis.at(value), bottom + 16.0, &label);
    }
    line(&mut grid, "axis", [left, bottom, WIDTH - MARGIN, bottom]);
    Some(svg("forest", y + AXIS, title, description, &(grid + &body)))
}

/// Points of a curve on two axes from 0 to 1, each with the bounds of its second coordinate where it has some.
pub struct Curve<'a> {
    pub x: &'a str,
    pub y: &'a str,
    pub points: Vec<(f64, f64)>,
    pub bounds: Vec<(f64, f64)>,
    /// Where points ought to lie.
    pub diagonal: bool,
    /// Where points lie by chance.
    pub level: Option<f64>,
    /// Steps from point to point rather than straight lines.
    pub steps: bool,
}

/// Draws a curve.
pub fn curve(title: &str, description: &str, curve: &Curve) -> Value {
    let (left, top) = (46.0, 10.0);
    let across = Axis { scale: Scale { first: 0, last: 5, step: 0.2 }, start: left, end: left + SQUARE };
    let down = Axis { scale: Scale { first: 0, last: 5, step: 0.2 }, start: top + SQUARE, end: top };
    let mut body = String::new();
    for (value, label) in across.scale.ticks() {
        line(&mut body, "grid", [across.at(value), top, across.at(value), top + SQUARE]);
        line(&mut body, "grid", [left, down.at(value), left + SQUARE, down.at(value)]);
        text(&mut body, "tick", across.at(value), top + SQUARE + 16.0, &label);
        text(&mut body, "tick end", left - 6.0, down.at(value) + 4.0, &label);
    }
    if curve.diagonal {
        line(&mut body, "guide", [across.at(0.0), down.at(0.0), across.at(1.0), down.at(1.0)]);
    }
    if let Some(level) = curve.level {
        line(&mut body, "guide", [left, down.at(level), left + SQUARE, down.at(level)]);
    }
    let bounds = curve.points.iter().zip(&curve.bounds).filter(|(_, (low, high))| low.is_finite() && high.is_finite());
    for ((x, _), (low, high)) in bounds {
        let (x, low, high) = (across.at(*x), down.at(*low), down.at(*high));
        let _ =
            write!(body, "<path class=\"interval\" d=\"M{x} {low}V{high}M{0} {low}h8M{0} {high}h8\"/>", round(x - 4.0));
    }
    let mut path = String::new();
    for (index, (x, y)) in curve.points.iter().enumerate() {
        let (x, y) = (across.at(*x), down.at(*y));
        let _ = match (index, curve.steps) {
            (0, _) => write!(path, "M{x} {y}"),
            (_, true) => write!(path, "V{y}H{x}"),
            (_, false) => write!(path, "L{x} {y}"),
        };
    }
    let _ = write!(body, "<path class=\"curve\" d=\"{path}\"/>");
    if curve.points.len() <= 20 {
        for (x, y) in &curve.points {
            let _ = write!(body, "<circle class=\"value\" cx=\"{}\" cy=\"{}\" r=\"4\"/>", across.at(*x), down.at(*y));
        }
    }
    text(&mut body, "tick", left + SQUARE / 2.0, top + SQUARE + 36.0, curve.x);
    let middle = top + SQUARE / 2.0;
    let _ = write!(
        body,
        "<text class=\"tick\" transform=\"translate(12 {middle}) rotate(-90)\">{}</text>",
        escaped(curve.y)
    );
    svg("square", top + SQUARE + 44.0, title, description, &body)
}

/// One line, or points, among several in a plot.
pub struct Series {
    pub name: String,
    /// Ascending in the first coordinate.
    pub points: Vec<(f64, f64)>,
    pub look: Look,
}

/// Counts as bars, a row each. `None` without any above 0.
pub fn bars(title: &str, description: &str, rows: &[(String, usize)]) -> Option<Value> {
    let most = rows.iter().map(|(_, count)| *count).max().filter(|most| *most > 0)?;
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max()? as f64;
    let left = (8.0 + CHARACTER * longest).clamp(64.0, 160.0);
    let shown = ((left - 8.0) / CHARACTER) as usize;
    let room = WIDTH - left - CHARACTER * (most.to_string().len() as f64 + 2.0);
    let mut body = String::new();
    for (row, (name, count)) in rows.iter().enumerate() {
        let top = row as f64 * ROW;
        let width = round(room * *count as f64 / most as f64);
        text(&mut body, "label", 0.0, top + 15.5, &cut(name, shown));
        let _ =
            write!(body, "<rect class=\"value\" x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"12\"/>", top + 5.0);
        text(&mut body, "label", left + width + 6.0, top + 15.5, &count.to_string());
    }
    Some(svg("bars", rows.len() as f64 * ROW + 4.0, title, description, &body))
}

/// How a series is drawn: series of the same `run` have the same colour.
#[derive(Clone, Copy)]
pub struct Look {
    pub run: usize,
    /// Marks rather than a line.
    pub marks: bool,
}

/// Colours there are.
const COLOURS: usize = 4;

/// Series on common axes, with a legend below. `None` without points.
pub fn lines(title: &str, description: &str, x: &str, y: &str, series: &[Series]) -> Option<Value> {
    const HEIGHT: f64 = 220.0;
    let (left, top) = (46.0, 10.0);
    let points = || series.iter().flat_map(|each| &each.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = (points().map(of).reduce(f64::min)?, points().map(of).reduce(f64::max)?);
        Some(Scale::around(low, high))
    };
    let across = Axis { scale: range(|point| point.0)?, start: left, end: WIDTH - MARGIN };
    let down = Axis { scale: range(|point| point.1)?, start: top + HEIGHT, end: top };
    let mut body = String::new();
    for (value, label) in across.scale.ticks() {
        line(&mut body, "grid", [across.at(value), top, across.at(value), top + HEIGHT]);
        text(&mut body, "tick", across.at(value), top + HEIGHT + 16.0, &label);
    }
    for (value, label) in down.scale.ticks() {
        line(&mut body, "grid", [left, down.at(value), WIDTH - MARGIN, down.at(value)]);
        text(&mut body, "tick end", left - 6.0, down.at(value) + 4.0, &label);
    }
    let mut bottom = top + HEIGHT + 36.0;
    text(&mut body, "tick", (left + WIDTH - MARGIN) / 2.0, bottom, x);
    let middle = top + HEIGHT / 2.0;
    let _ = write!(body, "<text class=\"tick\" transform=\"translate(12 {middle}) rotate(-90)\">{}</text>", escaped(y));
    for Series { name, points, look } in series {
        let colour = format!("run{}", look.run % COLOURS);
        let at = |(x, y): &(f64, f64)| (across.at(*x), down.at(*y));
        let drawn = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).map(at);
        bottom += 18.0;
        if look.marks {
            for (x, y) in drawn.chain([(left + 7.0, bottom - 4.0)]) {
                let _ = write!(body, "<circle class=\"dot {colour}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"/>");
            }
        } else {
            let path: Vec<String> = drawn.map(|(x, y)| format!("{x} {y}")).collect();
            let _ = write!(body, "<path class=\"line {colour}\" d=\"M{}\"/>", path.join("L"));
            let _ = write!(body, "<path class=\"line {colour}\" d=\"M{left} {}h14\"/>", bottom - 4.0);
        }
        text(&mut body, "label", left + 22.0, bottom, name);
    }
    Some(svg("plot", bottom + 10.0, title, description, &body))
}

fn svg(class: &str, height: f64, title: &str, description: &str, body: &str) -> Value {
    // The title is what a screen reader says first; an id would have to be unique on the page.
    Value::from_safe_string(format!(
        "<svg class=\"chart {class}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title><desc>{1}</desc>{body}</svg>",
        escaped(title),
        escaped(description)
    ))
}

fn line(to: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = write!(to, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
}

fn text(to: &mut String, class: &str, x: f64, y: f64, content: &str) {
    let _ = write!(to, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(content));
}

fn escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}

/// The first characters, and a sign that there are more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A scale between two places.
struct Axis {
    scale: Scale,
    start: f64,
    end: f64,
}

impl Axis {
    /// In user units, to a tenth.
    fn at(&self, value: f64) -> f64 {
        let Scale { first, last, step } = self.scale;
        let share = (value / step - first as f64) / (last - first) as f64;
        round(self.start + share * (self.end - self.start))
    }
}

/// A linear scale whose ends and ticks are multiples of a round step.
#[derive(Debug, PartialEq)]
struct Scale {
    first: i64,
    last: i64,
    step: f64,
}

impl Scale {
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

    fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        (self.first..=self.last)
            .map(|index| index as f64 * self.step)
            .map(|value| (value, format!("{value:.decimals$}").replace('-', "−")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn scale_ends_are_round_and_hold_the_range() {
        for (low, high, expected) in [
            (0.0, 1.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"][..]),
            (0.12, 0.93, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.3, 0.6, &["0.3", "0.4", "0.5", "0.6"]),
            (-0.13, 0.41, &["−0.2", "0.0", "0.2", "0.4", "0.6"]),
            (-0.07, 0.08, &["−0.10", "−0.05", "0.00", "0.05", "0.10"]),
            (0.5, 0.5, &["0.500", "0.502"]),
        ] {
            let scale = Scale::around(low, high);
            assert_eq!(labels(&scale), expected);
            let axis = Axis { scale, start: 100.0, end: 300.0 };
            assert!(axis.at(low) >= 100.0 && axis.at(high) <= 300.0);
        }
    }

    #[test]
    fn an_axis_is_linear_in_both_directions() {
        let axis = |start, end| Axis { scale: Scale { first: 2, last: 6, step: 0.1 }, start, end };
        assert_eq!([0.2, 0.4, 0.6].map(|value| axis(100.0, 300.0).at(value)), [100.0, 200.0, 300.0]);
        assert_eq!([0.2, 0.4, 0.6].map(|value| axis(300.0, 100.0).at(value)), [300.0, 200.0, 100.0]);
    }

    #[test]
    fn lines_leave_out_what_is_no_number() {
        let series =
            |points: Vec<(f64, f64)>| [Series { name: "a <b>".into(), points, look: Look { run: 5, marks: false } }];
        let svg =
            lines("t", "d", "x", "y", &series(vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)])).unwrap().to_string();
        assert!(svg.contains("class=\"line run1\" d=\"M46 230L378 10\"") && svg.contains("a &lt;b&gt;"), "{svg}");
        assert!(lines("t", "d", "x", "y", &series(vec![])).is_none());
    }

    #[test]
    fn texts_are_escaped_and_cut() {
        let mark = Mark { label: "<b>&\"".repeat(9), low: 0.1, value: 0.2, high: 0.3 };
        let groups = [Group { heading: "a & b".into(), marks: vec![mark] }];
        let svg = forest("<t>", "d", &groups, false).unwrap().to_string();
        assert!(svg.contains("a &amp; b") && svg.contains("<title>&lt;t&gt;</title>") && !svg.contains("<b>"));
        assert!(svg.contains('…') && !svg.contains("class=\"zero\""));
        assert!(forest("t", "d", &groups, true).unwrap().to_string().contains("class=\"zero\""));
        assert!(forest("t", "d", &[], false).is_none());
    }

    #[test]
    fn without_an_interval_a_point_is_drawn() {
        let mark = Mark { label: "ECE".into(), low: f64::NAN, value: 0.2, high: f64::NAN };
        let svg = forest("t", "d", &[Group { heading: "ad".into(), marks: vec![mark] }], false).unwrap().to_string();
        assert!(svg.contains("class=\"value bare\"") && !svg.contains("class=\"interval\"") && !svg.contains("NaN"));
    }
}
