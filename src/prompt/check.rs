//! Whether a model file's chat template is of its own vocabulary, and answers end with the token it names.

use anyhow::Result;

use super::{ChatFormat, SpecialTokens, Tokenizer};
use crate::error::Shown;
use crate::gguf::{Gguf, Problem, Value};

const CONTROL: i128 = 3;
const CONVERT: &str = "export it anew with the model's own tokenizer and chat template";

/// The chat format of a model file, in front of whose texts its beginning stands where it `adds_bos`.
///
/// # Errors
/// As [`ChatFormat::new`].
pub fn chat_of(gguf: &Gguf, adds_bos: bool) -> Result<ChatFormat> {
    let token = |which: &str| {
        let id = gguf.number(&format!("tokenizer.ggml.{which}_token_id"));
        let text = id.and_then(|id| gguf.texts("tokenizer.ggml.tokens").nth(id as usize));
        text.unwrap_or_default().into_owned()
    };
    let tokens = SpecialTokens { added: gguf.added_tokens(), bos: token("bos"), eos: token("eos"), adds_bos };
    ChatFormat::new(gguf.text("tokenizer.chat_template").unwrap_or_default(), tokens)
}

/// What is wrong with the chat template of a language model whose header is otherwise right.
pub fn chat_problems(gguf: &Gguf) -> Vec<Problem> {
    let chat = match chat_of(gguf, false) {
        Ok(chat) => chat,
        Err(error) => {
            let Shown { message, hints } = Shown::of(&error);
            let hint = hints.into_iter().next().unwrap_or_else(|| CONVERT.to_owned());
            return vec![Problem::fatal(message, "prompts can't be made", hint)];
        }
    };
    // Gives one token, the longest that a text begins with: [`ChatFormat::end_token`] looks at no other.
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
    // llama.cpp also ends at tokens whose names are those of usual end tokens: it is asked when the file is opened.
    if types.and_then(|types| types.scalars().nth(eos as usize)) == Some(Value::Int(CONTROL)) {
        return vec![];
    }
    let what = format!("answers end with {:?} ({end}), and the file says {:?} ({eos})", text(end), text(eos));
    vec![Problem::fatal(what, "answers would stop in the middle, or not at all", CONVERT)]
}

fn in_a_line(error: &anyhow::Error) -> String {
    let Shown { message, hints } = Shown::of(error);
    [vec![message], hints].concat().join("; ")
}
