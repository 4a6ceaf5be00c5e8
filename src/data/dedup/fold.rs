//! Texts as they are compared: their words without what changes nothing, and hashes of runs of words and letters that stay
//! the same from one version of the program to the next, as they are kept in files.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

use super::{LETTERS, RUN, SHORT};

/// The words of a text as they are compared; none where it is short.
pub fn folded(text: &str) -> Vec<String> {
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
pub fn shingles(words: &[String]) -> Vec<u64> {
    let letters: Vec<char> = words.iter().flat_map(|word| word.chars()).collect();
    let of = |run: &[char]| mixed(run.iter().fold(0, |hash, letter| step(hash, *letter as u64)), 0);
    let mut all: Vec<u64> = letters.windows(LETTERS).map(of).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A hash of each run of words, in the order in which they stand.
pub fn runs(words: &[String]) -> Vec<u64> {
    let words: Vec<u64> = words.iter().map(|word| hash(word.as_bytes())).collect();
    words.windows(RUN).map(|run| mixed(run.iter().fold(0, |hash, word| step(hash, *word)), 1)).collect()
}

/// A hash of bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    mixed(bytes.iter().fold(bytes.len() as u64, |hash, byte| step(hash, u64::from(*byte))), 2)
}

/// How many words the runs that begin at these places cover, in ascending order: runs overlap, and each word counts once.
pub fn covered(starts: &[usize]) -> usize {
    if starts.is_empty() {
        return 0;
    }
    starts.windows(2).map(|pair| RUN.min(pair[1] - pair[0])).sum::<usize>() + RUN
}

/// One more part of what is hashed; the factor is odd and has its bits spread (2^64 over the golden ratio).
fn step(hash: u64, part: u64) -> u64 {
    (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// A hash function for each `function` (the finaliser of SplitMix64, Steele et al. 2014).
pub fn mixed(value: u64, function: u64) -> u64 {
    let mut z = value ^ function.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// The Jaccard index of two sorted sets: shared elements over all elements.
pub fn jaccard<T: Ord>(a: &[T], b: &[T]) -> f64 {
    let (mut at, mut shared) = (0, 0);
    for value in a {
        while at < b.len() && b[at] < *value {
            at += 1;
        }
        shared += usize::from(b.get(at) == Some(value));
    }
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}
