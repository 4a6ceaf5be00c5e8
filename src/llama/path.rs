//! The start of prompts that is in the prefill cache, and starts that were there before.

use std::sync::Arc;

use crate::generator::SavedPrefix;

/// Bytes of prefixes kept beside the cache: some ten system prompts of a 7B.
const KEPT_BYTES: usize = 256 << 20;

/// Tokens that one sequence of the cache holds, computed part by part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    pub tokens: Vec<u32>,
    /// Where each part ends; the last one is the length.
    pub cuts: Vec<usize>,
}

impl Path {
    /// The part of a prompt that is computed on the path.
    pub fn of(tokens: &[u32], cuts: &[usize]) -> Path {
        Path { tokens: tokens[..cuts.last().copied().unwrap_or(0)].to_vec(), cuts: cuts.to_vec() }
    }

    /// Whether a prompt with its cuts has this path.
    pub fn leads(&self, (tokens, cuts): (&Arc<[u32]>, &[usize])) -> bool {
        *cuts == self.cuts && tokens.starts_with(&self.tokens)
    }

    /// Leading parts that another path has too: the same tokens, computed in the same parts.
    pub fn shared_parts(&self, other: &Path) -> usize {
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

    /// Adds the next part of a longer path.
    pub fn extend_from(&mut self, longer: &Path) {
        let end = longer.cuts[self.cuts.len()];
        self.tokens.extend(&longer.tokens[self.tokens.len()..end]);
        self.cuts.push(end);
    }
}

/// First parts that were computed, the least recently used one first.
#[derive(Debug, Default)]
pub(super) struct KeptPrefixes {
    saved: Vec<SavedPrefix>,
}

impl KeptPrefixes {
    /// Keeps one, and forgets the least recently used ones where they are too many.
    pub fn keep(&mut self, prefix: SavedPrefix) {
        self.saved.retain(|saved| saved.tokens != prefix.tokens);
        self.saved.push(prefix);
        let mut bytes: usize = self.saved.iter().map(|saved| saved.state.len()).sum();
        while bytes > KEPT_BYTES {
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
        let path = Path::of(&[1, 2, 3, 4, 5], &[2, 4]);
        assert_eq!(path.tokens, [1, 2, 3, 4]);
        let shared = |tokens: &[u32], cuts: &[usize]| path.shared_parts(&Path::of(tokens, cuts));
        assert_eq!(shared(&[1, 2, 3, 4, 9], &[2, 4]), 2);
        assert_eq!(shared(&[1, 2, 9, 4, 9], &[2, 4]), 1);
        assert_eq!(shared(&[1, 2, 3, 4, 9], &[3, 4]), 0, "in other parts its bits may be others");
        assert_eq!(shared(&[1, 2, 3, 4, 9], &[]), 0);
        let mut shorter = path.clone();
        shorter.truncate(1);
        assert_eq!(shorter, Path { tokens: vec![1, 2], cuts: vec![2] });
        shorter.extend_from(&path);
        assert_eq!(shorter, path);
    }

    #[test]
    fn the_least_recently_used_prefix_goes_first() {
        let prefix = |token: u32| SavedPrefix { tokens: [token].into(), state: vec![0; KEPT_BYTES / 3].into() };
        let mut kept = KeptPrefixes::default();
        (1..=3).for_each(|token| kept.keep(prefix(token)));
        assert!(kept.find(&[1]).is_some());
        kept.keep(prefix(4));
        assert_eq!([1, 2, 3, 4].map(|token| kept.find(&[token]).is_some()), [true, false, true, true]);
    }
}
