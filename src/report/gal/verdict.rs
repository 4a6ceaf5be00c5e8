//! What an ablation comes to, in sentences.

use indexmap::IndexSet;

use super::GalReport;
use crate::gal::ablation::Kind;
use crate::gal::ladder::{Difference, MORE, Part, TaskLadder};
use crate::report::comparison::{p_value, signed};
use crate::report::metrics::{self, bounds, count, counted};
use crate::score::compare::Verdict;
use crate::score::compare::crossed::Combined;

/// What a reader should know first.
pub fn verdict(report: &GalReport) -> Vec<String> {
    let mut told: Vec<String> = report.tasks.iter().flat_map(of_task).collect();
    if report.tasks.is_empty() {
        told.push("Whether it helped isn’t known: nothing was trained on it yet.".to_owned());
    }
    if report.ablation.as_ref().is_some_and(|ablation| ablation.seeds == 1) {
        told.push("Each arm was trained once: how much another seed would change isn’t in any interval.".to_owned());
    }
    told.extend(leaks(report));
    if report.memorised > 0 {
        told.push(format!("{} kept rows say what only a seed says.", count(report.memorised)));
    }
    told
}

fn of_task(ladder: &TaskLadder) -> Vec<String> {
    let TaskLadder { task, from_real, from_controls, without_neighbours, .. } = ladder;
    let mut told = vec![];
    let mixes: Vec<&Difference> = from_real.iter().filter(|each| is_mix(ladder, &each.arm)).collect();
    for each in &mixes {
        match each.by.verdict {
            Verdict::Better => {
                let controls: Vec<&Difference> = from_controls.iter().filter(|other| other.arm == each.arm).collect();
                let failed: Vec<&str> = controls
                    .iter()
                    .filter(|other| other.by.verdict != Verdict::Better)
                    .map(|other| other.from.as_str())
                    .collect();
                let beside = match (&failed[..], controls.len()) {
                    ([], 0) => "; there is no control to tell it from more training".to_owned(),
                    ([], _) => "; and better than every control".to_owned(),
                    (names, _) => format!(
                        "; but it isn’t shown to be better than {}: that may be more training, and not new text",
                        names.join(" and ")
                    ),
                };
                told.push(format!(
                    "{task}: {} is better than the real records alone, {}{beside}.",
                    each.arm,
                    in_words(ladder.metric, &each.by)
                ));
            }
            Verdict::Worse => told.push(format!(
                "{task}: {} is worse than the real records alone, {}.",
                each.arm,
                in_words(ladder.metric, &each.by)
            )),
            _ => {}
        }
    }
    if let Some(untested) = mixes.iter().find(|mix| mix.by.p.is_none()) {
        let why = untested.by.withheld.as_deref().unwrap_or("nothing varies");
        told.push(format!(
            "{task}: what can be told of {} is its value, {}: {why}.",
            untested.arm,
            signed(untested.by.value)
        ));
    } else if told.is_empty() && !mixes.is_empty() {
        let best = mixes.iter().max_by(|a, b| a.by.value.total_cmp(&b.by.value));
        let best = best.map(|best| format!("{}, {}", best.arm, in_words(ladder.metric, &best.by)));
        let smallest = mixes.iter().map(|mix| mix.by.smallest_shown).filter(|least| least.is_finite());
        let smallest = smallest
            .reduce(f64::min)
            .map(|least| format!("; asked about alone, one of {} would be shown four times of five", signed(least)));
        told.push(format!(
            "{task}: no mix is shown to differ from the real records alone. The most is {}{}.",
            best.unwrap_or_default(),
            smallest.unwrap_or_default()
        ));
    }
    if let Some(part) = without_neighbours {
        let arms: IndexSet<&str> = part.differences.iter().map(|each| each.arm.as_str()).collect();
        let better = |arm: &&str| {
            part.differences.iter().filter(|each| each.arm == *arm).all(|each| each.by.verdict == Verdict::Better)
        };
        let better: Vec<&str> = arms.into_iter().filter(better).collect();
        told.push(format!(
            "{task}: without the Reels that have a near neighbour in what was learned from ({} left), {}; differences from the real \
             records are {}.",
            counted(part.rows, "row"),
            match &better[..] {
                [] => "no mix is shown to be better than the real records and every control".to_owned(),
                arms => format!("better than the real records and every control: {}", arms.join(", ")),
            },
            mixes_in(part)
        ));
    }
    told
}

/// What of the test set was there to be learned.
fn leaks(report: &GalReport) -> Option<String> {
    let test = report.ablation.as_ref()?.test.records;
    let leaked = |each: &super::Neighbours| {
        (!each.generated.is_empty()).then(|| format!("{} in {}", each.generated.len(), each.arm))
    };
    let arms: Vec<String> = report.neighbours.iter().filter_map(leaked).collect();
    (!arms.is_empty()).then(|| {
        format!(
            "Leak: of {} that judge, generated rows have near neighbours of {}. What counts is the score without them.",
            counted(test, "Reel"),
            arms.join(", ")
        )
    })
}

/// Whether an arm learned from generated rows.
pub(super) fn is_mix(ladder: &TaskLadder, arm: &str) -> bool {
    ladder.levels.iter().any(|level| level.arm == arm && matches!(level.kind, Kind::Generated(_)))
}

/// A difference in a metric with its bounds and p.
pub(super) fn in_words(metric: &str, by: &Combined) -> String {
    let p = by.p_adjusted.map(p_value).map_or_else(String::new, |p| match p.strip_prefix('<') {
        Some(bound) => format!(", p < {bound}"),
        None => format!(", p = {p}"),
    });
    let bounds = match (bounds(by.low, by.high), &by.withheld) {
        (Some(_), _) => format!("95\u{a0}% interval {} to {}", signed(by.low), signed(by.high)),
        (None, why) => format!("without an interval: {}", why.as_deref().unwrap_or("it isn’t defined")),
    };
    format!("{} in {} ({bounds}{p})", signed(by.value), metrics::name(metric))
}

/// Differences of mixes from the real records, in some of the rows.
pub(super) fn mixes_in(part: &Part) -> String {
    let from_real = part.differences.iter().filter(|each| each.from == Kind::Real.name());
    from_real.map(|each| format!("{} {}", each.arm, interval(&each.by))).collect::<Vec<_>>().join("; ")
}

/// A difference with its bounds alone.
pub(super) fn interval(by: &Combined) -> String {
    match bounds(by.low, by.high) {
        Some(_) => format!("{} ({} to {})", signed(by.value), signed(by.low), signed(by.high)),
        None => signed(by.value),
    }
}

/// What more labels would do instead.
pub(super) fn labels_instead(ladder: &TaskLadder) -> Option<String> {
    let curve = ladder.curve.as_ref()?;
    let each: Vec<String> =
        curve.instead.iter().map(|each| format!("{} less that: {}", each.arm, interval(&each.by))).collect();
    Some(format!(
        "{}: {MORE} more labelled Reels would add {} in {}, by a line over the logarithm of their number; {}",
        ladder.task,
        interval(&curve.more),
        metrics::name(ladder.metric),
        each.join("; ")
    ))
}
