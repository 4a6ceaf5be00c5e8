//! instaloader's `.json` beside each post, of every version that has its name in it.
//!
//! What it saves is Instagram's GraphQL node; a node made of the iPhone's answer, which lies in it; or, since 4.15.2, the web
//! interface's item with GraphQL's names beside its own.

use serde_json::Value;

use super::node::{ZERO_IS_UNKNOWN, post};
use super::post::{Post, Read, Skip};
use super::source::Source;
use super::value::{at, text};

pub const SOURCE: Source = Source {
    name: "instaloader",
    marks: &[
        &["node", "instaloader.node_type"],
        // Comments, in a file of their own: a list, or one of them.
        &["0.answers", "0.created_at", "0.likes_count", "0.text"],
        &["answers", "created_at", "likes_count", "text"],
    ],
    zero_is_unknown: ZERO_IS_UNKNOWN,
    read,
};

fn read(value: &Value) -> Vec<Read> {
    let Some(node) = at(value, "node") else { return vec![Err(Skip::new("a comment list", ""))] };
    let kind = text(value, &["instaloader.node_type"]).unwrap_or_default();
    let reason = match kind.as_str() {
        "Post" => {
            let nodes: Vec<&Value> = at(node, "iphone_struct").into_iter().chain([node]).collect();
            let version = text(value, &["instaloader.version"]);
            return vec![post(&nodes).map(|post| Post { version, ..post })];
        }
        "StoryItem" => "a story",
        "Profile" => "a profile",
        "Hashtag" => "a hashtag",
        "FrozenNodeIterator" => "a bookmark of the collector",
        _ => "nothing that is known",
    };
    vec![Err(Skip::new(reason, kind))]
}
