//! How often intervals hold the truth and tests reject a true null, by simulation. Slow:
//!
//!     cargo test --test coverage -- --ignored --nocapture
//!
//! Every simulated data set goes through `score` and `compare` as real rows do.

use std::cell::RefCell;

use indexmap::IndexMap;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use reels::config::{MetricSettings, ScoreSettings};
use reels::prediction::Finish;
use reels::score::compare::{Run, compare};
use reels::score::{Table, Thresholds};
use reels::scores::{Row, Scores};
use reels::task::{Task, parse_tasks};

const SIMULATIONS: u64 = 10_000;
const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 1000, seed: 42 };
const CLASSES: usize = 8;
const ROWS: usize = 655;

fn task(name: &str) -> Vec<Task> {
    let labels: Vec<String> = (0..CLASSES).map(|class| format!("\"{class}\"")).collect();
    let text = format!(
        "[task.text]\nkind = \"text\"\ntemplate = \"t\"\nmax_tokens = 9\n\
         [task.label]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\nlabels = [{}]\n",
        labels.join(", ")
    );
    parse_tasks(&text, "tasks.toml").unwrap().into_iter().filter(|task| task.name == name).collect()
}

fn row(index: usize, account: Option<String>, task: &str) -> Row {
    Row {
        v: 1,
        reel_id: format!("r{index:05}"),
        account,
        task: task.into(),
        repeat: 0,
        prompt: String::new(),
        reference: Some(String::new()),
        output: String::new(),
        label_logprobs: None,
        finish: Finish::Stop,
        metrics: IndexMap::new(),
        flags: vec![],
        slices: IndexMap::new(),
    }
}

fn score(rows: &[Row], tasks: &[Task], settings: &ScoreSettings) -> Scores {
    let metrics = MetricSettings { amounts: false, stems: false };
    reels::score::score(&Table::of(rows, tasks).unwrap(), settings, &metrics, &Thresholds::new())
}

/// From the inverse of its distribution, near enough.
fn normal(random: &mut impl Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

fn text_rows(values: impl Iterator<Item = (Option<String>, f64)>) -> Vec<Row> {
    let of = |(index, (account, value)): (usize, (Option<String>, f64))| {
        let metrics = [("rougeL".to_owned(), value)].into();
        Row { metrics, ..row(index, account, "text") }
    };
    values.enumerate().map(of).collect()
}

/// References of skewed classes, answered right with probability `skill`, else with any class.
fn label_rows(references: &[usize], skill: f64, random: &mut impl Rng) -> Vec<Row> {
    let of = |(index, reference): (usize, &usize)| {
        let answer = if random.random_bool(skill) { *reference } else { random.random_range(0..CLASSES) };
        let correct = f64::from(u8::from(answer == *reference));
        Row {
            reference: Some(reference.to_string()),
            output: answer.to_string(),
            metrics: [("correct".to_owned(), correct)].into(),
            ..row(index, None, "label")
        }
    };
    references.iter().enumerate().map(of).collect()
}

/// Class k has a share in proportion to 1 / (k + 1).
fn shares() -> Vec<f64> {
    let total: f64 = (1..=CLASSES).map(|rank| 1.0 / rank as f64).sum();
    (1..=CLASSES).map(|rank| 1.0 / rank as f64 / total).collect()
}

fn skewed(random: &mut impl Rng) -> Vec<usize> {
    let shares = shares();
    let draw = |_| {
        let mut left: f64 = random.random();
        shares
            .iter()
            .position(|share| {
                left -= share;
                left < 0.0
            })
            .unwrap_or(CLASSES - 1)
    };
    (0..ROWS).map(draw).collect()
}

/// The share of simulations for which `hit` says yes, by what it names.
fn shares_of(hit: impl Fn(&mut ChaCha8Rng) -> Vec<(&'static str, bool)> + Sync) -> Vec<(&'static str, f64)> {
    let hits: Vec<Vec<(&str, bool)>> = (0..SIMULATIONS)
        .into_par_iter()
        .map(|simulation| {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            random.set_stream(simulation);
            hit(&mut random)
        })
        .collect();
    let share = |at: usize| hits.iter().filter(|hits| hits[at].1).count() as f64 / SIMULATIONS as f64;
    (0..hits[0].len()).map(|at| (hits[0][at].0, share(at))).collect()
}

fn print(title: &str, shares: &[(&str, f64)]) {
    println!("{title} ({SIMULATIONS} simulations, B = {})", SETTINGS.bootstrap);
    for (name, share) in shares {
        println!("  {name:24} {:5.1} %", 100.0 * share);
    }
}

#[test]
#[ignore = "minutes of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn intervals_of_macro_f1_hold_it() {
    const SKILL: f64 = 0.6;
    let task = task("label");
    // Of the population: P(answer = k) is skill × share + (1 − skill) / classes.
    let other = (1.0 - SKILL) / CLASSES as f64;
    let f1 = |share: f64| 2.0 * share * (SKILL + other) / (share + SKILL * share + other);
    let truth = shares().into_iter().map(f1).sum::<f64>() / CLASSES as f64;
    let shares = shares_of(|random| {
        let references = skewed(random);
        let rows = label_rows(&references, SKILL, random);
        let scores = score(&rows, &task, &SETTINGS);
        let metric = &scores.tasks["label"].metrics["macro_f1"];
        vec![("macro_f1", metric.low <= truth && truth <= metric.high)]
    });
    print("coverage of 95 % intervals, 655 rows, 8 skewed classes", &shares);
    assert!((0.93..=0.97).contains(&shares[0].1));
}

#[test]
#[ignore = "minutes of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn intervals_of_clustered_means_hold_them() {
    const ACCOUNTS: usize = 60;
    const CORRELATION: f64 = 0.2;
    let task = task("text");
    let shares = shares_of(|random| {
        let accounts: Vec<f64> = (0..ACCOUNTS).map(|_| CORRELATION.sqrt() * normal(random)).collect();
        let random = RefCell::new(random);
        let values = (0..ROWS).map(|index| {
            let account = index % ACCOUNTS;
            let own = (1.0 - CORRELATION).sqrt() * normal(&mut **random.borrow_mut());
            (Some(format!("a{account}")), accounts[account] + own)
        });
        let rows = text_rows(values);
        let mut unknown = rows.clone();
        unknown.iter_mut().for_each(|row| row.account = None);
        let holds = |rows: &[Row]| {
            let scores = score(rows, &task, &SETTINGS);
            let metric = &scores.tasks["text"].metrics["rougeL"];
            metric.low <= 0.0 && 0.0 <= metric.high
        };
        vec![("resampled by account", holds(&rows)), ("resampled by row", holds(&unknown))]
    });
    print("coverage of 95 % intervals of a mean, 60 accounts, correlation 0.2", &shares);
    assert!(shares[0].1 >= 0.92);
    assert!(shares[1].1 < 0.75, "rows of an account are alike");
}

#[test]
#[ignore = "minutes of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn tests_reject_a_true_null_as_often_as_they_say() {
    let tasks = [task("text"), task("label")];
    let run =
        |name: &str, rows: Vec<Row>, tasks: &[Task]| Run { name: name.into(), table: Table::of(&rows, tasks).unwrap() };
    let rejected = |first: Vec<Row>, second: Vec<Row>, task: &[Task], metric: &str| {
        let runs = [run("a", first, task), run("b", second, task)];
        let comparison = compare(&runs, &SETTINGS).unwrap();
        comparison.tasks[0].metrics[metric].differences[0].p.unwrap() < 0.05
    };
    let shares = shares_of(|random| {
        let accounts: Vec<f64> = (0..120).map(|_| normal(random)).collect();
        let mut values = || {
            // An account that suits a run suits it in all of its rows.
            let taste: Vec<f64> = (0..60).map(|_| 0.5 * normal(random)).collect();
            let value = |index: usize| accounts[index % 60] + taste[index % 60] + normal(random);
            let values: Vec<f64> = (0..240).map(value).collect();
            text_rows(values.into_iter().enumerate().map(|(index, value)| (Some(format!("a{}", index % 60)), value)))
        };
        let (first, second) = (values(), values());
        let means = rejected(first, second, &tasks[0], "rougeL");
        let references = skewed(random);
        let (first, second) = (label_rows(&references, 0.6, random), label_rows(&references, 0.6, random));
        let swap = rejected(first.clone(), second.clone(), &tasks[1], "macro_f1");
        let exact = rejected(first, second, &tasks[1], "accuracy");
        vec![("sign-flip of means", means), ("label swap of macro F1", swap), ("McNemar, exact", exact)]
    });
    print("true nulls rejected at 5 %", &shares);
    assert!((0.04..=0.06).contains(&shares[0].1) && (0.04..=0.06).contains(&shares[1].1));
    // Exact and discrete: it may only reject less often.
    assert!(shares[2].1 <= 0.06);
}
