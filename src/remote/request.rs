//! What is sent to a host for a job.

use std::time::Instant;

use serde_json::{Value, json};

use super::failure::Otherwise;
use crate::config::Sampling;
use crate::generator::{JobId, TextWant};
use crate::prompt::Message;
use crate::run::sha256;

/// Likeliest tokens that are asked for, as many as hosts list; then as many as others list.
const TOP_LOGPROBS: [u8; 2] = [20, 5];

/// A job that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub id: JobId,
    pub messages: Vec<Message>,
    pub sampling: Sampling,
    pub randomness: String,
    pub want: TextWant,
    /// The first 64 bits of the messages' SHA-256.
    pub prompt: u64,
    pub bytes: u64,
    pub first_sent: Option<Instant>,
    /// Times that it was sent and broke off.
    pub attempts: u32,
    pub refusals: u32,
}

/// How a host wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    top_logprobs: Option<u8>,
    /// `max_completion_tokens` for `max_tokens`.
    max_completion_tokens: bool,
}

impl Waiting {
    pub(super) fn new(
        id: JobId,
        messages: Vec<Message>,
        sampling: Sampling,
        randomness: String,
        want: TextWant,
    ) -> Waiting {
        let text = json!(messages).to_string();
        let prompt = u64::from_str_radix(&sha256(text.as_bytes())[..16], 16).unwrap_or_default();
        let bytes = messages.iter().map(|message| message.content.len() as u64).sum();
        Waiting { id, messages, sampling, randomness, want, prompt, bytes, first_sent: None, attempts: 0, refusals: 0 }
    }

    /// The body of a request.
    pub(super) fn body(&self, model: &str, shape: Shape) -> Value {
        let Waiting { messages, sampling, randomness, want, .. } = self;
        let [temperature, top_p] = sampling.decimals();
        let limit = if shape.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({
            "model": model,
            "messages": messages,
            "temperature": temperature,
            limit: want.max_tokens,
        });
        if sampling.temperature > 0.0 {
            // The same job has the same draws, and no two jobs have.
            let seed = sha256(format!("{}\n{randomness}", sampling.seed).as_bytes());
            body["seed"] = json!(u32::from_str_radix(&seed[..8], 16).unwrap_or_default() >> 1);
            if sampling.top_p < 1.0 {
                body["top_p"] = json!(top_p);
            }
        }
        if !want.stop.is_empty() {
            body["stop"] = json!(want.stop);
        }
        if let Some(top_logprobs) = shape.top_logprobs.filter(|_| !want.labels.is_empty()) {
            body["logprobs"] = json!(true);
            body["top_logprobs"] = json!(top_logprobs);
        }
        body
    }
}

impl Shape {
    /// As most hosts want it.
    pub(super) const FIRST: Shape = Shape { top_logprobs: Some(TOP_LOGPROBS[0]), max_completion_tokens: false };

    /// The next way to ask; `None` where this was the last.
    pub(super) fn otherwise(self, otherwise: Otherwise) -> Option<Shape> {
        match otherwise {
            Otherwise::MaxCompletionTokens if !self.max_completion_tokens => {
                Some(Shape { max_completion_tokens: true, ..self })
            }
            Otherwise::FewerLogprobs => {
                let now = self.top_logprobs?;
                Some(Shape { top_logprobs: TOP_LOGPROBS.into_iter().find(|fewer| *fewer < now), ..self })
            }
            Otherwise::MaxCompletionTokens => None,
        }
    }
}
