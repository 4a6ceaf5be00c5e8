//! Tests and what a test set can show.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// The level of every test: a p-value below it shows a difference.
pub const LEVEL: f64 = 0.05;
/// The chance of showing a difference that is there, in "the smallest difference this data could have shown".
pub const POWER: f64 = 0.8;

/// The p-value of a randomisation test: the share of `drawn` statistics at least as far from 0 as the `observed` one, which
/// counts as one of them, so that p is never below 1 / (B + 1) (Phipson and Smyth 2010).
pub fn randomisation_p(observed: f64, drawn: impl Iterator<Item = f64>) -> f64 {
    // Equal but for the order of additions.
    let threshold = observed.abs() * (1.0 - 1e-9);
    let (mut extreme, mut n) = (0u64, 0u64);
    for value in drawn.filter(|value| !value.is_nan()) {
        n += 1;
        extreme += u64::from(value.abs() >= threshold);
    }
    (extreme + 1) as f64 / (n + 1) as f64
}

/// McNemar's exact test (1947): the two-sided binomial p-value of `only_first` and `only_second`, the rows that only one
/// of two runs gets right.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let discordant = only_first + only_second;
    let Ok(binomial) = Binomial::new(0.5, discordant) else { return 1.0 };
    (2.0 * binomial.cdf(only_first.min(only_second))).min(1.0)
}

/// Holm's step-down adjustment (1979): p-values that together err with at most the level of each alone.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// The difference that a two-sided test at [`LEVEL`] shows with [`POWER`] when it is estimated with this standard error.
pub fn smallest_difference(standard_error: f64) -> f64 {
    z() * standard_error
}

/// [`smallest_difference`] of the accuracies of two runs on `rows` independent rows, of which a share `discordance` is
/// right in one run only (Connor 1987).
pub fn smallest_accuracy_difference(rows: usize, discordance: f64) -> f64 {
    // The standard error shrinks with the difference d itself: √((discordance − d²) / rows).
    z() * (discordance / (rows as f64 + z() * z())).sqrt()
}

fn z() -> f64 {
    let normal = Normal::standard();
    normal.inverse_cdf(1.0 - LEVEL / 2.0) + normal.inverse_cdf(POWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_is_never_below_one_over_b_plus_one() {
        let drawn = || (0..999).map(|i| f64::from(i) / 1000.0);
        assert_eq!(randomisation_p(2.0, drawn()), 0.001);
        assert_eq!(randomisation_p(-0.5, drawn()), 500.0 / 1000.0);
        assert_eq!(randomisation_p(0.0, drawn()), 1.0);
    }

    /// Simulated in the notes to this design: 3.5 and 4.9 points for McNemar's test, 1.1 for ROUGE.
    #[test]
    fn a_test_set_of_655_rows_shows_this_much() {
        assert!((smallest_accuracy_difference(655, 0.1) - 0.035).abs() < 0.001);
        assert!((smallest_accuracy_difference(655, 0.2) - 0.049).abs() < 0.001);
        assert!((smallest_difference(0.1 / 655f64.sqrt()) - 0.011).abs() < 0.0005);
    }
}
