//! Answers as cards, one a Reel: the examples, and those worth a look.

use anyhow::Result;
use minijinja::value::Value;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::highlight::highlighted;
use super::metrics::{decimal, name, percent};
use super::rows::{Mark, Rows};
use super::select::select;
use crate::prediction::Finish;
use crate::score::compare::Flips;
use crate::score::metric::find;
use crate::scores::{CORRECT, Row};
use crate::task::{Task, TaskKind};

/// Label probabilities that are shown of an answer: the highest.
const PROBABILITIES: usize = 3;
/// Answers under each heading of those worth a look.
const LOOKS: usize = 5;

/// The cards, and how they were chosen.
#[derive(Debug, Serialize)]
pub struct Examples {
    cards: Vec<Card>,
    answers: usize,
    rule: String,
}

/// Answers worth a look.
#[derive(Debug, Serialize)]
pub struct Looks {
    heading: String,
    cards: Vec<Card>,
}

#[derive(Debug, Serialize)]
struct Card {
    reel_id: String,
    account: Option<String>,
    answers: Vec<Answer>,
}

#[derive(Debug, Serialize)]
struct Answer {
    task: String,
    repeat: u32,
    is_label: bool,
    outcome: Outcome,
    is_cut: bool,
    finish: Finish,
    /// As HTML, with what each shares with the answer marked.
    references: Vec<Value>,
    /// As HTML, with what it shares with the reference and what is flagged marked.
    output: Value,
    metrics: Vec<(String, String)>,
    flags: Vec<String>,
    probabilities: Vec<Probability>,
    prompt: String,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Right,
    Wrong,
    Invalid,
    Empty,
    Failed,
    Missing,
    /// A text: scored, but neither right nor wrong.
    Text,
    /// No reference.
    Unscored,
}

#[derive(Debug, Serialize)]
struct Probability {
    label: String,
    percent: String,
    /// Width of its bar in per cent.
    width: String,
}

/// Selects rows and brings them into the form the page shows.
pub fn examples(rows: &Rows, tasks: &[Task]) -> Result<Examples> {
    let selection = select(rows);
    let cards: Vec<Card> = selection.reels.iter().map(|marks| card(rows, marks, tasks)).collect::<Result<_>>()?;
    Ok(Examples { answers: cards.iter().map(|card| card.answers.len()).sum(), cards, rule: selection.rule })
}

/// The worst, middling and some random texts; wrong labels the model was surest of, and some random ones; and where it
/// differs from a baseline, by task name.
///
/// `main` is the metric that stands for the task's texts; missing answers have nothing to look at.
pub fn looks(rows: &Rows, task: &Task, main: &str, flips: Option<(&str, &Flips)>, seed: u64) -> Result<Vec<Looks>> {
    let is_there = |mark: &&Mark| !mark.value.is_nan() && mark.finish != Finish::Missing;
    let mut scored: Vec<&Mark> = rows.of_task(&task.name).filter(is_there).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut groups: Vec<(String, Vec<&Mark>)> = Vec::new();
    match task.kind {
        TaskKind::Text => {
            let drawn: Vec<&Mark> = scored.sample(&mut random, LOOKS).copied().collect();
            scored.sort_by(|a, b| a.value.total_cmp(&b.value));
            let middle = scored.len().saturating_sub(LOOKS) / 2;
            let main = name(main);
            groups.push((format!("Worst by {main}"), scored.iter().take(LOOKS).copied().collect()));
            groups
                .push((format!("In the middle by {main}"), scored.iter().skip(middle).take(LOOKS).copied().collect()));
            groups.push((format!("Drawn at random (seed {seed})"), drawn));
        }
        TaskKind::Label => {
            scored.retain(|mark| mark.value == 0.0);
            let drawn: Vec<&Mark> = scored.sample(&mut random, LOOKS).copied().collect();
            let mut sure: Vec<&Mark> = scored.iter().copied().filter(|mark| !mark.confidence.is_nan()).collect();
            sure.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
            groups.push(("Wrong, and surest".into(), sure.into_iter().take(LOOKS).collect()));
            groups.push((format!("Wrong, drawn at random (seed {seed})"), drawn));
        }
    }
    if let Some((baseline, flips)) = flips {
        let found =
            |reels: &[String]| reels.iter().take(LOOKS).filter_map(|reel| rows.find(&task.name, reel)).collect();
        groups.push((format!("Right here, wrong in {baseline} ({})", flips.gained), found(&flips.gained_reels)));
        groups.push((format!("Wrong here, right in {baseline} ({})", flips.lost), found(&flips.lost_reels)));
    }
    groups
        .into_iter()
        .filter(|(_, marks)| !marks.is_empty())
        .map(|(heading, marks)| {
            let cards = marks.into_iter().map(|mark| card(rows, &[mark], std::slice::from_ref(task)));
            Ok(Looks { heading, cards: cards.collect::<Result<_>>()? })
        })
        .collect()
}

/// The card of a Reel, from some of its rows.
fn card(rows: &Rows, marks: &[&Mark], tasks: &[Task]) -> Result<Card> {
    let rows: Vec<Row> = marks.iter().map(|mark| rows.row(mark)).collect::<Result<_>>()?;
    Ok(Card {
        reel_id: rows[0].reel_id.clone(),
        account: rows[0].account.clone(),
        answers: rows.into_iter().map(|row| answer(row, tasks)).collect(),
    })
}

fn answer(row: Row, tasks: &[Task]) -> Answer {
    let is_label = tasks.iter().any(|task| task.name == row.task && task.kind == TaskKind::Label);
    // A label shares all or nothing with another one.
    let other = |text: &Option<String>| if is_label { String::new() } else { text.clone().unwrap_or_default() };
    Answer {
        outcome: outcome(&row),
        metrics: metrics(&row),
        probabilities: probabilities(&row),
        references: row
            .references()
            .map(|reference| highlighted(reference, if is_label { "" } else { &row.output }, &[]))
            .collect(),
        output: highlighted(&row.output, &other(&row.reference), &row.flags),
        is_label,
        is_cut: row.finish == Finish::Length,
        finish: row.finish,
        task: row.task,
        repeat: row.repeat,
        flags: row.flags,
        prompt: row.prompt,
    }
}

fn outcome(row: &Row) -> Outcome {
    match (row.finish, row.metrics.get(CORRECT)) {
        (Finish::Error, _) => Outcome::Failed,
        (Finish::Missing, _) => Outcome::Missing,
        _ if row.is_empty() => Outcome::Empty,
        (Finish::Invalid, _) => Outcome::Invalid,
        _ if row.reference.is_none() => Outcome::Unscored,
        (_, Some(correct)) if *correct > 0.0 => Outcome::Right,
        (_, Some(_)) => Outcome::Wrong,
        (_, None) => Outcome::Text,
    }
}

/// A few that tell most; [`CORRECT`] is what the outcome says in words.
fn metrics(row: &Row) -> Vec<(String, String)> {
    let metrics = row.metrics.iter().filter(|(key, _)| find(key).is_some_and(|info| info.beside_answers));
    metrics.map(|(key, value)| (name(key).to_owned(), decimal(*value))).collect()
}

fn probabilities(row: &Row) -> Vec<Probability> {
    let mut labels: Vec<_> = row.label_logprobs.iter().flatten().collect();
    labels.sort_by(|a, b| b.1.total_cmp(a.1));
    labels
        .into_iter()
        .take(PROBABILITIES)
        .map(|(label, logprob)| Probability {
            label: label.clone(),
            percent: percent(logprob.exp()),
            width: format!("{:.0}", logprob.exp() * 100.0),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{row, rows_of, tasks};

    #[test]
    fn answers_of_one_reel_share_a_card() {
        let rows = rows_of(&[row("a", "category"), row("b", "category"), row("a", "summary")]);
        let tasks = tasks();
        let examples = examples(&rows, &tasks).unwrap();
        let shape: Vec<_> = examples.cards.iter().map(|card| (card.reel_id.as_str(), card.answers.len())).collect();
        assert_eq!(shape, [("a", 2), ("b", 1)]);
        assert!(examples.cards[0].answers[0].is_label && !examples.cards[0].answers[1].is_label);
    }

    #[test]
    fn an_invalid_answer_is_named_so_even_without_a_reference() {
        let invalid = Row { finish: Finish::Invalid, ..row("a", "category") };
        assert_eq!(outcome(&invalid), Outcome::Invalid);
        assert_eq!(outcome(&Row { reference: None, ..invalid.clone() }), Outcome::Invalid);
        assert_eq!(outcome(&Row { reference: None, ..row("a", "category") }), Outcome::Unscored);
        assert_eq!(outcome(&Row { output: " ".into(), ..invalid }), Outcome::Empty);
    }

    #[test]
    fn the_most_likely_labels_are_shown() {
        let logprobs = [("agama", 0.1f64), ("musik", 0.55), ("berita", 0.05), ("kuliner", 0.3)];
        let logprobs = logprobs.map(|(label, share)| (label.to_owned(), share.ln())).into_iter().collect();
        let row = Row { label_logprobs: Some(logprobs), ..row("a", "category") };
        let shown: Vec<_> =
            probabilities(&row).into_iter().map(|probability| (probability.label, probability.percent)).collect();
        let expected = [("musik", 0.55), ("kuliner", 0.3), ("agama", 0.1)];
        assert_eq!(shown, expected.map(|(label, share)| (label.to_owned(), percent(share))));
    }

    #[test]
    fn the_worst_texts_and_the_surest_mistakes_are_worth_a_look() {
        let text = |reel: usize| {
            let value = [0.3, 0.9, 0.1, 0.5, 0.7, 0.6, 0.2, 0.8][reel];
            let metrics = [("rougeL".to_owned(), value)].into();
            Row { metrics, ..row(&format!("t{reel}"), "summary") }
        };
        let label = |reel: usize| {
            let sure = [0.6f64, 0.9, 0.7][reel].ln();
            let metrics = [("correct".to_owned(), 0.0)].into();
            let label_logprobs = Some([("kuliner".to_owned(), sure)].into());
            Row { metrics, label_logprobs, ..row(&format!("l{reel}"), "category") }
        };
        let rows = rows_of(&(0..8).map(text).chain((0..3).map(label)).collect::<Vec<_>>());
        let reels = |looks: &Looks| looks.cards.iter().map(|card| card.reel_id.clone()).collect::<Vec<_>>();
        let tasks = tasks();
        let texts = looks(&rows, &tasks[0], "rougeL", None, 1).unwrap();
        assert_eq!(reels(&texts[0]), ["t2", "t6", "t0", "t3", "t5"]);
        assert_eq!((texts[1].heading.as_str(), reels(&texts[1]).len()), ("In the middle by ROUGE-L", 5));
        assert_eq!(
            reels(&looks(&rows, &tasks[0], "rougeL", None, 1).unwrap()[2]),
            reels(&texts[2]),
            "a seed draws the same"
        );
        let flips = Flips { gained: 0, lost: 1, gained_reels: vec![], lost_reels: vec!["l2".into()] };
        let labels = looks(&rows, &tasks[1], "rougeL", Some(("a", &flips)), 1).unwrap();
        assert_eq!(reels(&labels[0]), ["l1", "l2", "l0"]);
        assert_eq!(
            (labels[2].heading.as_str(), reels(&labels[2])),
            ("Wrong here, right in a (1)", vec!["l2".to_owned()])
        );
    }
}
