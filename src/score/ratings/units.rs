//! What varies together: accounts where any is known, and each Reel of an unknown one by itself.

use std::collections::BTreeSet;

use crate::config::ScoreSettings;
use crate::score::bootstrap::{Replicates, ResamplePlan};
use crate::score::significance::{exact_p, randomisation_p};
use crate::score::support::{CLUSTERS_OF_TEXTS, too_few};

/// The units of some rows.
pub(super) struct Units {
    /// By row.
    pub of: Vec<u32>,
    pub count: usize,
    /// How many are known to be ones: where any account is known, Reels of unknown ones may share one.
    known: usize,
    by_account: bool,
}

impl Units {
    /// From Reel and account of each row.
    pub fn of<'a>(rows: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Units {
        let units: Vec<(Option<&str>, &str)> =
            rows.map(|(reel, account)| (account, if account.is_some() { "" } else { reel })).collect();
        // In the order of names, so that the order of rows doesn't matter.
        let names: Vec<_> = units.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let accounts = names.iter().filter(|(account, _)| account.is_some()).count();
        Units {
            of: units.iter().map(|unit| names.partition_point(|name| name < unit) as u32).collect(),
            count: names.len(),
            known: if accounts > 0 { accounts } else { names.len() },
            by_account: accounts > 0,
        }
    }

    pub fn name(&self) -> &'static str {
        if self.by_account { "account" } else { "Reel" }
    }

    /// Why there is no interval.
    pub fn withheld(&self) -> Option<String> {
        (self.known < CLUSTERS_OF_TEXTS).then(|| too_few(self.known, self.name(), CLUSTERS_OF_TEXTS))
    }

    /// Statistics without each unit, and the rows of what is left out. `statistics` gets whether a row is kept.
    pub fn left_out(
        &self,
        width: usize,
        settings: &ScoreSettings,
        statistics: impl Fn(&dyn Fn(usize) -> bool, &mut [f64]) + Sync,
    ) -> (Replicates, Vec<f64>) {
        let left_out = ResamplePlan::new(self.count, settings).jackknife(width, |weights, values| {
            statistics(&|row| weights[self.of[row] as usize] > 0, values);
        });
        let mut sizes = vec![0.0; ResamplePlan::groups(self.count)];
        let groups = sizes.len();
        self.of.iter().for_each(|unit| sizes[*unit as usize % groups] += 1.0);
        (left_out, sizes)
    }

    /// Of the test that flips the signs of all values of a unit together.
    pub fn flipped(&self, values: &[f64], settings: &ScoreSettings) -> Flipped {
        let mut sums = vec![0.0; self.count];
        self.of.iter().zip(values).for_each(|(unit, value)| sums[*unit as usize] += value);
        // What is left of thirds that cancel out is nothing.
        sums.retain(|sum: &f64| sum.abs() > 1e-9);
        let observed = sums.iter().sum::<f64>();
        let differing = sums.len();
        // Of all the ways to flip them, two are as far from 0 as can be.
        let smallest = 0.5f64.powi(differing.saturating_sub(1) as i32);
        if observed.abs() < 1e-9 {
            return Flipped { p: 1.0, smallest, differing };
        }
        let plan = ResamplePlan::new(differing, settings);
        let flip = |chosen: &[u16], value: &mut [f64]| {
            let signed = sums.iter().zip(chosen).map(|(sum, chosen)| if *chosen > 0 { -sum } else { *sum });
            value[0] = signed.sum();
        };
        let drawn = plan.exchanges(1, flip).column(0);
        let p = if plan.has_all_exchanges() {
            exact_p(observed, &drawn)
        } else {
            randomisation_p(observed, drawn.into_iter())
        };
        // Where not all are made, chance may give less.
        Flipped { p: p.max(smallest), smallest, differing }
    }
}

/// What a sign-flip test says.
pub(super) struct Flipped {
    /// Two-sided.
    pub p: f64,
    /// The smallest that it can be.
    pub smallest: f64,
    /// Units with anything to flip.
    pub differing: usize,
}
