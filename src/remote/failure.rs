//! Why a request has no answer, and what that means for it and for the others.

use std::time::Duration;

use anyhow::Error;
use serde_json::Value;

use super::reply::{Complaint, Usage};
use crate::error::blame_environment;
use crate::generator::Reason;

/// Characters of a host's own words that are repeated.
const REPEATED: usize = 300;
const NOTHING_LEFT: &str = "the account behind the key has nothing left: pay it up, or use another key";
pub(super) const AGAIN: &str = "the same command tries it again";
const TOO_LONG: &str = "the prompt is too long for the model: shorten transcript or caption";

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub meaning: Meaning,
    pub reason: Reason,
    /// How long the host wants to be left alone.
    pub retry_after: Option<Duration>,
    pub charge: Charge,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Too many requests: this one may come again later.
    Refused,
    /// It may well work another time.
    Passing,
    /// Another way to ask is needed.
    AskOtherwise(Otherwise),
    /// This one has no answer; others may.
    Own,
    /// Not allowed: this one, or all where the host has answered none yet.
    Barred,
    /// No request will have one: the user has to change something.
    All,
    /// Network or host have to change before any request has one; where some had, it may pass.
    Host,
}

/// A part of a request that not every host knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// `max_completion_tokens` for `max_tokens`.
    MaxCompletionTokens,
    /// Fewer log-probabilities, or none.
    FewerLogprobs,
}

/// What a failed request has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    /// It never came to an answer.
    Nothing,
    /// The host may have computed an answer that never arrived.
    Unknown,
    /// As the host says.
    Told(Usage),
}

impl Failure {
    pub(super) fn new(meaning: Meaning, text: impl Into<String>, hint: Option<&'static str>) -> Failure {
        let reason = Reason { text: text.into(), hint };
        Failure { meaning, reason, retry_after: None, charge: Charge::Nothing }
    }

    /// One that broke off after the request was sent.
    pub(super) fn broken(text: impl Into<String>) -> Failure {
        Failure { charge: Charge::Unknown, ..Failure::new(Meaning::Passing, text, None) }
    }

    /// As the error that ends a run.
    pub(super) fn into_error(self, host: &str) -> Error {
        let error = self.reason.into_error(host);
        if matches!(self.meaning, Meaning::All | Meaning::Barred) { error } else { blame_environment(error) }
    }

    /// What the host says in a response that is no success.
    pub(super) fn told(status: u16, body: &Value, retry_after: Option<Duration>, has_key: bool) -> Failure {
        let complaint = match body {
            Value::String(text) => Complaint { message: text.clone(), ..Complaint::default() },
            body => Complaint::of(body).unwrap_or_default(),
        };
        Failure { retry_after, ..Failure::of_complaint(status, &complaint, has_key) }
    }

    /// What a complaint means that stands in an answer: its code is a status, or a word.
    pub(super) fn in_answer(complaint: &Complaint, charge: Charge, has_key: bool) -> Failure {
        let word = |word: &str| complaint.code.contains(word);
        let status = match complaint.code.parse() {
            Ok(status) => status,
            Err(_) if word("rate_limit") => 429,
            Err(_) if word("context_length") || word("invalid_request") => 400,
            Err(_) => 500,
        };
        Failure { charge, ..Failure::of_complaint(status, complaint, has_key) }
    }

    /// What a complaint means, under a status or a code like one.
    fn of_complaint(status: u16, complaint: &Complaint, has_key: bool) -> Failure {
        let Complaint { message, code } = complaint;
        let said = match shortened(message) {
            words if words.is_empty() => format!("the host answers {status}"),
            words => format!("the host answers {status}: {words}"),
        };
        let names = |word: &str| message.contains(word) || code.contains(word);
        let fail = |meaning, hint| Failure::new(meaning, said, hint);
        match status {
            402 => fail(Meaning::All, Some(NOTHING_LEFT)),
            _ if names("insufficient_quota") => fail(Meaning::All, Some(NOTHING_LEFT)),
            _ if names("max_completion_tokens") => fail(Meaning::AskOtherwise(Otherwise::MaxCompletionTokens), None),
            _ if names("logprobs") => fail(Meaning::AskOtherwise(Otherwise::FewerLogprobs), None),
            401 if has_key => fail(Meaning::All, Some("the key is not taken: see REELS_API_KEY or --api-key-file")),
            401 => fail(Meaning::All, Some("give the host's key by REELS_API_KEY or --api-key-file")),
            403 => fail(Meaning::Barred, Some("see what the host allows, and REELS_API_KEY or --api-key-file")),
            404 => {
                let hint = "see that address and name are those of the host's documentation: --model URL#NAME";
                fail(Meaning::All, Some(hint))
            }
            413 => fail(Meaning::Own, Some(TOO_LONG)),
            400 if names("context") && (names("exceed") || names("length") || names("maximum")) => {
                fail(Meaning::Own, Some(TOO_LONG))
            }
            400 if names("temperature") => fail(Meaning::All, Some("some models take --temperature 1 --top-p 1 alone")),
            429 | 529 => fail(Meaning::Refused, None),
            // Something between here and the host gave up waiting, and the host may not have.
            408 | 502 | 504 | 524 => Failure { charge: Charge::Unknown, ..fail(Meaning::Passing, None) },
            425 | 500..=599 => fail(Meaning::Passing, None),
            _ => fail(Meaning::Own, None),
        }
    }

    /// A redirect, which isn't followed.
    pub(super) fn redirect(status: u16, to: &str) -> Failure {
        let hint =
            "texts and key go to the host that was named and to no other: name that address where it is the right one";
        Failure::new(
            Meaning::All,
            format!("the host answers {status}: what is asked is at {}", shortened(to)),
            Some(hint),
        )
    }

    /// One that stands for several attempts.
    pub(super) fn after(self, attempts: u32) -> Failure {
        let text = format!("{} (asked {attempts} times)", self.reason.text);
        Failure { reason: Reason { text, ..self.reason }, ..self }
    }
}

/// Whatever a host says, on one line that isn't too long.
pub(super) fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|character| !character.is_control()).collect();
    match line.char_indices().nth(REPEATED) {
        None => line,
        Some((end, _)) => format!("{} …", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_complaint_means() {
        let told = |status, body: &str| {
            let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
            Failure::told(status, &body, None, true).meaning
        };
        let otherwise = Meaning::AskOtherwise;
        for (status, body, meaning) in [
            (429, r#"{"error":{"message":"slow down"}}"#, Meaning::Refused),
            (429, r#"{"error":{"message":"m","type":"insufficient_quota","code":null}}"#, Meaning::All),
            (500, "<html>", Meaning::Passing),
            (503, r#"{"error":{"message":"Loading model"}}"#, Meaning::Passing),
            (400, r#"{"error":{"message":"m","type":"exceed_context_size_error"}}"#, Meaning::Own),
            (400, r#"{"error":{"message":"maximum context length is 8192","code":null}}"#, Meaning::Own),
            (
                400,
                r#"{"error":{"message":"Use 'max_completion_tokens' instead."}}"#,
                otherwise(Otherwise::MaxCompletionTokens),
            ),
            (500, r#"{"error":{"message":"logprobs is not supported"}}"#, otherwise(Otherwise::FewerLogprobs)),
            (404, "", Meaning::All),
            (401, r#"{"error":"Unauthorized"}"#, Meaning::All),
            (403, "", Meaning::Barred),
            (422, r#"{"detail":"no"}"#, Meaning::Own),
        ] {
            assert_eq!(told(status, body), meaning, "{status} {body}");
        }
    }

    #[test]
    fn complaints_in_answers_have_a_status_or_a_word() {
        let of = |code: &str| {
            let complaint = Complaint { message: String::new(), code: code.into() };
            Failure::in_answer(&complaint, Charge::Unknown, false).meaning
        };
        assert_eq!((of("429"), of("rate_limit_exceeded")), (Meaning::Refused, Meaning::Refused));
        assert_eq!((of("502"), of("server_error"), of("")), (Meaning::Passing, Meaning::Passing, Meaning::Passing));
        assert_eq!((of("400"), of("context_length_exceeded")), (Meaning::Own, Meaning::Own));
    }

    #[test]
    fn a_hosts_words_are_one_short_line() {
        let body = Value::from(format!("a\n\u{1b}[31mb{}", "x".repeat(9999)));
        let text = Failure::told(500, &body, None, false).reason.text;
        assert!(text.starts_with("the host answers 500: a [31mb") && text.chars().count() < 350, "{text}");
    }
}
