//! What was sent to a host and what came of it, line by line in `requests.jsonl`: before a request goes it is written there, so
//! that what was under way when the program was killed is known and counted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::reply::Usage;
use crate::error::Hint;
use crate::lines::Lines;
use crate::run::Log;

/// Bytes of a prompt a token, where nothing is known yet: fewer than in any language that is written with spaces.
const BYTES_A_TOKEN: u64 = 2;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// A request goes.
    Sent {
        /// Counts up in the log.
        request: u64,
        /// The first digits of the prompt's SHA-256.
        prompt: String,
        /// Of the prompt.
        bytes: u64,
        /// Of the answer, at most.
        max_tokens: u64,
    },
    /// It has come to something. One that has no such line was under way when the program ended.
    Came {
        request: u64,
        /// `None` where the host may have computed an answer that never arrived, or doesn't say what one took.
        usage: Option<Usage>,
        /// As the host calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
}

/// What requests have taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Requests sent.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Of these, taken from the host's cache.
    pub cached_tokens: u64,
    /// Tokens written by the model.
    pub completion_tokens: u64,
}

/// What all requests of a result have taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// As the host counted.
    pub counted: Tokens,
    /// Requests whose answers never arrived, such as those under way when the program was killed, or whose tokens the host
    /// didn't count: at most, with prompts counted
    /// as those of the same text or length were, and answers as long as they might have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Tokens>,
    /// Models that answered, as the host calls them.
    pub models: IndexSet<String>,
    /// The host's names for the way it computed.
    pub fingerprints: IndexSet<String>,
}

/// A request that has gone and hasn't come back.
#[derive(Debug, Clone, Copy)]
struct Open {
    prompt: u64,
    bytes: u64,
    max_tokens: u64,
}

/// Keeps account of requests.
#[derive(Debug)]
pub(super) struct Spending {
    log: Log,
    next: u64,
    account: Account,
}

/// What a log comes to.
#[derive(Debug, Default)]
struct Account {
    spent: Spent,
    /// Under way, or under way when the program ended.
    open: HashMap<u64, Open>,
    /// Came back without a count.
    lost: Vec<Open>,
    /// Of prompts that were counted, by their hash.
    counted: HashMap<u64, u64>,
    bytes: u64,
}

impl Account {
    fn read(path: &Path) -> Result<Account> {
        let mut account = Account::default();
        if !path.exists() {
            return Ok(account);
        }
        let lines = Lines::open(path, "log of requests")?;
        lines.each(|line| {
            match serde_json::from_slice(line.bytes) {
                Ok(line) => account.take(line),
                Err(_) if line.bytes.trim_ascii().is_empty() || !line.ended => {}
                Err(error) => {
                    let at = format!("{}:{}: not a request: {error}", lines.name(), line.place.number);
                    return Err(anyhow::anyhow!(at))
                        .hint("what was spent can't be known any more: name another --output");
                }
            }
            Ok(())
        })?;
        Ok(account)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Sent { request, prompt, bytes, max_tokens } => {
                let prompt = u64::from_str_radix(&prompt, 16).unwrap_or_default();
                self.spent.counted.requests += 1;
                self.open.insert(request, Open { prompt, bytes, max_tokens });
            }
            Line::Came { request, usage, model, fingerprint } => {
                let Some(open) = self.open.remove(&request) else { return };
                match usage {
                    Some(usage) => {
                        let counted = &mut self.spent.counted;
                        counted.prompt_tokens += usage.read;
                        counted.cached_tokens += usage.cached;
                        counted.completion_tokens += usage.written;
                        if usage.read > 0 {
                            self.counted.insert(open.prompt, usage.read);
                            self.bytes += open.bytes;
                        }
                    }
                    None => self.lost.push(open),
                }
                self.spent.models.extend(model);
                self.spent.fingerprints.extend(fingerprint);
            }
        }
    }

    /// Tokens of a prompt, as far as can be told: those of the same prompt, else a tenth more a byte than there
    /// have been.
    fn tokens(&self, open: &Open) -> u64 {
        self.counted.get(&open.prompt).copied().unwrap_or_else(|| match self.spent.counted.prompt_tokens {
            0 => open.bytes.div_ceil(BYTES_A_TOKEN),
            read => (open.bytes * read * 11).div_ceil(self.bytes * 10),
        })
    }

    fn at_most<'a>(&self, open: impl Iterator<Item = &'a Open>) -> Tokens {
        open.fold(Tokens::default(), |sum, open| Tokens {
            requests: sum.requests + 1,
            prompt_tokens: sum.prompt_tokens + self.tokens(open),
            cached_tokens: 0,
            completion_tokens: sum.completion_tokens + open.max_tokens,
        })
    }
}

impl Spent {
    /// What the requests of a result directory have taken; nothing where there were none.
    ///
    /// # Errors
    /// Names the line of the log that isn't one.
    pub fn read(folder: &Path) -> Result<Spent> {
        let account = Account::read(&requests_path(folder))?;
        let lost = account.at_most(account.lost.iter().chain(account.open.values()));
        Ok(Spent { lost: (lost.requests > 0).then_some(lost), ..account.spent })
    }

    /// The most that it can have been.
    pub fn at_most(&self) -> Tokens {
        let lost = self.lost.unwrap_or_default();
        Tokens {
            requests: self.counted.requests,
            prompt_tokens: self.counted.prompt_tokens + lost.prompt_tokens,
            cached_tokens: self.counted.cached_tokens,
            completion_tokens: self.counted.completion_tokens + lost.completion_tokens,
        }
    }
}

impl Spending {
    /// Goes on with the log of a result directory.
    pub(super) fn open(folder: &Path) -> Result<Spending> {
        let path = requests_path(folder);
        let log = Log::append_to(&path)?;
        let account = Account::read(&path)?;
        let next = account.spent.counted.requests;
        Ok(Spending { log, next, account })
    }

    /// Notes that a request goes now, and gives it a number.
    pub(super) fn sent(&mut self, prompt: u64, bytes: u64, max_tokens: u64) -> Result<u64> {
        let request = self.next;
        self.next += 1;
        self.note(Line::Sent { request, prompt: format!("{prompt:016x}"), bytes, max_tokens })?;
        Ok(request)
    }

    /// Notes what has come of it.
    pub(super) fn came(
        &mut self,
        request: u64,
        usage: Option<Usage>,
        model: Option<String>,
        fingerprint: Option<String>,
    ) -> Result<()> {
        self.note(Line::Came { request, usage, model, fingerprint })
    }

    /// Models that have answered.
    pub(super) fn models(&self) -> impl Iterator<Item = &str> {
        self.account.spent.models.iter().map(String::as_str)
    }

    fn note(&mut self, line: Line) -> Result<()> {
        self.log.append(&line)?;
        self.account.take(line);
        Ok(())
    }

    /// The most that will have been taken once all that is under way and one more request have come back.
    pub(super) fn with(&self, prompt: u64, bytes: u64, max_tokens: u64) -> Tokens {
        let next = Open { prompt, bytes, max_tokens };
        let open = self.account.lost.iter().chain(self.account.open.values()).chain([&next]);
        Spent { lost: Some(self.account.at_most(open)), ..self.account.spent.clone() }.at_most()
    }
}

/// The log in a result directory.
fn requests_path(folder: &Path) -> PathBuf {
    folder.join("requests.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(read: u64, written: u64) -> Option<Usage> {
        Some(Usage { read, cached: 0, written })
    }

    #[test]
    fn what_never_came_back_is_counted_at_most() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Spent::read(folder.path()).unwrap(), Spent::default());
        let mut spending = Spending::open(folder.path()).unwrap();
        for (prompt, bytes) in [(1, 400), (2, 800), (1, 400), (3, 100)] {
            spending.sent(prompt, bytes, 50).unwrap();
        }
        spending.came(0, usage(100, 7), Some("m".into()), None).unwrap();
        spending.came(1, None, None, None).unwrap();
        drop(spending);
        let Spent { counted, lost, models, .. } = Spent::read(folder.path()).unwrap();
        assert_eq!(counted, Tokens { requests: 4, prompt_tokens: 100, cached_tokens: 0, completion_tokens: 7 });
        // The second by its length, the third as the first, the fourth by its length.
        let prompts = 220 + 100 + 28;
        assert_eq!(
            lost,
            Some(Tokens { requests: 3, prompt_tokens: prompts, cached_tokens: 0, completion_tokens: 150 })
        );
        assert_eq!(models.len(), 1);
        let mut spending = Spending::open(folder.path()).unwrap();
        assert_eq!(spending.sent(4, 1, 1).unwrap(), 4, "numbers go on");
    }

    #[test]
    fn a_torn_line_is_one_that_never_came_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = requests_path(folder.path());
        let sent = r#"{"sent":{"request":0,"prompt":"01","bytes":20,"max_tokens":5}}"#;
        std::fs::write(&path, format!("{sent}\n{{\"came\":{{\"req")).unwrap();
        assert_eq!(Spent::read(folder.path()).unwrap().at_most().prompt_tokens, 10);
        std::fs::write(&path, format!("nonsense\n{sent}\n")).unwrap();
        let message = Spent::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("requests.jsonl:1: not a request"), "{message}");
    }

    #[test]
    fn a_budget_looks_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let mut spending = Spending::open(folder.path()).unwrap();
        assert_eq!(spending.with(1, 100, 8).prompt_tokens, 50);
        spending.sent(1, 100, 8).unwrap();
        let Tokens { requests, prompt_tokens, completion_tokens, .. } = spending.with(2, 200, 8);
        assert_eq!((requests, prompt_tokens, completion_tokens), (1, 150, 16));
        spending.came(0, usage(25, 1), None, None).unwrap();
        assert_eq!(spending.with(2, 200, 8).prompt_tokens, 25 + 55);
    }
}
