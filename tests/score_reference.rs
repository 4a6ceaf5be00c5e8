//! Scores against rouge_score, sacrebleu, scikit-learn, scipy, statsmodels and numpy; `tests/reference/score.py` writes
//! what they say.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use reels::baseline::Baseline;
use reels::config::{IntervalMethod, MetricSettings, Sampling, ScoreSettings};
use reels::generator::{Bounds, Event, Generator, Job, Outcome, Reads, TextWant, Want};
use reels::prediction::Finish;
use reels::reel::Reel;
use reels::score::classification::{self, CountTable};
use reels::score::compare::crossed::{Arm, Crossed};
use reels::score::compare::{Run, compare};
use reels::score::interval::{bca, jackknife, jackknife_error, quantile, wilson};
use reels::score::metric::Range;
use reels::score::rouge::{self, Mode, Scorer};
use reels::score::significance::{holm, mcnemar};
use reels::score::{Table, Thresholds, chrf, score};
use reels::scores::{Row, TaskScores};
use reels::task::parse_tasks;
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/reference/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[derive(Deserialize)]
struct RougeFile {
    lowers_to_ascii: BTreeMap<char, String>,
    pairs: Vec<RougePair>,
}

#[derive(Deserialize)]
struct RougePair {
    reference: String,
    hypothesis: String,
    /// Precision, recall and F by metric key.
    #[serde(flatten)]
    scores: BTreeMap<String, [f64; 3]>,
}

#[test]
fn rouge_equals_rouge_score_to_the_last_bit() {
    let file: RougeFile = read("rouge.json");
    assert!(file.pairs.len() >= 500);
    let mut scorer = Scorer::default();
    for pair in file.pairs {
        let scores = scorer.score(Mode::Google, &pair.reference, &pair.hypothesis);
        for (key, score) in rouge::METRICS.iter().zip(scores) {
            assert_eq!(
                [score.precision, score.recall, score.f],
                pair.scores[*key],
                "{key} of {:?} and {:?}",
                pair.reference,
                pair.hypothesis
            );
        }
    }
}

#[test]
fn every_character_gives_the_tokens_it_gives_in_python() {
    let file: RougeFile = read("rouge.json");
    for c in '\u{80}'..=char::MAX {
        let expected = file.lowers_to_ascii.get(&c).map_or("", String::as_str);
        let lower: String = c.to_lowercase().filter(char::is_ascii_alphanumeric).collect();
        assert_eq!(lower, expected, "{c:?}");
    }
}

#[derive(Deserialize)]
struct ChrfFile {
    /// Reference, hypothesis, chrF, chrF++.
    pairs: Vec<(String, String, f64, f64)>,
}

#[test]
fn chrf_equals_sacrebleu() {
    let file: ChrfFile = read("chrf.json");
    assert!(file.pairs.len() >= 300);
    for (reference, hypothesis, plain, plus) in file.pairs {
        let found = chrf::chrf(&reference, &hypothesis);
        for (value, expected) in found.into_iter().zip([plain, plus]) {
            assert!((value - expected).abs() <= 1e-9, "{value}, not {expected}: {reference:?} and {hypothesis:?}");
        }
    }
}

#[derive(Deserialize)]
struct TfIdfFile {
    labels: Vec<String>,
    /// Text and label.
    train: Vec<(String, String)>,
    test: Vec<String>,
    /// `[test][labels]`, probabilities.
    expected: Vec<Vec<f64>>,
}

#[test]
fn tfidf_answers_as_scikit_learn() {
    let file: TfIdfFile = read("tfidf.json");
    let tasks =
        format!("[task.category]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\nlabels = {:?}\n", file.labels);
    let tasks = parse_tasks(&tasks, "tasks.toml").unwrap();
    let reel = |text: &str, label: Option<&String>| {
        let mut reel = Reel { transcript: Some(text.to_owned()), ..Reel::default() };
        reel.reference.extend(label.map(|label| ("category".to_owned(), label.clone())));
        reel
    };
    let train: Vec<Reel> = file.train.iter().map(|(text, label)| reel(text, Some(label))).collect();
    let mut baseline = Baseline::new("tfidf", &tasks, Some(&train)).unwrap();
    let messages: Vec<_> = file.test.iter().map(|text| baseline.messages(&reel(text, None), &tasks[0])).collect();
    let mut session = baseline.session(&Bounds::of(&tasks, 0, 1)).unwrap();
    for (id, messages) in (0..).zip(messages) {
        let (reads, want) = (Reads::Messages(messages), Want::Text(TextWant::of(9)));
        let randomness = String::new();
        session.admit(Job { id, reads, want, sampling: Sampling::GREEDY, randomness, prefix: None }).unwrap();
    }
    let mut answered = 0;
    while !session.is_idle() {
        for event in session.step().unwrap() {
            let Event::Answer { job, outcome: Outcome::LabelScores(scores), .. } = event else { panic!("{event:?}") };
            for (score, expected) in scores.iter().zip(&file.expected[job as usize]) {
                assert!((score.exp() - expected).abs() < 1e-4, "{}, not {expected}", score.exp());
            }
            answered += 1;
        }
    }
    assert_eq!(answered, file.test.len());
}

#[derive(Deserialize)]
struct ClassificationFile {
    cases: Vec<ClassificationCase>,
}

#[derive(Deserialize)]
struct ClassificationCase {
    labels: usize,
    rows: Vec<(usize, Option<usize>)>,
    /// `None` where scikit-learn says NaN.
    metrics: BTreeMap<String, Option<f64>>,
    /// Precision, recall, F1, support.
    classes: Vec<(f64, f64, f64, usize)>,
}

#[test]
fn label_metrics_equal_scikit_learn() {
    let file: ClassificationFile = read("classification.json");
    assert!(file.cases.len() >= 40);
    for (index, case) in file.cases.iter().enumerate() {
        let mut table = CountTable::new(case.labels);
        for (reference, answer) in &case.rows {
            table.add(*reference, *answer, 1);
        }
        let counts = table.counts().unwrap();
        for (key, metric) in classification::METRICS {
            let (value, expected) = (metric(&counts), case.metrics[key].unwrap_or(0.0));
            assert!((value - expected).abs() <= 1e-12, "case {index}: {key} is {value}, not {expected}");
        }
        for (label, (precision, recall, f1, support)) in case.classes.iter().enumerate() {
            for (value, expected) in counts.of_label(label).into_iter().zip([precision, recall, f1]) {
                assert!((value - expected).abs() <= 1e-12, "case {index}: {value}, not {expected}");
            }
            assert_eq!(counts.support[label], *support as u64);
        }
    }
}

#[derive(Deserialize)]
struct PercentileFile {
    cases: Vec<PercentileCase>,
}

#[derive(Deserialize)]
struct PercentileCase {
    values: Vec<f64>,
    q: Vec<f64>,
    expected: Vec<f64>,
}

#[test]
fn percentiles_equal_numpy() {
    let file: PercentileFile = read("bootstrap.json");
    for mut case in file.cases {
        case.values.sort_by(f64::total_cmp);
        for (q, expected) in case.q.iter().zip(&case.expected) {
            assert_eq!(quantile(&case.values, q / 100.0), *expected, "{q} of {} values", case.values.len());
        }
    }
}

#[derive(Deserialize)]
struct BcaFile {
    cases: Vec<BcaCase>,
    means: Vec<BcaMean>,
}

#[derive(Deserialize)]
struct BcaMean {
    data: Vec<f64>,
    expected: [f64; 2],
}

#[test]
fn bca_of_own_resamples_equals_scipy_within_monte_carlo_error() {
    let file: BcaFile = read("bca.json");
    let text = "[task.t]\nkind = \"text\"\ntemplate = \"t\"\nmax_tokens = 9\n";
    let tasks = parse_tasks(text, "tasks.toml").unwrap();
    for BcaMean { data, expected } in file.means {
        let row = |(index, value): (usize, &f64)| Row {
            metrics: [("rougeL".to_owned(), *value)].into(),
            ..row("t", index, "text".into(), String::new())
        };
        let rows: Vec<Row> = data.iter().enumerate().map(row).collect();
        let settings = ScoreSettings { bootstrap: 50_000, seed: 42, interval: Some(IntervalMethod::Bca) };
        let scores = score(&Table::of(&rows, &tasks).unwrap(), &settings, &METRICS, &Thresholds::new());
        let metric = &scores.tasks["t"].metrics["rougeL"];
        assert_eq!(metric.method, "bca");
        // An end point's noise is about 0.7 % of the half width at 50,000 resamples.
        let tolerance = 0.02 * (expected[1] - expected[0]);
        for (bound, expected) in [metric.low, metric.high].into_iter().zip(expected) {
            assert!((bound - expected).abs() < tolerance, "{bound}, not {expected}");
        }
    }
}

const METRICS: MetricSettings = MetricSettings { amounts: false, stems: false };

fn row(task: &str, index: usize, reference: String, output: String) -> Row {
    Row {
        v: 1,
        reel_id: index.to_string(),
        account: None,
        task: task.into(),
        repeat: 0,
        prompt: String::new(),
        reference: Some(reference),
        alternatives: vec![],
        annotations: IndexMap::new(),
        output,
        label_logprobs: None,
        finish: Finish::Stop,
        metrics: IndexMap::new(),
        flags: vec![],
        slices: IndexMap::new(),
    }
}

#[derive(Deserialize)]
struct BcaCase {
    value: f64,
    replicates: Vec<f64>,
    jackknife: Vec<f64>,
    expected: [f64; 2],
}

#[test]
fn bca_equals_scipy_on_the_same_resamples() {
    let file: BcaFile = read("bca.json");
    for case in file.cases {
        let interval = bca(case.value, case.replicates, &case.jackknife);
        assert_eq!(interval.method, "bca");
        for (bound, expected) in [interval.low, interval.high].into_iter().zip(case.expected) {
            assert!((bound - expected).abs() < 1e-9, "{bound}, not {expected}");
        }
    }
}

#[derive(Deserialize)]
struct SignificanceFile {
    mcnemar: Vec<(u64, u64, f64)>,
    holm: Vec<(Vec<f64>, Vec<f64>)>,
    wilson: Vec<(f64, f64, f64, f64)>,
}

#[test]
fn tests_and_wilson_equal_statsmodels() {
    let file: SignificanceFile = read("significance.json");
    for (b, c, p) in file.mcnemar {
        assert!((mcnemar(b, c) - p).abs() < 1e-12, "{b} {c}: {}, not {p}", mcnemar(b, c));
    }
    for (family, expected) in file.holm {
        for (adjusted, expected) in holm(&family).into_iter().zip(expected) {
            assert!((adjusted - expected).abs() < 1e-12);
        }
    }
    for (hits, n, low, high) in file.wilson {
        let interval = wilson(hits / n, n);
        assert!((interval.low - low).abs() < 1e-12 && (interval.high - high).abs() < 1e-12, "{interval:?}");
    }
}

#[derive(Deserialize)]
struct ProbabilitiesFile {
    cases: Vec<ProbabilitiesCase>,
}

#[derive(Deserialize)]
struct ProbabilitiesCase {
    labels: usize,
    /// `[rows][labels]`
    log_probabilities: Vec<Vec<f64>>,
    truth: Vec<usize>,
    log_loss: f64,
    brier: f64,
    #[serde(default)]
    roc_auc: Option<f64>,
    average_precision: Option<f64>,
}

#[test]
fn metrics_of_probabilities_equal_scikit_learn() {
    let file: ProbabilitiesFile = read("probabilities.json");
    for (index, case) in file.cases.iter().enumerate() {
        let labels: Vec<String> = (0..case.labels).map(|label| format!("label {label}")).collect();
        let quoted: Vec<String> = labels.iter().map(|label| format!("{label:?}")).collect();
        let positive = if case.labels == 2 { "positive = \"label 0\"\n" } else { "" };
        let tasks = format!(
            "[task.t]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\nlabels = [{}]\n{positive}",
            quoted.join(", ")
        );
        let row = |(index, truth): (usize, &usize)| Row {
            label_logprobs: Some(labels.iter().cloned().zip(case.log_probabilities[index].iter().copied()).collect()),
            ..row("t", index, labels[*truth].clone(), labels[0].clone())
        };
        let rows: Vec<Row> = case.truth.iter().enumerate().map(row).collect();
        let tasks = parse_tasks(&tasks, "tasks.toml").unwrap();
        let settings = ScoreSettings { bootstrap: 100, seed: 1, interval: None };
        let scores = score(&Table::of(&rows, &tasks).unwrap(), &settings, &METRICS, &Thresholds::new());
        for (key, expected) in [
            ("log_loss", Some(case.log_loss)),
            ("brier", Some(case.brier)),
            ("roc_auc", case.roc_auc),
            ("average_precision", case.average_precision),
        ] {
            let value = scores.tasks["t"].metrics.get(key).map(|metric| metric.value);
            match expected {
                Some(expected) => {
                    assert!((value.unwrap() - expected).abs() < 1e-12, "case {index}: {key} {value:?} {expected}")
                }
                None => assert!(value.is_none_or(f64::is_nan), "case {index}: {key} {value:?}"),
            }
        }
    }
}

#[derive(Deserialize)]
struct IntervalsFile {
    cases: Vec<IntervalsCase>,
    means: Vec<ClusteredMean>,
    takahashi: Vec<Takahashi>,
    flips: Vec<Flips>,
}

#[derive(Deserialize)]
struct IntervalsCase {
    labels: usize,
    /// Cluster, reference and answer.
    rows: Vec<(u32, usize, usize)>,
    expected: BTreeMap<String, [f64; 2]>,
}

#[derive(Deserialize)]
struct ClusteredMean {
    /// Rows of a cluster.
    size: usize,
    data: Vec<f64>,
    error: f64,
    expected: [f64; 2],
}

#[derive(Deserialize)]
struct Takahashi {
    /// Reference and answer.
    rows: Vec<(usize, usize)>,
    value: f64,
    error: f64,
}

#[derive(Deserialize)]
struct Flips {
    /// Two rows a cluster.
    first: Vec<f64>,
    second: Vec<f64>,
    p: f64,
}

const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 1000, seed: 42, interval: None };

fn label_scores(labels: usize, rows: &[Row]) -> TaskScores {
    let names: Vec<String> = (0..labels).map(|label| label.to_string()).collect();
    let text = format!("[task.t]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\nlabels = {names:?}\n");
    let tasks = parse_tasks(&text, "tasks.toml").unwrap();
    let scores = score(&Table::of(rows, &tasks).unwrap(), &SETTINGS, &METRICS, &Thresholds::new());
    scores.tasks["t"].clone()
}

fn label_row(index: usize, account: Option<String>, reference: usize, answer: usize) -> Row {
    let metrics = [("correct".to_owned(), f64::from(u8::from(reference == answer)))].into();
    Row { account, metrics, ..row("t", index, reference.to_string(), answer.to_string()) }
}

#[test]
fn jackknife_intervals_are_those_of_scikit_learns_values() {
    let file: IntervalsFile = read("intervals.json");
    for case in file.cases {
        let of = |(index, (cluster, reference, answer)): (usize, &(u32, usize, usize))| {
            label_row(index, Some(format!("a{cluster}")), *reference, *answer)
        };
        let scores = label_scores(case.labels, &case.rows.iter().enumerate().map(of).collect::<Vec<_>>());
        for (key, expected) in case.expected {
            let metric = &scores.metrics[&key];
            assert_eq!(metric.method, "jackknife");
            for (bound, expected) in [metric.low, metric.high].into_iter().zip(expected) {
                assert!((bound - expected).abs() < 1e-9, "{key}: {bound}, not {expected}");
            }
        }
    }
}

#[derive(Deserialize)]
struct ArmsFile {
    labels: usize,
    /// Account and reference.
    rows: Vec<(u32, usize)>,
    /// By arm and seed, the answers.
    answers: IndexMap<String, Vec<Vec<usize>>>,
    cases: Vec<ArmsCase>,
}

#[derive(Deserialize)]
struct ArmsCase {
    key: String,
    weights: IndexMap<String, f64>,
    expected: CombinedValues,
}

#[derive(Deserialize)]
struct CombinedValues {
    value: f64,
    low: f64,
    high: f64,
    error_of_accounts: f64,
    error_of_seeds: f64,
    degrees_of_freedom: f64,
    p: f64,
}

#[test]
fn arms_over_accounts_and_seeds_are_those_of_scipy_and_scikit_learn() {
    let file: ArmsFile = read("gal.json");
    let names: Vec<String> = (0..file.labels).map(|label| label.to_string()).collect();
    let tasks = format!("[task.t]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\nlabels = {names:?}\n");
    let tasks = parse_tasks(&tasks, "tasks.toml").unwrap();
    let table = |answers: &Vec<usize>| {
        let of = |(index, ((account, reference), answer)): (usize, (&(u32, usize), &usize))| {
            label_row(index, Some(format!("a{account:02}")), *reference, *answer)
        };
        Table::of(&file.rows.iter().zip(answers).enumerate().map(of).collect::<Vec<_>>(), &tasks).unwrap()
    };
    let arm = |(name, seeds): (&String, &Vec<Vec<usize>>)| Arm {
        name: name.clone(),
        seeds: seeds.iter().map(table).collect(),
    };
    let crossed = Crossed::new(file.answers.iter().map(arm).collect()).unwrap();
    for ArmsCase { key, weights, expected } in file.cases {
        let of = |(arm, weight): (&String, &f64)| (file.answers.get_index_of(arm).unwrap(), *weight);
        let ours = crossed.combined(0, &key, &weights.iter().map(of).collect::<Vec<_>>());
        for (name, ours, expected) in [
            ("value", ours.value, expected.value),
            ("low", ours.low, expected.low),
            ("high", ours.high, expected.high),
            ("error of accounts", ours.error_of_accounts, expected.error_of_accounts),
            ("error of seeds", ours.error_of_seeds, expected.error_of_seeds),
            ("degrees of freedom", ours.degrees_of_freedom, expected.degrees_of_freedom),
            ("p", ours.p.unwrap_or(expected.p), expected.p),
        ] {
            let off = (ours - expected).abs() / expected.abs().max(1.0);
            assert!(off < 1e-8, "{key} of {weights:?}: {name} is {ours}, not {expected}");
        }
        assert_eq!(ours.p.is_some(), weights.values().sum::<f64>() < 0.5);
    }
}

#[test]
fn the_error_of_a_clustered_mean_is_that_of_statsmodels() {
    let file: IntervalsFile = read("intervals.json");
    for ClusteredMean { size, data, error, expected } in file.means {
        let sum: f64 = data.iter().sum();
        let n = data.len() as f64;
        let left_out: Vec<f64> =
            data.chunks(size).map(|rows| (sum - rows.iter().sum::<f64>()) / (n - size as f64)).collect();
        let sizes = vec![size as f64; left_out.len()];
        assert!((jackknife_error(&left_out, &sizes) - error).abs() < 1e-12);
        let interval = jackknife(sum / n, &left_out, &sizes, Range::Open);
        for (bound, expected) in [interval.low, interval.high].into_iter().zip(expected) {
            assert!((bound - expected).abs() < 1e-9, "{bound}, not {expected}");
        }
    }
}

/// The delta method's error is the jackknife's but for terms of higher order.
#[test]
fn the_error_of_macro_f1_is_takahashis_where_rows_are_independent() {
    let file: IntervalsFile = read("intervals.json");
    for Takahashi { rows, value, error } in file.takahashi {
        let of = |(index, (reference, answer)): (usize, &(usize, usize))| label_row(index, None, *reference, *answer);
        let scores = label_scores(5, &rows.iter().enumerate().map(of).collect::<Vec<_>>());
        let metric = &scores.metrics["macro_f1"];
        assert!((metric.value - value).abs() < 1e-12);
        let logit = |x: f64| (x / (1.0 - x)).ln();
        // 1.96 or a little more standard errors to each side, on the logit scale.
        let own = (logit(metric.high) - logit(metric.low)) / 2.0 / 1.96 * value * (1.0 - value);
        let tolerance = 10.0 / rows.len() as f64;
        assert!((own / error - 1.0).abs() < tolerance, "{own}, not {error}");
    }
}

#[test]
fn sign_flips_of_few_accounts_are_all_there_are() {
    let file: IntervalsFile = read("intervals.json");
    let text = "[task.t]\nkind = \"text\"\ntemplate = \"t\"\nmax_tokens = 9\n";
    let tasks = parse_tasks(text, "tasks.toml").unwrap();
    for Flips { first, second, p } in file.flips {
        let run = |name: &str, values: &[f64]| {
            let of = |(index, value): (usize, &f64)| Row {
                account: Some(format!("a{}", index / 2)),
                metrics: [("rougeL".to_owned(), *value)].into(),
                ..row("t", index, "text".into(), String::new())
            };
            let rows: Vec<Row> = values.iter().enumerate().map(of).collect();
            Run { name: name.into(), table: Table::of(&rows, &tasks).unwrap() }
        };
        let compared = compare(&[run("a", &first), run("b", &second)], &SETTINGS).unwrap();
        let difference = &compared.tasks["t"].metrics["rougeL"].differences[0];
        assert!((difference.p.unwrap() - p).abs() < 1e-12, "{:?}, not {p}", difference.p);
        assert_eq!(difference.smallest_p, Some(2.0 / f64::from(1 << (first.len() / 2))));
    }
}
