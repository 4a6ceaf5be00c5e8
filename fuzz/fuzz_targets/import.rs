//! Any bytes as what a collector or a recogniser wrote: records, or reasons why there are none.

#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use reels::data::import::{How, Naming, gather, walk, write};

const POST: &str = r#"{"id": "DGrSoto4yam", "extractor_key": "Instagram", "extractor": "Instagram", "description": "soto"}"#;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::create_dir(path("heard")).unwrap();
    std::fs::write(path("DGrSoto4yam.info.json"), POST).unwrap();
    std::fs::write(path("any.csv"), bytes).unwrap();
    std::fs::write(path("any.json"), bytes).unwrap();
    std::fs::write(path("heard/DGrSoto4yam.txt"), bytes).unwrap();
    let walked = walk(&[folder.path().to_owned()], &[path("heard")]).unwrap();
    let how = How { from: None, mapping: &[], tasks: &[] };
    let gathered = gather(walked, &how, &Naming::Raw, &|| true).unwrap();
    let (told, gathered) = write(gathered, &Naming::Raw, &path("out.jsonl"), false).unwrap();
    let _ = told.shown(&gathered).to_string();
});
