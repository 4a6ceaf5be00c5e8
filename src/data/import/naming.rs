//! What accounts and Reels are called in records.

use crate::data::privacy::{Pseudonyms, handle_of, is_pseudonym, shortcode_of};

/// Pseudonyms, or names as they are.
pub enum Naming {
    #[expect(missing_docs, reason = "the type says it")]
    Pseudonyms(Pseudonyms),
    /// Handles and shortcodes, with texts as they are.
    Raw,
}

impl Naming {
    /// Of a Reel by its shortcode or number.
    pub fn reel(&self, name: &str) -> String {
        match self {
            Naming::Pseudonyms(pseudonyms) => pseudonyms.reel(name),
            Naming::Raw => shortcode_of(name).into_owned(),
        }
    }

    /// Of an account by its handle, or its number where that is all that is known.
    pub fn account(&self, name: &str) -> String {
        match self {
            Naming::Pseudonyms(pseudonyms) => pseudonyms.account(name),
            Naming::Raw => handle_of(name),
        }
    }

    /// Whether a record's id is of this kind.
    pub fn made(&self, id: &str) -> bool {
        matches!(self, Naming::Pseudonyms(_)) == is_pseudonym(id, 'r')
    }

    /// For people.
    pub fn word(&self) -> &'static str {
        match self {
            Naming::Pseudonyms(_) => "pseudonyms",
            Naming::Raw => "names as they are (--raw)",
        }
    }

    /// The other kind, for people.
    pub fn other(&self) -> &'static str {
        match self {
            Naming::Pseudonyms(_) => "no pseudonym",
            Naming::Raw => "a pseudonym",
        }
    }
}
