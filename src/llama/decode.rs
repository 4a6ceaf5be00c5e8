//! Texts that grow together, one token a step, each in a stream of its own.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::sample::Sampler;
use super::transfer::transfer;
use crate::generator::{Answer, Outcome};

pub(super) struct Decode<'run> {
    model: &'run LlamaModel,
    context: LlamaContext<'run>,
    batch: LlamaBatch<'static>,
    streams: usize,
    /// The lowest is taken first, because llama.cpp batches neighbours only.
    free: BTreeSet<i32>,
    /// With the stream each is in.
    texts: Vec<(i32, Text)>,
}

/// A text being generated.
pub(super) struct Text {
    pub job: usize,
    pub task: usize,
    /// Of the token that is decoded next.
    pub position: usize,
    pub next: LlamaToken,
    pub max_tokens: usize,
    pub cached: usize,
    pub started: Instant,
    pub sampler: Sampler,
    pub bytes: Vec<u8>,
    pub generated: usize,
}

impl<'run> Decode<'run> {
    pub fn new(model: &'run LlamaModel, context: LlamaContext<'run>, streams: usize) -> Decode<'run> {
        let batch = LlamaBatch::new(streams, 1);
        Decode { model, context, batch, streams, free: (0..streams as i32).collect(), texts: vec![] }
    }

    /// Takes over a text whose prompt is a sequence of `from`; an answer if its first token is its last.
    ///
    /// # Errors
    /// When there is no free stream.
    pub fn add(&mut self, mut text: Text, from: &LlamaContext, sequence: i32) -> Result<Option<Answer>> {
        if let Some(ended) = self.take_in(&mut text) {
            return Ok(Some(text.answer(Ok(ended))));
        }
        let stream = self.free.pop_first().context("the plan has fewer streams than there are texts")?;
        match transfer(from, sequence, &mut self.context, stream, self.streams) {
            Ok(()) => {
                self.texts.push((stream, text));
                Ok(None)
            }
            Err(error) => {
                self.free.insert(stream);
                Ok(Some(text.answer(Err(error))))
            }
        }
    }

    /// One more token for every text; the answers that are done.
    pub fn step(&mut self) -> Result<Vec<Answer>> {
        self.texts.sort_unstable_by_key(|(stream, _)| *stream);
        self.batch.clear();
        for (stream, text) in &self.texts {
            self.batch.add(text.next, text.position as i32, &[*stream], true)?;
        }
        let computed = self.context.decode(&mut self.batch).map_err(|error| format!("llama.cpp: {error}"));
        let mut answers = Vec::new();
        for (index, (stream, mut text)) in std::mem::take(&mut self.texts).into_iter().enumerate() {
            let ended = match &computed {
                Ok(()) => {
                    text.position += 1;
                    text.next = LlamaToken(text.sampler.choose(self.context.get_logits_ith(index as i32)) as i32);
                    self.take_in(&mut text).map(Ok)
                }
                Err(error) => Some(Err(error.clone())),
            };
            match ended {
                None => self.texts.push((stream, text)),
                Some(ended) => {
                    self.context.kv_cache_seq_rm(stream, None, None)?;
                    self.free.insert(stream);
                    answers.push(text.answer(ended));
                }
            }
        }
        Ok(answers)
    }

    /// Empties the cache; no text may be unfinished.
    pub fn clear(&mut self) {
        debug_assert!(self.texts.is_empty());
        self.context.clear_kv_cache();
    }

    /// Takes in the next token. When that was the last: whether the model ended the text, rather than the limit.
    fn take_in(&self, text: &mut Text) -> Option<bool> {
        let vocabulary = self.model.vocab();
        let ended = vocabulary.is_eog(text.next);
        text.generated += 1;
        if !ended {
            text.bytes.extend(vocabulary.token_to_piece(text.next, false, None));
        }
        (ended || text.generated == text.max_tokens).then_some(ended)
    }
}

impl Text {
    fn answer(self, ended: Result<bool, String>) -> Answer {
        let text = String::from_utf8_lossy(&self.bytes).trim().to_owned();
        Answer {
            job: self.job,
            task: self.task,
            outcome: ended.map(|ended| Outcome::Text { text, ended }),
            cached_tokens: self.cached,
            generated_tokens: self.generated,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}
