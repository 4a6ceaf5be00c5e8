//! Tables for a paper, with the packages booktabs and, for Indonesian hyphens and quotes, any input in UTF-8.

use super::comparison::{p_value, signed};
use super::prose::{Subject, comparison_methods, methods};
use super::{Report, metrics};
use crate::score::compare::Comparison;
use crate::score::metric::{Direction, direction};

/// A table of the metrics, and the methods paragraphs.
pub fn latex(report: &Report) -> String {
    let mut rows = Vec::new();
    for (task, scores) in &report.scores.tasks {
        rows.push(format!("\\multicolumn{{4}}{{l}}{{\\emph{{{}}}}} \\\\", escaped(task)));
        for (key, metric) in
            metrics::ordered(&scores.metrics).into_iter().filter(|(key, _)| direction(key) != Direction::Neither)
        {
            rows.push(format!(
                "{} & {} & [{}, {}] & {} \\\\",
                escaped(metrics::name(key)),
                escaped(&metrics::decimal(metric.value)),
                escaped(&metrics::decimal(metric.low)),
                escaped(&metrics::decimal(metric.high)),
                metrics::count(metric.n)
            ));
        }
        rows.push("\\midrule".to_owned());
    }
    rows.pop();
    let subject =
        Subject { scores: report.scores, tasks: report.tasks, manifest: report.manifest, ladder: report.ladder };
    let caption = format!("Results of {} with 95\\,\\% confidence intervals.", escaped(&report.title));
    let mut parts = vec![
        "% Needs \\usepackage{booktabs}.".to_owned(),
        table("lrcr", "Metric & Value & 95\\,\\% interval & $n$", &rows, &caption, "tab:reels"),
    ];
    parts.extend(report.ladder.map(comparison_table));
    parts.extend(methods(subject).map(|text| escaped(&text)));
    parts.join("\n\n") + "\n"
}

/// A table of the runs by their main metrics, and the methods paragraphs.
pub fn comparison_latex(comparison: &Comparison) -> String {
    let methods = comparison_methods(comparison).map(|text| escaped(&text));
    let head = "% Needs \\usepackage{booktabs}.".to_owned();
    [vec![head, comparison_table(comparison)], methods.to_vec()].concat().join("\n\n") + "\n"
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
                    "{} & [{}, {}] & {}",
                    escaped(&signed(difference.value)),
                    escaped(&signed(difference.low)),
                    escaped(&signed(difference.high)),
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
    table("lrrcr", "Run & Value & Difference & 95\\,\\% interval & $p$", &rows, &caption, "tab:reels-comparison")
}

fn table(columns: &str, header: &str, rows: &[String], caption: &str, label: &str) -> String {
    format!(
        "\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{{label}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header} \\\\\n\\midrule\n{}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}",
        rows.join("\n")
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
            "\\bottomrule",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("\\midrule\n\\bottomrule"));
        assert_eq!(escaped("−0.1 <0.001 {x}~\\"), "$-$0.1 $<$0.001 \\{x\\}\\textasciitilde{}\\textbackslash{}");
    }
}
