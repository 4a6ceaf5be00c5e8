//! Answers from anywhere: of a prediction what scoring needs, as JSON lines or as a table.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::Finish;
use crate::error::Hint;
use crate::lines::{Line, Lines, Place, Spool, decoded, objects};

/// What an answer can't do without.
const NEEDED: [&str; 3] = ["id", "task", "output"];
/// What a table can say besides.
const OPTIONAL: [&str; 4] = ["repeat", "finish", "error", "prompt"];
const EXAMPLE: &str = "an answer is {\"id\": …, \"task\": …, \"output\": …}, or a line of a table with such a header";

/// An answer to one task about one Reel. What isn't known is `None`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Answer {
    /// [`crate::reel::Reel::id`], as text or as a number.
    #[serde(alias = "reel_id", deserialize_with = "id")]
    pub id: String,
    /// [`crate::task::Task::name`].
    pub task: String,
    /// Counts up where one prompt is answered several times.
    #[serde(default)]
    pub repeat: u32,
    /// `None` where there is no answer.
    #[serde(deserialize_with = "null_as_none")]
    pub output: Option<String>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default)]
    pub label_logprobs: Option<IndexMap<String, f64>>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default)]
    pub finish: Option<Finish>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default, deserialize_with = "empty_as_none")]
    pub error: Option<String>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default)]
    pub prompt: Option<String>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default, deserialize_with = "empty_as_none")]
    pub prompt_sha256: Option<String>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default, deserialize_with = "empty_as_none")]
    pub model_sha256: Option<String>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default, deserialize_with = "empty_as_none")]
    pub adapter_sha256: Option<String>,
    #[expect(missing_docs, reason = "as of a prediction")]
    #[serde(default, deserialize_with = "empty_as_none")]
    pub settings_sha256: Option<String>,
}

impl Answer {
    /// One that was asked for and isn't there.
    pub fn missing(id: String, task: String, repeat: u32) -> Answer {
        Answer {
            id,
            task,
            repeat,
            output: None,
            label_logprobs: None,
            finish: None,
            error: None,
            prompt: None,
            prompt_sha256: None,
            model_sha256: None,
            adapter_sha256: None,
            settings_sha256: None,
        }
    }

    /// Reads a line; `None` where it is blank, or torn: the writer of the last line was killed, which is said.
    ///
    /// # Errors
    /// Names the file, the line, and what is missing or of the wrong type.
    pub fn of_line(line: &Line, file: &Lines) -> Result<Option<Answer>> {
        if text(line.bytes).trim_ascii().is_empty() {
            return Ok(None);
        }
        match Answer::parse(line.bytes, line.place, file) {
            Err(_) if !line.ended && serde_json::from_slice::<Value>(text(line.bytes)).is_err() => {
                super::warn_of_torn_line(file, line.place);
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    /// Reads one again.
    ///
    /// # Errors
    /// As [`Answer::of_line`].
    pub fn at(place: Place, file: &Lines) -> Result<Answer> {
        Answer::parse(&file.at(place)?, place, file)
    }

    fn parse(bytes: &[u8], place: Place, file: &Lines) -> Result<Answer> {
        let bytes = text(bytes);
        let parsed = serde_json::from_slice(bytes).map(|answer: Answer| match answer.error {
            Some(_) => Answer { finish: Some(Finish::Error), ..answer },
            None => answer,
        });
        parsed.map_err(|error| {
            let (name, number) = (file.name(), place.number);
            let Ok(Value::Object(fields)) = serde_json::from_slice(bytes) else {
                return anyhow!("{name}:{number}: not an answer: {error}").hint(EXAMPLE);
            };
            let has = |needed: &str| fields.contains_key(needed) || needed == "id" && fields.contains_key("reel_id");
            match NEEDED.into_iter().find(|needed| !has(needed)) {
                Some(missing) => lacking(&format!("{name}:{number}"), missing, fields.keys()),
                None => anyhow!("{name}:{number}: not an answer: {error}").hint(EXAMPLE),
            }
        })
    }
}

/// Without a byte order mark.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// That a name isn't there, with the one that may be meant.
fn lacking<'a>(place: &str, missing: &str, there: impl Iterator<Item = &'a String>) -> anyhow::Error {
    let there: Vec<&str> = there.map(String::as_str).collect();
    let near = there.iter().filter(|name| strsim::osa_distance(&name.to_lowercase(), missing) <= 2);
    let near = near.min_by_key(|name| strsim::osa_distance(&name.to_lowercase(), missing));
    let hint = near.map_or(EXAMPLE.to_owned(), |near| format!("is {near:?} meant to be {missing:?}? {EXAMPLE}"));
    anyhow!("{place}: {missing:?} is missing; there is {}", there.join(", ")).hint(hint)
}

fn null_as_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

fn empty_as_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.filter(|text: &String| !text.is_empty()))
}

/// A number as it is written, but 5.0 as 5: tables of numbers and blanks are written so.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
            _ => number.to_string(),
        }),
        other => Err(serde::de::Error::custom(format!("the id is {other}, neither text nor number"))),
    }
}

/// Opens a file of answers: JSON lines, or else read whole, a table with a header (CSV; also with `;` or tabs), an array, or any
/// of them in gzip or UTF-16.
///
/// # Errors
/// Names the file; and of a table the line, or the column that it lacks.
pub fn open_answers(path: &Path) -> Result<Lines> {
    const START: u64 = 4096;
    let lines = Lines::open(path, "predictions")?;
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(START).read_to_end(&mut start)?;
    // Lines are read where they stand, for there may be more than memory holds.
    if let None | Some(b'{') = text(&start).trim_ascii_start().first() {
        return Ok(lines);
    }
    let name = lines.name();
    let mut bytes = Vec::new();
    let read = decoded(name, BufReader::new(std::fs::File::open(path)?))?.read_to_end(&mut bytes);
    read.map_err(|error| anyhow!("cannot read {name}: {error}").hint("is the file whole?"))?;
    match bytes.trim_ascii_start().first() {
        None | Some(b'{' | b'[') => objects(name, Box::new(&bytes[..])),
        Some(_) => from_table(&bytes, name),
    }
}

/// Refuses a table in which a quote is not closed, or text follows one that is: rows behind it would be lost in one cell.
fn check_quotes(bytes: &[u8], name: &str) -> Result<()> {
    let (mut line, mut opened) = (1, None);
    let mut rest = bytes.iter().copied().peekable();
    let mut begins = true;
    while let Some(byte) = rest.next() {
        line += usize::from(byte == b'\n');
        match (opened, byte) {
            (None, b'"') if begins => opened = Some(line),
            (None, _) => begins = matches!(byte, b',' | b';' | b'\t' | b'\n'),
            (Some(_), b'"') if rest.peek() == Some(&b'"') => drop(rest.next()),
            (Some(at), b'"') => {
                let ends = rest.peek().is_none_or(|next| matches!(next, b',' | b';' | b'\t' | b'\r' | b'\n'));
                ensure!(ends, unclosed(name, at));
                (opened, begins) = (None, false);
            }
            (Some(_), _) => {}
        }
    }
    ensure!(opened.is_none(), unclosed(name, opened.unwrap_or_default()));
    Ok(())
}

fn unclosed(name: &str, line: usize) -> anyhow::Error {
    anyhow!("{name}:{line}: the quote of a cell isn't closed where the cell ends")
        .hint("write quotes within a cell twice, and one at its end")
}

/// A table of answers as JSON lines, each on the line that it has in the table.
fn from_table(bytes: &[u8], name: &str) -> Result<Lines> {
    let (bytes, named) = match bytes.strip_prefix(b"sep=") {
        // Excel's own line on what separates cells; it stays, blank, so that lines keep their numbers.
        Some([separator, rest @ ..]) if rest.trim_ascii_start().len() < rest.len() => (rest, Some(*separator)),
        _ => (bytes, None),
    };
    check_quotes(bytes, name)?;
    let head = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let often = |separator: u8| head.iter().filter(|byte| **byte == separator).count();
    // Excel writes what the country takes for a list separator.
    let often = [b',', b';', b'\t'].into_iter().rev().max_by_key(|separator| often(*separator));
    let separator = named.or(often).unwrap_or(b',');
    let mut reader = ReaderBuilder::new().delimiter(separator).trim(Trim::Headers).from_reader(bytes);
    let wrong = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let what = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} cells under a header of {expected_len}")
            }
            _ => error.to_string(),
        };
        anyhow!("{name}:{line}: {what}").hint("save it as CSV in UTF-8, cells with separators or line breaks in quotes")
    };
    let header: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_lowercase).collect();
    if let Some(twice) =
        header.iter().enumerate().find_map(|(at, column)| header[..at].contains(column).then_some(column))
    {
        bail!(anyhow!("{name}:1: the column {twice:?} stands twice").hint("remove one of the two"));
    }
    let columns: HashMap<&str, usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| (if name == "reel_id" { "id" } else { name.as_str() }, column))
        .collect();
    for needed in NEEDED {
        ensure!(columns.contains_key(needed), lacking(&format!("{name}:1"), needed, header.iter()));
    }
    let mut lines = Spool::new(name);
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(wrong)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: &str| columns.get(column).and_then(|column| record.get(*column)).unwrap_or_default();
        let mut answer: Map<String, Value> =
            NEEDED.iter().map(|needed| ((*needed).to_owned(), json!(cell(needed)))).collect();
        for column in OPTIONAL.into_iter().filter(|column| !cell(column).trim().is_empty()) {
            let value = match column {
                "repeat" => json!(cell(column).trim().parse::<u32>().map_err(|error| {
                    anyhow!("{name}:{line}: repeat is {:?}: {error}", cell(column)).hint("it counts up from 0")
                })?),
                _ => json!(cell(column)),
            };
            answer.insert(column.to_owned(), value);
        }
        lines.push(Value::Object(answer).to_string().as_bytes(), line as u32)?;
    }
    lines.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Vec<Answer>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let lines = open_answers(&path)?;
        let mut answers = Vec::new();
        lines.each(|line| {
            answers.extend(Answer::of_line(&line, &lines)?);
            Ok(())
        })?;
        Ok(answers)
    }

    fn told(answers: &[Answer]) -> Vec<[&str; 3]> {
        answers.iter().map(|it| [it.id.as_str(), &it.task, it.output.as_deref().unwrap_or("none")]).collect()
    }

    #[test]
    fn three_fields_are_enough_and_the_rest_is_unknown() {
        let text = "\u{feff}{\"id\":\"r0\",\"task\":\"ad\",\"output\":\"iklan\",\"model\":\"x\"}\r\n\n\
                    {\"reel_id\":7,\"task\":\"ad\",\"output\":null}\n{\"id\":8.0,\"task\":\"ad\",\"output\":\"\",\"model_sha256\":\"\"}";
        let answers = read("a.jsonl", text).unwrap();
        assert_eq!(told(&answers), [["r0", "ad", "iklan"], ["7", "ad", "none"], ["8", "ad", ""]]);
        let Answer { repeat, finish, prompt, model_sha256, .. } = &answers[2];
        assert_eq!((*repeat, *finish, prompt, model_sha256), (0, None, &None, &None));
    }

    #[test]
    fn tables_are_read_with_the_separators_that_spreadsheets_write() {
        let expected = [["1", "ad", "Iklan, ya"], ["r2", "summary", "dua\nbaris; \"titik\""]];
        for text in [
            "id,task,output\n1,ad,\"Iklan, ya\"\nr2,summary,\"dua\nbaris; \"\"titik\"\"\"\n",
            "\u{feff}ID;Task;Output\r\n1;ad;Iklan, ya\r\nr2;summary;\"dua\nbaris; \"\"titik\"\"\"\r\n",
            "sep=;\r\nid;task;output\r\n1;ad;Iklan, ya\r\nr2;summary;\"dua\nbaris; \"\"titik\"\"\"\r\n",
            "task\toutput\treel_id\tnote\nad\tIklan, ya\t1\tx\nsummary\t\"dua\nbaris; \"\"titik\"\"\"\tr2\t\n",
        ] {
            assert_eq!(told(&read("a.csv", text).unwrap()), expected, "{text:?}");
        }
        for (name, bytes) in [
            ("a.json", "[{\"id\":1,\"task\":\"ad\",\"output\":\"Iklan, ya\"}]".into()),
            (
                "a.csv",
                "\u{feff}id\ttask\toutput\n1\tad\tIklan, ya\n"
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect::<Vec<u8>>(),
            ),
        ] {
            assert_eq!(told(&read(name, bytes).unwrap()), expected[..1], "{name}");
        }
        let answers = read("a.csv", "id;task;output;repeat;finish\na;ad;x;2;length\nb;ad;y;;\n").unwrap();
        assert_eq!((answers[0].repeat, answers[0].finish), (2, Some(Finish::Length)));
        assert_eq!((answers[1].repeat, answers[1].finish), (0, None));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (name, text, expected) in [
            (
                "a.jsonl",
                "{\"id\":\"a\",\"task\":\"ad\",\"outptu\":\"x\"}\n",
                "a.jsonl:1: \"output\" is missing; there is id, task, outptu\nhint: is \"outptu\" meant to be \"output\"?",
            ),
            ("a.jsonl", "{\"id\":\"a\",\"task\":\"ad\"}", "a.jsonl:1: \"output\" is missing"),
            ("a.jsonl", "{\"id\":[1],\"task\":\"ad\",\"output\":\"x\"}\n", "the id is [1], neither text nor number"),
            (
                "a.jsonl",
                "{\"id\":\"a\",\"task\":\"ad\",\"output\":1}\n",
                "a.jsonl:1: not an answer: invalid type: integer",
            ),
            ("a.json", "[\n{\"id\":\"a\"}]", "a.json:2: \"task\" is missing; there is id"),
            ("a.csv", "id;task;answer\na;ad;x\n", "a.csv:1: \"output\" is missing; there is id, task, answer\nhint: "),
            ("a.csv", "id;task;output\na;ad;x\nb;ad\n", "a.csv:3: 2 cells under a header of 3"),
            ("a.csv", "id;task;output;repeat\na;ad;x;one\n", "a.csv:2: repeat is \"one\""),
        ] {
            let message = Shown::of(&read(name, text).unwrap_err()).to_string();
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
        let message = Shown::of(&read("a.csv", b"id;task;output\na;ad;caf\xe9\n").unwrap_err()).to_string();
        assert!(message.contains("a.csv:2: not UTF-8\nhint: "), "{message}");
        // The writer was killed.
        assert_eq!(read("a.jsonl", "{\"id\":\"a\",\"task\":\"ad\",\"output\":\"x\"}\n{\"id\":\"b").unwrap().len(), 1);
    }

    #[test]
    fn a_table_that_would_lose_rows_is_refused() {
        for (text, expected) in [
            ("id,task,output\na,ad,\"iklan\nb,ad,iklan\n", "t.csv:2: the quote of a cell isn't closed"),
            ("id,task,output\na,ad,\"x\" y\nb,ad,iklan\n", "t.csv:2: the quote of a cell isn't closed"),
            ("id,task,output,output\na,ad,x,y\n", "t.csv:1: the column \"output\" stands twice"),
        ] {
            let message = Shown::of(&read("t.csv", text).unwrap_err()).to_string();
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
        let held = read("t.csv", "id;task;output\na;ad;\"kata \"\"enak\"\";\nya\"\nb;ad;5\" layar\n").unwrap();
        let outputs: Vec<_> = held.iter().map(|answer| answer.output.as_deref().unwrap()).collect();
        assert_eq!(outputs, ["kata \"enak\";\nya", "5\" layar"]);
    }

    #[test]
    fn an_answer_with_an_error_failed() {
        let line = "{\"id\":\"a\",\"task\":\"ad\",\"output\":\"\",\"error\":\"timeout\"}\n";
        assert_eq!(read("a.jsonl", line).unwrap()[0].finish, Some(Finish::Error));
        assert_eq!(read("a.jsonl", line.replace("timeout", "")).unwrap()[0].finish, None);
    }
}
