//! Instagram's answers as they are: one post, or pages of a feed, of Reels, of a profile.

use serde_json::Value;

use super::node;
use super::post::{Read, Skip};
use super::source::Source;

pub const SOURCE: Source = Source {
    name: "web",
    marks: &[
        // One post.
        &["data.xdt_shortcode_media"],
        &["data.shortcode_media"],
        &["graphql.shortcode_media"],
        &["xdt_shortcode_media"],
        &["shortcode_media"],
        &["data.xdt_api__v1__media__shortcode__web_info"],
        &["xdt_api__v1__media__shortcode__web_info"],
        &["data.xig_polaris_media"],
        // Pages of them.
        &["feed_items.0"],
        &["items.0.pk"],
        &["items.0.media.pk"],
        &["items", "more_available"],
        &["items", "paging_info"],
        &["data.xdt_api__v1__clips__user__connection_v2"],
        &["data.xdt_api__v1__feed__user_timeline_graphql_connection"],
        &["data.xdt_api__v1__feed__timeline__connection"],
        &["data.xdt_api__v1__clips__home__connection_v2"],
        &["data.user.edge_owner_to_timeline_media"],
        &["data.user.edge_felix_video_timeline"],
        &["graphql.user.edge_owner_to_timeline_media"],
        &["data.hashtag.edge_hashtag_to_media"],
        &["sections.0.layout_content"],
        // Whatever else was asked.
        &["data", "extensions.is_final"],
        // What stands in them.
        &["node.media.pk"],
        &["media.pk", "media.media_type"],
        &["shortcode", "__typename"],
        &["shortcode", "is_video"],
        &["code", "media_type"],
        &["pk", "media_type"],
    ],
    zero_is_unknown: node::ZERO_IS_UNKNOWN,
    read,
};

fn read(value: &Value) -> Vec<Read> {
    let mut found = vec![];
    each(value, &mut |post| found.push(node::post(&[post])));
    if found.is_empty() { vec![Err(Skip::new("no post in it", ""))] } else { found }
}

/// Every description of a post, wherever it stands; what is inside of one belongs to it.
fn each(value: &Value, found: &mut dyn FnMut(&Value)) {
    match value {
        _ if node::is_post(value) => found(value),
        Value::Array(items) => items.iter().for_each(|item| each(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| each(field, found)),
        _ => {}
    }
}
