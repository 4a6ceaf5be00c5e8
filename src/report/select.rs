//! Which answers a page shows when there are more than it can hold.

use super::metrics::{count, counted};
use super::rows::{Mark, Rows};
use crate::prediction::Finish;

/// Answers on a page, at most.
pub const MAX_ANSWERS: usize = 2000;

/// The most of those that are of Reels taken because one of their answers failed or is invalid.
const MAX_FLAGGED: usize = 500;

/// What the page shows, and the sentence that says so.
#[derive(Debug)]
pub struct Selection<'a> {
    /// Whole Reels in file order, each with its answers in file order.
    pub reels: Vec<Vec<&'a Mark>>,
    /// How they were chosen, with numbers.
    pub rule: String,
}

/// All rows if they fit. Otherwise Reels with a failed or invalid answer first, then the rest evenly spaced.
///
/// Reels are chosen whole: every n-th row would show one task only wherever n is a multiple of the number of tasks.
pub fn select(rows: &Rows) -> Selection<'_> {
    let reels = rows.by_reel();
    let all = reels.iter().map(Vec::len).sum();
    if all <= MAX_ANSWERS {
        let rule = format!("All {} about {} are shown, in file order.", answers(all), reels_noun(reels.len()));
        return Selection { reels, rule };
    }

    let mut budget = MAX_FLAGGED;
    let mut chosen: Vec<bool> = reels
        .iter()
        .map(|reel| {
            let fits = reel.iter().any(|row| is_flagged(row)) && reel.len() <= budget;
            if fits {
                budget -= reel.len();
            }
            fits
        })
        .collect();
    let flagged = MAX_FLAGGED - budget;

    let rest: Vec<usize> = (0..reels.len()).filter(|index| !chosen[*index]).collect();
    let sizes: Vec<usize> = rest.iter().map(|index| reels[*index].len()).collect();
    let mut spaced = 0;
    for position in evenly_spaced(&sizes, MAX_ANSWERS - flagged) {
        spaced += sizes[position];
        chosen[rest[position]] = true;
    }

    let rule = format!(
        "{} of {} are shown, in file order: those of the first Reels with a failed or invalid answer, up to {MAX_FLAGGED} answers ({}), then those of the other Reels evenly spaced through the file ({}).",
        count(flagged + spaced),
        answers(all),
        count(flagged),
        count(spaced),
    );
    let reels = reels.into_iter().zip(chosen).filter_map(|(reel, chosen)| chosen.then_some(reel)).collect();
    Selection { reels, rule }
}

fn is_flagged(mark: &Mark) -> bool {
    matches!(mark.finish, Finish::Invalid | Finish::Error)
}

/// As many positions as keep the sum of their sizes within the budget.
fn evenly_spaced(sizes: &[usize], budget: usize) -> Vec<usize> {
    // No more than fit if all are of the smallest size.
    let most = sizes.iter().min().map_or(0, |smallest| budget / smallest.max(&1));
    (0..=sizes.len().min(most))
        .rev()
        .map(|wanted| (0..wanted).map(|index| index * sizes.len() / wanted).collect::<Vec<_>>())
        .find(|positions| positions.iter().map(|position| sizes[*position]).sum::<usize>() <= budget)
        .unwrap_or_default()
}

fn answers(number: usize) -> String {
    counted(number, "answer")
}

fn reels_noun(number: usize) -> String {
    counted(number, "Reel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{row, rows_of};
    use crate::scores::Row;

    /// Three tasks a Reel, as `predict` writes them.
    fn rows(reels: usize, finish: impl Fn(usize) -> Finish) -> Rows {
        let tasks = ["summary", "category", "ad"];
        let rows: Vec<Row> = (0..reels)
            .flat_map(|reel| tasks.map(|task| row(&format!("r{reel}"), task)).map(|row| (reel, row)))
            .map(|(reel, row)| Row { finish: finish(reel), ..row })
            .collect();
        rows_of(&rows)
    }

    fn total(selection: &Selection) -> usize {
        selection.reels.iter().map(Vec::len).sum()
    }

    #[test]
    fn takes_all_that_fit() {
        let rows = rows(666, |_| Finish::Stop);
        let selection = select(&rows);
        assert_eq!(total(&selection), 1998);
        assert_eq!(selection.rule, "All 1,998 answers about 666 Reels are shown, in file order.");
    }

    #[test]
    fn takes_failed_and_invalid_first_then_spaces_whole_reels_evenly() {
        let rows = rows(5000, |reel| match reel {
            4990.. => Finish::Invalid,
            4980.. => Finish::Error,
            _ => Finish::Stop,
        });
        let selection = select(&rows);
        assert_eq!(total(&selection), 1998);
        assert!(selection.reels.iter().all(|reel| reel.len() == 3));
        assert_eq!(selection.reels.iter().flatten().filter(|row| is_flagged(row)).count(), 60);
        let stops: Vec<usize> =
            selection.reels.iter().filter(|reel| !is_flagged(reel[0])).map(|reel| reel[0].reel as usize).collect();
        assert!(stops.windows(2).all(|pair| (7..=8).contains(&(pair[1] - pair[0]))), "{stops:?}");
        assert_eq!(
            selection.rule,
            "1,998 of 15,000 answers are shown, in file order: those of the first Reels with a failed or invalid answer, up to 500 answers (60), then those of the other Reels evenly spaced through the file (1,938)."
        );
    }

    #[test]
    fn failures_leave_room_for_the_rest() {
        let rows = rows(2000, |reel| if reel % 2 == 0 { Finish::Error } else { Finish::Stop });
        let selection = select(&rows);
        assert!(total(&selection) <= MAX_ANSWERS);
        assert!(selection.reels.iter().filter(|reel| !is_flagged(reel[0])).count() > 200);
    }

    #[test]
    fn never_shows_more_than_the_limit_even_with_uneven_reels() {
        let rows: Vec<Row> = (0..9000).map(|index: usize| row(&format!("r{}", index.isqrt()), "ad")).collect();
        let shown = total(&select(&rows_of(&rows)));
        assert!((1500..=MAX_ANSWERS).contains(&shown), "{shown}");
    }
}
