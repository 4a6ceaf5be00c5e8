//! A text as it grows: its bytes, where it ends, and what of it can be shown already.

use std::time::Instant;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::repetition::Repetition;
use super::sample::{LogProbabilities, Sampler};
use crate::generator::{Cost, Ending, Event, Job, JobId, Outcome, Reads, Text, TextWant, Want};

/// A text being generated.
pub(super) struct GrowingText {
    pub job: JobId,
    /// Position of the token that is decoded next.
    pub position: usize,
    /// That token.
    pub next: LlamaToken,
    want: TextWant,
    sampler: Sampler,
    repetition: Option<Repetition>,
    bytes: Vec<u8>,
    /// Bytes that a [`Event::Token`] has told of.
    shown: usize,
    answer_logprobs: Vec<f64>,
    prompt_logprobs: Vec<f64>,
    cost: Cost,
    started: Instant,
}

impl GrowingText {
    /// A text whose prompt was computed, with the distribution over its first token; `None` for a job that wants
    /// none.
    pub fn begin(
        job: Job,
        (cached_tokens, started): (usize, Instant),
        prompt_logprobs: Vec<f64>,
        logits: &[f32],
    ) -> Option<GrowingText> {
        let (Want::Text(want), Reads::Tokens { tokens, .. }) = (job.want, job.reads) else { return None };
        let mut text = GrowingText {
            job: job.id,
            position: tokens.len(),
            next: LlamaToken(0),
            want,
            sampler: Sampler::new(&job.sampling, &job.randomness),
            repetition: job.sampling.loop_stop.then(Repetition::default),
            bytes: vec![],
            shown: 0,
            answer_logprobs: vec![],
            prompt_logprobs,
            cost: Cost { cached_tokens, ..Cost::default() },
            started,
        };
        text.choose(logits);
        Some(text)
    }

    /// Chooses the next token.
    pub fn choose(&mut self, logits: &[f32]) {
        let token = match &mut self.want.constraint {
            None => self.sampler.choose(logits),
            Some(constraint) => {
                let mut masked = logits.to_vec();
                constraint.mask(&mut masked);
                let token = self.sampler.choose(&masked);
                constraint.accept(token);
                token
            }
        };
        if self.want.answer_logprobs {
            self.answer_logprobs.push(LogProbabilities::new(logits).of(token));
        }
        self.next = LlamaToken(token as i32);
    }

    /// Takes in the token that was chosen: what there is to tell, and whether the text is complete.
    pub fn take_in(&mut self, model: &LlamaModel) -> (Vec<Event>, bool) {
        let vocabulary = model.vocab();
        let ends = vocabulary.is_eog(self.next);
        self.cost.generated_tokens += 1;
        if !ends {
            self.bytes.extend(vocabulary.token_to_piece(self.next, false, None));
        }
        let ending = if ends || self.cut_at_stop() {
            Some(Ending::Complete)
        } else if self.repetition.as_mut().is_some_and(|repetition| repetition.goes_round(self.next.0 as u32)) {
            Some(Ending::Loop)
        } else if self.cost.generated_tokens == self.want.max_tokens {
            Some(Ending::Cut)
        } else {
            None
        };
        let mut events = Vec::new();
        let until = if ending.is_none() { self.settled() } else { self.bytes.len() };
        if until > self.shown {
            let text = String::from_utf8_lossy(&self.bytes[self.shown..until]).into_owned();
            events.push(Event::Token { job: self.job, text });
            self.shown = until;
        }
        events.extend(ending.map(|ending| self.answer(ending)));
        (events, ending.is_some())
    }

    /// Ends it without an answer.
    pub fn failed(&self, reason: String) -> Event {
        Event::Failed { job: self.job, reason: reason.into(), cost: self.cost() }
    }

    fn answer(&mut self, ending: Ending) -> Event {
        let outcome = Outcome::Text(Text {
            text: String::from_utf8_lossy(&self.bytes).trim().to_owned(),
            ending,
            answer_logprobs: std::mem::take(&mut self.answer_logprobs),
            prompt_logprobs: std::mem::take(&mut self.prompt_logprobs),
        });
        Event::Answer { job: self.job, outcome, cost: self.cost() }
    }

    fn cost(&self) -> Cost {
        Cost { seconds: self.started.elapsed().as_secs_f64(), ..self.cost }
    }

    /// Cuts the text where the first stop string begins, if one is in it.
    fn cut_at_stop(&mut self) -> bool {
        let stops = self.want.stop.iter().filter(|stop| !stop.is_empty());
        let first = stops.filter_map(|stop| find(&self.bytes[self.shown..], stop.as_bytes())).min();
        if let Some(at) = first {
            self.bytes.truncate(self.shown + at);
        }
        first.is_some()
    }

    /// Bytes that nothing to come can change: whole characters, and no beginning of a stop string.
    fn settled(&self) -> usize {
        let new = &self.bytes[self.shown..];
        let last = new.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        let is_begun = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
        let whole = new.len() - if is_begun { last.len() } else { 0 };
        let begins = |at: &usize| self.want.stop.iter().any(|stop| stop.as_bytes().starts_with(&new[*at..]));
        self.shown + (0..whole).find(begins).unwrap_or(whole)
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sampling;

    fn growing(stop: &[&str]) -> GrowingText {
        let stop = stop.iter().map(|stop| (*stop).to_owned()).collect();
        let job = Job {
            id: 1,
            reads: Reads::Tokens { tokens: [0].into(), lead: 0, cuts: vec![] },
            want: Want::Text(TextWant { stop, ..TextWant::of(10) }),
            sampling: Sampling::GREEDY,
            randomness: String::new(),
            prefix: None,
        };
        GrowingText::begin(job, (0, Instant::now()), vec![], &[0.0]).unwrap()
    }

    #[test]
    fn half_a_character_and_the_start_of_a_stop_string_wait() {
        let mut text = growing(&["END", "X"]);
        text.bytes.extend("né".as_bytes());
        assert_eq!(text.settled(), 3);
        text.bytes.pop();
        assert_eq!(text.settled(), 1, "the second half of a character is to come");
        text.bytes.truncate(1);
        text.bytes.extend(b" EN");
        assert_eq!(text.settled(), 2);
        text.bytes.extend(b"d");
        assert_eq!(text.settled(), 5, "it was none");
        text.bytes.extend(b" E\xff");
        assert_eq!(text.settled(), 8, "bytes of no character don't become one");
        text.bytes.push(0xc3);
        assert_eq!(text.settled(), 8, "and hide none that is to come");
    }

    #[test]
    fn a_text_ends_before_the_first_stop_string() {
        let mut text = growing(&["END", "ND o"]);
        text.bytes.extend(b"the END of it");
        assert!(text.cut_at_stop());
        assert_eq!(text.bytes, b"the ");
        assert!(!text.cut_at_stop());
    }
}
