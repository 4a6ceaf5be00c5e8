//! How often categories occur, and in how many accounts.

use super::tally::{Item, Tally};
use crate::score::support::theme;

/// A category with less of this than an account of its own has counts as one that is nobody's.
const OWN: f64 = 0.8;

/// Of items with at least two answers, by category.
pub(super) struct Categories {
    /// Answers.
    answers: Vec<f64>,
    /// Clusters in which two annotators agree on it.
    pub agreed: Vec<usize>,
    /// Clusters in which one of two answers it.
    pub split: Vec<usize>,
    /// How many answers its category has from an account with a theme.
    theme: f64,
}

impl Categories {
    /// From the items of each cluster, and a tally that is empty.
    pub fn of(clusters: &[Vec<&Item>], mut own: Tally) -> Categories {
        let width = own.categories;
        let (mut answers, mut agreed, mut split) = (vec![0.0; width], vec![0; width], vec![0; width]);
        let (mut sizes, mut together) = (Vec::with_capacity(clusters.len()), 0.0);
        for cluster in clusters {
            cluster.iter().for_each(|item| own.add(item, 1));
            let counts: Vec<f64> = own.counts().into_iter().map(|count| count as f64).collect();
            let size: f64 = counts.iter().sum();
            if size > 0.0 {
                together += counts.iter().map(|count| count * count).sum::<f64>() / size;
                sizes.push(size);
            }
            for (category, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0.0) {
                answers[category] += count;
                agreed[category] += usize::from(own.is_agreed(category));
                split[category] += usize::from(own.is_split(category));
            }
            cluster.iter().for_each(|item| own.add(item, -1));
        }
        let n: f64 = sizes.iter().sum();
        let squares = answers.iter().map(|count| count * count).sum::<f64>() / n;
        Categories { theme: theme(&sizes, together - squares, n - squares), answers, agreed, split }
    }

    /// To how many categories no account keeps where accounts keep to few, so that these occur less or more often than they
    /// should.
    pub fn strays(&self) -> usize {
        self.answers.iter().filter(|count| **count < OWN * self.theme).count()
    }

    /// The share of answers that aren’t the most common one.
    pub fn other(&self) -> f64 {
        1.0 - self.answers.iter().copied().fold(0.0, f64::max) / self.answers.iter().sum::<f64>()
    }
}
