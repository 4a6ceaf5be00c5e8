//! Finding what is locked in other data.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use rayon::prelude::*;

use super::Lock;
use crate::data::dedup::fold::{covered, folded, runs, shingles};
use crate::data::dedup::near::{Read, enough};
use crate::data::dedup::signature::{Signature, agreement, bands, similarity};
use crate::data::dedup::{Likeness, PART, RUN};
use crate::data::known::Known;
use crate::run::sha256;

/// From this threshold on texts are looked up in bands; below it each is compared with each.
const IN_BANDS: f64 = 0.7;
/// By how much an estimate may be above the Jaccard index.
const MARGIN: f64 = 0.08;

/// A record that is a copy of a locked one.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// Number of the record in the data.
    pub at: usize,
    /// Number of the locked one in the lock.
    pub of: usize,
    #[expect(missing_docs, reason = "the type says it")]
    pub likeness: Likeness,
}

/// Why something is locked.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// It is this very record.
    Id,
    /// A locked record is of the same account.
    Account,
    /// It is a copy of the record with this id.
    Copy(String, Likeness),
}

/// A lock, ready to be asked.
pub struct Index<'a> {
    lock: &'a Lock,
    ids: HashMap<&'a str, usize>,
    accounts: HashSet<&'a str>,
    wholes: HashMap<&'a str, usize>,
    /// Record and words of each passage.
    passages: Vec<(usize, usize)>,
    /// Runs with the passage that each stands in, in order.
    runs: Vec<(u64, u32)>,
    signatures: Vec<(&'a Signature, usize)>,
    /// Of each band, its value for each signature, in order; empty where each is compared with each.
    bands: Vec<Vec<(u64, u32)>>,
    rows: usize,
}

/// What a record has in common with the lock, before it is known which runs are stock.
struct Found {
    at: usize,
    same: Option<usize>,
    similar: Option<(usize, f64)>,
    /// Text of the record, place of the run in it, and the run.
    runs: Vec<(usize, usize, u64)>,
    /// Words of each text.
    words: Vec<usize>,
}

impl<'a> Index<'a> {
    /// Of a lock.
    pub fn of(lock: &'a Lock) -> Index<'a> {
        let records = || lock.records.iter().enumerate();
        let mut passages = vec![];
        let mut runs = vec![];
        for (of, record) in records() {
            for passage in std::iter::once(&record.passage).chain(&record.others) {
                runs.extend(passage.runs.iter().map(|run| (*run, passages.len() as u32)));
                passages.push((of, passage.words));
            }
        }
        runs.par_sort_unstable();
        let signatures: Vec<(&Signature, usize)> =
            records().filter_map(|(of, record)| Some((record.signature.as_ref()?, of))).collect();
        let (count, rows) = if lock.similar < IN_BANDS { (0, 0) } else { bands(lock.similar - MARGIN) };
        let band = |band: usize| {
            let mut keys: Vec<(u64, u32)> = signatures.iter().map(|(own, _)| own.band(band, rows)).zip(0..).collect();
            keys.sort_unstable();
            keys
        };
        Index {
            ids: records().map(|(of, record)| (record.id.as_str(), of)).collect(),
            accounts: lock.records.iter().filter_map(|record| record.account.as_deref()).collect(),
            wholes: records().filter_map(|(of, record)| Some((record.text.as_deref()?, of))).collect(),
            bands: (0..count).into_par_iter().map(band).collect(),
            lock,
            passages,
            runs,
            signatures,
            rows,
        }
    }

    /// The number of the locked record with this id.
    pub fn id(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// The id of a locked record.
    pub fn name(&self, of: usize) -> &'a str {
        &self.lock.records[of].id
    }

    /// Whether a locked record is of this account.
    pub fn has_account(&self, account: &str) -> bool {
        self.accounts.contains(account)
    }

    /// Whether one record, or a text that is to be shown to a model, is locked: an example in a prompt, what was generated.
    pub fn holds(&self, known: &Known) -> Option<Held> {
        if self.id(&known.id).is_some() {
            return Some(Held::Id);
        }
        let found = self.look(0, known);
        if let Some(copy) = self.best(&found, known, &HashSet::new()) {
            return Some(Held::Copy(self.name(copy.of).to_owned(), copy.likeness));
        }
        known.account.as_deref().filter(|account| self.has_account(account)).map(|_| Held::Account)
    }

    /// Records that are copies of locked ones, each with the one that it resembles most. A run of words that so many records
    /// have as `stock` isn't looked at.
    ///
    /// # Errors
    /// Whatever `read` says.
    pub fn copies(&self, count: usize, read: Read, stock: usize) -> Result<Vec<Copy>> {
        let look = |at: usize| -> Result<Option<Found>> {
            let found = self.look(at, &read(at)?);
            let is_any = found.same.is_some() || found.similar.is_some() || !found.runs.is_empty();
            Ok(Some(found).filter(|_| is_any))
        };
        let found: Vec<Option<Found>> = (0..count).into_par_iter().map(look).collect::<Result<_>>()?;
        let found: Vec<Found> = found.into_iter().flatten().collect();
        let mut have: Vec<(u64, usize)> =
            found.iter().flat_map(|found| found.runs.iter().map(|(.., run)| (*run, found.at))).collect();
        have.sort_unstable();
        have.dedup();
        let of_many = have.chunk_by(|a, b| a.0 == b.0).filter(|have| have.len() >= stock);
        let stock: HashSet<u64> = of_many.map(|have| have[0].0).collect();
        let copies = found.par_iter().map(|found| Ok(self.best(found, &read(found.at)?, &stock)));
        let copies: Vec<Option<Copy>> = copies.collect::<Result<_>>()?;
        Ok(copies.into_iter().flatten().collect())
    }

    fn look(&self, at: usize, known: &Known) -> Found {
        let mut found = Found { at, same: None, similar: None, runs: vec![], words: vec![] };
        for (text, written) in std::iter::once(&known.text).chain(&known.others).enumerate() {
            let words = folded(written);
            for (place, run) in runs(&words).into_iter().enumerate() {
                if self.runs.binary_search_by_key(&run, |(run, _)| *run).is_ok() {
                    found.runs.push((text, place, run));
                }
            }
            found.words.push(words.len());
            if text == 0 && !words.is_empty() {
                found.same = self.wholes.get(sha256(words.concat().as_bytes()).as_str()).copied();
                found.similar = Signature::of(&shingles(&words)).and_then(|own| self.similar(&own, words.len()));
            }
        }
        found
    }

    /// The locked record whose letters are most similar, where they are enough.
    fn similar(&self, own: &Signature, words: usize) -> Option<(usize, f64)> {
        let met = self.bands.iter().enumerate().flat_map(|(band, keys)| {
            let key = own.band(band, self.rows);
            let first = keys.partition_point(|(other, _)| *other < key);
            keys[first..].iter().take_while(move |(other, _)| *other == key).map(|(_, at)| *at as usize)
        });
        let all = 0..if self.bands.is_empty() { self.signatures.len() } else { 0 };
        let agreed = met.chain(all).map(|at| (self.signatures[at].0.agreement(own), self.signatures[at].1));
        let least = agreement(enough(self.lock.similar, [words; 2]));
        let is_copy = |(agreed, of): &(usize, usize)| {
            let of_both = || enough(self.lock.similar, [words, self.lock.records[*of].passage.words]);
            *agreed >= least && similarity(*agreed) >= of_both()
        };
        // Of several the first.
        let best = agreed.filter(is_copy).max_by_key(|(agreed, of)| (*agreed, std::cmp::Reverse(*of)))?;
        Some((best.1, similarity(best.0)))
    }

    fn best(&self, found: &Found, known: &Known, stock: &HashSet<u64>) -> Option<Copy> {
        let at = found.at;
        if let Some(of) = found.same {
            return Some(Copy { at, of, likeness: Likeness::Same });
        }
        let mut starts: BTreeMap<(usize, u32), Vec<usize>> = BTreeMap::new();
        for (text, place, run) in found.runs.iter().filter(|(.., run)| !stock.contains(run)) {
            let first = self.runs.partition_point(|(other, _)| other < run);
            for (_, passage) in self.runs[first..].iter().take_while(|(other, _)| other == run) {
                let of = starts.entry((*text, *passage)).or_default();
                // A run may stand in a passage twice.
                if of.last() != Some(place) {
                    of.push(*place);
                }
            }
        }
        let counted = starts.iter().map(|((text, passage), starts)| (*text, *passage, covered(starts), starts[0]));
        let enough = counted.filter(|(text, passage, count, _)| {
            let words = found.words[*text].min(self.passages[*passage as usize].1);
            *count as f64 >= PART * words as f64
        });
        if let Some((text, passage, count, first)) = enough.max_by_key(|(.., count, _)| *count) {
            let written = std::iter::once(&known.text).chain(&known.others).nth(text)?;
            let run = folded(written)[first..first + RUN].join(" ");
            return Some(Copy { at, of: self.passages[passage as usize].0, likeness: Likeness::Part(count, run) });
        }
        found.similar.map(|(of, share)| Copy { at, of, likeness: Likeness::Similar(share) })
    }
}
