//! Personal data in texts, and placeholders for them, by which an advertisement can still be told.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::find::find;
use super::fold::Folded;
use super::pseudonym::handle_of;
use crate::indonesian;
use crate::reel::Reel;

/// What placeholders stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[expect(missing_docs, reason = "the name says it")]
    Phone,
    #[expect(missing_docs, reason = "the name says it")]
    Email,
    /// Of an identity card.
    Nik,
    /// At a bank.
    Account,
    /// Of a vehicle.
    Plate,
    #[expect(missing_docs, reason = "the name says it")]
    Handle,
    #[expect(missing_docs, reason = "the name says it")]
    Link,
    /// Of a person, in full.
    Name,
}

/// How often something was found, by kind.
pub type Counts = BTreeMap<Kind, usize>;

impl Kind {
    #[expect(missing_docs, reason = "the name says it")]
    pub const ALL: [Kind; 8] =
        [Kind::Phone, Kind::Email, Kind::Nik, Kind::Account, Kind::Plate, Kind::Handle, Kind::Link, Kind::Name];

    /// What is written instead.
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Phone => "<TELP>",
            Kind::Email => "<EMAIL>",
            Kind::Nik => "<NIK>",
            Kind::Account => "<REKENING>",
            Kind::Plate => "<PLAT>",
            Kind::Handle => "<AKUN>",
            Kind::Link => "<TAUTAN>",
            Kind::Name => "<NAMA>",
        }
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Phone => "phone number",
            Kind::Email => "e-mail address",
            Kind::Nik => "NIK",
            Kind::Account => "bank account",
            Kind::Plate => "number plate",
            Kind::Handle => "handle",
            Kind::Link => "link",
            Kind::Name => "name",
        }
    }
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    #[expect(missing_docs, reason = "the type says it")]
    pub kind: Kind,
    /// In bytes.
    pub range: Range<usize>,
}

/// What is known of who posts.
pub struct Known<'a> {
    handles: &'a HashSet<Vec<u8>>,
    names: &'a HashSet<Vec<u8>>,
    own: HashSet<Vec<u8>>,
    /// In words.
    pub longest_name: usize,
}

impl Known<'_> {
    /// Whether a word is a handle: one of the post's own, or another one that can't be a word.
    pub fn is_handle(&self, word: &[u8]) -> bool {
        self.own.contains(word) || self.handles.contains(word)
    }

    /// Whether some words, a space between each two, are somebody's name.
    pub fn is_name(&self, words: &[u8]) -> bool {
        self.names.contains(words)
    }
}

/// Writes placeholders for personal data.
#[derive(Debug, Clone, Default)]
pub struct Scrubber {
    handles: HashSet<Vec<u8>>,
    names: HashSet<Vec<u8>>,
    longest_name: usize,
}

/// Letters from which on a handle that is no word is told from one.
const LONG: usize = 6;

/// Placeholders make room for few more finds; a text in which each one does is nobody's caption.
const PASSES: usize = 16;

impl Scrubber {
    /// Knows these handles, which are found without `@` too where they have a digit, dot or underscore, or enough letters that
    /// are no Indonesian word, and these full names where they have two words or more.
    pub fn new(
        handles: impl IntoIterator<Item = impl AsRef<str>>,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Scrubber {
        let is_no_word = |handle: &[u8]| {
            handle.len() >= LONG && std::str::from_utf8(handle).is_ok_and(|handle| !indonesian::is_word(handle))
        };
        let is_distinct = |handle: &Vec<u8>| {
            handle.iter().any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_')) || is_no_word(handle)
        };
        let mut longest_name = 0;
        let mut words = |name: &str| {
            let folded = Folded::of(name).bytes;
            let words: Vec<&[u8]> =
                folded.split(|byte| !super::fold::is_word(*byte)).filter(|word| !word.is_empty()).collect();
            let is_full = words.len() > 1;
            longest_name = if is_full { words.len().max(longest_name) } else { longest_name };
            is_full.then(|| words.join(&b' '))
        };
        let names = names.into_iter().filter_map(|name| words(name.as_ref())).collect();
        let handles = handles.into_iter().flat_map(|handle| forms(handle.as_ref())).filter(is_distinct).collect();
        Scrubber { handles, names, longest_name }
    }

    /// What of personal data a text has, in order. `own` are the handles of its account and of those it posts with, which are
    /// found without `@` whatever they look like.
    pub fn find(&self, text: &str, own: &[String]) -> Vec<Found> {
        let own = own.iter().flat_map(|handle| forms(handle)).filter(|handle| !handle.is_empty()).collect();
        let known = Known { handles: &self.handles, names: &self.names, own, longest_name: self.longest_name };
        let mut folded = Folded::of(text);
        let places = find(text, &mut folded, &known);
        let mut found: Vec<Found> = Vec::with_capacity(places.len());
        for (kind, start, end) in places {
            let range = folded.original(text, start, end);
            // Two within one letter, such as a sign of several.
            if found.last().is_none_or(|last| last.range.end <= range.start) && !range.is_empty() {
                found.push(Found { kind, range });
            }
        }
        found
    }

    /// The text with placeholders, and how many of each. Scrubbing it again changes nothing.
    pub fn scrub(&self, text: &str, own: &[String]) -> (String, Counts) {
        let (mut text, mut counts) = (text.to_owned(), Counts::new());
        for _ in 0..PASSES {
            let found = self.find(&text, own);
            if found.is_empty() {
                break;
            }
            let (mut scrubbed, mut at) = (String::with_capacity(text.len()), 0);
            for Found { kind, range } in found {
                scrubbed.push_str(&text[at..range.start]);
                scrubbed.push_str(kind.placeholder());
                at = range.end;
                *counts.entry(kind).or_default() += 1;
            }
            scrubbed.push_str(&text[at..]);
            text = scrubbed;
        }
        (text, counts)
    }

    /// Scrubs all texts of a Reel: caption, hashtags, transcript and gold answers.
    pub fn scrub_reel(&self, reel: &mut Reel, own: &[String]) -> Counts {
        let mut all = Counts::new();
        let texts = [&mut reel.caption, &mut reel.transcript].into_iter().flatten();
        let golds = reel.reference.values_mut().chain(reel.alternatives.values_mut().flatten());
        for text in texts.chain(&mut reel.hashtags).chain(golds) {
            let (scrubbed, counts) = self.scrub(text, own);
            *text = scrubbed;
            counts.into_iter().for_each(|(kind, count)| *all.entry(kind).or_default() += count);
        }
        all
    }
}

/// A handle, and as hashtags have it: without dots and underscores, where enough is left.
fn forms(handle: &str) -> impl Iterator<Item = Vec<u8>> + use<> {
    let handle = Folded::of(&handle_of(handle)).bytes;
    let mut bare = handle.clone();
    bare.retain(|byte| !matches!(byte, b'.' | b'_'));
    let is_other = bare.len() >= LONG && bare != handle;
    std::iter::once(handle).chain(is_other.then_some(bare))
}
