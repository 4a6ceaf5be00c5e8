//! Result directories: choosing one, and refusing one that holds other results.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::publish::Draft;
use crate::run::{EnvironmentFailure, timestamp};

const RUNS: &str = "eval/runs";
const LATEST: &str = "eval/latest";

/// The directory of an evaluation for which none was named: that of an unfinished run with the same inputs, else a
/// new one.
pub(super) fn choose(inputs: &Value) -> Result<PathBuf> {
    let key = &crate::run::sha256(inputs.to_string().as_bytes())[..8];
    let mut runs: Vec<PathBuf> = std::fs::read_dir(RUNS)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    runs.sort();
    let unfinished = runs.into_iter().rev().find(|folder| {
        folder.to_string_lossy().ends_with(&format!("-{key}"))
            && manifest(folder).is_ok_and(|manifest| {
                manifest.is_some_and(|manifest| manifest["inputs"] == *inputs && manifest["finished_at"].is_null())
            })
    });
    let time = timestamp().replace([':', '-'], "").replace('T', "-").replace('Z', "");
    Ok(unfinished.unwrap_or_else(|| Path::new(RUNS).join(format!("{time}-{key}"))))
}

/// Makes the directory, and refuses it when it holds results of other inputs.
pub(super) fn open(folder: &Path, inputs: &Value) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        EnvironmentFailure(format!(
            "cannot make the result directory {}: {error}\nhint: name another with --output",
            folder.display()
        ))
    })?;
    let predictions = crate::predict::predictions_path(folder);
    let Some(manifest) = manifest(folder)? else {
        if predictions.exists() {
            bail!("{} holds predictions without a manifest.json\nhint: name another --output", folder.display());
        }
        return Ok(());
    };
    let earlier = &manifest["inputs"];
    let differs = inputs.as_object().into_iter().flatten().find(|(key, value)| earlier[key.as_str()] != **value);
    if let Some((key, value)) = differs {
        bail!(
            "{} holds results of another {}: {} there, {} now\nhint: name another --output, or delete the directory",
            folder.display(),
            key.trim_end_matches("_sha256"),
            short(&earlier[key.as_str()]),
            short(value)
        );
    }
    Ok(())
}

/// The manifest of a directory, if it has one.
pub(super) fn manifest(folder: &Path) -> Result<Option<Value>> {
    let path = folder.join("manifest.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let value =
        serde_json::from_str(&text).with_context(|| format!("{}\nhint: name another --output", path.display()))?;
    Ok(Some(value))
}

/// Points `eval/latest` at a run below `eval/runs`.
pub(super) fn point_latest_at(folder: &Path) -> Result<()> {
    let Ok(below) = folder.strip_prefix("eval") else { return Ok(()) };
    let link = Draft::of(Path::new(LATEST));
    std::os::unix::fs::symlink(below, link.path())
        .map_err(|error| EnvironmentFailure(format!("cannot point {LATEST} at {}: {error}", folder.display())))?;
    link.publish()
}

fn short(value: &Value) -> String {
    match value.as_str() {
        Some(hash) => hash.chars().take(12).collect(),
        None => value.to_string(),
    }
}
