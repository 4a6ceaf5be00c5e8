//! Tokenizer and chat format of a Hugging Face directory.

use std::panic::{self, UnwindSafe};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::{ChatFormat, SpecialTokens, Tokenizer};
use crate::error::Hint;
use crate::foreign::read_json;

/// A `tokenizer.json`.
pub struct HubTokenizer {
    tokenizer: tokenizers::Tokenizer,
}

impl HubTokenizer {
    /// Reads the tokenizer of a directory.
    ///
    /// # Errors
    /// Names the file.
    pub fn read(directory: &Path) -> Result<HubTokenizer> {
        let path = directory.join("tokenizer.json");
        let tokenizer = HubTokenizer::parse(&path)
            .hint("AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes a tokenizer.json")?;
        tokenizer.check_added(directory)?;
        Ok(tokenizer)
    }

    /// Refuses tokens that only the files beside `tokenizer.json` know: transformers reads them as one token.
    fn check_added(&self, directory: &Path) -> Result<()> {
        let config = optional(&directory.join("tokenizer_config.json"))?;
        let more = optional(&directory.join("added_tokens.json"))?;
        let decoder = config["added_tokens_decoder"].as_object().into_iter().flatten();
        let of_config = decoder.filter_map(|(id, token)| Some((token["content"].as_str()?, id.parse().ok()?)));
        let of_file = more.as_object().into_iter().flatten();
        let of_file = of_file.filter_map(|(token, id)| Some((token.as_str(), id.as_u64()?)));
        let known = |token: &str| self.tokenizer.token_to_id(token).map(u64::from);
        match of_config.chain(of_file).find(|(token, id)| known(token) != Some(*id)) {
            None => Ok(()),
            Some((token, id)) => Err(anyhow!(
                "{}: the token {token:?} ({id}) is in tokenizer_config.json or added_tokens.json, and not in tokenizer.json",
                directory.display()
            )
            .hint("take all files from the same model; or remove it there, if it is a leftover")),
        }
    }

    fn parse(path: &Path) -> Result<HubTokenizer> {
        read_json::<serde::de::IgnoredAny>(path)?;
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut tokenizer = without_panic(|| tokenizers::Tokenizer::from_bytes(&text))
            .with_context(|| format!("{}: it is not what a tokenizer.json is made of", path.display()))?
            .map_err(|error| anyhow!("{}: {error}", path.display()))?;
        // Trainers leave these in the file; a text is taken as it is.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        Ok(HubTokenizer { tokenizer })
    }

    /// How many tokens there are, the added ones included.
    #[expect(clippy::len_without_is_empty, reason = "no tokenizer is without tokens")]
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The text that tokens stand for, control tokens spelled out.
    ///
    /// # Errors
    /// When an id stands for nothing.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer.decode(tokens, false).map_err(|error| anyhow!("cannot turn tokens into text: {error}"))
    }

    /// What a token stands for, as far as it can be shown alone.
    pub fn piece(&self, token: u32) -> String {
        self.tokenizer.decode(&[token], false).unwrap_or_default()
    }

    /// The strings that are read as one token wherever they stand.
    fn added_tokens(&self) -> Vec<String> {
        let mut tokens: Vec<(u32, String)> =
            self.tokenizer.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, token.content)).collect();
        tokens.sort();
        tokens.into_iter().map(|(_, token)| token).collect()
    }

    /// The chat format beside the tokenizer: `chat_template.jinja`, else `chat_template` in `tokenizer_config.json`.
    ///
    /// # Errors
    /// Names the file and what is missing in it.
    pub fn chat(&self, directory: &Path) -> Result<ChatFormat> {
        let file = directory.join("chat_template.jinja");
        let (path, template) = if file.exists() {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            (file, text)
        } else {
            let path = directory.join("tokenizer_config.json");
            let json: Value = read_json(&path)?;
            let template = template(&json["chat_template"])
                .with_context(|| format!("{} has no chat_template", path.display()))
                .hint("use an instruct model, or put a chat_template.jinja there")?;
            (path, template)
        };
        ensure!(
            !template.trim().is_empty(),
            anyhow!("{}: the chat template is empty", path.display()).hint("use an instruct model")
        );
        let settings = optional(&directory.join("tokenizer_config.json"))?;
        let special = |key: &str| {
            let value = &settings[key];
            value.as_str().or(value["content"].as_str()).unwrap_or_default().to_owned()
        };
        let tokens = SpecialTokens {
            added: self.added_tokens(),
            bos: special("bos_token"),
            eos: special("eos_token"),
            // `apply_chat_template` leaves that to the template.
            adds_bos: false,
        };
        ChatFormat::new(&template, tokens).with_context(|| format!("{}", path.display()))
    }
}

/// What a function gives that panics at some of what it doesn't expect, as the library does; nobody is told of the panic.
fn without_panic<R>(make: impl FnOnce() -> R + UnwindSafe) -> Option<R> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let made = panic::catch_unwind(make).ok();
    panic::set_hook(hook);
    made
}

/// A JSON file that may be missing.
fn optional(path: &Path) -> Result<Value> {
    if !path.exists() {
        return Ok(Value::Null);
    }
    read_json(path)
}

/// The template's text; of several templates, that of the one named `default`.
fn template(value: &Value) -> Option<String> {
    let named = |value: &Value| {
        value.as_array()?.iter().find(|each| each["name"] == "default")?["template"].as_str().map(str::to_owned)
    };
    value.as_str().map(str::to_owned).or_else(|| named(value))
}

impl Tokenizer for HubTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| anyhow!("cannot tokenise: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }
}
