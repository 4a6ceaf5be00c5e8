//! Intervals and tests of what people say of texts.

use indexmap::IndexMap;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::annotation::{Rating, text_key};
use reels::score::ratings::{RatedRun, RatingComparison, compare, score};
use reels::scores::{Metric, Row};

use super::designs::{Accounts, Classes, Design, RUNS, normal};
use super::tally::{Tallies, Tally, simulate};
use super::{SETTINGS, details, publish, row, table};

/// By how much runs are better than the first.
const SHIFTS: [f64; RUNS] = [0.0, 0.0, 0.25, 1.0];
/// How much higher than others each annotator rates; always the same people.
const SEVERITIES: [f64; 3] = [0.3, -0.4, 0.1];
/// Metrics and how much of them is how good the text is.
const METRICS: [(&str, f64); 3] = [("rougeL", 0.5), ("chrf", 0.9), ("words", 0.0)];

#[derive(Clone, Copy)]
struct Rated {
    reels: usize,
    accounts: usize,
    heavy: bool,
    /// The first rates all Reels, each of the others half of them.
    annotators: usize,
    /// What a text is given on average, but that nothing lies outside of 1 to 5.
    level: f64,
}

impl std::fmt::Display for Rated {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let heavy = if self.heavy { ", one with 30 %" } else { "" };
        let Rated { reels, accounts, annotators, level, .. } = self;
        write!(f, "{reels} Reels, {accounts} accounts{heavy}, annotators: {annotators}, about {level}")
    }
}

/// Of a Reel, how good each run's text about it is.
type Quality = [f64; RUNS];

impl Rated {
    fn sizes(&self) -> Vec<usize> {
        let accounts = Accounts { count: self.accounts, theme: 0.0, heavy: self.heavy, habit: 0.0, unknown: 0.0 };
        let of = Design {
            classes: Classes::Balanced,
            labels: 2,
            rows: self.reels,
            accounts: Some(accounts),
            quality: 0.5,
            correlation: 0.0,
        };
        of.sizes()
    }

    /// The account and quality of each Reel; those of an account are alike.
    fn draw(&self, random: &mut ChaCha8Rng) -> Vec<(usize, Quality)> {
        let mut reels = Vec::new();
        for (account, size) in self.sizes().into_iter().enumerate() {
            let taste = 0.5 * normal(random);
            let own: Quality = std::array::from_fn(|_| 0.3 * normal(random));
            for _ in 0..size {
                let common = taste + 0.6 * normal(random);
                let quality = std::array::from_fn(|run| common + SHIFTS[run] + own[run] + 0.6 * normal(random));
                reels.push((account, quality));
            }
        }
        reels
    }

    /// What annotators say of these Reels' texts.
    fn runs(&self, reels: &[(usize, Quality)], random: &mut ChaCha8Rng) -> Vec<RatedRun> {
        let mut rows: [Vec<Row>; RUNS] = Default::default();
        let mut ratings: [Vec<Rating>; RUNS] = Default::default();
        for (reel, (account, quality)) in reels.iter().enumerate() {
            let texts: [String; RUNS] = std::array::from_fn(|run| format!("{run} {reel}"));
            let keys: [String; RUNS] = std::array::from_fn(|run| text_key(&texts[run]));
            for run in 0..RUNS {
                let metrics = METRICS.map(|(key, share)| {
                    let value = share * quality[run] + (1.0 - share) * normal(random);
                    (key.to_owned(), value)
                });
                rows[run].push(Row {
                    metrics: metrics.into(),
                    output: texts[run].clone(),
                    ..row(reel, Some(*account), "summary")
                });
            }
            for (annotator, severity) in SEVERITIES.iter().enumerate().take(self.annotators) {
                if annotator > 0 && random.random_bool(0.5) {
                    continue;
                }
                let seen: Quality = quality.map(|quality| quality + 0.6 * normal(random));
                for run in 0..RUNS {
                    let given = (self.level + severity + seen[run]).round().clamp(1.0, 5.0) as u8;
                    let preferred = (0..RUNS).filter(|other| *other != run).map(|other| {
                        let apart = seen[run] - seen[other];
                        let sign = if apart.abs() < 0.3 { 0 } else { apart.signum() as i8 };
                        (keys[other].clone(), sign)
                    });
                    ratings[run].push(Rating {
                        v: 1,
                        reel_id: rows[run][reel].reel_id.clone(),
                        task: "summary".into(),
                        annotator: annotator.to_string(),
                        text: keys[run].clone(),
                        ratings: [("faithful".to_owned(), given)].into(),
                        preferred: preferred.collect(),
                        note: None,
                    });
                }
            }
        }
        (0..RUNS).map(|run| RatedRun::of(&run.to_string(), &rows[run], &ratings[run])).collect()
    }
}

/// Whatever has an interval, by what it is; of several of a kind all.
fn measured(runs: &[RatedRun]) -> (Vec<(&'static str, Metric)>, RatingComparison) {
    let scores = &score(&runs[0], &SETTINGS)["summary"];
    let compared = compare(runs, &SETTINGS).unwrap().swap_remove("summary").unwrap();
    let three = compare(&runs[..3], &SETTINGS).unwrap().swap_remove("summary").unwrap();
    let mut all = vec![("mean", scores.scales["faithful"].clone())];
    all.extend(METRICS.map(|(key, _)| {
        let name = match key {
            "rougeL" => "rho, middling",
            "chrf" => "rho, strong",
            _ => "rho, none",
        };
        (name, scores.correlations[key]["faithful"].clone())
    }));
    for (name, pair) in [("share, equal", 0), ("share, better", 2)] {
        all.push((name, compared.preferences[pair].share.clone()));
    }
    for (name, run) in [("difference, equal", 0), ("difference, better", 2)] {
        let found = &compared.scales["faithful"].differences[run];
        let value = &found.difference;
        let metric = Metric { value: value.value, low: value.low, high: value.high, n: found.n, ..all[0].1.clone() };
        all.push((name, metric));
    }
    all.extend(three.strengths.into_iter().map(|strength| ("strength of 3", strength)));
    all.extend(compared.strengths.iter().map(|strength| ("strength of 4", strength.clone())));
    (all, compared)
}

/// What all of it estimates.
fn truths(design: &Rated) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut sums: Vec<f64> = Vec::new();
    const DRAWS: usize = 8;
    for _ in 0..DRAWS {
        // Independent Reels, said to be of one account as only the values are of interest.
        let many = Rated { reels: 25_000, accounts: 25_000, heavy: false, ..*design };
        let reels: Vec<(usize, Quality)> =
            many.draw(&mut random).into_iter().map(|(_, quality)| (0, quality)).collect();
        let (found, _) = measured(&many.runs(&reels, &mut random));
        sums.resize(found.len(), 0.0);
        found.iter().zip(&mut sums).for_each(|((_, metric), sum)| *sum += metric.value / DRAWS as f64);
    }
    sums
}

fn cell(design: &Rated, truths: &[f64], simulations: u64) -> Tallies {
    simulate(simulations, |random, tallies| {
        let reels = design.draw(random);
        let (found, compared) = measured(&design.runs(&reels, random));
        for ((name, metric), truth) in found.iter().zip(truths) {
            // One that isn't defined has no bias.
            let value = if metric.value.is_nan() { *truth } else { metric.value };
            tallies.entry((name, "interval")).or_default().interval(value, [metric.low, metric.high], *truth);
        }
        let mut reject = |what, p: f64| tallies.entry((what, "p")).or_default().test(p < 0.05);
        reject("difference, equal", compared.scales["faithful"].differences[0].difference.p.unwrap());
        reject("preference, equal", compared.preferences[0].p);
    })
}

fn designs() -> Vec<Rated> {
    let of = |(reels, accounts, heavy): (usize, usize, bool), annotators, level| Rated {
        reels,
        accounts,
        heavy,
        annotators,
        level,
    };
    let usual = [(40, 30), (60, 42), (86, 86), (120, 86), (120, 30)].map(|(reels, accounts)| (reels, accounts, false));
    let heavy = [(120, 30, true), (120, 86, true)];
    let few = [(40, 5), (40, 8), (40, 10), (120, 10), (12, 12), (15, 15), (60, 15), (20, 20), (60, 20)]
        .map(|(reels, accounts)| (reels, accounts, false));
    let mut designs = Vec::new();
    for level in [3.2, 5.2] {
        designs.extend(usual.iter().flat_map(|size| [1, 2, 3].map(|annotators| of(*size, annotators, level))));
        designs.extend(heavy.iter().chain(&few).map(|size| of(*size, 2, level)));
    }
    designs
}

#[test]
#[ignore = "minutes of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn ratings_hold() {
    let only = std::env::var("CELLS").ok();
    let simulations = std::env::var("SIMULATIONS").map_or(500, |n| n.parse().expect("a number"));
    let mut known: IndexMap<String, Vec<f64>> = IndexMap::new();
    let mut cells: Vec<(String, Tallies)> = Vec::new();
    for design in designs() {
        let name = design.to_string();
        if only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let population = format!("{} {}", design.annotators, design.level);
        let truths = known.entry(population).or_insert_with(|| truths(&design));
        cells.push((name.clone(), cell(&design, truths, simulations)));
        eprintln!("{name}");
    }
    let rejected = |tally: &Tally| {
        format!("{:.1}{}", tally.coverage(), if tally.rejects_too_often() { " **too often**" } else { "" })
    };
    let text = [
        format!(
            "# Ratings\n\nHow often 95 % intervals of what people say hold the truth: what the same annotators would say on average of all \
             Reels there could be. By `cargo test --test coverage ratings_hold -- --ignored --nocapture`: {simulations} simulations a cell; \
             the truth is that of 200,000 Reels. Ratings are 1 to 5 on one scale, Reels of an account are alike; the first annotator rates all \
             Reels, each of the others half of them. Cells as in [intervals.md](intervals.md).\n"
        ),
        table(
            "## Means of a run",
            &["mean", "difference, equal", "difference, better"],
            "interval",
            &cells,
            Tally::cell,
        ),
        table("## Rank correlations", &["rho, none", "rho, middling", "rho, strong"], "interval", &cells, Tally::cell),
        table(
            "## Preferences: share of wins, log-strengths",
            &["share, equal", "share, better", "strength of 3", "strength of 4"],
            "interval",
            &cells,
            Tally::cell,
        ),
        table(
            "## Tests: true nulls rejected at 5 %",
            &["difference, equal", "preference, equal"],
            "p",
            &cells,
            rejected,
        ),
        details(&cells),
    ];
    publish("ratings", &text.concat(), only.is_none());
    let wrong = |(name, tallies): &(String, Tallies)| {
        let of = |(key, what): &(&str, &str), tally: &Tally| {
            let is_wrong = if *what == "p" { tally.rejects_too_often() } else { tally.fails() };
            is_wrong.then(|| format!("{name}: {key}, {what}: {}", tally.cell()))
        };
        tallies.iter().filter_map(|(name, tally)| of(name, tally)).collect::<Vec<_>>()
    };
    let wrong: Vec<String> = cells.iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
