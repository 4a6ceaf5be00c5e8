//! Tables for a paper, with the packages booktabs and, for Indonesian hyphens and quotes, any input in UTF-8.

use super::comparison::{notes, p_value, signed};
use super::labels::{Class, classes};
use super::methods::methods;
use super::prose::{Subject, comparison_methods};
use super::svg::DataTable;
use super::{Report, intervals, metrics, people, rated};
use crate::score::compare::{Comparison, MetricDifference};
use crate::scores::TaskScores;

/// A table of the metrics, one of the labels of each label task, and the methods paragraphs.
pub fn latex(report: &Report) -> String {
    let subject =
        Subject { scores: report.scores, tasks: report.tasks, manifest: report.manifest, ladder: report.ladder };
    let mut parts = vec!["% Needs \\usepackage{booktabs}.".to_owned(), scores_table(report)];
    let tasks = report.scores.tasks.iter().enumerate();
    parts.extend(tasks.filter_map(|(index, (task, scores))| class_tabular(index, task, scores)));
    if let Some(ladder) = report.ladder {
        parts.push(comparison_table(ladder));
        parts.extend(ratings_tables(ladder));
    }
    parts.extend(methods(subject).map(|text| escaped(&text)));
    parts.join("\n\n") + "\n"
}

fn scores_table(report: &Report) -> String {
    let mut rows = Vec::new();
    let have_mark = people::have_mark(report.scores);
    let (columns, last) = if have_mark { (5, " & People") } else { (4, "") };
    for (task, scores) in report.scores.tasks.iter().filter(|(_, scores)| !scores.metrics.is_empty()) {
        rows.push(format!("\\multicolumn{{{columns}}}{{l}}{{\\emph{{{}}}}} \\\\", escaped(task)));
        for (key, metric) in intervals::judging(scores).into_iter().chain(people::rated(scores)) {
            let bounds = metrics::bounds(metric.low, metric.high);
            let mark = people::mark(scores, key).map_or(String::new(), |mark| metrics::decimal(mark.value));
            rows.push(format!(
                "{} & {} & {} & {}{} \\\\",
                escaped(metrics::name(key)),
                escaped(&metrics::decimal(metric.value)),
                escaped(&bounds.map_or_else(|| metrics::interval(metric), |[low, high]| format!("[{low}, {high}]"))),
                metrics::count(metric.n),
                if have_mark { format!(" & {}", escaped(&mark)) } else { String::new() }
            ));
        }
        rows.push("\\midrule".to_owned());
    }
    rows.pop();
    let withheld = intervals::withheld(report.scores, intervals::judging, metrics::name);
    let coverage = report.scores.tasks.iter();
    let coverage = coverage.filter_map(|(task, scores)| Some(format!("{task}: {}.", intervals::coverage(scores)?)));
    let withheld = withheld.iter().map(|it| format!("Withheld for {}: {}.", it.which(), it.why));
    let notes: Vec<String> = coverage.chain(withheld).collect();
    let people = if have_mark { " People: what annotators reach among themselves." } else { "" };
    let caption = format!("Results of {} with 95\\,\\% confidence intervals.{people}", escaped(&report.title));
    let header = format!("Metric & Value & 95\\,\\% interval & $n${last}");
    table(&"lrcrr"[..columns], &header, &rows, &caption, "tab:reels", &notes)
}

/// The labels of a task; intervals stand below the numbers, or the table would be too wide for a page.
fn class_tabular(index: usize, task: &str, scores: &TaskScores) -> Option<String> {
    let labels = classes(scores, None)?;
    let small = |interval: &String| format!("{{\\footnotesize {}}}", escaped(interval));
    let row = |Class { label, precision, recall, f1, support, clusters, .. }: &Class| {
        let [values, intervals] = [0, 1].map(|which| [precision, recall, f1].map(|number| &number[which]));
        let values = values.map(|value| escaped(value)).join(" & ");
        let intervals = intervals.map(small).join(" & ");
        format!("{} & {support} & {clusters} & {values} \\\\\n& & & {intervals} \\\\", escaped(label))
    };
    let rows: Vec<String> = labels.rows.iter().map(row).collect();
    let notes = [intervals::absent_in_words(scores), intervals::rare_in_words(scores)];
    let notes: Vec<String> = notes.into_iter().flatten().map(|note| format!("{note}.")).collect();
    let caption =
        format!("Labels of {}. Below each number its 95\\,\\% confidence interval; {}.", escaped(task), labels.rule);
    let header = format!("Label & $n$ & {} & Precision & Recall & F1", labels.units);
    Some(table("lrrrrr", &header, &rows, &caption, &format!("tab:reels-labels-{}", index + 1), &notes))
}

/// A table of the runs by their main metrics, and the methods paragraphs.
pub fn comparison_latex(comparison: &Comparison) -> String {
    let methods = comparison_methods(comparison).map(|text| escaped(&text));
    let head = "% Needs \\usepackage{booktabs}.".to_owned();
    [vec![head, comparison_table(comparison)], ratings_tables(comparison), methods.to_vec()].concat().join("\n\n")
        + "\n"
}

fn comparison_table(comparison: &Comparison) -> String {
    let mut rows = Vec::new();
    for (name, task) in &comparison.tasks {
        let Some(metric) = task.metrics.get(&task.main) else { continue };
        rows.push(format!(
            "\\multicolumn{{5}}{{l}}{{\\emph{{{}, {}}}}} \\\\",
            escaped(name),
            escaped(metrics::name(&task.main))
        ));
        for (index, run) in comparison.runs.iter().enumerate() {
            // In bold what no test tells from the best.
            let value = escaped(&metrics::decimal(metric.values[index]));
            let value = if metric.best.contains(&index) { format!("\\textbf{{{value}}}") } else { value };
            let rest = match index.checked_sub(1).map(|index| &metric.differences[index]) {
                None => "& &".to_owned(),
                Some(difference) => format!(
                    "{} & {} & {}",
                    escaped(&signed(difference.value)),
                    difference_bounds(difference),
                    escaped(&difference.p_adjusted.map_or("–".to_owned(), p_value))
                ),
            };
            rows.push(format!("{} & {value} & {rest} \\\\", escaped(run)));
        }
        rows.push("\\midrule".to_owned());
    }
    rows.pop();
    let caption = format!(
        "Differences from {}, with 95\\,\\% confidence intervals and $p$ adjusted by Holm's method. In bold: the best, and what no test tells from it.",
        escaped(&comparison.runs[0])
    );
    table(
        "lrrcr",
        "Run & Value & Difference & 95\\,\\% interval & $p$",
        &rows,
        &caption,
        "tab:reels-comparison",
        &notes(comparison),
    )
}

/// What people say of the runs.
fn ratings_tables(comparison: &Comparison) -> Vec<String> {
    let latex = |(index, (caption, data)): (usize, (String, DataTable))| {
        let columns = format!("l{}", "r".repeat(data.header.len() - 1));
        let cells = |cells: &[String]| cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" & ");
        let rows: Vec<String> = data.rows.iter().map(|row| format!("{} \\\\", cells(row))).collect();
        table(
            &columns,
            &cells(&data.header),
            &rows,
            &format!("{}.", escaped(&caption)),
            &format!("tab:reels-ratings-{}", index + 1),
            &[],
        )
    };
    rated::tables(comparison).into_iter().enumerate().map(latex).collect()
}

fn difference_bounds(difference: &MetricDifference) -> String {
    match difference.withheld {
        Some(_) => "withheld".into(),
        None => format!("[{}, {}]", escaped(&signed(difference.low)), escaped(&signed(difference.high))),
    }
}

/// `notes` stand below, each in a line of its own.
fn table(columns: &str, header: &str, rows: &[String], caption: &str, label: &str, notes: &[String]) -> String {
    let rows = rows.join("\n");
    let notes: String =
        notes.iter().map(|note| format!("\\par\\smallskip{{\\footnotesize {}}}\n", escaped(note))).collect();
    format!(
        "\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{{label}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header} \\\\\n\\midrule\n{rows}\n\\bottomrule\n\\end{{tabular}}\n{notes}\\end{{table}}"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\u{a0}' => escaped.push('~'),
            '−' => escaped.push_str("$-$"),
            '<' => escaped.push_str("$<$"),
            '>' => escaped.push_str("$>$"),
            '–' => escaped.push_str("--"),
            '’' => escaped.push('\''),
            '“' => escaped.push_str("``"),
            '”' => escaped.push_str("''"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn tables_are_booktabs_and_escaped() {
        let (mut scores, tasks, manifest) = (fixture::scores(), fixture::tasks(), fixture::manifest());
        let rows = fixture::rows_of(&[]);
        let odd = scores.tasks["summary"].clone();
        scores.tasks.insert("a_b & 50%".into(), odd);
        fixture::withhold(&mut scores);
        let report = Report {
            title: "m_1".into(),
            scores: &scores,
            rows: &rows,
            tasks: &tasks,
            manifest: &manifest,
            ladder: None,
        };
        let text = latex(&report);
        for part in [
            "\\caption{Results of m\\_1 with",
            "ROUGE-1 & 0.412 & [0.371, 0.446] & 1,204 \\\\",
            "a\\_b \\& 50\\%",
            "Macro F1 & 0.765 & withheld & 1,204 \\\\",
            "\\footnotesize Withheld for Macro F1 of category: 1 of 3 labels don't occur: oto\\_motif.}",
            "Label & $n$ & Accounts & Precision & Recall & F1 \\\\",
            "kuliner & 4 & 4 & 0.500 & 0.250 & 0.333 \\\\\n& & & {\\footnotesize withheld} & {\\footnotesize withheld} & {\\footnotesize 0.100 -- 0.600}",
            "oto\\_motif & 0 & 0 &",
            "\\bottomrule",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("\\midrule\n\\bottomrule"));
        assert_eq!(escaped("−0.1 <0.001 {x}~\\"), "$-$0.1 $<$0.001 \\{x\\}\\textasciitilde{}\\textbackslash{}");
    }
}
