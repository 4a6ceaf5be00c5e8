//! A record: one short video as a line of JSON.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::error::Hint;
use crate::lines::{Lines, Place};

/// A short video: what was said and what is known about it. Unknown is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reel {
    /// Unique within a file.
    pub id: String,
    /// Pseudonym of the account that posted it; resampling is by account when known.
    #[serde(default)]
    pub account: Option<String>,
    /// ISO 8601, UTC.
    #[serde(default)]
    pub posted_at: Option<String>,
    /// Length of the video in seconds.
    #[serde(default)]
    pub duration_s: Option<f64>,
    #[serde(default)]
    #[expect(missing_docs, reason = "the name says it")]
    pub likes: Option<u64>,
    #[serde(default)]
    #[expect(missing_docs, reason = "the name says it")]
    pub views: Option<u64>,
    /// Plays count replays too, so they differ from views by a factor.
    #[serde(default)]
    pub plays: Option<u64>,
    #[serde(default)]
    #[expect(missing_docs, reason = "the name says it")]
    pub comments: Option<u64>,
    /// What the account wrote under the video.
    #[serde(default)]
    pub caption: Option<String>,
    /// Without `#`.
    #[serde(default)]
    pub hashtags: Vec<String>,
    /// What a recogniser heard.
    #[serde(default)]
    pub transcript: Option<String>,
    /// ISO 639-1.
    #[serde(default)]
    pub language: Option<String>,
    /// The gold answer by task name; the first of several.
    #[serde(default, deserialize_with = "null_as_default")]
    pub reference: BTreeMap<String, String>,
    /// Further gold answers of text tasks, by task name.
    #[serde(skip)]
    pub alternatives: BTreeMap<String, Vec<String>>,
    /// A distribution over labels by task name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    /// Written by a model rather than posted by a person.
    #[serde(default)]
    pub synthetic: bool,
    /// Where the record came from; free-form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<serde_json::Value>,
}

impl Reel {
    /// Brings every text to Unicode NFC.
    fn normalise(&mut self) {
        for text in [&mut self.caption, &mut self.transcript]
            .into_iter()
            .flatten()
            .chain(&mut self.hashtags)
            .chain(self.reference.values_mut())
            .chain(self.alternatives.values_mut().flatten())
        {
            if !is_nfc(text) {
                *text = text.nfc().collect();
            }
        }
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads Reels as JSONL. A byte order mark, CRLF and blank lines are accepted.
///
/// # Errors
/// As [`each_reel`].
pub fn read_reels(records: &Lines) -> Result<Vec<Reel>> {
    let mut reels = Vec::new();
    each_reel(records, |reel, _| {
        reels.push(reel);
        Ok(())
    })?;
    Ok(reels)
}

/// Reads Reels one by one, each with the place where it stands.
///
/// # Errors
/// Names the file and the line of what is not UTF-8, not JSON, of the wrong type or a duplicate id; and whatever `each`
/// says.
pub fn each_reel(records: &Lines, mut each: impl FnMut(Reel, Place) -> Result<()>) -> Result<()> {
    let name = records.name();
    let mut line_of_id = HashMap::new();
    records.each(|line| {
        let Some(reel) = parse_line(line.bytes, line.place, name)? else { return Ok(()) };
        let number = line.place.number;
        if let Some(first) = line_of_id.insert(reel.id.clone(), number) {
            bail!(
                anyhow!("{name}:{number}: id {:?} was already used on line {first}", reel.id)
                    .hint("ids must be unique; remove one of the two lines")
            );
        }
        each(reel, line.place)
    })?;
    ensure!(
        !line_of_id.is_empty(),
        anyhow!("{name} has no records").hint("one JSON object a line, see eval/sample.jsonl for an example")
    );
    Ok(())
}

/// Reads one Reel again.
///
/// # Errors
/// Names the file and the line.
pub fn reel_at(records: &Lines, place: Place) -> Result<Reel> {
    let reel = parse_line(&records.at(place)?, place, records.name())?;
    reel.with_context(|| format!("{}:{}: the file has changed", records.name(), place.number))
}

/// `None` for a blank line.
fn parse_line(bytes: &[u8], place: Place, name: &str) -> Result<Option<Reel>> {
    let number = place.number;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        anyhow!("{name}:{number}: not UTF-8 at byte {} of the line", error.valid_up_to() + 1)
            .hint("save the file as UTF-8, e.g. iconv -f latin1 -t utf-8")
    })?;
    let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text }.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let mut reel = parse(text).with_context(|| format!("{name}:{number}"))?;
    reel.normalise();
    Ok(Some(reel))
}

fn parse(text: &str) -> Result<Reel> {
    if !text.starts_with('{') {
        let start: String = text.chars().take(40).collect();
        bail!(
            anyhow!("expected a JSON object, found {start:?}")
                .hint("the file must be JSONL: one object a line, not an array, not CSV")
        );
    }
    let reel: Reel = serde_json::from_str(text).map_err(|error| {
        let hint = match error.classify() {
            serde_json::error::Category::Data => "see eval/sample.jsonl for each field's type; unknown is null",
            _ => "the line is not complete JSON; one object must stand on one line",
        };
        anyhow!("column {}: {}", error.column(), without_position(&error)).hint(hint)
    })?;
    ensure!(!reel.id.trim().is_empty(), anyhow!("the id is empty").hint("every record needs an \"id\""));
    let blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    ensure!(
        !(blank(&reel.transcript) && blank(&reel.caption)),
        anyhow!("id {:?} has neither transcript nor caption", reel.id)
            .hint("there is nothing to summarise or classify; give one or remove the line")
    );
    Ok(reel)
}

/// serde_json's message without its " at line 1 column 9", which counts within the line only.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Vec<Reel>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, text).unwrap();
        read_reels(&Lines::open(&path, "data file").unwrap())
    }

    #[test]
    fn accepts_bom_crlf_blank_lines_and_unknown_fields() {
        let reels = parse(b"\xef\xbb\xbf{\"id\":\"a\",\"transcript\":\"x\",\"new\":1}\r\n\r\n{\"id\":\"b\",\"caption\":\"y\",\"reference\":null}\r\n").unwrap();
        assert_eq!(reels.len(), 2);
        assert_eq!(reels[0].likes, None);
    }

    #[test]
    fn text_is_normalised_to_nfc() {
        let reels =
            parse("{\"id\":\"a\",\"transcript\":\"cafe\u{301}\",\"reference\":{\"summary\":\"e\u{301}\"}}".as_bytes())
                .unwrap();
        assert_eq!(reels[0].transcript.as_deref(), Some("caf\u{e9}"));
        assert_eq!(reels[0].reference["summary"], "\u{e9}");
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            (&b""[..], "a.jsonl has no records"),
            (b"[{}]", "a.jsonl:1: expected a JSON object, found \"[{}]\""),
            (b"{\"id\":\"a\",\"transcript\":\"x\"}\n{\"id\":", "a.jsonl:2: column"),
            (b"{\"id\":\"a\",\"transcript\":\"x\",\"likes\":\"many\"}", "invalid type: string \"many\", expected u64"),
            (
                b"{\"id\":\"a\",\"transcript\":\"x\"}\n{\"id\":\"a\",\"transcript\":\"x\"}",
                "a.jsonl:2: id \"a\" was already used on line 1",
            ),
            (b"{\"id\":\"a\",\"transcript\":\"\xff\"}", "a.jsonl:1: not UTF-8 at byte 25"),
            (b"{\"id\":\"a\"}", "id \"a\" has neither transcript nor caption"),
        ] {
            let message = format!("{:#}", parse(text).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
    }
}
