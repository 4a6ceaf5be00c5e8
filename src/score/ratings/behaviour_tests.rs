//! What is told of ratings and what isn't.

use super::*;
use crate::annotation::{Rating, text_key};
use crate::error::Shown;
use crate::prediction::Finish;
use crate::score::compare::Verdict;
use crate::scores::Row;

const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 999, seed: 42, interval: None };

/// The run's text about a Reel is its name and the Reel's.
fn row(run: &str, reel: usize, account: Option<usize>) -> Row {
    Row {
        v: 1,
        reel_id: format!("r{reel:02}"),
        account: account.map(|account| format!("a{account}")),
        task: "summary".into(),
        repeat: 0,
        prompt: String::new(),
        reference: None,
        alternatives: vec![],
        annotations: IndexMap::new(),
        output: format!("{run} {reel}"),
        label_logprobs: None,
        finish: Finish::Stop,
        metrics: [("rougeL".to_owned(), (reel * 7 % 11) as f64)].into(),
        flags: vec![],
        slices: IndexMap::new(),
    }
}

fn rating(run: &str, reel: usize, by: &str, faithful: u8, preferred: &[(&str, i8)]) -> Rating {
    let preferred = preferred.iter().map(|(other, sign)| (text_key(&format!("{other} {reel}")), *sign));
    Rating {
        v: 1,
        reel_id: format!("r{reel:02}"),
        task: "summary".into(),
        annotator: by.into(),
        text: text_key(&format!("{run} {reel}")),
        ratings: [("faithful".to_owned(), faithful)].into(),
        preferred: preferred.collect(),
        note: None,
    }
}

/// 24 Reels of 12 accounts.
fn run(name: &str, ratings: impl Fn(usize) -> Vec<Rating>) -> RatedRun {
    let rows: Vec<Row> = (0..24).map(|reel| row(name, reel, Some(reel / 2))).collect();
    RatedRun::of(name, &rows, &(0..24).flat_map(ratings).collect::<Vec<_>>())
}

fn compared(runs: &[RatedRun]) -> RatingComparison {
    compare(runs, &SETTINGS).unwrap().swap_remove("summary").unwrap()
}

fn refused(runs: &[RatedRun]) -> String {
    Shown::of(&compare(runs, &SETTINGS).unwrap_err()).to_string()
}

#[test]
fn ratings_of_former_texts_are_counted_and_left_out() {
    let mut rated = run("a", |reel| vec![rating("a", reel, "ana", 2 + reel as u8 % 3, &[])]);
    let former = run("a", |reel| vec![rating("before", reel, "ana", 1, &[])]);
    let [with, without] = [&rated, &former].map(|run| score(run, &SETTINGS)["summary"].clone());
    assert_eq!((with.stale, with.texts, with.scales["faithful"].value, with.scales.len()), (0, 24, 3.0, 1));
    assert_eq!((without.stale, without.texts, without.scales.len(), without.correlations.len()), (24, 0, 0, 0));
    assert!(without.annotators.is_empty());
    rated.tasks["summary"].reels.retain(|reel, _| reel.as_str() < "r09");
    let few = &score(&rated, &SETTINGS)["summary"];
    let rho = &few.correlations["rougeL"]["faithful"];
    assert!(rho.value.is_nan() && few.scales["faithful"].low > 1.0);
    assert_eq!(rho.withheld.as_deref(), Some("9 rated texts; a correlation takes at least 10"));
}

#[test]
fn what_is_not_defined_is_null_in_json_and_read_again() {
    let scores =
        score(&run("a", |reel| vec![rating("a", reel, "ana", 5, &[])]), &SETTINGS).swap_remove("summary").unwrap();
    let mean = &scores.scales["faithful"];
    assert_eq!((mean.value, mean.withheld.as_deref()), (5.0, Some("nothing varies between its rows")));
    let rho = &scores.correlations["rougeL"]["faithful"];
    assert_eq!(rho.withheld.as_deref(), Some("not defined: all texts are alike in one of the two"));
    let json = serde_json::to_string(&scores).unwrap();
    let again: crate::scores::TaskRatings = serde_json::from_str(&json).unwrap();
    assert!(json.contains("\"value\":null") && json == serde_json::to_string(&again).unwrap());
}

#[test]
fn few_accounts_have_no_interval_and_unknown_ones_are_no_accounts() {
    let ratings: Vec<Rating> = (0..24).map(|reel| rating("a", reel, "ana", 2 + reel as u8 % 3, &[])).collect();
    let mean = |account: fn(usize) -> Option<usize>| {
        let rows: Vec<Row> = (0..24).map(|reel| row("a", reel, account(reel))).collect();
        score(&RatedRun::of("a", &rows, &ratings), &SETTINGS)["summary"].scales["faithful"].clone()
    };
    let few = mean(|reel| (reel < 12).then_some(reel % 4));
    assert_eq!(few.withheld.as_deref(), Some("the rows are of 4 accounts; an interval takes at least 5"));
    assert_eq!((few.value, few.clusters, few.low.is_nan()), (3.0, 16, true));
    assert_eq!((mean(|_| None).clusters, mean(|_| None).withheld), (24, None));
}

#[test]
fn only_who_rated_both_texts_tells_a_difference() {
    // Ana is strict and rated both; Ben is kind and rated the second run alone.
    let first = run("a", |reel| vec![rating("a", reel, "ana", 2 + reel as u8 % 2, &[])]);
    let second = run("b", |reel| {
        let ben = rating("b", reel, "ben", 5, &[]);
        if reel < 16 { vec![rating("b", reel, "ana", 2 + reel as u8 % 2, &[]), ben] } else { vec![ben] }
    });
    let found = &compared(&[first.clone(), second.clone()]).scales["faithful"];
    assert!(found.means[1].as_ref().unwrap().value > found.means[0].as_ref().unwrap().value + 1.0);
    let RatingDifference { n, difference } = &found.differences[0];
    assert_eq!(
        (*n, difference.value, difference.p, difference.verdict),
        (16, 0.0, Some(1.0), Verdict::NoDifferenceShown)
    );
    let alone = run("c", |reel| vec![rating("c", reel, "ben", 4, &[])]);
    let RatingDifference { n, difference } = &compared(&[first, alone]).scales["faithful"].differences[0];
    assert_eq!((*n, difference.p, difference.verdict), (0, None, Verdict::NotTested));
    assert_eq!(difference.withheld.as_deref(), Some("nobody rated both runs’ texts of a Reel"));
}

#[test]
fn what_is_clearly_better_is_told() {
    let first = run("a", |reel| vec![rating("a", reel, "ana", 2 + reel as u8 % 2, &[("b", -1)])]);
    let second = run("b", |reel| vec![rating("b", reel, "ana", 4, &[("a", 1)])]);
    let found = compared(&[first, second]);
    let difference = &found.scales["faithful"].differences[0].difference;
    assert_eq!((difference.value, difference.verdict, difference.differing), (1.5, Verdict::Better, 12));
    // 2 of all 2¹² flips are as far apart; of only 999 that are made, chance may make neither.
    assert!(difference.p >= Some(0.001) && difference.smallest_p == Some(0.5f64.powi(11)));
    let preference = &found.preferences[0];
    assert_eq!([preference.wins, preference.losses, preference.ties], [24, 0, 0]);
    assert_eq!((preference.share.value, preference.share.method.as_str()), (1.0, "wilson"));
    assert!(found.strengths.is_empty());
}

#[test]
fn a_judgement_counts_once_wherever_it_stands() {
    let says = |name, other, sign| run(name, move |reel| vec![rating(name, reel, "ana", 3, &[(other, sign)])]);
    let silent = |name| run(name, move |reel| vec![rating(name, reel, "ana", 3, &[])]);
    for runs in [
        [says("a", "b", -1), says("b", "a", 1)],
        [silent("a"), says("b", "a", 1)],
        [says("a", "b", -1), silent("b")],
        [says("a", "b", -1), run("b", |_| vec![])],
    ] {
        let mut runs = runs;
        // A task is compared where two runs are rated.
        runs[1].tasks["summary"].stale = 1;
        assert_eq!(compared(&runs).preferences[0].wins, 24);
    }
    let message = refused(&[says("a", "b", 1), says("b", "a", 1)]);
    assert!(
        message.starts_with("\"ana\" prefers another text of Reel \"r00\" beside b than beside a\nhint: "),
        "{message}"
    );
}

#[test]
fn annotators_vote_and_the_same_text_is_no_tie() {
    let first = run("a", |reel| vec![rating("a", reel, "ana", 3, &[("b", 1)])]);
    let mut second = run("b", |reel| {
        // Ben outvotes nobody; with Caca he does.
        let mut said = vec![rating("b", reel, "ben", 3, &[("a", 1)])];
        if reel < 8 {
            said.push(rating("b", reel, "caca", 3, &[("a", 1)]));
        }
        said
    });
    let alike = first.tasks["summary"].reels["r23"].clone();
    second.tasks["summary"].reels.insert("r23".into(), alike);
    let found = &compared(&[first, second]).preferences[0];
    assert_eq!([found.wins, found.losses, found.ties, found.same_text], [8, 0, 15, 1]);
}

#[test]
fn strengths_that_there_are_not_are_explained() {
    let of = |name: &'static str, others: &'static [(&'static str, i8)]| {
        run(name, move |reel| vec![rating(name, reel, "ana", 3, others)])
    };
    let why = |runs: &[RatedRun]| {
        let strengths = compared(runs).strengths;
        assert!(strengths.len() == runs.len() && strengths.iter().all(|strength| strength.value.is_nan()));
        strengths[0].withheld.clone().unwrap()
    };
    let alone = of("c", &[]);
    assert_eq!(why(&[of("a", &[("b", 1)]), of("b", &[]), alone.clone()]), "nobody compared a, b with c");
    let chain = [of("a", &[("b", 0), ("c", 1)]), of("b", &[("c", 1)]), alone.clone()];
    assert_eq!(why(&chain), "not defined: c won or tied nothing against a, b");
    let winner = [of("a", &[("b", 1), ("c", 1)]), of("b", &[("c", 0)]), alone];
    assert_eq!(why(&winner), "not defined: b, c won or tied nothing against a");
    let even = [of("a", &[("b", 0)]), of("b", &[("c", 0)]), of("c", &[])];
    assert!(compared(&even).strengths.iter().all(|strength| strength.value == 0.0));
}

#[test]
fn other_data_are_refused() {
    let first = run("a", |reel| vec![rating("a", reel, "ana", 3, &[])]);
    let rows: Vec<Row> = (0..24).map(|reel| row("b", reel, Some(reel / 3))).collect();
    let ratings: Vec<Rating> = (0..24).map(|reel| rating("b", reel, "ana", 3, &[])).collect();
    let message = refused(&[first, RatedRun::of("b", &rows, &ratings)]);
    assert!(message.starts_with("Reel \"r02\" has another account in b than in a\nhint: "), "{message}");
}

#[test]
fn rows_and_ratings_in_any_order_say_the_same() {
    let rows: Vec<Row> = (0..24).map(|reel| row("a", reel, Some(reel / 2))).collect();
    let said =
        |by| move |reel: usize| rating("a", reel, by, 1 + (reel * 5 % 7 % 5) as u8, &[("b", [1, 0, -1][reel % 3])]);
    let ratings: Vec<Rating> = (0..24).map(said("ana")).chain((0..9).map(said("ben"))).collect();
    let other = run("b", |reel| vec![rating("b", reel, "ana", 1 + (reel % 5) as u8, &[])]);
    let of = |rows: &[Row], ratings: &[Rating]| {
        let run = RatedRun::of("a", rows, ratings);
        let (scores, compared) = (score(&run, &SETTINGS), compare(&[run, other.clone()], &SETTINGS).unwrap());
        [serde_json::to_string(&scores).unwrap(), serde_json::to_string(&compared).unwrap()]
    };
    let reversed = (rows.iter().rev().cloned().collect::<Vec<_>>(), ratings.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(of(&rows, &ratings), of(&reversed.0, &reversed.1));
}
