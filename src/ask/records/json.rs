//! A line as JSON: keys that stand twice are refused, what JSON doesn't have and others write is mended.

use anyhow::anyhow;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Unusable;
use super::mend::Mender;
use super::problems::{Kind, Note};
use crate::error::Hint;

/// Stands in a text's place for a number that JSON doesn't have.
pub const NO_NUMBER: char = '\u{0}';

/// The object on a line.
pub fn object(bytes: &[u8], mender: &mut Mender) -> Result<Map<String, Value>, Unusable> {
    let place = mender.place;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        place.unusable(
            Note::new("not UTF-8", "", &format!("byte {at}")),
            anyhow!("not UTF-8 at byte {at} of the line").hint("save the file as UTF-8, e.g. iconv -f latin1 -t utf-8"),
        )
    })?;
    // Files put together have a byte order mark in between.
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with('{') {
        let start: String = text.chars().take(40).collect();
        return Err(place.unusable(
            Note::new("no JSON object", "", &start),
            anyhow!("expected a JSON object, found {start:?}")
                .hint("the file must be JSONL: one object a line, not CSV"),
        ));
    }
    let error = match lenient(text) {
        Ok((object, kinds)) => {
            for kind in kinds.into_iter().filter(|kind| *kind != NO_JSON_NUMBER) {
                let broken = |(_, value): &(&String, &Value)| value.to_string().contains('\u{fffd}');
                let field = object.iter().find(broken).filter(|_| kind == HALF).map_or("", |(field, _)| field);
                mender.problems.add(Kind::Mended, place.number, Note::new(kind, field, ""));
            }
            return Ok(object);
        }
        Err(error) => error,
    };
    let message = error.to_string();
    // Its " at line 1 column 9" counts within the line only.
    let message = message.split(" at line ").next().unwrap_or(&message);
    let note = match message.strip_suffix(TWICE) {
        Some(key) => Note::new("key written twice", key, ""),
        None => Note::new("broken JSON", "", message),
    };
    let hint = match message {
        _ if message.ends_with(TWICE) => "a key may stand once in an object; remove one of the two",
        _ if text.starts_with("{'") => {
            "this is Python's way of writing; in Python: json.dumps(record, ensure_ascii=False)"
        }
        _ => "the line is not complete JSON; one object must stand on one line",
    };
    Err(place.unusable(note, anyhow!("column {}: {message}", error.column()).hint(hint)))
}

/// An object, and what was mended to read it: numbers that JSON doesn't have become texts that begin with [`NO_NUMBER`].
///
/// # Errors
/// Of the text as it is; a key that stands twice is one.
pub fn lenient(text: &str) -> serde_json::Result<(Map<String, Value>, Vec<&'static str>)> {
    let error = match parse(text) {
        Ok(object) => return Ok((object, vec![])),
        Err(error) => error,
    };
    let (mended, kinds) = mended(text);
    match parse(&mended) {
        Ok(object) if !kinds.is_empty() => Ok((object, kinds)),
        _ => Err(error),
    }
}

const TWICE: &str = " stands twice";
const HALF: &str = "half a character (lone surrogate)";
const ESCAPE: &str = "backslash that escapes nothing";
const CONTROL: &str = "control character in a text";

fn parse(text: &str) -> serde_json::Result<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Unique { within: "" }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(serde_json::Error::custom("not an object")),
    }
}

/// A JSON value in which no key of an object stands twice; `within` is the path to it.
struct Unique<'a> {
    within: &'a str,
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Unique { within: self.within })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = if self.within.is_empty() { &key } else { &format!("{}.{key}", self.within) };
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("{path}{TWICE}")));
            }
            let value = entries.next_value_seed(Unique { within: path })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// The text with what JSON doesn't allow written in a way that it does, and what that was.
pub fn mended(text: &str) -> (String, Vec<&'static str>) {
    let bytes = text.as_bytes();
    let mut mended = Vec::with_capacity(bytes.len() + 16);
    let mut kinds: Vec<&'static str> = Vec::new();
    let (mut at, mut in_string) = (0, false);
    let mut found = |kind| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (taken, written): (usize, &[u8]) = match (in_string, rest[0]) {
            (_, b'"') => {
                in_string = !in_string;
                (1, b"\"")
            }
            (true, b'\\') if rest.len() > 1 => match unit(rest) {
                Some(0xd800..0xdc00) if unit(&rest[6..]).is_some_and(|low| (0xdc00..0xe000).contains(&low)) => {
                    (12, &rest[..12])
                }
                Some(0xd800..0xe000) => {
                    found(HALF);
                    (6, b"\\ufffd")
                }
                None if !b"\"\\/bfnrt".contains(&rest[1]) => {
                    found(ESCAPE);
                    (1, b"\\\\")
                }
                _ => (2, &rest[..2]),
            },
            (true, 0..0x20) => {
                found(CONTROL);
                (1, if rest[0] == b'\t' { b"\\t" } else { b" " })
            }
            (false, _) => {
                match ["NaN", "-NaN", "Infinity", "-Infinity"].iter().find(|word| rest.starts_with(word.as_bytes())) {
                    Some(word) => {
                        found(NO_JSON_NUMBER);
                        (word.len(), if word.ends_with("NaN") { b"\"\\u0000NaN\"" } else { b"\"\\u0000Infinity\"" })
                    }
                    None => (1, &rest[..1]),
                }
            }
            _ => (1, &rest[..1]),
        };
        mended.extend_from_slice(written);
        at += taken;
    }
    (String::from_utf8(mended).unwrap_or_default(), kinds)
}

/// Said of the field that it stands in, see [`NO_NUMBER`].
pub const NO_JSON_NUMBER: &str = "NaN or Infinity (Python writes them, JSON has none)";

/// The UTF-16 unit that a text escapes as \uXXXX.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
