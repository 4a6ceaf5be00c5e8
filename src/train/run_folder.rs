//! A training run's directory: metrics that grow, checkpoints that are whole or not there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::trainer::State;
use crate::learner::Learner;
use crate::run::{EnvironmentFailure, Log, write_atomically, write_json};

const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const STATE: &str = "state.json";
/// Files of a checkpoint that only going on needs; a finished run doesn't get them.
const ONLY_TO_GO_ON: [&str; 2] = [STATE, "optimizer.safetensors"];

/// The directory of a run that is being trained.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: Log,
}

impl RunFolder {
    /// Opens the directory of a run that is at `step`; metrics of later steps are dropped.
    ///
    /// # Errors
    /// [`EnvironmentFailure`] that names the file.
    pub fn open(path: &Path, step: usize) -> Result<RunFolder> {
        let metrics = path.join(METRICS);
        let done = |line: &&str| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|line| line["step"].as_u64().is_some_and(|at| at <= step as u64))
        };
        let text = match fs::read_to_string(&metrics) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EnvironmentFailure(format!("cannot read {}: {error}", metrics.display())).into());
            }
            text => text.unwrap_or_default(),
        };
        let kept: String = text.lines().filter(done).flat_map(|line| [line, "\n"]).collect();
        write_atomically(&metrics, kept.as_bytes())?;
        Ok(RunFolder { path: path.to_owned(), metrics: Log::append_to(&metrics)? })
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`EnvironmentFailure`] that names the file.
    pub fn log(&mut self, line: &impl Serialize) -> Result<()> {
        self.metrics.append(line)
    }

    /// Writes a checkpoint, then deletes all but this one, the one before, and the best.
    ///
    /// # Errors
    /// [`EnvironmentFailure`] that names the file; earlier checkpoints stay.
    pub fn save(&self, learner: &mut dyn Learner, state: &State) -> Result<()> {
        let folder = checkpoint(&self.path, state.step);
        let beside = folder.with_extension("part");
        let failed = |error: std::io::Error| {
            EnvironmentFailure(format!("cannot write {}: {error}\n{}", folder.display(), self.kept()))
        };
        let remove = |folder: &Path| if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
        remove(&beside).and_then(|()| fs::create_dir_all(&beside)).map_err(failed)?;
        let written = learner.save(&beside).and_then(|()| write_json(&beside.join(STATE), state));
        if let Err(error) = written {
            // What was half written takes up a disk that may be full.
            let _ = fs::remove_dir_all(&beside);
            return Err(error.context(format!(
                "the checkpoint of step {} is not written; {}
hint: free some space, then go on with --resume",
                state.step,
                self.kept()
            )));
        }
        // On disk before an older checkpoint is deleted, so that one of them is whole even after a power cut.
        let sync = |entry: std::io::Result<fs::DirEntry>| fs::File::open(entry?.path())?.sync_all();
        fs::read_dir(&beside).and_then(|mut entries| entries.try_for_each(sync)).map_err(failed)?;
        let aside = folder.with_extension("old");
        if folder.exists() {
            remove(&aside).and_then(|()| fs::rename(&folder, &aside)).map_err(failed)?;
        }
        fs::rename(&beside, &folder).and_then(|()| remove(&aside)).map_err(failed)?;
        let all = checkpoints(&self.path);
        let newest = all.iter().rev().take(2).map(|(step, _)| *step);
        let kept: Vec<usize> = newest.chain(state.best.map(|best| best.step)).collect();
        for (step, folder) in &all {
            if !kept.contains(step) {
                remove(folder).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Deletes the checkpoint of a step that turned out to be of no use.
    ///
    /// # Errors
    /// [`EnvironmentFailure`] that names it.
    pub fn discard(&self, step: usize) -> Result<()> {
        let folder = checkpoint(&self.path, step);
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .map_err(|error| EnvironmentFailure(format!("cannot delete {}: {error}", folder.display())))?;
        }
        Ok(())
    }

    /// Copies what was trained by the best step, or the last one without dev data, into the run itself.
    ///
    /// # Errors
    /// [`EnvironmentFailure`] that names the file.
    pub fn finish(&self, state: &State) -> Result<()> {
        let from = checkpoint(&self.path, state.best.map_or(state.step, |best| best.step));
        let copy = || -> std::io::Result<()> {
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                let name = entry.file_name();
                if !ONLY_TO_GO_ON.iter().any(|other| name == *other) {
                    fs::copy(entry.path(), self.path.join(name))?;
                }
            }
            Ok(())
        };
        copy().map_err(|error| {
            EnvironmentFailure(format!("cannot copy {} to {}: {error}", from.display(), self.path.display())).into()
        })
    }

    /// Which checkpoint there is to go on from, for a message.
    pub fn kept(&self) -> String {
        match checkpoints(&self.path).last() {
            Some((_, folder)) => format!("the last checkpoint is kept: {}", folder.display()),
            None => "there is no checkpoint yet".to_owned(),
        }
    }
}

/// The last whole checkpoint of a run with its state.
///
/// # Errors
/// Names the file that can't be read.
pub fn last_checkpoint(run: &Path) -> Result<Option<(PathBuf, State)>> {
    let Some((_, folder)) = checkpoints(run).pop() else { return Ok(None) };
    let path = folder.join(STATE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let state = serde_json::from_str(&text)
        .with_context(|| format!("{}\nhint: delete this checkpoint, and go on from another", path.display()))?;
    Ok(Some((folder, state)))
}

fn checkpoint(run: &Path, step: usize) -> PathBuf {
    run.join(CHECKPOINTS).join(format!("step-{step}"))
}

/// Whole checkpoints by step.
fn checkpoints(run: &Path) -> Vec<(usize, PathBuf)> {
    let entries = fs::read_dir(run.join(CHECKPOINTS)).into_iter().flatten().flatten();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?, entry.path())))
        .collect();
    found.sort();
    found
}
