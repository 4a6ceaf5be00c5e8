//! Against scipy, statsmodels and choix; `tests/reference/ratings.py` writes what they say.

use indexmap::IndexMap;
use serde::Deserialize;

use super::correlation::spearman;
use super::strength::{Wins, log_strengths};
use super::{RatedRun, compare, score};
use crate::annotation::{Rating, SCALES, text_key};
use crate::config::ScoreSettings;
use crate::prediction::Finish;
use crate::scores::{Metric, Row};

#[derive(Deserialize)]
struct File {
    spearman: Vec<Ranked>,
    strengths: Vec<Strong>,
    comparisons: Vec<Case>,
}

#[derive(Deserialize)]
struct Ranked {
    a: Vec<f64>,
    b: Vec<f64>,
    rho: Option<f64>,
}

#[derive(Deserialize)]
struct Strong {
    wins: Wins,
    glm: Vec<f64>,
    choix: [Vec<f64>; 2],
}

#[derive(Deserialize)]
struct Case {
    /// `[runs][reels]`
    texts: Vec<Vec<String>>,
    /// By Reel; absent where each has one of its own.
    accounts: Option<Vec<usize>>,
    #[serde(rename = "rougeL")]
    rouge: Vec<Vec<f64>>,
    flags: Vec<Vec<usize>>,
    /// Run, Reel, annotator, by scale.
    ratings: Vec<(usize, usize, String, [u8; 3])>,
    /// Reel, annotator, one run, the other, whether that is better.
    votes: Vec<(usize, String, usize, usize, i8)>,
    /// `[scales][runs]`: value and bounds.
    means: Vec<Vec<[f64; 3]>>,
    /// `[scales][runs − 1]`: value, bounds and p.
    differences: Vec<Vec<[f64; 4]>>,
    holm: Vec<f64>,
    /// By key `[runs][scales]`.
    correlations: IndexMap<String, Vec<Vec<[f64; 3]>>>,
    preferences: Vec<Pair>,
    /// Values, with bounds where all accounts have as many games.
    strengths: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Pair {
    pair: [usize; 2],
    wins: usize,
    losses: usize,
    ties: usize,
    same_text: usize,
    p: f64,
    p_adjusted: f64,
    /// The value, with bounds where each Reel has an account of its own.
    share: Vec<f64>,
}

const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 10_000, seed: 42, interval: None };

fn file() -> File {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/ratings.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

impl Case {
    /// The runs as files would give them: what is judged between two of them stands with both.
    fn runs(&self) -> Vec<RatedRun> {
        let of_run = |run: usize| {
            let rows: Vec<Row> = (0..self.texts[run].len()).map(|reel| self.row(run, reel)).collect();
            let of_this = self.ratings.iter().filter(|(of, ..)| *of == run);
            let ratings: Vec<Rating> = of_this.map(|(_, reel, by, given)| self.rating(run, *reel, by, given)).collect();
            RatedRun::of(&run.to_string(), &rows, &ratings)
        };
        (0..self.texts.len()).map(of_run).collect()
    }

    fn row(&self, run: usize, reel: usize) -> Row {
        Row {
            v: 1,
            reel_id: format!("r{reel:03}"),
            account: self.accounts.as_ref().map(|accounts| format!("a{}", accounts[reel])),
            task: "summary".into(),
            repeat: 0,
            prompt: String::new(),
            reference: None,
            alternatives: vec![],
            annotations: IndexMap::new(),
            output: self.texts[run][reel].clone(),
            label_logprobs: None,
            finish: Finish::Stop,
            metrics: [("rougeL".to_owned(), self.rouge[run][reel])].into(),
            flags: vec!["9".into(); self.flags[run][reel]],
            slices: IndexMap::new(),
        }
    }

    fn rating(&self, run: usize, reel: usize, by: &str, given: &[u8; 3]) -> Rating {
        let votes = self.votes.iter().filter(|(of, voter, ..)| *of == reel && voter == by);
        let preferred = votes.filter_map(|(_, _, one, other, better)| {
            let key = |run: usize| text_key(&self.texts[run][reel]);
            match () {
                () if run == *other => Some((key(*one), *better)),
                () if run == *one => Some((key(*other), -better)),
                () => None,
            }
        });
        Rating {
            v: 1,
            reel_id: format!("r{reel:03}"),
            task: "summary".into(),
            annotator: by.into(),
            text: text_key(&self.texts[run][reel]),
            ratings: SCALES.map(str::to_owned).into_iter().zip(*given).collect(),
            preferred: preferred.collect(),
            note: None,
        }
    }
}

fn check(metric: &Metric, [value, low, high]: [f64; 3], tolerance: f64, what: &str) {
    near(metric.value, value, tolerance, what);
    near(metric.low, low, tolerance, &format!("{what}, low"));
    near(metric.high, high, tolerance, &format!("{what}, high"));
}

#[test]
fn rank_correlations_equal_scipy() {
    let cases = file().spearman;
    assert!(cases.len() >= 40);
    for Ranked { a, b, rho } in cases {
        let found = spearman(&a.iter().zip(&b).map(|(a, b)| [*a, *b]).collect::<Vec<_>>());
        match rho {
            Some(rho) => near(found, rho, 1e-12, "rho"),
            None => assert!(found.is_nan()),
        }
    }
}

#[test]
fn strengths_equal_statsmodels_and_choix() {
    let cases = file().strengths;
    assert!(cases.len() >= 20);
    for Strong { wins, glm, choix: [newton, spectrum] } in cases {
        let found = log_strengths(&wins).unwrap();
        for (others, tolerance) in [(glm, 1e-10), (newton, 1e-6), (spectrum, 1e-10)] {
            found.iter().zip(&others).for_each(|(found, other)| near(*found, *other, tolerance, &format!("{wins:?}")));
        }
    }
}

#[test]
fn means_and_correlations_equal_scipy() {
    for case in file().comparisons {
        for (run, rated) in case.runs().iter().enumerate() {
            let scores = &score(rated, &SETTINGS)["summary"];
            assert_eq!((scores.annotators.len(), scores.texts, scores.stale), (3, case.texts[run].len(), 0));
            for (at, scale) in SCALES.iter().enumerate() {
                check(&scores.scales[*scale], case.means[at][run], 1e-12, scale);
                for (key, expected) in &case.correlations {
                    check(&scores.correlations[key][*scale], expected[run][at], 1e-12, key);
                }
            }
        }
    }
}

#[test]
fn comparisons_equal_scipy_and_statsmodels() {
    for case in file().comparisons {
        let compared = compare(&case.runs(), &SETTINGS).unwrap();
        let compared = &compared["summary"];
        let mut holm = case.holm.iter();
        for (scale, expected) in SCALES.iter().zip(&case.differences) {
            for (found, [value, low, high, p]) in compared.scales[*scale].differences.iter().zip(expected) {
                assert_eq!(found.n, case.texts[0].len());
                let found = &found.difference;
                near(found.value, *value, 1e-12, scale);
                near(found.low, *low, 1e-12, scale);
                near(found.high, *high, 1e-12, scale);
                near(found.p.unwrap(), *p, 1e-12, scale);
                near(found.p_adjusted.unwrap(), *holm.next().unwrap(), 1e-12, scale);
            }
        }
        assert_eq!(compared.preferences.len(), case.preferences.len());
        for (found, pair) in compared.preferences.iter().zip(&case.preferences) {
            let counts = [found.run, found.against, found.wins, found.losses, found.ties, found.same_text];
            assert_eq!(counts, [pair.pair[0], pair.pair[1], pair.wins, pair.losses, pair.ties, pair.same_text]);
            assert_eq!(found.test, if case.accounts.is_none() { "sign" } else { "sign-flip" });
            near(found.p, pair.p, 1e-12, "p");
            near(found.p_adjusted, pair.p_adjusted, 1e-12, "adjusted p");
            match pair.share[..] {
                [value, low, high] => check(&found.share, [value, low, high], 1e-12, "share"),
                _ => near(found.share.value, pair.share[0], 1e-12, "share"),
            }
        }
        for (found, expected) in compared.strengths.iter().zip(&case.strengths) {
            match expected[..] {
                [value, low, high] => check(found, [value, low, high], 1e-8, "strength"),
                _ => near(found.value, expected[0], 1e-8, "strength"),
            }
        }
    }
}
