//! The fields of a record: what is written otherwise than it ought to be is mended and counted, or can't be used.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::count::{Written, count, is_unknown, seconds};
use super::json::{NO_JSON_NUMBER, NO_NUMBER};
use super::names;
use super::problems::{Kind, Note, Problems};
use super::{Place, Unusable};
use crate::annotation::Annotation;
use crate::error::Hint;
use crate::indonesian::unspoken;
use crate::reel::Reel;
use crate::task::{Task, TaskKind, check_reference};

/// Probabilities by task and label.
type Shares = BTreeMap<String, BTreeMap<String, f64>>;

/// The first gold answer by task, and further ones.
pub(super) type Golds = (BTreeMap<String, String>, BTreeMap<String, Vec<String>>);

/// Mends one record.
pub struct Mender<'a> {
    pub(super) tasks: &'a [Task],
    pub(super) place: Place<'a>,
    pub(super) problems: &'a mut Problems,
    /// Of the record, as soon as it is known.
    pub(super) id: Option<String>,
    /// Its gold answers, as soon as they are known.
    pub(super) golds: Golds,
}

impl Mender<'_> {
    /// The record of these fields.
    pub(super) fn reel(&mut self, mut fields: Map<String, Value>) -> Result<Reel, Unusable> {
        if let Some(value) = fields.get_mut("id") {
            self.id = self.name_of("id", value.take())?;
        }
        let mut reel = Reel::default();
        if let Some(value) = fields.get_mut("reference") {
            self.reference(value.take(), &mut reel)?;
            self.golds = (reel.reference.clone(), reel.alternatives.clone());
        }
        for (field, value) in fields {
            let value = self.number_or_unknown(&field, value);
            match field.as_str() {
                "id" | "reference" => {}
                "account" => reel.account = self.name_of(&field, value)?,
                "posted_at" => reel.posted_at = self.moment(&field, value)?,
                "duration_s" => reel.duration_s = self.seconds(&field, value)?,
                "likes" => reel.likes = self.count(&field, value)?,
                "views" => reel.views = self.count(&field, value)?,
                "plays" => reel.plays = self.count(&field, value)?,
                "comments" => reel.comments = self.count(&field, value)?,
                "caption" => reel.caption = self.text(&field, value)?,
                "hashtags" => reel.hashtags = self.hashtags(&field, value)?,
                "transcript" => reel.transcript = self.text(&field, value)?,
                "language" => reel.language = self.name_of(&field, value)?,
                "soft" => reel.soft = self.soft(value)?,
                "annotations" => reel.annotations = self.annotations(value)?,
                "synthetic" => reel.synthetic = self.yes_or_no(&field, value)?,
                "source" => reel.source = (!value.is_null()).then(|| sorted(value)),
                _ => {
                    let tasks = self.tasks;
                    self.problems.unknown(self.place.number, &field, || names::meant(&field, tasks));
                }
            }
        }
        let Some(id) = self.id.clone() else {
            return Err(self.place.unusable(
                Note::new("no id", "id", ""),
                anyhow!("the record has no id").hint("every record needs an \"id\""),
            ));
        };
        reel.id = id;
        if reel.transcript.is_none() && reel.caption.is_none() {
            return Err(self.place.unusable(
                Note::new("neither transcript nor caption", "transcript", ""),
                anyhow!("id {:?} has neither transcript nor caption", reel.id)
                    .hint("there is nothing to summarise or classify; give one or remove the line"),
            ));
        }
        self.check_labels(&reel)?;
        if reel.transcript.as_deref().is_some_and(|text| unspoken(text).is_some()) {
            let text = reel.transcript.as_deref().unwrap_or("");
            self.note(Kind::Odd, Note::new("heard only music?", "transcript", text));
        }
        reel.normalise();
        Ok(reel)
    }

    fn check_labels(&self, reel: &Reel) -> Result<(), Unusable> {
        let place = format!("{}:{}", self.place.name, self.place.number);
        let Err(error) = check_reference(reel, self.tasks, &place) else { return Ok(()) };
        let is_known = |task: &&Task| reel.reference.get(&task.name).is_none_or(|label| task.labels.contains(label));
        let wrong = self.tasks.iter().filter(|task| task.kind == TaskKind::Label).find(|task| !is_known(task));
        let note = match wrong {
            None => Note::new("several labels", "reference", ""),
            Some(task) => {
                let label = &reel.reference[&task.name];
                let near = names::nearest(label, task.labels.iter().map(String::as_str));
                let meant = match (task.wordings.iter().position(|wording| wording == label), near) {
                    (Some(index), _) => format!("{}, which the model reads so", task.labels[index]),
                    (None, Some(near)) => format!("{near}?"),
                    (None, None) => format!("one of {}", task.labels.join(", ")),
                };
                Note::new("no label of the task", &format!("reference.{}", task.name), label)
                    .meant(Some(meant))
                    .by_value()
            }
        };
        Err(Unusable { note, error })
    }

    fn note(&mut self, kind: Kind, note: Note) {
        self.problems.add(kind, self.place.number, note);
    }

    fn mended(&mut self, what: &'static str, field: &str, value: &str, meant: &str) {
        self.note(Kind::Mended, Note::new(what, field, value).meant(Some(meant.to_owned())));
    }

    fn unknown(&mut self, field: &str, value: &str) {
        self.mended("says that it is unknown", field, value, "unknown");
    }

    fn wrong<T>(&self, field: &str, value: &Value, expected: &str) -> Result<T, Unusable> {
        let shown = value.to_string();
        let start: String = shown.chars().take(40).collect();
        let note = Note::new("wrong type", field, value.as_str().unwrap_or(&shown)).meant(Some(expected.to_owned()));
        let error = anyhow!("{field} is {start}, expected {expected}")
            .hint("see eval/sample.jsonl for each field's type; unknown is null");
        Err(self.place.unusable(note, error))
    }

    /// Unknown for a number that JSON doesn't have.
    fn number_or_unknown(&mut self, field: &str, value: Value) -> Value {
        match value.as_str().and_then(|text| text.strip_prefix(NO_NUMBER)) {
            Some(number @ ("NaN" | "Infinity")) => {
                self.mended(NO_JSON_NUMBER, field, number, "unknown");
                Value::Null
            }
            _ => value,
        }
    }

    /// A text that is kept as it is.
    fn text(&mut self, field: &str, value: Value) -> Result<Option<String>, Unusable> {
        match value {
            Value::Null => Ok(None),
            // Blank is nothing, and an empty caption is what collectors write.
            Value::String(text) if text.trim().is_empty() => Ok(None),
            Value::String(text) if is_unknown(&text) => {
                self.unknown(field, &text);
                Ok(None)
            }
            Value::String(text) => Ok(Some(text)),
            Value::Number(number) => {
                let text = number.to_string();
                self.mended("number for a text", field, &text, "a text");
                Ok(Some(text))
            }
            value => self.wrong(field, &value, "a text"),
        }
    }

    /// A text without white space around it.
    fn name_of(&mut self, field: &str, value: Value) -> Result<Option<String>, Unusable> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) if is_unknown(&text) => {
                self.unknown(field, &text);
                Ok(None)
            }
            // Ids that differ by a space stay two.
            Value::String(text) if field == "id" || text.trim().len() == text.len() => Ok(Some(text)),
            Value::String(text) => {
                self.mended("white space around it", field, &text, text.trim());
                Ok(Some(text.trim().to_owned()))
            }
            Value::Number(number) => {
                // A whole number that went through floating point has lost digits from here on.
                const EXACT: f64 = (1u64 << 53) as f64;
                let text = match number.as_f64().filter(|_| number.is_f64()) {
                    None => number.to_string(),
                    Some(value) if value.fract() == 0.0 && value.abs() < EXACT => format!("{value:.0}"),
                    Some(_) => {
                        return self.wrong(
                            field,
                            &Value::Number(number),
                            "a text; a number with a fraction or of so many digits names nothing",
                        );
                    }
                };
                self.mended("number for a text", field, &text, "a text");
                Ok(Some(text))
            }
            value => self.wrong(field, &value, "a text"),
        }
    }

    fn count(&mut self, field: &str, value: Value) -> Result<Option<u64>, Unusable> {
        const EXPECTED: &str = "a count, e.g. 1200, \"1.2K\" or \"1,2 rb\"";
        let text = match &value {
            Value::Null => return Ok(None),
            Value::Number(number) => match number.as_u64() {
                Some(count) => return Ok(Some(count)),
                None => number.to_string(),
            },
            Value::String(text) => text.clone(),
            value => return self.wrong(field, value, EXPECTED),
        };
        // In JSON 1.200 is 1.2, and 1.2e3 is 1200.
        let read = match value.as_f64() {
            Some(number) if number < 0.0 => Some(Written::Unknown),
            Some(number) if number.fract() == 0.0 && number < u64::MAX as f64 => Some(Written::Known(number as u64)),
            Some(_) => None,
            None => count(&text),
        };
        match read {
            Some(Written::Known(count)) => {
                let what = if value.is_string() { "count as a text" } else { "count with a decimal point" };
                self.mended(what, field, &text, &count.to_string());
                Ok(Some(count))
            }
            Some(Written::Unknown) => {
                self.unknown(field, &text);
                Ok(None)
            }
            None => self.wrong(field, &value, EXPECTED),
        }
    }

    fn seconds(&mut self, field: &str, value: Value) -> Result<Option<f64>, Unusable> {
        const EXPECTED: &str = "seconds, e.g. 41.2 or \"0:41\"";
        let (read, text) = match &value {
            Value::Null => return Ok(None),
            Value::Number(number) => match number.as_f64() {
                Some(seconds) if seconds >= 0.0 => return Ok(Some(seconds)),
                Some(_) => (Some(Written::Unknown), number.to_string()),
                None => (None, number.to_string()),
            },
            Value::String(text) => (seconds(text), text.clone()),
            value => return self.wrong(field, value, EXPECTED),
        };
        match read {
            Some(Written::Known(seconds)) => {
                self.mended("length as a text", field, &text, &seconds.to_string());
                Ok(Some(seconds))
            }
            Some(Written::Unknown) => {
                self.unknown(field, &text);
                Ok(None)
            }
            None => self.wrong(field, &value, EXPECTED),
        }
    }

    /// A moment in ISO 8601; others are unknown, as day and month can't be told apart.
    fn moment(&mut self, field: &str, value: Value) -> Result<Option<String>, Unusable> {
        let epoch = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.len() >= 10 => text.parse().ok(),
            _ => None,
        };
        if let Some(epoch) = epoch.filter(|epoch: &f64| epoch.is_finite()) {
            let moment = if epoch.abs() < 1e11 {
                jiff::Timestamp::from_second(epoch as i64)
            } else {
                jiff::Timestamp::from_millisecond(epoch as i64)
            };
            if let Ok(moment) = moment {
                let text = moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                self.mended("seconds since 1970", field, &epoch.to_string(), &text);
                return Ok(Some(text));
            }
        }
        let Some(text) = self.name_of(field, value)? else { return Ok(None) };
        if is_iso(&text) {
            return Ok(Some(text));
        }
        self.mended("date is not ISO 8601", field, &text, "unknown; write 2025-03-12 or 2025-03-12T10:11:12Z");
        Ok(None)
    }

    fn hashtags(&mut self, field: &str, value: Value) -> Result<Vec<String>, Unusable> {
        const EXPECTED: &str = "a list of texts";
        let without = |text: &str| text.trim().trim_start_matches(['#', '＃']).trim().to_owned();
        match value {
            Value::Null => Ok(vec![]),
            Value::String(text) if is_unknown(&text) => Ok(vec![]),
            Value::String(text) => {
                let tags = text.split(|char: char| char.is_whitespace() || ",;#＃".contains(char));
                let tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
                self.mended("hashtags in one text", field, &text, &tags.join(", "));
                Ok(tags)
            }
            Value::Array(items) => {
                let mut tags = Vec::with_capacity(items.len());
                for item in items {
                    match item {
                        Value::Null => {}
                        Value::String(tag) if tag.trim_start().starts_with(['#', '＃']) => {
                            self.mended("hashtag with #", field, &tag, &without(&tag));
                            tags.push(without(&tag));
                        }
                        Value::String(tag) => tags.push(tag),
                        Value::Number(number) => {
                            self.mended("number for a text", field, &number.to_string(), "a text");
                            tags.push(number.to_string());
                        }
                        other => return self.wrong(field, &other, EXPECTED),
                    }
                }
                tags.retain(|tag| !tag.trim().is_empty());
                Ok(tags)
            }
            value => self.wrong(field, &value, EXPECTED),
        }
    }

    fn yes_or_no(&mut self, field: &str, value: Value) -> Result<bool, Unusable> {
        let text = match &value {
            Value::Null => return Ok(false),
            Value::Bool(value) => return Ok(*value),
            Value::String(text) => text.trim().to_lowercase(),
            Value::Number(number) => number.to_string(),
            value => return self.wrong(field, value, "true or false"),
        };
        let read = match text.as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            text if is_unknown(text) => false,
            _ => return self.wrong(field, &value, "true or false"),
        };
        self.mended("true or false as something else", field, &text, &read.to_string());
        Ok(read)
    }

    fn reference(&mut self, value: Value, reel: &mut Reel) -> Result<(), Unusable> {
        const EXPECTED: &str = "an object, e.g. {\"category\": \"kuliner\"}";
        let golds = match value {
            Value::Null => return Ok(()),
            Value::Object(golds) => golds,
            Value::String(text) if is_unknown(&text) => return Ok(()),
            // As a column of a table holds it.
            Value::String(text) if text.trim_start().starts_with('{') => {
                let golds = super::json::object(text.as_bytes(), self)?;
                self.mended("object in a text", "reference", &text, "an object");
                golds
            }
            value => return self.wrong("reference", &value, EXPECTED),
        };
        for (task, gold) in golds {
            let known = self.tasks.iter().find(|known| known.name == task);
            if known.is_none() && !self.tasks.is_empty() {
                self.unasked(&task);
            }
            let field = format!("reference.{task}");
            let gold = self.number_or_unknown(&field, gold);
            let mut texts = self.golds(&field, gold, known)?.into_iter();
            let Some(first) = texts.next() else { continue };
            let rest: Vec<String> = texts.collect();
            if !rest.is_empty() {
                reel.alternatives.insert(task.clone(), rest);
            }
            reel.reference.insert(task, first);
        }
        Ok(())
    }

    /// A gold answer to a task that isn't among those of the prompts.
    fn unasked(&mut self, task: &str) {
        let field = format!("reference.{task}");
        match names::nearest(task, self.tasks.iter().map(|task| task.name.as_str())) {
            Some(near) => self.problems.unknown(self.place.number, &field, || Some(format!("reference.{near}?"))),
            None => self.note(Kind::Odd, Note::new("no such task in the prompts", &field, "")),
        }
    }

    /// The gold answers to a task, blank ones left out.
    fn golds(&mut self, field: &str, gold: Value, task: Option<&Task>) -> Result<Vec<String>, Unusable> {
        let text = match gold {
            Value::Null => return Ok(vec![]),
            Value::String(text) => text,
            Value::Array(items) => {
                let items = items.into_iter().filter(|item| !item.is_null());
                let nested = |item: Value| match item {
                    Value::Array(_) => self.wrong(field, &item, "a text or a list of texts"),
                    item => self.golds(field, item, task),
                };
                return Ok(items.map(nested).collect::<Result<Vec<_>, _>>()?.concat());
            }
            // A label such as 1.
            Value::Number(_) | Value::Bool(_) if task.is_some_and(|task| task.labels.contains(&gold.to_string())) => {
                self.mended("number for a text", field, &gold.to_string(), "a text");
                gold.to_string()
            }
            gold => {
                let labels = task.map(|task| task.labels.join(", ")).filter(|labels| !labels.is_empty());
                let expected =
                    labels.map_or("a text or a list of texts".to_owned(), |labels| format!("one of {labels}"));
                return self.wrong(field, &gold, &expected);
            }
        };
        if text.trim().is_empty() {
            self.mended("blank gold answer", field, &text, "no reference");
            return Ok(vec![]);
        }
        if is_unknown(&text) && task.is_none_or(|task| task.kind == TaskKind::Text) {
            self.note(Kind::Odd, Note::new("gold answer says that it is unknown", field, &text));
        }
        Ok(vec![text])
    }

    fn soft(&mut self, value: Value) -> Result<Option<Shares>, Unusable> {
        const EXPECTED: &str = "probabilities by label, e.g. {\"category\": {\"kuliner\": 0.8, \"hiburan\": 0.2}}";
        let Value::Object(tasks) = value else {
            return if value.is_null() { Ok(None) } else { self.wrong("soft", &value, EXPECTED) };
        };
        let mut soft = BTreeMap::new();
        for (task, shares) in tasks {
            let shares = match shares {
                Value::Null => continue,
                Value::Object(shares) => shares,
                shares => return self.wrong(&format!("soft.{task}"), &shares, EXPECTED),
            };
            let mut of_task = BTreeMap::new();
            for (label, share) in shares {
                match share.as_f64() {
                    Some(share) => {
                        of_task.insert(label, share);
                    }
                    None if share.is_null() => {}
                    None => return self.wrong(&format!("soft.{task}.{label}"), &share, EXPECTED),
                }
            }
            soft.insert(task, of_task);
        }
        Ok((!soft.is_empty()).then_some(soft))
    }

    fn annotations(&mut self, value: Value) -> Result<BTreeMap<String, Vec<Annotation>>, Unusable> {
        const EXPECTED: &str = "by task who answered what, e.g. {\"ad\": [{\"by\": \"ani\", \"answer\": \"iklan\"}]}";
        let Ok(annotations) = Option::<BTreeMap<String, Vec<Annotation>>>::deserialize(&value) else {
            return self.wrong("annotations", &value, EXPECTED);
        };
        let mut annotations = annotations.unwrap_or_default();
        for task in self.tasks.iter().filter(|task| task.kind == TaskKind::Label) {
            let Some(of_task) = annotations.get_mut(&task.name) else { continue };
            let (labels, others) = of_task.drain(..).partition(|one: &Annotation| task.labels.contains(&one.answer));
            *of_task = labels;
            for Annotation { answer, .. } in others {
                let field = format!("annotations.{}", task.name);
                self.note(Kind::LeftOut, Note::new("annotation that is no label of the task", &field, &answer));
            }
        }
        Ok(annotations)
    }
}

fn is_iso(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
        || text.parse::<jiff::civil::DateTime>().is_ok()
        || text.parse::<jiff::civil::Date>().is_ok()
}

/// The same with the keys of all objects in order.
fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}
