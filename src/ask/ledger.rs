//! The ledger of evaluations: which models and prompts have been judged by which data. Whoever picks the best of many on one set
//! of data sees it better than it is.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use crate::error::Hint;
use crate::lines::Lines;
use crate::run::{Log, sha256, timestamp};

/// In the directory that a command is run in.
pub const LEDGER: &str = "eval/ledger.jsonl";

/// One evaluation, a line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Format version, 1.
    pub v: u32,
    /// ISO 8601, UTC.
    pub at: String,
    /// The command's name.
    pub command: String,
    /// Identity of the records.
    pub data_sha256: String,
    /// For people.
    pub data: String,
    /// `None` where it isn't known.
    pub model: Option<String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub prompts_sha256: Option<String>,
    /// SHA-256 of all that makes answers others: model, adapter, prompts and settings; of the answers where these aren't known.
    pub variant: String,
    /// Result directory.
    pub output: String,
}

impl Evaluation {
    /// `None` for a baseline, among which nobody chooses, and without data. `answers` is their hash, for where it isn't known what
    /// made them.
    pub fn of(manifest: &Manifest, answers: Option<String>, output: &Path) -> Option<Evaluation> {
        let data = manifest.data.as_ref()?;
        let model = manifest.model.as_ref().map(|model| model.name.clone());
        if model.as_ref().is_some_and(|model| model.starts_with("baseline:")) {
            return None;
        }
        let of = |key| manifest.inputs.get(key).cloned().flatten();
        let hashes = match model {
            Some(_) => ["model_sha256", "adapter_sha256", "prompts_sha256", "settings_sha256"].map(of).to_vec(),
            None => vec![answers],
        };
        Some(Evaluation {
            v: 1,
            at: timestamp(),
            command: manifest.command.clone().unwrap_or_default(),
            data_sha256: data.sha256.clone(),
            data: data.path.clone(),
            model,
            prompts_sha256: of("prompts_sha256"),
            variant: sha256(serde_json::json!(hashes).to_string().as_bytes()),
            output: output.display().to_string(),
        })
    }

    /// Notes it, unless the same was noted before. How many variants have been judged by this data, this one included.
    ///
    /// # Errors
    /// Names the ledger, and its line that is no evaluation.
    pub fn note(&self) -> Result<usize> {
        let path = Path::new(LEDGER);
        let mut variants: IndexSet<String> = variants(path, &self.data_sha256)?;
        if variants.insert(self.variant.clone()) {
            std::fs::create_dir_all(path.parent().unwrap_or(path)).with_context(|| format!("cannot make {LEDGER}"))?;
            Log::append_to(path)?.append(self)?;
        }
        Ok(variants.len())
    }
}

/// The variants that a ledger has of some data, in order.
fn variants(path: &Path, data_sha256: &str) -> Result<IndexSet<String>> {
    let mut found = IndexSet::new();
    if !path.exists() {
        return Ok(found);
    }
    anyhow::ensure!(path.is_file(), "{LEDGER} is no file");
    let lines = Lines::open(path, "ledger")?;
    lines.each(|line| {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice::<Evaluation>(line.bytes) {
            Ok(evaluation) if evaluation.data_sha256 == data_sha256 => drop(found.insert(evaluation.variant)),
            Ok(_) => {}
            // A torn last line is cut off before the next one.
            Err(_) if !line.ended => {}
            Err(error) => {
                return Err(anyhow::anyhow!("{LEDGER}:{}: not an evaluation: {error}", line.place.number))
                    .hint("remove the line, or the whole file to begin a new one");
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// How many variants this directory's ledger has of any of these data; 0 where it has none or can't be read.
pub fn variants_of<'a>(data: impl IntoIterator<Item = &'a str>) -> usize {
    let data: BTreeSet<&str> = data.into_iter().collect();
    data.into_iter()
        .filter_map(|data| variants(Path::new(LEDGER), data).ok())
        .map(|found| found.len())
        .max()
        .unwrap_or(0)
}
