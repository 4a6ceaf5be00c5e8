//! Which of two runs people prefer.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};

use super::format::PairPreference;
use super::metric;
use super::read::{RatedRun, RatedTask, Text};
use super::units::{Flipped, Units};
use crate::config::ScoreSettings;
use crate::error::Hint;
use crate::score::interval::Interval;
use crate::score::metric::find;
use crate::score::significance::{holm, mcnemar};
use crate::score::spread::Spread;

/// What was judged between two runs.
pub(super) struct Judged<'a> {
    pub run: usize,
    pub against: usize,
    /// In the order of Reels.
    pub reels: Vec<Reel<'a>>,
    same_text: usize,
}

/// What was judged of two runs' texts about a Reel.
pub(super) struct Reel<'a> {
    pub id: &'a str,
    pub account: Option<&'a str>,
    /// 1 where the run's text is preferred, −1 where that of the one it is compared with is, else 0.
    pub sign: i32,
}

/// Pairs of runs between which somebody judged.
///
/// # Errors
/// Names the Reel of which an annotator prefers now one text, now the other.
pub(super) fn judged<'a>(runs: &[RatedRun], tasks: &[&'a RatedTask]) -> Result<Vec<Judged<'a>>> {
    let mut all = Vec::new();
    for (run, against) in (0..tasks.len()).flat_map(|against| (against + 1..tasks.len()).map(move |run| (run, against)))
    {
        let mut judged = Judged { run, against, reels: vec![], same_text: 0 };
        for (reel, texts) in &tasks[run].reels {
            let Some(others) = tasks[against].reels.get(reel) else { continue };
            let votes = votes(texts, others).map_err(|by| {
                let (name, other) = (&runs[run].name, &runs[against].name);
                anyhow!("{by:?} prefers another text of Reel {reel:?} beside {name} than beside {other}")
                    .hint("both ratings.jsonl are to come from the same answers: bring them in again")
            })?;
            if !votes.is_empty() {
                let sign = votes.iter().sum::<i32>().signum();
                judged.reels.push(Reel { id: reel, account: texts[0].account.as_deref(), sign });
            } else if texts
                .iter()
                .any(|text| others.iter().any(|other| other.key == text.key && !other.said.is_empty()))
            {
                judged.same_text += 1;
            }
        }
        if !judged.reels.is_empty() {
            all.push(judged);
        }
    }
    Ok(all)
}

/// What annotators say of each text of a run beside each of another, whichever it stands with; who says both ways is an error.
fn votes<'a>(texts: &'a [Text], others: &'a [Text]) -> Result<Vec<i32>, &'a str> {
    let mut votes: BTreeMap<(&str, &str, &str), i32> = BTreeMap::new();
    for (text, other) in texts.iter().flat_map(|text| others.iter().map(move |other| (text, other))) {
        for (of, than, sign) in [(text, other, 1), (other, text, -1)] {
            for (by, said) in &of.said {
                let Some(preferred) = said.preferred.get(&than.key) else { continue };
                let vote = sign * i32::from(*preferred);
                if *votes.entry((by, &text.key, &other.key)).or_insert(vote) != vote {
                    return Err(by);
                }
            }
        }
    }
    Ok(votes.into_values().collect())
}

/// Of each pair, who wins.
pub(super) fn preferences(judged: &[Judged], settings: &ScoreSettings) -> Vec<PairPreference> {
    let mut preferences: Vec<PairPreference> = judged.iter().map(|judged| preference(judged, settings)).collect();
    let p_values: Vec<f64> = preferences.iter().map(|preference| preference.p).collect();
    for (preference, adjusted) in preferences.iter_mut().zip(holm(&p_values)) {
        preference.p_adjusted = adjusted;
    }
    preferences
}

fn preference(judged: &Judged, settings: &ScoreSettings) -> PairPreference {
    let untied: Vec<&Reel> = judged.reels.iter().filter(|reel| reel.sign != 0).collect();
    let wins = untied.iter().filter(|reel| reel.sign > 0).count();
    let losses = untied.len() - wins;
    let units = Units::of(untied.iter().map(|reel| (reel.id, reel.account)));
    let (test, p, smallest_p) = if units.count == untied.len() {
        let (wins, losses) = (wins as u64, losses as u64);
        // Both are binomial tests of a half.
        ("sign", mcnemar(wins, losses), mcnemar(0, wins + losses))
    } else {
        let signs: Vec<f64> = untied.iter().map(|reel| f64::from(reel.sign)).collect();
        let Flipped { p, smallest, .. } = units.flipped(&signs, settings);
        ("sign-flip", p, smallest)
    };
    PairPreference {
        run: judged.run,
        against: judged.against,
        wins,
        losses,
        ties: judged.reels.len() - untied.len(),
        same_text: judged.same_text,
        share: metric(share(&untied, &units), untied.len(), units.count),
        test: test.to_owned(),
        p,
        smallest_p,
        p_adjusted: p,
    }
}

/// Of wins.
fn share(untied: &[&Reel], units: &Units) -> Interval {
    if untied.is_empty() {
        return Interval::withheld(f64::NAN, "not defined: all are ties");
    }
    let rows = units.of.iter().copied().zip(untied.iter().map(|reel| f64::from(u8::from(reel.sign > 0))));
    let spread = Spread::of(&rows.collect::<Vec<_>>());
    match units.withheld() {
        Some(why) => Interval::withheld(spread.mean, why),
        // A share of rows, as the accuracy is.
        None => spread.interval(find("accuracy")),
    }
}
