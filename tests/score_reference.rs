//! Scores against rouge_score, scikit-learn and numpy; `tests/reference/score.py` writes what they say.

use std::collections::BTreeMap;

use reels::score::bootstrap::percentile;
use reels::score::classification::{self, CountTable};
use reels::score::rouge::{self, Scorer};
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
        let scores = scorer.score(&pair.reference, &pair.hypothesis);
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
        for (key, value) in classification::METRICS.iter().zip(table.metrics().unwrap()) {
            let expected = case.metrics[*key].unwrap_or(0.0);
            assert!((value - expected).abs() <= 1e-12, "case {index}: {key} is {value}, not {expected}");
        }
        for (class, (precision, recall, f1, support)) in table.classes().iter().zip(&case.classes) {
            for (value, expected) in [(class.precision, precision), (class.recall, recall), (class.f1, f1)] {
                assert!((value - expected).abs() <= 1e-12, "case {index}: {value}, not {expected}");
            }
            assert_eq!(class.support, *support);
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
            assert_eq!(percentile(&case.values, q / 100.0), Some(*expected), "{q} of {} values", case.values.len());
        }
    }
}
