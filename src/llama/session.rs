//! Work in progress: jobs are prefilled in groups that share the start of their prompts, one group at a time and one
//! chunk a step; otherwise all unfinished texts grow by one token a step, which also a long prefill lets them.
//!
//! Prefill and decoding have a context each. Attention goes over all used cells of a context's stream, masked or not, so
//! texts that grow would slow down a prefill and each other. The prefill context holds one group at a time, whose prompts
//! and labels share cells; a text then moves to a stream of its own in the other.

use std::collections::{HashSet, VecDeque};

use anyhow::Result;

use super::decode::Decode;
use super::member::{Finished, cells_behind, sequences_of, trunk_of};
use super::plan::CachePlan;
use super::prefill::Prefill;
use crate::generator::{Event, Job, JobId, Reads, Reason, Refused, SavedPrefix, Session, Usage, Want};

pub(super) struct LlamaSession<'run> {
    pub prefill: Prefill<'run>,
    pub decode: Decode<'run>,
    pub plan: CachePlan,
    /// One prompt at a time, so that nothing else has a say in its rounding.
    pub alone: bool,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    pub queue: VecDeque<Job>,
    /// Admitted, and neither answered nor cancelled.
    pub open: HashSet<JobId>,
    pub computed_tokens: u64,
    /// Tokens of prompts computed since texts grew.
    pub since_texts: usize,
}

/// Chunks that unfinished texts wait for. Prompts go first, as texts grow together at the cost of one; but not for ever.
const PATIENCE: usize = 4;

impl Session for LlamaSession<'_> {
    fn admit(&mut self, job: Job) -> Result<(), Refused> {
        self.check(&job).map_err(Refused)?;
        self.open.insert(job.id);
        self.queue.push_back(job);
        Ok(())
    }

    fn step(&mut self) -> Result<Vec<Event>> {
        let texts_wait = self.decode.texts() > 0 && self.since_texts >= PATIENCE * self.prefill.chunk();
        if !texts_wait
            && self.prefill.is_idle()
            && let Some(group) = self.next_group()
        {
            self.prefill.begin(group)?;
        }
        let events = if texts_wait || self.prefill.is_idle() { self.step_texts()? } else { self.step_prefill()? };
        for event in &events {
            if let Event::Answer { job, .. } | Event::Failed { job, .. } = event {
                self.open.remove(job);
            }
        }
        Ok(events)
    }

    fn cancel(&mut self, job: JobId) -> Result<()> {
        if self.open.remove(&job) {
            self.queue.retain(|queued| queued.id != job);
            self.prefill.cancel(job)?;
            self.decode.cancel(job)?;
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    fn has_room(&self) -> bool {
        self.queue.len() < self.plan.width
    }

    fn usage(&self) -> Usage {
        Usage { cells: self.prefill.cells() + self.decode.cells(), computed_tokens: self.computed_tokens }
    }

    fn kept_prefixes(&mut self) -> Vec<SavedPrefix> {
        self.prefill.kept()
    }
}

impl LlamaSession<'_> {
    /// Why a job can't be done here.
    fn check(&self, job: &Job) -> Result<(), Reason> {
        let plan = &self.plan;
        if self.open.contains(&job.id) {
            return Err(format!("job {} is being answered already", job.id).into());
        }
        let Reads::Tokens { tokens, lead, cuts } = &job.reads else {
            return Err("a model file reads tokens".to_owned().into());
        };
        if tokens.is_empty() {
            return Err("the prompt is empty".to_owned().into());
        }
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.vocabulary) {
            return Err(format!("token {token} is none of the vocabulary's {}", self.vocabulary).into());
        }
        let ascending = [0].iter().chain(cuts).chain([&tokens.len()]).is_sorted_by(|a, b| a < b);
        if !ascending || *lead > 0 && cuts.first() != Some(lead) {
            return Err(format!("parts of the prompt end at {cuts:?}, and it has {} tokens", tokens.len()).into());
        }
        let (cells, sequences) = (cells_behind(job, 0), sequences_of(job));
        if sequences >= plan.prefill_sequences {
            return Err(format!(
                "{sequences} labels are more than the {} there is room for",
                plan.prefill_sequences - 1
            )
            .into());
        }
        let (room, is_known) = (plan.prefill_cells, |token: &u32| (*token as usize) < self.vocabulary);
        match &job.want {
            _ if cells > room => Err(Reason::hinted(
                format!("prompt and labels have {cells} tokens, more than the {room} there is room for"),
                SHORTER,
            )),
            Want::Text(text) if text.max_tokens == 0 => Err("a text of no tokens is no answer".to_owned().into()),
            Want::Text(text) if tokens.len() + text.max_tokens > plan.stream_cells => Err(Reason::hinted(
                format!(
                    "a prompt of {} tokens and a text of {} are more than the {} there is room for",
                    tokens.len(),
                    text.max_tokens,
                    plan.stream_cells
                ),
                SHORTER,
            )),
            Want::LabelScores(labels) if labels.iter().any(|label| label.tokens.is_empty()) || labels.is_empty() => {
                Err("a label has no tokens".to_owned().into())
            }
            Want::LabelScores(labels)
                if !labels.iter().all(|label| is_known(&label.end) && label.tokens.iter().all(is_known)) =>
            {
                Err("a label has tokens that the vocabulary doesn't".to_owned().into())
            }
            _ => Ok(()),
        }
    }

    /// The job that waits longest, with all others whose prompts start alike, as many as there is room for; `None`
    /// where texts have to end first.
    fn next_group(&mut self) -> Option<Vec<Job>> {
        let front = self.queue.front()?;
        let trunk = trunk_of(front);
        let mut room = Room {
            texts: if self.alone && self.decode.texts() > 0 { return None } else { self.decode.free() },
            cells: self.plan.prefill_cells - trunk.tokens.len(),
            sequences: self.plan.prefill_sequences - 1,
        };
        if !room.takes(front, trunk.tokens.len()) {
            return None;
        }
        let mut group = Vec::from_iter(self.queue.pop_front());
        let mut index = 0;
        while !self.alone && !trunk.cuts.is_empty() && index < self.queue.len() {
            let job = &self.queue[index];
            if trunk_of(job) == trunk && room.takes(job, trunk.tokens.len()) {
                group.extend(self.queue.remove(index));
            } else {
                index += 1;
            }
        }
        Some(group)
    }

    fn step_prefill(&mut self) -> Result<Vec<Event>> {
        let (computed, finished) = self.prefill.step()?;
        self.computed_tokens += computed as u64;
        self.since_texts += computed;
        let mut events = Vec::new();
        for finished in finished {
            match finished {
                Finished::Event(event) => events.push(event),
                Finished::Text(text, sequence) => {
                    events.extend(self.decode.add(*text, self.prefill.context(), sequence)?);
                }
            }
        }
        if self.prefill.is_idle() {
            self.prefill.drop_tails()?;
        }
        Ok(events)
    }

    fn step_texts(&mut self) -> Result<Vec<Event>> {
        self.computed_tokens += self.decode.texts() as u64;
        self.since_texts = 0;
        if self.decode.texts() == 0 { Ok(vec![]) } else { self.decode.step() }
    }
}

const SHORTER: &str = "lower --max-prompt-tokens";

/// What is left for a group.
struct Room {
    texts: usize,
    cells: usize,
    sequences: usize,
}

impl Room {
    /// Takes a job in, where there is room for what it needs behind a trunk of so many tokens.
    fn takes(&mut self, job: &Job, trunk: usize) -> bool {
        let texts = usize::from(matches!(job.want, Want::Text(_)));
        let (cells, sequences) = (cells_behind(job, trunk), sequences_of(job));
        let fits = texts <= self.texts && cells <= self.cells && sequences <= self.sequences;
        if fits {
            self.texts -= texts;
            self.cells -= cells;
            self.sequences -= sequences;
        }
        fits
    }
}
