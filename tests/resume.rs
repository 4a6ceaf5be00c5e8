//! Killed at any moment and started again, a run ends with the predictions of an uninterrupted one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

const KILLS: usize = 20;

fn predict(folder: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_reels"));
    command
        .args(["predict", "--reproducible", "--limit", "12", "--output"])
        .arg(folder)
        .arg("--model")
        .arg(root.join("gguf/reels-mini.gguf"))
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The lines sorted by key, the last of each key, without what may differ.
fn predictions(folder: &Path) -> Vec<String> {
    let predictions = reels::prediction::read_predictions(&folder.join("predictions.jsonl")).unwrap();
    let mut keyed: Vec<_> = predictions.into_iter().map(|prediction| (prediction.key(), prediction)).collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let line = |prediction| {
        let mut value = serde_json::to_value(prediction).unwrap();
        value["seconds"] = Value::Null;
        value["tokens"]["cached"] = Value::Null;
        value.to_string()
    };
    keyed.into_iter().map(|(_, prediction)| line(prediction)).collect()
}

#[test]
fn killed_at_random_moments_and_resumed_it_ends_the_same() {
    let folders = tempfile::tempdir().unwrap();
    let whole = folders.path().join("whole");
    let started = Instant::now();
    assert!(predict(&whole).status().unwrap().success());
    let seconds = started.elapsed().as_secs_f64();
    let expected = predictions(&whole);
    assert_eq!(expected.len(), 36);

    let mut rng = ChaCha8Rng::seed_from_u64(42);
    let mut partial = 0;
    for kill in 0..KILLS {
        let folder = folders.path().join(kill.to_string());
        let mut run = predict(&folder).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(seconds * f64::from(rng.next_u32()) / f64::from(u32::MAX)));
        run.kill().unwrap();
        run.wait().unwrap();
        let done = std::fs::read_to_string(folder.join("predictions.jsonl")).unwrap_or_default().lines().count();
        partial += usize::from(done > 0 && done < expected.len());
        assert!(predict(&folder).status().unwrap().success(), "resumed after kill {kill}");
        assert_eq!(predictions(&folder), expected, "kill {kill}, {done} lines were there");
    }
    assert!(partial >= KILLS / 4, "only {partial} of {KILLS} kills came while predictions were being written");
}
