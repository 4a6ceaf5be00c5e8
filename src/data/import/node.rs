//! Instagram's own description of a post, in both shapes: GraphQL and the private interface, version 1.

use std::collections::BTreeMap;

use serde_json::Value;

use super::post::{Account, Counted, Post, Read, Skip, shortcode};
use super::value::{account, at, list, moment, number, text, truth, whole};

/// Of real videos two thirds have 0 views, and collectors write 0 for likes that nobody gave them. Comments are counted.
pub const ZERO_IS_UNKNOWN: &[Counted] = &[Counted::Likes, Counted::Views, Counted::Plays];

/// Why a count isn't known though there is a number.
pub const HIDDEN: &str = "hidden by the account";

/// Said of partnerships as true or false, or in words.
const FLAGS: [&str; 5] = ["is_paid_partnership", "is_affiliate", "is_ad", "is_sponsored", "commerciality_status"];

/// Who paid, or for what: that they are there is kept, not who they are.
const PAYING: [&str; 3] = ["sponsor_tags", "edge_media_to_sponsor_user.edges", "affiliate_info"];

/// Who tagged or paid, as lists and the path in what is in them.
const NAMED: [(&str, &str); 7] = [
    ("edge_media_to_tagged_user.edges", "node.user"),
    ("usertags.in", "user"),
    ("edge_media_to_sponsor_user.edges", "node.sponsor"),
    ("sponsor_tags", "sponsor"),
    ("reel_mentions", "user"),
    ("invited_coauthor_producers", "user"),
    ("tagged_users", "user"),
];

/// Whether a value describes a post.
pub fn is_post(value: &Value) -> bool {
    let kind = at(value, "media_type").is_some_and(Value::is_number)
        || at(value, "is_video").is_some_and(Value::is_boolean)
        || at(value, "video_versions").is_some()
        || text(value, &["__typename"]).is_some_and(|name| name.starts_with("Graph") || name.starts_with("XDTGraph"));
    kind && text(value, &["shortcode", "code", "pk", "id"]).is_some()
}

/// A post from its descriptions; where several say something, the first is right.
pub fn post(nodes: &[&Value]) -> Read {
    let id = first(nodes, |node| text(node, &["shortcode", "code"]))
        .or_else(|| first(nodes, |node| shortcode(&text(node, &["pk", "id"])?)))
        .ok_or_else(|| Skip::new("no id", ""))?;
    if nodes.iter().any(|node| is_story(node)) {
        return Err(Skip::new("a story", id));
    }
    match first(nodes, is_video) {
        Some(true) => {}
        Some(false) => return Err(Skip::new("an image", id)),
        None => return Err(Skip::new("not said to be a video", id)),
    }
    let owner = owner(nodes);
    let with = others(nodes.iter().flat_map(|node| list(node, "coauthor_producers")).map(person), &owner);
    let counts = counts(nodes);
    let hidden = hidden(nodes, &counts);
    Ok(Post {
        id,
        owner,
        with,
        handles: handles(nodes),
        posted_at: first(nodes, |node| moment(node, &["taken_at_timestamp", "taken_at", "date"])),
        duration_s: first(nodes, duration),
        counts,
        hidden,
        caption: first(nodes, caption),
        flags: flags(nodes),
        ..Post::default()
    })
}

fn first<T>(nodes: &[&Value], find: impl Fn(&Value) -> Option<T>) -> Option<T> {
    nodes.iter().find_map(|node| find(node))
}

/// The parts of a post of several.
fn parts(node: &Value) -> impl Iterator<Item = &Value> {
    let edges = list(node, "edge_sidecar_to_children.edges").filter_map(|edge| at(edge, "node"));
    // Where both are there, one was made of the other.
    let is_made = at(node, "carousel_media.0").is_some();
    list(node, "carousel_media").chain(edges.filter(move |_| !is_made))
}

fn is_story(node: &Value) -> bool {
    text(node, &["product_type"]).as_deref() == Some("story")
        || text(node, &["__typename"]).is_some_and(|name| name.contains("Story"))
}

/// `None` where it isn't said.
fn is_video(node: &Value) -> Option<bool> {
    if parts(node).next().is_some() {
        return Some(parts(node).any(|part| is_video(part) == Some(true)));
    }
    match whole(node, &["media_type"]) {
        Some(1) => return Some(false),
        Some(2) => return Some(true),
        _ => {}
    }
    let name = text(node, &["__typename"]).unwrap_or_default();
    if name.ends_with("Video") || name.ends_with("Image") {
        return Some(name.ends_with("Video"));
    }
    let is_several = name.ends_with("Sidecar") || whole(node, &["media_type"]) == Some(8);
    let written = ["video_url", "video_versions.0"].iter().any(|path| at(node, path).is_some());
    let product = text(node, &["product_type"]).filter(|product| product == "clips" || product == "igtv");
    // Of several it says false whatever is in them.
    truth(node, &["is_video"]).filter(|is| *is || !is_several).or((written || product.is_some()).then_some(true))
}

/// Seconds; `None` for a post of several videos.
fn duration(node: &Value) -> Option<f64> {
    let mut videos = parts(node).filter(|part| is_video(part) == Some(true));
    let seconds = |node| number(node, &["video_duration"]).filter(|seconds| *seconds > 0.0);
    match (videos.next(), videos.next()) {
        (None, _) => seconds(node),
        (Some(video), None) => seconds(video),
        _ => None,
    }
}

fn caption(node: &Value) -> Option<String> {
    text(node, &["caption.text", "caption", "edge_media_to_caption.edges.0.node.text"])
}

fn person(value: &Value) -> Account {
    account(value, &["pk", "id", "pk_id"], &["username"], &["full_name"])
}

/// All that the descriptions say of the owner.
fn owner(nodes: &[&Value]) -> Account {
    let users = nodes.iter().flat_map(|node| [at(node, "user"), at(node, "owner")]).flatten();
    users.map(person).fold(Account::default(), |known, user| Account {
        id: known.id.or(user.id),
        handle: known.handle.or(user.handle),
        name: known.name.or(user.name),
    })
}

/// Those who posted it too, without the owner.
pub fn others(users: impl Iterator<Item = Account>, owner: &Account) -> Vec<Account> {
    let mut others: Vec<Account> = vec![];
    for user in users {
        let same = |known: &Account| {
            (user.id.is_some() && user.id == known.id) || (user.handle.is_some() && user.handle == known.handle)
        };
        if (user.id.is_some() || user.handle.is_some()) && !same(owner) && !others.iter().any(same) {
            others.push(user);
        }
    }
    others
}

/// Handles of those who are tagged, invited or paid for it.
fn handles(nodes: &[&Value]) -> Vec<String> {
    let all = nodes.iter().flat_map(|node| std::iter::once(*node).chain(parts(node)));
    let named = all.flat_map(|node| NAMED.iter().map(move |(path, inside)| (node, *path, *inside)));
    distinct(named.flat_map(|(node, path, inside)| {
        // Some lists have the person in a field, some the person alone.
        list(node, path).filter_map(move |entry| person(at(entry, inside).unwrap_or(entry)).handle)
    }))
}

/// Each once, in their order.
pub fn distinct(handles: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = vec![];
    for handle in handles {
        if !seen.contains(&handle) {
            seen.push(handle);
        }
    }
    seen
}

fn counts(nodes: &[&Value]) -> BTreeMap<Counted, i64> {
    let found = |counted| Some((counted, first(nodes, |node| count(node, counted))?));
    Counted::ALL.into_iter().filter_map(found).collect()
}

/// A count as the platform gave it.
fn count(node: &Value, counted: Counted) -> Option<i64> {
    let (given, graphql): (&[&str], &[&str]) = match counted {
        Counted::Likes => (&["like_count"], &["edge_media_preview_like.count", "edge_liked_by.count"]),
        Counted::Views => (&["view_count"], &["video_view_count"]),
        Counted::Plays => (&["play_count", "ig_play_count"], &["video_play_count"]),
        Counted::Comments => (
            &["comment_count", "edge_media_to_comment.count", "comments"],
            &["edge_media_to_parent_comment.count", "edge_media_preview_comment.count"],
        ),
    };
    // In a node that was made of version 1, a count of GraphQL is 0 where there was none.
    let is_made = at(node, "media_type").is_some();
    whole(node, given).or_else(|| whole(node, graphql).filter(|count| !is_made || *count > 0))
}

fn hidden(nodes: &[&Value], counts: &BTreeMap<Counted, i64>) -> BTreeMap<Counted, String> {
    match first(nodes, |node| truth(node, &["like_and_view_counts_disabled"])) {
        Some(true) => hidden_beside(counts),
        _ => BTreeMap::new(),
    }
}

/// What isn't known where likes and views are hidden and these counts are written.
pub fn hidden_beside(counts: &BTreeMap<Counted, i64>) -> BTreeMap<Counted, String> {
    let unwritten = |counted: &Counted| counts.get(counted).is_none_or(|count| *count <= 0);
    let also = [Counted::Views, Counted::Plays].into_iter().filter(unwritten);
    std::iter::once(Counted::Likes).chain(also).map(|counted| (counted, HIDDEN.to_owned())).collect()
}

fn flags(nodes: &[&Value]) -> BTreeMap<String, Value> {
    let said = FLAGS.iter().filter_map(|path| {
        let value =
            first(nodes, |node| at(node, path).filter(|value| value.is_boolean() || value.is_string()).cloned())?;
        Some(((*path).to_owned(), value))
    });
    let paid = PAYING.iter().filter_map(|path| {
        let name = path.trim_end_matches(".edges").to_owned();
        Some((name, Value::Bool(first(nodes, |node| at(node, path).map(is_there))?)))
    });
    said.chain(paid).collect()
}

/// Whether a value has anything in it.
pub fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
