//! JSON of openai-whisper, faster-whisper, whisper.cpp and WhisperX.

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value};

use super::{Segment, Transcript};
use crate::ask::mended_json;
use crate::error::Hint;

/// Whether a text begins as JSON does; `[Musik]` doesn't.
pub fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('{') || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['{', '[', ']']))
}

/// Reads one transcript, or segments one a line; `None` for JSON that is something else.
///
/// # Errors
/// Names the file and the line that is no JSON, or the segment that has no text.
pub fn read(name: &str, text: &str, is_transcript: bool) -> Result<Option<Transcript>> {
    let values = match values(text).or_else(|error| values(&mended_json(text).0).map_err(|_| error)) {
        Ok(values) => values,
        Err(error) if is_transcript || ["\"segments\"", "\"transcription\""].iter().any(|key| text.contains(key)) => {
            let hint = match error.is_eof() {
                true => "the file ends too early: was the recogniser stopped, or the copy?",
                false => "run the recogniser again, or mend that place",
            };
            bail!(anyhow!("{name}:{}: broken JSON: {error}", error.line()).hint(hint));
        }
        Err(_) => return Ok(None),
    };
    let Some(Written { kind, language, items }) = Written::of(values, is_transcript) else { return Ok(None) };
    let mut segments = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(text) = item["text"].as_str() else {
            bail!(anyhow!("{name}: segment {} has no text", index + 1).hint("run the recogniser again"));
        };
        let number = |key: &str| item[key].as_f64();
        let milliseconds = |key: &str| item["offsets"][key].as_f64().map(|time| time / 1000.0);
        segments.push(Segment {
            start_s: number("start").or_else(|| milliseconds("from")),
            end_s: number("end").or_else(|| milliseconds("to")),
            text: text.to_owned(),
            avg_logprob: number("avg_logprob"),
            no_speech_prob: number("no_speech_prob"),
            compression_ratio: number("compression_ratio"),
        });
    }
    Ok(Some(Transcript::new(kind, language.as_deref(), segments)))
}

fn values(text: &str) -> serde_json::Result<Vec<Value>> {
    serde_json::Deserializer::from_str(text).into_iter().collect()
}

/// Whose segments they are.
struct Written {
    kind: &'static str,
    language: Option<String>,
    items: Vec<Value>,
}

impl Written {
    fn of(mut values: Vec<Value>, is_transcript: bool) -> Option<Written> {
        if values.len() > 1 {
            return Written::list(values);
        }
        match values.pop()? {
            // What OpenAI's API answers when nothing else is asked for.
            Value::Object(object) if is_transcript && is_text_alone(&object) => {
                let language = object.get("language").and_then(text_of);
                Some(Written { kind: "whisper", language, items: vec![Value::Object(object)] })
            }
            Value::Object(object) => Written::object(object),
            // Segments and what is known of all of them.
            Value::Array(mut pair) if pair.len() == 2 && pair[0].is_array() && pair[1].is_object() => {
                let language = text_of(&pair[1]["language"]);
                let Value::Array(segments) = pair.swap_remove(0) else { return None };
                Some(Written { language, ..Written::list(segments)? })
            }
            Value::Array(segments) => Written::list(segments),
            _ => None,
        }
    }

    /// Segments alone, of which each has its times; records have other fields.
    fn list(items: Vec<Value>) -> Option<Written> {
        let first = items.first()?;
        let is_segment = first["text"].is_string() && first.get("start").is_some() && first.get("end").is_some();
        let kind = if first.get("no_speech_prob").is_some() { "faster-whisper" } else { "segments" };
        is_segment.then_some(Written { kind, language: None, items })
    }

    fn object(mut object: Map<String, Value>) -> Option<Written> {
        let has_text = |items: &[Value]| items.first().is_none_or(|first| first["text"].is_string());
        if let Some(Value::Array(items)) = object.get_mut("transcription") {
            let items = std::mem::take(items);
            let language = object.get("result").and_then(|result| text_of(&result["language"]));
            return has_text(&items).then_some(Written { kind: "whisper.cpp", language, items });
        }
        let Some(Value::Array(items)) = object.get_mut("segments") else { return None };
        let items = std::mem::take(items);
        let info = object.get("info").and_then(|info| text_of(&info["language"]));
        let language = object.get("language").and_then(text_of).or(info);
        let is_measured = items.first().is_some_and(|first| first.get("no_speech_prob").is_some());
        let kind = match () {
            _ if object.contains_key("word_segments") => "whisperx",
            _ if object.contains_key("text") => "whisper",
            _ if is_measured => "faster-whisper",
            _ => "whisperx",
        };
        has_text(&items).then_some(Written { kind, language, items })
    }
}

fn is_text_alone(object: &Map<String, Value>) -> bool {
    object.get("text").is_some_and(Value::is_string) && !object.contains_key("segments")
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
