//! Any bytes as a transcript: segments that are looked at and paired, none, or an error with a reason.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reels::data::import::transcripts::{Index, Names, Quality, read};

fuzz_target!(|bytes: &[u8]| {
    let (name, _) = bytes.split_at(bytes.len().min(40));
    let name = String::from_utf8_lossy(name).into_owned();
    let _ = read(&name, bytes, false);
    let found = read(&name, bytes, true).map(|found| found.expect("an error instead"));
    if let Ok(transcript) = &found {
        assert!(transcript.segments.iter().all(|segment| !segment.text.trim().is_empty()));
        let _ = (Quality::of(transcript, "id"), transcript.text());
    }
    let mut index = Index::new(vec![(name.clone().into(), found)]);
    let _ = index.find(Names { stem: Some(&name), shortcode: Some(&name), id: Some(&name) });
});
