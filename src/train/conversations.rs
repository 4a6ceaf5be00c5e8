//! Conversations as OpenAI's fine-tuning takes them, `{"messages": [{"role": …, "content": …}, …]}` a line, and others that
//! say the same: ShareGPT's `conversations`, Alpaca's `instruction`, `input` and `output`, `prompt` and `completion`.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use super::examples::{Example, Examples, without_end};
use crate::error::Hint;
use crate::lines::{Line, Lines};
use crate::prompt::{ChatFormat, Message, Tokenizer};

const FORMAT: &str = "each line is {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}, {\"role\": \"assistant\", \"content\": \"…\"}]}";

struct Turn {
    role: String,
    content: String,
    /// 0 where a turn of the assistant is not to be learned.
    weight: f32,
}

/// Whether the first line of a file is a conversation of any format, rather than a record.
///
/// # Errors
/// Names the file when it can't be read.
pub fn are_conversations(lines: &Lines) -> Result<bool> {
    let mut first = None;
    lines.each(|line| {
        if first.is_none() && !line.bytes.trim_ascii().is_empty() {
            let object: Option<Map<String, Value>> = serde_json::from_slice(line.bytes).ok();
            let is_one = |object: Map<String, Value>| {
                let has = |key: &str| object.contains_key(key);
                let is_record = has("transcript") || has("caption");
                has("messages") || has("conversations") || (!is_record && FORMATS.iter().any(|key| has(key)))
            };
            first = Some(object.is_some_and(is_one));
        }
        Ok(())
    })?;
    Ok(first == Some(true))
}

/// Keys that tell a format, beside `messages` and `conversations`.
const FORMATS: [&str; 6] = ["instruction", "prompt", "completion", "text", "chosen", "rejected"];

/// What user and assistant say, with the conversation's id. Lines that very many turns have are left out: they are
/// instructions, and would make everything alike.
///
/// # Errors
/// Names the line that is no conversation.
pub fn texts(lines: &Lines) -> Result<Vec<(String, String)>> {
    let mut texts: Vec<(String, String)> = Vec::new();
    lines.each(|line| {
        if !line.bytes.trim_ascii().is_empty() {
            let (_, id, turns) = parsed(lines, &line)?;
            let turns = turns.into_iter().filter(|turn| turn.role != "system");
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

/// A line as turns, with its place for messages and its id: the line's number where it has none.
fn parsed(lines: &Lines, line: &Line) -> Result<(String, String, Vec<Turn>)> {
    let place = format!("{}:{}", lines.name(), line.place.number);
    let object: Map<String, Value> =
        serde_json::from_slice(line.bytes).map_err(|error| anyhow!("{place}: {error}").hint(FORMAT))?;
    let id = match object.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => line.place.number.to_string(),
    };
    Ok((place.clone(), id, turns(&object).context(place)?))
}

/// The turns of a conversation, in whichever format.
fn turns(object: &Map<String, Value>) -> Result<Vec<Turn>> {
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(anyhow!("{key} is {}, expected a text", start(other)).hint(FORMAT)),
    };
    let turn = |role: &str, content: String| Turn { role: role.to_owned(), content, weight: 1.0 };
    for key in ["messages", "conversations"] {
        if let Some(listed) = object.get(key) {
            let Value::Array(listed) = listed else {
                bail!(anyhow!("{key} is {}, expected a list of turns", start(listed)).hint(FORMAT));
            };
            return listed.iter().map(one_turn).collect();
        }
    }
    if object.contains_key("instruction") {
        ensure!(
            object.get("history").is_none_or(|history| history.as_array().is_some_and(Vec::is_empty)),
            anyhow!("history beside instruction can't be read").hint(FORMAT)
        );
        let (system, instruction, input) = (text("system")?, text("instruction")?, text("input")?);
        let asked: Vec<&str> = [instruction.trim(), input.trim()].into_iter().filter(|part| !part.is_empty()).collect();
        ensure!(
            !asked.is_empty() && object.contains_key("output"),
            anyhow!("an instruction without text or without output")
                .hint("Alpaca's lines have instruction, input and output")
        );
        let system = (!system.trim().is_empty()).then(|| turn("system", system));
        let rest = [turn("user", asked.join("\n\n")), turn("assistant", text("output")?)];
        return Ok(system.into_iter().chain(rest).collect());
    }
    if let (Some(prompt), Some(completion)) = (object.get("prompt"), object.get("completion")) {
        if let (Value::Array(prompt), Value::Array(completion)) = (prompt, completion) {
            return prompt.iter().chain(completion).map(one_turn).collect();
        }
        return Ok(vec![turn("user", text("prompt")?), turn("assistant", text("completion")?)]);
    }
    let has = |key: &str| object.contains_key(key);
    if has("chosen") || has("rejected") {
        bail!(
            anyhow!("chosen and rejected answers are for preference training")
                .hint(format!("keep the chosen one; {FORMAT}"))
        );
    }
    if has("text") {
        bail!(anyhow!("text holds prompt and answer in one, so what is to be learned can't be told").hint(FORMAT));
    }
    if has("transcript") || has("caption") {
        bail!(
            anyhow!("a record, and the file begins with conversations")
                .hint("keep records and conversations in files of their own")
        );
    }
    bail!(anyhow!("missing field `messages`").hint(FORMAT))
}

/// A turn as OpenAI or as ShareGPT writes it.
fn one_turn(turn: &Value) -> Result<Turn> {
    let of = |keys: [&str; 2]| keys.iter().find_map(|key| turn.get(key)).unwrap_or(&Value::Null);
    let role = of(["role", "from"]);
    let Value::String(role) = role else {
        bail!(anyhow!("a turn whose role is {}", start(role)).hint(FORMAT));
    };
    let role = match role.as_str() {
        "human" => "user",
        "gpt" | "chatgpt" | "model" | "bot" => "assistant",
        other => other,
    };
    let calls = ["tool_calls", "function_call"].iter().any(|key| turn.get(key).is_some_and(|calls| !calls.is_null()));
    ensure!(
        !calls,
        anyhow!("a turn of the {role} calls tools, which can't be learned")
            .hint("remove the line, or write the turn as text")
    );
    let content = match of(["content", "value"]) {
        Value::String(content) => content.clone(),
        Value::Array(parts) => {
            let text = |part: &Value| match part {
                Value::String(text) => Ok(text.clone()),
                part if part["type"] == "text" && part["text"].is_string() => {
                    Ok(part["text"].as_str().unwrap_or_default().to_owned())
                }
                part => Err(anyhow!("a turn of the {role} has a part of type {}", part["type"])
                    .hint("only parts of type \"text\" can be learned; remove the line, or write the turn as text")),
            };
            parts.iter().map(text).collect::<Result<Vec<String>>>()?.concat()
        }
        other => {
            bail!(
                anyhow!("the content of a turn of the {role} is {}", start(other))
                    .hint("write its text, or remove the line")
            )
        }
    };
    let weight = match turn.get("weight") {
        None | Some(Value::Null) => 1.0,
        Some(weight) => weight
            .as_f64()
            .filter(|weight| (0.0..=1.0).contains(weight))
            .with_context(|| format!("the weight {weight} is not between 0 and 1"))
            .hint("0 leaves a turn out")?,
    };
    Ok(Turn { role: role.to_owned(), content, weight: weight as f32 })
}

/// The beginning of a value, for messages.
fn start(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
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
        let (place, id, turns) = parsed(lines, &line)?;
        made.records += 1;
        let mut before = Vec::new();
        let mut learned = 0;
        for Turn { role, content, weight } in turns {
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
        let lines = Lines::of("a.jsonl", text);
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
    fn other_formats_say_the_same() {
        let made = |text| {
            let made = read(text).unwrap();
            made.examples.into_iter().map(|example| (example.tokens, example.answer_at)).collect::<Vec<_>>()
        };
        let expected = made(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"hai\\n\\nkamu\"}, {\"role\": \"assistant\", \"content\": \"ya\"}]}",
        );
        for text in [
            "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"hai\\n\"}, {\"type\": \"text\", \"text\": \"\\nkamu\"}]}, {\"role\": \"assistant\", \"content\": \"ya\", \"weight\": null, \"tool_calls\": null}]}",
            "{\"conversations\": [{\"from\": \"human\", \"value\": \"hai\\n\\nkamu\"}, {\"from\": \"gpt\", \"value\": \"ya\"}]}",
            "{\"instruction\": \"hai\", \"input\": \"kamu\", \"output\": \"ya\"}",
            "{\"instruction\": \"hai\\n\\nkamu\", \"input\": \"\", \"output\": \"ya\", \"history\": []}",
            "{\"prompt\": \"hai\\n\\nkamu\", \"completion\": \"ya\"}",
            "{\"prompt\": [{\"role\": \"user\", \"content\": \"hai\\n\\nkamu\"}], \"completion\": [{\"role\": \"assistant\", \"content\": \"ya\"}]}",
        ] {
            assert_eq!(made(text), expected, "{text}");
        }
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
            ("{\"text\": \"hai\"}", "a.jsonl:1: text holds prompt and answer in one"),
            ("{\"chosen\": \"a\", \"rejected\": \"b\"}", "a.jsonl:1: chosen and rejected answers are for preference"),
            ("{\"messages\": [{\"role\": \"user\", \"content\": null}]}", "the content of a turn of the user is null"),
            (
                "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{}]}]}",
                "a turn of the assistant calls tools",
            ),
            (
                "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}",
                "has a part of type \"image_url\"",
            ),
            (
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"weight\": 2}]}",
                "the weight 2 is not between 0 and 1",
            ),
            (
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n{\"id\": \"a\", \"transcript\": \"b\"}",
                "a.jsonl:2: a record, and the file begins with conversations",
            ),
        ] {
            let message = format!("{:#}", read(text).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
    }
}
