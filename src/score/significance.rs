//! Tests and what a test set can show.

use statrs::distribution::{Binomial, ContinuousCDF, Discrete, DiscreteCDF, StudentsT};

/// The level of every test: a p-value below it shows a difference.
pub const LEVEL: f64 = 0.05;
/// The chance of showing a difference that is there, in "the smallest difference this data could have shown".
pub const POWER: f64 = 0.8;

/// The p-value of a randomisation test: the share of `drawn` statistics at least as far from 0 as the `observed` one, which
/// counts as one of them, so that p is never below 1 / (B + 1) (Phipson and Smyth 2010).
pub fn randomisation_p(observed: f64, drawn: impl Iterator<Item = f64>) -> f64 {
    let defined: Vec<f64> = drawn.filter(|value| !value.is_nan()).collect();
    (extreme(observed, defined.iter().copied()) + 1) as f64 / (defined.len() + 1) as f64
}

/// The p-value of a randomisation test in which `all` exchanges were made, the one that changes nothing among them.
pub fn exact_p(observed: f64, all: &[f64]) -> f64 {
    let defined: Vec<f64> = all.iter().copied().filter(|value| !value.is_nan()).collect();
    extreme(observed, defined.iter().copied()) as f64 / defined.len() as f64
}

/// How many are at least as far from 0 as the observed one, which may be equal but for the order of additions.
fn extreme(observed: f64, drawn: impl Iterator<Item = f64>) -> usize {
    let threshold = observed.abs() * (1.0 - 1e-9);
    drawn.filter(|value| value.abs() >= threshold).count()
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

/// The difference that a two-sided t-test at [`LEVEL`] shows with [`POWER`] when it is estimated with this standard error.
pub fn smallest_difference(standard_error: f64, degrees_of_freedom: f64) -> f64 {
    let Ok(t) = StudentsT::new(0.0, 1.0, degrees_of_freedom) else { return f64::NAN };
    (t.inverse_cdf(1.0 - LEVEL / 2.0) + t.inverse_cdf(POWER)) * standard_error
}

/// The chance that McNemar's exact test shows that the accuracies of two runs differ by `difference`, on so many rows, of
/// which a share `discordance` is right in one run only.
pub fn mcnemar_power(rows: u64, discordance: f64, difference: f64) -> f64 {
    let Ok(discordant) = Binomial::new(discordance, rows) else { return f64::NAN };
    let gained = (0.5 + difference / discordance / 2.0).clamp(0.0, 1.0);
    let shown = |of: u64| -> f64 {
        let Ok(of_these) = Binomial::new(gained, of) else { return 0.0 };
        // The test shows a difference where fewer than this many are gained, or lost.
        let (mut shown, mut too_many) = (0, of / 2 + 1);
        while shown < too_many {
            let middle = (shown + too_many) / 2;
            if mcnemar(middle, of - middle) < LEVEL { shown = middle + 1 } else { too_many = middle }
        }
        if shown == 0 { 0.0 } else { of_these.cdf(shown - 1) + of_these.sf(of - shown) }
    };
    (0..=rows).map(|of| (of, discordant.pmf(of))).filter(|(_, p)| *p > 1e-9).map(|(of, p)| p * shown(of)).sum()
}

/// The smallest difference of two accuracies that McNemar's exact test shows with [`POWER`]; `None` where not even the
/// largest that there can be is shown: that all of the `discordance` falls to one run.
pub fn smallest_accuracy_difference(rows: u64, discordance: f64) -> Option<f64> {
    let shows = |difference: f64| mcnemar_power(rows, discordance, difference) >= POWER;
    if !shows(discordance) {
        return None;
    }
    let (mut less, mut enough) = (0.0, discordance);
    while enough - less > 1e-5 {
        let middle = (less + enough) / 2.0;
        if shows(middle) { enough = middle } else { less = middle }
    }
    Some(enough)
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

    #[test]
    fn a_test_set_of_655_rows_shows_this_much() {
        let points = |discordance| 100.0 * smallest_accuracy_difference(655, discordance).unwrap();
        // A little more than the normal approximation's 3.5 and 4.9: the exact test is careful.
        assert!(
            (3.5..3.8).contains(&points(0.1)) && (4.8..5.2).contains(&points(0.2)),
            "{} {}",
            points(0.1),
            points(0.2)
        );
        assert!((smallest_difference(0.1 / 655f64.sqrt(), 654.0) - 0.011).abs() < 0.0005);
    }

    #[test]
    fn what_cannot_be_shown_is_not_promised() {
        assert_eq!(smallest_accuracy_difference(40, 0.02), None);
    }
}
