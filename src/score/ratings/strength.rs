//! How strong each of several runs is, by who wins against whom.

use super::metric;
use super::preference::{Judged, Reel};
use super::read::RatedRun;
use super::units::Units;
use crate::config::ScoreSettings;
use crate::score::interval::{Interval, jackknife};
use crate::score::metric::Range;
use crate::scores::Metric;

/// Rounds after which an estimate that still moves is given up.
const ROUNDS: usize = 100_000;
/// By how much one may move at last.
const SETTLED: f64 = 1e-13;

/// `[runs][runs]`: how often one wins against another; a tie is half a win for each.
pub(super) type Wins = Vec<Vec<f64>>;

/// By run, the logarithm of its strength less the mean of all, with bounds from leaving out one account at a time.
pub(super) fn strengths(runs: &[RatedRun], judged: &[Judged], settings: &ScoreSettings) -> Vec<Metric> {
    let games: Vec<(&Judged, &Reel)> =
        judged.iter().flat_map(|judged| judged.reels.iter().map(move |reel| (judged, reel))).collect();
    let units = Units::of(games.iter().map(|(_, reel)| (reel.id, reel.account)));
    let wins = |is_kept: &dyn Fn(usize) -> bool| {
        let mut wins = vec![vec![0.0; runs.len()]; runs.len()];
        for (Judged { run, against, .. }, reel) in
            (0..games.len()).filter(|game| is_kept(*game)).map(|game| games[game])
        {
            let won = f64::from(reel.sign + 1) / 2.0;
            wins[*run][*against] += won;
            wins[*against][*run] += 1.0 - won;
        }
        wins
    };
    let all = wins(&|_| true);
    let values = log_strengths(&all);
    let (left_out, sizes) = units.left_out(runs.len(), settings, |is_kept, left| {
        if let Some(values) = values.as_ref().and_then(|_| log_strengths(&wins(is_kept))) {
            left.copy_from_slice(&values);
        }
    });
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let interval = |run: usize| match (&values, units.withheld()) {
        (None, _) => Interval::withheld(f64::NAN, undefined(&all, &names)),
        (Some(values), Some(why)) => Interval::withheld(values[run], why),
        (Some(values), None) => jackknife(values[run], &left_out.column(run), &sizes, Range::Open),
    };
    let n = |run: usize| games.iter().filter(|(judged, _)| judged.run == run || judged.against == run).count();
    (0..runs.len()).map(|run| metric(interval(run), n(run), units.count)).collect()
}

/// The maximum of the likelihood of Bradley and Terry (1952), by minorisation and maximisation (Hunter 2004); `None` where
/// there is none.
pub(super) fn log_strengths(wins: &Wins) -> Option<Vec<f64>> {
    let runs = wins.len();
    if beaten_only(wins).is_some() {
        return None;
    }
    let mut strengths = vec![1.0f64; runs];
    for _ in 0..ROUNDS {
        let before = strengths.clone();
        for run in 0..runs {
            let games = |other: usize| (wins[run][other] + wins[other][run]) / (strengths[run] + strengths[other]);
            let expected: f64 = (0..runs).filter(|other| *other != run).map(games).sum();
            strengths[run] = wins[run].iter().sum::<f64>() / expected;
        }
        let logs: Vec<f64> = strengths.iter().map(|strength| strength.ln()).collect();
        let mean = logs.iter().sum::<f64>() / runs as f64;
        let centred: Vec<f64> = logs.iter().map(|log| log - mean).collect();
        strengths = centred.iter().map(|log| log.exp()).collect();
        let moved = strengths.iter().zip(&before).map(|(now, before)| (now / before).ln().abs());
        if moved.fold(0.0, f64::max) < SETTLED {
            return Some(centred);
        }
    }
    None
}

/// Runs that never win against any of the others, nor tie with them: then no strengths are the likeliest (Ford 1957).
fn beaten_only(wins: &Wins) -> Option<Vec<usize>> {
    let groups = (0..wins.len()).map(|from| reached(wins.len(), from, |run, other| wins[run][other] > 0.0));
    groups.min_by_key(Vec::len).filter(|group| group.len() < wins.len())
}

/// The runs to which a chain of steps leads.
fn reached(runs: usize, from: usize, leads: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut found = vec![from];
    let mut at = 0;
    while let Some(run) = found.get(at).copied() {
        let new: Vec<usize> = (0..runs).filter(|other| leads(run, *other) && !found.contains(other)).collect();
        found.extend(new);
        at += 1;
    }
    found.sort_unstable();
    found
}

/// Why there are no strengths.
fn undefined(wins: &Wins, names: &[&str]) -> String {
    let named = |group: &[usize]| group.iter().map(|run| names[*run]).collect::<Vec<_>>().join(", ");
    let connected = reached(wins.len(), 0, |run, other| wins[run][other] + wins[other][run] > 0.0);
    if connected.len() < wins.len() {
        let others: Vec<usize> = (0..wins.len()).filter(|run| !connected.contains(run)).collect();
        return format!("nobody compared {} with {}", named(&connected), named(&others));
    }
    match beaten_only(wins) {
        Some(losers) if losers.len() < wins.len() => {
            let others: Vec<usize> = (0..wins.len()).filter(|run| !losers.contains(run)).collect();
            format!("not defined: {} won or tied nothing against {}", named(&losers), named(&others))
        }
        _ => "too few comparisons link the runs to estimate it".into(),
    }
}
