//! Any bytes as what an annotator answered: labels of records, ratings of texts, or an error with a reason.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reels::annotation::Kind;
use reels::ask::Records;
use reels::data::review::{Texts, by_reel, check, decide, disputed, ratings, read};
use reels::lines::Snapshot;
use reels::prompt::PromptSet;
use reels::reel::Reel;

static PROMPTS: LazyLock<PromptSet> = LazyLock::new(|| PromptSet::embedded().unwrap());
static REEL: LazyLock<Reel> = LazyLock::new(|| {
    let text = include_str!("../../eval/dev.jsonl").lines().next().unwrap();
    let records = Records::of(&Snapshot::of("a.jsonl", &mut text.as_bytes()).unwrap(), &PROMPTS.tasks).unwrap();
    records.read().unwrap().remove(0)
});

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.json"), bytes).unwrap();
    let Ok(mut brought) = read(&[path("a.json")], &PROMPTS.tasks) else { return };
    if check(&mut brought, Kind::Annotations, &PROMPTS.tasks).is_ok() {
        for (_, answers) in by_reel(&brought) {
            let _ = decide(&REEL, &answers);
        }
        PROMPTS.tasks.iter().for_each(|task| drop(disputed(&brought, task)));
    } else if check(&mut brought, Kind::Ratings, &PROMPTS.tasks).is_ok() {
        let answer = format!("{{\"id\":\"{}\",\"task\":\"summary\",\"output\":\"Ringkas.\"}}", REEL.id);
        std::fs::write(path("predictions.jsonl"), answer).unwrap();
        let runs = [Texts::of(folder.path(), "summary").unwrap()];
        let _ = ratings(&runs, "summary", &brought);
    }
});
