//! Which of several runs may be the best.

use super::exchange::Exchanged;
use crate::score::significance::LEVEL;

/// The runs that no test tells from the best one, over all pairs by max-T; and the bootstrap's estimate of the winner's
/// optimism. `columns` is by run the value in each resample.
pub(super) fn tied_with_best(
    values: &[f64],
    columns: &[Vec<f64>],
    sign: f64,
    exchanged: Option<(&Exchanged, usize)>,
) -> (Vec<usize>, f64) {
    let runs = values.len();
    let by_value = |a: &usize, b: &usize| (sign * values[*a]).total_cmp(&(sign * values[*b])).then(b.cmp(a));
    let Some(best) = (0..runs).filter(|run| !values[*run].is_nan()).max_by(by_value) else { return (vec![], f64::NAN) };
    // Of equals the mean, so that the order of the runs has no say; without what resampling does to all of them alike.
    let pick = |resample: usize| {
        let shifts = columns
            .iter()
            .zip(values)
            .map(|(column, value)| (sign * column[resample], sign * (column[resample] - value)));
        let shifts: Vec<(f64, f64)> = shifts.filter(|(_, shift)| !shift.is_nan()).collect();
        let most = shifts.iter().map(|(value, _)| *value).max_by(f64::total_cmp)?;
        let picked: Vec<f64> = shifts.iter().filter(|(value, _)| *value == most).map(|(_, shift)| *shift).collect();
        let all: Vec<f64> = shifts.into_iter().map(|(_, shift)| shift).collect();
        Some(mean(&picked) - mean(&all))
    };
    let optimism = mean(&(0..columns[0].len()).filter_map(pick).collect::<Vec<f64>>());
    let tied = |run: &usize| match exchanged {
        _ if *run == best => true,
        Some((exchanged, at)) => exchanged.p_of_pair(best, *run, at, values[best] - values[*run]) >= LEVEL,
        None => !values[*run].is_nan(),
    };
    ((0..runs).filter(tied).collect(), optimism)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_runs_has_no_say_in_the_optimism() {
        // Two runs are the best by turns, with ties; a third is far behind. Resampling takes 0.1 from all.
        let (values, worst) = ([0.5, 0.5, 0.2], [0.1; 4]);
        let (one, other) = ([0.5, 0.4, 0.3, 0.4], [0.3, 0.4, 0.5, 0.4]);
        for columns in [[one, other, worst], [other, one, worst]] {
            let columns = columns.map(|column| column.to_vec());
            let (best, optimism) = tied_with_best(&values, &columns, 1.0, None);
            assert_eq!(best, [0, 1, 2]);
            // By resample the picked run's shift (0, −0.1, 0, −0.1) less the mean of all ((0 − 0.2 − 0.1) / 3 = −0.1, −0.1 …).
            assert!((optimism - 0.05).abs() < 1e-12, "{optimism}");
        }
        let (_, optimism) =
            tied_with_best(&[0.2, 0.5, 0.5], &[worst.to_vec(), one.to_vec(), other.to_vec()], 1.0, None);
        assert!((optimism - 0.05).abs() < 1e-12, "{optimism}");
    }
}
