//! Texts that grow together, one token a step, each in a stream of its own.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;

use super::text::GrowingText;
use super::transfer::transfer;
use crate::generator::{Event, JobId};

pub(super) struct Decode<'run> {
    model: &'run LlamaModel,
    context: LlamaContext<'run>,
    batch: LlamaBatch<'static>,
    streams: usize,
    /// The lowest is taken first, because llama.cpp batches neighbours only.
    free: BTreeSet<i32>,
    /// With the stream each is in.
    texts: Vec<(i32, GrowingText)>,
}

impl<'run> Decode<'run> {
    pub fn new(model: &'run LlamaModel, context: LlamaContext<'run>, streams: usize) -> Decode<'run> {
        let batch = LlamaBatch::new(streams, 1);
        Decode { model, context, batch, streams, free: (0..streams as i32).collect(), texts: vec![] }
    }

    /// Texts that can be added.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Texts that grow.
    pub fn texts(&self) -> usize {
        self.texts.len()
    }

    /// Takes over a text whose prompt is a sequence of `from`; it may be complete with its first token.
    ///
    /// # Errors
    /// When there is no free stream.
    pub fn add(&mut self, mut text: GrowingText, from: &LlamaContext, sequence: i32) -> Result<Vec<Event>> {
        let (mut events, complete) = text.take_in(self.model);
        if complete {
            return Ok(events);
        }
        let stream = self.free.pop_first().context("the plan has fewer streams than there are texts")?;
        match transfer(from, sequence, &mut self.context, stream, self.streams) {
            Ok(()) => self.texts.push((stream, text)),
            Err(error) => {
                self.free.insert(stream);
                events.push(text.failed(error));
            }
        }
        Ok(events)
    }

    /// One more token for every text.
    pub fn step(&mut self) -> Result<Vec<Event>> {
        self.texts.sort_unstable_by_key(|(stream, _)| *stream);
        self.batch.clear();
        for (stream, text) in &self.texts {
            self.batch.add(text.next, text.position as i32, &[*stream], true)?;
        }
        let computed = self.context.decode(&mut self.batch).map_err(|error| format!("llama.cpp: {error}"));
        let mut events = Vec::new();
        for (index, (stream, mut text)) in std::mem::take(&mut self.texts).into_iter().enumerate() {
            let complete = match &computed {
                Ok(()) => {
                    text.position += 1;
                    text.choose(self.context.get_logits_ith(index as i32));
                    let (more, complete) = text.take_in(self.model);
                    events.extend(more);
                    complete
                }
                Err(error) => {
                    events.push(text.failed(error.clone()));
                    true
                }
            };
            if complete {
                self.release(stream)?;
            } else {
                self.texts.push((stream, text));
            }
        }
        Ok(events)
    }

    /// Forgets a text.
    pub fn cancel(&mut self, job: JobId) -> Result<()> {
        if let Some(index) = self.texts.iter().position(|(_, text)| text.job == job) {
            let (stream, _) = self.texts.remove(index);
            self.release(stream)?;
        }
        Ok(())
    }

    /// Cells that llama.cpp says its streams hold.
    pub fn cells(&self) -> usize {
        (0..self.streams as i32).map(|stream| (self.context.kv_cache_seq_pos_max(stream) + 1) as usize).sum()
    }

    fn release(&mut self, stream: i32) -> Result<()> {
        self.context.kv_cache_seq_rm(stream, None, None)?;
        self.free.insert(stream);
        Ok(())
    }
}
