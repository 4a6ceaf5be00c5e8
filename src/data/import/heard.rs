//! Which transcript goes with which Reel, and what is to be said of it.

use std::path::Path;

use serde_json::{Value, json};

use super::merge::Merged;
use super::post::number;
use super::transcripts::{Index, Names, Paired, Quality, stem};
use crate::data::privacy::Scrubber;

/// ISO 639-1, of what is imported.
const EXPECTED: &str = "id";

/// What contradicts where two transcripts tell as much: neither is used.
pub const UNDECIDED: &str = "transcript, and tell as much, so that neither is used";

/// Gives a Reel the transcript that files have of it, and what a record tells of that; `None` where there is none. What contradicts
/// is noted.
pub fn hear(
    merged: &mut Merged,
    index: &mut Index,
    file: &Path,
    scrub: Option<(&Scrubber, &[String])>,
) -> Option<(Quality, Value)> {
    let (stem, id) = (stem(file), number(&merged.post.id));
    let names = Names { stem: Some(&stem), shortcode: Some(&merged.post.id), id: id.as_deref() };
    let Paired { used, contradicting, .. } = index.find(names)?;
    let shown = |path: &Path| path.display().to_string();
    let first = used.map(|(path, _)| shown(path)).or_else(|| contradicting.first().map(|path| shown(path)));
    for other in contradicting.iter().map(|path| shown(path)).filter(|other| Some(other) != first.as_ref()) {
        let field = if used.is_some() { "transcript" } else { UNDECIDED };
        merged.contradictions.push((field, [first.clone().unwrap_or_default(), other]));
    }
    let (path, transcript) = used?;
    let text = transcript.text();
    let tidy = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
    if merged.post.transcript.as_ref().is_some_and(|told| tidy(told) != tidy(&text)) {
        merged.contradictions.push(("transcript", [shown(path), shown(file)]));
    }
    merged.post.transcript = Some(text);
    merged.post.language = transcript.language.clone().or_else(|| merged.post.language.take());
    let quality = Quality::of(transcript, EXPECTED);
    let flag = |flag: &super::transcripts::Flag| {
        let segment = flag.segment.map(|segment| &transcript.segments[segment]);
        let evidence = match scrub {
            Some((scrubber, own)) => scrubber.scrub(&flag.evidence, own).0,
            None => flag.evidence.clone(),
        };
        json!({
            "kind": flag.kind, "evidence": evidence,
            "start_s": segment.and_then(|segment| segment.start_s), "end_s": segment.and_then(|segment| segment.end_s),
        })
    };
    let told = json!({
        "kind": transcript.kind,
        "segments": transcript.segments.len(),
        "repaired": transcript.repaired,
        "flags": quality.flags.iter().map(flag).collect::<Vec<_>>(),
        "not_available": quality.not_available,
    });
    Some((quality, told))
}
