//! Which column is which field: by the names people and tools write, by `--map`, or by what stands in it.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail, ensure};

use super::cell::{Cell, Row};
use super::date;
use crate::ask::records::{folded, is_unknown, nearest, synonym};
use crate::data::import::post::{Counted, linked};
use crate::error::{Hint, did_you_mean};
use crate::task::{Task, TaskKind};

/// Rows in which the header is looked for, below titles.
const TITLES: usize = 20;
/// A text of more letters is no name of a column.
const NAME: usize = 60;

/// What a column may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields of a post")]
pub enum Field {
    Id,
    Shortcode,
    Link,
    Account,
    AccountId,
    Name,
    With,
    PostedAt,
    CollectedAt,
    Duration,
    Count(Counted),
    Caption,
    Hashtags,
    Transcript,
    Language,
    /// Gold answers of all tasks, an object in JSON.
    References,
    /// The gold answer of a task.
    Reference(String),
    /// What the platform says of a paid partnership, by the column's name.
    Flag(String),
}

/// Fields by the names that `--map` takes, beside `reference.TASK` and `flags.NAME`.
const FIELDS: [(&str, Field); 19] = [
    ("id", Field::Id),
    ("shortcode", Field::Shortcode),
    ("link", Field::Link),
    ("account", Field::Account),
    ("account_id", Field::AccountId),
    ("name", Field::Name),
    ("with", Field::With),
    ("posted_at", Field::PostedAt),
    ("collected_at", Field::CollectedAt),
    ("duration_s", Field::Duration),
    ("likes", Field::Count(Counted::Likes)),
    ("views", Field::Count(Counted::Views)),
    ("plays", Field::Count(Counted::Plays)),
    ("comments", Field::Count(Counted::Comments)),
    ("caption", Field::Caption),
    ("hashtags", Field::Hashtags),
    ("transcript", Field::Transcript),
    ("language", Field::Language),
    ("reference", Field::References),
];

/// Names without case and separators, beside those that records' own fields are taken for.
const NAMES: [(&str, &str); 83] = [
    ("kode", "shortcode"),
    ("kodereel", "shortcode"),
    ("kodereels", "shortcode"),
    ("code", "shortcode"),
    ("postshortcode", "shortcode"),
    ("reelcode", "shortcode"),
    ("url", "link"),
    ("links", "link"),
    ("tautan", "link"),
    ("posturl", "link"),
    ("reelurl", "link"),
    ("videourl", "link"),
    ("permalink", "link"),
    ("webpageurl", "link"),
    ("inputurl", "link"),
    ("linkreel", "link"),
    ("linkreels", "link"),
    ("linkvideo", "link"),
    ("urlreel", "link"),
    ("idreel", "id"),
    ("idreels", "id"),
    ("idvideo", "id"),
    ("idpost", "id"),
    ("postid", "id"),
    ("mediaid", "id"),
    ("pk", "id"),
    ("namaakun", "account"),
    ("akuninstagram", "account"),
    ("handle", "account"),
    ("accountname", "account"),
    ("ownerid", "account_id"),
    ("userid", "account_id"),
    ("idakun", "account_id"),
    ("uploaderid", "account_id"),
    ("fullname", "name"),
    ("ownerfullname", "name"),
    ("nama", "name"),
    ("namalengkap", "name"),
    ("coauthors", "with"),
    ("kolaborator", "with"),
    ("collaborators", "with"),
    ("tanggalposting", "posted_at"),
    ("tanggalunggah", "posted_at"),
    ("tanggalupload", "posted_at"),
    ("waktuposting", "posted_at"),
    ("waktuunggah", "posted_at"),
    ("postdate", "posted_at"),
    ("datetime", "posted_at"),
    ("published", "posted_at"),
    ("publishedat", "posted_at"),
    ("takenat", "posted_at"),
    ("collectedat", "collected_at"),
    ("scrapedat", "collected_at"),
    ("tanggalambil", "collected_at"),
    ("durationsec", "duration_s"),
    ("durationseconds", "duration_s"),
    ("durasidetik", "duration_s"),
    ("like", "likes"),
    ("jumlahlike", "likes"),
    ("jumlahlikes", "likes"),
    ("likecounts", "likes"),
    ("totallikes", "likes"),
    ("disukai", "likes"),
    ("view", "views"),
    ("jumlahview", "views"),
    ("jumlahviews", "views"),
    ("dilihat", "views"),
    ("penayangan", "views"),
    ("play", "plays"),
    ("jumlahplay", "plays"),
    ("jumlahdiputar", "plays"),
    ("igplaycount", "plays"),
    ("comment", "comments"),
    ("komen", "comments"),
    ("jumlahkomen", "comments"),
    ("takarir", "caption"),
    ("captions", "caption"),
    ("hashtag", "hashtags"),
    ("transkripvideo", "transcript"),
    ("transkripaudio", "transcript"),
    ("transcripttext", "transcript"),
    ("ad", "reference.ad"),
    ("ads", "reference.ad"),
];

/// Names that are only taken where no column has a better one.
const WEAK: [&str; 13] = [
    "title",
    "judul",
    "description",
    "deskripsi",
    "desc",
    "text",
    "teks",
    "subtitle",
    "length",
    "user",
    "author",
    "creator",
    "name",
];
/// Names of what the platform says of paid partnerships.
const FLAGS: [&str; 5] = ["ispaidpartnership", "paidpartnership", "issponsored", "kemitraanberbayar", "issponsoredtag"];
/// Words beside a task's name in a column of gold answers.
const GOLD: [&str; 9] = ["reference", "references", "ref", "gold", "label", "labels", "answer", "manual", "human"];

impl Field {
    /// The name that `--map` takes, and errors and records have.
    pub fn name(&self) -> String {
        match self {
            Field::Reference(task) => format!("reference.{task}"),
            Field::Flag(name) => format!("flags.{name}"),
            field => FIELDS.iter().find(|(_, other)| other == field).map_or("", |(name, _)| name).to_owned(),
        }
    }

    fn named(name: &str) -> Option<Field> {
        let inside = |before: &str| name.strip_prefix(before).filter(|rest| !rest.is_empty()).map(str::to_owned);
        let field = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| field.clone());
        field.or_else(|| inside("reference.").map(Field::Reference)).or_else(|| inside("flags.").map(Field::Flag))
    }

    /// The field that a column's name stands for, and whether it could stand for another.
    fn of_column(name: &str, tasks: &[Task]) -> Option<(Field, bool)> {
        // durasi (detik)
        let name = name.split(['(', '[']).next().filter(|name| !name.trim().is_empty()).unwrap_or(name);
        let exact = |name: &str| Field::of_name(name, tasks);
        // kategori_A, ringkasan 2: one of several people's.
        let words: Vec<&str> = name.split(['_', ' ', '-', '.', '/']).filter(|word| !word.is_empty()).collect();
        let of_person = || {
            let (last, rest) = words.split_last()?;
            let is_person = last.len() == 1 || folded(last).starts_with("annotator") || folded(last) == "final";
            (is_person && !rest.is_empty()).then(|| exact(&rest.join("_"))).flatten()
        };
        let weak = WEAK.contains(&folded(name).as_str());
        exact(name).or_else(of_person).map(|field| (field, weak))
    }

    fn of_name(name: &str, tasks: &[Task]) -> Option<Field> {
        let key = folded(name);
        let task = |key: &str| {
            let means = |task: &&Task| folded(&task.name) == *key || synonym(key) == Some(&task.name);
            tasks.iter().find(means).map(|task| Field::Reference(task.name.clone()))
        };
        let words = || {
            let words = name.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
            let rest: Vec<&str> = words.clone().filter(|word| !GOLD.contains(&folded(word).as_str())).collect();
            (rest.len() < words.count()).then(|| task(&folded(&rest.concat()))).flatten()
        };
        let ours = || NAMES.iter().find(|(known, _)| *known == key).and_then(|(_, field)| Field::named(field));
        let is_asked = |field: &Field| match field {
            Field::Reference(asked) => tasks.iter().any(|task| task.name == *asked),
            _ => true,
        };
        let flag = || FLAGS.contains(&key.as_str()).then(|| Field::Flag(name.trim().to_owned()));
        let inside = || Field::named(name.trim()).filter(|field| matches!(field, Field::Reference(_) | Field::Flag(_)));
        let field = FIELDS.iter().find(|(known, _)| folded(known) == key).map(|(_, field)| field.clone());
        let field = field.or_else(|| ours().filter(is_asked)).or_else(|| task(&key)).or_else(words).or_else(inside);
        let theirs = || synonym(name).filter(|meant| *meant != "reference").and_then(Field::named);
        field.or_else(flag).or_else(theirs)
    }
}

/// What `--map FIELD=COLUMN` says: the column by its name or by its number, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    #[expect(missing_docs, reason = "the type says it")]
    pub field: Field,
    /// Its name or number, as it was written.
    pub column: String,
}

impl FromStr for Mapping {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Mapping> {
        const EXAMPLE: &str = "e.g. --map likes=Suka, --map reference.category=kategori_A, --map transcript=3";
        let Some((name, column)) = text.split_once('=') else {
            bail!(anyhow!("--map {text}: expected FIELD=COLUMN").hint(EXAMPLE));
        };
        let (name, column) = (name.trim(), column.trim());
        ensure!(!column.is_empty(), anyhow!("--map {text}: no column behind =").hint(EXAMPLE));
        let Some(field) = Field::named(name) else {
            let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
            let hint = format!("{}fields are {}, reference.TASK", did_you_mean(name, &known), known.join(", "));
            bail!(anyhow!("--map {text}: {name:?} is no field").hint(hint));
        };
        Ok(Mapping { field, column: column.to_owned() })
    }
}

/// Why a column is taken for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `--map` says so.
    Mapped,
    /// Its name says so.
    Named,
    /// What stands in it says so.
    Guessed,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    #[expect(missing_docs, reason = "the type says it")]
    pub field: Field,
    /// Index, from 0.
    pub column: usize,
    #[expect(missing_docs, reason = "the type says it")]
    pub how: How,
}

/// Where the columns of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Line of the header.
    pub header: Option<u64>,
    /// Names of the columns, `column 3` where one has none.
    pub names: Vec<String>,
    /// Columns that are read, in the table's order.
    pub taken: Vec<Taken>,
    /// Columns that aren't read, each with the field that may be meant.
    pub unread: Vec<(String, Option<String>)>,
}

/// What a header's names are.
pub struct Names<'a> {
    /// In messages.
    pub name: &'a str,
    pub mapping: &'a [Mapping],
    pub tasks: &'a [Task],
}

impl Names<'_> {
    /// How many fields a row of names has.
    pub fn known(&self, cells: &[Cell]) -> usize {
        let mut fields: Vec<Field> = vec![];
        for cell in cells {
            let Cell::Text(name) = cell else { continue };
            let mapped = self.mapping.iter().find(|mapping| mapping.column == name.trim());
            let field = mapped.map(|mapping| mapping.field.clone());
            let of_name = || Field::of_column(name, self.tasks).map(|(field, _)| field);
            fields.extend(field.or_else(of_name).filter(|_| name.chars().count() <= NAME));
        }
        fields.sort();
        fields.dedup();
        fields.len()
    }

    /// The index of the header among the first rows.
    pub fn header(&self, head: &[Row]) -> Option<usize> {
        let filled = |row: &Row| match &row.cells {
            Ok(cells) => cells.iter().filter(|cell| **cell != Cell::Empty).count(),
            Err(_) => 0,
        };
        let rows = || head.iter().take(TITLES).enumerate();
        let is_header = |(_, row): &(usize, &Row)| {
            let known = row.cells.as_ref().map_or(0, |cells| self.known(cells));
            known >= 2 || known == 1 && filled(row) <= 2
        };
        if let Some((index, _)) = rows().find(is_header) {
            return Some(index);
        }
        // Names that nobody knows, above what is no name.
        let widest = rows().map(|(_, row)| filled(row)).max().unwrap_or(0);
        let (index, first) = rows().find(|(_, row)| filled(row) > 0 && filled(row) * 2 > widest)?;
        let next = head.get(index + 1)?;
        (!is_data(first) && is_data(next)).then_some(index)
    }

    /// The layout under a header.
    ///
    /// # Errors
    /// Names the file, and the columns of which `--map` must choose, or none of which is known.
    pub fn layout(&self, header: &[String], line: Option<u64>) -> Result<Layout> {
        let last = header.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1);
        let name = |(index, name): (usize, &String)| match name.trim() {
            "" => format!("column {}", index + 1),
            name => name.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let names: Vec<String> = header[..last].iter().enumerate().map(name).collect();
        let mut layout = Layout { header: line, names, taken: self.mapped(&header[..last])?, unread: vec![] };
        let mut found: BTreeMap<Field, Vec<(usize, bool)>> = BTreeMap::new();
        let mut unread = vec![];
        for (column, name) in layout.names.iter().enumerate() {
            let is_mapped = layout.taken.iter().any(|taken| taken.column == column);
            match Field::of_column(name, self.tasks).filter(|_| !header[column].trim().is_empty()) {
                _ if is_mapped => {}
                Some((field, weak)) if layout.taken.iter().all(|taken| taken.field != field) => {
                    found.entry(field).or_default().push((column, weak));
                }
                _ => unread.push(column),
            }
        }
        for (field, columns) in found {
            let strong: Vec<usize> = columns.iter().filter(|(_, weak)| !weak).map(|(column, _)| *column).collect();
            let all: Vec<usize> = columns.iter().map(|(column, _)| *column).collect();
            let candidates = if strong.is_empty() { &all } else { &strong };
            let [column] = candidates[..] else {
                let names: Vec<&str> = candidates.iter().map(|column| layout.names[*column].as_str()).collect();
                let first = if header[..last].iter().filter(|name| name.trim() == names[0]).count() > 1 {
                    (candidates[0] + 1).to_string()
                } else {
                    names[0].to_owned()
                };
                bail!(
                    anyhow!("{}: {} could be the columns {}", self.name, field.name(), names.join(", "))
                        .hint(format!("say which: --map {}", quoted(&format!("{}={first}", field.name()))))
                );
            };
            unread.extend(all.into_iter().filter(|other| *other != column));
            layout.taken.push(Taken { field, column, how: How::Named });
        }
        unread.sort_unstable();
        let known: Vec<String> = self.fields().collect();
        layout.unread = unread
            .into_iter()
            .map(|column| {
                let name = layout.names[column].clone();
                let near = nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
                (name, near.filter(|near| layout.taken.iter().all(|taken| taken.field.name() != *near)))
            })
            .collect();
        self.check(layout)
    }

    /// The layout of rows without a header.
    ///
    /// # Errors
    /// As [`Names::layout`].
    pub fn guess(&self, head: &[Row]) -> Result<Layout> {
        let rows: Vec<&Vec<Cell>> = head.iter().filter_map(|row| row.cells.as_ref().ok()).collect();
        let mut often: BTreeMap<usize, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *often.entry(row.len()).or_default() += 1);
        let width = often.iter().max_by_key(|(_, often)| **often).map_or(0, |(width, _)| *width);
        let names: Vec<String> = (1..=width).map(|number| format!("column {number}")).collect();
        let mut layout =
            Layout { header: None, taken: self.mapped(&vec![String::new(); width])?, names, unread: vec![] };
        let mut texts = vec![];
        for column in 0..width {
            if layout.taken.iter().any(|taken| taken.column == column) {
                continue;
            }
            let cells: Vec<&Cell> =
                rows.iter().filter_map(|row| row.get(column)).filter(|cell| **cell != Cell::Empty).collect();
            let sort = self.sort(&cells);
            if let Sort::Text = sort {
                texts.push(column);
            }
            match sort {
                Sort::Field(field) if layout.taken.iter().all(|taken| taken.field != field) => {
                    layout.taken.push(Taken { field, column, how: How::Guessed });
                }
                Sort::Text => {}
                sort => layout.unread.push((format!("column {} ({})", column + 1, sort.what()), None)),
            }
        }
        let is_text = |taken: &Taken| matches!(taken.field, Field::Transcript | Field::Caption);
        match (layout.taken.iter().any(is_text), &texts[..]) {
            (_, []) => {}
            (true, _) => {
                layout.unread.extend(texts.iter().map(|column| (format!("column {} (texts)", column + 1), None)))
            }
            (false, [column]) => {
                layout.taken.push(Taken { field: Field::Transcript, column: *column, how: How::Guessed });
            }
            (false, [first, second, ..]) => {
                bail!(anyhow!("{}: there is no header, and the columns {} hold texts", self.name, list(&texts)).hint(
                    format!(
                        "say which is which, e.g. --map caption={} --map transcript={}, or write a header",
                        first + 1,
                        second + 1
                    )
                ))
            }
        }
        self.check(layout)
    }

    fn mapped(&self, header: &[String]) -> Result<Vec<Taken>> {
        let mut taken: Vec<Taken> = vec![];
        for Mapping { field, column } in self.mapping {
            let is = |name: &String| name.trim() == column.as_str();
            let alike = |name: &String| folded(name) == folded(column) && !folded(column).is_empty();
            let number = column.parse().ok().filter(|number: &usize| (1..=header.len()).contains(number));
            let index = header.iter().position(is).or_else(|| header.iter().position(alike));
            let Some(index) = index.or(number.map(|number| number - 1)) else {
                let names: Vec<&String> = header.iter().filter(|name| !name.trim().is_empty()).collect();
                let shown = match names[..] {
                    [] => format!("there is no header, and {} columns", header.len()),
                    _ => format!("there is {}", list_of(&names)),
                };
                bail!(
                    anyhow!("{}: --map {}={column}: no column {column:?}; {shown}", self.name, field.name())
                        .hint(format!("{}name a column, or give its number from 1", did_you_mean(column, names)))
                );
            };
            ensure!(
                taken.iter().all(|taken| taken.field != *field),
                anyhow!("--map {}=… stands twice", field.name()).hint("a field has one column; leave one out")
            );
            taken.push(Taken { field: field.clone(), column: index, how: How::Mapped });
        }
        Ok(taken)
    }

    /// Refuses what has nothing to read.
    fn check(&self, mut layout: Layout) -> Result<Layout> {
        layout.taken.sort_by_key(|taken| taken.column);
        let is_needed = |taken: &Taken| {
            matches!(taken.field, Field::Transcript | Field::Caption | Field::Id | Field::Shortcode | Field::Link)
        };
        ensure!(
            layout.taken.iter().any(is_needed),
            anyhow!(
                "{}: no column is known to hold a text or an id; there is {}",
                self.name,
                list_of(&layout.names.iter().collect::<Vec<_>>())
            )
            .hint("say which it is: --map transcript=COLUMN, by its name or its number from 1")
        );
        Ok(layout)
    }

    fn fields(&self) -> impl Iterator<Item = String> {
        let own = FIELDS.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "reference");
        own.chain(self.tasks.iter().map(|task| format!("reference.{}", task.name)))
    }

    /// What the cells of a column are.
    fn sort(&self, cells: &[&Cell]) -> Sort {
        let texts: Vec<String> = cells.iter().map(|cell| cell.shown()).filter(|text| !is_unknown(text)).collect();
        if texts.is_empty() {
            return Sort::Nothing;
        }
        let all = |is: &dyn Fn(&str) -> bool| texts.iter().all(|text| is(text.trim()));
        let is_label = |task: &&Task| {
            task.kind == TaskKind::Label && texts.len() >= 2 && all(&|text| task.label_said(text).is_some())
        };
        if all(&|text| linked(text).is_some()) {
            Sort::Field(Field::Link)
        } else if all(&is_media_number) {
            Sort::Field(Field::Id)
        } else if all(&is_shortcode) {
            Sort::Field(Field::Shortcode)
        } else if let Some(task) = self.tasks.iter().find(is_label) {
            Sort::Field(Field::Reference(task.name.clone()))
        } else if all(&is_number) {
            Sort::Numbers
        } else if all(&|text| date::read(text, false).is_some()) {
            Sort::Field(Field::PostedAt)
        } else if texts.iter().map(|text| text.chars().count()).sum::<usize>() > 30 * texts.len() {
            Sort::Text
        } else {
            Sort::Words
        }
    }
}

/// What stands in a column without a name.
enum Sort {
    Field(Field),
    Numbers,
    /// Texts of a sentence or more.
    Text,
    Words,
    Nothing,
}

impl Sort {
    fn what(&self) -> &'static str {
        match self {
            Sort::Field(_) => "as another one",
            Sort::Numbers => "numbers",
            Sort::Text => "texts",
            Sort::Words => "words",
            Sort::Nothing => "empty",
        }
    }
}

/// Whether a row holds what no header does.
fn is_data(row: &Row) -> bool {
    let is = |cell: &Cell| match cell {
        Cell::Empty => false,
        Cell::Text(text) => {
            let text = text.trim();
            text.chars().count() > NAME
                || text.contains("://")
                || is_number(text)
                || is_shortcode(text) && text.bytes().any(|byte| byte.is_ascii_digit())
                || date::read(text, false).is_some()
        }
        _ => true,
    };
    row.cells.as_ref().is_ok_and(|cells| cells.iter().any(is))
}

fn is_number(text: &str) -> bool {
    let rest: &str = text.trim_start_matches(['-', '+']);
    rest.starts_with(|char: char| char.is_ascii_digit())
        && rest.len() <= 20
        && rest.chars().all(|char| char.is_ascii_digit() || ".,:".contains(char))
}

/// Instagram's number of a post, which may have that of its account behind `_`.
pub fn is_media_number(text: &str) -> bool {
    let number = text.split('_').next().unwrap_or_default();
    matches!(number.len(), 18 | 19) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text has the form of a post's name in links.
fn is_shortcode(text: &str) -> bool {
    text.len() == 11
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|char| char.is_alphanumeric() || "._=-".contains(char));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn list(columns: &[usize]) -> String {
    columns.iter().map(|column| (column + 1).to_string()).collect::<Vec<_>>().join(", ")
}

/// Names, as many as one reads.
fn list_of(names: &[&String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<&str> = names.iter().take(MOST).map(|name| name.trim()).collect();
    shown.extend((names.len() > MOST).then_some("…"));
    shown.join(", ")
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
