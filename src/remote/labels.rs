//! How likely each label is, from the likeliest tokens that a host lists at each place of its answer.
//!
//! A listed token with which only one of the labels begins stands for that label: whoever writes `kul` in a place where labels
//! stand goes on to `kuliner`. Where several begin with it, only the next place tells them apart, and that is listed for what
//! was written alone. So labels are covered where next to nothing is left open: tokens with which several begin that weren't
//! written, and labels that may hide behind the last token listed. And the answer has to be one of the labels: one that began
//! like a label and went on otherwise shows that a beginning is not enough here.

use super::reply::Position;

/// The part of the labels' probability that may be left open.
const OPEN: f64 = 0.01;

/// Natural-log probability of each label up to where it is told apart, in the order of `labels`; `None` where what is listed
/// doesn't cover them. Labels that aren't listed share what may hide behind the last token listed.
pub(super) fn scores(labels: &[String], positions: &[Position], answer: &str) -> Option<Vec<f64>> {
    let mut found = vec![0.0; labels.len()];
    let (mut open, mut hidden) = (0.0, 0.0);
    let mut written = String::new();
    // Probability of what is written so far.
    let mut so_far = 1.0;
    for position in positions {
        let begins = |text: &str| -> Vec<usize> {
            let text = text.trim_start();
            (0..labels.len()).filter(|label| !text.is_empty() && labels[*label].starts_with(text)).collect()
        };
        let candidates: Vec<usize> =
            if written.trim().is_empty() { (0..labels.len()).collect() } else { begins(&written) };
        let mut listed = vec![false; labels.len()];
        let (mut sum, mut least) = (0.0, 1.0f64);
        for (token, logprob) in position.alternatives() {
            let probability = logprob.exp();
            (sum, least) = (sum + probability, least.min(probability));
            let of = begins(&format!("{written}{token}"));
            of.iter().for_each(|label| listed[*label] = true);
            match of[..] {
                [label] => found[label] += so_far * probability,
                // Of white space nothing is known but what was written after it.
                [] if token.trim().is_empty() && token != position.token => open += so_far * probability,
                [] => {}
                _ if token == position.token => {}
                _ => open += so_far * probability,
            }
        }
        let behind = candidates.iter().filter(|label| !listed[**label]).count() as f64;
        hidden += so_far * (behind * least).min((1.0 - sum).max(0.0));
        written.push_str(&position.token);
        so_far *= position.logprob.exp();
        let of = begins(&written);
        if !written.trim().is_empty() && of.len() < 2 {
            of.first().filter(|label| answer.trim_start().starts_with(&labels[**label]))?;
            let sure: f64 = found.iter().sum();
            if open + hidden > OPEN * sure {
                return None;
            }
            let unlisted = found.iter().filter(|probability| **probability == 0.0).count() as f64;
            let share = (hidden / unlisted).max(f64::MIN_POSITIVE);
            return Some(
                found.into_iter().map(|probability| if probability > 0.0 { probability } else { share }.ln()).collect(),
            );
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(token: &str, listed: &[(&str, f64)]) -> Position {
        let top: Vec<(String, f64)> =
            listed.iter().map(|(token, probability)| ((*token).to_owned(), probability.ln())).collect();
        let logprob = top.iter().find(|(listed, _)| listed == token).map_or(-9.0, |(_, logprob)| *logprob);
        Position { token: token.to_owned(), logprob, top }
    }

    /// Where the answer ends with the label that its tokens begin.
    fn probabilities(labels: &[&str], positions: &[Position]) -> Option<Vec<f64>> {
        let written: String = positions.iter().map(|position| position.token.as_str()).collect();
        let whole = labels.iter().find(|label| label.starts_with(written.trim_start()));
        probabilities_of(labels, positions, &whole.map_or(written.clone(), |label| (*label).to_owned()))
    }

    fn probabilities_of(labels: &[&str], positions: &[Position], answer: &str) -> Option<Vec<f64>> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let scores = scores(&labels, positions, answer)?;
        Some(scores.into_iter().map(|score| (score.exp() * 1e6).round() / 1e6).collect())
    }

    #[test]
    fn a_token_with_which_one_label_begins_stands_for_it() {
        let places = [position("kul", &[("kul", 0.7), ("hib", 0.2), (" kul", 0.05), ("Ya", 0.03), ("mus", 0.02)])];
        assert_eq!(probabilities(&["hiburan", "kuliner", "musik"], &places), Some(vec![0.2, 0.75, 0.02]));
    }

    #[test]
    fn labels_with_one_beginning_are_told_apart_where_they_part() {
        let labels = ["kesehatan", "keluarga", "musik"];
        let first = || position("ke", &[("ke", 0.8), ("musik", 0.1), ("Ke", 0.1)]);
        let second = position("luarga", &[("luarga", 0.75), ("sehatan", 0.25)]);
        assert_eq!(probabilities(&labels, &[first(), second]), Some(vec![0.2, 0.6, 0.1]));
        // What wasn't written has no next place.
        assert_eq!(probabilities(&labels, &[position("musik", &[("musik", 0.9), ("ke", 0.1)])]), None);
        let rare = position("musik", &[("musik", 0.995), ("ke", 0.001), ("x", 0.004)]);
        assert_eq!(probabilities(&labels, &[rare]).unwrap()[2], 0.995);
        assert_eq!(probabilities(&labels, &[first()]), None, "the answer ends before they part");
    }

    #[test]
    fn what_may_hide_behind_the_last_token_counts_as_open() {
        let labels = ["iklan", "bukan iklan"];
        let of = |other: f64| probabilities(&labels, &[position("iklan", &[("iklan", 0.9), ("x", other)])]);
        assert_eq!(of(0.1), Some(vec![0.9, 0.0]), "nothing is left for the other");
        assert_eq!(of(0.05), None, "as much as x may hide");
        assert!(of(0.005).unwrap()[1] <= 0.005);
    }

    #[test]
    fn what_is_no_label_leaves_labels_uncovered() {
        let places = [position("Kategori", &[("Kategori", 0.9), ("kuliner", 0.05)]), position(":", &[(":", 1.0)])];
        assert_eq!(probabilities(&["hiburan", "kuliner"], &places), None);
        assert_eq!(probabilities(&["hiburan", "kuliner"], &[]), None);
    }

    #[test]
    fn an_answer_that_only_begins_like_a_label_covers_none() {
        let places = [position("sh", &[("sh", 0.7), ("olah", 0.3)]), position("ugur", &[("ugur", 0.2)])];
        let labels = ["olahraga", "showbiz"];
        assert_eq!(probabilities_of(&labels, &places, "shugur"), None);
        assert_eq!(probabilities_of(&labels, &places, "showbiz."), Some(vec![0.3, 0.7]));
    }

    #[test]
    fn white_space_before_a_label_is_no_part_of_it() {
        let places = [position("\n", &[("\n", 1.0)]), position("musik", &[("musik", 0.6), ("kul", 0.4)])];
        assert_eq!(probabilities(&["kuliner", "musik"], &places), Some(vec![0.4, 0.6]));
    }
}
