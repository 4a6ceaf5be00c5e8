//! A small result for the tests of this module.

use indexmap::IndexMap;

use super::Rows;
use crate::ask::{DataFacts, EngineFacts, Manifest, ModelFacts, PromptFacts, Speed};
use crate::lines::Lines;
use crate::prediction::{Finish, Shortened};
use crate::run::Machine;
use crate::scores::{ClassIntervals, ClassScores, Confusion, Metric, Row, Scores, TaskScores};
use crate::task::{Task, parse_tasks};

/// One of each kind.
pub fn tasks() -> Vec<Task> {
    let text = r#"
        [task.summary]
        kind = "text"
        template = "summary.jinja"
        max_tokens = 128
        [task.category]
        kind = "label"
        template = "category.jinja"
        labels = ["kuliner", "musik"]
        max_tokens = 8
        [task.category.descriptions]
        kuliner = "makanan & minuman"
    "#;
    parse_tasks(text, "tasks.toml").unwrap()
}

/// An answer that is right.
pub fn row(reel_id: &str, task: &str) -> Row {
    let (answer, metrics) = match task {
        "summary" => ("Resep soto.", [("rouge1", 0.61234), ("rougeL", 0.5)].as_slice()),
        _ => ("kuliner", [("correct", 1.0)].as_slice()),
    };
    Row {
        v: 1,
        reel_id: reel_id.into(),
        account: Some("a_1".into()),
        task: task.into(),
        repeat: 0,
        prompt: format!("Reel {reel_id}, tugas {task}"),
        reference: Some(answer.into()),
        alternatives: vec![],
        annotations: IndexMap::new(),
        output: answer.into(),
        label_logprobs: None,
        finish: Finish::Stop,
        metrics: metrics.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
        flags: vec![],
        slices: IndexMap::new(),
    }
}

/// Rows as if read from a file.
pub fn rows_of(rows: &[Row]) -> Rows {
    let text: String = rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
    Rows::read(Lines::of("rows.jsonl", &text), |_| "rougeL").unwrap()
}

/// Answers that ended in each of the four ways, and one without a reference.
pub fn rows() -> Vec<Row> {
    vec![
        row("r1", "summary"),
        row("r1", "category"),
        Row { finish: Finish::Length, ..row("r2", "summary") },
        Row { finish: Finish::Invalid, output: "masakan".into(), ..row("r2", "category") },
        Row { finish: Finish::Error, output: String::new(), ..row("r3", "category") },
        Row { reference: None, metrics: IndexMap::new(), ..row("r3", "summary") },
    ]
}

/// Numbers of two tasks; they don't follow from [`rows`].
pub fn scores() -> Scores {
    let metrics = |values: &[(&str, f64)]| {
        let metric = |value: f64| Metric {
            value,
            low: value * 0.9,
            high: value + 0.0333,
            n: 1204,
            clusters: 60,
            method: "percentile".into(),
            withheld: None,
            bootstrap: None,
            note: None,
        };
        values.iter().map(|(key, value)| ((*key).to_owned(), metric(*value))).collect()
    };
    let summary = TaskScores {
        metrics: metrics(&[("rouge1", 0.41237), ("rouge2", 0.2), ("rougeL", 0.35), ("rougeLsum", 0.36)]),
        signature: "rouge|mode:google-0.1.2|stem:no|seed:42".into(),
        ..TaskScores::default()
    };
    let class = ClassScores {
        precision: 0.5,
        recall: 0.25,
        f1: 1.0 / 3.0,
        support: 4,
        clusters: 4,
        intervals: ClassIntervals { f1: Some([0.1, 0.6]), ..ClassIntervals::default() },
    };
    let category = TaskScores {
        metrics: metrics(&[
            ("brier", 0.31),
            ("accuracy", 0.8),
            ("macro_f1", 0.76543),
            ("weighted_f1", 0.79),
            ("micro_f1", 0.8),
            ("mcc", 0.61),
            ("kappa", 0.6),
            ("invalid_rate", 0.01),
        ]),
        classes: ["kuliner", "musik"].map(|label| (label.to_owned(), class)).into_iter().collect(),
        confusion: Some(Confusion {
            labels: ["kuliner", "musik"].map(str::to_owned).to_vec(),
            counts: vec![vec![3, 1, 0], vec![2, 4, 1]],
        }),
        signature: "labels|invalid:wrong|seed:42".into(),
        ..TaskScores::default()
    };
    Scores { v: 1, tasks: [("summary".to_owned(), summary), ("category".to_owned(), category)].into_iter().collect() }
}

/// Takes away the interval of macro F1: a label more doesn't occur.
pub fn withhold(scores: &mut Scores) {
    let category = &mut scores.tasks["category"];
    let absent = ClassScores {
        precision: 0.0,
        recall: 0.0,
        f1: 0.0,
        support: 0,
        clusters: 0,
        intervals: ClassIntervals::default(),
    };
    category.classes.insert("oto_motif".into(), absent);
    let metric = &mut category.metrics["macro_f1"];
    (metric.low, metric.high, metric.method) = (f64::NAN, f64::NAN, "none".into());
    metric.withheld = Some("1 of 3 labels don’t occur: oto_motif".into());
}

/// What `eval` knows of a run without an adapter.
pub fn manifest() -> Manifest {
    Manifest {
        v: 1,
        command: Some("eval".into()),
        crate_version: Some("0.1.0".into()),
        started_at: Some("2026-03-02T10:11:12Z".into()),
        finished_at: Some("2026-03-02T10:15:00Z".into()),
        model: Some(ModelFacts {
            name: "reels-mini.gguf".into(),
            sha256: "0123456789abcdef".into(),
            architecture: Some("qwen2".into()),
            parameters: Some(6_000_000),
        }),
        data: Some(DataFacts { path: "eval/sample.jsonl".into(), sha256: "fedcba9876543210".into(), reels: 120 }),
        prompts: Some(PromptFacts { source: "embedded".into(), sha256: "00ff00ff00ff00ff".into() }),
        shortened: Some(Shortened { reels: 3, of: 120, most_tokens: 1812 }),
        seed: Some(42),
        machine: Some(Machine { cpu: Some("A CPU".into()), cores: Some(2), ..Machine::default() }),
        engine: Some(EngineFacts { width: None, ubatch: 512, threads: 2 }),
        speed: Some(Speed {
            seconds: 228.4,
            predictions: 360,
            reels_per_second: Some(0.523),
            tasks_per_second: Some(1.57),
            prompt_tokens: 61_000,
            cached_tokens: 48_800,
            generated_tokens: 9_001,
        }),
        ..Manifest::default()
    }
}
