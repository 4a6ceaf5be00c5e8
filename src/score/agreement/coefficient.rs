//! What is made of the counts. NaN where they don't define it.

use super::Scale;
use super::tally::{Level, Tally, pairs};
use crate::score::metric::Range;

/// A way to say how far annotators agree.
#[derive(Debug)]
pub struct Coefficient {
    /// As [`crate::scores::Agreement::metrics`] has it.
    pub key: &'static str,
    /// As papers write it.
    pub name: &'static str,
    /// [`Range::Unit`] where agreement by chance counts, [`Range::Signed`] where it is taken off.
    pub range: Range,
    pub(super) scope: Scope,
    /// Whether few answers decide it where most are the same.
    pub(super) hangs_on_rare: bool,
    pub(super) of: fn(&Tally) -> f64,
}

/// Which items a coefficient is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those with at least two answers.
    Compared,
    /// Those that all annotators answered.
    Complete,
}

impl Scale {
    /// What is computed, in the order in which it is printed.
    pub fn coefficients(self) -> &'static [Coefficient] {
        match self {
            Scale::Nominal => &NOMINAL,
            Scale::Ordinal => &ORDINAL,
        }
    }
}

impl Coefficient {
    /// Whether it is the mean of what each item has.
    pub(super) fn is_rate(&self) -> bool {
        self.key == PERCENT_AGREEMENT.key
    }

    /// Why there is no value; or what it is by convention, or over.
    pub(super) fn note(&self, tally: &Tally, annotators: &[String]) -> Option<String> {
        let n = annotators.len();
        let is_undefined = (self.of)(tally).is_nan();
        if is_undefined && tally.items() == 0 {
            return Some("not defined: no item has two answers".into());
        }
        match self.key {
            "fleiss_kappa" if is_undefined && tally.levels[n].items == 0 => {
                Some(format!("not defined: no item is answered by all {n}"))
            }
            "cohen_kappa" | "weighted_kappa" if is_undefined => {
                let is_one = |table: &[i64]| {
                    let all: i64 = table.iter().sum();
                    all > 0 && table.iter().step_by(tally.categories + 1).any(|same| *same == all)
                };
                let ((a, b), _) = pairs(n).zip(&tally.pairs).find(|(_, table)| is_one(table))?;
                Some(format!("not defined: {} and {} answer but one thing", annotators[a], annotators[b]))
            }
            "cohen_kappa" | "weighted_kappa" | "macro_f1" if tally.shared().count() < tally.pairs.len() => {
                Some(format!(
                    "the mean of {} of {} pairs; the others have no items in common",
                    tally.shared().count(),
                    tally.pairs.len()
                ))
            }
            "macro_f1" => {
                let (absent, width) = (tally.absent(), tally.categories);
                let by = if n > 2 { " by each two annotators" } else { "" };
                (absent > 0).then(|| format!("{absent} of {width} labels aren’t used{by}; their F1 counts as 0 there"))
            }
            _ => is_undefined.then(|| "not defined: all answers are the same".into()),
        }
    }
}

static NOMINAL: [Coefficient; 6] = [
    PERCENT_AGREEMENT,
    Coefficient { key: "cohen_kappa", name: "Cohen’s kappa", of: cohen_kappa, ..SIGNED },
    Coefficient { key: "fleiss_kappa", name: "Fleiss’ kappa", scope: Scope::Complete, of: fleiss_kappa, ..SIGNED },
    Coefficient { of: nominal_alpha, ..ALPHA },
    Coefficient { key: "gwet_ac1", name: "Gwet’s AC1", hangs_on_rare: false, of: gwet_ac1, ..SIGNED },
    Coefficient { key: "macro_f1", name: "Macro F1", range: Range::Unit, of: macro_f1, ..SIGNED },
];

static ORDINAL: [Coefficient; 3] = [
    PERCENT_AGREEMENT,
    Coefficient { key: "weighted_kappa", name: "Quadratic weighted kappa", of: weighted_kappa, ..SIGNED },
    Coefficient { of: ordinal_alpha, ..ALPHA },
];

const SIGNED: Coefficient = Coefficient {
    key: "",
    name: "",
    range: Range::Signed,
    scope: Scope::Compared,
    hangs_on_rare: true,
    of: |_| f64::NAN,
};
const PERCENT_AGREEMENT: Coefficient = Coefficient {
    key: "percent_agreement",
    name: "Percent agreement",
    range: Range::Unit,
    hangs_on_rare: false,
    of: percent_agreement,
    ..SIGNED
};
const ALPHA: Coefficient = Coefficient { key: "krippendorff_alpha", name: "Krippendorff’s alpha", ..SIGNED };

/// The mean over items of the share of agreeing pairs of annotators.
pub(super) fn percent_agreement(tally: &Tally) -> f64 {
    tally.compared().iter().map(Level::agreeing).sum::<f64>() / tally.items() as f64
}

/// Cohen 1960; of more than two annotators, the mean of each two (Light 1971).
fn cohen_kappa(tally: &Tally) -> f64 {
    mean_of_pairs(tally, |table, width| kappa(table, width, |a, b| f64::from(u8::from(a != b))))
}

/// Cohen 1968, with the square of how far two ratings are apart.
fn weighted_kappa(tally: &Tally) -> f64 {
    mean_of_pairs(tally, |table, width| kappa(table, width, |a, b| a.abs_diff(b).pow(2) as f64))
}

/// One minus observed over expected disagreement.
fn kappa(table: &[i64], width: usize, apart: impl Fn(usize, usize) -> f64) -> f64 {
    let (of_a, of_b) = margins(table, width);
    let n: i64 = of_a.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for a in 0..width {
        for b in 0..width {
            observed += apart(a, b) * table[a * width + b] as f64;
            expected += apart(a, b) * (of_a[a] * of_b[b]) as f64;
        }
    }
    if expected == 0.0 { f64::NAN } else { 1.0 - observed * n as f64 / expected }
}

/// Fleiss 1971, over items that all annotators answered.
fn fleiss_kappa(tally: &Tally) -> f64 {
    let Some(level) = tally.compared().last().filter(|level| level.items > 0) else { return f64::NAN };
    let n = level.items as f64;
    let answers = level.answers as f64 * n;
    let expected: f64 = level.counts.iter().map(|count| (*count as f64 / answers).powi(2)).sum();
    if is_one(&level.counts) { f64::NAN } else { (level.agreeing() / n - expected) / (1.0 - expected) }
}

/// Krippendorff 2004, chapter 11, for categories without an order.
fn nominal_alpha(tally: &Tally) -> f64 {
    alpha(tally, |_, a, b| f64::from(u8::from(a != b)))
}

/// The same for ratings: two are as far apart as there are answers between them.
fn ordinal_alpha(tally: &Tally) -> f64 {
    alpha(tally, |counts, a, b| {
        let between: i64 = counts[a.min(b)..=a.max(b)].iter().sum();
        (between as f64 - (counts[a] + counts[b]) as f64 / 2.0).powi(2)
    })
}

fn alpha(tally: &Tally, apart: impl Fn(&[i64], usize, usize) -> f64) -> f64 {
    let (counts, width) = (tally.counts(), tally.categories);
    let n: i64 = counts.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for a in 0..width {
        for b in (0..width).filter(|b| *b != a && counts[a] * counts[*b] > 0) {
            let of_level = |level: &Level| level.together[a * width + b] as f64 / (level.answers - 1) as f64;
            let apart = apart(&counts, a, b);
            observed += apart * tally.compared().iter().map(of_level).sum::<f64>();
            expected += apart * (counts[a] * counts[b]) as f64;
        }
    }
    if expected == 0.0 { f64::NAN } else { 1.0 - observed * (n - 1) as f64 / expected }
}

/// Gwet 2008. Agreement by chance is over all configured categories, used or not, and over items with one answer too.
fn gwet_ac1(tally: &Tally) -> f64 {
    let answered = &tally.levels[1..];
    let n = answered.iter().map(|level| level.items).sum::<i64>() as f64;
    let share = |category: usize| {
        answered.iter().map(|level| level.counts[category] as f64 / level.answers as f64).sum::<f64>() / n
    };
    let hard: f64 = (0..tally.categories).map(share).map(|share| share * (1.0 - share)).sum();
    let chance = hard / (tally.categories as f64 - 1.0);
    (percent_agreement(tally) - chance) / (1.0 - chance)
}

/// The mean F1 of all configured labels, those that nobody uses counted as 0: the same whoever of the two is the reference.
fn macro_f1(tally: &Tally) -> f64 {
    mean_of_pairs(tally, |table, width| {
        let (of_a, of_b) = margins(table, width);
        let f1 = |label: usize| match of_a[label] + of_b[label] {
            0 => 0.0,
            answers => (2 * table[label * width + label]) as f64 / answers as f64,
        };
        (0..width).map(f1).sum::<f64>() / width as f64
    })
}

/// Of the pairs that have items in common; NaN where one of those isn't defined.
fn mean_of_pairs(tally: &Tally, of: impl Fn(&[i64], usize) -> f64) -> f64 {
    let values: Vec<f64> = tally.shared().map(|table| of(table, tally.categories)).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// What the one answered, and what the other did: `[categories]` each.
fn margins(table: &[i64], width: usize) -> (Vec<i64>, Vec<i64>) {
    let of_a = (0..width).map(|a| table[a * width..][..width].iter().sum());
    let of_b = (0..width).map(|b| table.iter().skip(b).step_by(width).sum());
    (of_a.collect(), of_b.collect())
}

/// Whether there is but one category.
fn is_one(counts: &[i64]) -> bool {
    counts.iter().filter(|count| **count > 0).count() == 1
}
