//! What must not stand in records: fields of personal data, and names that are no pseudonyms.

use serde_json::Value;

use super::pseudonym::{is_pseudonym, shortcode_of};

/// Names without case and separators.
const FORBIDDEN: [&str; 40] = [
    "fullname",
    "ownerfullname",
    "realname",
    "username",
    "ownerusername",
    "handle",
    "nickname",
    "author",
    "authormeta",
    "authorname",
    "owner",
    "ownerid",
    "uploader",
    "uploaderid",
    "channel",
    "channelid",
    "biography",
    "avatar",
    "avatarurl",
    "avatarthumb",
    "profilepic",
    "profilepicurl",
    "profilepicurlhd",
    "profilepicture",
    "profileurl",
    "videourl",
    "displayurl",
    "imageurl",
    "mediaurl",
    "thumbnail",
    "thumbnails",
    "thumbnailurl",
    "thumbnailsrc",
    "downloadurl",
    "permalink",
    "webpageurl",
    "latestcomments",
    "commenters",
    "taggedusers",
    "coauthors",
];

/// A text or field, and where it stands.
pub enum Entry<'a> {
    /// To be searched.
    Text(&'a str),
    /// A field of this name must not be there.
    Forbidden(&'a str),
    /// An account that is no pseudonym.
    Account(&'a str),
    /// The shortcode or number by which the platform knows a Reel.
    Reel(&'a str),
}

/// All texts of a value, with the names of the fields that they stand in.
pub fn each<'a>(value: &'a Value, path: &mut Vec<&'a str>, entry: &mut dyn FnMut(&[&'a str], Entry<'a>)) {
    match value {
        Value::String(text) => {
            let kept = match path.last().copied() {
                Some("id" | "reel_id" | "seeds") if is_platforms(text) => Entry::Reel(text),
                // Of another make; what stands in it is no text.
                Some("id" | "reel_id" | "seeds") => return,
                Some("account" | "with") if !is_pseudonym(text, 'a') => Entry::Account(text),
                _ => Entry::Text(text),
            };
            entry(path, kept);
        }
        Value::Array(values) => values.iter().for_each(|value| each(value, path, entry)),
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name);
                if is_forbidden(name, value) {
                    entry(path, Entry::Forbidden(name));
                } else {
                    each(value, path, entry);
                }
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_forbidden(name: &str, value: &Value) -> bool {
    let is_empty = match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    };
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect();
    // How many there are is no text.
    let comments = name == "comments" && matches!(value, Value::Array(_) | Value::Object(_));
    !is_empty && (comments || FORBIDDEN.contains(&name.as_str()))
}

/// Whether it is a name of the platform: a number, or letters in both cases as no words have them.
fn is_platforms(name: &str) -> bool {
    let code = shortcode_of(name);
    let is_code = code.len() == 11
        && code.starts_with(['B', 'C', 'D', 'E', 'F'])
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && code[1..].bytes().filter(u8::is_ascii_uppercase).count() >= 2
        && code.bytes().any(|byte| byte.is_ascii_lowercase());
    code != name || is_code
}
