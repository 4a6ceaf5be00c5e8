//! The examples: one card a Reel, with its answers to all tasks.

use serde::Serialize;

use super::metrics::{decimal, name, percent};
use super::select::select;
use crate::prediction::Finish;
use crate::scores::Row;
use crate::task::{Task, TaskKind};

/// Of the label probabilities, the highest are shown.
const PROBABILITIES: usize = 3;

/// The cards, and how they were chosen.
#[derive(Debug, Serialize)]
pub struct Examples<'a> {
    cards: Vec<Card<'a>>,
    answers: usize,
    rule: String,
}

#[derive(Debug, Serialize)]
struct Card<'a> {
    reel_id: &'a str,
    account: Option<&'a str>,
    answers: Vec<Answer<'a>>,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    task: &'a str,
    repeat: u32,
    is_label: bool,
    outcome: Outcome,
    is_cut: bool,
    finish: Finish,
    reference: Option<&'a str>,
    output: &'a str,
    metrics: Vec<(&'a str, String)>,
    probabilities: Vec<Probability<'a>>,
    prompt: &'a str,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Right,
    Wrong,
    Invalid,
    Failed,
    /// A text: scored, but neither right nor wrong.
    Text,
    /// No reference.
    Unscored,
}

#[derive(Debug, Serialize)]
struct Probability<'a> {
    label: &'a str,
    percent: String,
    /// Of the bar, in per cent.
    width: String,
}

/// Selects rows and brings them into the form the page shows.
pub fn examples<'a>(rows: &'a [Row], tasks: &[Task]) -> Examples<'a> {
    let selection = select(rows);
    let cards: Vec<Card> = selection
        .reels
        .iter()
        .map(|reel| Card {
            reel_id: &reel[0].reel_id,
            account: reel[0].account.as_deref(),
            answers: reel.iter().map(|row| answer(row, tasks)).collect(),
        })
        .collect();
    Examples { answers: cards.iter().map(|card| card.answers.len()).sum(), cards, rule: selection.rule }
}

fn answer<'a>(row: &'a Row, tasks: &[Task]) -> Answer<'a> {
    Answer {
        task: &row.task,
        repeat: row.repeat,
        is_label: tasks.iter().any(|task| task.name == row.task && task.kind == TaskKind::Label),
        outcome: outcome(row),
        is_cut: row.finish == Finish::Length,
        finish: row.finish,
        reference: row.reference.as_deref(),
        output: &row.output,
        metrics: metrics(row),
        probabilities: probabilities(row),
        prompt: &row.prompt,
    }
}

fn outcome(row: &Row) -> Outcome {
    match (row.finish, row.metrics.get("correct")) {
        (Finish::Error, _) => Outcome::Failed,
        (Finish::Invalid, _) => Outcome::Invalid,
        _ if row.reference.is_none() => Outcome::Unscored,
        (_, Some(correct)) if *correct > 0.0 => Outcome::Right,
        (_, Some(_)) => Outcome::Wrong,
        (_, None) => Outcome::Text,
    }
}

/// Without `correct`, which the outcome says in words.
fn metrics(row: &Row) -> Vec<(&str, String)> {
    let metrics = row.metrics.iter().filter(|(key, _)| *key != "correct");
    metrics.map(|(key, value)| (name(key), decimal(*value))).collect()
}

fn probabilities(row: &Row) -> Vec<Probability<'_>> {
    let mut labels: Vec<_> = row.label_logprobs.iter().flatten().collect();
    labels.sort_by(|a, b| b.1.total_cmp(a.1));
    labels
        .into_iter()
        .take(PROBABILITIES)
        .map(|(label, logprob)| Probability {
            label,
            percent: percent(logprob.exp()),
            width: format!("{:.0}", logprob.exp() * 100.0),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{row, tasks};

    #[test]
    fn answers_of_one_reel_share_a_card() {
        let rows = [row("a", "category"), row("b", "category"), row("a", "summary")];
        let tasks = tasks();
        let examples = examples(&rows, &tasks);
        let shape: Vec<_> = examples.cards.iter().map(|card| (card.reel_id, card.answers.len())).collect();
        assert_eq!(shape, [("a", 2), ("b", 1)]);
        assert!(examples.cards[0].answers[0].is_label && !examples.cards[0].answers[1].is_label);
    }

    #[test]
    fn an_invalid_answer_is_named_so_even_without_a_reference() {
        let invalid = Row { finish: Finish::Invalid, ..row("a", "category") };
        assert_eq!(outcome(&invalid), Outcome::Invalid);
        assert_eq!(outcome(&Row { reference: None, ..invalid.clone() }), Outcome::Invalid);
        assert_eq!(outcome(&Row { reference: None, ..row("a", "category") }), Outcome::Unscored);
    }

    #[test]
    fn the_most_likely_labels_are_shown() {
        let logprobs = [("agama", 0.1f64), ("musik", 0.55), ("berita", 0.05), ("kuliner", 0.3)];
        let logprobs = logprobs.map(|(label, share)| (label.to_owned(), share.ln())).into_iter().collect();
        let row = Row { label_logprobs: Some(logprobs), ..row("a", "category") };
        let shown: Vec<_> =
            probabilities(&row).into_iter().map(|probability| (probability.label, probability.percent)).collect();
        assert_eq!(shown, [("musik", percent(0.55)), ("kuliner", percent(0.3)), ("agama", percent(0.1))]);
    }
}
