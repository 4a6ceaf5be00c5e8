//! The scores as plain text for a terminal of 80 columns.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::intervals::{self, Withheld};
use super::{Rows, counts, metrics, people};
use crate::score::metric::headline;
use crate::scores::{Scores, TaskScores};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Every score with its interval, and below how many answers were invalid, empty, failed or cut off, what the intervals rest on,
/// and which are withheld.
///
/// Keys are those of `scores.json`, so that a number can be found again; only the print is rounded.
pub fn table(scores: &Scores, rows: &Rows) -> String {
    let mut parts = vec![metrics_table(scores), counts_table(scores, rows)];
    let withheld = intervals::withheld(scores, intervals::judging, |key| key);
    let mut lines: Vec<String> = scores.tasks.iter().flat_map(|(name, task)| lines(name, task, &withheld)).collect();
    let counts = counts::by_task(scores, rows);
    let looped = counts.iter().filter(|(_, counts)| counts.looped > 0);
    lines.extend(looped.map(|(name, counts)| {
        let looped = metrics::counted(counts.looped, "answer");
        wrapped(&format!("{name}: {looped} repeated themselves again and again, and were ended there"))
    }));
    parts.push(lines.join("\n"));
    if !withheld.is_empty() {
        let lines = withheld.iter().map(|it| wrapped(&format!("- {}: {}", it.which(), it.why)));
        let head = "Withheld intervals, and why:".to_owned();
        parts.push([head].into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
    }
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n") + "\n"
}

/// What a task's intervals are made of, which labels are too few, and which metric stands for it.
fn lines(name: &str, task: &TaskScores, withheld: &[Withheld]) -> Vec<String> {
    let sample =
        task.sampling.as_ref().map(|sampling| intervals::sample(sampling, &intervals::judging(task), |key| key));
    // A reason that names them is not said twice.
    let absent = intervals::absent_in_words(task).filter(|absent| withheld.iter().all(|it| it.why != absent));
    let headline = headline(task).and_then(|headline| {
        Some(format!("{} stands for the task {}", headline.key, intervals::instead(&headline, |key| key)?))
    });
    let rate = task.metrics.get("invalid_rate").and_then(|rate| Some(format!("invalid_rate {}", rate.note.as_ref()?)));
    let (coverage, unread) = (intervals::coverage(task), intervals::unread_in_words(task, |key| key));
    let lines = [coverage, sample, absent, intervals::rare_in_words(task), headline, unread, rate];
    let lines = lines.into_iter().flatten().map(|line| format!("{name}: {line}"));
    lines.chain(people::verdicts(name, task)).map(|line| wrapped(&line)).collect()
}

/// Broken at spaces to 80 columns; the lines behind the first one are indented.
fn wrapped(text: &str) -> String {
    let (mut wrapped, mut column) = (String::new(), 0);
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 80 {
            wrapped.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += width;
    }
    wrapped
}

fn metrics_table(scores: &Scores) -> String {
    let mut table = empty(&["task", "metric", "value", "95 % interval", "n"], 2);
    for (task, task_scores) in &scores.tasks {
        // Checks say what texts are like, not how good they are: the report has them.
        for (index, (key, metric)) in intervals::judging(task_scores).into_iter().enumerate() {
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
    let mut table = empty(&["task", "answers", "invalid", "empty", "failed", "cut off", "no reference"], 1);
    for (task, counts) in counts::by_task(scores, rows) {
        let [invalid, empty, failed, unscored] =
            [counts.invalid, counts.empty, counts.failed, counts.unscored].map(metrics::count);
        table.add_row([task.to_owned(), counts.answered(), invalid, empty, failed, counts.cut_off(), unscored]);
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
    use crate::scores::{Metric, Sampling};

    #[test]
    fn is_readable_at_80_columns() {
        let text = table(&fixture::scores(), &fixture::rows_of(&fixture::rows()));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
    #[test]
    fn what_is_withheld_is_told_at_80_columns() {
        let mut scores = fixture::scores();
        fixture::withhold(&mut scores);
        let category = &mut scores.tasks["category"];
        let accounts = Sampling {
            unit: "account".into(),
            unknown_accounts: 0,
            clusters: 42,
            largest_share: 0.1,
            design_effect: Some(1.25),
        };
        category.sampling = Some(accounts);
        category.metrics["accuracy"].method = "jackknife".into();
        category.metrics["invalid_rate"].method = "wilson".into();
        let metrics: Vec<Metric> = category.metrics.values().cloned().collect();
        let why = Some("accounts keep to few labels, and none keeps to 1 of 3: kuliner".to_owned());
        for (key, metric) in ["ece", "macro_f1_present"].iter().zip(metrics) {
            let metric =
                Metric { low: f64::NAN, high: f64::NAN, method: "none".into(), withheld: why.clone(), ..metric };
            category.metrics.insert((*key).to_owned(), metric);
        }
        for metric in scores.tasks["summary"].metrics.values_mut() {
            (metric.low, metric.high, metric.withheld) = (f64::NAN, f64::NAN, Some("the rows are of 1 account".into()));
        }
        let text = table(&scores, &fixture::rows_of(&fixture::rows()));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
}
