//! Zeeschuimer's NDJSON: what the browser was shown, an item a line.

use serde_json::Value;

use super::node;
use super::post::{Post, Read, Skip};
use super::source::Source;
use super::value::{at, moment, text};

pub const SOURCE: Source = Source {
    name: "zeeschuimer",
    marks: &[&["source_platform", "data", "item_id"], &["source_platform", "data", "timestamp_collected"]],
    zero_is_unknown: node::ZERO_IS_UNKNOWN,
    read,
};

fn read(value: &Value) -> Vec<Read> {
    let platform = text(value, &["source_platform"]).unwrap_or_default();
    if !platform.contains("instagram") {
        return vec![Err(Skip::new("of another platform", platform))];
    }
    let Some(data) = at(value, "data").filter(|data| data.is_object()) else {
        return vec![Err(Skip::new("nothing that is known", ""))];
    };
    let collected_at = moment(value, &["timestamp_collected"]);
    vec![node::post(&[data]).map(|post| Post { collected_at, ..post })]
}
