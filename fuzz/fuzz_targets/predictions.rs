//! Any bytes as a file of predictions: rows that are scored, or an error with a reason.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reels::ask::Records;
use reels::config::MetricSettings;
use reels::lines::{Lines, Snapshot};
use reels::prediction::{open_answers, read_predictions};
use reels::prompt::PromptSet;
use reels::score::{Join, Scoring, Table, Thresholds};

static PROMPTS: LazyLock<PromptSet> = LazyLock::new(|| PromptSet::embedded().unwrap());
static RECORDS: LazyLock<Records> = LazyLock::new(|| {
    let text = include_str!("../../eval/sample.jsonl").lines().next().unwrap();
    Records::of(&Snapshot::of("a.jsonl", &mut text.as_bytes()).unwrap(), &PROMPTS.tasks).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl");
    std::fs::write(&path, bytes).unwrap();
    let _ = read_predictions(&path);
    let Ok(answers) = open_answers(&path) else { return };
    let Ok(join) = Join::new(&answers, &RECORDS.lines, &PROMPTS.tasks) else { return };
    let rows = folder.path().join("rows.jsonl");
    let metrics = MetricSettings { amounts: true, stems: false };
    let scoring = Scoring { metrics, thresholds: Thresholds::new(), answered_only: false };
    if join.write_rows(&scoring, &rows, &|_| ()).is_ok() {
        let _ = Table::read(&Lines::open(&rows, "rows").unwrap(), &PROMPTS.tasks);
    }
});
