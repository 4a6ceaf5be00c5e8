//! Personal data in records: pseudonyms for accounts and Reels, placeholders for what stands in texts, what is left, and
//! erasing somebody.

mod audit;
mod erase;
mod fields;
mod files;
mod find;
mod fold;
mod key;
mod pseudonym;
mod scrub;
#[cfg(test)]
mod scrub_tests;

pub use audit::{Audit, Left, Place, audit};
pub use erase::{Erased, Erasure, erase};
pub use files::Unread;
pub use key::Key;
pub use pseudonym::{Pseudonyms, SHORTCODE_LETTERS, handle_of, is_pseudonym, shortcode, shortcode_of};
pub use scrub::{Counts, Found, Kind, Scrubber};
