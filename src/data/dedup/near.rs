//! Near copies within a set of any size: which records belong together because one holds a copy of the other.
//!
//! Texts stay where they are and are read again when two of them are compared; what is held is a [`Signature`] a record.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use rayon::prelude::*;

use super::fold::{covered, folded, hash, jaccard, runs, shingles};
use super::signature::{Signature, agreement, bands};
use super::{COMMON, PART, SIMILAR};
use crate::data::groups::{Groups, Tie};
use crate::data::known::Known;

/// Up to so many records, each is compared with each, and a copy may have a fifth of its words changed.
pub const FEW: usize = 20_000;
/// Jaccard index from which on a text is a copy where there are more.
const SIMILAR_OF_MANY: f64 = 0.7;
/// By how much an estimate may be too low: four standard deviations.
const MARGIN: f64 = 0.08;
/// Estimates from which on a text is a copy without its text being at hand, with few records and with many. Few: with a fifth
/// of its words changed, twenty times, each text of the bundled sample of 40 words or more has a Jaccard index of at least 0.418
/// with what it was; of 450 news texts none is estimated above 0.343 beside 2,513 others (tests/leaks.rs). Many: [`MARGIN`] above.
const SURE: [f64; 2] = [0.36, SIMILAR_OF_MANY + MARGIN];
/// Texts of fewer words vary more: a fifth changed leaves an estimate of 0.239 and more. Where both are as short and records are
/// few, this is enough.
const BRIEF: (usize, f64) = (40, 0.23);
/// Runs of words that are held at once.
const RUNS_AT_ONCE: usize = 1 << 25;
/// Pairs of records that are held at once.
const PAIRS_AT_ONCE: usize = 1 << 22;
/// Comparisons within a band at most: where more texts meet, each is compared with as many others as that allows.
const COMPARED: usize = 400_000_000;

/// Runs that stand in so many records are a way of ending texts, not a copy. A part of the records may have half of them, which
/// is where a leak check takes them for one.
pub const STOCK: usize = 2 * COMMON;

/// Reads a record, by its number.
pub type Read<'a> = &'a (dyn Fn(usize) -> Result<Known> + Sync);

/// How similar a copy's letters are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alike {
    /// The Jaccard index, computed of the texts.
    pub jaccard: f64,
    /// The estimate of signatures that is enough without.
    pub sure: f64,
    /// Bands and functions of each.
    pub bands: (usize, usize),
}

/// The estimate that is enough for texts of so many words, where `sure` is for texts of any length.
pub fn enough(sure: f64, words: [usize; 2]) -> f64 {
    let are_brief = words.iter().all(|words| *words < BRIEF.0);
    if are_brief && sure <= SURE[0] { sure.min(BRIEF.1) } else { sure }
}

impl Alike {
    /// Of a set of so many records.
    pub fn among(records: usize) -> Alike {
        if records <= FEW {
            // A band of no functions, which all have in common.
            Alike { jaccard: SIMILAR, sure: SURE[0], bands: (1, 0) }
        } else {
            Alike { jaccard: SIMILAR_OF_MANY, sure: SURE[1], bands: bands(SIMILAR_OF_MANY) }
        }
    }
}

/// What is held of a text.
#[derive(Debug, Clone)]
struct Sketch {
    signature: Signature,
    words: usize,
}

/// What finding copies left.
#[derive(Debug)]
pub struct Near {
    /// Hashes of runs of words that [`STOCK`] records have, in order.
    pub stock: Vec<u64>,
    /// Texts that resemble so many others that they weren't compared with all of them.
    pub cut_short: usize,
}

/// Puts records together that are near copies: the same words; a run of words that isn't stock, where [`PART`] of a text stands
/// in the other one; or similar letters.
///
/// # Errors
/// Whatever `read` says.
pub fn join(count: usize, read: Read, alike: &Alike, groups: &mut Groups) -> Result<Near> {
    let mut signatures: Vec<Option<Sketch>> = vec![None; count];
    let mut wholes = vec![None; count];
    let run_count = AtomicUsize::new(0);
    signatures.par_iter_mut().zip(&mut wholes).enumerate().try_for_each(|(at, (signature, whole))| {
        let known = read(at)?;
        let words = folded(&known.text);
        *signature = Signature::of(&shingles(&words)).map(|signature| Sketch { signature, words: words.len() });
        *whole = (!words.is_empty()).then(|| hash(words.concat().as_bytes()));
        let others: usize = known.others.iter().map(|text| text.split_whitespace().count()).sum();
        run_count.fetch_add(words.len() + others, Ordering::Relaxed);
        anyhow::Ok(())
    })?;
    // Of texts that are the same, the first one stands for all.
    let mut same: Vec<(u64, u32)> = wholes.iter().zip(0..).filter_map(|(whole, at)| Some(((*whole)?, at))).collect();
    same.par_sort_unstable();
    let mut is_first = vec![true; count];
    for copies in same.chunk_by(|a, b| a.0 == b.0) {
        for (_, copy) in &copies[1..] {
            is_first[*copy as usize] = false;
            groups.join(copies[0].1 as usize, *copy as usize, Tie::Copies);
        }
    }
    drop((wholes, same));
    let firsts: Vec<u32> =
        (0..count as u32).filter(|at| is_first[*at as usize] && signatures[*at as usize].is_some()).collect();
    let cut_short = join_similar(&firsts, &signatures, read, alike, groups)?;
    drop(signatures);
    let passes = run_count.into_inner() / RUNS_AT_ONCE + 1;
    let mut stock = vec![];
    for pass in 0..passes {
        stock.append(&mut join_parts(&is_first, read, (pass, passes), groups)?);
    }
    stock.sort_unstable();
    Ok(Near { stock, cut_short })
}

/// Joins texts whose letters are similar, a band at a time. How many weren't compared with all they met?
fn join_similar(
    firsts: &[u32],
    signatures: &[Option<Sketch>],
    read: Read,
    alike: &Alike,
    groups: &mut Groups,
) -> Result<usize> {
    let (bands, rows) = alike.bands;
    let most = (COMPARED / firsts.len().max(1)).max(1);
    let mut cut_short = vec![];
    for band in 0..bands {
        let key = |at: &u32| Some((signatures[*at as usize].as_ref()?.signature.band(band, rows), *at));
        let mut keyed: Vec<(u64, u32)> = firsts.par_iter().filter_map(key).collect();
        keyed.par_sort_unstable();
        let buckets: Vec<&[(u64, u32)]> = keyed.chunk_by(|a, b| a.0 == b.0).filter(|met| met.len() > 1).collect();
        cut_short.extend(buckets.iter().flat_map(|met| met.iter().skip(most + 1).map(|(_, at)| *at)));
        let apart = &*groups;
        let found: Vec<Vec<(u32, u32)>> = buckets
            .into_par_iter()
            .map(|met| {
                let met: Vec<u32> = met.iter().map(|(_, at)| *at).collect();
                similar(&met, most, signatures, read, alike, apart)
            })
            .collect::<Result<_>>()?;
        for (a, b) in found.concat() {
            groups.join(a as usize, b as usize, Tie::Copies);
        }
    }
    cut_short.sort_unstable();
    cut_short.dedup();
    Ok(cut_short.len())
}

/// Pairs of similar texts that put groups together, among texts that met; each is compared with `most` before it.
fn similar(
    met: &[u32],
    most: usize,
    signatures: &[Option<Sketch>],
    read: Read,
    alike: &Alike,
    groups: &Groups,
) -> Result<Vec<(u32, u32)>> {
    // Groups of those that met, by their places here.
    let mut here = Groups::new(met.len());
    let mut first_of = HashMap::new();
    for (place, at) in met.iter().enumerate() {
        let first = *first_of.entry(groups.root(*at as usize)).or_insert(place);
        here.join(first, place, Tie::Copies);
    }
    let mut pairs = vec![];
    if first_of.len() == 1 {
        return Ok(pairs);
    }
    let possible = agreement(alike.jaccard.min(enough(alike.sure, [0; 2])) - MARGIN);
    let [sure, sure_of_brief] = [usize::MAX, 0].map(|words| agreement(enough(alike.sure, [words; 2])));
    let signature = |place: usize| signatures[met[place] as usize].as_ref();
    let letters = |place: usize| anyhow::Ok(shingles(&folded(&read(met[place] as usize)?.text)));
    let is_brief = |sketch: &Sketch| sketch.words < BRIEF.0;
    let least = |other: usize, own: &Sketch| {
        if is_brief(own) && signature(other).is_some_and(is_brief) { sure_of_brief } else { sure }
    };
    for place in 1..met.len() {
        let Some(own) = signature(place) else { continue };
        let candidates: Vec<(usize, usize)> = (place.saturating_sub(most)..place)
            .into_par_iter()
            .with_min_len(4096)
            .filter_map(|other| Some((signature(other)?.signature.agreement(&own.signature), other)))
            .filter(|(agreed, other)| *agreed >= possible && here.root(*other) != here.root(place))
            .collect();
        let (surely, perhaps): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|(agreed, other)| *agreed >= least(*other, own));
        let mut add = |other: usize, here: &mut Groups| {
            if here.join(other, place, Tie::Copies) {
                pairs.push((met[other], met[place]));
            }
        };
        surely.into_iter().for_each(|(_, other)| add(other, &mut here));
        let perhaps: Vec<usize> =
            perhaps.into_iter().map(|(_, other)| other).filter(|other| here.root(*other) != here.root(place)).collect();
        if perhaps.is_empty() {
            continue;
        }
        let text = letters(place)?;
        let is_copy = |other: usize| Ok((other, jaccard(&letters(other)?, &text) >= alike.jaccard));
        let compared: Vec<(usize, bool)> = perhaps.into_par_iter().map(is_copy).collect::<Result<_>>()?;
        compared.into_iter().filter(|(_, copy)| *copy).for_each(|(other, _)| add(other, &mut here));
    }
    Ok(pairs)
}

/// Joins records that share a run of words; of all runs those of one pass, which are told by their hashes. Gives the runs that
/// are stock.
fn join_parts(is_first: &[bool], read: Read, (pass, passes): (usize, usize), groups: &mut Groups) -> Result<Vec<u64>> {
    let of = |at: usize| -> Result<Vec<(u64, u32)>> {
        let known = read(at)?;
        let texts = is_first[at].then_some(&known.text).into_iter().chain(&known.others);
        let mut own: Vec<u64> = texts.flat_map(|text| runs(&folded(text))).collect();
        own.retain(|run| *run as usize % passes == pass);
        own.sort_unstable();
        own.dedup();
        Ok(own.into_iter().map(|run| (run, at as u32)).collect())
    };
    let mut all: Vec<(u64, u32)> = (0..is_first.len())
        .into_par_iter()
        .map(of)
        .try_fold(Vec::new, |mut all, own| {
            all.append(&mut own?);
            anyhow::Ok(all)
        })
        .try_reduce(Vec::new, |mut all, mut more| {
            all.append(&mut more);
            Ok(all)
        })?;
    all.par_sort_unstable();
    let mut stock = vec![];
    let mut pairs = vec![];
    for have in all.chunk_by(|a, b| a.0 == b.0) {
        if have.len() >= STOCK {
            stock.push(have[0].0);
            continue;
        }
        for (index, (_, a)) in have.iter().enumerate() {
            let apart = have[..index].iter().filter(|(_, b)| groups.root(*a as usize) != groups.root(*b as usize));
            pairs.extend(apart.map(|(_, b)| (*b, *a)));
        }
        if pairs.len() >= PAIRS_AT_ONCE {
            join_quoting(&mut pairs, read, groups)?;
        }
    }
    join_quoting(&mut pairs, read, groups)?;
    Ok(stock)
}

/// Joins those pairs of which one quotes enough of the other.
fn join_quoting(pairs: &mut Vec<(u32, u32)>, read: Read, groups: &mut Groups) -> Result<()> {
    pairs.par_sort_unstable();
    pairs.dedup();
    // What is joined meanwhile needs no reading.
    for some in std::mem::take(pairs).chunks(1024) {
        let apart = |(a, b): &&(u32, u32)| groups.root(*a as usize) != groups.root(*b as usize);
        let some: Vec<(u32, u32)> = some.iter().filter(apart).copied().collect();
        let quoted = some.into_par_iter().map(|(a, b)| {
            let quotes = quotes(&read(a as usize)?, &read(b as usize)?);
            Ok((a, b, quotes))
        });
        let quoted: Vec<(u32, u32, bool)> = quoted.collect::<Result<_>>()?;
        for (a, b, _) in quoted.into_iter().filter(|(.., quotes)| *quotes) {
            groups.join(a as usize, b as usize, Tie::Copies);
        }
    }
    Ok(())
}

/// Whether [`PART`] of a text stands, in runs, in a text of another record.
fn quotes(a: &Known, b: &Known) -> bool {
    let texts = |known: &Known| -> Vec<(usize, Vec<u64>)> {
        let words = std::iter::once(&known.text).chain(&known.others).map(|text| folded(text));
        words.map(|words| (words.len(), runs(&words))).collect()
    };
    let (a, b) = (texts(a), texts(b));
    a.iter().any(|(words, own)| {
        b.iter().any(|(other_words, others)| {
            let others: std::collections::HashSet<u64> = others.iter().copied().collect();
            let starts: Vec<usize> =
                own.iter().enumerate().filter(|(_, run)| others.contains(run)).map(|(at, _)| at).collect();
            !starts.is_empty() && covered(&starts) as f64 >= PART * (*words).min(*other_words) as f64
        })
    })
}

#[cfg(test)]
#[path = "near_tests.rs"]
mod tests;
