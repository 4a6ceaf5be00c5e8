//! Several posts about one Reel → one: the newest counts, every text that is known, and what contradicts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::gather::{Gathered, Placed, account_hash};
use super::post::{Counted, Post};
use super::source::zero_is_unknown;

/// From so many posts of an account on, likes of 3 on most of them are what is written where they are hidden.
const THREES: u32 = 4;

/// A Reel with all that files say of it.
#[derive(Debug, Default)]
pub struct Merged {
    /// With the counts that are known alone.
    pub post: Post,
    /// Why counts aren't known: `absent` or what stands for them.
    pub unknown: BTreeMap<Counted, String>,
    /// Of each file its kind, version, hash and time.
    pub files: Vec<Value>,
    /// Counts with their times, where there are several.
    pub counts: Vec<Value>,
    /// What contradicts: field, and both places.
    pub contradictions: Vec<(&'static str, [String; 2])>,
}

/// Merges what stands about one Reel, in the order of the files.
pub fn merge(mut placed: Vec<Placed>, gathered: &Gathered) -> Merged {
    // Stable: what has no time stays in front, in the order of the files.
    placed.sort_by(|a, b| a.post.collected_at.cmp(&b.post.collected_at));
    let place = |one: &Placed| {
        let path = gathered.files[one.file as usize].path.display();
        one.line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"))
    };
    let mut merged = Merged::default();
    let mut from: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut known: BTreeMap<Counted, i64> = BTreeMap::new();
    for one in &placed {
        let counts = judged(one, gathered);
        let mut told = Map::new();
        for (counted, count) in counts {
            match count {
                Ok(count) => {
                    known.insert(counted, count);
                    told.insert(counted.name().to_owned(), json!(count));
                }
                Err(why) => {
                    merged.unknown.insert(counted, why);
                }
            }
        }
        let Post { collected_at, version, .. } = &one.post;
        if !told.is_empty() {
            told.insert("at".to_owned(), json!(collected_at));
            let told = Value::Object(told);
            if !merged.counts.contains(&told) {
                merged.counts.push(told);
            }
        }
        let sha256 = &gathered.files[one.file as usize].sha256;
        let file = json!({"kind": one.kind, "version": version, "sha256": sha256, "collected_at": collected_at});
        if !merged.files.contains(&file) {
            merged.files.push(file);
        }
        let here = place(one);
        let mut differ = |field: &'static str, old: Option<&String>, new: Option<&String>| {
            let (Some(old), Some(new)) = (old, new) else { return false };
            let tidy = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
            let differ = tidy(old) != tidy(new);
            if differ {
                let before = from.get(field).cloned().unwrap_or_default();
                merged.contradictions.push((field, [before, here.clone()]));
            }
            differ
        };
        let post = &mut merged.post;
        // A caption may be edited; what was said and what is right may not.
        differ("transcript", post.transcript.as_ref(), one.post.transcript.as_ref());
        for (task, gold) in &one.post.reference {
            if differ("reference", post.reference.get(task), Some(gold)) {
                continue;
            }
            post.reference.entry(task.clone()).or_insert_with(|| gold.clone());
        }
        for (field, there) in
            [("transcript", one.post.transcript.is_some()), ("reference", !one.post.reference.is_empty())]
        {
            if there {
                from.entry(field).or_insert_with(|| place(one));
            }
        }
        take(post, &one.post);
    }
    merged.post.counts = known;
    for counted in Counted::ALL {
        if merged.post.counts.contains_key(&counted) {
            merged.unknown.remove(&counted);
        } else {
            merged.unknown.entry(counted).or_insert_with(|| "absent".to_owned());
        }
    }
    if merged.counts.len() < 2 {
        merged.counts.clear();
    }
    merged
}

/// Adds what a newer post knows; the first transcript stays.
fn take(post: &mut Post, newer: &Post) {
    let newer = newer.clone();
    post.id = newer.id;
    post.owner.id = newer.owner.id.or(post.owner.id.take());
    post.owner.handle = newer.owner.handle.or(post.owner.handle.take());
    post.owner.name = newer.owner.name.or(post.owner.name.take());
    for account in newer.with {
        if !post.with.contains(&account) {
            post.with.push(account);
        }
    }
    post.handles.extend(newer.handles);
    post.posted_at = newer.posted_at.or(post.posted_at.take());
    post.duration_s = newer.duration_s.or(post.duration_s);
    post.caption = newer.caption.or(post.caption.take());
    post.hashtags = newer.hashtags.or(post.hashtags.take());
    post.transcript = post.transcript.take().or(newer.transcript);
    post.language = newer.language.or(post.language.take());
    post.flags.extend(newer.flags);
    post.collected_at = newer.collected_at.or(post.collected_at.take());
    post.version = newer.version.or(post.version.take());
}

/// What counts are, or why a number that is written is none.
///
/// Collectors and the platform write −1, 0 and 3 where a count is hidden or wasn't asked for. Less than 0 never is a count. 0 is
/// none where the source writes it for what it doesn't know. 3 likes are none where most posts of the account have 3, and at
/// least [`THREES`] have likes.
fn judged(one: &Placed, gathered: &Gathered) -> BTreeMap<Counted, Result<i64, String>> {
    let Post { owner, counts, hidden, .. } = &one.post;
    let likes = gathered.likes.get(&account_hash(owner)).copied().unwrap_or_default();
    let threes = likes.posts >= THREES && 2 * likes.threes > likes.posts;
    let judge = |counted: Counted, count: i64| match count {
        ..0 => Err(format!("placeholder {count}")),
        0 if zero_is_unknown(&one.kind, counted) => Err("placeholder 0".to_owned()),
        3 if counted == Counted::Likes && threes => Err("placeholder 3".to_owned()),
        _ => Ok(count),
    };
    let mut judged: BTreeMap<_, _> =
        counts.iter().map(|(counted, count)| (*counted, judge(*counted, *count))).collect();
    judged.extend(hidden.iter().map(|(counted, why)| (*counted, Err(why.clone()))));
    judged
}
