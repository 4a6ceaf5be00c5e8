//! Phone numbers as recognisers write them down: "nol delapan satu dua …".

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::super::fold::Folded;
use super::super::scrub::Kind;
use super::{Place, pattern, take};

/// Digits of a phone number.
const LEAST: usize = 9;
const MOST: usize = 14;

static SPOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u)\b((?:nol|kosong|08[0-9]{0,4}|0|(?:plus )?enam[ ,]{1,2}dua|[+]?62)",
        r"(?:[ ,.\n-]{1,3}(?:nol|kosong|satu|dua|tiga|empat|lima|enam|tujuh|delapan|lapan|sembilan|sepuluh|sebelas|belas|puluh|ratus|dobel|double|[0-9]{1,4})\b){4,40})",
    ))
});

pub fn find(folded: &mut Folded, places: &mut Vec<Place>) {
    take(folded, places, Kind::Phone, &SPOKEN, spoken);
}

/// Where the number ends, if it is one.
fn spoken(folded: &Folded, start: usize, end: usize) -> Option<usize> {
    let is_gap = |byte: &u8| matches!(byte, b' ' | b',' | b'.' | b'\n' | b'-');
    let (mut at, mut digits, mut words, mut last) = (start, 0, 0, start);
    for word in folded.bytes[start..end].split(is_gap) {
        let number = word.iter().filter(|byte| byte.is_ascii_digit()).count();
        let more = match word {
            b"" | b"plus" | b"puluh" => 0,
            b"sepuluh" | b"sebelas" => 2,
            _ if number > 0 => number,
            _ => 1,
        };
        words += usize::from(number == 0 && more > 0);
        // Counting aloud isn't saying a number.
        if digits == 1 && matches!(word, b"satu" | b"1") || digits + more > MOST {
            break;
        }
        digits += more;
        at += word.len();
        if !word.is_empty() {
            last = at;
        }
        at += 1;
    }
    (words >= 3 && digits >= LEAST).then_some(last)
}
