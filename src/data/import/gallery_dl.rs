//! gallery-dl's metadata, a file a picture, video or sound.
//!
//! Most Reels say that they are a "post", because their sound counts as a second file: what a file is of tells its link.

use serde_json::Value;

use super::node::{distinct, others};
use super::post::{Counted, Post, Read, Skip};
use super::source::Source;
use super::value::{account, at, list, moment, text, whole};

pub const SOURCE: Source = Source {
    name: "gallery-dl",
    marks: &[&["post_shortcode"]],
    // Written for likes that nobody gave it.
    zero_is_unknown: &[Counted::Likes],
    read,
};

fn read(value: &Value) -> Vec<Read> {
    vec![post(value)]
}

fn post(value: &Value) -> Read {
    let id = text(value, &["post_shortcode"]).ok_or_else(|| Skip::new("no id", ""))?;
    if text(value, &["type", "subcategory"]).is_some_and(|kind| ["story", "stories", "highlight"].contains(&&*kind)) {
        return Err(Skip::new("a story", id));
    }
    if text(value, &["video_url"]).is_none() {
        let reason = match (at(value, "audio_url"), value.get("video_url")) {
            (Some(_), _) => "the sound of a post",
            (None, Some(_)) => "an image",
            // Of a whole post, without what is in it.
            (None, None) => "not said to be a video",
        };
        return Err(Skip::new(reason, id));
    }
    let person = |value: &Value| account(value, &["id"], &["username"], &["full_name"]);
    let owner = account(value, &["owner_id"], &["username"], &["fullname"]);
    Ok(Post {
        id,
        with: others(list(value, "coauthors").map(person), &owner),
        owner,
        handles: distinct(list(value, "tagged_users").filter_map(|user| person(user).handle)),
        posted_at: moment(value, &["post_date", "date"]),
        counts: whole(value, &["likes"]).map(|likes| (Counted::Likes, likes)).into_iter().collect(),
        caption: text(value, &["description"]),
        ..Post::default()
    })
}
