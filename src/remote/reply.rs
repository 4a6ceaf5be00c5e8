//! What a host answers, as OpenAI's chat completions and the servers that speak it write it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// More can't be in one answer: then the count is wrong.
const MOST_TOKENS: u64 = 1_000_000_000;

/// An answer, as the host says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reply {
    /// What the model wrote.
    pub text: String,
    /// Why it ended, such as `stop` or `length`; empty where the host doesn't say.
    pub finish: String,
    /// Which model the host says it was.
    pub model: Option<String>,
    /// The host's name for the way it computed.
    pub fingerprint: Option<String>,
    /// What it took, where the host says it.
    pub usage: Option<Usage>,
    /// The places of the answer, where their log-probabilities were asked for and given.
    pub positions: Vec<Position>,
}

/// Tokens that a request took, as the host counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// Of the prompt.
    pub read: u64,
    /// Of these, taken from the host's cache.
    pub cached: u64,
    /// Of the answer, with what the model thought before it.
    pub written: u64,
}

/// A place of the answer: the token that was written, and the likeliest ones.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Position {
    pub token: String,
    /// Natural.
    pub logprob: f64,
    /// With natural log-probabilities, as many as were asked for.
    pub top: Vec<(String, f64)>,
}

impl Position {
    /// The likeliest tokens, and the one that was written where it isn't among them.
    pub(super) fn alternatives(&self) -> impl Iterator<Item = (&str, f64)> {
        let own = self.top.iter().all(|(token, _)| *token != self.token).then_some((self.token.as_str(), self.logprob));
        self.top.iter().map(|(token, logprob)| (token.as_str(), *logprob)).chain(own)
    }
}

/// What a host says is wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Complaint {
    /// For people; empty where nothing was understood.
    pub message: String,
    /// For programs: a status, or a word such as `insufficient_quota`.
    pub code: String,
}

impl Complaint {
    /// What stands in the body of a response, whoever wrote it; `None` where it complains of nothing.
    pub(super) fn of(body: &Value) -> Option<Complaint> {
        let in_choice =
            || body["choices"].as_array()?.iter().map(|choice| &choice["error"]).find(|error| !error.is_null());
        let error = Some(&body["error"]).filter(|error| !error.is_null()).or_else(in_choice);
        let (inner, is_one) = match error {
            Some(error) => (error, true),
            None if body["object"] == "error" || body.get("choices").is_none() => (body, false),
            None => return None,
        };
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let message = match inner {
            Value::String(message) => Some(message.clone()),
            _ => ["message", "detail"].iter().find_map(|key| text(&inner[*key])),
        };
        if message.is_none() && !is_one {
            return None;
        }
        let code = ["code", "type"].iter().find_map(|key| text(&inner[*key])).unwrap_or_default();
        Some(Complaint { message: message.unwrap_or_default(), code })
    }
}

impl Reply {
    /// Takes apart the body of a response that holds an answer.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn of(body: &Value) -> Result<Reply, String> {
        let choice = body["choices"].get(0).ok_or("there is no choices[0]")?;
        let message =
            choice.get("message").filter(|message| message.is_object()).ok_or("there is no choices[0].message")?;
        let text = match &message["content"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => return Err("choices[0].message.content is no text".to_owned()),
        };
        let word = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Reply {
            text: without_thought(text),
            finish: word(&choice["finish_reason"]).unwrap_or_default(),
            model: word(&body["model"]),
            fingerprint: word(&body["system_fingerprint"]),
            usage: Usage::of(&body["usage"]),
            positions: choice["logprobs"]["content"].as_array().into_iter().flatten().map_while(Position::of).collect(),
        })
    }
}

/// A model that thinks before it answers, where the host takes the thought for a part of the answer.
fn without_thought(text: String) -> String {
    match text.trim_start().strip_prefix("<think>") {
        None => text,
        Some(thought) => {
            thought.split_once("</think>").map_or_else(String::new, |(_, answer)| answer.trim_start().to_owned())
        }
    }
}

impl Usage {
    /// `None` where it isn't told, or not in whole tokens.
    pub(super) fn of(usage: &Value) -> Option<Usage> {
        let number = |names: [&str; 2]| {
            names.iter().find_map(|name| usage[*name].as_u64()).filter(|tokens| *tokens < MOST_TOKENS)
        };
        let cached =
            usage["prompt_tokens_details"]["cached_tokens"].as_u64().or(usage["prompt_cache_hit_tokens"].as_u64());
        let (read, written) =
            (number(["prompt_tokens", "input_tokens"])?, number(["completion_tokens", "output_tokens"])?);
        // Some hosts count what the model thought in the sum alone.
        let thought = number(["total_tokens", "total_tokens"]).map_or(0, |total| total.saturating_sub(read + written));
        Some(Usage { read, cached: cached.unwrap_or(0).min(read), written: written + thought })
    }
}

impl Position {
    fn of(entry: &Value) -> Option<Position> {
        let pair = |entry: &Value| Some((entry["token"].as_str()?.to_owned(), entry["logprob"].as_f64()?));
        let (token, logprob) = pair(entry)?;
        let top = entry["top_logprobs"].as_array().into_iter().flatten().filter_map(pair).collect();
        Some(Position { token, logprob, top })
    }
}

/// Whether a host that was asked for one model answered with it: under its name, that name with a date or `latest` behind it,
/// or the same name with or without a folder before it.
pub(super) fn is_model(asked: &str, answered: &str) -> bool {
    let is_version = |rest: &str| {
        let digits = |rest: &str| rest.chars().all(|character| character.is_ascii_digit() || character == '-');
        rest.starts_with('-') && digits(rest) || ["-latest", ":latest"].contains(&rest)
    };
    let below = |short: &str, long: &str| long.strip_suffix(short).is_some_and(|folder| folder.ends_with('/'));
    let versioned = answered.strip_prefix(asked).is_some_and(is_version);
    asked == answered || versioned || below(asked, answered) || below(answered, asked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_may_be_called_by_more_than_its_name() {
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("qwen2.5", "qwen2.5:latest"),
            ("a.gguf", "/models/a.gguf"),
            ("openai/gpt-4o", "gpt-4o"),
        ] {
            assert!(is_model(asked, answered), "{asked} {answered}");
        }
        for (asked, answered) in [
            ("gpt-4o", "gpt-4"),
            ("gpt-4", "gpt-4o"),
            ("a", "b"),
            ("a.gguf", "ba.gguf"),
            ("a", ""),
            ("gpt-4o", "gpt-4o-mini-2024-07-18"),
            ("gpt-4", "gpt-4-turbo"),
            ("qwen2.5", "qwen2.5:0.5b"),
        ] {
            assert!(!is_model(asked, answered), "{asked} {answered}");
        }
    }

    fn shape(name: &str) -> Value {
        let path = format!("{}/tests/reference/chat_completions/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
    }

    /// Fields are those of each server's source (tests/reference/chat_completions/README.md).
    #[test]
    fn answers_are_read_in_the_shape_of_each_server() {
        let labels: Vec<String> = ["hiburan", "musik", "kuliner", "bisnis"].map(str::to_owned).into();
        for server in ["vllm", "ollama", "llama_server", "llama_cpp_python", "openai"] {
            let reply = Reply::of(&shape(&format!("{server}.label"))).unwrap();
            assert_eq!((reply.text.as_str(), reply.finish.as_str()), ("kuliner", "stop"), "{server}");
            let usage = reply.usage.unwrap();
            assert!(usage.read > 100 && usage.cached < usage.read && usage.written > 0, "{server}: {usage:?}");
            assert_eq!(reply.positions[0].token, "kul", "{server}");
            assert!(reply.positions[0].top.len() >= 5, "{server}");
            let scores = super::super::labels::scores(&labels, &reply.positions, &reply.text).unwrap();
            assert!(scores[2] > scores[0] && scores[2].exp() > 0.5, "{server}: {scores:?}");
            let text = Reply::of(&shape(&format!("{server}.text"))).unwrap();
            assert!(text.text.contains(' ') && text.positions.is_empty() && text.usage.is_some(), "{server}: {text:?}");
            assert!(is_model(&text.model.clone().unwrap(), &reply.model.unwrap()), "{server}");
            assert_eq!(Complaint::of(&shape(&format!("{server}.text"))), None, "{server}");
        }
        for server in ["vllm", "ollama", "llama_server"] {
            assert_eq!(Reply::of(&shape(&format!("{server}.length"))).unwrap().finish, "length", "{server}");
            // Cut while it thought: null or nothing, and never a thought for an answer.
            let thinking = Reply::of(&shape(&format!("{server}.thinking_length"))).unwrap();
            assert_eq!((thinking.text.trim(), thinking.finish.as_str()), ("", "length"), "{server}");
        }
    }

    #[test]
    fn complaints_are_read_in_the_shape_of_each_server() {
        for name in [
            "vllm.error",
            "vllm.unauthorized",
            "ollama.error",
            "llama_server.error",
            "llama_server_router.error",
            "llama_server.loading",
            "llama_cpp_python.error",
            "llama_cpp_python.internal",
            "openai.error",
            "openai.insufficient_quota",
            "openai.unsupported_max_tokens",
            "openrouter.error_in_200",
            "openrouter.error_in_choice",
            "fastapi.detail",
            "fastapi.detail_list",
        ] {
            let complaint = Complaint::of(&shape(name)).unwrap_or_else(|| panic!("{name}"));
            assert!(!complaint.message.is_empty(), "{name}");
        }
    }

    #[test]
    fn complaints_are_found_wherever_they_stand() {
        for (body, message, code) in [
            (json!({"error": {"message": "no", "code": 429}}), "no", "429"),
            (json!({"error": {"message": "no", "type": "t", "code": null}}), "no", "t"),
            (json!({"error": "no"}), "no", ""),
            (json!({"object": "error", "message": "no", "code": 404}), "no", "404"),
            (json!({"detail": "no"}), "no", ""),
            (json!({"detail": [{"loc": ["body"]}]}), r#"[{"loc":["body"]}]"#, ""),
            (json!({"error": {}}), "", ""),
            (json!({"choices": [{"error": {"message": "no", "code": 502}}]}), "no", "502"),
        ] {
            assert_eq!(Complaint::of(&body), Some(Complaint { message: message.into(), code: code.into() }), "{body}");
        }
        for body in
            [json!({"choices": []}), json!({"choices": [{"message": {}}], "error": null}), json!({"a": 1}), json!([])]
        {
            assert_eq!(Complaint::of(&body), None, "{body}");
        }
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for (body, expected) in [
            (json!({}), "there is no choices[0]"),
            (json!({"choices": [{"text": "a"}]}), "there is no choices[0].message"),
            (json!({"choices": [{"message": {"content": 1}}]}), "choices[0].message.content is no text"),
        ] {
            assert_eq!(Reply::of(&body), Err(expected.to_owned()));
        }
        let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}]});
        assert_eq!(Reply::of(&parts).unwrap().text, "ab");
        let of = |text: &str| Reply::of(&json!({"choices": [{"message": {"content": text}}]})).unwrap().text;
        assert_eq!(of("<think>\nhm <b>\n</think>\n\nkuliner"), "kuliner");
        assert_eq!((of("<think> hm"), of("<thinker>")), (String::new(), "<thinker>".to_owned()));
    }

    #[test]
    fn thoughts_are_counted_and_nonsense_is_not() {
        let of = |read: u64, written: u64, total: u64| {
            Usage::of(&json!({"prompt_tokens": read, "completion_tokens": written, "total_tokens": total}))
        };
        assert_eq!(of(10, 5, 15).unwrap().written, 5);
        assert_eq!(of(10, 5, 115).unwrap().written, 105);
        assert_eq!(of(10, 5, 0).unwrap().written, 5);
        assert_eq!(of(u64::MAX, 5, 0), None);
    }
}
