//! Names that say nothing of whom they stand for, the same for the same key.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::key::Key;

/// Letters of a shortcode: a media number to the base 64.
pub const SHORTCODE_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const SHORTCODE: usize = 11;
/// The shortcode of a private Reel has so many letters more, a secret.
const SECRET: usize = 28;
const DIGITS: usize = 16;

/// Makes pseudonyms: the first 64 bits of HMAC-SHA256, in hexadecimal, so that a million accounts collide with a chance of
/// 1 in 37 million.
#[derive(Clone)]
pub struct Pseudonyms {
    hmac: Hmac<Sha256>,
}

impl Pseudonyms {
    #[expect(missing_docs, reason = "the type says it")]
    pub fn new(key: &Key) -> Pseudonyms {
        // HMAC fills a short key with zeros.
        let mut block = [0; 64];
        block[..key.bytes.len()].copy_from_slice(&key.bytes);
        Pseudonyms { hmac: Hmac::new(&block.into()) }
    }

    /// `a_` and 16 digits, for a handle in any case, with `@` or without.
    pub fn account(&self, handle: &str) -> String {
        format!("a_{}", self.digits("account", &handle_of(handle)))
    }

    /// `r_` and 16 digits, for a shortcode or a media number.
    pub fn reel(&self, name: &str) -> String {
        format!("r_{}", self.digits("reel", &shortcode_of(name)))
    }

    fn digits(&self, kind: &str, name: &str) -> String {
        let mut hmac = self.hmac.clone();
        hmac.update(kind.as_bytes());
        hmac.update(b"\0");
        hmac.update(name.as_bytes());
        hmac.finalize().into_bytes().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A handle as it is compared: lower-case, without `@`.
pub fn handle_of(name: &str) -> String {
    name.trim().trim_start_matches('@').to_lowercase()
}

/// The shortcode by which a Reel is known, of itself, of its media number, or of `123_456`, where 456 is its owner. Names
/// that are none of these stay.
pub fn shortcode_of(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    let number = name.split_once('_').map_or(name, |(number, owner)| if is_number(owner) { number } else { name });
    if is_number(number) && number.len() > SHORTCODE {
        return number.parse().map_or(Cow::Borrowed(name), |number: u64| Cow::Owned(shortcode(number)));
    }
    // Names of another make may be as long: shortcodes begin with these letters until 2037.
    let is_private = name.len() == SHORTCODE + SECRET
        && name.starts_with(['B', 'C', 'D', 'E', 'F'])
        && name.bytes().all(|letter| SHORTCODE_LETTERS.contains(&letter));
    Cow::Borrowed(if is_private { &name[..SHORTCODE] } else { name })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name in links of a Reel with this number.
pub fn shortcode(mut number: u64) -> String {
    let mut letters = Vec::new();
    while number > 0 {
        letters.push(SHORTCODE_LETTERS[(number % 64) as usize] as char);
        number /= 64;
    }
    letters.iter().rev().collect()
}

/// Whether a name is a pseudonym of an account (`a`) or a Reel (`r`).
pub fn is_pseudonym(name: &str, kind: char) -> bool {
    let digits = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('_'));
    digits.is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn reference() -> Value {
        serde_json::from_str(include_str!("../../../tests/reference/pseudonyms.json")).unwrap()
    }

    #[test]
    fn shortcodes_are_those_of_instaloader() {
        let pairs = reference()["shortcodes"].as_array().unwrap().clone();
        assert!(pairs.len() > 50);
        for pair in pairs {
            let (number, code) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            for name in [number, code, &format!("{number}_1234567")] {
                assert_eq!(shortcode_of(name), code, "{name}");
            }
            let private = format!("{code}{}", "x".repeat(SECRET));
            let is_recent = code.starts_with(['B', 'C', 'D']) && code.len() == SHORTCODE;
            assert_eq!(shortcode_of(&private), if is_recent { code } else { &private });
        }
        // Neither numbers nor shortcodes.
        for name in [
            "",
            "17",
            "2024_12",
            "reel-1",
            "1491421976-tidak-ada",
            "9".repeat(40).as_str(),
            "a_1",
            "é".repeat(30).as_str(),
        ] {
            assert_eq!(shortcode_of(name), name);
        }
    }

    #[test]
    fn pseudonyms_are_hmac_sha256() {
        let reference = reference();
        let bytes: Vec<u8> = (0..32).collect();
        let pseudonyms = Pseudonyms::new(&Key { bytes: bytes.try_into().unwrap(), is_new: false });
        for (handle, expected) in reference["accounts"].as_object().unwrap() {
            assert_eq!(pseudonyms.account(handle), *expected, "{handle}");
            assert!(is_pseudonym(&pseudonyms.account(handle), 'a'));
        }
        for (name, expected) in reference["reels"].as_object().unwrap() {
            assert_eq!(pseudonyms.reel(name), *expected, "{name}");
        }
        assert_ne!(pseudonyms.account("abc")[2..], pseudonyms.reel("abc")[2..]);
        for name in ["a_91bc", "r_0123456789abcdef", "a_0123456789abcdeg", "a_0123456789ABCDEF", "rani"] {
            assert!(!is_pseudonym(name, 'a'), "{name}");
        }
    }
}
