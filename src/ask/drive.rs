//! Jobs through a session, whatever they are about.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use crate::generator::{Cost, Event, Job, JobId, Outcome, Reason, Session};
use crate::stop::Stop;

/// How work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All of it is done, well or not.
    Done,
    /// The user asked to stop.
    Interrupted,
    /// The engine takes on nothing more, for this reason.
    Stopped(String),
}

/// Does work, a group of jobs after the other as the session has room, and tells what came of each job under the key that it
/// came with. A group is admitted at once, so that what its prompts share is computed once.
///
/// # Errors
/// When the engine fails, or `came` does; a job that fails alone is told.
pub fn drive<K>(
    session: &mut dyn Session,
    groups: impl IntoIterator<Item = Vec<(K, Job)>>,
    stop: &Stop,
    mut came: impl FnMut(K, Result<Outcome, Reason>, Cost) -> Result<()>,
) -> Result<Ended> {
    let mut groups = groups.into_iter();
    let mut next = groups.next();
    let mut waiting: HashMap<JobId, K> = HashMap::new();
    let mut ids = 0..;
    let mut interrupted = false;
    while next.is_some() || !session.is_idle() {
        if stop.wished() && !interrupted {
            interrupted = true;
            if !session.wind_down() {
                return Ok(Ended::Interrupted);
            }
        }
        if interrupted && session.is_idle() {
            return Ok(Ended::Interrupted);
        }
        if let Some(reason) = session.stopped() {
            return Ok(Ended::Stopped(reason.to_owned()));
        }
        while !interrupted
            && session.has_room()
            && let Some(group) = next.take()
        {
            for ((key, job), id) in group.into_iter().zip(&mut ids) {
                match session.admit(Job { id, ..job }) {
                    Ok(()) => {
                        waiting.insert(id, key);
                    }
                    Err(refused) => came(key, Err(refused.0), Cost::default())?,
                }
            }
            next = groups.next();
        }
        for event in session.step()? {
            let (job, outcome, cost) = match event {
                Event::Token { .. } => continue,
                Event::Failed { job, reason, cost } => (job, Err(reason), cost),
                Event::Answer { job, outcome, cost } => (job, Ok(outcome), cost),
            };
            came(waiting.remove(&job).context("an answer to nothing")?, outcome, cost)?;
        }
    }
    ensure!(waiting.is_empty(), "the engine left {} prompts unanswered", waiting.len());
    Ok(Ended::Done)
}
