//! Groups → parts: each group whole, sizes and labels as near to the wish as groups allow.

use crate::data::dedup::fold::mixed;

/// What is known of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Records that count: a part's size is the sum of these.
    pub weight: usize,
    /// Stratum and how many of these records are in it, each stratum once.
    pub strata: Vec<(u16, u32)>,
    /// The same whatever the order of records.
    pub key: u64,
}

/// The part of each group; those of no weight are in the first. `wanted` are the parts' sizes, which add up to the weight of all groups; a part of which nothing is
/// wanted gets nothing.
///
/// Groups are given away by size, the largest first, and those of one size class by their rarest stratum (as in iterative
/// stratification, Sechidis et al. 2011), then in an order drawn by `seed`. Each goes where the sum over parts and strata of
/// (count − wanted)² / wanted grows least; all records are one stratum more. Small groups are then moved until sizes fit.
pub fn assign(groups: &[Group], wanted: &[f64], strata: usize, seed: u64) -> Vec<usize> {
    let mut ledger = Ledger::new(groups, wanted, strata);
    let rarest = |group: &Group| {
        group.strata.iter().map(|(stratum, _)| ledger.totals[usize::from(*stratum)] as u64).min().unwrap_or(u64::MAX)
    };
    let mut order: Vec<(u32, u64, u64, usize)> = groups
        .iter()
        .enumerate()
        .map(|(at, group)| (group.weight.leading_zeros(), rarest(group), mixed(group.key, seed), at))
        .collect();
    order.sort_unstable();
    let mut parts = vec![0; groups.len()];
    let open: Vec<usize> = (0..wanted.len()).filter(|part| wanted[*part] > 0.0).collect();
    for (.., at) in order {
        let group = &groups[at];
        // What doesn't count stays in the first part.
        if group.weight == 0 {
            continue;
        }
        // Ties go to a part drawn by the group's own number.
        let costs = open.iter().map(|part| (ledger.cost(group, *part), mixed(group.key ^ *part as u64, seed), *part));
        if let Some((.., part)) = costs.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) {
            parts[at] = part;
            ledger.add(group, part, 1.0);
        }
    }
    for from in &open {
        for to in &open {
            ledger.even(groups, &mut parts, (*from, *to), seed);
        }
    }
    parts
}

/// What is wanted and what there is, by part and stratum; the last stratum is all records.
struct Ledger {
    totals: Vec<f64>,
    wanted: Vec<Vec<f64>>,
    counts: Vec<Vec<f64>>,
}

impl Ledger {
    fn new(groups: &[Group], wanted: &[f64], strata: usize) -> Ledger {
        let mut totals = vec![0.0; strata + 1];
        for group in groups {
            group.strata.iter().for_each(|(stratum, count)| totals[usize::from(*stratum)] += f64::from(*count));
            totals[strata] += group.weight as f64;
        }
        let share = |wanted: &f64| wanted / totals[strata].max(1.0);
        let of = |part: &f64| totals.iter().map(|total| total * share(part)).collect();
        let counts = vec![vec![0.0; strata + 1]; wanted.len()];
        Ledger { wanted: wanted.iter().map(of).collect(), counts, totals }
    }

    /// A group's counts, with all its records as the last one.
    fn counts<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = (usize, f64)> + 'a {
        let strata = group.strata.iter().map(|(stratum, count)| (usize::from(*stratum), f64::from(*count)));
        strata.chain([(self.totals.len() - 1, group.weight as f64)])
    }

    /// How much the sum grows with a group in a part.
    fn cost(&self, group: &Group, part: usize) -> f64 {
        let grown = |(stratum, count): (usize, f64)| {
            let wanted = self.wanted[part][stratum];
            count * (2.0 * (self.counts[part][stratum] - wanted) + count) / wanted.max(f64::MIN_POSITIVE)
        };
        self.counts(group).map(grown).sum()
    }

    fn add(&mut self, group: &Group, part: usize, times: f64) {
        let counts: Vec<(usize, f64)> = self.counts(group).collect();
        counts.into_iter().for_each(|(stratum, count)| self.counts[part][stratum] += times * count);
    }

    /// By how many records a part is too large.
    fn surplus(&self, part: usize) -> f64 {
        let all = self.totals.len() - 1;
        self.counts[part][all] - self.wanted[part][all].round()
    }

    /// Moves small groups from a part that is too large to one that is too small; those first that do its labels most good.
    fn even(&mut self, groups: &[Group], parts: &mut [usize], (from, to): (usize, usize), seed: u64) {
        let room = |ledger: &Ledger| ledger.surplus(from).min(-ledger.surplus(to));
        if room(self) < 1.0 {
            return;
        }
        let fits = |group: &Group, room: f64| group.weight > 0 && group.weight as f64 <= room;
        let movable = |at: &usize| parts[*at] == from && fits(&groups[*at], room(self));
        let mut movable: Vec<(f64, u64, usize)> = (0..groups.len())
            .filter(movable)
            .map(|at| {
                let group = &groups[at];
                let grown = |part: usize, times: f64| {
                    let of = |(stratum, count): (usize, f64)| {
                        let off = self.counts[part][stratum] - self.wanted[part][stratum];
                        count * (2.0 * times * off + count) / self.wanted[part][stratum].max(f64::MIN_POSITIVE)
                    };
                    self.counts(group).map(of).sum::<f64>()
                };
                ((grown(to, 1.0) + grown(from, -1.0)) / group.weight as f64, mixed(group.key, seed), at)
            })
            .collect();
        movable.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (.., at) in movable {
            if fits(&groups[at], room(self)) {
                parts[at] = to;
                self.add(&groups[at], from, -1.0);
                self.add(&groups[at], to, 1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(key: u64, weight: usize, label: u16) -> Group {
        Group { weight, strata: vec![(label, weight as u32)], key }
    }

    fn sizes(groups: &[Group], parts: &[usize], count: usize) -> Vec<usize> {
        let size =
            |part| groups.iter().zip(parts).filter(|(_, own)| **own == part).map(|(group, _)| group.weight).sum();
        (0..count).map(size).collect()
    }

    #[test]
    fn one_large_account_leaves_the_test_part_its_size() {
        let mut groups: Vec<Group> = (0..400).map(|key| group(key, 1, (key % 4) as u16)).collect();
        groups.push(group(999, 600, 0));
        let parts = assign(&groups, &[800.0, 100.0, 100.0], 4, 42);
        assert_eq!(sizes(&groups, &parts, 3), [800, 100, 100]);
        assert_eq!(parts[400], 0);
        // Larger than all that is wanted of its part: the others share what is left.
        groups.truncate(100);
        groups.push(group(999, 900, 0));
        let parts = assign(&groups, &[500.0, 250.0, 250.0], 4, 42);
        let sizes = sizes(&groups, &parts, 3);
        assert!(sizes[0] == 900 && sizes[1].abs_diff(sizes[2]) <= 10, "{sizes:?}");
    }

    #[test]
    fn a_part_of_nothing_gets_nothing() {
        let mut groups: Vec<Group> = (0..30).map(|key| group(key, 1, 0)).collect();
        let parts = assign(&groups, &[20.0, 0.0, 10.0], 1, 1);
        assert_eq!(sizes(&groups, &parts, 3), [20, 0, 10]);
        let parts = assign(&groups, &[30.0, 0.0, 0.0], 1, 1);
        assert_eq!(sizes(&groups, &parts, 3), [30, 0, 0]);
        groups.extend((30..60).map(|key| Group { weight: 0, strata: vec![], key }));
        assert_eq!(assign(&groups, &[10.0, 10.0, 10.0], 1, 1)[30..], [0; 30]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// With small groups sizes are met, and each label is near its share.
        #[test]
        fn sizes_and_labels_are_near_the_wish(
            seed in any::<u64>(),
            rows in prop::collection::vec((1usize..4, 0u16..5), 200..400),
        ) {
            let mut groups: Vec<Group> =
                rows.iter().zip(0..).map(|((weight, label), key)| group(key, *weight, *label)).collect();
            let all: usize = groups.iter().map(|group| group.weight).sum();
            let wanted = [0.8, 0.1, 0.1].map(|share| (share * all as f64).round());
            let parts = assign(&groups, &wanted, 5, seed);
            let found = sizes(&groups, &parts, 3);
            for (found, wanted) in found.iter().zip(wanted) {
                prop_assert!((*found as f64 - wanted).abs() <= 2.0, "{} of {}", found, wanted);
            }
            for label in 0..5 {
                let of: Vec<Group> = groups.iter().filter(|group| group.strata[0].0 == label).cloned().collect();
                let own: Vec<usize> = groups.iter().zip(&parts).filter(|(group, _)| group.strata[0].0 == label)
                    .map(|(_, part)| *part).collect();
                let total: usize = of.iter().map(|group| group.weight).sum();
                for (found, share) in sizes(&of, &own, 3).iter().zip([0.8, 0.1, 0.1]) {
                    prop_assert!((*found as f64 - share * total as f64).abs() <= 6.0, "{}: {} of {}", label, found, total);
                }
            }
            // The order in which groups come changes nothing.
            let by_key: Vec<(u64, usize)> = groups.iter().zip(&parts).map(|(group, part)| (group.key, *part)).collect();
            groups.reverse();
            let again = assign(&groups, &wanted, 5, seed);
            let mut again: Vec<(u64, usize)> = groups.iter().zip(again).map(|(group, part)| (group.key, part)).collect();
            again.reverse();
            prop_assert_eq!(by_key, again);
        }
    }
}
