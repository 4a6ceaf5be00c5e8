//! `data.html` and `data.md`: what there is in a set of records, as a page and as a card to publish with them.

use anyhow::Result;
use minijinja::value::Value;
use serde::Serialize;

use super::facts::{Fact, data_facts};
use super::metrics::{count, counted, percent};
use super::page::{css, render};
use super::people;
use super::svg::{DataTable, Figure, bars};
use crate::data::stats::{Histogram, Spread, Stats};

#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    facts: Vec<Fact>,
    verdict: Vec<String>,
    figures: Vec<Figure>,
    card: String,
    css: Value,
}

/// The page; loads nothing.
///
/// # Errors
/// When the template can't be rendered, which no data should be able to cause.
pub fn data_html(stats: &Stats) -> Result<String> {
    render(
        "data.html",
        View {
            title: &stats.data,
            facts: data_facts(stats),
            verdict: sentences(stats),
            figures: figures(stats),
            card: data_card(stats),
            css: css(),
        },
    )
}

/// What a reader should know first.
pub fn sentences(stats: &Stats) -> Vec<String> {
    let mut sentences = vec![];
    let records = stats.records.max(1) as f64;
    if let Some((account, size)) = stats.largest_accounts.first().filter(|_| stats.accounts > 1) {
        sentences.push(format!(
            "{} of {}; the largest, {account}, has {} ({}).",
            counted(stats.records, "Reel"),
            counted(stats.accounts, "account"),
            count(*size),
            percent(*size as f64 / records)
        ));
    }
    for (name, task) in &stats.tasks {
        if task.labelled == 0 {
            sentences.push(format!("{name}: no Reel has a gold answer."));
            continue;
        }
        let mut sentence = format!("{name}: {} of {} have a gold answer", count(task.labelled), count(stats.records));
        if let Some(most) = task.classes.values().max().filter(|most| **most > 0) {
            let frequent: Vec<&str> =
                task.classes.iter().filter(|(_, count)| *count == most).map(|(label, _)| label.as_str()).collect();
            let are = if let [_] = frequent[..] { "is" } else { "are" };
            let share = percent(*most as f64 / task.labelled as f64);
            sentence += &format!("; {} {are} most frequent with {share}", frequent.join(", "));
            let absent: Vec<&str> =
                task.classes.iter().filter(|(_, count)| **count == 0).map(|(label, _)| label.as_str()).collect();
            if !absent.is_empty() {
                sentence += &format!("; never there: {}", absent.join(", "));
            }
        }
        if !task.foreign.is_empty() {
            sentence += &format!("; no labels of the task: {}", task.foreign.join(", "));
        }
        sentences.push(sentence + ".");
        sentences.extend(stats.agreement.get(name).map(|agreement| people::agreed(name, agreement)));
    }
    let (groups, copied) = stats.copies;
    if groups > 0 {
        sentences.push(format!(
            "{} are near copies of one another, in {}.",
            counted(copied, "Reel"),
            counted(groups, "group")
        ));
    }
    if let Some(tokens) = &stats.tokens {
        let Spread { median, most, .. } = tokens.prompt.spread;
        sentences.push(format!(
            "With {}, the longest prompt of a Reel has {} tokens in the median and {} at most; of {} transcripts {} are cut to fit prompts of {}{}.",
            tokens.model,
            count(median as usize),
            count(most as usize),
            count(tokens.prompt.spread.n),
            count(tokens.cut),
            count(tokens.budget),
            if tokens.none_fits > 0 { format!(", and {} have no prompt that fits", count(tokens.none_fits)) } else { String::new() }
        ));
    }
    sentences
}

fn figures(stats: &Stats) -> Vec<Figure> {
    let mut figures = vec![];
    for (name, task) in stats.tasks.iter().filter(|(_, task)| !task.classes.is_empty() && task.labelled > 0) {
        let rows = task.classes.iter().map(|(label, count)| (label.clone(), *count)).collect();
        let accounts = format!("Accounts: {}.", listed(task.accounts.iter()));
        figures.extend(figure(format!("Labels of {name}"), accounts, "Reels by gold label.", rows));
    }
    figures.extend(figure("Months".into(), String::new(), "Reels by the month of posting.", owned(&stats.months)));
    for (heading, histogram, unit) in [
        ("Transcripts", &stats.transcript_words, "words"),
        ("Lengths", &stats.duration_s, "seconds"),
        ("Accounts", &stats.records_of_account, "Reels of an account"),
    ] {
        figures.extend(histogram_figure(heading, histogram, unit));
    }
    if let Some(tokens) = &stats.tokens {
        figures.extend(histogram_figure("Prompts", &tokens.prompt, "tokens of a Reel’s longest prompt"));
    }
    let missing = stats.missing.iter().map(|(field, count)| ((*field).to_owned(), *count)).collect();
    figures.extend(figure("Unknown".into(), String::new(), "Reels in which a field is unknown.", missing));
    figures.extend(figure("Languages".into(), String::new(), "Reels by language.", owned(&stats.languages)));
    figures.extend(figure("Sources".into(), String::new(), "Reels by collector.", owned(&stats.sources)));
    figures
}

fn owned(counts: &std::collections::BTreeMap<String, usize>) -> Vec<(String, usize)> {
    counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
}

fn listed<'a>(counts: impl Iterator<Item = (&'a String, &'a usize)>) -> String {
    let all: Vec<String> =
        counts.filter(|(_, count)| **count > 0).map(|(name, count)| format!("{name} {count}")).collect();
    all.join(", ")
}

fn histogram_figure(heading: &str, histogram: &Histogram, unit: &str) -> Option<Figure> {
    let Histogram { bins, spread } = histogram;
    let width = bins.get(1).map_or(1.0, |second| second.0 - bins[0].0);
    let label = |start: f64| {
        let end = start + width - 1.0;
        if end > start { format!("{start:.0}–{end:.0}") } else { format!("{start:.0}") }
    };
    let rows = bins.iter().map(|(start, count)| (label(*start), *count)).collect();
    figure(heading.to_owned(), format!("{}.", spread_in_words(spread, unit)), "Reels by size.", rows)
}

fn spread_in_words(spread: &Spread, unit: &str) -> String {
    let Spread { least, lower_quartile, median, upper_quartile, most, .. } = spread;
    format!(
        "Median {median:.0} {unit}; half lie between {lower_quartile:.0} and {upper_quartile:.0}, all between {least:.0} and {most:.0}"
    )
}

fn figure(heading: String, finding: String, key: &str, rows: Vec<(String, usize)>) -> Option<Figure> {
    let svg = bars(&heading, key, &rows)?;
    let cells = rows.iter().map(|(name, value)| vec![name.clone(), count(*value)]).collect();
    Some(Figure { svg, finding, key: key.to_owned(), table: Some(DataTable::new(&["", "Reels"], cells)), heading })
}

/// A card in Markdown, with the figures filled in and what only people know left to them.
pub fn data_card(stats: &Stats) -> String {
    let mut card = format!("# Data card: {}\n\n", stats.data);
    card += &format!(
        "- Records: {}{}\n- Accounts: {}\n- Identity: `{}` (SHA-256 over the records, whatever their order)\n",
        count(stats.records),
        if stats.unusable > 0 {
            format!(", of which {} can’t be used", count(stats.unusable))
        } else {
            String::new()
        },
        count(stats.accounts),
        stats.sha256
    );
    if stats.synthetic > 0 {
        card += &format!("- Written by a model: {}\n", count(stats.synthetic));
    }
    card += &format!("- Sources: {}\n- Languages: {}\n", listed(stats.sources.iter()), listed(stats.languages.iter()));
    if let (Some((first, _)), Some((last, _))) = (stats.months.first_key_value(), stats.months.last_key_value()) {
        card += &format!("- Posted: {first} to {last}\n");
    }
    for (histogram, unit, name) in
        [(&stats.transcript_words, "words", "Transcripts"), (&stats.duration_s, "seconds", "Lengths")]
    {
        if !histogram.bins.is_empty() {
            card += &format!("- {name}: {}\n", spread_in_words(&histogram.spread, unit));
        }
    }
    card += "\n## What is known of them\n\n";
    card.extend(sentences(stats).iter().map(|sentence| format!("- {sentence}\n")));
    for (name, task) in stats.tasks.iter().filter(|(_, task)| !task.classes.is_empty() && task.labelled > 0) {
        card += &format!("\n## {name}\n\n| label | Reels | accounts |\n|---|---:|---:|\n");
        for (label, count) in &task.classes {
            card += &format!("| {label} | {count} | {} |\n", task.accounts[label]);
        }
    }
    card += "\n## Unknown\n\n| field | Reels |\n|---|---:|\n";
    card.extend(stats.missing.iter().map(|(field, count)| format!("| {field} | {count} |\n")));
    card + "\n## To be filled in by people\n\n\
            - Why these Reels and not others; how accounts were chosen:\n\
            - Who labelled them, by which guideline, and how often two agreed:\n\
            - Consent, the platform’s terms, and who may have the data:\n\
            - What they must not be used for:\n"
}
