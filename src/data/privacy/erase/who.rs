//! Who is to be erased, by all names under which files may have them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::pseudonym::{Pseudonyms, handle_of, is_pseudonym, shortcode_of};
use super::rewrite::Tally;

/// Names, each with the number of the id that was given for it.
pub struct Who {
    given: usize,
    accounts: HashMap<String, usize>,
    reels: HashMap<String, usize>,
}

/// What of a record, prediction or row says whose it is.
#[derive(Debug, Default, Deserialize)]
pub struct Names {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    reel_id: Value,
    #[serde(default)]
    account: Value,
    #[serde(default)]
    source: Value,
    /// Of a text that was generated, beside it in the log of the stage.
    #[serde(default)]
    seeds: Value,
}

impl Who {
    pub fn of(ids: &[String], pseudonyms: Option<&Pseudonyms>) -> Who {
        let mut who = Who { given: ids.len(), accounts: HashMap::new(), reels: HashMap::new() };
        for (given, id) in ids.iter().enumerate() {
            let (handle, shortcode) = (handle_of(id), shortcode_of(id));
            who.accounts.entry(handle.clone()).or_insert(given);
            who.reels.entry(shortcode.clone().into_owned()).or_insert(given);
            if let Some(pseudonyms) = pseudonyms.filter(|_| !is_pseudonym(id, 'a') && !is_pseudonym(id, 'r')) {
                who.accounts.entry(pseudonyms.account(&handle)).or_insert(given);
                who.reels.entry(pseudonyms.reel(&shortcode)).or_insert(given);
            }
        }
        who
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.accounts.len() + self.reels.len()
    }

    /// All of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().chain(self.reels.keys()).map(String::as_str)
    }

    /// The id for which something goes, and whether its account is why; a record's own id is known from then on, so that its
    /// answers and children go too.
    pub fn learn(&mut self, names: &Names) -> Option<(usize, bool)> {
        let found = self.find(names)?;
        for id in [&names.id, &names.reel_id].into_iter().filter_map(text) {
            self.reels.entry(shortcode_of(&id).into_owned()).or_insert(found.0);
        }
        Some(found)
    }

    /// See [`Who::learn`].
    pub fn find(&self, names: &Names) -> Option<(usize, bool)> {
        let account = |value: &Value| self.accounts.get(&handle_of(&text(value)?)).copied();
        let reel = |value: &Value| self.reels.get(shortcode_of(&text(value)?).as_ref()).copied();
        let listed = |name: &str| names.source[name].as_array().into_iter().flatten();
        let by_account = account(&names.account).or_else(|| listed("with").find_map(account));
        if let Some(given) = by_account {
            return Some((given, true));
        }
        let seeds = || listed("seeds").chain(names.seeds.as_array().into_iter().flatten());
        let by_id = reel(&names.id).or_else(|| reel(&names.reel_id)).or_else(|| seeds().find_map(reel));
        by_id.map(|given| (given, false))
    }

    /// By id given, how much goes for it.
    pub fn counts<'a>(&self, tallies: impl Iterator<Item = &'a Tally>) -> Vec<usize> {
        let mut counts = vec![0; self.given];
        for (given, count) in tallies.flat_map(|tally| &tally.by_given) {
            counts[*given] += count;
        }
        counts
    }
}

/// Ids may be numbers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
