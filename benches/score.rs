//! Statistics: how long the intervals of a results table take, and ROUGE of the pairs that `peers/rouge.py` times too.
//!
//!     cargo bench --profile dev --bench score [-- rows=655 bootstrap=10000]
//!
//! One text and one label task with probabilities, so more than the ten metrics of a usual table; accounts unknown, which
//! makes every Reel a cluster. Drawing the resamples and the jackknife are included.

use std::time::Instant;

use indexmap::IndexMap;
use rand::{RngExt, SeedableRng};
use reels::config::{MetricSettings, ScoreSettings};
use reels::prediction::Finish;
use reels::score::rouge::{METRICS, Mode, Scorer};
use reels::score::{Table, Thresholds, score};
use reels::scores::Row;
use reels::task::parse_tasks;

const LABELS: usize = 15;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |key: &str, default: usize| {
        let given = args.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
        given.map_or(default, |value| value.parse().expect("a number"))
    };
    let (rows, bootstrap) = (number("rows", 655), number("bootstrap", 10_000));
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let labels: Vec<String> = (0..LABELS).map(|label| format!("l{label}")).collect();
    let tasks = format!(
        "[task.summary]\nkind = \"text\"\ntemplate = \"t\"\nmax_tokens = 9\n\
         [task.category]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\nlabels = {labels:?}\n"
    );
    let tasks = parse_tasks(&tasks, "tasks.toml").expect("tasks");
    let mut data = Vec::with_capacity(2 * rows);
    for index in 0..rows {
        let truth = random.random_range(0..LABELS);
        let answer = if random.random_bool(0.7) { truth } else { random.random_range(0..LABELS) };
        let row = Row {
            v: 1,
            reel_id: format!("r{index}"),
            account: None,
            task: "category".into(),
            repeat: 0,
            prompt: String::new(),
            reference: Some(labels[truth].clone()),
            alternatives: vec![],
            annotations: IndexMap::new(),
            output: labels[answer].clone(),
            label_logprobs: Some(labels.iter().map(|label| (label.clone(), -(LABELS as f64).ln())).collect()),
            finish: Finish::Stop,
            metrics: IndexMap::new(),
            flags: vec![],
            slices: IndexMap::new(),
        };
        let metrics = METRICS.map(|key| (key.to_owned(), random.random())).into();
        data.push(Row { task: "summary".into(), metrics, label_logprobs: None, ..row.clone() });
        data.push(row);
    }
    let table = Table::of(&data, &tasks).expect("rows");
    let scored = || {
        let metrics = MetricSettings { amounts: false, stems: false };
        score(&table, &ScoreSettings { bootstrap, seed: 42, interval: None }, &metrics, &Thresholds::new())
    };
    let seconds: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(scored().tasks.len(), 2);
            started.elapsed().as_secs_f64()
        })
        .collect();
    let metrics: usize = scored().tasks.values().map(|task| task.metrics.len()).sum();
    println!("{bootstrap} resamples × {rows} rows × {metrics} metrics: {:.0} ms (median of 5)", 1e3 * median(seconds));

    let pairs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/rouge.json");
    let pairs: Pairs = serde_json::from_str(&std::fs::read_to_string(pairs).expect("pairs")).expect("pairs");
    let mut scorer = Scorer::default();
    let seconds: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            let score = |pair: &Pair| scorer.score(Mode::Google, &pair.reference, &pair.hypothesis)[0].f;
            let sum: f64 = pairs.pairs.iter().map(score).sum();
            assert!(sum > 0.0);
            started.elapsed().as_secs_f64()
        })
        .collect();
    println!("ROUGE-1, 2, L, Lsum of {} pairs on one core: {:.2} ms", pairs.pairs.len(), 1e3 * median(seconds));
}

#[derive(serde::Deserialize)]
struct Pairs {
    pairs: Vec<Pair>,
}

#[derive(serde::Deserialize)]
struct Pair {
    reference: String,
    hypothesis: String,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
