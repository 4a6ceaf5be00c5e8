//! A batch as lists of numbers that kernels read.

use crate::learner::{Batch, Document};

use super::ops::TILE;

/// Lists for the kernels, in 32 bits.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Lists {
    pub positions: Vec<u32>,
    /// Five numbers a tile: the queries [start, end), the keys [prefix, prefix_end), all of which they see, and `own`,
    /// from where on they see keys up to themselves. In this order: start, end, prefix, prefix_end, own.
    pub query_tiles: Vec<u32>,
    /// Five numbers a tile: the keys [start, end), the end of the queries [start, own_end) that see those up to
    /// themselves, and the queries [rest, rest_end), which see all. In this order: start, end, own_end, rest, rest_end.
    pub key_tiles: Vec<u32>,
    /// Where each token's `entries` start, and behind the last token where they end: `[tokens + 1]`.
    pub starts: Vec<u32>,
    /// Indices into the batch's rows, sorted by the token they are of.
    pub entries: Vec<u32>,
}

impl Lists {
    /// The lists of a batch.
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

    /// Adds the tiles of tokens `own` that see a prefix and one another, and that the tokens `rest` see.
    fn part(&mut self, prefix: [usize; 2], [own, own_end]: [usize; 2], rest: [usize; 2]) {
        for start in (own..own_end).step_by(TILE) {
            let end = own_end.min(start + TILE);
            let words = |numbers: [usize; 5]| numbers.map(|number| number as u32);
            self.query_tiles.extend(words([start, end, prefix[0], prefix[1], own]));
            self.key_tiles.extend(words([start, end, own_end, rest[0], rest[1]]));
        }
    }
}
