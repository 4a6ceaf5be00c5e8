//! A training run's directory: metrics that grow, checkpoints that are whole or not there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::trainer::State;
use crate::error::{Hint, environment};
use crate::learner::Learner;
use crate::publish::{self, Draft, write_bytes, write_json};
use crate::run::{Claim, Log};

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
    /// Nobody else writes to it.
    _claim: Claim,
}

impl RunFolder {
    /// Opens the directory of a run that is at `step`; metrics of later steps are dropped.
    ///
    /// # Errors
    /// Names who else trains there; a failure of the environment that names the file.
    pub fn open(path: &Path, step: usize) -> Result<RunFolder> {
        let claim = Claim::of(path)?;
        let metrics = path.join(METRICS);
        let done = |line: &&str| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|line| line["step"].as_u64().is_some_and(|at| at <= step as u64))
        };
        let text = match fs::read_to_string(&metrics) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(environment(format!("cannot read {}: {error}", metrics.display())));
            }
            text => text.unwrap_or_default(),
        };
        let kept: String = text.lines().filter(done).flat_map(|line| [line, "\n"]).collect();
        write_bytes(&metrics, kept.as_bytes())?;
        delete_halves(&path.join(CHECKPOINTS))?;
        Ok(RunFolder { path: path.to_owned(), metrics: Log::append_to(&metrics)?, _claim: claim })
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// A failure of the environment that names the file.
    pub fn log(&mut self, line: &impl Serialize) -> Result<()> {
        self.metrics.append(line)
    }

    /// Writes a checkpoint, then deletes all but this one, the one before, and the best.
    ///
    /// # Errors
    /// A failure of the environment that names the file; earlier checkpoints stay.
    pub fn save(&self, learner: &mut dyn Learner, state: &State) -> Result<()> {
        let folder = checkpoint(&self.path, state.step);
        let draft = Draft::of(&folder);
        let made: Result<()> = fs::create_dir_all(draft.path())
            .map_err(|error| environment(format!("cannot make {}: {error}", draft.path().display())));
        made.and_then(|()| learner.save(draft.path()))
            .and_then(|()| write_json(&draft.path().join(STATE), state))
            // On disk before what it takes the place of goes, whatever happens to the machine.
            .and_then(|()| draft.publish())
            .with_context(|| format!("the checkpoint of step {} is not written; {}", state.step, self.kept()))
            .hint("free some space, then go on with --resume")?;
        let all = checkpoints(&self.path);
        let newest = all.iter().rev().take(2).map(|(step, _)| *step);
        let kept: Vec<usize> = newest.chain(state.best.map(|best| best.step)).collect();
        for (step, folder) in &all {
            if !kept.contains(step) {
                delete(folder)?;
            }
        }
        Ok(())
    }

    /// Deletes the checkpoint of a step that turned out to be of no use.
    ///
    /// # Errors
    /// A failure of the environment that names it.
    pub fn discard(&self, step: usize) -> Result<()> {
        let folder = checkpoint(&self.path, step);
        if folder.exists() { delete(&folder) } else { Ok(()) }
    }

    /// Copies what was trained by the best step, or the last one without dev data, into the run itself.
    ///
    /// # Errors
    /// A failure of the environment that names the file.
    pub fn finish(&self, state: &State) -> Result<()> {
        let from = checkpoint(&self.path, state.best.map_or(state.step, |best| best.step));
        let entries =
            fs::read_dir(&from).map_err(|error| environment(format!("cannot list {}: {error}", from.display())))?;
        for name in entries.flatten().map(|entry| entry.file_name()) {
            if !ONLY_TO_GO_ON.iter().any(|other| name == *other) {
                publish::copy(&from.join(&name), &self.path.join(&name))?;
            }
        }
        Ok(())
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
        .with_context(|| format!("{}", path.display()))
        .hint("delete this checkpoint, and go on from another")?;
    Ok(Some((folder, state)))
}

fn delete(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(|error| environment(format!("cannot delete {}: {error}", folder.display())))
}

/// Deletes checkpoints that a killed run was writing. Nobody else writes here.
fn delete_halves(checkpoints: &Path) -> Result<()> {
    let entries = fs::read_dir(checkpoints).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut halves = entries.filter(|path| path.extension().is_some_and(|extension| extension == "part"));
    halves.try_for_each(|folder| delete(&folder))
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
