//! The arms of an ablation: what each learns from, as `ablation.json` holds it.

use serde::{Deserialize, Serialize};

use crate::reel::Reel;
use crate::run::sha256;

/// Shares of the real records that a learning curve is drawn through, beside all of them.
const PARTS: [f64; 3] = [0.25, 0.5, 0.75];

/// `ablation.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ablation {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the name says it")]
    pub crate_version: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub made_at: String,
    /// `None` until all arms have answered.
    pub finished_at: Option<String>,
    /// Who learned: a baseline's name, or the folder of a base.
    pub student: String,
    /// What of its training was set, by the flags and the settings file.
    pub training: serde_json::Value,
    /// Records of people that all arms learn from.
    pub real: Source,
    /// What all arms are judged by.
    pub test: Source,
    /// SHA-256 of the filtered rows.
    pub rows_sha256: String,
    /// Rows that are kept of them.
    pub kept: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub prompts_sha256: String,
    /// Of the arms that a seed changes.
    pub seeds: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub arms: Vec<Arm>,
    /// Arms that couldn't be had of these records, with why.
    pub without: Vec<[String; 2]>,
}

/// A file of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Source {
    pub path: String,
    pub sha256: String,
    pub records: usize,
}

/// What is trained and judged, with each seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Of its folder, too.
    pub name: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub kind: Kind,
    /// Real records that it learns from.
    pub real: usize,
    /// Records beside them: generated ones, or the real ones once more with the student's own answers.
    pub more: usize,
    /// Runs that it has: one where no seed changes anything.
    pub seeds: usize,
    /// Steps of each training; absent where the student has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Of all its runs.
    pub seconds: f64,
}

/// What an arm is for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The most frequent label of the real records.
    Majority,
    /// TF-IDF on the real records, beside a student that is a language model.
    TfIdf,
    /// A share of the real records, for the learning curve.
    Part(f64),
    /// All real records: what the others are measured against.
    Real,
    /// The same with as many steps as the largest mix has; without steps, again and again until they are as many records.
    Steps,
    /// The same, and once more with the answers of a student that learned from them: as much training, and no new text.
    #[serde(rename = "self")]
    Itself,
    /// With so many generated rows for each real one.
    Generated(f64),
}

impl Kind {
    /// Of an arm's folder.
    pub fn name(self) -> String {
        match self {
            Kind::Majority => "majority".to_owned(),
            Kind::TfIdf => "tfidf".to_owned(),
            Kind::Part(share) => format!("real-{:.0}", 100.0 * share),
            Kind::Real => "real".to_owned(),
            Kind::Steps => "real-steps".to_owned(),
            Kind::Itself => "self".to_owned(),
            Kind::Generated(ratio) => format!("x{ratio}"),
        }
    }
}

/// The arms in the order in which one can need what another one made; `has_steps` where the student is trained step by step.
pub fn kinds(ratios: &[f64], has_steps: bool) -> Vec<Kind> {
    let mut kinds = vec![Kind::Majority];
    kinds.extend(has_steps.then_some(Kind::TfIdf));
    kinds.extend(PARTS.map(Kind::Part));
    kinds.extend([Kind::Real, Kind::Itself]);
    kinds.extend(ratios.iter().copied().map(Kind::Generated));
    kinds.extend((!ratios.is_empty()).then_some(Kind::Steps));
    kinds
}

/// So many rows for each real record, by chance; of a larger ratio these too. Fewer where there are no more.
pub fn drawn(kept: &[Reel], real: usize, ratio: f64, seed: u64) -> Vec<Reel> {
    let mut rows = shuffled(kept, "build", seed);
    rows.truncate(wanted(real, ratio));
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

/// How many rows a ratio takes.
pub fn wanted(real: usize, ratio: f64) -> usize {
    (real as f64 * ratio).round() as usize
}

/// A share of the records, by chance; of a larger share these too.
pub fn part(real: &[Reel], share: f64, seed: u64) -> Vec<Reel> {
    let mut records = shuffled(real, "part", seed);
    records.truncate((real.len() as f64 * share).round().max(1.0) as usize);
    records.sort_by(|a, b| a.id.cmp(&b.id));
    records
}

fn shuffled(records: &[Reel], what: &str, seed: u64) -> Vec<Reel> {
    let mut records = records.to_vec();
    records.sort_by_cached_key(|record| sha256(format!("gal {what}\n{seed}\n{}", record.id).as_bytes()));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_of_a_seed_holds_less_of_it() {
        let of = |id: usize| Reel { id: format!("r{id:02}"), ..Reel::default() };
        let all: Vec<Reel> = (0..40).map(of).collect();
        let ids = |reels: Vec<Reel>| reels.into_iter().map(|reel| reel.id).collect::<Vec<_>>();
        let [few, more, other] = [(0.5, 1), (1.5, 1), (0.5, 2)].map(|(ratio, seed)| ids(drawn(&all, 10, ratio, seed)));
        assert_eq!([few.len(), more.len()], [5, 15]);
        assert!(few.iter().all(|id| more.contains(id)) && few != other);
        let [quarter, half] = [0.25, 0.5].map(|share| ids(part(&all, share, 3)));
        assert!(quarter.len() == 10 && quarter.iter().all(|id| half.contains(id)));
    }
}
