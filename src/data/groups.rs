//! Records that must stay together, and what ties them.

/// What ties two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// Both are of one account.
    Account,
    /// Their accounts have posted together.
    Collaborators,
    /// One is a near copy of the other.
    Copies,
}

/// Disjoint sets (Tarjan 1975), joined by size.
#[derive(Debug)]
pub struct Groups {
    parent: Vec<u32>,
    size: Vec<u32>,
    /// Each tie that put two groups together, with a member.
    pub ties: Vec<(usize, Tie)>,
}

impl Groups {
    /// Each by itself.
    pub fn new(count: usize) -> Groups {
        Groups { parent: (0..count as u32).collect(), size: vec![1; count], ties: vec![] }
    }

    /// What stands for the group of a member.
    pub fn root(&self, member: usize) -> usize {
        let mut at = member as u32;
        while self.parent[at as usize] != at {
            at = self.parent[at as usize];
        }
        at as usize
    }

    /// Puts the groups of two members together; `false` where they are one already.
    pub fn join(&mut self, a: usize, b: usize, tie: Tie) -> bool {
        let (mut small, mut large) = (self.root(a), self.root(b));
        // Next time the way is short.
        (self.parent[a], self.parent[b]) = (small as u32, large as u32);
        if small == large {
            return false;
        }
        if self.size[small] > self.size[large] {
            std::mem::swap(&mut small, &mut large);
        }
        self.parent[small] = large as u32;
        self.size[large] += self.size[small];
        self.ties.push((large, tie));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the slow way: everything is relabelled at each join.
        #[test]
        fn groups_are_what_is_connected(pairs in prop::collection::vec((0usize..40, 0usize..40), 0..60)) {
            let mut groups = Groups::new(40);
            let mut labels: Vec<usize> = (0..40).collect();
            for (a, b) in pairs {
                let (from, to) = (labels[a], labels[b]);
                prop_assert_eq!(groups.join(a, b, Tie::Copies), from != to);
                labels.iter_mut().filter(|label| **label == from).for_each(|label| *label = to);
            }
            for a in 0..40 {
                for b in 0..40 {
                    prop_assert_eq!(groups.root(a) == groups.root(b), labels[a] == labels[b]);
                }
            }
            let distinct: std::collections::BTreeSet<usize> = labels.into_iter().collect();
            prop_assert_eq!(groups.ties.len(), 40 - distinct.len());
        }
    }
}
