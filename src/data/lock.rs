//! `test.lock`: what a model will be judged by, as hashes: enough to find it in other data, and nothing to read.

mod copies;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::prelude::{BASE64_STANDARD, Engine};
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::copies::{Copy, Held, Index};
use super::dedup::fold::{folded, runs, shingles};
use super::dedup::near::Alike;
use super::dedup::signature::{FUNCTIONS, Signature};
use super::known::Known;
use crate::error::{Hint, environment};
use crate::publish::publish;
use crate::run::{sha256, sha256_file, timestamp};

/// Its name beside the data.
pub const FILE: &str = "test.lock";
const VERSION: u32 = 1;
/// What a folder has where a project begins: above it no lock is looked for.
const ROOTS: [&str; 2] = ["reels.toml", ".git"];

/// A frozen test set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lock {
    #[expect(missing_docs, reason = "the design says it")]
    pub v: u32,
    /// Its records: a file in the folder of the lock.
    pub data: String,
    /// SHA-256 of that file; `None` where it was never written.
    pub data_sha256: Option<String>,
    /// Estimate of the Jaccard index from which on a text is a copy of a locked one.
    pub similar: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub seed: u64,
    /// ISO 8601, UTC.
    pub created_at: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub records: Vec<Locked>,
}

/// A record of the test set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Locked {
    #[expect(missing_docs, reason = "the name says it")]
    pub id: String,
    /// `None` where it isn't known.
    pub account: Option<String>,
    /// SHA-256 of the folded text, without spaces; `None` where it is short.
    pub text: Option<String>,
    /// The text's runs of words.
    #[serde(flatten)]
    pub passage: Passage,
    /// Of what else is written of the record, see [`Known::others`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Passage>,
    /// Of the text's runs of letters.
    #[serde(with = "signature")]
    pub signature: Option<Signature>,
}

/// A text's runs of words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Words of the text, folded.
    pub words: usize,
    /// Hashes of its runs that aren't stock.
    #[serde(with = "hashes")]
    pub runs: Vec<u64>,
}

impl Passage {
    fn of(words: &[String], stock: &[u64]) -> Passage {
        let mut runs = runs(words);
        runs.retain(|run| stock.binary_search(run).is_err());
        Passage { words: words.len(), runs }
    }
}

impl Locked {
    fn of(known: &Known, stock: &[u64]) -> Locked {
        let words = folded(&known.text);
        let others = known.others.iter().map(|text| Passage::of(&folded(text), stock));
        Locked {
            id: known.id.clone(),
            account: known.account.clone(),
            text: (!words.is_empty()).then(|| sha256(words.concat().as_bytes())),
            passage: Passage::of(&words, stock),
            others: others.filter(|passage| !passage.runs.is_empty()).collect(),
            signature: Signature::of(&shingles(&words)),
        }
    }
}

impl Lock {
    /// Of these records; `stock` are hashes of runs that many texts have, in order: they tell nothing.
    ///
    /// # Errors
    /// Whatever `read` says.
    pub fn of(
        count: usize,
        read: impl Fn(usize) -> Result<Known> + Sync,
        alike: &Alike,
        stock: &[u64],
        seed: u64,
    ) -> Result<Lock> {
        let records = (0..count).into_par_iter().map(|at| Ok(Locked::of(&read(at)?, stock)));
        Ok(Lock {
            v: VERSION,
            data: "test.jsonl".into(),
            data_sha256: None,
            similar: alike.sure,
            seed,
            created_at: timestamp(),
            records: records.collect::<Result<_>>()?,
        })
    }

    /// Of records that are at hand, as those of `--held-out`.
    pub fn in_memory(known: &[Known]) -> Lock {
        let records = known.par_iter().map(|known| Locked::of(known, &[])).collect();
        let similar = Alike::among(known.len()).sure;
        Lock { v: VERSION, data: String::new(), data_sha256: None, similar, seed: 0, created_at: timestamp(), records }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// Names the file, and what in it isn't as it was written.
    pub fn read(path: &Path) -> Result<Lock> {
        let name = path.display();
        let another = "name another with --lock; a damaged one comes back from a backup, never from another split";
        let text = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let head: Head = serde_json::from_slice(&text)
            .map_err(|error| anyhow!("{name}: no lock of a test set, or a damaged one: {error}").hint(another))?;
        ensure!(
            head.v == VERSION,
            anyhow!("{name}: version {}, and this program reads version {VERSION}", head.v)
                .hint("read it with the program that wrote it")
        );
        let lock: Lock = serde_json::from_slice(&text)
            .map_err(|error| anyhow!("{name}: no lock of a test set, or a damaged one: {error}").hint(another))?;
        let mut ids: Vec<&str> = lock.records.iter().map(|record| record.id.as_str()).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            bail!(anyhow!("{name}: damaged: id {:?} is in it twice", twice[0]).hint(another));
        }
        ensure!(!ids.is_empty(), anyhow!("{name}: damaged: it locks nothing").hint(another));
        ensure!(
            (0.05..=1.0).contains(&lock.similar),
            anyhow!("{name}: damaged: \"similar\" is {}, not between 0.05 and 1", lock.similar).hint(another)
        );
        let is_name = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
        ensure!(is_name(&lock.data), anyhow!("{name}: damaged: {:?} is no file's name", lock.data).hint(another));
        Ok(lock)
    }

    /// Writes it.
    ///
    /// # Errors
    /// Of the environment, and names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        publish(path, |file| {
            serde_json::to_writer(file, self)
                .map_err(|error| environment(format!("cannot write {}: {error}", path.display())))
        })
    }

    /// The lock that goes with data: the one named, else one in these folders, else above the last of them, up to the folder
    /// where the project begins.
    ///
    /// # Errors
    /// As [`Lock::read`]; when the one named isn't there.
    pub fn find(named: Option<&Path>, folders: &[&Path]) -> Result<Option<(PathBuf, Lock)>> {
        let path = match named {
            Some(path) => Some(path.to_owned()),
            None => searched(folders),
        };
        path.map(|path| Lock::read(&path).map(|lock| (path, lock))).transpose()
    }

    /// The file of its records, where it is there and is another one than when it was locked.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn changed(&self, path: &Path) -> Result<Option<PathBuf>> {
        let data = path.with_file_name(&self.data);
        let Some(locked) = self.data_sha256.as_ref().filter(|_| data.is_file()) else { return Ok(None) };
        Ok((sha256_file(&data)? != *locked).then_some(data))
    }
}

/// What is read first, so that a later version is told as one.
#[derive(Deserialize)]
struct Head {
    v: u32,
}

/// The folder that holds a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn searched(folders: &[&Path]) -> Option<PathBuf> {
    let there = |folder: &Path| Some(folder.join(FILE)).filter(|path| path.is_file());
    if let Some(found) = folders.iter().find_map(|folder| there(folder)) {
        return Some(found);
    }
    let last = folders.last()?.canonicalize().ok()?;
    let is_root = |folder: &&Path| ROOTS.iter().any(|root| folder.join(root).exists());
    let above: Vec<&Path> = last.ancestors().collect();
    let root = above.iter().position(is_root)?;
    above[..=root].iter().find_map(|folder| there(folder))
}

/// 8 bytes each, the lowest first, as base64.
mod hashes {
    use super::{BASE64_STANDARD, Deserialize, Deserializer, Engine, Serializer};
    use serde::de::Error;

    pub fn serialize<S: Serializer>(hashes: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let bytes = BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let (hashes, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(D::Error::custom(format!("runs are 8 bytes each, found {}", bytes.len())));
        }
        Ok(hashes.iter().map(|hash| u64::from_le_bytes(*hash)).collect())
    }
}

/// A byte of each function, as base64.
mod signature {
    use super::{BASE64_STANDARD, Deserialize, Deserializer, Engine, FUNCTIONS, Serializer, Signature};
    use serde::de::Error;

    pub fn serialize<S: Serializer>(signature: &Option<Signature>, serializer: S) -> Result<S::Ok, S::Error> {
        match signature {
            Some(signature) => serializer.serialize_some(&BASE64_STANDARD.encode(signature.0)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Signature>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        let found = bytes.len();
        let bytes = bytes.try_into();
        bytes
            .map(|bytes| Some(Signature(bytes)))
            .map_err(|_| D::Error::custom(format!("a signature is {FUNCTIONS} bytes, found {found}")))
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
