//! A folder belongs to one process at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Result, anyhow};

use super::timestamp;
use crate::error::{Hint, environment};

/// Held as long as something is written to a folder. The system gives it up with the process, however that ends.
#[derive(Debug)]
pub struct Claim {
    _file: Option<File>,
}

/// Says who holds a folder.
const NAME: &str = ".in-use";

impl Claim {
    /// Of a folder that is there.
    ///
    /// # Errors
    /// Names who holds it; of the environment where nothing can be written to it.
    pub fn of(folder: &Path) -> Result<Claim> {
        let path = folder.join(NAME);
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened
            .map_err(|error| environment(format!("cannot write to {}: {error}", folder.display())))
            .hint("name another --output")?;
        match file.try_lock() {
            Ok(()) => {
                let command = std::env::args_os().take(3).map(|part| part.to_string_lossy().into_owned());
                let command = command.collect::<Vec<String>>().join(" ");
                let holder = format!("process {} ({command}), since {}", std::process::id(), timestamp());
                let write = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
                write.map_err(|error| environment(format!("cannot write {}: {error}", path.display())))?;
                Ok(Claim { _file: Some(file) })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // It may just be writing.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                Err(anyhow!("{} is in use by {holder}", folder.display()))
                    .hint("wait for it or stop it; or name another --output")
            }
            Err(TryLockError::Error(error)) => {
                errln!("warning: {} can’t be locked ({error}): nothing keeps a second process out", folder.display());
                Ok(Claim { _file: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_until_its_holder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::of(folder.path()).unwrap();
        let error = Claim::of(folder.path()).unwrap_err().to_string();
        let holder = format!("is in use by process {} (", std::process::id());
        assert!(error.contains(&holder) && error.contains("), since 2"), "{error}");
        drop(first);
        assert!(Claim::of(folder.path()).is_ok());
        assert!(Claim::of(&folder.path().join("nowhere")).is_err());
    }
}
