use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import"))
}

/// What is in a file, a list of rows as its rows.
fn values(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    match serde_json::from_str(&text) {
        Ok(Value::Array(rows)) if !path.ends_with("soto_comments.json") => rows,
        Ok(value) => vec![value],
        Err(_) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    }
}

/// Without what isn't there.
fn shown(read: &Read) -> Value {
    fn without_nothing(value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(fields) => {
                let fields = fields.into_iter().filter_map(|(name, value)| Some((name, without_nothing(value)?)));
                Some(Value::Object(fields.collect())).filter(|fields| fields != &json!({}))
            }
            Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_nothing).collect()))
                .filter(|items| items != &json!([])),
            value => Some(value),
        }
    }
    match read {
        Ok(post) => without_nothing(serde_json::to_value(post).unwrap()).unwrap(),
        Err(skip) => json!(skip.reason),
    }
}

fn expected() -> BTreeMap<String, BTreeMap<String, Vec<Value>>> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap()
}

/// The files of a source, but those that are for the one who unpacks them.
fn files(source: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder().join(source)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with("json")).collect()
}

#[test]
fn every_file_of_every_source_is_known_and_read() {
    let expected = expected();
    for source in SOURCES {
        let mut files = files(source.name);
        files.sort();
        assert_eq!(files, expected[source.name].keys().cloned().collect::<Vec<String>>(), "{}", source.name);
        for (file, expected) in &expected[source.name] {
            let name = format!("{}/{file}", source.name);
            let mut read = vec![];
            for value in values(&folder().join(&name)) {
                let known = recognise(&value).unwrap_or_else(|_| panic!("{name}: not known"));
                assert_eq!(known.name, source.name, "{name}");
                read.extend((source.read)(&value).iter().map(shown));
            }
            assert_eq!(&read, expected, "{name}");
        }
    }
}

#[test]
fn what_nobody_wrote_is_told_with_the_nearest() {
    let nearest = |value: Value| recognise(&value).err().unwrap().map(|(source, missing)| (source.name, missing));
    assert_eq!(nearest(json!({"id": "a", "transcript": "halo"})), Some(("yt-dlp", vec!["extractor_key"])));
    assert_eq!(nearest(json!({"node": {"shortcode": "a"}})), Some(("instaloader", vec!["instaloader.node_type"])));
    assert_eq!(nearest(json!({"judul": "halo"})), None);
    for nothing in [json!(null), json!([]), json!({}), json!("a"), json!(1)] {
        assert_eq!(nearest(nothing), None);
    }
}

fn read(value: &Value) -> Read {
    (recognise(value).unwrap_or_else(|_| panic!("{value}")).read)(value).remove(0)
}

#[test]
fn what_is_missing_or_of_another_type_is_unknown() {
    let node = json!({"__typename": "GraphVideo", "shortcode": "Abc", "owner": null, "video_duration": "41.5",
        "edge_media_to_caption": {"edges": []}, "edge_media_preview_like": {"count": "1204"}, "video_view_count": 1e300,
        "video_play_count": [], "edge_media_to_comment": 5, "taken_at_timestamp": "2025", "coauthor_producers": "x",
        "edge_media_to_tagged_user": {"edges": [1, null, {"node": {}}]}, "like_and_view_counts_disabled": "true"});
    assert_eq!(shown(&read(&node)), json!({"id": "Abc", "duration_s": 41.5, "counts": {"likes": 1204}}));
    let item =
        json!({"pk": 3579036291496617638u64, "media_type": 2, "user": "dapur", "caption": 7, "like_count": true});
    assert_eq!(shown(&read(&item)), json!({"id": "DGrSoto4yam", "caption": "7"}));
    for (value, reason) in [
        (json!({"media_type": 2, "pk": "x"}), "no id"),
        (json!({"media_type": 2, "pk": "9".repeat(60)}), "no id"),
        (json!({"shortCode": "", "type": "Video"}), "no id"),
        (json!({"shortCode": "Abc", "type": "Video", "url": 1, "error": "blocked"}), "an error of the collector"),
        (json!({"shortCode": "Abc"}), "not said to be a video"),
        (json!({"shortCode": "Abc", "type": "Sidecar"}), "not said to be a video"),
        (json!({"shortcode": "Abc", "__typename": "GraphSidecar", "is_video": false}), "not said to be a video"),
        (json!({"media_product_type": 1, "id": []}), "no id"),
        (json!({"post_shortcode": "Abc", "video_url": null}), "an image"),
        (json!({"source_platform": "instagram.com", "item_id": 1, "data": [1]}), "nothing that is known"),
        (json!({"node": [], "instaloader": {"node_type": "Place"}}), "nothing that is known"),
        (json!({"node": [], "instaloader": {"node_type": "Post"}}), "no id"),
        (json!({"extractor_key": "Youtube", "id": "a"}), "of another platform"),
    ] {
        assert_eq!(shown(&read(&value)), json!(reason), "{value}");
    }
}

#[test]
fn other_names_for_the_same_are_read() {
    for (value, expected) in [
        (
            json!({"pk": "3579036291496617638_51002003001", "media_type": 2, "ig_play_count": 9, "view_count": 8,
                "invited_coauthor_producers": [{"pk": 1, "username": "Warung_Paklek"}], "affiliate_info": null,
                "reel_mentions": [{"user": {"username": "rina.jalan2"}}], "sponsor_tags": [{"username": "kecap.manalagi"}]}),
            json!({"id": "DGrSoto4yam", "counts": {"plays": 9, "views": 8}, "flags": {"sponsor_tags": true},
                "handles": ["kecap.manalagi", "rina.jalan2", "warung_paklek"]}),
        ),
        (
            json!({"shortcode": "Abc", "is_video": true, "edge_liked_by": {"count": 7}, "sponsor_tags": [],
                "edge_media_preview_comment": {"count": 6}, "commerciality_status": "not_commercial",
                "owner": {"id": "1", "username": "DAPUR"}, "coauthor_producers": [{"id": "1"}, {"id": "2"}, {"id": 2}]}),
            json!({"id": "Abc", "owner": {"id": "1", "handle": "dapur"}, "with": [{"id": "2"}],
                "counts": {"likes": 7, "comments": 6},
                "flags": {"commerciality_status": "not_commercial", "sponsor_tags": false}}),
        ),
        (json!({"code": "Abc", "product_type": "clips", "media_type": 8, "video_duration": 0}), json!({"id": "Abc"})),
        (
            json!({"media_type": 8, "code": "Abc", "video_duration": 3, "carousel_media": [
                {"media_type": 1}, {"media_type": 2, "video_duration": 5.5}],
                "edge_sidecar_to_children": {"edges": [{"node": {"is_video": false}}, {"node": {"is_video": true}}]}}),
            json!({"id": "Abc", "duration_s": 5.5}),
        ),
        (
            json!({"code": "Abc", "ownerUsername": "@Dapur", "mediaType": "REEL", "viewsCount": 5, "likeCount": 4,
                "commentCount": 3, "isPaidPartnership": "ya", "isAd": false, "collaborators": ["warung_paklek"],
                "hashtags": [{"name": "#Soto"}, ""], "captionText": "halo", "video_duration": 9}),
            json!({"id": "Abc", "owner": {"handle": "dapur"}, "with": [{"handle": "warung_paklek"}],
                "counts": {"likes": 4, "views": 5, "comments": 3}, "hashtags": ["Soto"], "caption": "halo",
                "duration_s": 9.0, "flags": {"isPaidPartnership": "ya", "isAd": false}}),
        ),
        (
            json!({"url": "https://www.instagram.com/p/Abc/", "likesCount": 1, "plays": 2, "user": {"pk": 5, "username": "dapur"}}),
            json!({"id": "Abc", "owner": {"id": "5", "handle": "dapur"}, "counts": {"likes": 1, "plays": 2}}),
        ),
        (
            json!({"id": "17", "media_product_type": "REELS", "insights": [{"name": "views", "total_value": {"value": 3}}]}),
            json!({"id": "17", "counts": {"views": 3}}),
        ),
        (
            json!({"extractor": "Instagram", "id": "Abc", "webpage_url": "https://www.instagram.com/reel/Abc/",
                "uploader_id": "77", "duration": 0}),
            json!({"id": "Abc", "owner": {"id": "77"}}),
        ),
        (
            json!({"extractor_key": "InstagramUser", "id": "dapur", "_type": "playlist", "entries": [{"_type": "url", "id": "Abc"}]}),
            json!("a list without what is in it"),
        ),
    ] {
        assert_eq!(shown(&read(&value)), expected, "{value}");
    }
}

#[test]
fn what_was_synthesised_is_not_taken_for_a_count() {
    let made = json!({"code": "Abc", "media_type": 2, "like_count": null, "edge_media_preview_like": {"count": 0},
        "edge_media_to_parent_comment": {"count": 0, "edges": []}});
    assert_eq!(shown(&read(&made)), json!({"id": "Abc"}));
    let raw = json!({"shortcode": "Abc", "__typename": "GraphVideo", "edge_media_preview_like": {"count": 0},
        "edge_media_to_parent_comment": {"count": 0}});
    assert_eq!(shown(&read(&raw)), json!({"id": "Abc", "counts": {"likes": 0, "comments": 0}}));
}

/// The places of a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn whatever_stands_in_a_field_nothing_panics() {
    let others = json!([null, [], {}, "", "x", [[1]], -1, 3e300, true, {"count": "1", "edges": [null]}]);
    for source in SOURCES {
        for file in files(source.name) {
            for value in values(&folder().join(source.name).join(file)) {
                let mut places_of = vec![];
                places(&value, "", &mut places_of);
                for place in places_of {
                    for other in others.as_array().unwrap() {
                        let mut changed = value.clone();
                        *changed.pointer_mut(&place).unwrap() = other.clone();
                        let known = recognise(&changed).unwrap_or(source);
                        check(&(known.read)(&changed));
                    }
                }
            }
        }
    }
}

/// What holds of all that is read.
fn check(read: &[Read]) {
    for post in read.iter().flatten() {
        assert!(!post.id.trim().is_empty());
        assert!(post.duration_s.is_none_or(|seconds| seconds.is_finite() && seconds > 0.0));
        assert!(post.owner.handle.iter().chain(&post.handles).all(|handle| !handle.is_empty()));
        assert!(post.with.iter().all(|with| with.id.is_some() || with.handle.is_some()));
    }
}

/// Any JSON, of names and texts that sources look at.
fn anything() -> impl Strategy<Value = Value> {
    let marks = SOURCES.iter().flat_map(|source| source.marks).copied().flatten().flat_map(|path| path.split('.'));
    let others = "caption owner user edges carousel_media childPosts coauthor_producers usertags in sponsor_tags entries _type \
        formats like_count count timestamp taken_at video_duration insights values name transcript hashtags mentions url";
    let names: Vec<String> = marks.chain(others.split_whitespace()).map(str::to_owned).collect();
    let name = prop_oneof![9 => prop::sample::select(names), 1 => "[a-z]{1,3}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("https://www.instagram.com/reel/")),
        Just(json!("Instagram")),
        Just(json!("instagram.com")),
        Just(json!("Post")),
        Just(json!("VIDEO")),
        Just(json!("playlist")),
        Just(json!("GraphVideo")),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_a_source_panic(value in anything()) {
        let _ = recognise(&value);
        for source in SOURCES {
            check(&(source.read)(&value));
        }
    }
}
