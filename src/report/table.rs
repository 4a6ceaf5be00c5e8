//! The scores as plain text for a terminal of 80 columns.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::{Rows, counts, metrics};
use crate::score::metric::{Direction, direction};
use crate::scores::{Sampling, Scores};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Every score with its interval, and below how many answers were invalid, failed or cut off.
///
/// Keys are those of `scores.json`, so that a number can be found again; only the print is rounded.
pub fn table(scores: &Scores, rows: &Rows) -> String {
    let mut parts = vec![metrics_table(scores), counts_table(scores, rows)];
    let drawn: Vec<(&String, &Sampling)> =
        scores.tasks.iter().filter_map(|(name, task)| Some((name, task.sampling.as_ref()?))).collect();
    if !drawn.is_empty() {
        let mut lines: Vec<String> = drawn.iter().map(|(name, sampling)| line(name, sampling)).collect();
        if drawn.iter().any(|(_, sampling)| sampling.too_few()) {
            lines.push("With under 40 to draw from, intervals come out too narrow.".into());
        }
        parts.push(lines.join("\n"));
    }
    parts.join("\n\n") + "\n"
}

/// What a task's intervals are made of.
fn line(name: &str, sampling: &Sampling) -> String {
    let units = metrics::counted(sampling.clusters, sampling.unit());
    let largest = metrics::percent(sampling.largest_share);
    let effect = sampling.design_effect.map_or(String::new(), |effect| format!(", design effect {effect:.2}"));
    format!("{name}: intervals resample {units}, the largest with {largest} of the rows{effect}")
}

fn metrics_table(scores: &Scores) -> String {
    let mut table = empty(&["task", "metric", "value", "95 % interval", "n"], 2);
    for (task, task_scores) in &scores.tasks {
        // Checks say what texts are like, not how good they are: the report has them.
        let shown =
            metrics::ordered(&task_scores.metrics).into_iter().filter(|(key, _)| direction(key) != Direction::Neither);
        for (index, (key, metric)) in shown.enumerate() {
            let task = if index == 0 { task.as_str() } else { "" };
            table.add_row([
                task.to_owned(),
                key.to_owned(),
                metrics::decimal(metric.value),
                metrics::interval(metric),
                metrics::count(metric.n),
            ]);
        }
    }
    table.trim_fmt()
}

fn counts_table(scores: &Scores, rows: &Rows) -> String {
    let mut table = empty(&["task", "answers", "invalid", "failed", "cut off", "no reference"], 1);
    for (task, counts) in counts::by_task(scores, rows) {
        let numbers = [counts.answers, counts.invalid, counts.failed, counts.cut, counts.unscored];
        table.add_row([task.to_owned()].into_iter().chain(numbers.map(metrics::count)));
    }
    table.trim_fmt()
}

/// The first `texts` columns are aligned left, those with numbers right.
pub(super) fn empty(header: &[&str], texts: usize) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    table.set_header(header.iter().map(Cell::new));
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn is_readable_at_80_columns() {
        let text = table(&fixture::scores(), &fixture::rows_of(&fixture::rows()));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
}
