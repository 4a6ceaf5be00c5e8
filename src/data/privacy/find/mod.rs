//! Where personal data stand in a folded text. What is found first is met no more.

mod account;
mod digits;
mod link;
mod name;
mod phone;
mod plate;
mod spoken;

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::fold::Folded;
use super::scrub::{Kind, Known};

/// A pattern that is known to be right.
fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// One place: what, and where it starts and ends.
pub type Place = (Kind, usize, usize);

/// All places, taken from the text, in order.
pub fn find(text: &str, folded: &mut Folded, known: &Known) -> Vec<Place> {
    let mut places = Vec::new();
    link::find(folded, &mut places);
    phone::find(folded, &mut places);
    spoken::find(folded, &mut places);
    account::find(folded, &mut places);
    name::handles(folded, known, &mut places);
    plate::find(text, folded, &mut places);
    name::names(folded, known, &mut places);
    places.sort_unstable_by_key(|(_, start, _)| *start);
    places
}

/// Takes what a pattern's first group finds, where `is_it`.
fn take(
    folded: &mut Folded,
    places: &mut Vec<Place>,
    kind: Kind,
    pattern: &LazyLock<Regex>,
    mut is_it: impl FnMut(&Folded, usize, usize) -> Option<usize>,
) {
    let mut found = Vec::new();
    for captures in pattern.captures_iter(&folded.bytes) {
        let Some(part) = captures.get(1) else { continue };
        if let Some(end) = is_it(folded, part.start(), part.end()) {
            found.push((kind, part.start(), end));
        }
    }
    for (_, start, end) in &found {
        folded.take(*start, *end);
    }
    places.extend(found);
}
