//! Links, e-mail addresses and handles.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::super::fold::{FOUND, Folded, SIGN, is_word};
use super::super::scrub::Kind;
use super::digits::follows_word;
use super::{Place, pattern, take};

/// Sites that everybody knows: their bare names say who advertises, and nothing of a person.
const SITES: &str = include_str!("sites.txt");
/// So do public bodies and universities.
const PUBLIC: [&str; 2] = [".go.id", ".ac.id"];

static WHATSAPP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?-u)((?:https?://)?(?:www\.)?(?:(?:wa|whatsapp)\.me/|(?:api|web)\.whatsapp\.com/send/?\?phone=|whatsapp://send/?\?phone=)[+]?[0-9]{8,15}[^\s\x01<>\x22]*)",
    )
});

static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?-u)((?:(?:https?|ftp|tg)://|\bwww\.)[^\s\x01\x02<>\x22]+)"));

/// Domains in the middle of a sentence without spaces are rare under these; under others a path must follow.
static DOMAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?-u)\b((?:[a-z0-9](?:[a-z0-9-]{0,62})\.)+(?:(?:com|net|org|id|xyz|gg|gle|ee|ly|bio)(?:[/?#][^\s\x01\x02<>\x22]*)?|(?:co|me|my|info|biz|io|link|live|shop|store|site|online|page|app|tv|sg|cc|ai|dev|be|gl|to|in|us|asia|club|fun|vip|web|tech|space)/[^\s\x01\x02<>\x22]+))",
    )
});

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u)\b([a-z0-9][a-z0-9._%+-]{0,63}(?:",
        r" ?@ ?(?:gmail|yahoo|ymail|rocketmail|hotmail|outlook|icloud|live|protonmail|proton)(?: ?\. ?(?:com|co|id|me|net)\b)+",
        r"|@(?:(?:gmail|yahoo|ymail|hotmail|outlook|icloud)\b|(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}\b)))",
    ))
});

/// With words for signs; a sentence may have "at" or "dot", hence both or a provider of mail.
static SPOKEN_EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u)\b([a-z0-9][a-z0-9_+-]{0,63}(?:(?: ?\. ?| (?:dot|titik) | ?[\[({](?:dot|titik)[\])}] ?| (?:underscore|garis bawah|strip) )[a-z0-9_+-]{1,64}){0,4}",
        r"(?: ?[\[({] ?(?:at|et|a|@) ?[\])}] ?[a-z0-9-]{2,63}(?: ?\. ?| (?:dot|titik) | ?[\[({](?:dot|titik|\.)[\])}] ?)",
        r"| (?:at|et) (?:gmail|yahoo|ymail|hotmail|outlook|icloud|gemail|jimail)(?: ?\. ?| (?:dot|titik) )",
        r"| (?:at|et) [a-z0-9-]{2,63} (?:dot|titik) )",
        r"(?:com|kom|co|net|org|id|ac)\b(?:(?: ?\. ?| (?:dot|titik) | ?[\[({](?:dot|titik)[\])}] ?)id\b)?)",
    ))
});

/// Names of platforms that people write right before `@`.
const PLATFORMS: [&str; 9] = ["ig", "instagram", "insta", "tiktok", "fb", "twitter", "tele", "telegram", "line"];

static HANDLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?-u)(@[a-z0-9_][a-z0-9_.]{0,63})"));

/// Without `@`, behind the name of a platform and a colon.
static NAMED_HANDLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?-u)\b(?:ig|instagram|tik ?tok|twitter|telegram|tele|line|id line|facebook|threads) ?[:=] ?([a-z0-9_][a-z0-9_.]{2,63})",
    )
});

/// What stands behind `@` where it means "each", and what is no handle elsewhere: a count, a price.
static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?-u)^(?:rp\.?)?[0-9][0-9.]*(?:rb|ribu|rebu|k|jt|juta|m|pcs|pc|pack|pak|box|lbr|lembar|kg|g|gr|gram|ml|l|liter|cm|mtr|meter|org|orang|pax|x|an|jam|menit|am|pm|wib|wita|wit)?\.?$",
    )
});

pub fn find(folded: &mut Folded, places: &mut Vec<Place>) {
    let untrimmed = |folded: &Folded, start: usize, end: usize| (!glued(folded, start)).then_some(end);
    take(folded, places, Kind::Phone, &WHATSAPP, |folded, start, end| untrimmed(folded, start, trimmed(folded, end)));
    take(folded, places, Kind::Link, &SCHEME, |folded, start, end| {
        let end = trimmed(folded, end);
        (!is_site(folded, start, end)).then_some(end)
    });
    take(folded, places, Kind::Email, &EMAIL, untrimmed);
    take(folded, places, Kind::Email, &SPOKEN_EMAIL, untrimmed);
    take(folded, places, Kind::Link, &DOMAIN, domain);
    take(folded, places, Kind::Handle, &HANDLE, |folded, start, end| {
        let end = without_dots(folded, end);
        let before = folded.before(start);
        let named = follows_word(folded, start, &PLATFORMS, 0);
        let free = named || !is_word(before) && !matches!(before, b'_' | b'.' | b'@');
        (free && end > start + 1 && !AMOUNT.is_match(&folded.bytes[start + 1..end])).then_some(end)
    });
    take(folded, places, Kind::Handle, &NAMED_HANDLE, |folded, start, end| {
        let end = without_dots(folded, end);
        let name = &folded.bytes[start..end];
        let distinct = name.iter().any(|byte| !byte.is_ascii_alphabetic());
        (distinct && !AMOUNT.is_match(name)).then_some(end)
    });
}

fn domain(folded: &Folded, start: usize, end: usize) -> Option<usize> {
    let end = trimmed(folded, end);
    let found = &folded.bytes[start..end];
    let host = found.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next().unwrap_or_default();
    // Longer than it seems: another name, such as a handle with dots.
    let follows = folded.after(start + host.len());
    let goes_on = follows == b'.' && is_word(folded.after(start + host.len() + 1));
    let ends = !is_word(follows) && !matches!(follows, b'_' | b'-' | b'@') && !goes_on;
    let has_letters = host.rsplit(|byte| *byte == b'.').skip(1).any(|label| label.iter().any(u8::is_ascii_alphabetic));
    (ends && has_letters && !glued(folded, start) && !is_site(folded, start, end)).then_some(end)
}

/// Whether more of the same name stands before it.
fn glued(folded: &Folded, start: usize) -> bool {
    let before = folded.before(start);
    is_word(before) || matches!(before, b'_' | b'-' | b'@' | b'.' | b'#')
}

/// Without signs of the sentence around it.
fn trimmed(folded: &Folded, mut end: usize) -> usize {
    let is_sign = |byte: u8| {
        matches!(
            byte,
            b'.' | b','
                | b'!'
                | b'?'
                | b')'
                | b'('
                | b']'
                | b'}'
                | b'\''
                | b'`'
                | b'"'
                | b';'
                | b':'
                | b'*'
                | SIGN
                | FOUND
        )
    };
    while is_sign(folded.before(end)) {
        end -= 1;
    }
    end
}

fn without_dots(folded: &Folded, mut end: usize) -> usize {
    while folded.before(end) == b'.' {
        end -= 1;
    }
    end
}

/// Whether it is the name of a known site, without any path.
fn is_site(folded: &Folded, start: usize, end: usize) -> bool {
    let Ok(found) = std::str::from_utf8(&folded.bytes[start..end]) else { return false };
    let host = found.split_once("://").map_or(found, |(_, host)| host).trim_end_matches('/');
    // Of every SVG.
    let is_schema = host.starts_with("www.w3.org/");
    let is_public = !host.contains(['/', '?', '#']) && PUBLIC.iter().any(|ending| host.ends_with(ending));
    is_schema || is_public || SITES.lines().any(|site| site == host.trim_start_matches("www."))
}
