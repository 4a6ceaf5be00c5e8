//! How far annotators agree, for people.

use indexmap::IndexMap;
use serde::Serialize;

use super::intervals::unknown_in_words;
use super::markdown;
use super::metrics::{self, counted};
use super::table::empty;
use crate::data::review::Disputed;
use crate::scores::{Agreement, Metric};

/// Disputed Reels that a terminal shows.
const SHOWN: usize = 20;

/// What annotators answered to a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskAgreement {
    #[expect(missing_docs, reason = "the name says it")]
    pub labels: Vec<String>,
    #[expect(missing_docs, reason = "the type says it")]
    pub agreement: Agreement,
    #[expect(missing_docs, reason = "the type says it")]
    pub disputed: Vec<Disputed>,
}

/// Agreement as plain text for a terminal: coefficients, what was confused, and the disputed Reels.
pub fn agreement_table(tasks: &IndexMap<String, TaskAgreement>) -> String {
    let of_task = |(name, task): (&String, &TaskAgreement)| {
        let mut parts = vec![head(name, &task.agreement), coefficients(&task.agreement).trim_fmt()];
        parts.extend(notes(&task.agreement));
        let confused = confused(task);
        if !confused.is_empty() {
            parts.push(format!("confused: {}", confused.join(", ")));
        }
        parts.push(disputes(&task.disputed, SHOWN).join("\n"));
        parts.join("\n")
    };
    tasks.iter().map(of_task).collect::<Vec<_>>().join("\n\n")
}

/// The same as Markdown, with the whole confusion and all disputed Reels.
pub fn agreement_markdown(tasks: &IndexMap<String, TaskAgreement>) -> String {
    let mut text = "# Agreement between annotators\n".to_owned();
    for (name, task) in tasks {
        let rows: Vec<Vec<String>> = measured(&task.agreement);
        text += &format!("\n## {name}\n\n{}\n\n", head(name, &task.agreement));
        text += &markdown::table(&["Annotators", "Measure", "Value", "95 % interval", "Reels"], 2, &rows);
        text += "\n";
        text.extend(notes(&task.agreement).iter().map(|note| format!("\n- {note}\n")));
        for pair in &task.agreement.pairs {
            let header: Vec<&str> = std::iter::once("").chain(task.labels.iter().map(String::as_str)).collect();
            let row = |(label, counts): (&String, &Vec<usize>)| {
                std::iter::once(label.clone()).chain(counts.iter().map(ToString::to_string)).collect()
            };
            let rows: Vec<Vec<String>> = task.labels.iter().zip(&pair.confusion).map(row).collect();
            text += &format!("\nRows are labels of {}, columns those of {}.\n\n", pair.a, pair.b);
            text += &(markdown::table(&header, 1, &rows) + "\n");
        }
        text += &format!("\n{}\n", disputes(&task.disputed, usize::MAX).join("\n- "));
    }
    text
}

fn head(name: &str, agreement: &Agreement) -> String {
    let units = agreement.sampling.as_ref().map(|sampling| {
        let unknown = unknown_in_words(sampling).map_or(String::new(), |unknown| format!(" ({unknown})"));
        format!(", of {}{unknown}", counted(sampling.clusters, sampling.unit()))
    });
    format!(
        "{name}: {}; {} with two labels and more{}",
        agreement.annotators.join(", "),
        counted(agreement.items, "Reel"),
        units.unwrap_or_default()
    )
}

/// A line a coefficient: of all annotators, and where there are more than two, of each pair.
fn measured(agreement: &Agreement) -> Vec<Vec<String>> {
    let line = |who: &str, (key, metric): (&String, &Metric)| {
        vec![
            who.to_owned(),
            metrics::name(key).to_owned(),
            metrics::decimal(metric.value),
            metrics::interval(metric),
            metrics::count(metric.n),
        ]
    };
    let who = if agreement.annotators.len() > 2 { "all".to_owned() } else { agreement.annotators.join(" / ") };
    let all = agreement.metrics.iter().map(|metric| line(&who, metric));
    let pairs = agreement.pairs.iter().filter(|_| agreement.annotators.len() > 2);
    let pairs = pairs.flat_map(|pair| {
        let who = format!("{} / {}", pair.a, pair.b);
        pair.metrics.iter().map(move |metric| line(&who, metric)).collect::<Vec<_>>()
    });
    all.chain(pairs).collect()
}

fn coefficients(agreement: &Agreement) -> comfy_table::Table {
    let mut table = empty(&["annotators", "measure", "value", "95 % interval", "Reels"], 2);
    table.add_rows(measured(agreement));
    table
}

/// Why a value or an interval isn't there, once for those that share it.
fn notes(agreement: &Agreement) -> Vec<String> {
    let mut whys: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (key, metric) in &agreement.metrics {
        for why in metric.withheld.iter().chain(&metric.note) {
            whys.entry(why).or_default().push(metrics::name(key));
        }
    }
    whys.into_iter().map(|(why, names)| format!("No interval of {}: {why}.", names.join(", "))).collect()
}

/// Pairs of labels that two annotators gave to the same Reel, the most frequent first.
fn confused(task: &TaskAgreement) -> Vec<String> {
    let mut counts: IndexMap<(usize, usize), usize> = IndexMap::new();
    for pair in &task.agreement.pairs {
        for (a, row) in pair.confusion.iter().enumerate() {
            for (b, count) in row.iter().enumerate().filter(|(b, count)| *b != a && **count > 0) {
                *counts.entry((a.min(b), a.max(b))).or_default() += count;
            }
        }
    }
    counts.sort_by(|_, a, _, b| b.cmp(a));
    let name =
        |((a, b), count): (&(usize, usize), &usize)| format!("{} / {} {count}", task.labels[*a], task.labels[*b]);
    counts.iter().take(10).map(name).collect()
}

/// The disputed Reels, and what was noted about them.
fn disputes(disputed: &[Disputed], shown: usize) -> Vec<String> {
    let mut lines = vec![match disputed.len() {
        0 => "Nothing is disputed.".to_owned(),
        count => format!("{} disputed:", counted(count, "Reel")),
    }];
    for Disputed { id, answers } in disputed.iter().take(shown) {
        let said = answers.iter().map(|answer| {
            let note = answer.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
            format!("{} {}{note}", answer.by, answer.answer)
        });
        lines.push(format!("{id}: {}", said.collect::<Vec<_>>().join(", ")));
    }
    if disputed.len() > shown {
        lines.push(format!("and {} more: see --json or --output", disputed.len() - shown));
    }
    lines
}
