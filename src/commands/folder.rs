//! Result directories: choosing one, and refusing one that holds other results.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};

use serde_json::Value;

use crate::ask::{Inputs, Manifest};
use crate::data::overlap::listed;
use crate::error::{Hint, environment};
use crate::publish::Draft;
use crate::run::{read_manifest, timestamp};

const RUNS: &str = "eval/runs";
const LATEST: &str = "eval/latest";

/// The directory of an evaluation for which none was named: that of an unfinished run with the same inputs, else a
/// new one.
pub(super) fn choose(inputs: &Inputs) -> Result<PathBuf> {
    let key = &crate::run::sha256(serde_json::to_string(inputs)?.as_bytes())[..8];
    let mut runs: Vec<PathBuf> = std::fs::read_dir(RUNS)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    runs.sort();
    let unfinished = runs.into_iter().rev().find(|folder| {
        folder.to_string_lossy().ends_with(&format!("-{key}"))
            && manifest(folder).is_ok_and(|manifest| {
                manifest.is_some_and(|manifest| manifest.inputs == *inputs && manifest.finished_at.is_none())
            })
    });
    let time = timestamp().replace([':', '-'], "").replace('T', "-").replace('Z', "");
    Ok(unfinished.unwrap_or_else(|| Path::new(RUNS).join(format!("{time}-{key}"))))
}

/// Makes the directory, and refuses it when it holds results of other inputs. Other records are no reason: those that were
/// answered may be among them.
pub(super) fn open(folder: &Path, inputs: &Inputs, settings: &Value) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        environment(format!("cannot make the result directory {}: {error}", folder.display()))
            .hint("name another with --output")
    })?;
    let predictions = crate::predict::predictions_path(folder);
    let Some(manifest) = manifest(folder)? else {
        // What was refused before its first answer left an empty file.
        if predictions.metadata().is_ok_and(|file| file.len() > 0) {
            bail!(
                anyhow!("{} holds predictions without a manifest.json", folder.display()).hint("name another --output")
            );
        }
        return Ok(());
    };
    let earlier = |key: &str| manifest.inputs.get(key).cloned().flatten();
    let differs = |(key, value): &(&String, &Option<String>)| *key != "data_sha256" && earlier(key) != **value;
    if let Some((key, value)) = inputs.iter().find(differs) {
        let what = key.trim_end_matches("_sha256");
        let (there, now) = match (what, changed(&manifest.settings, settings, "")) {
            ("settings", Some((setting, there, now))) => (format!("{setting} {there}"), now.to_string()),
            _ => (short(earlier(key)), short(value.clone())),
        };
        bail!(
            anyhow!("{} holds results of another {what}: {there} there, {now} now", folder.display())
                .hint("name another --output, or delete the directory")
        );
    }
    Ok(())
}

/// Refuses to go on where records were answered that have changed since, or aren't among these any more.
pub(super) fn check_answered(folder: &Path, gone: &[String], changed: &[String], data: &str) -> Result<()> {
    const SHOWN: usize = 5;
    for (ids, what) in [(gone, format!("aren't in {data}")), (changed, format!("have changed in {data} since"))] {
        ensure!(
            ids.is_empty(),
            anyhow!(
                "{} holds answers about {} records that {what}: {}",
                folder.display(),
                ids.len(),
                listed(ids, SHOWN)
            )
            .hint("name another --output; records may be added and change places, not go or change")
        );
    }
    Ok(())
}

/// The manifest of a result directory, if it has one.
pub(super) fn manifest(folder: &Path) -> Result<Option<Manifest>> {
    let Some(value) = read_manifest(folder)? else { return Ok(None) };
    let manifest = serde_json::from_value(value);
    manifest
        .map(Some)
        .with_context(|| format!("{}", folder.join("manifest.json").display()))
        .hint("name another directory")
}

/// Points `eval/latest` at a run below `eval/runs`.
pub(super) fn point_latest_at(folder: &Path) -> Result<()> {
    let Ok(below) = folder.strip_prefix("eval") else { return Ok(()) };
    let link = Draft::of(Path::new(LATEST));
    std::os::unix::fs::symlink(below, link.path())
        .map_err(|error| environment(format!("cannot point {LATEST} at {}: {error}", folder.display())))?;
    link.publish()
}

/// The first setting that isn't as it was: its name, and what it was and is.
fn changed<'a>(there: &'a Value, now: &'a Value, name: &str) -> Option<(String, &'a Value, &'a Value)> {
    let (Value::Object(before), Value::Object(after)) = (there, now) else {
        return (there != now).then(|| (name.to_owned(), there, now));
    };
    let keys = after.keys().chain(before.keys().filter(|key| !after.contains_key(*key)));
    keys.into_iter().find_map(|key| {
        let of = |settings: &'a serde_json::Map<String, Value>| settings.get(key).unwrap_or(&Value::Null);
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        changed(of(before), of(after), &name)
    })
}

fn short(hash: Option<String>) -> String {
    hash.map_or_else(|| "none".to_owned(), |hash| hash.chars().take(12).collect())
}
