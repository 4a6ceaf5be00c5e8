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
            break;
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
    // What was still to be sent is forgotten.
    if interrupted {
        return Ok(Ended::Interrupted);
    }
    ensure!(waiting.is_empty(), "the engine left {} prompts unanswered", waiting.len());
    Ok(Ended::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sampling;
    use crate::generator::{Reads, Refused, SavedPrefix, Text, TextWant, Usage, Want};

    /// Sends one job at a time, which can't be taken back, and holds the others.
    #[derive(Default)]
    struct Slow {
        queue: Vec<JobId>,
        sent: Option<JobId>,
        winding_down: bool,
        stop_after: Option<usize>,
        done: usize,
    }

    impl Session for Slow {
        fn admit(&mut self, job: Job) -> Result<(), Refused> {
            self.queue.push(job.id);
            Ok(())
        }

        fn step(&mut self) -> Result<Vec<Event>> {
            if let Some(job) = self.sent.take() {
                self.done += 1;
                return Ok(vec![Event::Answer { job, outcome: Outcome::Text(Text::default()), cost: Cost::default() }]);
            }
            if !self.winding_down && !self.queue.is_empty() {
                self.sent = Some(self.queue.remove(0));
            }
            Ok(vec![])
        }

        fn cancel(&mut self, _job: JobId) -> Result<()> {
            Ok(())
        }

        fn wind_down(&mut self) -> bool {
            self.winding_down = true;
            self.sent.is_some()
        }

        fn stopped(&self) -> Option<&str> {
            self.stop_after.filter(|after| self.done >= *after && self.sent.is_none()).map(|_| "budget")
        }

        fn is_idle(&self) -> bool {
            self.sent.is_none() && (self.winding_down || self.queue.is_empty())
        }

        fn has_room(&self) -> bool {
            true
        }

        fn usage(&self) -> Usage {
            Usage::default()
        }

        fn kept_prefixes(&mut self) -> Vec<SavedPrefix> {
            vec![]
        }
    }

    fn run(session: &mut Slow, wish_after: usize) -> (Ended, Vec<usize>) {
        let stop = Stop::default();
        let job = || Job {
            id: 0,
            reads: Reads::Messages(vec![]),
            want: Want::Text(TextWant::of(1)),
            sampling: Sampling::GREEDY,
            randomness: String::new(),
            prefix: None,
        };
        let mut came = vec![];
        let ended = drive(session, (0..5).map(|key| vec![(key, job())]), &stop, |key, _, _| {
            came.push(key);
            if came.len() == wish_after {
                stop.wish();
            }
            Ok(())
        });
        (ended.unwrap(), came)
    }

    #[test]
    fn all_is_done_or_what_stopped_it_is_told() {
        assert_eq!(run(&mut Slow::default(), 99), (Ended::Done, vec![0, 1, 2, 3, 4]));
        let stopped = run(&mut Slow { stop_after: Some(3), ..Slow::default() }, 99);
        assert_eq!(stopped, (Ended::Stopped("budget".to_owned()), vec![0, 1, 2]));
    }

    #[test]
    fn what_was_admitted_and_not_begun_is_no_fault_of_an_interrupted_engine() {
        assert_eq!(run(&mut Slow::default(), 2), (Ended::Interrupted, vec![0, 1]));
    }
}
