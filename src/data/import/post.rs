//! A post as a collector's file tells it, before anything is made of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::privacy;

/// Who posted, as far as a file says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The platform's number.
    pub id: Option<String>,
    /// Without `@`, in lower case.
    pub handle: Option<String>,
    /// As people know it; only to take it out of texts.
    pub name: Option<String>,
}

/// What is counted of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counted {
    Likes,
    Views,
    Plays,
    Comments,
}

impl Counted {
    pub const ALL: [Counted; 4] = [Counted::Likes, Counted::Views, Counted::Plays, Counted::Comments];

    /// The record's field.
    pub fn name(self) -> &'static str {
        match self {
            Counted::Likes => "likes",
            Counted::Views => "views",
            Counted::Plays => "plays",
            Counted::Comments => "comments",
        }
    }
}

/// Counts as they are written, placeholders included: what they mean is decided where all posts are known.
pub type Counts = BTreeMap<Counted, i64>;

/// One Reel in one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// The platform's name for it, or that of a table's row.
    pub id: String,
    pub owner: Account,
    /// Who posted it too.
    pub with: Vec<Account>,
    /// Handles that stand in it otherwise: mentioned, tagged, sponsors.
    pub handles: Vec<String>,
    /// Where it stands in a table, counted from 1.
    pub line: Option<u64>,
    /// ISO 8601, UTC.
    pub posted_at: Option<String>,
    pub duration_s: Option<f64>,
    pub counts: Counts,
    /// Counts that aren't known though a number is written, with the reason.
    pub hidden: BTreeMap<Counted, String>,
    pub caption: Option<String>,
    /// Without `#`; `None` where they are to be read from the caption.
    pub hashtags: Option<Vec<String>>,
    pub transcript: Option<String>,
    /// ISO 639-1.
    pub language: Option<String>,
    /// Gold answers by task name.
    pub reference: BTreeMap<String, String>,
    /// What the platform says of paid partnerships and the like.
    pub flags: BTreeMap<String, Value>,
    /// When it was collected: ISO 8601, UTC.
    pub collected_at: Option<String>,
    /// The collector's version, or which of its ways of writing.
    pub version: Option<String>,
}

/// Why something in a file is no Reel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Counted by this.
    pub reason: &'static str,
    /// What stands there, for one who looks.
    pub detail: String,
}

impl Skip {
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Skip {
        Skip { reason, detail: detail.into() }
    }
}

/// What is made of one thing in a file.
pub type Read = Result<Post, Skip>;

/// A post's name in links from its number, which may have the account's behind `_`; `None` for what is no number.
pub fn shortcode(number: &str) -> Option<String> {
    let number: u64 = number.split('_').next()?.parse().ok().filter(|number| *number > 0)?;
    Some(privacy::shortcode(number))
}

/// The number of a post from its name in links; `None` for what is no such name.
pub fn number(shortcode: &str) -> Option<String> {
    let add = |number: u64, letter: u8| {
        let digit = privacy::SHORTCODE_LETTERS.iter().position(|other| *other == letter)?;
        number.checked_mul(64)?.checked_add(digit as u64)
    };
    shortcode.bytes().try_fold(0, add).map(|number| number.to_string())
}

/// A post's name in a link to it.
pub fn linked(link: &str) -> Option<String> {
    let (_, path) = link.split_once("instagram.com/")?;
    let mut parts = path.split(['/', '?', '#']);
    parts.find(|part| matches!(*part, "p" | "reel" | "reels" | "tv"))?;
    parts.next().filter(|code| !code.is_empty()).map(str::to_owned)
}
