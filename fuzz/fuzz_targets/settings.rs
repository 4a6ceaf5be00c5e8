//! Any bytes as a settings file: settings of every command, or an error with a reason.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reels::config::{
    CompareOverrides, EvalOverrides, PredictOverrides, PromptOverrides, ReportOverrides, ScoreOverrides, SettingsFile,
    TrainOverrides,
};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reels.toml");
    std::fs::write(&path, bytes).unwrap();
    let Ok(file) = SettingsFile::read(Some(&path)) else { return };
    let _ = file.add("predict", PredictOverrides::default()).and_then(PredictOverrides::resolve);
    let _ = file.add("eval", EvalOverrides::default()).and_then(EvalOverrides::resolve);
    let _ = file.add("score", ScoreOverrides::default()).and_then(ScoreOverrides::resolve);
    let _ = file.add("compare", CompareOverrides::default()).and_then(CompareOverrides::resolve);
    let _ = file.add("report", ReportOverrides::default()).and_then(ReportOverrides::resolve);
    let _ = file.add("train", TrainOverrides::default()).and_then(TrainOverrides::filled).and_then(TrainOverrides::resolve);
    let _ = file.add("prompt", PromptOverrides::default());
});
