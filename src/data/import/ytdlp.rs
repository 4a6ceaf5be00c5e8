//! yt-dlp's `.info.json` and what `-J` prints, of one video or of a playlist of them.

use serde_json::Value;

use super::node::ZERO_IS_UNKNOWN;
use super::post::{Account, Counted, Post, Read, Skip, linked};
use super::source::Source;
use super::value::{account, at, list, moment, number, text, whole};

pub const SOURCE: Source = Source {
    name: "yt-dlp",
    marks: &[&["extractor_key", "id"], &["extractor", "id", "webpage_url"]],
    zero_is_unknown: ZERO_IS_UNKNOWN,
    read,
};

fn read(value: &Value) -> Vec<Read> {
    let extractor = text(value, &["extractor_key", "extractor"]).unwrap_or_default().to_lowercase();
    if !extractor.starts_with("instagram") {
        return vec![Err(Skip::new("of another platform", extractor))];
    }
    if text(value, &["_type"]).as_deref() == Some("playlist") && value.get("entries").is_some() {
        return list(value, "entries").filter(|entry| !entry.is_null()).map(|entry| post(entry, value)).collect();
    }
    vec![post(value, value)]
}

/// A video; `file` is itself or the playlist it stands in.
fn post(value: &Value, file: &Value) -> Read {
    let own = text(value, &["id"]);
    // The videos of a carousel have ids of their own, and caption, counts and link of the post.
    let linked = text(value, &["webpage_url", "original_url"]).and_then(|link| linked(&link));
    let id = linked.clone().or_else(|| own.clone()).ok_or_else(|| Skip::new("no id", ""))?;
    let extractor = text(value, &["extractor_key"]).or_else(|| text(file, &["extractor_key"])).unwrap_or_default();
    if extractor == "InstagramStory" {
        return Err(Skip::new("a story", id));
    }
    // With --flat-playlist an entry has what the list says of it, else nothing but its address.
    let kind = text(value, &["_type"]).unwrap_or_default();
    if kind == "playlist" || (kind.starts_with("url") && moment(value, &["timestamp"]).is_none()) {
        return Err(Skip::new("a list without what is in it", id));
    }
    let has_length = number(value, &["duration"]).is_some_and(|seconds| seconds > 0.0);
    if list_is_empty(value, "formats") && at(value, "url").is_none() && !has_length {
        return Err(Skip::new("an image", id));
    }
    let counts = [
        (Counted::Likes, whole(value, &["like_count"])),
        (Counted::Views, whole(value, &["view_count"])),
        (Counted::Comments, whole(value, &["comment_count"])),
    ];
    let is_part = linked.is_some() && own != linked;
    Ok(Post {
        id,
        owner: owner(value, file),
        posted_at: moment(value, &["timestamp"]),
        duration_s: number(value, &["duration"]).filter(|seconds| *seconds > 0.0 && !is_part),
        counts: counts.into_iter().filter_map(|(counted, count)| Some((counted, count?))).collect(),
        caption: text(value, &["description"]).or_else(|| text(file, &["description"])),
        collected_at: moment(value, &["epoch"]).or_else(|| moment(file, &["epoch"])),
        version: text(value, &["_version.version"]).or_else(|| text(file, &["_version.version"])),
        ..Post::default()
    })
}

/// The handle is the channel and the number the uploader's id; until 2022 that was the handle, and there was no channel.
/// A list of an account's videos has its handle for an id.
fn owner(value: &Value, file: &Value) -> Account {
    let owner = account(value, &["uploader_id", "channel_id"], &["channel"], &["uploader"]);
    let is_number = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit());
    match owner {
        Account { id: Some(id), handle: None, name } if !is_number(&id) => {
            Account { name, ..account(value, &[], &["uploader_id", "channel_id"], &[]) }
        }
        Account { id: None, handle: None, name }
            if text(file, &["extractor_key"]).as_deref() == Some("InstagramUser") =>
        {
            Account { name, ..account(file, &[], &["id"], &[]) }
        }
        owner => owner,
    }
}

fn list_is_empty(value: &Value, path: &str) -> bool {
    at(value, path).and_then(Value::as_array).is_some_and(Vec::is_empty)
}
