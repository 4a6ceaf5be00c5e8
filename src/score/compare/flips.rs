//! Answers that turn from wrong to right or back between two runs.

use super::Flips;
use crate::score::Table;

/// Changed answers that are named, each way.
const NAMED: usize = 20;

/// Answers of a task that are right in one of two runs.
pub(super) fn flips(run: &Table, baseline: &Table, task: usize) -> Flips {
    let mut flips = Flips::default();
    let answers = run.tasks[task].labels().iter().zip(baseline.tasks[task].labels());
    for ((reel, ..), (own, other)) in run.keys(task).zip(answers) {
        let (count, reels) = match (own.is_right(), other.is_right()) {
            (true, false) => (&mut flips.gained, &mut flips.gained_reels),
            (false, true) => (&mut flips.lost, &mut flips.lost_reels),
            _ => continue,
        };
        *count += 1;
        if reels.len() < NAMED {
            reels.push(reel.to_owned());
        }
    }
    flips
}
