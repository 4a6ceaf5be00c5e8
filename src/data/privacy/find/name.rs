//! Handles and names that are known.

use super::super::fold::{FOUND, Folded, is_word};
use super::super::scrub::{Kind, Known};
use super::Place;

/// Handles without `@`, as whole words.
pub fn handles(folded: &mut Folded, known: &Known, places: &mut Vec<Place>) {
    let is_part = |byte: u8| is_word(byte) || matches!(byte, b'_' | b'.');
    each_word(folded, is_part, |folded, start, end| {
        // Dots around it are the sentence's.
        let word = &folded.bytes[start..end];
        let from = word.iter().position(|byte| *byte != b'.').unwrap_or(word.len());
        let dots = word.iter().rev().take_while(|byte| **byte == b'.').count();
        let (start, end) = (start + from, end - dots);
        let is_known = folded.bytes.get(start..end).is_some_and(|word| known.is_handle(word));
        if is_known {
            // An `@` with a space behind it.
            let at = [b"@ ".as_slice(), b"@"].into_iter().find(|at| folded.bytes[..start].ends_with(at));
            let start = start - at.map_or(0, <[u8]>::len);
            folded.take(start, end);
            places.push((Kind::Handle, start, end));
        }
    });
}

/// Full names, whatever stands between their words.
pub fn names(folded: &mut Folded, known: &Known, places: &mut Vec<Place>) {
    if known.longest_name == 0 {
        return;
    }
    let mut words: Vec<(usize, usize)> = Vec::new();
    each_word(folded, is_word, |_, start, end| words.push((start, end)));
    let mut first = 0;
    while first < words.len() {
        let most = known.longest_name.min(words.len() - first);
        let joined = |count: usize| {
            let part = &words[first..first + count];
            let near = part.windows(2).all(|pair| {
                let gap = &folded.bytes[pair[0].1..pair[1].0];
                gap.len() <= 3 && !gap.contains(&FOUND)
            });
            let texts: Vec<&[u8]> = part.iter().map(|(start, end)| &folded.bytes[*start..*end]).collect();
            near.then(|| texts.join(&b' '))
        };
        let found = (2..=most).rev().find(|count| joined(*count).is_some_and(|name| known.is_name(&name)));
        if let Some(count) = found {
            let (start, end) = (words[first].0, words[first + count - 1].1);
            folded.take(start, end);
            places.push((Kind::Name, start, end));
        }
        first += found.unwrap_or(1);
    }
}

fn each_word(folded: &mut Folded, is_part: impl Fn(u8) -> bool, mut each: impl FnMut(&mut Folded, usize, usize)) {
    let mut at = 0;
    while at < folded.bytes.len() {
        let length = folded.bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        if length > 0 {
            each(folded, at, at + length);
        }
        at += length + 1;
    }
}
