//! A result and a comparison as Markdown, and a model card.

use serde_json::Value;

use super::comparison::{interval, p_value, signed, verdicts, word};
use super::labels::{Class, classes};
use super::methods::methods;
use super::prose::{Subject, comparison_methods, limitations, verdict};
use super::svg::DataTable;
use super::{Report, RunDifference, intervals, metrics, people, rated};
use crate::ask::Manifest;
use crate::score::compare::Comparison;
use crate::score::metric::{Direction, direction};
use crate::scores::{Scores, TaskScores};

/// The scores with their intervals, what they say, how they were made and what to keep in mind.
pub fn markdown(report: &Report) -> String {
    let subject = subject(report);
    let [english, indonesian] = methods(subject);
    let mut parts = vec![format!("# {}", escaped(&report.title)), list(&verdict(subject)), scores_table(report.scores)];
    let tasks = report.scores.tasks.iter();
    parts.extend(
        tasks
            .filter_map(|(task, scores)| Some([format!("## Labels of {}", escaped(task)), label_table(scores)?]))
            .flatten(),
    );
    if let Some(ladder) = report.ladder {
        parts.extend(["## Against other runs".into(), comparison_tables(ladder), ratings_tables(ladder)]);
    }
    for (task, scores) in &report.scores.tasks {
        if let Some(correlations) = scores.ratings.as_ref().and_then(rated::correlations) {
            parts.push(format!("## How metrics of {} go with ratings", escaped(task)));
            parts.push(data_table(&correlations));
        }
    }
    parts.extend(["## Methods".into(), escaped(&english), escaped(&indonesian)]);
    parts.extend(["## Limitations".into(), list(&limitations(subject)), "## Signatures".into()]);
    let signature = |(name, task): (&String, &TaskScores)| format!("- {}: `{}`", escaped(name), task.signature);
    parts.push(report.scores.tasks.iter().map(signature).collect::<Vec<_>>().join("\n"));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}

/// The verdicts, then all metrics of all runs.
pub fn comparison_markdown(comparison: &Comparison, differing: &[RunDifference]) -> String {
    let differs: Vec<String> =
        differing.iter().map(|each| format!("Differs in {}: {}", each.what, each.values.join(" · "))).collect();
    let [english, indonesian] = comparison_methods(comparison);
    let parts = [
        format!("# {}", escaped(&comparison.runs.join(" · "))),
        list(&verdicts(comparison)),
        list(&differs),
        comparison_tables(comparison),
        ratings_tables(comparison),
        "## Methods".into(),
        escaped(&english),
        escaped(&indonesian),
        format!("`{}`", comparison.signature),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n") + "\n"
}

/// What a model card on a hub says, with the metadata such pages read.
pub fn model_card(report: &Report) -> String {
    let subject = subject(report);
    let Manifest { model, data, adapter, prompts, .. } = report.manifest;
    let name = model.as_ref().map_or(&report.title, |model| &model.name);
    let data = data.as_ref().map_or("?", |data| &data.path);
    let code = |text: &String| format!("`{text}`");
    let mut front = format!(
        "---\nlanguage: id\ntags:\n- summarization\n- text-classification\nmodel-index:\n- name: {}\n  results:\n",
        yaml(name)
    );
    for (task, scores) in &report.scores.tasks {
        let kind = if scores.confusion.is_some() { "text-classification" } else { "summarization" };
        front.push_str(&format!(
            "  - task:\n      type: {kind}\n      name: {}\n    dataset:\n      name: {}\n      type: jsonl\n    metrics:\n",
            yaml(task),
            yaml(data)
        ));
        for (key, metric) in metrics::ordered(&scores.metrics)
            .into_iter()
            .filter(|(key, metric)| metric.value.is_finite() && direction(key) != Direction::Neither)
        {
            front.push_str(&format!("    - type: {}\n      value: {:.4}\n", yaml(key), metric.value));
        }
    }
    front.push_str("---");
    let facts = [
        ("Architecture", model.as_ref().and_then(|model| model.architecture.clone())),
        ("File", Some(code(name))),
        ("SHA-256", model.as_ref().map(|model| code(&model.sha256))),
        ("Adapter", adapter.as_ref().map(|adapter| code(&adapter.name))),
        ("Prompts, SHA-256", prompts.as_ref().map(|prompts| code(&prompts.sha256))),
    ];
    let facts: Vec<String> =
        facts.into_iter().filter_map(|(what, value)| Some(format!("{what}: {}", value?))).collect();
    let [english, indonesian] = methods(subject);
    [
        front,
        format!("# {}", escaped(name)),
        "Reads short videos (transcript, caption, numbers) and writes Indonesian summaries and labels.".into(),
        facts.into_iter().map(|fact| format!("- {fact}")).collect::<Vec<_>>().join("\n"),
        "## Evaluation".into(),
        list(&verdict(subject)),
        scores_table(report.scores),
        "## How it was evaluated".into(),
        escaped(&english),
        escaped(&indonesian),
        "## Limitations".into(),
        list(&limitations(subject)),
    ]
    .join("\n\n")
        + "\n"
}

fn subject<'a>(report: &Report<'a>) -> Subject<'a> {
    Subject { scores: report.scores, tasks: report.tasks, manifest: report.manifest, ladder: report.ladder }
}

/// All metrics, and below why intervals are withheld.
fn scores_table(scores: &Scores) -> String {
    let mut rows = Vec::new();
    let have_mark = people::have_mark(scores);
    for (task, scores) in &scores.tasks {
        for (key, metric) in intervals::distinct(scores).into_iter().chain(people::rated(scores)) {
            let mut cells = vec![
                task.clone(),
                metrics::name(key).to_owned(),
                metrics::decimal(metric.value),
                metrics::interval(metric),
                metrics::count(metric.n),
            ];
            let mark = people::mark(scores, key).map(people::mark_in_words);
            let mark = mark.map_or(String::new(), |[value, interval]| format!("{value} ({interval})"));
            cells.extend(have_mark.then_some(mark));
            rows.push(cells);
        }
    }
    let withheld = intervals::withheld(scores, intervals::distinct, metrics::name);
    let withheld = withheld.iter().map(|it| format!("The interval is withheld for {}: {}.", it.which(), it.why));
    let coverage = scores.tasks.iter();
    let coverage = coverage.filter_map(|(task, scores)| Some(format!("{task}: {}.", intervals::coverage(scores)?)));
    let notes: Vec<String> = coverage.chain(withheld).collect();
    let header = ["Task", "Metric", "Value", "95 % interval", "n", "People among themselves"];
    let parts = [table(&header[..header.len() - usize::from(!have_mark)], 2, &rows), list(&notes)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Precision, recall and F1 of each label, with 95 % intervals; `None` where the task has no labels.
fn label_table(scores: &TaskScores) -> Option<String> {
    let labels = classes(scores, None)?;
    let row = |Class { label, precision, recall, f1, support, clusters, .. }: &Class| {
        let numbers = [precision, recall, f1].map(|[value, interval]| format!("{value} ({interval})"));
        [vec![escaped(label), support.clone(), clusters.clone()], numbers.to_vec()].concat()
    };
    let rows: Vec<Vec<String>> = labels.rows.iter().map(row).collect();
    let notes = [intervals::absent_in_words(scores), intervals::rare_in_words(scores)];
    let notes: Vec<String> = notes.into_iter().flatten().map(|note| format!("{note}.")).collect();
    let parts = [
        format!("In brackets the 95 % interval; {}.", labels.rule),
        table(&["Label", "n", labels.units, "Precision", "Recall", "F1"], 1, &rows),
        list(&notes),
    ];
    Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))
}

fn comparison_tables(comparison: &Comparison) -> String {
    let mut rows = Vec::new();
    for (name, task) in &comparison.tasks {
        for (key, metric) in &task.metrics {
            for (index, run) in comparison.runs.iter().enumerate() {
                let mut cells = vec![
                    name.clone(),
                    metrics::name(key).to_owned(),
                    run.clone(),
                    metrics::decimal(metric.values[index]),
                ];
                match index.checked_sub(1).map(|index| &metric.differences[index]) {
                    None => cells.extend(["", "", "", "baseline"].map(str::to_owned)),
                    Some(difference) => cells.extend([
                        signed(difference.value),
                        interval(difference),
                        difference.p_adjusted.map_or("–".to_owned(), p_value),
                        word(difference.verdict).to_owned(),
                    ]),
                }
                // The main metric stands out.
                if *key == task.main {
                    cells[1] = format!("**{}**", cells[1]);
                }
                rows.push(cells);
            }
        }
    }
    table(&["Task", "Metric", "Run", "Value", "Difference", "95 % interval", "p", "Verdict"], 3, &rows)
}

/// What people say of the runs.
fn ratings_tables(comparison: &Comparison) -> String {
    let tables = rated::tables(comparison);
    let parts = tables.iter().map(|(caption, table)| format!("{}\n\n{}", escaped(caption), data_table(table)));
    parts.collect::<Vec<_>>().join("\n\n")
}

pub(super) fn data_table(data: &DataTable) -> String {
    table(&data.header.iter().map(String::as_str).collect::<Vec<_>>(), 1, &data.rows)
}

/// The first `texts` columns are aligned left, the others right.
pub(super) fn table(header: &[&str], texts: usize, rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let rule = (0..header.len()).map(|column| if column < texts { "---" } else { "---:" }.to_owned()).collect();
    let mut lines = vec![line(header.iter().map(|name| (*name).to_owned()).collect()), line(rule)];
    // Some cells are escaped already.
    let cell = |cell: &String| cell.replace("\\|", "|").replace('|', "\\|");
    lines.extend(rows.iter().map(|row| line(row.iter().map(cell).collect())));
    lines.join("\n")
}

pub(super) fn list(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("- {}", escaped(sentence))).collect::<Vec<_>>().join("\n")
}

/// Text that Markdown would take for markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '|') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A text as a quoted YAML scalar: JSON strings are that too.
fn yaml(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn texts_are_escaped_and_the_card_has_its_metadata() {
        let (mut scores, tasks, manifest) = (fixture::scores(), fixture::tasks(), fixture::manifest());
        fixture::withhold(&mut scores);
        let rows = fixture::rows_of(&fixture::rows());
        let report = Report {
            title: "a_b*c|d".into(),
            scores: &scores,
            rows: &rows,
            tasks: &tasks,
            manifest: &manifest,
            ladder: None,
        };
        let text = markdown(&report);
        assert!(text.starts_with("# a\\_b\\*c\\|d\n\n- summary: ROUGE-L is 0.350"), "{text}");
        assert!(text.contains("| summary | ROUGE-1 | 0.412 | 0.371 – 0.446 | 1,204 |"));
        assert!(text.contains("The transcripts of 3 of 120 Reels were shortened"));
        assert!(text.contains("rouge\\_score 0.1.2") && text.contains("`rouge|mode:google-0.1.2|stem:no|seed:42`"));
        for part in [
            "| category | Macro F1 | 0.765 | withheld | 1,204 |",
            "- The interval is withheld for Macro F1 of category: 1 of 3 labels don’t occur: oto\\_motif.",
            "| oto\\_motif | 0 | 0 | 0.000 (withheld) | 0.000 (withheld) | 0.000 (withheld) |",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let card = model_card(&report);
        assert!(
            card.starts_with("---\nlanguage: id\n") && card.contains("    - type: \"macro_f1\"\n      value: 0.7654\n")
        );
    }
}
