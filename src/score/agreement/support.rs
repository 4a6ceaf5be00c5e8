//! Which intervals of agreement hold.
//!
//! The rules are those that `tests/coverage` passes with; they use nothing but what is known of the answers.

use super::categories::Categories;
use super::coefficient::{Coefficient, percent_agreement};
use super::tally::Tally;
use crate::score::interval::{Interval, degrees_of_freedom, effective, jackknife_error, t_interval, wilson};
use crate::score::support::too_few;

/// With fewer accounts than this no interval is shown.
const ACCOUNTS: usize = 10;
/// Of so few accounts it isn't known how often answers other than the most common one are (chosen by simulation, as what
/// follows).
const OTHERS: f64 = 5.0;
/// With fewer accounts that disagree than this, if all their items were, there may be more than are seen.
const DISAGREEING: f64 = 2.0;
/// In so many accounts a category has to be agreed on for that to be seen.
const AGREED: usize = 2;

/// What an interval is made from.
pub(super) struct Support<'a> {
    pub coefficient: &'a Coefficient,
    pub tally: &'a Tally,
    pub categories: &'a Categories,
    /// What a cluster is.
    pub unit: &'a str,
    /// How many clusters are known to be ones.
    pub known: usize,
    /// By cluster, the items that the coefficient is over.
    pub sizes: Vec<f64>,
}

impl Support<'_> {
    /// From the coefficient's value, and what it is without each of the clusters.
    pub fn interval(&self, value: f64, left_out: &[f64]) -> Interval {
        if let Some(why) = self.withheld(value) {
            return Interval::withheld(value, why);
        }
        if self.coefficient.is_rate() && (value == 0.0 || value == 1.0) {
            // Nothing varies; a cluster counts as one item.
            return wilson(value, effective(&self.sizes));
        }
        let error = jackknife_error(left_out, &self.sizes).hypot(self.unseen_variance(value).sqrt());
        let interval = t_interval(value, error, self.coefficient.range, degrees_of_freedom(&self.sizes));
        self.with_alike_accounts(interval)
    }

    /// Not narrower than if all items of an account were agreed on or none was, where so few accounts would disagree that
    /// there may be more than are seen.
    fn with_alike_accounts(&self, interval: Interval) -> Interval {
        let (accounts, agreeing) = (effective(&self.sizes), percent_agreement(self.tally));
        let is_seen = agreeing == 0.0 || accounts * (1.0 - agreeing) >= DISAGREEING;
        if interval.withheld.is_some() || agreeing == 1.0 || is_seen {
            return interval;
        }
        let alike = wilson(agreeing, accounts);
        let least = self.coefficient.range.unscaled(f64::NEG_INFINITY);
        // As many times the disagreement.
        let of = |bound: f64| (1.0 - (1.0 - interval.value) * (1.0 - bound) / (1.0 - agreeing)).max(least);
        let (low, high) = (of(alike.low), of(alike.high));
        let method = if low < interval.low { alike.method } else { interval.method };
        Interval { low: low.min(interval.low), high: high.max(interval.high), method, ..interval }
    }

    fn withheld(&self, value: f64) -> Option<String> {
        let (width, absent, strays) = (self.tally.categories, self.tally.absent(), self.categories.strays());
        if value.is_nan() {
            return Some("the value is not defined".into());
        }
        if self.known < ACCOUNTS {
            return Some(too_few(self.known, self.unit, ACCOUNTS));
        }
        let accounts = effective(&self.sizes);
        if self.coefficient.hangs_on_rare && accounts * self.categories.other() < OTHERS {
            return Some(format!(
                "{:.0} % of the answers are the same, and {accounts:.0} {}s are too few to tell how often others are",
                100.0 * (1.0 - self.categories.other()),
                self.unit
            ));
        }
        if self.coefficient.key == "macro_f1" && absent > 0 {
            let by = if self.tally.pairs.len() > 1 { " by each two annotators" } else { "" };
            return Some(format!("{absent} of {width} labels aren’t used{by}"));
        }
        if self.coefficient.key == "macro_f1" && strays > 0 {
            return Some(format!("accounts keep to few labels, and none keeps to {strays} of {width}"));
        }
        (value == 1.0 && !self.coefficient.is_rate()).then(|| "all answers agree".into())
    }

    /// Variance that leaving out clusters doesn't see: what agreement on a category that is hardly ever agreed on would change,
    /// and in the F1 of a category that is always agreed on, a disagreement.
    fn unseen_variance(&self, value: f64) -> f64 {
        if self.coefficient.is_rate() {
            return 0.0;
        }
        let (width, annotators) = (self.tally.categories, self.tally.levels.len() - 1);
        let mut tally = self.tally.clone();
        let mut with = |item: &[Option<u16>]| {
            tally.add(item, 1);
            let changed = (self.coefficient.of)(&tally) - value;
            tally.add(item, -1);
            changed * changed
        };
        let of_category = |category: usize| {
            let mut item = vec![Some(category as u16); annotators];
            let unseen = AGREED.saturating_sub(self.categories.agreed[category]);
            let agreed = if unseen > 0 { unseen as f64 * with(&item) } else { 0.0 };
            if self.coefficient.key == "macro_f1" && self.categories.split[category] == 0 {
                item[0] = Some(((category + 1) % width) as u16);
                return agreed + with(&item);
            }
            agreed
        };
        (0..width).map(of_category).sum()
    }
}
