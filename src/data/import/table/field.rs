//! What a column may hold, and the names that people and tools give it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail, ensure};

use crate::ask::records::{folded, synonym};
use crate::data::import::post::Counted;
use crate::error::{Hint, did_you_mean};
use crate::task::Task;

/// What a column may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Why a collector has nothing.
    Error,
}

/// Fields by the names that `--map` takes, beside `reference.TASK` and `flags.NAME`.
pub const FIELDS: [(&str, Field); 20] = [
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
    ("error", Field::Error),
];

/// Names without case and separators, beside those that records' own fields are taken for.
const NAMES: [(&str, &str); 89] = [
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
    ("numlikes", "likes"),
    ("numcomments", "comments"),
    ("numviews", "views"),
    ("body", "caption"),
    ("authorfullname", "name"),
    ("errordescription", "error"),
    ("errormessage", "error"),
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
const WEAK: [&str; 17] = [
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
    "body",
    "videourl",
    "errordescription",
    "errormessage",
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

    /// Whether several columns may hold it together.
    pub fn is_list(&self) -> bool {
        matches!(self, Field::With | Field::Hashtags)
    }

    /// The field that `--map` means.
    fn named(name: &str) -> Option<Field> {
        let inside = |before: &str| name.strip_prefix(before).filter(|rest| !rest.is_empty()).map(str::to_owned);
        let field = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| field.clone());
        field.or_else(|| inside("reference.").map(Field::Reference)).or_else(|| inside("flags.").map(Field::Flag))
    }

    /// The field that a column's name stands for, and whether it could stand for another.
    pub fn of_column(name: &str, tasks: &[Task]) -> Option<(Field, bool)> {
        // durasi (detik)
        let name = name.split(['(', '[']).next().filter(|name| !name.trim().is_empty()).unwrap_or(name);
        let exact = |name: &str| Field::of_name(name, tasks);
        // hashtags/0: an item of a list.
        let is_index = |item: &str| !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit());
        let item = name.rsplit_once(['/', '.']).filter(|(_, item)| is_index(item.trim())).map(|(list, _)| list);
        if let Some(list) = item {
            return exact(list).filter(Field::is_list).map(|field| (field, false));
        }
        // kategori_A, ringkasan 2: one of several people's.
        let words: Vec<&str> = name.split(['_', ' ', '-']).filter(|word| !word.is_empty()).collect();
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

impl fmt::Display for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "--map {}={}", self.field.name(), self.column)
    }
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
