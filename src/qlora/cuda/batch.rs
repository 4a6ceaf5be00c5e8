//! What kernels are told of a batch.

use crate::learner::{Batch, Document};

use super::ops::TILE;

/// Lists for the kernels, in 32 bits.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Lists {
    pub positions: Vec<u32>,
    /// Queries [start, end), which see the keys [prefix, prefix_end), and of [own, end) those up to themselves: these five.
    pub query_tiles: Vec<u32>,
    /// Keys [start, end), seen by the queries of [start, own_end) from themselves on, and by all of [rest, rest_end): these
    /// five.
    pub key_tiles: Vec<u32>,
    /// The entries of a token's rows start here.
    pub starts: Vec<u32>,
    /// Indices of rows, by token.
    pub entries: Vec<u32>,
}

impl Lists {
    /// Of a batch.
    pub fn new(batch: &Batch) -> Lists {
        let mut lists = Lists::default();
        let mut start = 0;
        for document in &batch.documents {
            lists.document(document, start);
            start += document.tokens();
        }
        let mut entries: Vec<u32> = (0..batch.rows.len() as u32).collect();
        entries.sort_by_key(|entry| batch.rows[*entry as usize]);
        let before = |token: u32| entries.partition_point(|entry| batch.rows[*entry as usize] < token) as u32;
        lists.starts = (0..=start as u32).map(before).collect();
        lists.entries = entries;
        lists
    }

    fn document(&mut self, document: &Document, start: usize) {
        self.positions.extend(document.positions().map(|position| position as u32));
        let (branches, end) = (start + document.prefix, start + document.tokens());
        self.part([start, start], [start, branches], [branches, end]);
        let mut own = branches;
        for branch in &document.branches {
            self.part([start, branches], [own, own + branch], [0, 0]);
            own += branch;
        }
    }

    /// Tokens that see those of a prefix and of their own, and are seen by the rest.
    fn part(&mut self, prefix: [usize; 2], [own, own_end]: [usize; 2], rest: [usize; 2]) {
        for start in (own..own_end).step_by(TILE) {
            let end = own_end.min(start + TILE);
            let words = |numbers: [usize; 5]| numbers.map(|number| number as u32);
            self.query_tiles.extend(words([start, end, prefix[0], prefix[1], own]));
            self.key_tiles.extend(words([start, end, own_end, rest[0], rest[1]]));
        }
    }
}
