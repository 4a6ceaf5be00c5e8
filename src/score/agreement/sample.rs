//! Answers by account, and what leaving out one account at a time tells.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::categories::Categories;
use super::coefficient::{Coefficient, Scope};
use super::support::Support;
use super::tally::{Item, Tally};
use super::{Judgements, Scale};
use crate::score::spread::Spread;
use crate::scores::{Metric, Sampling};

/// All items that have an answer.
pub(super) struct Sample<'a> {
    judgements: &'a Judgements,
    /// What is left out: an account where any is known, else an item.
    pub unit: &'static str,
    /// The items of each cluster. One of an unknown account is a cluster of its own.
    clusters: Vec<Vec<&'a Item>>,
    /// How many clusters at the front are accounts that are known; 0 where none is.
    known: usize,
    pub tally: Tally,
}

impl<'a> Sample<'a> {
    pub fn of(judgements: &'a Judgements) -> Sample<'a> {
        let mut tally = Tally::new(judgements.annotators.len(), judgements.categories);
        let mut by_account: IndexMap<u32, Vec<&Item>> = IndexMap::new();
        let mut alone = Vec::new();
        let answered = judgements.items().zip(&judgements.accounts).filter(|(item, _)| answers(item) > 0);
        for (item, account) in answered {
            tally.add(item, 1);
            match account {
                Some(account) => by_account.entry(*account).or_default().push(item),
                None => alone.push(vec![item]),
            }
        }
        let known = by_account.len();
        let unit = if known > 0 { "account" } else { "reel" };
        Sample { judgements, unit, clusters: by_account.into_values().chain(alone).collect(), known, tally }
    }

    /// Every coefficient of the scale by its key.
    pub fn metrics(&self, scale: Scale) -> IndexMap<String, Metric> {
        let coefficients = scale.coefficients();
        let mut left_out = vec![Vec::with_capacity(self.clusters.len()); coefficients.len()];
        let mut tally = self.tally.clone();
        for cluster in &self.clusters {
            cluster.iter().for_each(|item| tally.add(item, -1));
            for (column, coefficient) in left_out.iter_mut().zip(coefficients) {
                column.push((coefficient.of)(&tally));
            }
            cluster.iter().for_each(|item| tally.add(item, 1));
        }
        let none = Tally::new(self.judgements.annotators.len(), self.judgements.categories);
        let categories = Categories::of(&self.clusters, none);
        let of = |(coefficient, left_out): (&Coefficient, Vec<f64>)| {
            (coefficient.key.to_owned(), self.metric(coefficient, &left_out, &categories))
        };
        coefficients.iter().zip(left_out).map(of).collect()
    }

    fn metric(&self, coefficient: &Coefficient, left_out: &[f64], categories: &Categories) -> Metric {
        let counts = |item: &Item| match coefficient.scope {
            Scope::Compared => answers(item) > 1,
            Scope::Complete => answers(item) == item.len() && item.len() > 1,
        };
        let of_cluster = |cluster: &Vec<&Item>| cluster.iter().filter(|item| counts(item)).count();
        let sizes: Vec<usize> = self.clusters.iter().map(of_cluster).collect();
        let has_items = |size: &&usize| **size > 0;
        let known = if self.known > 0 { self.known } else { sizes.len() };
        let support = Support {
            coefficient,
            tally: &self.tally,
            categories,
            unit: self.unit,
            known: sizes[..known].iter().filter(has_items).count(),
            sizes: sizes.iter().map(|size| *size as f64).collect(),
        };
        let value = (coefficient.of)(&self.tally);
        let interval = support.interval(value, left_out);
        Metric {
            value,
            low: interval.low,
            high: interval.high,
            withheld: interval.withheld,
            n: sizes.iter().sum(),
            clusters: sizes.iter().filter(has_items).count(),
            method: interval.method,
            bootstrap: None,
            note: coefficient.note(&self.tally, &self.judgements.annotators),
        }
    }

    /// What was drawn; the design effect is that of the percent agreement.
    pub fn sampling(&self) -> Option<Sampling> {
        let compared = |cluster: &Vec<&Item>| cluster.iter().filter(|item| answers(item) > 1).count();
        let sizes: Vec<usize> = self.clusters.iter().map(compared).collect();
        let items = sizes.iter().sum::<usize>();
        let of_cluster = |(at, cluster): (usize, &Vec<&'a Item>)| {
            cluster.iter().filter_map(move |item| Some((at as u32, agreeing(item)?))).collect::<Vec<_>>()
        };
        let shares: Vec<(u32, f64)> = self.clusters.iter().enumerate().flat_map(of_cluster).collect();
        let unknown = if self.known > 0 { sizes[self.known..].iter().sum() } else { 0 };
        (items > 0).then(|| Sampling {
            unit: self.unit.to_owned(),
            unknown_accounts: unknown,
            clusters: sizes.iter().filter(|size| **size > 0).count(),
            largest_share: sizes.iter().max().copied().unwrap_or(0) as f64 / items as f64,
            design_effect: Spread::of(&shares).design_effect(),
        })
    }
}

fn answers(item: &Item) -> usize {
    item.iter().flatten().count()
}

/// The share of agreeing pairs of answers; `None` of less than two answers.
fn agreeing(item: &Item) -> Option<f64> {
    let mut counts: HashMap<u16, usize> = HashMap::new();
    item.iter().flatten().for_each(|category| *counts.entry(*category).or_default() += 1);
    let pairs = |count: usize| count * count.saturating_sub(1);
    let all = pairs(answers(item));
    (all > 0).then(|| counts.values().map(|count| pairs(*count)).sum::<usize>() as f64 / all as f64)
}
