//! What generated texts are like beside real ones: how long, how varied, how colloquial, and how near to what they were made from.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::Serialize;

use super::pool::rouge_l;
use crate::data::dedup::fold::hash;
use crate::data::stats::Spread;
use crate::indonesian::is_slang;
use crate::reel::Reel;
use crate::run::sha256;

/// Texts of each kind that are compared with each other, at most.
const COMPARED: usize = 300;

/// What texts of a kind are like.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Texts {
    /// Texts there are.
    pub texts: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub words: Spread,
    /// Share of different words, and of different pairs of words, among [`Diversity::of_words`] words (distinct-1 and distinct-2, Li
    /// et al. 2016).
    pub distinct: [f64; 2],
    /// Share of words that are colloquial, by the table that metrics over Indonesian words use.
    pub slang: f64,
    /// ROUGE-L of a text with the real one that it is most like (itself aside).
    pub nearest: Spread,
}

/// Real texts beside generated ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Diversity {
    pub real: Texts,
    pub generated: Texts,
    /// Words of each kind that different ones are counted among: more words have fewer different ones.
    pub of_words: usize,
    /// Texts of each kind, at most, that are compared with each other; drawn by their ids.
    pub compared: usize,
}

impl Diversity {
    /// Of what is said in them.
    pub fn of(real: &[Reel], generated: &[Reel]) -> Diversity {
        let [real, generated] = [real, generated].map(spoken);
        let count = |texts: &[Vec<String>]| texts.iter().map(Vec::len).sum::<usize>();
        let of_words = count(&real).min(count(&generated));
        let hashed = |texts: &[Vec<String>]| -> Vec<Vec<u32>> {
            let words = |text: &Vec<String>| text.iter().map(|word| hash(word.as_bytes()) as u32).collect();
            texts.iter().take(COMPARED).map(words).collect()
        };
        let (among, others) = (hashed(&real), hashed(&generated));
        let nearest = |texts: &[Vec<u32>], are_real: bool| {
            let most = |(at, text): (usize, &Vec<u32>)| {
                let real = among.iter().enumerate().filter(|(real, _)| !are_real || *real != at);
                real.map(|(_, real)| rouge_l(real, text, 0.0)).fold(0.0, f64::max)
            };
            Spread::of(&mut texts.par_iter().enumerate().map(most).collect::<Vec<f64>>())
        };
        let texts = |texts: &[Vec<String>], nearest: Spread| Texts {
            texts: texts.len(),
            words: Spread::of(&mut texts.iter().map(|text| text.len() as f64).collect::<Vec<f64>>()),
            distinct: distinct(texts, of_words),
            slang: texts.iter().flatten().filter(|word| is_slang(word)).count() as f64 / count(texts).max(1) as f64,
            nearest,
        };
        Diversity {
            real: texts(&real, nearest(&among, true)),
            generated: texts(&generated, nearest(&others, false)),
            of_words,
            compared: COMPARED,
        }
    }
}

/// The words of what is said, in an order that has nothing to do with what they are about.
fn spoken(reels: &[Reel]) -> Vec<Vec<String>> {
    let mut reels: Vec<&Reel> = reels.iter().filter(|reel| reel.transcript.is_some()).collect();
    reels.sort_by_cached_key(|reel| sha256(reel.id.as_bytes()));
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    reels.iter().map(|reel| words(reel.transcript.as_deref().unwrap_or_default())).collect()
}

fn distinct(texts: &[Vec<String>], words: usize) -> [f64; 2] {
    let (mut left, mut ones, mut twos, mut pairs) = (words, HashSet::new(), HashSet::new(), 0);
    for text in texts {
        let text = &text[..text.len().min(left)];
        left -= text.len();
        ones.extend(text);
        twos.extend(text.windows(2));
        pairs += text.len().saturating_sub(1);
    }
    [ones.len() as f64 / words.max(1) as f64, twos.len() as f64 / pairs.max(1) as f64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel(id: &str, transcript: &str) -> Reel {
        Reel { id: id.into(), transcript: Some(transcript.into()), ..Reel::default() }
    }

    #[test]
    fn texts_are_told_by_length_variety_slang_and_nearness() {
        let real =
            [reel("a", "soto ayam ini enak banget gak bohong"), reel("b", "motor tua dirawat sendiri di garasi rumah")];
        let generated =
            [reel("c", "soto ayam ini enak banget dan murah"), reel("d", "soto soto soto soto soto soto soto")];
        let Diversity { real, generated, of_words, .. } = Diversity::of(&real, &generated);
        assert_eq!((real.texts, real.words.median, generated.words.median, of_words), (2, 7.0, 7.0, 14));
        assert_eq!([real.distinct[0], generated.distinct[0]], [1.0, 0.5]);
        // „banget“ and „gak“ of 14 words, „banget“ of 14.
        assert_eq!([real.slang, generated.slang], [2.0 / 14.0, 1.0 / 14.0]);
        // Nothing in common; five of seven words in a row.
        assert_eq!((real.nearest.most, generated.nearest.most), (0.0, 5.0 / 7.0));
    }
}
