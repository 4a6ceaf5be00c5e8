//! The key that pseudonyms are made with.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use crate::error::{Hint, environment};

const BYTES: usize = 32;

/// 32 random bytes; whoever has them can tell which handle a pseudonym stands for.
#[derive(Clone)]
pub struct Key {
    pub(super) bytes: [u8; BYTES],
    /// Whether it was made just now.
    pub is_new: bool,
}

impl Key {
    /// Reads the key, 64 hexadecimal digits; `None` where there is no file.
    ///
    /// # Errors
    /// Names the file that can't be read or holds something else.
    pub fn read(path: &Path) -> Result<Option<Key>> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read the key {}", path.display()))?,
        };
        let bytes = parse(&text)
            .map_err(|found| anyhow!("{} holds no key: {found}, expected 64 hexadecimal digits", path.display()))
            .hint("name the key's file with --key; a new key would give everybody another pseudonym")?;
        Ok(Some(Key { bytes, is_new: false }))
    }

    /// Reads the key, or makes one that only its owner can read where there is no file.
    ///
    /// # Errors
    /// As [`Key::read`]; of the environment where it can't be written.
    pub fn read_or_create(path: &Path) -> Result<Key> {
        if let Some(key) = Key::read(path)? {
            return Ok(key);
        }
        let cannot = |error: std::io::Error| environment(format!("cannot write the key {}: {error}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        }
        let bytes: [u8; BYTES] = rand::random();
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let made = File::options().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match made {
            // Somebody else was faster: one key for both.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let Some(key) = Key::read(path)? else { bail!(cannot(error)) };
                return Ok(key);
            }
            made => made.map_err(cannot)?,
        };
        writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(cannot)?;
        Ok(Key { bytes, is_new: true })
    }

    /// What to tell whoever has a new key.
    pub fn advice(path: &Path) -> String {
        format!(
            "made the key of pseudonyms, {}: keep it, and keep it apart from the data. The same key gives the same pseudonyms on \
             another machine; without it nobody can tell who is who, nor be erased by their handle",
            path.display()
        )
    }
}

/// The error says what was found instead.
fn parse(text: &[u8]) -> Result<[u8; BYTES], String> {
    let digits = text.trim_ascii();
    if digits.len() != 2 * BYTES {
        return Err(format!("{} characters", digits.len()));
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let value = |digit: u8| (digit as char).to_digit(16);
        let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
            return Err(format!("{:?}", String::from_utf8_lossy(pair)));
        };
        *byte = (16 * high + low) as u8;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::{Kind, Shown};

    #[test]
    fn made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reels/pseudonyms.key");
        assert!(Key::read(&path).unwrap().is_none());
        let made = Key::read_or_create(&path).unwrap();
        let again = Key::read_or_create(&path).unwrap();
        assert!(made.is_new && !again.is_new && made.bytes == again.bytes);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() == 65 && text.ends_with('\n'), "{text:?}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let other = Key::read_or_create(&folder.path().join("b.key")).unwrap();
        assert_ne!(made.bytes, other.bytes);
        assert!(Key::advice(&path).contains("reels/pseudonyms.key: keep it"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        for (text, expected) in [
            ("", "a.key holds no key: 0 characters, expected 64"),
            ("abc\n", "holds no key: 3 characters"),
            (&"0g".repeat(32), "holds no key: \"0g\""),
            (&"ab".repeat(33), "holds no key: 66 characters"),
        ] {
            fs::write(&path, text).unwrap();
            let message = Shown::of(&Key::read_or_create(&path).err().unwrap()).to_string();
            assert!(message.contains(expected) && message.contains("hint: name the key's file"), "{message}");
        }
        let nowhere = Key::read_or_create(Path::new("/proc/none/a.key")).err().unwrap();
        assert_eq!(Kind::of(&nowhere), Kind::Environment);
    }
}
