//! chrF and chrF++ (Popović 2015, 2017) of one pair, equal to sacrebleu 2.6.0: character n-grams up to 6 without white
//! space, for chrF++ also word n-grams up to 2, β = 2, case kept, orders that a side is too short for left out.

use super::rouge::overlap;
use super::row::TextPair;

/// Metric keys, in the order of [`chrf`].
pub const METRICS: [&str; 2] = ["chrf", "chrf_pp"];

const CHARACTERS: usize = 6;
const WORDS: usize = 2;
/// How much more recall counts than precision, squared.
const FACTOR: f64 = 4.0;

/// chrF and chrF++ of a pair, by metric key.
pub(super) fn of_pair(pair: &mut TextPair) -> Vec<(String, f64)> {
    METRICS.map(str::to_owned).into_iter().zip(chrf(pair.reference, pair.output)).collect()
}

/// chrF and chrF++, each in 0..=1.
pub fn chrf(reference: &str, hypothesis: &str) -> [f64; 2] {
    let (reference_words, hypothesis_words) = (split(reference), split(hypothesis));
    let characters = |words: &[&str]| -> Vec<char> { words.iter().flat_map(|word| word.chars()).collect() };
    let (r, h) = (characters(&reference_words), characters(&hypothesis_words));
    let mut orders: Vec<Matches> = (1..=CHARACTERS).map(|n| Matches::of(packed(&r, n), packed(&h, n))).collect();
    let chrf = f_score(&orders);
    let (r, h) = (parted(&reference_words), parted(&hypothesis_words));
    orders.extend((1..=WORDS).map(|n| Matches::of(r.windows(n).collect(), h.windows(n).collect())));
    [chrf, f_score(&orders)]
}

/// N-grams of characters as numbers: a character takes 21 bits, six of them 126.
fn packed(characters: &[char], n: usize) -> Vec<u128> {
    let pack = |gram: &[char]| gram.iter().fold(0, |packed, c| packed << 21 | u128::from(u32::from(*c)));
    characters.windows(n).map(pack).collect()
}

/// N-grams of one length.
struct Matches {
    reference: usize,
    hypothesis: usize,
    common: usize,
}

impl Matches {
    fn of<T: Ord>(reference: Vec<T>, hypothesis: Vec<T>) -> Matches {
        Matches { reference: reference.len(), hypothesis: hypothesis.len(), common: overlap(reference, hypothesis) }
    }
}

/// F of the mean precision and the mean recall, over the lengths that both sides have n-grams of.
fn f_score(orders: &[Matches]) -> f64 {
    let both: Vec<&Matches> = orders.iter().filter(|order| order.reference > 0 && order.hypothesis > 0).collect();
    let mean = |of: fn(&Matches) -> usize| {
        both.iter().map(|order| order.common as f64 / of(order) as f64).sum::<f64>() / both.len().max(1) as f64
    };
    let (precision, recall) = (mean(|order| order.hypothesis), mean(|order| order.reference));
    if precision + recall == 0.0 {
        return 0.0;
    }
    (1.0 + FACTOR) * precision * recall / (FACTOR * precision + recall)
}

/// At white space as Python knows it, which four control characters are too.
fn split(text: &str) -> Vec<&str> {
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.split(is_space).filter(|word| !word.is_empty()).collect()
}

/// One punctuation mark is parted from a word: its last, else its first.
fn parted<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut parts = Vec::with_capacity(words.len());
    for word in words {
        let (first, last) = (word.chars().next(), word.chars().next_back());
        let is_mark = |c: Option<char>| c.is_some_and(|c| c.is_ascii_punctuation());
        if word.chars().nth(1).is_none() {
            parts.push(*word);
        } else if is_mark(last) {
            parts.extend([&word[..word.len() - 1], &word[word.len() - 1..]]);
        } else if is_mark(first) {
            parts.extend([&word[..1], &word[1..]]);
        } else {
            parts.push(word);
        }
    }
    parts
}
