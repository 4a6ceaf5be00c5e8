//! Near copies: a text that is another one with small changes, told from a text on the same subject.
//!
//! Words are folded first, so that case, spacing, punctuation, accents, zero-width characters and look-alike letters
//! make no difference. A text is a copy when all of it is the same, when a part of it stands in another one, told by
//! runs of [`RUN`] words (Brown et al. 2020, appendix C), or when its letters are similar enough: the Jaccard index of
//! their runs of [`LETTERS`], found by MinHash (Broder 1997) in bands, then computed exactly.

pub mod fold;
pub mod near;
pub mod signature;

use std::collections::{BTreeMap, HashMap};

use self::fold::{covered, folded, hash, jaccard, mixed, runs, shingles};
use crate::reel::Reel;

/// Words in a row that don't come about by chance.
pub const RUN: usize = 13;
/// Texts of fewer letters are alike by chance, and aren't compared.
pub const SHORT: usize = 40;
/// Runs that stand in so many texts are an account's way of ending them, not a copy.
pub const COMMON: usize = 10;
/// Share of a text's words that must stand in another one: less is a quotation.
pub const PART: f64 = 0.1;
/// Letters in a row that are compared as one; words aren't, so that a word split or joined changes little.
pub const LETTERS: usize = 5;
/// Hash functions whose least values are compared, taken two at a time: at a Jaccard index of [`SIMILAR`] 99.8 % of pairs meet.
const HASHES: usize = 128;
/// Jaccard index from which on a text is a copy. With a fifth of its words changed, every text of the bundled sample
/// stays above; of 450 news texts none comes as close to 2,513 others, the nearest 0.30 (tests/leaks.rs).
pub const SIMILAR: f64 = 0.31;

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
                collection.wholes.entry(hash(words.concat().as_bytes())).or_insert(index);
            }
            for run in runs(&words) {
                let texts = collection.runs.entry(run).or_default();
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
        if let Some(of) = self.wholes.get(&hash(words.concat().as_bytes())) {
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
        for (at, run) in runs(words).into_iter().enumerate() {
            let texts = self.runs.get(&run).filter(|texts| texts.len() < COMMON);
            for of in texts.into_iter().flatten() {
                shared.entry(*of).or_default().push(at);
            }
        }
        let counted = shared.iter().map(|(of, starts)| (*of, covered(starts), starts[0]));
        let enough =
            |(of, count, _): &(usize, usize, usize)| *count as f64 >= PART * words.len().min(self.words[*of]) as f64;
        let (of, count, first) = counted.filter(enough).max_by_key(|(_, count, _)| *count)?;
        Some(NearDuplicate { of, likeness: Likeness::Part(count, words[first..first + RUN].join(" ")) })
    }
}

/// The bands of a text's signature: number, and the smallest hashes of two functions. Texts with a band in common may
/// be alike.
fn bands(shingles: &[u64]) -> impl Iterator<Item = (usize, u64)> {
    // A text without runs of letters has no bands, and is never found.
    let functions = if shingles.is_empty() { 0 } else { HASHES };
    let least = |function: usize| shingles.iter().map(|shingle| mixed(*shingle, function as u64)).min().unwrap_or(0);
    (0..functions / 2).map(move |band| (band, mixed(least(2 * band), least(2 * band + 1))))
}
