//! Number plates of vehicles: region, number, and letters.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::super::fold::{Folded, is_word};
use super::super::scrub::Kind;
use super::digits::follows_word;
use super::{Place, pattern, take};

static PLATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u)\b((?:a[abdeg]?|b[abdeghklmnp]?|d[abcdeghklmnprstw]?|e[abd]?|f|g|h|k[bhtu]?|l|m|n|p[abgsty]?|r|s|t|w|z)",
        r"[ -]{0,2}[0-9]{1,4}[ -]{0,2}[a-z]{1,3})\b",
    ))
});

/// Words that announce one.
const PLATES: [&str; 18] = [
    "plat mobil",
    "pelat mobil",
    "plat motor",
    "pelat motor",
    "plat",
    "pelat",
    "nopol",
    "no pol",
    "no.pol",
    "nomor polisi",
    "no polisi",
    "bernopol",
    "berpelat",
    "berplat",
    "plat nomor",
    "pelat nomor",
    "nomor kendaraan",
    "bernomor polisi",
];

/// Words that announce something else.
const CODES: [&str; 7] = ["kode", "promo", "voucher", "kupon", "tipe", "seri", "kursi"];

/// What stands behind numbers that are of something else.
const NO_PLATE: [&str; 34] = [
    "ad", "bc", "cc", "cm", "dan", "gb", "gr", "hp", "ini", "itu", "jam", "jt", "k", "kg", "km", "m", "mah", "mb",
    "ml", "mm", "pcs", "ps", "px", "rb", "rpm", "rr", "se", "sm", "tb", "v", "w", "wib", "wit", "x",
];

pub fn find(text: &str, folded: &mut Folded, places: &mut Vec<Place>) {
    take(folded, places, Kind::Plate, &PLATE, |folded, start, end| {
        let free = |byte: u8| !is_word(byte) && !matches!(byte, b'-' | b'_' | b'@' | b'#' | b'/');
        let alone = free(folded.before(start)) && free(folded.after(end));
        let named = follows_word(folded, start, &PLATES, 3);
        let written = &text[folded.original(text, start, end)];
        let code = follows_word(folded, start, &CODES, 3);
        (alone && (named || !code && is_plate(written))).then_some(end)
    });
}

/// One that nothing announces must be written as on the plate, and be no name of a model.
fn is_plate(written: &str) -> bool {
    let parts: Vec<&str> = written.split([' ', '-']).filter(|part| !part.is_empty()).collect();
    let [region, number, letters] = parts[..] else { return false };
    let capitals = [region, letters].iter().all(|part| part.chars().all(char::is_uppercase));
    let Ok(value) = number.parse::<u32>() else { return false };
    let is_round = value % 100 == 0 || number.len() == 3 && value % 10 == 0;
    let long = number.len() == 4 || number.len() == 3 && (letters.len() == 3 || region.len() + letters.len() == 4);
    let year = (1900..2100).contains(&value) && letters.len() == 1;
    capitals && long && !is_round && !year && !NO_PLATE.contains(&letters.to_lowercase().as_str())
}
