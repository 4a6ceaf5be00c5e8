//! Whether training data holds what a model is judged by.

use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};

use crate::ask::Records;
use crate::config::TrainSettings;
use crate::data::overlap::{Known, Overlap, listed};
use crate::error::Hint;
use crate::lines::Snapshot;
use crate::train::conversations;

const SHOWN: usize = 10;

/// Looks at each two of training, dev and held-out data.
///
/// # Errors
/// When dev data and held-out data are the same, and names the texts of the training data that are copies of held-out ones.
pub fn check(settings: &TrainSettings) -> Result<()> {
    let read = |path: &Option<_>| path.as_deref().map(Data::read).transpose();
    let (dev, held_out) = (read(&settings.dev)?, read(&settings.held_out)?);
    if dev.is_none() && held_out.is_none() {
        return Ok(());
    }
    let data = Data::read(&settings.data)?;
    if let Some(held_out) = &held_out {
        let overlap = data.overlap(held_out);
        if !overlap.copies.is_empty() {
            bail!(
                anyhow!(
                    "{}: there are copies in it of {} texts of {}: {}",
                    data.name,
                    overlap.copies.len(),
                    held_out.name,
                    listed(&overlap.copies, SHOWN)
                )
                .hint("take them out, or the scores on what is held out mean nothing")
            );
        }
        data.warn_of_accounts(held_out, &overlap, "the scores on what is held out say less of new accounts");
    }
    if let Some(dev) = &dev {
        data.warn(dev, "the loss on it says less");
    }
    if let (Some(dev), Some(held_out)) = (&dev, &held_out) {
        ensure!(
            dev.sha256 != held_out.sha256,
            anyhow!("--dev {} and --held-out {} are the same data", dev.name, held_out.name).hint(
                "the best step is chosen on dev data, so what is held out has to be other data: name another for one of them"
            )
        );
        dev.warn(held_out, "the best step is chosen on what it is judged by");
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
            let known = texts.map(|(id, text)| Known { id, account: None, text }).collect();
            return Ok(Data { name, sha256: opened.sha256, known });
        }
        let records = Records::of(opened, &[])?;
        let known = records.reels()?.iter().map(Known::from).collect();
        Ok(Data { name, sha256: records.sha256, known })
    }

    fn overlap(&self, originals: &Data) -> Overlap {
        Overlap::of(&self.known, &originals.known)
    }

    fn warn(&self, originals: &Data, why: &str) {
        let overlap = self.overlap(originals);
        if !overlap.copies.is_empty() {
            errln!(
                "warning: {} has copies of {} texts of {}, so {why}: {}",
                self.name,
                overlap.copies.len(),
                originals.name,
                listed(&overlap.copies, 1)
            );
        }
        self.warn_of_accounts(originals, &overlap, why);
    }

    fn warn_of_accounts(&self, originals: &Data, Overlap { accounts, .. }: &Overlap, why: &str) {
        if !accounts.is_empty() {
            let count =
                if accounts.len() == 1 { "1 account is".into() } else { format!("{} accounts are", accounts.len()) };
            errln!(
                "warning: {count} in {} and in {}, so {why}: {}",
                self.name,
                originals.name,
                listed(accounts, SHOWN)
            );
        }
    }
}
