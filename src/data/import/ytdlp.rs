//! yt-dlp's `.info.json`, of one video or of a playlist of them.

use serde_json::Value;

use super::post::{Counted, Post, Read, Skip, linked};
use super::source::Source;
use super::value::{account, list, moment, number, text, whole};

pub const SOURCE: Source = Source {
    name: "yt-dlp",
    marks: &[&["extractor_key", "id"], &["extractor", "id", "webpage_url"]],
    // Of real videos two thirds have 0 views: Instagram stopped to count them.
    zero_is_unknown: &[Counted::Views, Counted::Plays, Counted::Likes],
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

fn post(value: &Value, file: &Value) -> Read {
    // The videos of a carousel have ids of their own, and caption, counts and link of the post.
    let linked = text(value, &["webpage_url", "original_url"]).and_then(|link| linked(&link));
    let id = linked.or_else(|| text(value, &["id"])).ok_or_else(|| Skip::new("no id", ""))?;
    if text(value, &["_type"]).is_some_and(|kind| kind == "playlist" || kind.starts_with("url")) {
        return Err(Skip::new("a list without what is in it", id));
    }
    // A handle once, now a name: the handle is the channel.
    let counts = [
        (Counted::Likes, whole(value, &["like_count"])),
        (Counted::Views, whole(value, &["view_count"])),
        (Counted::Comments, whole(value, &["comment_count"])),
    ];
    Ok(Post {
        id,
        owner: account(value, &["uploader_id", "channel_id"], &["channel"], &["uploader"]),
        posted_at: moment(value, &["timestamp"]),
        duration_s: number(value, &["duration"]),
        counts: counts.into_iter().filter_map(|(counted, count)| Some((counted, count?))).collect(),
        caption: text(value, &["description"]),
        collected_at: moment(value, &["epoch"]).or_else(|| moment(file, &["epoch"])),
        version: text(value, &["_version.version"]).or_else(|| text(file, &["_version.version"])),
        ..Post::default()
    })
}
