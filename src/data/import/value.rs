//! Reading JSON that others wrote: by path, and lenient about what a number is written as.

use serde_json::Value;

use super::post::Account;

/// What stands at a path of keys and indices such as `edges.0.node.text`; nothing for `null`.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let step = |value: &'a Value, key: &str| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => value.get(key),
    };
    path.split('.').try_fold(value, step).filter(|value| !value.is_null())
}

/// A text that isn't blank at the first of these paths that has one.
pub fn text(value: &Value, paths: &[&str]) -> Option<String> {
    let found = |path: &&str| match at(value, path)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    paths.iter().find_map(found)
}

/// A whole number at the first of these paths that has one.
pub fn whole(value: &Value, paths: &[&str]) -> Option<i64> {
    number(value, paths).filter(|number| number.abs() < 9e15).map(|number| number.round() as i64)
}

/// A number at the first of these paths that has one.
pub fn number(value: &Value, paths: &[&str]) -> Option<f64> {
    let found = |path: &&str| match at(value, path)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    };
    paths.iter().find_map(found)
}

/// What is true or false at the first of these paths that has it.
pub fn truth(value: &Value, paths: &[&str]) -> Option<bool> {
    paths.iter().find_map(|path| at(value, path)?.as_bool())
}

/// The values of a list; none where there is no list.
pub fn list<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    at(value, path).and_then(Value::as_array).into_iter().flatten()
}

/// A moment, ISO 8601 in UTC, from seconds or milliseconds since 1970 or from a text.
pub fn moment(value: &Value, paths: &[&str]) -> Option<String> {
    let found = |path: &&str| {
        let at = at(value, path)?;
        if let Some(since) = number(value, &[path]) {
            return epoch(since);
        }
        let text = at.as_str()?.trim();
        let zoned = text.parse::<jiff::Timestamp>().ok();
        // The Graph API leaves the colon out of the offset.
        let offset = || jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).ok()?.to_timestamp().ok();
        let plain = || jiff::tz::TimeZone::UTC.to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?).ok();
        let moment = zoned.or_else(offset).or_else(plain)?;
        Some(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    };
    paths.iter().find_map(found)
}

/// Seconds, or milliseconds where they would be after the year 5000; before 2001 there were no such posts.
pub fn epoch(since: f64) -> Option<String> {
    let seconds = if since.abs() > 1e11 { since / 1000.0 } else { since };
    let moment = jiff::Timestamp::from_second(seconds as i64).ok().filter(|_| seconds >= 1e9)?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// An account by the paths of its number, handle and name.
pub fn account(value: &Value, ids: &[&str], handles: &[&str], names: &[&str]) -> Account {
    let handle = text(value, handles).map(|handle| handle.trim_start_matches('@').to_lowercase());
    Account { id: text(value, ids), handle: handle.filter(|handle| !handle.is_empty()), name: text(value, names) }
}
