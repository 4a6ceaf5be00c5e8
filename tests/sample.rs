//! The bundled sample is frozen, and is what its data card says.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use reels::lines::Lines;
use reels::prompt::PromptSet;
use reels::reel::read_reels;
use reels::run::sha256;
use reels::task::check_reference;

const SHA256: &str = "1e6a69a5e1f48a370c5f82bb47efacaa8f1f608868501660a4135cb3aca141f7";

#[test]
fn the_sample_is_frozen_and_as_its_card_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("eval/sample.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(sha256(&bytes), SHA256, "a correction changes this hash in the same commit");

    let reels = read_reels(&Lines::open(&path, "sample").unwrap()).unwrap();
    let tasks = PromptSet::embedded().unwrap().tasks;
    reels.iter().try_for_each(|reel| check_reference(reel, &tasks, "eval/sample.jsonl")).unwrap();
    let mut categories = BTreeMap::new();
    for reel in &reels {
        *categories.entry(&reel.reference["category"]).or_insert(0) += 1;
    }
    assert_eq!((reels.len(), categories.len()), (120, 15));
    assert!(categories.values().all(|count| *count == 8), "{categories:?}");
    assert_eq!(reels.iter().filter(|reel| reel.reference["ad"] == "iklan").count(), 41);
    assert_eq!(reels.iter().filter_map(|reel| reel.account.as_ref()).collect::<HashSet<_>>().len(), 42);
    for reel in &reels {
        assert_eq!(reel.source.as_ref().unwrap()["kind"], "fictional");
        assert!(!reel.reference["summary"].is_empty());
    }
}
