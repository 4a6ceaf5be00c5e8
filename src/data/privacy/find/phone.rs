//! Phone numbers and numbers of identity cards and tax payers, in digits.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::super::fold::Folded;
use super::super::scrub::Kind;
use super::digits::{CALLS, Group, Groups, begins, follows_word};
use super::{Place, pattern, take};

/// Digits of a phone number at most, without its country.
const MOST: usize = 13;
const NIK: usize = 16;

/// The provinces that a NIK begins with.
const PROVINCES: [&str; 38] = [
    "11", "12", "13", "14", "15", "16", "17", "18", "19", "21", "31", "32", "33", "34", "35", "36", "51", "52", "53",
    "61", "62", "63", "64", "65", "71", "72", "73", "74", "75", "76", "81", "82", "91", "92", "93", "94", "95", "96",
];

/// The number of a tax payer, as it is printed.
static NPWP: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?-u)\b([0-9]{2}\.[0-9]{3}\.[0-9]{3}\.[0-9] ?[.-] ?[0-9]{3,4}\.[0-9]{3})\b"));

pub fn find(folded: &mut Folded, places: &mut Vec<Place>) {
    take(folded, places, Kind::Nik, &NPWP, |_, _, end| Some(end));
    let mut at = 0;
    while at < folded.bytes.len() {
        let first = folded.bytes[at];
        let may_begin = first.is_ascii_digit() || matches!(first, b'+' | b'(' | b'o');
        let found = if may_begin && begins(folded, at) { number(folded, at) } else { None };
        if let Some((kind, end)) = found {
            folded.take(at, end);
            places.push((kind, at, end));
            at = end;
        } else {
            at += 1;
        }
    }
}

fn number(folded: &Folded, at: usize) -> Option<(Kind, usize)> {
    // Signs of a country or an area code.
    let signs = (0..3).take_while(|gap| matches!(folded.after(at + gap), b'+' | b'(' | b' ')).count();
    let opening = &folded.bytes[at..at + signs];
    let start = at + signs;
    if opening.first() == Some(&b' ') || !matches!(folded.after(start), b'0'..=b'9' | b'o') {
        return None;
    }
    let found = Groups::read(folded, start, NIK + 4);
    let first = *found.groups.first()?;
    if follows_word(folded, at, &["rp", "rp.", "idr", "isbn", "issn", "isbn-13", "isbn-10"], 2) {
        return None;
    }
    if let Some(end) = nik(folded, &found, at) {
        return Some((Kind::Nik, end));
    }
    let plus = opening.contains(&b'+');
    let bracket = opening.contains(&b'(');
    phone(folded, &found, first, at, plus, bracket).map(|end| (Kind::Phone, end))
}

/// 16 digits, of which six are a day, from the 41st on for women.
fn nik(folded: &Folded, found: &Groups, at: usize) -> Option<usize> {
    let end = found.end(folded, NIK, NIK)?;
    let digits = found.digits.get(..NIK)?;
    let number = |range: std::ops::Range<usize>| digits[range].parse::<u32>().unwrap_or(0);
    let (day, month) = (number(6..8), number(8..10));
    let is_day = (matches!(day, 1..=31 | 41..=71)) && (1..=12).contains(&month);
    let plausible = PROVINCES.contains(&&digits[..2]) && is_day && found.is_even(folded) && found.groups[0].len() >= 4;
    let named =
        follows_word(folded, at, &["nik", "ktp", "kk", "no nik", "no ktp", "nomor ktp", "no kk", "nomor kk"], 3);
    (plausible || named).then_some(end)
}

fn phone(folded: &Folded, found: &Groups, first: Group, at: usize, plus: bool, bracket: bool) -> Option<usize> {
    let digits = found.digits.as_str();
    let amount = found.is_amount(folded);
    // The country, then perhaps a 0 in brackets.
    let country = ["0062", "62"].into_iter().find(|country| digits.starts_with(country) && (plus || !amount));
    // Not the start of a decimal number.
    let is_country = first.len() > 1 || found.groups.iter().all(|group| group.len() == 1);
    if let Some(country) = country.filter(|_| is_country) {
        let rest = &digits[country.len()..];
        let zero = usize::from(rest.starts_with('0'));
        if rest[zero..].starts_with('8') {
            let before = country.len() + zero;
            return found.end(folded, before + 9, before + 12);
        }
    }
    if plus {
        return if amount { None } else { found.end(folded, 9, 15) };
    }
    // No mobile number begins with 080 or 084.
    let is_prefix = matches!(digits.as_bytes().get(2), Some(b'1'..=b'3' | b'5'..=b'9'));
    if digits.starts_with("08") {
        if !is_prefix {
            return None;
        }
        return if is_mobile(folded, found, first) { found.end(folded, 10, MOST) } else { None };
    }
    let named = || follows_word(folded, at, &CALLS, 3);
    if digits.starts_with('8') && !amount && named() {
        return found.end(folded, 10, MOST - 1);
    }
    let area = digits.starts_with('0') && matches!(digits.as_bytes().get(1), Some(b'2'..=b'7' | b'9'));
    if area && (bracket || !amount) {
        let is_area = (3..=4).contains(&first.len()) && !folded.bytes[..first.end].ends_with(b"00");
        let evenly = found.groups[1..].iter().all(|group| group.len() >= 3);
        let is_city = ["021", "022", "024", "031", "061"].iter().any(|city| digits.starts_with(city));
        let near = is_city == (first.len() == 3);
        if bracket && is_area || is_area && near && evenly && found.groups.len() > 1 || named() {
            return found.end(folded, 9, 12);
        }
    }
    // A number of the town alone.
    let local = named() && found.groups.len() <= 2 && !amount && !digits.starts_with("08");
    (local && !is_date(folded, found)).then(|| found.end(folded, 7, 8)).flatten()
}

/// Not a date, a time, or a decimal number.
fn is_mobile(folded: &Folded, found: &Groups, first: Group) -> bool {
    let dotted = matches!(folded.after(first.end), b'.' | b',');
    match first.len() {
        1 => {
            let single = found.groups.iter().all(|group| group.len() == 1);
            !dotted && (single || found.is_even(folded) || found.groups.get(1).is_some_and(|second| second.len() >= 3))
        }
        2 => {
            found.is_even(folded) && !is_date(folded, found)
                || found.groups.get(1).is_some_and(|second| second.len() >= 8)
        }
        _ => true,
    }
}

/// Day, month and year, in this order or the other one.
fn is_date(folded: &Folded, found: &Groups) -> bool {
    let lengths: Vec<usize> = found.groups.iter().take(3).map(|group| group.len()).collect();
    let is_year = |group: Group| matches!(&folded.bytes[group.start..group.end], [b'1', b'9', ..] | [b'2', b'0', ..]);
    match lengths[..] {
        [1..=2, 1..=2, 4] => is_year(found.groups[2]),
        [4, 1..=2, 1..=2] | [4, 4] | [4] => is_year(found.groups[0]),
        _ => false,
    }
}
