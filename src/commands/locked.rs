//! Which lock of a test set is kept to.

use std::path::Path;

use anyhow::Result;

use crate::data::lock::Lock;

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
