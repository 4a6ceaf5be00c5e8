//! Cells → a post. What is written otherwise than it ought to be is mended and counted, or left out and counted.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cell::Cell;
use super::date;
use super::facts::Facts;
use super::field::Field;
use super::gold::{NO, YES};
use super::guess::is_media_number;
use super::header::Layout;
use crate::ask::records::{Kind, Note, Problems, Written, count, folded, is_unknown, seconds};
use crate::data::import::post::{Account, Post, Read, Skip, linked, shortcode};
use crate::run::sha256;
use crate::task::Task;

/// A float holds all whole numbers below.
const EXACT: f64 = (1u64 << 53) as f64;

/// Makes posts of rows, and counts what that took.
pub struct Values<'a> {
    pub tasks: &'a [Task],
    pub layout: &'a Layout,
    /// Of each column that is read.
    pub facts: &'a [Facts],
    pub problems: Problems,
    /// Rows whose id was made from their texts.
    pub made_ids: u64,
    /// A day from now.
    tomorrow: String,
    /// Of the row that is read.
    pub line: u32,
}

impl<'a> Values<'a> {
    /// For a table whose columns are known.
    pub fn new(name: &str, tasks: &'a [Task], layout: &'a Layout, facts: &'a [Facts]) -> Values<'a> {
        let tomorrow = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
        Values { tasks, layout, facts, problems: Problems::new(name), made_ids: 0, tomorrow, line: 0 }
    }

    /// The post of a row.
    pub fn post(&mut self, line: u64, mut cells: Vec<Cell>) -> Read {
        self.line = u32::try_from(line).unwrap_or(u32::MAX);
        self.problems.records += 1;
        let at = |detail: &str| format!("line {line}: {detail}");
        let mut post = Post { line: Some(line), ..Post::default() };
        let (mut id, mut code, mut link) = (None, None, None);
        let (layout, facts) = (self.layout, self.facts);
        if let Some(beyond) = cells.iter().skip(layout.names.len()).find(|cell| **cell != Cell::Empty) {
            self.note(Kind::LeftOut, "cell beside the table", "", &beyond.shown(), "give its column a name");
        }
        for (taken, facts) in layout.taken.iter().zip(facts) {
            let name = &layout.names[taken.column];
            let cell = cells.get_mut(taken.column).map(std::mem::take).unwrap_or_default();
            let Some(cell) = self.known(&taken.field, name, cell) else { continue };
            match &taken.field {
                Field::Id => id = self.id(name, cell, facts).map_err(|skip| placed(skip, line))?,
                Field::Shortcode => code = self.id(name, cell, facts).map_err(|skip| placed(skip, line))?,
                Field::Link => link = Some(cell.shown().trim().to_owned()),
                Field::Account => account(&cell.shown(), &mut post.owner),
                Field::AccountId => post.owner.id = Some(cell.shown().trim().to_owned()),
                Field::Name => post.owner.name = Some(cell.shown().trim().to_owned()),
                Field::With => post.with.extend(accounts(cell)),
                Field::PostedAt => post.posted_at = self.moment(name, cell, facts),
                Field::CollectedAt => post.collected_at = self.moment(name, cell, facts),
                Field::Duration => post.duration_s = self.duration(name, cell, facts),
                Field::Count(counted) => {
                    if let Some(count) = self.count(name, cell) {
                        post.counts.insert(*counted, count);
                    }
                }
                Field::Caption => post.caption = Some(cell.shown()),
                Field::Hashtags => post.hashtags.get_or_insert_default().extend(hashtags(cell)),
                Field::Transcript => post.transcript = Some(cell.shown()),
                Field::Language => post.language = self.language(name, &cell.shown()),
                Field::References => self.references(name, &cell.shown(), &mut post),
                Field::Reference(task) => self.reference(name, task, cell, &mut post),
                Field::Error if truth(&cell) == Value::Bool(false) => {}
                Field::Error => return Err(Skip::new("an error of the collector", at(&cell.shown()))),
                Field::Flag(flag) => drop(post.flags.insert(flag.clone(), truth(&cell))),
            }
        }
        let linked = link.as_deref().and_then(linked);
        if let (Some(code), Some(linked)) = (&code, &linked)
            && code != linked
        {
            return Err(Skip::new("link and shortcode name two posts", at(&format!("{linked} and {code}"))));
        }
        let texts = [&post.transcript, &post.caption].map(|text| text.as_deref().unwrap_or_default());
        let made = || {
            let is_blank = texts.iter().all(|text| text.is_empty());
            (!is_blank).then(|| format!("row_{}", &sha256(texts.join("\0").as_bytes())[..16]))
        };
        let own = code.or(linked).or(id).or(link);
        let is_made = own.is_none();
        let Some(id) = own.or_else(made) else {
            return Err(Skip::new("neither id nor text", at("nothing tells what it is about")));
        };
        self.made_ids += u64::from(is_made);
        Ok(Post { id, ..post })
    }

    /// Counts one more thing found.
    pub fn note(&mut self, kind: Kind, what: &'static str, field: &str, value: &str, meant: &str) {
        let meant = Some(meant.to_owned()).filter(|meant| !meant.is_empty());
        self.problems.add(kind, self.line, Note::new(what, field, value).meant(meant));
    }

    /// A cell that says something.
    fn known(&mut self, field: &Field, name: &str, cell: Cell) -> Option<Cell> {
        let says_nothing = match &cell {
            Cell::Empty => return None,
            Cell::Text(text) => {
                let text = text.trim().trim_start_matches('-');
                is_unknown(text) || text.eq_ignore_ascii_case("infinity") || text.eq_ignore_ascii_case("inf")
            }
            Cell::Number(number) => !number.is_finite(),
            _ => false,
        };
        // A task may have a label such as "none".
        let is_label = |task: &&Task| {
            matches!(field, Field::Reference(name) if task.name == *name) && task.label_said(&cell.shown()).is_some()
        };
        if says_nothing && !self.tasks.iter().any(|task| is_label(&task)) {
            self.note(Kind::Mended, "says that it is unknown", name, &cell.shown(), "unknown");
            return None;
        }
        Some(cell)
    }

    /// Counts one more value that says nothing.
    pub fn left_out<T>(&mut self, what: &'static str, name: &str, cell: &Cell, expected: &str) -> Option<T> {
        self.note(Kind::LeftOut, what, name, &cell.shown(), expected);
        None
    }

    fn id(&mut self, name: &str, cell: Cell, facts: &Facts) -> Result<Option<String>, Skip> {
        let rounded = |text: &str| Skip::new("an id that a spreadsheet rounded", text);
        let written = cell.shown();
        let text = match cell {
            Cell::Number(number) if number.fract() == 0.0 && number.abs() < EXACT => format!("{number:.0}"),
            Cell::Number(_) => return Err(rounded(&written)),
            _ => bare(&written).to_owned(),
        };
        if let Some(code) = linked(&text) {
            return Ok(Some(code));
        }
        // 1.23457E+18
        let is_exponent = |part: &str| part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_digits = |part: &str| part.chars().all(|char| char.is_ascii_digit() || ".,".contains(char));
        let power = text.split_once("E+").or_else(|| text.split_once("e+"));
        if power.is_some_and(|(digits, power)| is_digits(digits) && is_exponent(power))
            || is_media_number(&text) && text.ends_with("000") && facts.is_rounded()
        {
            return Err(rounded(&written));
        }
        if let Some(code) = shortcode(&text).filter(|_| is_media_number(&text) && facts.is_media()) {
            self.note(Kind::Mended, "Instagram's number of the post", name, &written, &code);
            return Ok(Some(code));
        }
        // 17.0: pandas' way with a column that has gaps.
        let whole = text.strip_suffix(".0").filter(|whole| whole.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(whole) = whole.filter(|whole| !whole.is_empty()) {
            self.note(Kind::Mended, "whole number with a decimal point", name, &written, whole);
            return Ok(Some(whole.to_owned()));
        }
        Ok(Some(text.trim_matches('/').to_owned()).filter(|text| !text.is_empty()))
    }

    fn moment(&mut self, name: &str, cell: Cell, facts: &Facts) -> Option<String> {
        const EXPECTED: &str = "a date, e.g. 2025-03-12, 2025-03-12T10:11:12Z or 12/03/2025";
        let moment = match &cell {
            Cell::Moment(text) => Some(text.clone()),
            Cell::Whole(number) => date::from_number(*number as f64),
            Cell::Number(number) => date::from_number(*number),
            Cell::Text(text) => date::read(text, facts.is_month_first()).map(|moment| {
                if moment.ambiguous && facts.is_undecided() {
                    self.note(Kind::Odd, "day and month could be the other way round", name, text, &moment.text[..10]);
                } else if !text.starts_with(&moment.text[..10]) {
                    self.note(Kind::Mended, "date in another form", name, text, &moment.text);
                }
                if moment.unzoned {
                    self.note(Kind::Odd, "time without a zone, read as UTC", name, text, &moment.text);
                }
                moment.text
            }),
            _ => None,
        };
        let Some(moment) = moment else { return self.left_out("no date", name, &cell, EXPECTED) };
        if moment > self.tomorrow {
            self.note(Kind::Odd, "date in the future", name, &moment, "");
        }
        Some(moment)
    }

    fn duration(&mut self, name: &str, cell: Cell, facts: &Facts) -> Option<f64> {
        let written = match &cell {
            Cell::Length(length) if facts.is_typed_as_minutes() => {
                let meant = format!("{} s", length / 60.0);
                self.note(
                    Kind::Mended,
                    "hours and minutes for minutes and seconds",
                    name,
                    &format!("{length} s"),
                    &meant,
                );
                Some(Written::Known(length / 60.0))
            }
            Cell::Length(number) | Cell::Number(number) => Some(Written::Known(*number)),
            Cell::Whole(number) => Some(Written::Known(*number as f64)),
            Cell::Text(text) => {
                let read = seconds(text);
                if let Some(Written::Known(seconds)) = read
                    && text.trim().parse::<f64>().is_err()
                {
                    self.note(Kind::Mended, "length as a text", name, text, &format!("{seconds} s"));
                }
                read
            }
            _ => None,
        };
        match written {
            Some(Written::Known(seconds)) if seconds >= 0.0 && seconds.is_finite() => Some(seconds),
            Some(_) => {
                self.note(Kind::Mended, "says that it is unknown", name, &cell.shown(), "unknown");
                None
            }
            None => self.left_out("no length", name, &cell, "seconds, e.g. 41.2 or 0:41"),
        }
    }

    fn count(&mut self, name: &str, cell: Cell) -> Option<i64> {
        const EXPECTED: &str = "a count, e.g. 1200, 1.2K or 1,2 rb";
        match &cell {
            Cell::Whole(count) => Some(*count),
            Cell::Number(number) if number.fract() == 0.0 && number.abs() < EXACT => Some(*number as i64),
            Cell::Text(text) => {
                // What -1 stands for is decided elsewhere.
                if let Ok(count) = text.trim().parse() {
                    return Some(count);
                }
                let power = || text.trim().parse::<f64>().ok().filter(|_| text.contains(['e', 'E']));
                let power = || power().filter(|number| number.fract() == 0.0 && number.abs() < EXACT);
                let read = match count(text) {
                    Some(Written::Known(count)) => i64::try_from(count).ok(),
                    Some(Written::Unknown) => Some(-1),
                    None => power().map(|number| number as i64),
                };
                let Some(count) = read else { return self.left_out("no count", name, &cell, EXPECTED) };
                let is_grouped = text.trim().bytes().all(|byte| byte.is_ascii_digit() || b".,".contains(&byte));
                let what = if is_grouped { "count with a separator" } else { "count as people write it" };
                self.note(Kind::Mended, what, name, text, &count.to_string());
                Some(count)
            }
            _ => self.left_out("no count", name, &cell, EXPECTED),
        }
    }

    fn language(&mut self, name: &str, text: &str) -> Option<String> {
        let key = folded(text);
        let code = match key.as_str() {
            "indonesia" | "bahasaindonesia" | "indonesian" | "ind" | "idid" => "id",
            "inggris" | "bahasainggris" | "english" | "eng" | "enus" | "engb" => "en",
            "jawa" | "bahasajawa" | "javanese" | "jav" => "jv",
            "sunda" | "bahasasunda" | "sundanese" | "sun" => "su",
            "melayu" | "bahasamelayu" | "malay" | "msa" | "may" => "ms",
            code if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase()) => code,
            _ => return self.left_out("no language", name, &Cell::Text(text.to_owned()), "its two letters, e.g. id"),
        };
        if code != text {
            self.note(Kind::Mended, "language by its name", name, text, code);
        }
        Some(code.to_owned())
    }
}

fn placed(skip: Skip, line: u64) -> Skip {
    Skip { detail: format!("line {line}: {}", skip.detail), ..skip }
}

/// Without what makes a spreadsheet keep a number as text: ="123", '123.
pub fn bare(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.strip_prefix('\'').unwrap_or(text)
}

/// A handle, a link to a profile, or the platform's number.
fn account(text: &str, account: &mut Account) {
    let text = text.trim();
    if text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        account.id = Some(text.to_owned());
        return;
    }
    let path = text.split_once("instagram.com/").map_or(text, |(_, path)| path);
    let handle = path.split(['/', '?']).next().unwrap_or_default().trim_start_matches('@').to_lowercase();
    account.handle = Some(handle).filter(|handle| !handle.is_empty());
}

fn accounts(cell: Cell) -> Vec<Account> {
    let text = cell.shown();
    let handles = text.split([',', ';', ' ', '\n']).filter(|handle| !handle.is_empty());
    let of = |handle: &str| {
        let mut of = Account::default();
        account(handle, &mut of);
        of
    };
    handles.map(of).collect()
}

fn hashtags(cell: Cell) -> Vec<String> {
    let text = cell.shown();
    let is_between = |char: char| char.is_whitespace() || ",;|#＃[]'\"".contains(char);
    text.split(is_between).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn truth(cell: &Cell) -> Value {
    let text = cell.shown().trim().to_lowercase();
    match text.as_str() {
        text if YES.contains(&text) => Value::Bool(true),
        text if NO.contains(&text) => Value::Bool(false),
        _ => Value::String(cell.shown()),
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
