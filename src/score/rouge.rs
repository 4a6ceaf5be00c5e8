//! ROUGE-1, -2, -L and -Lsum (Lin 2004), in two modes that differ in what a word and a line is.
//!
//! [`Mode::Google`] equals the package rouge_score 0.1.2 with `use_stemmer=False, split_summaries=False` to the last bit:
//! its tokens are the runs of `[a-z0-9]` in the lower-cased text, so `café` is `caf`, `Rp1.500` is `rp1 500` and
//! full-width text is nothing. Porter stemming is not offered: it merges *kamis* and *kami*.
//!
//! [`Mode::Id`] knows Indonesian: [`crate::indonesian`] says what its words and sentences are.

use std::collections::HashMap;

use super::row::TextPair;
use crate::indonesian::{Words, sentences};

/// What a word and a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As rouge_score 0.1.2.
    Google,
    /// Indonesian words, in sentences.
    Id(Words),
}

/// Metric keys, in the order of [`Scorer::score`].
pub const METRICS: [&str; 4] = ["rouge1", "rouge2", "rougeL", "rougeLsum"];

/// F-measures of a pair by metric key, in each mode that the settings ask for.
pub(super) fn of_pair(pair: &mut TextPair) -> Vec<(String, f64)> {
    let id = |stems| Mode::Id(Words { amounts: pair.settings.amounts, stems });
    let mut modes = vec![("", Mode::Google), ("_id", id(false))];
    modes.extend(pair.settings.stems.then(|| ("_id_stem", id(true))));
    let mut metrics = Vec::new();
    for (suffix, mode) in modes {
        let scores = pair.rouge.score(mode, pair.reference, pair.output);
        metrics.extend(METRICS.iter().zip(scores).map(|(key, score)| (format!("{key}{suffix}"), score.f)));
    }
    metrics
}

/// One ROUGE score, each number in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Share of the hypothesis found in the reference.
    pub precision: f64,
    /// Share of the reference found in the hypothesis.
    pub recall: f64,
    /// Their harmonic mean, 0 where both are 0.
    pub f: f64,
}

impl Score {
    /// The operations stand in the order of the package: `2 * p * r / (p + r)`.
    fn new(hits: usize, reference: usize, hypothesis: usize) -> Self {
        let precision = hits as f64 / hypothesis.max(1) as f64;
        let recall = hits as f64 / reference.max(1) as f64;
        let sum = precision + recall;
        let f = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Self { precision, recall, f }
    }
}

/// Scores pairs of texts; keeps its buffers from one pair to the next.
#[derive(Debug, Default)]
pub struct Scorer {
    ids: HashMap<String, u32>,
    lcs: LcsTable,
}

impl Scorer {
    /// ROUGE of one pair, in the order of [`METRICS`].
    pub fn score(&mut self, mode: Mode, reference: &str, hypothesis: &str) -> [Score; 4] {
        self.ids.clear();
        let reference = tokenize(mode, reference, &mut self.ids);
        let hypothesis = tokenize(mode, hypothesis, &mut self.ids);
        let (m, n) = (reference.tokens.len(), hypothesis.tokens.len());
        let bigrams = |text: &Text| text.tokens.windows(2).map(|pair| (pair[0], pair[1])).collect();
        [
            Score::new(overlap(reference.tokens.clone(), hypothesis.tokens.clone()), m, n),
            Score::new(overlap::<(u32, u32)>(bigrams(&reference), bigrams(&hypothesis)), m.max(1) - 1, n.max(1) - 1),
            Score::new(self.lcs.fill(&reference.tokens, &hypothesis.tokens), m, n),
            Score::new(self.union_lcs_hits(&reference, &hypothesis), m, n),
        ]
    }

    /// ROUGE-Lsum's hits: tokens in the union of a reference line's LCS with every hypothesis line (Lin 2004,
    /// section 3.2), no token counted more often than either text holds it.
    fn union_lcs_hits(&mut self, reference: &Text, hypothesis: &Text) -> usize {
        let mut left_in_reference = reference.counts(self.ids.len());
        let mut left_in_hypothesis = hypothesis.counts(self.ids.len());
        let mut hits = 0;
        for line in reference.lines() {
            let mut in_union = vec![false; line.len()];
            for other in hypothesis.lines() {
                self.lcs.mark(line, other, &mut in_union);
            }
            for (&token, _) in line.iter().zip(&in_union).filter(|(_, marked)| **marked) {
                let (r, h) = (&mut left_in_reference[token as usize], &mut left_in_hypothesis[token as usize]);
                if *r > 0 && *h > 0 {
                    hits += 1;
                    *r -= 1;
                    *h -= 1;
                }
            }
        }
        hits
    }
}

/// A text's tokens as ids. A line break always ends a token, so the lines' tokens are the text's.
struct Text {
    tokens: Vec<u32>,
    /// Where each line ends in `tokens`.
    line_ends: Vec<usize>,
}

impl Text {
    fn lines(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.line_ends.iter().copied());
        starts.zip(&self.line_ends).map(|(start, &end)| &self.tokens[start..end])
    }

    fn counts(&self, vocabulary: usize) -> Vec<u32> {
        let mut counts = vec![0; vocabulary];
        for &token in &self.tokens {
            counts[token as usize] += 1;
        }
        counts
    }
}

fn tokenize(mode: Mode, text: &str, ids: &mut HashMap<String, u32>) -> Text {
    match mode {
        Mode::Google => google(text, ids),
        Mode::Id(words) => {
            let (mut tokens, mut line_ends) = (Vec::new(), Vec::new());
            for sentence in sentences(text) {
                tokens.extend(words.of(sentence).into_iter().map(|word| number(ids, word)));
                line_ends.push(tokens.len());
            }
            Text { tokens, line_ends }
        }
    }
}

fn number(ids: &mut HashMap<String, u32>, word: String) -> u32 {
    let next = ids.len() as u32;
    *ids.entry(word).or_insert(next)
}

/// Lower-casing is Unicode's, as in Python, and comes before anything is dropped: `İ` gives an `i` and the Kelvin
/// sign a `k`. (Python's final-sigma rule, which `char` can't know, concerns no ASCII letter.)
fn google(text: &str, ids: &mut HashMap<String, u32>) -> Text {
    let (mut tokens, mut line_ends) = (Vec::new(), Vec::new());
    let mut word = String::new();
    for c in text.chars().flat_map(char::to_lowercase).chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            let next = ids.len() as u32;
            tokens.push(ids.get(&word).copied().unwrap_or_else(|| *ids.entry(word.clone()).or_insert(next)));
            word.clear();
        }
        if c == '\n' {
            line_ends.push(tokens.len());
        }
    }
    Text { tokens, line_ends }
}

/// Whether more of a text's letters and digits are dropped by [`Mode::Google`] than kept, as those of Thai, Arabic, Chinese or
/// Javanese script.
pub fn is_unread(text: &str) -> bool {
    let letters = || text.chars().flat_map(char::to_lowercase).filter(|char| char.is_alphanumeric());
    2 * letters().filter(char::is_ascii).count() < letters().count()
}

/// Size of the multiset intersection: each n-gram as often as both sides hold it.
pub(super) fn overlap<T: Ord>(mut a: Vec<T>, mut b: Vec<T>) -> usize {
    a.sort_unstable();
    b.sort_unstable();
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    common
}

/// Lengths of the longest common subsequences of all prefixes, row by row.
#[derive(Debug, Default)]
struct LcsTable(Vec<u32>);

impl LcsTable {
    /// Fills the table, `[rows + 1][columns + 1]`, and returns the length for the whole of both.
    fn fill(&mut self, rows: &[u32], columns: &[u32]) -> usize {
        let width = columns.len() + 1;
        self.0.clear();
        self.0.resize((rows.len() + 1) * width, 0);
        for (i, row) in rows.iter().enumerate() {
            let (above, current) = self.0[i * width..(i + 2) * width].split_at_mut(width);
            let mut left = 0;
            for (j, column) in columns.iter().enumerate() {
                left = if row == column { above[j] + 1 } else { above[j + 1].max(left) };
                current[j + 1] = left;
            }
        }
        self.0.last().map_or(0, |length| *length as usize)
    }

    /// Marks one LCS in `rows`. Which one, where several are longest, decides the union: this is the package's.
    fn mark(&mut self, rows: &[u32], columns: &[u32], marks: &mut [bool]) {
        self.fill(rows, columns);
        let width = columns.len() + 1;
        let (mut i, mut j) = (rows.len(), columns.len());
        while i > 0 && j > 0 {
            if rows[i - 1] == columns[j - 1] {
                marks[i - 1] = true;
                (i, j) = (i - 1, j - 1);
            } else if self.0[i * width + j - 1] > self.0[(i - 1) * width + j] {
                j -= 1;
            } else {
                i -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn f(reference: &str, hypothesis: &str) -> [f64; 4] {
        Scorer::default().score(Mode::Google, reference, hypothesis).map(|score| score.f)
    }

    #[test]
    fn tokens_are_ascii_runs_of_the_lowercased_text() {
        for (text, same) in
            [("Café-Pokémon", "caf pok mon"), ("Rp1.500.000", "rp1 500 000"), ("\u{130}\u{212a}", "i k")]
        {
            assert_eq!(f(text, same)[0], 1.0, "{text}");
        }
        assert_eq!(f("\u{ff41}\u{ff42}", "\u{ff41}\u{ff42}"), [0.0; 4]);
    }

    #[test]
    fn texts_of_other_scripts_are_unread() {
        for (text, unread) in [
            ("แมวสีส้มหายไป 2 วัน", true),
            ("鸡汤面一碗十块钱", true),
            ("ꦏꦥꦶ", true),
            ("Кафе di Jakarta", false),
            ("Café à côté", false),
            ("🔥 !!", false),
            ("", false),
        ] {
            assert_eq!(is_unread(text), unread, "{text}");
        }
    }

    #[test]
    fn lsum_forgives_the_order_of_lines_and_l_does_not() {
        let [_, _, l, lsum] = f("kopi susu\nteh tawar", "teh tawar\nkopi susu");
        assert_eq!((l, lsum), (0.5, 1.0));
    }

    #[test]
    fn mode_id_compares_indonesian_words_and_sentences() {
        let f = |reference: &str, hypothesis: &str| {
            Scorer::default().score(Mode::Id(Words::default()), reference, hypothesis).map(|score| score.f)
        };
        assert_eq!(f("Anak-anak tidak mau makan.", "anak2 gak mau makan"), [1.0; 4]);
        assert_eq!(f("kamis", "kami"), [0.0; 4]);
        let [_, _, l, lsum] = f("Kopi susu. Teh tawar.", "Teh tawar. Kopi susu.");
        assert_eq!((l, lsum), (0.5, 1.0));
    }

    proptest! {
        #[test]
        fn is_bounded_and_swaps_precision_with_recall(a in "[abC İ\n-]{0,40}", b in "[abC İ\n-]{0,40}") {
            let (there, back) = (Scorer::default().score(Mode::Google, &a, &b), Scorer::default().score(Mode::Google, &b, &a));
            for (metric, (x, y)) in there.iter().zip(&back).enumerate() {
                prop_assert!([x.precision, x.recall, x.f].iter().all(|v| (0.0..=1.0).contains(v)));
                // Lsum is a union over the reference's lines, so the sides are not alike
                if METRICS[metric] != "rougeLsum" {
                    prop_assert_eq!((x.precision, x.recall), (y.recall, y.precision));
                }
            }
        }

        #[test]
        fn a_text_equals_itself(words in prop::collection::vec("[a-z]{1,3}", 2..20), other in ".{0,20}") {
            let text = words.join(" ");
            let mut scorer = Scorer::default();
            scorer.score(Mode::Google, &other, &text);
            prop_assert_eq!(scorer.score(Mode::Google, &text, &text).map(|score| score.f), [1.0; 4]);
        }
    }
}
