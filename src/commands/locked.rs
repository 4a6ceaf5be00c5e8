//! Which lock of a test set is kept to.

use std::path::Path;

use anyhow::Result;

use crate::data::known::Known;
use crate::data::lock::{Held, Index, Lock};
use crate::data::overlap::listed;
use crate::prompt::PromptSet;

/// Says which one it is, and whether its test set is still what was locked.
pub(super) fn announce(path: &Path, lock: &Lock) -> Result<()> {
    errln!("lock     {}: {} records, frozen since {}", path.display(), lock.records.len(), lock.created_at);
    if let Some(changed) = lock.changed(path)? {
        errln!(
            "warning: {} isn't what was locked in {}\nhint: bring it back: scores on other records can't be compared",
            changed.display(),
            path.display()
        );
    }
    Ok(())
}

/// Warns of locked records that prompts quote: whoever is shown them is judged by them later.
pub(super) fn warn_of_quotes(prompts: &PromptSet, path: &Path, lock: &Lock) {
    let index = Index::of(lock);
    let quoted = |(name, text): (&str, &str)| {
        let known = Known { id: name.to_owned(), account: None, text: text.to_owned(), others: vec![] };
        match index.holds(&known)? {
            Held::Copy(id, _) => Some(format!("{name} {id:?}")),
            Held::Id | Held::Account => None,
        }
    };
    let quoted: Vec<String> = prompts.files().filter_map(quoted).collect();
    if !quoted.is_empty() {
        errln!(
            "warning: the prompts quote the test set that {} froze: {}\nhint: take examples from other data",
            path.display(),
            listed(&quoted, 5)
        );
    }
}
