//! Counts that all coefficients are made of: whole numbers, so that what is taken out leaves no trace.

/// The answers to one item, by annotator; `None` where there is none.
pub type Item = [Option<u16>];

/// Answers to items, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub categories: usize,
    /// By how many answers an item has: `[annotators + 1]`.
    pub levels: Vec<Level>,
    /// Of each two annotators, as [`pairs`] has them, what the one answered × what the other did: `[categories, categories]`.
    pub pairs: Vec<Vec<i64>>,
}

/// Items with the same number of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub answers: usize,
    pub items: i64,
    /// `[categories]`
    pub counts: Vec<i64>,
    /// Ordered pairs of answers to the same item: `[categories, categories]`.
    pub together: Vec<i64>,
}

/// Each two of so many annotators.
pub fn pairs(annotators: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..annotators).flat_map(move |a| (a + 1..annotators).map(move |b| (a, b)))
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(annotators: usize, categories: usize) -> Tally {
        let squares = vec![0; categories * categories];
        let level = |answers| Level { answers, items: 0, counts: vec![0; categories], together: squares.clone() };
        Tally {
            categories,
            levels: (0..=annotators).map(level).collect(),
            pairs: pairs(annotators).map(|_| squares.clone()).collect(),
        }
    }

    /// Counts an item so many times; −1 takes it out.
    pub fn add(&mut self, item: &Item, times: i64) {
        let width = self.categories;
        let level = &mut self.levels[item.iter().flatten().count()];
        level.items += times;
        for category in item.iter().flatten() {
            level.counts[usize::from(*category)] += times;
        }
        for ((a, b), table) in pairs(item.len()).zip(&mut self.pairs) {
            let (Some(a), Some(b)) = (item[a], item[b]) else { continue };
            let (a, b) = (usize::from(a), usize::from(b));
            table[a * width + b] += times;
            level.together[a * width + b] += times;
            level.together[b * width + a] += times;
        }
    }

    /// Those of which answers can be compared.
    pub fn compared(&self) -> &[Level] {
        self.levels.get(2..).unwrap_or_default()
    }

    /// The tables of those two that have items in common.
    pub fn shared(&self) -> impl Iterator<Item = &Vec<i64>> {
        self.pairs.iter().filter(|table| table.iter().any(|count| *count > 0))
    }

    /// Categories that some two annotators with items in common never answer there.
    pub fn absent(&self) -> usize {
        let width = self.categories;
        let is_used = |table: &[i64], category: usize| {
            (0..width).any(|other| table[category * width + other] + table[other * width + category] > 0)
        };
        (0..width).filter(|category| self.shared().any(|table| !is_used(table, *category))).count()
    }

    /// Items with at least two answers.
    pub fn items(&self) -> i64 {
        self.compared().iter().map(|level| level.items).sum()
    }

    /// Answers to such items: `[categories]`.
    pub fn counts(&self) -> Vec<i64> {
        (0..self.categories).map(|category| self.compared().iter().map(|level| level.counts[category]).sum()).collect()
    }

    /// Whether two annotators answer this to the same item.
    pub fn is_agreed(&self, category: usize) -> bool {
        self.compared().iter().any(|level| level.of(category)[category] > 0)
    }

    /// Whether one annotator answers this, and another something else to the same item.
    pub fn is_split(&self, category: usize) -> bool {
        let is_other = |(other, count): (usize, &i64)| other != category && *count > 0;
        self.compared().iter().any(|level| level.of(category).iter().enumerate().any(is_other))
    }
}

impl Level {
    /// What the others answer where one answers this: `[categories]`.
    fn of(&self, category: usize) -> &[i64] {
        let width = self.counts.len();
        &self.together[category * width..][..width]
    }

    /// The share of agreeing pairs among all pairs of answers to an item, summed over the items.
    pub fn agreeing(&self) -> f64 {
        let same: i64 = self.together.iter().step_by(self.counts.len() + 1).sum();
        same as f64 / (self.answers * (self.answers - 1)) as f64
    }
}
