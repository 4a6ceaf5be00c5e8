//! Bank accounts: numbers beside a bank's name or the word for account.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::super::fold::Folded;
use super::super::scrub::Kind;
use super::digits::{Groups, begins};
use super::{Place, pattern, take};

const LEAST: usize = 8;
const MOST: usize = 16;

/// What a number must stand beside.
macro_rules! banks {
    () => {
        "bca|bri|bni|btn|bsi|bjb|mandiri|cimb(?: niaga)?|danamon|permata|panin|ocbc(?: nisp)?|maybank|muamalat|mega|jago|sea ?bank|jenius|blu|btpn|neo|hana|sinarmas|bukopin|uob|allo|bank [a-z]{2,12}"
    };
}

static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u)\b(?:",
        banks!(),
        r"|rekening|rek|norek|account)\b",
        r"(?:[ \n:.=#/(),\x02-]{0,4}\b(?:",
        banks!(),
        r"|rekening|rek|norek|account|acc|no|nomor|nomer|nomornya|ke|di|nya|yaitu|adalah|ini|kami|saya|aku|cabang|kcp|tujuan|transfer|tf|syariah)\b){0,6}",
        r"(?:[ \n:.=#/(),\x02-]{0,4}\b(?:a\.?n|a/n|atas nama)[ .:]{1,3}(?:[a-z'.]{1,20}[ ,:.()/\n-]{1,3}){1,5})?",
        r"[ \n:.=#/()\x02-]{0,5}([0-9])",
    ))
});

static BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u)\b([0-9]{8,16}|[0-9]{3,5}(?:[ -][0-9]{1,6}){1,5})[ \n]?[(:,/-]?[ \n]?(?:(?:",
        banks!(),
        r")\b|a\.n\b|a/n\b|atas nama\b)",
    ))
});

pub fn find(folded: &mut Folded, places: &mut Vec<Place>) {
    take(folded, places, Kind::Account, &BEFORE, |folded, start, _| {
        let found = Groups::read(folded, start, MOST);
        if found.is_amount(folded) { None } else { found.end(folded, LEAST, MOST) }
    });
    take(folded, places, Kind::Account, &BEHIND, |folded, start, end| {
        let digits = folded.bytes[start..end].iter().filter(|byte| byte.is_ascii_digit()).count();
        (begins(folded, start) && (LEAST..=MOST).contains(&digits)).then_some(end)
    });
}
