//! Whether what a model is judged by was there for it to see: in what it learned from, or in the prompts.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use super::locked::warn_of_quotes;
use crate::ask::{LearnedFrom, Manifest, Records};
use crate::config::{ModelName, PredictSettings};
use crate::data::dedup::{Collection, text};
use crate::data::known::Known;
use crate::data::lock::{Lock, folder_of};
use crate::data::overlap::{Overlap, listed};
use crate::gguf;
use crate::prompt::PromptSet;
use crate::reel::Reel;

/// Looks, warns, and notes it in the manifest.
pub(super) fn note(
    manifest: &mut Manifest,
    settings: &PredictSettings,
    prompts: &PromptSet,
    records: &Records,
    reels: &[Reel],
) -> Result<()> {
    manifest.learned_from = learned_from(settings, records, reels)?;
    if let Some(learned) = &manifest.learned_from {
        let from = learned.path.as_ref().map_or_else(String::new, |path| format!(" ({path})"));
        let LearnedFrom { same, copies, accounts, .. } = *learned;
        errln!(
            "warning: {}\nhint: judge it by data it hasn't seen",
            if same {
                format!("the model learned from this very data{from}: its scores say nothing of other Reels")
            } else {
                format!(
                    "of {} Reels {copies} have near copies in what the model learned from{from}, and {accounts} accounts are \
                     in both: its scores are too good",
                    reels.len()
                )
            }
        );
    }
    let texts = Collection::new(prompts.files().map(|(_, text)| text));
    let quoted = reels.iter().filter(|reel| texts.quotes(text(reel))).map(|reel| reel.id.clone());
    // Baselines read no prompts.
    let reads_prompts = !matches!(settings.model, ModelName::Baseline(_));
    manifest.quoted_in_prompts = if reads_prompts { quoted.collect() } else { vec![] };
    if !manifest.quoted_in_prompts.is_empty() {
        errln!(
            "warning: the prompts quote {} of the Reels asked about: {}\nhint: take examples from other data",
            manifest.quoted_in_prompts.len(),
            listed(&manifest.quoted_in_prompts, 5)
        );
    } else if let (true, Some(data)) = (reads_prompts, &settings.data)
        && let Some((path, lock)) = Lock::find(None, &[folder_of(data)])?
    {
        warn_of_quotes(prompts, &path, &lock);
    }
    Ok(())
}

/// What was learned from, where it has anything in common with the records.
fn learned_from(settings: &PredictSettings, records: &Records, reels: &[Reel]) -> Result<Option<LearnedFrom>> {
    let Some((path, sha256)) = learning_data(settings) else { return Ok(None) };
    let shown = path.as_ref().map(|path| path.display().to_string());
    // Earlier versions noted the hash of the file.
    if sha256.as_ref().is_some_and(|sha256| [&records.sha256, &records.file_sha256].contains(&sha256)) {
        return Ok(Some(LearnedFrom { path: shown, same: true, ..LearnedFrom::default() }));
    }
    // What isn't there any more, or has changed since, can't be compared.
    let learned = path.filter(|path| path.is_file()).and_then(|path| Records::open(Some(&path)).ok());
    let is_it = |learned: &Records| {
        sha256.as_ref().is_none_or(|sha256| [&learned.sha256, &learned.file_sha256].contains(&sha256))
    };
    let Some(learned) = learned.filter(is_it) else {
        return Ok(None);
    };
    if learned.sha256 == records.sha256 {
        return Ok(Some(LearnedFrom { path: shown, same: true, ..LearnedFrom::default() }));
    }
    // Conversations have been compared at training, if at all.
    let Ok(learned) = learned.read() else { return Ok(None) };
    let known = |reels: &[Reel]| reels.iter().map(Known::from).collect::<Vec<Known>>();
    let Overlap { accounts, copies } = Overlap::of(&known(&learned), &known(reels));
    let shared = LearnedFrom { path: shown, same: false, copies: copies.len(), accounts: accounts.len() };
    Ok((shared.copies + shared.accounts > 0).then_some(shared))
}

/// File and SHA-256 of what was learned from, as far as they are known.
fn learning_data(settings: &PredictSettings) -> Option<(Option<PathBuf>, Option<String>)> {
    if let Some(train) = &settings.train {
        return Some((Some(train.clone()), None));
    }
    let ModelName::Gguf(model) = &settings.model else { return None };
    let of = |path: &Path| {
        let sha256 = gguf::read_header(path).ok()?.text("reels.data_sha256")?.to_owned();
        let beside = std::fs::read(gguf::sidecar(path)).ok();
        let beside = beside.and_then(|text| serde_json::from_slice::<Value>(&text).ok()).unwrap_or_default();
        Some((beside["data"]["path"].as_str().map(PathBuf::from), Some(sha256)))
    };
    settings.adapter.iter().chain([model]).find_map(|path| of(path))
}
