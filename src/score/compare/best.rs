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
    let winners = (0..columns[0].len()).filter_map(|resample| {
        let resampled = columns.iter().map(|column| column[resample]).enumerate().filter(|(_, value)| !value.is_nan());
        resampled.max_by(|(_, a), (_, b)| (sign * a).total_cmp(&(sign * b)))
    });
    let too_good: Vec<f64> = winners.map(|(run, value)| sign * (value - values[run])).collect();
    let optimism = too_good.iter().sum::<f64>() / too_good.len() as f64;
    let tied = |run: &usize| match exchanged {
        _ if *run == best => true,
        Some((exchanged, at)) => exchanged.p_of_pair(best, *run, at, values[best] - values[*run]) >= LEVEL,
        None => !values[*run].is_nan(),
    };
    ((0..runs).filter(tied).collect(), optimism)
}
