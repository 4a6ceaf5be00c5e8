//! The start of prompts that is in the prefill cache, and starts that were there before.

use std::sync::Arc;

use crate::generator::SavedPrefix;

/// Tokens that one sequence of the cache holds, computed part by part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trunk {
    pub tokens: Vec<u32>,
    /// Tokens that prompts to come are likely to begin with too: 0, or the first part.
    pub lead: usize,
    /// Where each part ends; the last one is the length.
    pub cuts: Vec<usize>,
}

impl Trunk {
    /// The part of a prompt that is computed on its trunk.
    pub fn of(tokens: &[u32], lead: usize, cuts: &[usize]) -> Trunk {
        Trunk { tokens: tokens[..cuts.last().copied().unwrap_or(0)].to_vec(), lead, cuts: cuts.to_vec() }
    }

    /// Leading parts that another trunk has too: the same tokens, computed in the same parts.
    pub fn shared_parts(&self, other: &Trunk) -> usize {
        let same = |part: &usize| {
            let end = self.cuts[*part];
            other.cuts.get(*part) == Some(&end) && self.tokens[..end] == other.tokens[..end]
        };
        (0..self.cuts.len()).take_while(same).count()
    }

    /// Keeps so many parts.
    pub fn truncate(&mut self, parts: usize) {
        self.cuts.truncate(parts);
        self.tokens.truncate(self.cuts.last().copied().unwrap_or(0));
    }

    /// Adds the next part of a longer trunk.
    pub fn extend_from(&mut self, longer: &Trunk) {
        let end = longer.cuts[self.cuts.len()];
        self.tokens.extend(&longer.tokens[self.tokens.len()..end]);
        self.cuts.push(end);
        self.lead = longer.lead;
    }
}

/// Leads that were computed, the least recently used one first.
#[derive(Debug)]
pub(super) struct KeptLeads {
    saved: Vec<SavedPrefix>,
    /// [`SavedPrefix::origin`] of what is used here.
    origin: u64,
    /// Bytes of all states, at most.
    most: usize,
}

impl KeptLeads {
    /// Keeps states of one origin, of so many bytes at most.
    pub fn new(origin: u64, most: usize) -> KeptLeads {
        KeptLeads { saved: vec![], origin, most }
    }

    /// Keeps what was computed here.
    pub fn add(&mut self, tokens: &[u32], state: Vec<u8>) {
        self.keep(SavedPrefix { tokens: tokens.into(), state: state.into(), origin: self.origin });
    }

    /// Keeps one of the same origin, and forgets the least recently used ones where they are too many.
    pub fn keep(&mut self, prefix: SavedPrefix) {
        if prefix.origin != self.origin {
            return;
        }
        self.saved.retain(|saved| saved.tokens != prefix.tokens);
        self.saved.push(prefix);
        let mut bytes: usize = self.saved.iter().map(|saved| saved.state.len()).sum();
        while bytes > self.most {
            bytes -= self.saved.remove(0).state.len();
        }
    }

    /// The state of these tokens, which is then the most recently used one.
    pub fn find(&mut self, tokens: &[u32]) -> Option<Arc<[u8]>> {
        let index = self.saved.iter().position(|saved| *saved.tokens == *tokens)?;
        let found = self.saved.remove(index);
        let state = Arc::clone(&found.state);
        self.saved.push(found);
        Some(state)
    }

    pub fn all(&self) -> Vec<SavedPrefix> {
        self.saved.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_shared_when_it_was_computed_alike() {
        let trunk = Trunk::of(&[1, 2, 3, 4, 5], 2, &[2, 4]);
        assert_eq!(trunk.tokens, [1, 2, 3, 4]);
        let shared = |tokens: &[u32], cuts: &[usize]| trunk.shared_parts(&Trunk::of(tokens, 0, cuts));
        assert_eq!(shared(&[1, 2, 3, 4, 9], &[2, 4]), 2);
        assert_eq!(shared(&[1, 2, 9, 4, 9], &[2, 4]), 1);
        assert_eq!(shared(&[1, 2, 3, 4, 9], &[3, 4]), 0, "in other parts its bits may be others");
        assert_eq!(shared(&[1, 2, 3, 4, 9], &[]), 0);
        let mut grown = Trunk::default();
        grown.extend_from(&trunk);
        assert_eq!(grown, Trunk { tokens: vec![1, 2], lead: 2, cuts: vec![2] });
        grown.extend_from(&trunk);
        assert_eq!(grown, trunk);
        grown.truncate(1);
        assert_eq!(grown.tokens, [1, 2]);
    }

    #[test]
    fn the_least_recently_used_lead_goes_first_and_others_never_come() {
        let mut kept = KeptLeads::new(7, 30);
        (1..=3).for_each(|token| kept.add(&[token], vec![0; 10]));
        assert!(kept.find(&[1]).is_some());
        kept.add(&[4], vec![0; 10]);
        assert_eq!([1, 2, 3, 4].map(|token| kept.find(&[token]).is_some()), [true, false, true, true]);
        kept.keep(SavedPrefix { tokens: [5].into(), state: [0].into(), origin: 8 });
        assert!(kept.find(&[5]).is_none());
    }
}
