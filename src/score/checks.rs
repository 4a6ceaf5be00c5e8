//! What can be seen of a summary without a reference: how long, how extractive, how repetitive, and what it states that
//! its Reel doesn't. The last are flags to look at, not a score of faithfulness: a true paraphrase may be flagged, and a
//! false sentence made of known words is not.

use std::collections::{HashMap, HashSet};

use super::row::TextPair;
use crate::indonesian::{Words, sentences};
use crate::reel::Reel;

/// Metric keys, in the order of [`checks`].
pub(super) const METRICS: [&str; 7] =
    ["words", "compression", "novel_bigrams", "coverage", "density", "repetition", "unsupported_rate"];

/// The checks of a pair's answer, by metric key.
pub(super) fn of_pair(pair: &mut TextPair) -> Vec<(String, f64)> {
    METRICS.map(str::to_owned).into_iter().zip(*pair.checked).collect()
}

/// Amounts are compared, not their spelling.
fn words(text: &str) -> Vec<String> {
    Words { amounts: true, stems: false }.of(text)
}

/// The checks of one answer, in the order of [`METRICS`], and what was flagged.
pub(super) fn checks(output: &str, reel: &Reel) -> ([f64; METRICS.len()], Vec<String>) {
    let source = source(reel);
    let (summary, original) = (words(output), words(&source));
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let bigrams: HashSet<&[String]> = original.windows(2).collect();
    let novel = summary.windows(2).filter(|pair| !bigrams.contains(pair)).count();
    let fragments = fragments(&summary, &original);
    let covered = fragments.iter().sum();
    let squares = fragments.iter().map(|length| length * length).sum();
    let trigrams: HashSet<&[String]> = summary.windows(3).collect();
    let of_three = summary.len().saturating_sub(2);
    let flagged = flagged(output, &original, reel);
    let values = [
        summary.len() as f64,
        share(summary.len(), original.len()),
        share(novel, summary.len().saturating_sub(1)),
        share(covered, summary.len()),
        share(squares, summary.len()),
        share(of_three - trigrams.len(), of_three),
        f64::from(u8::from(!flagged.is_empty())),
    ];
    (values, flagged)
}

/// Everything a prompt may show of a Reel.
fn source(reel: &Reel) -> String {
    let texts = [&reel.transcript, &reel.caption].into_iter().flatten().map(String::as_str);
    texts.chain(reel.hashtags.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
}

/// Lengths of the stretches of a summary that stand in the source as they are, found from the left, the longest at each
/// place (Grusky, Naaman and Artzi 2018).
fn fragments(summary: &[String], source: &[String]) -> Vec<usize> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, word) in source.iter().enumerate() {
        places.entry(word).or_default().push(place);
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < summary.len() {
        let common = |place: &usize| summary[at..].iter().zip(&source[*place..]).take_while(|(a, b)| a == b).count();
        let longest = places.get(summary[at].as_str()).into_iter().flatten().map(common).max().unwrap_or(0);
        if longest > 0 {
            found.push(longest);
        }
        at += longest.max(1);
    }
    found
}

/// Numbers, prices and dates (all that has a digit), handles, tags and names of a summary that its Reel doesn't have.
pub fn unsupported(output: &str, reel: &Reel) -> Vec<String> {
    flagged(output, &words(&source(reel)), reel)
}

fn flagged(output: &str, source: &[String], reel: &Reel) -> Vec<String> {
    let known: HashSet<&String> = source.iter().collect();
    let counts = [reel.likes, reel.views, reel.plays, reel.comments].into_iter().flatten();
    let seconds = reel.duration_s.map(|seconds| format!("{seconds:.0}"));
    let counts: HashSet<String> = counts.map(|count| count.to_string()).chain(seconds).collect();
    let handle = reel.account.as_deref().unwrap_or_default().to_lowercase();
    let is_known = |word: &String| known.contains(word) || counts.contains(word);
    let mut flagged: Vec<String> = Vec::new();
    for sentence in sentences(output) {
        let raws: Vec<&str> = sentence.split_whitespace().collect();
        for (at, raw) in raws.iter().enumerate() {
            let shown = raw.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '@' | '#'));
            let Some(first) = shown.chars().next() else { continue };
            let parts = words(shown);
            let is_mark = matches!(first, '@' | '#');
            let has_digit = shown.chars().any(|c| c.is_ascii_digit());
            // The first word of a sentence is capitalised whatever it is.
            let is_name = at > 0 && first.is_uppercase();
            let unknown = match () {
                () if is_mark && !handle.is_empty() && shown[1..].to_lowercase() == handle => false,
                () if has_digit && !is_mark => {
                    // `25 ribu` is one amount.
                    let with_unit = words(&format!("{shown} {}", raws.get(at + 1).unwrap_or(&"")));
                    numbers(&parts).any(|number| !is_known(number))
                        && numbers(&with_unit).any(|number| !is_known(number))
                }
                () if is_mark || is_name => !parts.iter().all(is_known),
                () => false,
            };
            if unknown && !flagged.iter().any(|known| known == shown) {
                flagged.push(shown.to_owned());
            }
        }
    }
    flagged
}

fn numbers(words: &[String]) -> impl Iterator<Item = &String> {
    words.iter().filter(|word| word.contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    fn reel() -> Reel {
        Reel {
            id: "a".into(),
            account: Some("tokobudi".into()),
            transcript: Some("halo guys kopi susu cuma Rp25.000 di Bandung ya beli dua gratis satu".into()),
            caption: Some("#promo bareng @kopikita".into()),
            views: Some(1200),
            duration_s: Some(41.2),
            ..Reel::default()
        }
    }

    fn check(output: &str) -> (IndexMap<String, f64>, Vec<String>) {
        let (values, flagged) = checks(output, &reel());
        (METRICS.iter().map(|key| (*key).to_owned()).zip(values).collect(), flagged)
    }

    #[test]
    fn extractive_and_repetitive_answers_show() {
        let (copied, _) = check("kopi susu cuma Rp25.000 di Bandung");
        assert_eq!((copied["coverage"], copied["novel_bigrams"], copied["repetition"]), (1.0, 0.0, 0.0));
        assert_eq!((copied["words"], copied["density"]), (6.0, 6.0));
        // "kopi" and "bandung" stand alone in the source: two fragments of one word in four words
        let (new, _) = check("Kedai kopi favorit Bandung");
        assert_eq!((new["coverage"], new["density"], new["novel_bigrams"]), (0.5, 0.5, 1.0));
        let (looping, _) = check("beli lagi ya beli lagi ya beli lagi ya");
        assert!(looping["repetition"] > 0.5);
        let (empty, flagged) = check("");
        assert!(empty.values().all(|value| *value == 0.0) && flagged.is_empty());
    }

    #[test]
    fn what_the_reel_does_not_say_is_flagged() {
        let (values, flagged) = check(
            "Promo kopi Rp30.000 di Bandung oleh @kopilain. Harga 25 ribu di Surabaya, 1.200 tayangan dalam 41 detik #promo @tokobudi.",
        );
        assert_eq!(flagged, ["Rp30.000", "@kopilain", "Surabaya"]);
        assert_eq!(values["unsupported_rate"], 1.0);
        assert!(check("Kopi susu di Bandung Rp25.000.").1.is_empty());
    }
}
