//! Texts that were kept, to find near copies of them as more come: by MinHash in bands, then exactly, then by their longest
//! common subsequence of words (ROUGE-L, as in Self-Instruct, Wang et al. 2023).

use std::collections::HashMap;

use crate::data::dedup::fold::{folded, hash, jaccard, mixed, shingles};
use crate::data::dedup::signature::{Signature, bands};

/// Jaccard index of the letters' runs from which on pairs are to meet: what the longest common subsequence can find is less
/// similar than a copy.
const MET: f64 = 0.5;
/// Jaccard index of a near copy within a set.
pub const COPY: f64 = 0.85;
/// F of the longest common subsequence above which a text is too much like another one.
pub const ROUGE_L: f64 = 0.7;

/// A text as it is compared.
#[derive(Debug, Clone, Default)]
pub struct Sketch {
    whole: u64,
    words: Vec<u32>,
    /// Sorted. Of two texts with a thousand each, less than one is the same by chance in four thousand pairs.
    shingles: Vec<u32>,
    bands: Vec<u64>,
}

/// What of the pool a text is too much like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alike {
    /// Number of the text in the pool.
    pub of: usize,
    /// How much, from 0 to 1.
    pub share: f64,
    #[expect(missing_docs, reason = "the type says it")]
    pub by: Likeness,
}

/// By what a text is like another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The same words.
    Exact,
    /// The Jaccard index of their runs of letters.
    Jaccard,
    /// Their longest common subsequence of words.
    RougeL,
}

/// The texts kept so far.
#[derive(Debug, Default)]
pub struct Pool {
    texts: Vec<Sketch>,
    wholes: HashMap<u64, usize>,
    /// Of a band with its value, the last text that has it, as a number in `earlier`.
    bands: HashMap<u64, u32>,
    /// A text, and the entry of the one before it with the same band and value; none has its own number.
    earlier: Vec<(u32, u32)>,
}

impl Sketch {
    /// Of a text; one of few letters is like none but those with the same words.
    pub fn of(text: &str) -> Sketch {
        let words = folded(text);
        let shingles = shingles(&words);
        let (count, rows) = bands(MET);
        let signature = Signature::of(&shingles);
        let bands =
            signature.map(|signature| (0..count).map(|band| mixed(signature.band(band, rows), band as u64)).collect());
        // Short texts fold to nothing, and are compared as they are.
        let whole = if words.is_empty() { text.to_lowercase() } else { words.concat() };
        Sketch {
            whole: hash(whole.as_bytes()),
            words: words.iter().map(|word| hash(word.as_bytes()) as u32).collect(),
            shingles: {
                let mut short: Vec<u32> = shingles.iter().map(|shingle| (shingle >> 32) as u32).collect();
                short.dedup();
                short
            },
            bands: bands.unwrap_or_default(),
        }
    }
}

impl Pool {
    /// With these texts.
    pub fn of(sketches: impl IntoIterator<Item = Sketch>) -> Pool {
        let mut pool = Pool::default();
        sketches.into_iter().for_each(|sketch| pool.keep(sketch));
        pool
    }

    /// One more.
    pub fn keep(&mut self, sketch: Sketch) {
        let at = self.texts.len();
        self.wholes.entry(sketch.whole).or_insert(at);
        for band in &sketch.bands {
            let entry = self.earlier.len() as u32;
            let before = self.bands.insert(*band, entry).unwrap_or(entry);
            self.earlier.push((at as u32, before));
        }
        // They stand in the index now.
        self.texts.push(Sketch { bands: vec![], ..sketch });
    }

    /// The texts of an entry and of those before it.
    fn chain(&self, last: u32) -> impl Iterator<Item = u32> {
        let mut entry = Some(last);
        std::iter::from_fn(move || {
            let at = entry?;
            let (text, before) = self.earlier[at as usize];
            entry = (before != at).then_some(before);
            Some(text)
        })
    }

    /// What a text is too much like: the same, else the nearest copy, else the one with which it has the longest subsequence
    /// in common.
    pub fn like(&self, sketch: &Sketch) -> Option<Alike> {
        if let Some(of) = self.wholes.get(&sketch.whole) {
            return Some(Alike { of: *of, share: 1.0, by: Likeness::Exact });
        }
        let mut met: Vec<u32> =
            sketch.bands.iter().filter_map(|band| self.bands.get(band)).flat_map(|last| self.chain(*last)).collect();
        met.sort_unstable();
        met.dedup();
        let nearest = |by: Likeness, least: f64, share: &dyn Fn(&Sketch) -> f64| {
            let shares = met.iter().map(|of| (*of as usize, share(&self.texts[*of as usize])));
            // Of equal ones the first.
            let most = shares.rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
            most.filter(|(_, share)| *share >= least).map(|(of, share)| Alike { of, share, by })
        };
        nearest(Likeness::Jaccard, COPY, &|other| jaccard(&other.shingles, &sketch.shingles))
            .or_else(|| nearest(Likeness::RougeL, ROUGE_L, &|other| rouge_l(&other.words, &sketch.words, ROUGE_L)))
    }
}

/// F-measure of the longest common subsequence; 0 where it can't be as large as `least`.
pub(super) fn rouge_l(a: &[u32], b: &[u32], least: f64) -> f64 {
    let most = a.len().min(b.len()) as f64;
    // It can't be longer than the shorter one.
    if 2.0 * most < least * (a.len() + b.len()) as f64 {
        return 0.0;
    }
    let mut row = vec![0u32; b.len() + 1];
    for word in a {
        let mut corner = 0;
        for at in 0..b.len() {
            let above = row[at + 1];
            row[at + 1] = if *word == b[at] { corner + 1 } else { above.max(row[at]) };
            corner = above;
        }
    }
    2.0 * f64::from(row[b.len()]) / (a.len() + b.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "hari ini kita masak soto ayam di rumah bumbunya cuma lima macam jangan lupa kasih jeruk nipis \
                        supaya segar lalu taburi bawang goreng dan seledri di atasnya sebelum disajikan hangat hangat";

    fn like(text: &str) -> Option<(usize, Likeness)> {
        let pool =
            Pool::of(["teks lain sama sekali tentang motor bekas di kota bandung yang murah", TEXT].map(Sketch::of));
        pool.like(&Sketch::of(text)).map(|alike| (alike.of, alike.by))
    }

    #[test]
    fn copies_are_found_by_how_near_they_are() {
        assert_eq!(like(&TEXT.to_uppercase().replace(' ', ",  ")), Some((1, Likeness::Exact)));
        assert_eq!(like(&TEXT.replace("lima", "enam")), Some((1, Likeness::Jaccard)));
        let reworded = TEXT.replace("hari ini kita", "nah sekarang saya").replace("jeruk nipis", "perasan lemon");
        assert_eq!(like(&reworded), Some((1, Likeness::RougeL)));
        assert_eq!(
            like("resep kue cokelat kukus yang lembut dan mudah dibuat tanpa oven untuk keluarga di rumah"),
            None
        );
        assert_eq!(like("halo"), None);
    }

    #[test]
    fn the_longest_common_subsequence_is_rouge_scores() {
        // rouge_score 0.1.2, rougeL of "a b c d e f g h" and "a x c d e y g h i": 0.70588…
        let of = |text: &str| text.split(' ').map(|word| hash(word.as_bytes()) as u32).collect::<Vec<u32>>();
        assert!((rouge_l(&of("a b c d e f g h"), &of("a x c d e y g h i"), ROUGE_L) - 12.0 / 17.0).abs() < 1e-12);
        assert_eq!(rouge_l(&of("a b"), &of("a b c d e f"), ROUGE_L), 0.0, "too unlike in length to be enough");
    }
}
