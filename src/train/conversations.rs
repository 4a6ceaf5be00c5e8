//! Conversations as OpenAI's fine-tuning takes them: `{"messages": [{"role": …, "content": …}, …]}` a line.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use super::examples::{Example, Examples, without_end};
use crate::error::Hint;
use crate::lines::{Line, Lines};
use crate::prompt::{ChatFormat, Message, Tokenizer};

#[derive(Deserialize)]
struct Conversation {
    id: Option<String>,
    messages: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
    /// 0 where a turn of the assistant is not to be learned.
    weight: Option<f32>,
}

/// Whether the first line of a file is a conversation rather than a record.
///
/// # Errors
/// Names the file when it can't be read.
pub fn are_conversations(lines: &Lines) -> Result<bool> {
    let mut first = None;
    lines.each(|line| {
        if first.is_none() && !line.bytes.trim_ascii().is_empty() {
            let value: Option<serde_json::Value> = serde_json::from_slice(without_mark(line.bytes)).ok();
            first = Some(value.is_some_and(|value| value.get("messages").is_some()));
        }
        Ok(())
    })?;
    Ok(first == Some(true))
}

/// A line without the byte order mark that the first one may begin with.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// What user and assistant say, with the conversation's id. Lines that very many turns have are left out: they are
/// instructions, and would make everything alike.
///
/// # Errors
/// Names the line that is no conversation.
pub fn texts(lines: &Lines) -> Result<Vec<(String, String)>> {
    let mut texts: Vec<(String, String)> = Vec::new();
    lines.each(|line| {
        if !line.bytes.trim_ascii().is_empty() {
            let (_, id, conversation) = parsed(lines, &line)?;
            let turns = conversation.messages.into_iter().filter(|turn| turn.role != "system");
            texts.extend(turns.map(|turn| (id.clone(), turn.content)));
        }
        Ok(())
    })?;
    let mut turns: HashMap<&str, usize> = HashMap::new();
    for (_, text) in &texts {
        for line in text.lines().collect::<HashSet<&str>>() {
            *turns.entry(line).or_default() += 1;
        }
    }
    let often = (texts.len() / 100).max(10);
    let own = |text: &str| text.lines().filter(|line| turns[line] <= often).collect::<Vec<&str>>().join("\n");
    Ok(texts.iter().map(|(id, text)| (id.clone(), own(text))).collect())
}

/// A line as a conversation, with its place for messages and its id: the line's number where it has none.
fn parsed(lines: &Lines, line: &Line) -> Result<(String, String, Conversation)> {
    let place = format!("{}:{}", lines.name(), line.place.number);
    let conversation: Conversation = serde_json::from_slice(without_mark(line.bytes)).map_err(|error| {
        anyhow!("{place}: {error}").hint("each line is {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}, …]}")
    })?;
    let id = conversation.id.clone().unwrap_or_else(|| line.place.number.to_string());
    Ok((place, id, conversation))
}

/// Every turn of the assistant is learned, as an example of its own; those of one conversation share their beginning.
///
/// # Errors
/// Names the line that is no conversation, and the turn that can't be learned; when nothing is left to learn from.
pub fn examples(lines: &Lines, chat: &ChatFormat, tokenizer: &dyn Tokenizer, max_tokens: usize) -> Result<Examples> {
    let (end, end_text) = (chat.end_token(tokenizer)?, chat.end_text()?);
    let mut made = Examples::default();
    lines.each(|line| {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let (place, id, conversation) = parsed(lines, &line)?;
        made.records += 1;
        let mut before = Vec::new();
        let mut learned = 0;
        for turn in conversation.messages {
            let Turn { role, content, weight } = turn;
            let weight = weight.unwrap_or(1.0);
            ensure!(
                (0.0..=1.0).contains(&weight),
                anyhow!("{place}: the weight {weight} is not between 0 and 1").hint("0 leaves a turn out")
            );
            let mut content: String = content.trim().nfc().collect();
            let role = match role.as_str() {
                "system" => "system",
                "user" => "user",
                "assistant" => "assistant",
                other => {
                    bail!(
                        anyhow!("{place}: the role {other:?} can't be learned")
                            .hint("roles are system, user and assistant")
                    )
                }
            };
            if role == "assistant" && content.ends_with(end_text) {
                content = without_end(&content, end_text).to_owned();
                made.stripped += 1;
            }
            chat.take_apart(&mut content);
            if role == "assistant" && weight > 0.0 {
                ensure!(
                    !content.is_empty(),
                    anyhow!("{place}: an answer of the assistant is empty").hint("fill it in")
                );
                ensure!(
                    !before.is_empty(),
                    anyhow!("{place}: the assistant speaks first").hint("begin with system or user")
                );
                let prompt = chat.prompt(&before)?;
                let answer = chat.answer_tokens(&prompt, &content, tokenizer).context(place.clone())?;
                let prompt = tokenizer.encode(&prompt)?;
                let answer_at = prompt.len();
                let tokens = [prompt, answer, vec![end]].concat();
                learned += 1;
                if tokens.len() <= max_tokens {
                    let task = "messages".to_owned();
                    made.examples.push(Example { reel_id: id.clone(), task, tokens, answer_at, weight });
                } else if made.too_long.last() != Some(&id) {
                    made.too_long.push(id.clone());
                }
            }
            before.push(Message { role, content });
        }
        ensure!(
            learned > 0,
            anyhow!("{place}: no turn of the assistant, so there is nothing to learn")
                .hint("add one, or remove the line")
        );
        Ok(())
    })?;
    made.checked(lines.name(), max_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    struct Bytes;

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<u32>> {
            Ok(text.bytes().map(u32::from).collect())
        }
    }

    fn read(text: &'static str) -> Result<Examples> {
        let chat = ChatFormat::new(CHATML, vec!["<|im_end|>".into()]).unwrap();
        let lines = Lines::embedded("a.jsonl", text);
        assert!(are_conversations(&lines).unwrap() || text.contains("message\""));
        examples(&lines, &chat, &Bytes, 1000)
    }

    #[test]
    fn every_turn_of_the_assistant_is_learned() {
        let made = read("{\"messages\": [{\"role\": \"user\", \"content\": \"hai<|im_end|>\"}, {\"role\": \"assistant\", \"content\": \"ya\"}, {\"role\": \"user\", \"content\": \"lagi\"}, {\"role\": \"assistant\", \"content\": \"oke\"}]}\n\n").unwrap();
        let text = |tokens: &[u32]| tokens.iter().map(|token| *token as u8 as char).collect::<String>();
        let [first, second] = &made.examples[..] else { panic!("{}", made.examples.len()) };
        assert_eq!(
            text(&first.tokens[..first.answer_at]),
            "<|im_start|>user\nhai< |im_end|><|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(text(&first.tokens[first.answer_at..]), "ya<");
        assert!(second.tokens.starts_with(&first.tokens[..first.answer_at]));
        assert_eq!(text(&second.tokens[second.answer_at..]), "oke<");
    }

    #[test]
    fn an_end_token_behind_an_answer_is_not_learned_as_text() {
        let made = read("{\"messages\": [{\"role\": \"user\", \"content\": \"hai<|im_end|>\"}, {\"role\": \"assistant\", \"content\": \"ya <|im_end|><|im_end|>\\n\"}]}").unwrap();
        let example = &made.examples[0];
        let learned: Vec<u8> = example.tokens[example.answer_at..].iter().map(|token| *token as u8).collect();
        assert_eq!((learned.as_slice(), made.stripped), (&b"ya<"[..], 1));
    }

    #[test]
    fn what_cannot_be_learned_is_named() {
        for (text, expected) in [
            (
                "{\"messages\": [{\"role\": \"tool\", \"content\": \"x\"}]}",
                "a.jsonl:1: the role \"tool\" can't be learned",
            ),
            ("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", "a.jsonl:1: no turn of the assistant"),
            (
                "{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}",
                "a.jsonl:1: the assistant speaks first",
            ),
            ("{\"message\": []}", "a.jsonl:1: missing field `messages`"),
        ] {
            let message = format!("{:#}", read(text).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
    }
}
