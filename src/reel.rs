//! A record: one short video as a line of JSON.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::annotation::Annotation;
use crate::error::Hint;
use crate::lines::{Lines, Place};

/// A short video: what was said and what is known about it. Unknown is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Written")]
pub struct Reel {
    /// Unique within a file.
    pub id: String,
    /// Pseudonym of the account that posted it; resampling is by account when known.
    pub account: Option<String>,
    /// ISO 8601, UTC.
    pub posted_at: Option<String>,
    /// Length of the video in seconds.
    pub duration_s: Option<f64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub likes: Option<u64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub views: Option<u64>,
    /// Plays count replays too, so they differ from views by a factor.
    pub plays: Option<u64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub comments: Option<u64>,
    /// What the account wrote under the video.
    pub caption: Option<String>,
    /// Without `#`.
    pub hashtags: Vec<String>,
    /// What a recogniser heard.
    pub transcript: Option<String>,
    /// ISO 639-1.
    pub language: Option<String>,
    /// The gold answer by task name; the first of several.
    pub reference: BTreeMap<String, String>,
    /// Further gold answers of text tasks, by task name.
    pub alternatives: BTreeMap<String, Vec<String>>,
    /// A distribution over labels by task name.
    pub soft: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    /// By task name, what each annotator answered.
    pub annotations: BTreeMap<String, Vec<Annotation>>,
    /// Written by a model rather than posted by a person.
    pub synthetic: bool,
    /// Where the record came from; free-form.
    pub source: Option<serde_json::Value>,
    /// Why nothing can be asked about it: what stands for a record that can't be used has this and an id.
    pub unusable: Option<String>,
}

/// A Reel as it is written: several gold answers to one task are a list.
#[derive(Deserialize)]
struct Written {
    id: String,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    posted_at: Option<String>,
    #[serde(default)]
    duration_s: Option<f64>,
    #[serde(default)]
    likes: Option<u64>,
    #[serde(default)]
    views: Option<u64>,
    #[serde(default)]
    plays: Option<u64>,
    #[serde(default)]
    comments: Option<u64>,
    #[serde(default)]
    caption: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    hashtags: Vec<String>,
    #[serde(default)]
    transcript: Option<String>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    reference: BTreeMap<String, Option<Gold>>,
    #[serde(default)]
    soft: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    #[serde(default, deserialize_with = "null_as_default")]
    annotations: BTreeMap<String, Vec<Annotation>>,
    #[serde(default, deserialize_with = "null_as_default")]
    synthetic: bool,
    #[serde(default)]
    source: Option<serde_json::Value>,
    #[serde(default)]
    unusable: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a gold answer is a text or a list of texts")]
enum Gold {
    One(String),
    Several(Vec<String>),
}

impl From<Written> for Reel {
    fn from(written: Written) -> Reel {
        let (mut reference, mut alternatives) = (BTreeMap::new(), BTreeMap::new());
        for (task, gold) in written.reference {
            let texts = match gold {
                None => vec![],
                Some(Gold::One(text)) => vec![text],
                Some(Gold::Several(texts)) => texts,
            };
            // A blank one is a missing one.
            let mut texts = texts.into_iter().filter(|text| !text.trim().is_empty());
            let Some(first) = texts.next() else { continue };
            let rest: Vec<String> = texts.collect();
            if !rest.is_empty() {
                alternatives.insert(task.clone(), rest);
            }
            reference.insert(task, first);
        }
        Reel {
            id: written.id,
            account: written.account,
            posted_at: written.posted_at,
            duration_s: written.duration_s,
            likes: written.likes,
            views: written.views,
            plays: written.plays,
            comments: written.comments,
            caption: written.caption,
            hashtags: written.hashtags,
            transcript: written.transcript,
            language: written.language,
            reference,
            alternatives,
            soft: written.soft,
            annotations: written.annotations,
            synthetic: written.synthetic,
            source: written.source,
            unusable: written.unusable,
        }
    }
}

impl Serialize for Reel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("account", &self.account)?;
        map.serialize_entry("posted_at", &self.posted_at)?;
        map.serialize_entry("duration_s", &self.duration_s)?;
        map.serialize_entry("likes", &self.likes)?;
        map.serialize_entry("views", &self.views)?;
        map.serialize_entry("plays", &self.plays)?;
        map.serialize_entry("comments", &self.comments)?;
        map.serialize_entry("caption", &self.caption)?;
        map.serialize_entry("hashtags", &self.hashtags)?;
        map.serialize_entry("transcript", &self.transcript)?;
        map.serialize_entry("language", &self.language)?;
        map.serialize_entry("reference", &GoldOf(self))?;
        if let Some(soft) = &self.soft {
            map.serialize_entry("soft", soft)?;
        }
        if !self.annotations.is_empty() {
            map.serialize_entry("annotations", &self.annotations)?;
        }
        map.serialize_entry("synthetic", &self.synthetic)?;
        if let Some(source) = &self.source {
            map.serialize_entry("source", source)?;
        }
        if let Some(unusable) = &self.unusable {
            map.serialize_entry("unusable", unusable)?;
        }
        map.end()
    }
}

struct GoldOf<'a>(&'a Reel);

impl Serialize for GoldOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (task, first) in &self.0.reference {
            match self.0.alternatives.get(task) {
                Some(rest) => {
                    map.serialize_entry(task, &std::iter::once(first).chain(rest).collect::<Vec<&String>>())?;
                }
                None => map.serialize_entry(task, first)?,
            }
        }
        map.end()
    }
}

impl Reel {
    /// Brings every text to Unicode NFC.
    pub fn normalise(&mut self) {
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
        reel.unusable.is_some() || !(blank(&reel.transcript) && blank(&reel.caption)),
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
    fn several_gold_answers_are_a_list() {
        let text = "{\"id\":\"a\",\"transcript\":\"x\",\"hashtags\":null,\"synthetic\":null,\"reference\":{\"a\":[\"e\u{301}\",\" \",\"e\u{301}x\"],\"b\":[\"eins\"],\"c\":\" \",\"d\":null,\"e\":[]}}";
        let reel = parse(text.as_bytes()).unwrap().remove(0);
        assert_eq!(reel.reference, [("a", "\u{e9}"), ("b", "eins")].map(|(a, b)| (a.into(), b.into())).into());
        assert_eq!(reel.alternatives, [("a".into(), vec!["\u{e9}x".into()])].into());
        let written = serde_json::to_string(&reel).unwrap();
        assert!(written.contains("\"reference\":{\"a\":[\"\u{e9}\",\"\u{e9}x\"],\"b\":\"eins\"}"), "{written}");
        assert_eq!(parse(written.as_bytes()).unwrap(), [reel]);
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
