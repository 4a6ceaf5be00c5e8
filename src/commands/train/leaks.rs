//! Whether training data holds what a model is judged by.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};

use crate::ask::Records;
use crate::commands::locked::{announce, warn_of_quotes};
use crate::config::TrainSettings;
use crate::data::dedup::COMMON;
use crate::data::known::Known;
use crate::data::lock::{Copy, Index, Lock, folder_of};
use crate::data::overlap::{Copied, Overlap, listed};
use crate::error::Hint;
use crate::lines::Snapshot;
use crate::prompt::PromptSet;
use crate::train::conversations;

const SHOWN: usize = 10;

/// Looks at each two of training, dev and held-out data; what a lock freezes is held out too.
///
/// # Errors
/// When dev data and held-out data are the same, and names the texts of the training data that are copies of held-out ones.
pub fn check(settings: &TrainSettings, prompts: &PromptSet) -> Result<()> {
    let read = |path: &Option<_>| path.as_deref().map(Data::read).transpose();
    let (dev, held_out) = (read(&settings.dev)?, read(&settings.held_out)?);
    if let (Some(dev), Some(held_out)) = (&dev, &held_out) {
        ensure!(
            dev.sha256 != held_out.sha256,
            anyhow!("--dev {} and --held-out {} are the same data", dev.name, held_out.name).hint(
                "the best step is chosen on dev data, so what is held out has to be other data: name another for one of them"
            )
        );
    }
    let found = Lock::find(settings.lock.as_deref(), &[folder_of(&settings.data)])?;
    if let Some((path, lock)) = &found {
        announce(path, lock)?;
        warn_of_quotes(prompts, path, lock);
    }
    if dev.is_none() && held_out.is_none() && found.is_none() {
        return Ok(());
    }
    let data = Data::read(&settings.data)?;
    let named = held_out.as_ref().map(|held_out| (held_out.name.clone(), Lock::in_memory(&held_out.known)));
    let locked = found.map(|(path, lock)| (path.display().to_string(), lock));
    for (name, lock) in named.iter().chain(&locked) {
        data.keep_out(name, lock)?;
        if let Some(dev) = &dev {
            dev.warn_of_locked(name, lock)?;
        }
    }
    if let Some(dev) = &dev {
        data.warn(dev, "the loss on it says less");
    }
    Ok(())
}

/// A file's records or conversations.
struct Data {
    name: String,
    sha256: String,
    known: Vec<Known>,
}

impl Data {
    fn read(path: &Path) -> Result<Data> {
        let opened = Snapshot::open(path, "data file")?;
        let name = opened.lines.name().to_owned();
        if conversations::are_conversations(&opened.lines)? {
            let texts = conversations::texts(&opened.lines)?.into_iter();
            let known = texts.map(|(id, text)| Known { id, text, ..Known::default() }).collect();
            return Ok(Data { name, sha256: opened.sha256, known });
        }
        let records = Records::of(&opened, &[])?;
        let known = records.reels()?.iter().map(Known::from).collect();
        Ok(Data { name, sha256: records.sha256, known })
    }

    /// Refuses data with copies of what is held out, and warns of its accounts.
    fn keep_out(&self, name: &str, lock: &Lock) -> Result<()> {
        let copies = self.copies(lock)?;
        if !copies.is_empty() {
            let texts: BTreeSet<&str> = copies.iter().map(|copy| copy.original.as_str()).collect();
            bail!(
                anyhow!(
                    "{}: there are copies in it of {} texts of {name}: {}",
                    self.name,
                    texts.len(),
                    listed(&copies, SHOWN)
                )
                .hint("take them out, or the scores on what is held out mean nothing")
            );
        }
        self.warn_of_accounts(name, &self.accounts(lock), "the scores on what is held out say less of new accounts");
        Ok(())
    }

    fn warn_of_locked(&self, name: &str, lock: &Lock) -> Result<()> {
        let why = "the best step is chosen on what it is judged by";
        self.warn_of_copies(name, &self.copies(lock)?, why);
        self.warn_of_accounts(name, &self.accounts(lock), why);
        Ok(())
    }

    /// Records that are locked, or copies of such.
    fn copies(&self, lock: &Lock) -> Result<Vec<Copied>> {
        let index = Index::of(lock);
        let found = index.copies(self.known.len(), &|at| Ok(self.known[at].clone()), COMMON)?;
        let copied = |copy: Copy| Copied {
            id: self.known[copy.at].id.clone(),
            original: index.name(copy.of).to_owned(),
            likeness: copy.likeness,
        };
        Ok(found.into_iter().map(copied).collect())
    }

    /// Accounts that are in the lock too, in order of name.
    fn accounts(&self, lock: &Lock) -> Vec<String> {
        let index = Index::of(lock);
        let shared = self.known.iter().filter_map(|known| known.account.as_ref());
        let shared: BTreeSet<&String> = shared.filter(|account| index.has_account(account)).collect();
        shared.into_iter().cloned().collect()
    }

    fn warn(&self, originals: &Data, why: &str) {
        let Overlap { accounts, copies } = Overlap::of(&self.known, &originals.known);
        self.warn_of_copies(&originals.name, &copies, why);
        self.warn_of_accounts(&originals.name, &accounts, why);
    }

    fn warn_of_copies(&self, name: &str, copies: &[Copied], why: &str) {
        if !copies.is_empty() {
            let texts: BTreeSet<&str> = copies.iter().map(|copy| copy.original.as_str()).collect();
            errln!(
                "warning: {} has copies of {} texts of {name}, so {why}: {}",
                self.name,
                texts.len(),
                listed(copies, 1)
            );
        }
    }

    fn warn_of_accounts(&self, name: &str, accounts: &[String], why: &str) {
        if !accounts.is_empty() {
            let count =
                if accounts.len() == 1 { "1 account is".into() } else { format!("{} accounts are", accounts.len()) };
            errln!("warning: {count} in {} and in {name}, so {why}: {}", self.name, listed(accounts, SHOWN));
        }
    }
}
