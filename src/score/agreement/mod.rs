//! How far people agree who answered the same question about the same items.
//!
//! A tally counts all answers. Coefficients are made of it, and their intervals of what it says without one account at a
//! time.

mod categories;
mod coefficient;
mod sample;
mod support;
mod tally;
#[cfg(test)]
mod tests;

pub use self::coefficient::Coefficient;
use self::sample::Sample;
use self::tally::pairs;
use super::interval::CONFIDENCE;
use crate::scores::{Agreement, PairAgreement};

/// What annotators answered about items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgements {
    /// Who answered.
    pub annotators: Vec<String>,
    /// How many answers there are to choose from; those that nobody chose count.
    pub categories: usize,
    /// `[items, annotators]`: the number of the category; `None` where there is no answer.
    pub answers: Vec<Option<u16>>,
    /// `[items]`: whose each item is; `None` where it isn't known.
    pub accounts: Vec<Option<u32>>,
}

/// Whether categories have an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Labels.
    Nominal,
    /// Ratings: two that are further apart agree less.
    Ordinal,
}

impl Judgements {
    /// Of two annotators alone.
    fn of_pair(&self, a: usize, b: usize) -> Judgements {
        let of_both = |item: &[Option<u16>]| [item[a], item[b]];
        Judgements {
            annotators: vec![self.annotators[a].clone(), self.annotators[b].clone()],
            categories: self.categories,
            answers: self.items().flat_map(of_both).collect(),
            accounts: self.accounts.clone(),
        }
    }

    fn items(&self) -> impl Iterator<Item = &[Option<u16>]> {
        self.answers.chunks_exact(self.annotators.len().max(1))
    }
}

/// How far annotators agree, over all and each two of them.
///
/// # Panics
/// Where an answer is none of the categories.
pub fn agreement(judgements: &Judgements, scale: Scale) -> Agreement {
    let of_pair = |(a, b): (usize, usize)| {
        let both = judgements.of_pair(a, b);
        let sample = Sample::of(&both);
        let width = judgements.categories;
        let confusion = sample.tally.pairs[0].chunks(width.max(1)).map(|row| row.iter().map(|n| *n as usize).collect());
        PairAgreement {
            a: judgements.annotators[a].clone(),
            b: judgements.annotators[b].clone(),
            items: sample.tally.items() as usize,
            metrics: sample.metrics(scale),
            confusion: confusion.collect(),
        }
    };
    let sample = Sample::of(judgements);
    Agreement {
        annotators: judgements.annotators.clone(),
        items: sample.tally.items() as usize,
        metrics: sample.metrics(scale),
        pairs: pairs(judgements.annotators.len()).map(of_pair).collect(),
        sampling: sample.sampling(),
        signature: signature(judgements, scale, sample.unit),
    }
}

/// Parts `key:value` joined by `|`, behind the keys of the coefficients.
fn signature(judgements: &Judgements, scale: Scale, unit: &str) -> String {
    let keys: Vec<&str> = scale.coefficients().iter().map(|coefficient| coefficient.key).collect();
    let (annotators, categories) = (judgements.annotators.len(), judgements.categories);
    let scale = match scale {
        Scale::Nominal => "nominal",
        Scale::Ordinal => "ordinal,weights:quadratic",
    };
    format!(
        "{}|scale:{scale}|annotators:{annotators}|categories:{categories}|pairs:mean|ci:jackknife|level:{CONFIDENCE}|cluster:{unit}|v:{}",
        keys.join(","),
        env!("CARGO_PKG_VERSION")
    )
}
