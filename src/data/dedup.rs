//! Near copies: a text that is another one with small changes, told from a text on the same subject.
//!
//! Words are folded first, so that case, spacing, punctuation, accents, zero-width characters and look-alike letters
//! make no difference. A text is a copy when all of it is the same, when a part of it stands in another one, told by
//! runs of [`RUN`] words (Brown et al. 2020, appendix C), or when its letters are similar enough: the Jaccard index of
//! their runs of [`LETTERS`], found by MinHash (Broder 1997) in bands, then computed exactly.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

use crate::reel::Reel;

/// Words in a row that don't come about by chance.
pub const RUN: usize = 13;
/// Texts of fewer letters are alike by chance, and aren't compared.
pub const SHORT: usize = 40;
/// Runs that stand in so many texts are an account's way of ending them, not a copy.
const COMMON: usize = 10;
/// Share of a text's words that must stand in another one: less is a quotation.
const PART: f64 = 0.1;
/// Letters in a row that are compared as one; words aren't, so that a word split or joined changes little.
pub const LETTERS: usize = 5;
/// Hash functions of a signature, taken two at a time: at a Jaccard index of [`SIMILAR`] 99.8 % of pairs meet.
const HASHES: usize = 128;
/// Jaccard index from which on a text is a copy. With a fifth of its words changed, every text of the bundled sample
/// stays above; of 450 news texts none comes as close to 2,513 others, the nearest 0.30 (tests/leaks.rs).
const SIMILAR: f64 = 0.31;

/// What of a Reel is compared: what was said, or what was written where that is longer.
pub fn text(reel: &Reel) -> &str {
    let texts = [&reel.caption, &reel.transcript].map(|text| text.as_deref().unwrap_or_default());
    if texts[0].len() > texts[1].len() { texts[0] } else { texts[1] }
}

/// How a text resembles another one.
#[derive(Debug, Clone, PartialEq)]
pub enum Likeness {
    /// All words are the same, one after the other.
    Same,
    /// So many words stand in both texts, in runs; and the first of these runs, folded.
    Part(usize, String),
    /// The Jaccard index of their runs of letters.
    Similar(f64),
}

/// What a text is a copy of.
#[derive(Debug, Clone, PartialEq)]
pub struct NearDuplicate {
    /// Index of the text in the collection.
    pub of: usize,
    #[expect(missing_docs, reason = "the type says it")]
    pub likeness: Likeness,
}

impl std::fmt::Display for Likeness {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Likeness::Same => write!(f, "the same words"),
            Likeness::Part(words, run) => write!(f, "{words} words stand in both, first {run:?}"),
            Likeness::Similar(share) => {
                write!(f, "{:.0} % of their runs of {LETTERS} letters are the same", 100.0 * share)
            }
        }
    }
}

/// Texts to find copies of.
#[derive(Debug, Default)]
pub struct Collection {
    /// Hashes of each text's runs of letters, sorted.
    shingles: Vec<Vec<u64>>,
    /// Words of each text.
    words: Vec<usize>,
    /// The same, each word between spaces.
    folded: Vec<String>,
    wholes: HashMap<u64, usize>,
    /// Hashes of runs of words with the texts that they stand in, of which at most [`COMMON`] are noted.
    runs: HashMap<u64, Vec<usize>>,
    bands: HashMap<(usize, u64), Vec<usize>>,
}

impl Collection {
    /// Prepares texts for the search. Those of fewer than [`SHORT`] letters are never found.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Collection {
        let mut collection = Collection::default();
        for (index, text) in texts.into_iter().enumerate() {
            let words = folded(text);
            let shingles = shingles(&words);
            if !words.is_empty() {
                collection.wholes.entry(hash(&words.concat())).or_insert(index);
            }
            for run in words.windows(RUN) {
                let texts = collection.runs.entry(hash(run)).or_default();
                if texts.last() != Some(&index) && texts.len() < COMMON {
                    texts.push(index);
                }
            }
            for band in bands(&shingles) {
                collection.bands.entry(band).or_default().push(index);
            }
            collection.shingles.push(shingles);
            collection.words.push(words.len());
            collection.folded.push(format!(" {} ", words.join(" ")));
        }
        collection
    }

    /// The text of the collection that a text is a copy of, if there is one. One with the same words goes before one
    /// that shares a part, and that before a similar one.
    pub fn original(&self, text: &str) -> Option<NearDuplicate> {
        let words = folded(text);
        if let Some(of) = self.wholes.get(&hash(&words.concat())) {
            return Some(NearDuplicate { of: *of, likeness: Likeness::Same });
        }
        if let Some(copy) = self.part(&words) {
            return Some(copy);
        }
        let shingles = shingles(&words);
        let mut met: Vec<usize> =
            bands(&shingles).filter_map(|band| self.bands.get(&band)).flatten().copied().collect();
        met.sort_unstable();
        met.dedup();
        let alike = met.into_iter().map(|of| (of, jaccard(&self.shingles[of], &shingles)));
        let (of, share) = alike.max_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, share)| *share >= SIMILAR)?;
        Some(NearDuplicate { of, likeness: Likeness::Similar(share) })
    }

    /// Whether a text of the collection holds this one, or much of it word for word.
    pub fn quotes(&self, text: &str) -> bool {
        let words = folded(text);
        let is_short = words.len() < RUN;
        let whole = || self.folded.iter().any(|text| text.contains(&format!(" {} ", words.join(" "))));
        !words.is_empty() && (is_short && whole() || self.part(&words).is_some())
    }

    /// The text that has most of these words in common runs, if they are enough.
    fn part(&self, words: &[String]) -> Option<NearDuplicate> {
        let mut shared: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, run) in words.windows(RUN).enumerate() {
            let texts = self.runs.get(&hash(run)).filter(|texts| texts.len() < COMMON);
            for of in texts.into_iter().flatten() {
                shared.entry(*of).or_default().push(at);
            }
        }
        // Runs overlap: each word counts once.
        let covered = |starts: &[usize]| starts.windows(2).map(|pair| RUN.min(pair[1] - pair[0])).sum::<usize>() + RUN;
        let counted = shared.iter().map(|(of, starts)| (*of, covered(starts), starts[0]));
        let enough =
            |(of, count, _): &(usize, usize, usize)| *count as f64 >= PART * words.len().min(self.words[*of]) as f64;
        let (of, count, first) = counted.filter(enough).max_by_key(|(_, count, _)| *count)?;
        Some(NearDuplicate { of, likeness: Likeness::Part(count, words[first..first + RUN].join(" ")) })
    }
}

/// The words of a text as they are compared; none where it is short.
fn folded(text: &str) -> Vec<String> {
    let lower = text.nfkc().collect::<String>().to_lowercase();
    let mut plain = String::with_capacity(lower.len());
    let mut buffer = [0; 4];
    for letter in lower.chars() {
        if letter.is_ascii() {
            // Plain letters stay: the prototype of m is rn, which looks the same.
            plain.push(letter);
            continue;
        }
        // Combining marks and what has no width disappear.
        let mut prototype =
            skeleton(letter.encode_utf8(&mut buffer)).filter(|letter| !is_combining_mark(*letter)).peekable();
        if letter.is_alphanumeric() {
            plain.extend(prototype);
        } else if prototype.peek().is_some() {
            plain.push(' ');
        }
    }
    // Prototypes may be capitals.
    let plain = plain.to_lowercase();
    let words = plain.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_owned).collect();
    if words.iter().map(|word| word.chars().count()).sum::<usize>() < SHORT { vec![] } else { words }
}

/// Hashes of all runs of letters, words joined; sorted, each once.
fn shingles(words: &[String]) -> Vec<u64> {
    let letters: Vec<char> = words.iter().flat_map(|word| word.chars()).collect();
    let mut all: Vec<u64> = letters.windows(LETTERS).map(hash).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The bands of a text's signature: number, and the smallest hashes of two functions. Texts with a band in common may
/// be alike.
fn bands(shingles: &[u64]) -> impl Iterator<Item = (usize, u64)> {
    // A text without runs of letters has no bands, and is never found.
    let functions = if shingles.is_empty() { 0 } else { HASHES };
    let least = |function: usize| shingles.iter().map(|shingle| mixed(*shingle, function as u64)).min().unwrap_or(0);
    (0..functions / 2).map(move |band| (band, mixed(least(2 * band), least(2 * band + 1))))
}

/// A hash function for each `function` (the finaliser of SplitMix64, Steele et al. 2014).
fn mixed(value: u64, function: u64) -> u64 {
    let mut z = value ^ function.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// The Jaccard index of two sorted sets: shared elements over all elements.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let shared = a.iter().filter(|value| b.binary_search(value).is_ok()).count();
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
