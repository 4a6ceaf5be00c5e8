//! A merged post as a record.

use indexmap::IndexSet;
use serde_json::{Map, Value, json};

use super::gather::Gathered;
use super::merge::Merged;
use super::naming::Naming;
use super::post::{Account, Post};
use crate::reel::Reel;

/// Makes a record of what is known.
pub fn record(merged: Merged, gathered: &Gathered, naming: &Naming) -> Reel {
    let Merged { post, unknown, files, counts, .. } = merged;
    let known = |counted| post.counts.get(&counted).and_then(|count| u64::try_from(*count).ok());
    let named = |account: &Account| Some(naming.account(&name_of(account, gathered)?));
    let with: Vec<String> = post.with.iter().filter_map(named).collect::<IndexSet<_>>().into_iter().collect();
    let mut source = Map::new();
    source.insert("kind".to_owned(), files.last().map_or(Value::Null, |file| file["kind"].clone()));
    source.insert("files".to_owned(), json!(files));
    let unknown: Map<String, Value> =
        unknown.into_iter().map(|(counted, why)| (counted.name().to_owned(), why.into())).collect();
    for (name, value) in
        [("unknown", json!(unknown)), ("counts", json!(counts)), ("with", json!(with)), ("flags", json!(post.flags))]
    {
        let is_empty = value.as_array().map_or_else(|| value.as_object().is_some_and(Map::is_empty), Vec::is_empty);
        if !is_empty {
            source.insert(name.to_owned(), value);
        }
    }
    use super::post::Counted::{Comments, Likes, Plays, Views};
    Reel {
        likes: known(Likes),
        views: known(Views),
        plays: known(Plays),
        comments: known(Comments),
        account: named(&post.owner),
        hashtags: hashtags(&post),
        id: naming.reel(&post.id),
        posted_at: post.posted_at,
        duration_s: post.duration_s,
        caption: post.caption,
        transcript: post.transcript,
        language: post.language,
        reference: post.reference,
        source: Some(Value::Object(source)),
        ..Reel::default()
    }
}

/// Handles under which a Reel was posted.
pub fn own(post: &Post, gathered: &Gathered) -> Vec<String> {
    std::iter::once(&post.owner).chain(&post.with).filter_map(|account| name_of(account, gathered)).collect()
}

/// An account by its handle, which other files may tell where this one has its number alone.
fn name_of(account: &Account, gathered: &Gathered) -> Option<String> {
    let elsewhere = || account.id.as_ref().and_then(|id| gathered.handle_of.get(id).cloned());
    account.handle.clone().or_else(elsewhere).or_else(|| account.id.clone())
}

/// As the collector gives them, else those of the caption.
fn hashtags(post: &Post) -> Vec<String> {
    let caption = post.caption.as_deref().unwrap_or_default();
    let written = || {
        caption.split(['#', '＃']).skip(1).map(|rest| {
            let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len());
            rest[..end].to_owned()
        })
    };
    let mut tags: Vec<String> = match &post.hashtags {
        Some(tags) => tags.iter().map(|tag| tag.trim_start_matches('#').to_owned()).collect(),
        None => written().collect(),
    };
    tags.retain(|tag| !tag.is_empty());
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.to_lowercase()));
    tags
}
