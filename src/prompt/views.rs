//! What a template may see.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Value, json};

use crate::reel::Reel;

/// The fields of [`TaskView`].
pub(super) const TASK: [&str; 3] = ["name", "labels", "descriptions"];
/// The fields of [`ReelView`].
pub(super) const REEL: [&str; 13] = [
    "id",
    "account",
    "posted_at",
    "duration_s",
    "likes",
    "views",
    "plays",
    "comments",
    "caption",
    "hashtags",
    "transcript",
    "language",
    "flags",
];

/// What a template may see of a task.
#[derive(Serialize)]
pub(super) struct TaskView<'a> {
    pub name: &'a str,
    pub labels: &'a [String],
    pub descriptions: &'a BTreeMap<String, String>,
}

static NO_FLAGS: LazyLock<Value> = LazyLock::new(|| json!({}));

/// What a template may see of a Reel: never the gold answer, nor where the record came from.
#[derive(Serialize)]
pub(super) struct ReelView<'a> {
    id: &'a str,
    account: Option<&'a str>,
    posted_at: Option<&'a str>,
    duration_s: Option<f64>,
    likes: Option<u64>,
    views: Option<u64>,
    plays: Option<u64>,
    comments: Option<u64>,
    caption: Option<&'a str>,
    hashtags: &'a [String],
    transcript: Option<&'a str>,
    language: Option<&'a str>,
    /// What the platform says of paid partnerships: a label that leaks, so no template of ours asks for it.
    flags: &'a Value,
}

impl<'a> From<&'a Reel> for ReelView<'a> {
    fn from(reel: &'a Reel) -> Self {
        ReelView {
            id: &reel.id,
            account: reel.account.as_deref(),
            posted_at: reel.posted_at.as_deref(),
            duration_s: reel.duration_s,
            likes: reel.likes,
            views: reel.views,
            plays: reel.plays,
            comments: reel.comments,
            caption: reel.caption.as_deref(),
            hashtags: &reel.hashtags,
            transcript: reel.transcript.as_deref(),
            language: reel.language.as_deref(),
            flags: reel.source.as_ref().and_then(|source| source.get("flags")).unwrap_or(&NO_FLAGS),
        }
    }
}
