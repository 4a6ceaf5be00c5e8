//! Jobs as requests: sent as fast as the host takes them, again where that may help, and given up where it doesn't.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::Client;
use super::failure::{AGAIN, Charge, Failure, Meaning};
use super::outcome::outcome;
use super::pace::Pace;
use super::reply::{Reply, Usage, is_model};
use super::request::{Shape, Waiting};
use super::spending::{Spending, Tokens};
use super::{Endpoint, MOST_AT_ONCE};
use crate::error::{Hint, environment};
use crate::generator::{Cost, Event, Job, JobId, Reads, Reason, Refused, SavedPrefix, Session, Want};

/// A step takes no longer, so that a driver can look at other things.
const STEP: Duration = Duration::from_millis(100);
/// Times that a request is sent whose answers don't arrive.
const ATTEMPTS: u32 = 5;
/// Requests given up one after the other, without an answer in between, after which the host is.
const GIVEN_UP: u32 = 10;
const LATER: &str = "what is done is kept: the same command goes on later";
/// Before a request goes again for the first time, at most.
const BACK_OFF_SECONDS: f64 = 0.5;
const LONGEST_BACK_OFF_SECONDS: f64 = 60.0;
/// A host that refuses everything for so long has to be tried another day.
const PATIENCE: Duration = Duration::from_secs(600);

/// A request under way.
#[derive(Debug)]
struct UnderWay {
    waiting: Waiting,
    sent: Instant,
    shape: Shape,
    /// Its job wasn't cancelled.
    wanted: bool,
}

pub(super) struct RemoteSession<'a> {
    endpoint: &'a Endpoint,
    spending: &'a mut Spending,
    pace: Pace,
    shape: Shape,
    queue: VecDeque<Waiting>,
    /// With the time from which they may go again.
    later: Vec<(Instant, Waiting)>,
    under_way: HashMap<u64, UnderWay>,
    sender: Sender<(u64, Result<Reply, Failure>)>,
    replies: Receiver<(u64, Result<Reply, Failure>)>,
    started: Instant,
    /// When the host last answered.
    answered: Instant,
    has_answered: bool,
    /// Requests given up since.
    given_up: u32,
    /// Nothing more is sent.
    winding_down: bool,
    /// Why no request can be answered.
    fatal: Option<Failure>,
    /// The budget that is spent.
    spent: Option<String>,
    written: u64,
}

impl<'a> RemoteSession<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, spending: &'a mut Spending, at_once: Option<usize>) -> RemoteSession<'a> {
        let (sender, replies) = channel();
        let now = Instant::now();
        RemoteSession {
            endpoint,
            spending,
            pace: Pace::new(at_once.unwrap_or(MOST_AT_ONCE)),
            shape: Shape::FIRST,
            queue: VecDeque::new(),
            later: vec![],
            under_way: HashMap::new(),
            sender,
            replies,
            started: now,
            answered: now,
            has_answered: false,
            given_up: 0,
            winding_down: false,
            fatal: None,
            spent: None,
            written: 0,
        }
    }

    fn seconds(&self, time: Instant) -> f64 {
        time.duration_since(self.started).as_secs_f64()
    }

    fn sends(&self) -> bool {
        !self.winding_down && self.fatal.is_none() && self.spent.is_none()
    }

    /// Sends what may go now; gives the time until there is more to do.
    fn send(&mut self) -> Result<Duration> {
        let now = Instant::now();
        let mut next = STEP;
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(time, _)| *time <= now);
        self.later = later;
        // They have waited longest.
        let due: Vec<(Instant, Waiting)> = due;
        due.into_iter().rev().for_each(|(_, waiting)| self.queue.push_front(waiting));
        if let Some(soonest) = self.later.iter().map(|(time, _)| *time).min() {
            next = next.min(soonest.saturating_duration_since(now));
        }
        while self.sends() {
            let Some(waiting) = self.queue.front() else { break };
            let now = Instant::now();
            match self.pace.wait(self.seconds(now), self.under_way.len()) {
                None => break,
                Some(wait) if wait > 0.0 => {
                    next = next.min(Duration::from_secs_f64(wait.min(1.0)));
                    break;
                }
                Some(_) => {}
            }
            if let Some(budget) = self.endpoint.exceeded(self.spending.with(
                waiting.prompt,
                waiting.bytes,
                waiting.want.max_tokens as u64,
            )) {
                // What is under way may take less than it might.
                if self.under_way.is_empty() {
                    self.spent = Some(budget);
                }
                break;
            }
            if let Some(waiting) = self.queue.pop_front() {
                self.dispatch(waiting, now)?;
            }
        }
        Ok(next)
    }

    fn dispatch(&mut self, mut waiting: Waiting, now: Instant) -> Result<()> {
        waiting.first_sent.get_or_insert(now);
        let request = self.spending.sent(waiting.prompt, waiting.bytes, waiting.want.max_tokens as u64)?;
        self.pace.sent(self.seconds(now));
        let body = waiting.body(&self.endpoint.name.name, self.shape).to_string();
        let (client, sender): (Arc<Client>, _) = (self.endpoint.client.clone(), self.sender.clone());
        let ask = move || {
            // Whatever happens, there is an answer to wait for.
            let came = catch_unwind(AssertUnwindSafe(|| client.ask(&body)));
            let came = came.unwrap_or_else(|_| Err(Failure::broken("asking failed in this program")));
            // Nobody listens where the session has ended.
            let _ = sender.send((request, came));
        };
        let thread = std::thread::Builder::new().spawn(ask);
        thread.map_err(|error| environment(format!("no thread for another request: {error}")).hint("lower --width"))?;
        self.under_way.insert(request, UnderWay { waiting, sent: now, shape: self.shape, wanted: true });
        Ok(())
    }

    /// Takes in what came of a request.
    fn take(&mut self, request: u64, came: Result<Reply, Failure>) -> Result<Option<Event>> {
        let Some(under_way) = self.under_way.remove(&request) else { return Ok(None) };
        let usage = match &came {
            Ok(reply) => reply.usage,
            Err(Failure { charge: Charge::Told(usage), .. }) => Some(*usage),
            Err(Failure { charge: Charge::Nothing, .. }) => Some(Usage::default()),
            Err(Failure { charge: Charge::Unknown, .. }) => None,
        };
        let names = came.as_ref().ok().map(|reply| (reply.model.clone(), reply.fingerprint.clone()));
        let (model, fingerprint) = names.unwrap_or_default();
        self.spending.came(request, usage, model, fingerprint)?;
        let took = under_way.sent.elapsed();
        let job = under_way.waiting.id;
        let wanted = under_way.wanted;
        let event = match came {
            Ok(reply) => {
                let (sent, now) = (self.seconds(under_way.sent), self.seconds(Instant::now()));
                self.pace.answered(now, sent, under_way.waiting.want.max_tokens as u64);
                (self.answered, self.has_answered, self.given_up) = (Instant::now(), true, 0);
                self.written += usage.unwrap_or_default().written;
                let cost = cost(usage, took);
                let asked = &self.endpoint.name.name;
                let has_right_model = self.spending.models().any(|model| is_model(asked, model));
                Some(match outcome(reply, &under_way.waiting.want, asked, has_right_model) {
                    Ok(outcome) => Event::Answer { job, outcome, cost },
                    Err(failure) => {
                        if failure.meaning == Meaning::All {
                            self.fatal.get_or_insert(failure.clone());
                        }
                        Event::Failed { job, reason: failure.reason, cost }
                    }
                })
            }
            Err(failure) => {
                let failed = self.failed(under_way, failure);
                failed.map(|reason| Event::Failed { job, reason, cost: cost(usage, took) })
            }
        };
        Ok(event.filter(|_| wanted))
    }

    /// What becomes of a job whose request has no answer: the reason where it is given up.
    fn failed(&mut self, under_way: UnderWay, failure: Failure) -> Option<Reason> {
        let UnderWay { waiting, sent, shape, wanted } = under_way;
        if !wanted {
            return None;
        }
        let meaning = match failure.meaning {
            Meaning::Host if self.has_answered => Meaning::Passing,
            Meaning::Barred if self.has_answered => Meaning::Own,
            meaning => meaning,
        };
        match meaning {
            Meaning::All | Meaning::Host | Meaning::Barred => {
                self.fatal.get_or_insert(failure);
                None
            }
            Meaning::AskOtherwise(otherwise) => {
                let Some(other) = shape.otherwise(otherwise) else { return self.give_up(failure, false) };
                // Others that were under way may have taught the same.
                if self.shape == shape {
                    self.shape = other;
                }
                self.queue.push_front(waiting);
                None
            }
            Meaning::Own => self.give_up(failure, false),
            Meaning::Refused => {
                self.refused(sent, &failure);
                self.again(Waiting { refusals: waiting.refusals + 1, ..waiting }, failure, waiting.refusals)
            }
            Meaning::Passing => {
                match failure.retry_after {
                    Some(_) => self.refused(sent, &failure),
                    None => self.pace.failed(),
                }
                let attempts = waiting.attempts + 1;
                if attempts < ATTEMPTS {
                    return self.again(Waiting { attempts, ..waiting }, failure, attempts - 1);
                }
                let nothing_came = waiting.first_sent.is_some_and(|first| self.answered < first);
                self.give_up(failure.after(attempts), nothing_came)
            }
        }
    }

    fn refused(&mut self, sent: Instant, failure: &Failure) {
        let (sent, now) = (self.seconds(sent), self.seconds(Instant::now()));
        self.pace.refused(now, sent, self.under_way.len(), failure.retry_after.map(|wait| wait.as_secs_f64()));
    }

    /// Asks once more later, unless the host wants to be left alone for too long.
    fn again(&mut self, waiting: Waiting, failure: Failure, failures: u32) -> Option<Reason> {
        let wait = failure.retry_after.unwrap_or_default().max(back_off(failures));
        if self.answered.elapsed() + wait > PATIENCE {
            let told = match failure.retry_after {
                Some(wait) => format!("{}; it wants to be left alone for {} s", failure.reason.text, wait.as_secs()),
                None => format!("{}, and nothing else for {} s", failure.reason.text, PATIENCE.as_secs()),
            };
            self.fatal.get_or_insert(Failure::new(Meaning::Host, told, Some(LATER)));
            return None;
        }
        self.later.push((Instant::now() + wait, waiting));
        None
    }

    /// Of requests that are given up one after the other, it isn't each one's own fault.
    fn give_up(&mut self, failure: Failure, nothing_came: bool) -> Option<Reason> {
        self.given_up += u32::from(nothing_came || !self.has_answered);
        let gone = nothing_came && self.endpoint.client.models().is_err();
        let reason = Reason { hint: failure.reason.hint.or(Some(AGAIN)), ..failure.reason };
        if gone || self.given_up >= GIVEN_UP {
            let hint = if nothing_came { LATER } else { reason.hint.unwrap_or(AGAIN) };
            let meaning = if nothing_came { Meaning::Host } else { Meaning::All };
            self.fatal.get_or_insert(Failure::new(meaning, reason.text.clone(), Some(hint)));
            // What failed for want of a host is no answer of this job.
            if nothing_came {
                return None;
            }
        }
        Some(reason)
    }
}

impl Session for RemoteSession<'_> {
    fn admit(&mut self, job: Job) -> Result<(), Refused> {
        let refuse = |what: &str| Err(Refused(what.to_owned().into()));
        let Job { id, reads: Reads::Messages(messages), want: Want::Text(want), sampling, randomness, .. } = job else {
            return refuse("a hosted model reads messages and writes text");
        };
        if want.constraint.is_some() || want.answer_logprobs || want.prompt_logprobs {
            return refuse("a hosted model takes no constraint and gives no log-probabilities of texts");
        }
        self.queue.push_back(Waiting::new(id, messages, sampling, randomness, want));
        Ok(())
    }

    fn step(&mut self) -> Result<Vec<Event>> {
        let wait = self.send()?;
        let mut events = vec![];
        if !self.under_way.is_empty() || self.sends() && !self.is_idle() {
            // One at a time: what has come is kept before the next is looked at.
            if let Ok((request, came)) = self.replies.recv_timeout(wait.max(Duration::from_millis(1))) {
                events.extend(self.take(request, came)?);
            }
        }
        if self.under_way.is_empty()
            && events.is_empty()
            && let Some(fatal) = self.fatal.take()
        {
            return Err(fatal.into_error(&self.endpoint.name.host));
        }
        Ok(events)
    }

    fn cancel(&mut self, job: JobId) -> Result<()> {
        self.queue.retain(|waiting| waiting.id != job);
        self.later.retain(|(_, waiting)| waiting.id != job);
        let of_job = self.under_way.values_mut().filter(|under_way| under_way.waiting.id == job);
        of_job.for_each(|under_way| under_way.wanted = false);
        Ok(())
    }

    fn wind_down(&mut self) -> bool {
        self.winding_down = true;
        if !self.under_way.is_empty() {
            tracing::warn!(
                "waiting for {} answers that are under way; Ctrl-C again gives them up",
                self.under_way.len()
            );
        }
        !self.under_way.is_empty()
    }

    fn stopped(&self) -> Option<&str> {
        self.spent.as_deref().filter(|_| self.under_way.is_empty())
    }

    fn is_idle(&self) -> bool {
        // A failure that ends all is still to be told.
        let waits = !self.queue.is_empty() || !self.later.is_empty() || self.fatal.is_some();
        self.under_way.is_empty() && (self.winding_down && self.fatal.is_none() || !waits)
    }

    fn has_room(&self) -> bool {
        self.sends() && self.queue.len() < self.pace.at_once()
    }

    fn usage(&self) -> crate::generator::Usage {
        crate::generator::Usage { cells: 0, computed_tokens: self.written }
    }

    fn kept_prefixes(&mut self) -> Vec<SavedPrefix> {
        vec![]
    }
}

fn cost(usage: Option<Usage>, took: Duration) -> Cost {
    let prompt_tokens = usage.map(|usage| usage.read as usize);
    let usage = usage.unwrap_or_default();
    Cost {
        prompt_tokens,
        cached_tokens: usage.cached as usize,
        generated_tokens: usage.written as usize,
        seconds: took.as_secs_f64(),
    }
}

/// How long to wait after so many failures: twice as long each time, and never as long as somebody else does.
fn back_off(failures: u32) -> Duration {
    let longest = (BACK_OFF_SECONDS * f64::from(failures).exp2()).min(LONGEST_BACK_OFF_SECONDS);
    Duration::from_secs_f64(longest * rand::random_range(0.5..1.0))
}

impl Endpoint {
    /// The budget that so many tokens go over.
    fn exceeded(&self, tokens: Tokens) -> Option<String> {
        let (max_tokens, max_cost) = (self.settings.max_tokens, self.settings.max_cost);
        let all = tokens.prompt_tokens + tokens.completion_tokens;
        if let Some(most) = max_tokens.filter(|most| all > *most) {
            return Some(format!("--max-tokens {most}"));
        }
        let cost = self.cost(&tokens)?;
        max_cost.filter(|most| cost > *most).map(|most| format!("--max-cost {most}"))
    }
}
