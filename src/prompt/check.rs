//! Whether a model file's chat template is of its own vocabulary, and answers end with the token it names.

use super::{ChatFormat, Tokenizer};
use crate::error::Shown;
use crate::gguf::{Gguf, Problem, Value};

const CONTROL: i128 = 3;
const CONVERT: &str = "export it anew with the model's own tokenizer and chat template";

/// What is wrong with the chat template of a language model whose header is otherwise right.
pub fn chat_problems(gguf: &Gguf) -> Vec<Problem> {
    let template = gguf.text("tokenizer.chat_template").unwrap_or_default();
    let tokens = gguf.added_tokens();
    let chat = match ChatFormat::new(template, tokens) {
        Ok(chat) => chat,
        Err(error) => return vec![Problem::fatal(in_a_line(&error), "prompts can't be made", CONVERT)],
    };
    // One token each, whatever its text: only the first is looked at.
    struct Added<'a>(&'a Gguf);
    impl Tokenizer for Added<'_> {
        fn encode(&self, text: &str) -> anyhow::Result<Vec<u32>> {
            let longest = |(_, token): &(usize, std::borrow::Cow<str>)| token.len();
            let tokens = self.0.texts("tokenizer.ggml.tokens").enumerate();
            let first = tokens.filter(|(_, token)| !token.is_empty() && text.starts_with(&**token)).max_by_key(longest);
            Ok(first.into_iter().map(|(id, _)| id as u32).collect())
        }
    }
    let end = match chat.end_token(&Added(gguf)) {
        Ok(end) => u64::from(end),
        Err(error) => {
            let why = "the template is of another model, or the vocabulary is";
            return vec![Problem::fatal(in_a_line(&error), why, CONVERT)];
        }
    };
    let ids = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];
    let found: Vec<u64> = ids.iter().filter_map(|key| gguf.number(key)).collect();
    if found.contains(&end) {
        return vec![];
    }
    let text = |id: u64| gguf.texts("tokenizer.ggml.tokens").nth(id as usize).unwrap_or_default().into_owned();
    let eos = found.first().copied().unwrap_or_default();
    let types = gguf.metadata.get("tokenizer.ggml.token_type").and_then(Value::as_array);
    let kind = types.and_then(|types| types.scalars().nth(eos as usize));
    vec![Problem {
        what: format!("answers end with {:?} ({end}), and the file says {:?} ({eos})", text(end), text(eos)),
        why: "answers would stop in the middle, or not at all",
        hint: CONVERT.into(),
        // llama.cpp ends at the usual tokens by their names too.
        runs: kind == Some(Value::Int(CONTROL)),
    }]
}

fn in_a_line(error: &anyhow::Error) -> String {
    let Shown { message, hints } = Shown::of(error);
    [vec![message], hints].concat().join("; ")
}
