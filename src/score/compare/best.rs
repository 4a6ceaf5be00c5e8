//! Which of several runs may be the best.

use std::collections::HashMap;

use super::difference::{minus, standard_deviation};
use crate::score::significance::{LEVEL, randomisation_p};

/// The runs that aren't told from the best one by single-step max-T over all pairs (Westfall and Young 1993), on
/// differences in units of their standard error; and the bootstrap's estimate of the winner's optimism.
pub(super) fn tied_with_best(values: &[f64], columns: &[Vec<f64>], sign: f64) -> (Vec<usize>, f64) {
    let runs = values.len();
    let by_value = |a: &usize, b: &usize| (sign * values[*a]).total_cmp(&(sign * values[*b])).then(b.cmp(a));
    let Some(best) = (0..runs).filter(|run| !values[*run].is_nan()).max_by(by_value) else { return (vec![], f64::NAN) };
    let mut errors: HashMap<(usize, usize), f64> = HashMap::new();
    for a in 0..runs {
        for b in 0..a {
            errors.insert((a, b), standard_deviation(&minus(&columns[a], &columns[b])));
        }
    }
    let mut largest = Vec::with_capacity(columns[0].len());
    let (mut optimism, mut n) = (0.0, 0.0);
    for resample in
        (0..columns[0].len()).map(|resample| columns.iter().map(|column| column[resample]).collect::<Vec<f64>>())
    {
        let shift = |run: usize| resample[run] - values[run];
        let pairs = errors.iter().filter(|(_, error)| **error > 0.0);
        let t = pairs.map(|((a, b), error)| ((shift(*a) - shift(*b)) / error).abs());
        largest.push(t.fold(0.0, f64::max));
        let winner = (0..runs)
            .filter(|run| !resample[*run].is_nan())
            .max_by(|a, b| (sign * resample[*a]).total_cmp(&(sign * resample[*b])));
        if let Some(winner) = winner {
            optimism += sign * shift(winner);
            n += 1.0;
        }
    }
    let tied = |run: &usize| {
        let error = errors.get(&(*run.max(&best), *run.min(&best))).copied().unwrap_or(0.0);
        let difference = values[best] - values[*run];
        *run == best
            || difference == 0.0
            || error > 0.0 && randomisation_p(difference / error, largest.iter().copied()) >= LEVEL
    };
    ((0..runs).filter(tied).collect(), optimism / n)
}
