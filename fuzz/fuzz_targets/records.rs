//! Any bytes as a data file: records that are read and mended the way `predict` does it, or an error with a reason.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reels::ask::Records;
use reels::lines::Snapshot;
use reels::prompt::PromptSet;

static PROMPTS: LazyLock<PromptSet> = LazyLock::new(|| PromptSet::embedded().unwrap());

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::of("a.jsonl", &mut &bytes[..]) else { return };
    let Ok(records) = Records::of(&snapshot, &PROMPTS.tasks) else { return };
    let reels = records.reels().unwrap();
    assert_eq!(reels.iter().filter(|reel| reel.unusable.is_some()).count(), records.problems.unusable);
    assert!(records.problems.to_string().lines().count() < 50);
    let _ = (records.problems.refuse(true), records.read());
});
