//! The Graph API's media, with insights where they were asked for: alone, in pages, in an account.
//!
//! Its ids are not those in links. It leaves out what is hidden, so its zeros are true.

use std::collections::BTreeMap;

use serde_json::Value;

use super::node::{distinct, is_there, others};
use super::post::{Account, Counted, Counts, Post, Read, Skip, linked};
use super::source::Source;
use super::value::{account, at, list, moment, text, whole};

pub const SOURCE: Source = Source {
    name: "graph",
    marks: &[
        &["media_product_type"],
        &["media_type", "permalink"],
        &["media_type", "comments_count"],
        &["data.0.media_product_type"],
        &["data.0.media_type"],
        &["data.0.permalink"],
        &["data", "paging"],
        &["media.data"],
        &["business_discovery.media"],
        &["error.fbtrace_id"],
        &["error.type", "error.message"],
    ],
    zero_is_unknown: &[],
    read,
};

/// Kept under the platform's names: a record's counts are without what ads brought.
const FLAGS: &[&str] =
    &["total_like_count", "total_comments_count", "total_views_count", "boost_ads_list.data", "is_paid_partnership"];

fn read(value: &Value) -> Vec<Read> {
    if let Some(error) = at(value, "error") {
        return vec![Err(Skip::new(
            "an error of the collector",
            text(error, &["type", "message"]).unwrap_or_default(),
        ))];
    }
    let account = at(value, "business_discovery").unwrap_or(value);
    let (pages, owner) = match at(account, "media.data").and(at(account, "media")) {
        Some(media) => (media, person(account)),
        None => (value, Account::default()),
    };
    if at(pages, "data").is_some_and(Value::is_array) {
        return list(pages, "data").map(|media| post(media, &owner)).collect();
    }
    vec![post(value, &owner)]
}

fn person(value: &Value) -> Account {
    account(value, &["id"], &["username"], &["name"])
}

/// A post; the account it stands in where it doesn't name one.
fn post(value: &Value, of: &Account) -> Read {
    let link = text(value, &["permalink"]);
    let id = text(value, &["shortcode"])
        .or_else(|| linked(&link?))
        .or_else(|| text(value, &["id"]))
        .ok_or_else(|| Skip::new("no id", ""))?;
    let product = text(value, &["media_product_type"]).unwrap_or_default();
    if product == "STORY" {
        return Err(Skip::new("a story", id));
    }
    let kind = text(value, &["media_type"]).unwrap_or_default();
    let is_video = |kind: &str| kind == "VIDEO" || kind == "REELS";
    let inside = || list(value, "children.data").any(|child| text(child, &["media_type"]).as_deref() == Some("VIDEO"));
    match kind.as_str() {
        // A video in the feed is a Reel since 2022, whatever it was posted as.
        kind if is_video(kind) || product == "REELS" => {}
        "CAROUSEL_ALBUM" if inside() => {}
        "IMAGE" | "CAROUSEL_ALBUM" => return Err(Skip::new("an image", id)),
        _ => return Err(Skip::new("not said to be a video", id)),
    }
    let written = account(value, &["owner.id"], &["username", "owner.username"], &["owner.name"]);
    let owner = Account {
        id: written.id.or_else(|| of.id.clone()),
        handle: written.handle.or_else(|| of.handle.clone()),
        name: written.name.or_else(|| of.name.clone()),
    };
    let is_invited = |user: &&Value| text(user, &["invite_status"]).is_some_and(|status| status != "Accepted");
    let (invited, with): (Vec<&Value>, Vec<&Value>) = list(value, "collaborators.data").partition(is_invited);
    Ok(Post {
        id,
        with: others(with.into_iter().map(person), &owner),
        owner,
        handles: distinct(invited.into_iter().filter_map(|user| person(user).handle)),
        posted_at: moment(value, &["timestamp"]),
        counts: counts(value),
        caption: text(value, &["caption"]),
        flags: flags(value, &product),
        ..Post::default()
    })
}

fn counts(value: &Value) -> Counts {
    let counts = [
        (Counted::Likes, "like_count", "likes"),
        (Counted::Views, "view_count", "views"),
        (Counted::Plays, "play_count", "plays"),
        (Counted::Comments, "comments_count", "comments"),
    ];
    let count = |(counted, field, insight): (Counted, &str, &str)| {
        Some((counted, whole(value, &[field]).or_else(|| self::insight(value, insight))?))
    };
    counts.into_iter().filter_map(count).collect()
}

/// What an insight says over the post's whole life.
fn insight(value: &Value, name: &str) -> Option<i64> {
    let mut insights = list(value, "insights.data").chain(list(value, "insights"));
    let found = insights.find(|insight| text(insight, &["name"]).as_deref() == Some(name))?;
    whole(found, &["values.0.value", "total_value.value"])
}

fn flags(value: &Value, product: &str) -> BTreeMap<String, Value> {
    let flag = |path: &&str| {
        let value = at(value, path)?;
        let kept = if value.is_number() || value.is_boolean() { value.clone() } else { Value::Bool(is_there(value)) };
        Some((path.trim_end_matches(".data").to_owned(), kept))
    };
    let ad = (product == "AD").then(|| ("media_product_type".to_owned(), Value::from(product)));
    FLAGS.iter().filter_map(flag).chain(ad).collect()
}
