//! Rows of Apify's actors, whose names for the same thing differ.

use std::collections::BTreeMap;

use serde_json::Value;

use super::node::{ZERO_IS_UNKNOWN, distinct, hidden_beside, is_there, others};
use super::post::{Account, Counted, Counts, Post, Read, Skip, linked, shortcode};
use super::source::Source;
use super::value::{account, at, list, moment, number, text, truth, whole};

pub const SOURCE: Source = Source {
    name: "apify",
    marks: &[
        &["shortCode"],
        &["shortcode", "likesCount"],
        &["shortcode", "ownerUsername"],
        &["shortcode", "playCount"],
        &["code", "likesCount"],
        &["code", "ownerUsername"],
        &["code", "playCount"],
        &["url", "videoPlayCount"],
        &["url", "likesCount"],
        // A profile or a hashtag with its posts, a comment, and what went wrong.
        &["latestPosts"],
        &["topPosts"],
        &["commentUrl"],
        &["postUrl", "repliesCount"],
        &["error", "errorDescription"],
        &["error", "errorMessage"],
        &["error", "inputUrl"],
        &["error", "url"],
        // Actors for TikTok.
        &["webVideoUrl"],
        &["diggCount", "playCount"],
    ],
    zero_is_unknown: ZERO_IS_UNKNOWN,
    read,
};

const CODE: &[&str] = &["shortCode", "shortcode", "code"];
const LINK: &[&str] = &["url", "postUrl", "reelUrl", "permalink", "link", "inputUrl"];
const VIDEO: &[&str] = &["videoUrl", "video_url", "videoDuration", "video_duration", "videoVersions.0"];
const LIKES: &[&str] = &["likesCount", "likeCount", "like_count", "likes"];
const VIEWS: &[&str] = &["videoViewCount", "viewCount", "viewsCount", "views", "view_count"];
const PLAYS: &[&str] =
    &["videoPlayCount", "playCount", "playsCount", "plays", "play_count", "igPlayCount", "ig_play_count"];
const COMMENTS: &[&str] = &["commentsCount", "commentCount", "comment_count", "comments"];
const POSTED: &[&str] = &["timestamp", "takenAt", "taken_at", "takenAtTimestamp", "postedAt", "createdAt", "date"];
const COLLECTED: &[&str] = &["scrapedAt", "scraped_at", "collectedAt", "fetchedAt"];
const TRANSCRIPT: &[&str] = &["transcript.text", "transcript", "transcription", "transcriptText"];
const LANGUAGE: &[&str] = &["transcript.language", "transcriptLanguage"];
const HIDDEN: &[&str] = &["likesHidden", "isLikesHidden", "likeAndViewCountsDisabled", "like_and_view_counts_disabled"];
const COAUTHORS: &[&str] = &["coauthorProducers", "coauthors", "collaborators", "coauthor_producers"];
const NAMED: &[&str] = &["taggedUsers", "mentions", "sponsors", "tagged_users"];
/// Kept under the actor's name: whether they say anything of a post can only be seen over a whole file.
const FLAGS: &[&str] = &[
    "isSponsored",
    "paidPartnership",
    "isPaidPartnership",
    "is_paid_partnership",
    "isAffiliate",
    "isAd",
    "sponsors",
    "sponsorTags",
];

fn read(value: &Value) -> Vec<Read> {
    if let Some(error) = at(value, "error").filter(|error| is_there(error)) {
        let said = text(value, &["errorDescription", "errorMessage"]).unwrap_or_default();
        let name = error.as_str().unwrap_or_default();
        return vec![Err(Skip::new("an error of the collector", format!("{name} {said}").trim()))];
    }
    let mut inside = list(value, "latestPosts").chain(list(value, "topPosts")).peekable();
    if inside.peek().is_some() {
        return inside.map(post).collect();
    }
    vec![post(value)]
}

fn post(value: &Value) -> Read {
    let link = text(value, LINK).unwrap_or_default();
    if at(value, "webVideoUrl").or_else(|| at(value, "diggCount")).is_some() {
        return Err(Skip::new("of another platform", "TikTok"));
    }
    if at(value, "commentUrl").or_else(|| at(value, "repliesCount")).is_some() {
        return Err(Skip::new("a comment", ""));
    }
    if at(value, "latestPosts").or_else(|| at(value, "followersCount")).is_some() {
        return Err(Skip::new("a profile", ""));
    }
    let id = text(value, CODE)
        .or_else(|| linked(&link))
        .or_else(|| shortcode(&text(value, &["pk", "id"])?))
        .ok_or_else(|| Skip::new("no id", ""))?;
    if text(value, &["productType", "product_type"]).is_some_and(|product| product.eq_ignore_ascii_case("story")) {
        return Err(Skip::new("a story", id));
    }
    match is_video(value) {
        Some(true) => {}
        Some(false) => return Err(Skip::new("an image", id)),
        None => return Err(Skip::new("not said to be a video", id)),
    }
    let owner = owner(value);
    let with = others(COAUTHORS.iter().flat_map(|path| list(value, path)).map(person), &owner);
    let counts =
        [(Counted::Likes, LIKES), (Counted::Views, VIEWS), (Counted::Plays, PLAYS), (Counted::Comments, COMMENTS)];
    let counts: Counts =
        counts.into_iter().filter_map(|(counted, paths)| Some((counted, whole(value, paths)?))).collect();
    let hidden = if truth(value, HIDDEN) == Some(true) { hidden_beside(&counts) } else { BTreeMap::new() };
    Ok(Post {
        id,
        owner,
        with,
        handles: distinct(NAMED.iter().flat_map(|path| list(value, path)).filter_map(|user| person(user).handle)),
        posted_at: moment(value, POSTED),
        duration_s: number(value, &["videoDuration", "video_duration", "duration"]).filter(|seconds| *seconds > 0.0),
        counts,
        hidden,
        caption: text(value, &["caption.text", "caption", "captionText", "text"]),
        hashtags: hashtags(value),
        transcript: transcript(value),
        language: text(value, LANGUAGE).filter(|language| language.len() == 2).map(|language| language.to_lowercase()),
        flags: flags(value),
        collected_at: moment(value, COLLECTED),
        ..Post::default()
    })
}

/// `None` where it isn't said.
fn is_video(value: &Value) -> Option<bool> {
    let parts = || list(value, "childPosts").chain(list(value, "carouselMedia"));
    if parts().next().is_some() {
        return Some(parts().any(|part| is_video(part) == Some(true)));
    }
    match text(value, &["type", "mediaType", "media_type"]).unwrap_or_default().to_lowercase().as_str() {
        "video" | "reel" | "clips" | "graphvideo" | "2" => return Some(true),
        "image" | "photo" | "graphimage" | "1" => return Some(false),
        _ => {}
    }
    let product = text(value, &["productType", "product_type"]).unwrap_or_default();
    let counted = whole(value, PLAYS).or_else(|| whole(value, VIEWS)).is_some_and(|count| count > 0);
    let written = VIDEO.iter().any(|path| at(value, path).is_some_and(is_there));
    if counted || written || product == "clips" {
        return Some(true);
    }
    truth(value, &["isVideo", "is_video"])
}

/// Somebody, as an object or as a handle alone.
fn person(value: &Value) -> Account {
    match value {
        Value::String(name) => {
            let handle = name.trim().trim_start_matches('@').to_lowercase();
            Account { handle: Some(handle).filter(|handle| !handle.is_empty()), ..Account::default() }
        }
        _ => account(value, &["id", "pk"], &["username", "user.username"], &["full_name", "fullName", "name"]),
    }
}

fn owner(value: &Value) -> Account {
    account(
        value,
        &["ownerId", "owner.id", "owner.pk", "user.id", "user.pk", "userId", "author.id"],
        &["ownerUsername", "username", "owner.username", "user.username", "author.username", "userName"],
        &["ownerFullName", "fullName", "owner.fullName", "owner.full_name", "user.fullName", "user.full_name"],
    )
}

/// `None` where there are none: an actor that doesn't look for them writes an empty list too.
fn hashtags(value: &Value) -> Option<Vec<String>> {
    let tags =
        list(value, "hashtags").filter_map(|tag| text(tag, &["name"]).or_else(|| tag.as_str().map(str::to_owned)));
    let tags: Vec<String> =
        tags.map(|tag| tag.trim().trim_start_matches('#').to_owned()).filter(|tag| !tag.is_empty()).collect();
    Some(tags).filter(|tags| !tags.is_empty())
}

/// A text, or the texts of segments.
fn transcript(value: &Value) -> Option<String> {
    let segments = ["transcript", "transcript.segments", "transcription"];
    let texts = segments.iter().flat_map(|path| list(value, path)).filter_map(|segment| text(segment, &["text"]));
    text(value, TRANSCRIPT).or_else(|| Some(texts.collect::<Vec<String>>().join(" ")).filter(|text| !text.is_empty()))
}

/// Of lists only whether there is anything in them.
fn flags(value: &Value) -> BTreeMap<String, Value> {
    let flag = |path: &&str| {
        let value = at(value, path)?;
        let kept = if value.is_boolean() || value.is_string() { value.clone() } else { Value::Bool(is_there(value)) };
        Some(((*path).to_owned(), kept))
    };
    FLAGS.iter().filter_map(flag).collect()
}
