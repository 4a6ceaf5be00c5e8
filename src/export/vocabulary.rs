//! A `tokenizer.json` as GGUF has it: tokens with their types, merges, and the ids that mean something.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::architecture::Architecture;
use crate::error::Hint;
use crate::foreign::read_json;
use crate::qlora::config::Config;

/// llama.cpp's token types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TokenType {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
}

/// What a tokenizer consists of.
#[derive(Debug)]
pub struct Vocabulary {
    /// By id, filled up to the rows of the embedding.
    pub tokens: Vec<(String, TokenType)>,
    /// Two parts with a space between, the first to merge first.
    pub merges: Vec<String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub bos: Option<u32>,
    #[expect(missing_docs, reason = "the name says it")]
    pub padding: Option<u32>,
}

impl Vocabulary {
    /// Reads the tokenizer of a directory, for a model of this shape.
    ///
    /// # Errors
    /// Names the file, and what llama.cpp would read otherwise.
    pub fn read(directory: &Path, config: &Config) -> Result<Vocabulary> {
        let rows = config.vocabulary;
        let path = directory.join("tokenizer.json");
        let json: Value = read_json(&path)?;
        check_splitting(&json, config.architecture).with_context(|| format!("{}", path.display()))?;
        let model = json["model"]["vocab"].as_object();
        let model = model.with_context(|| format!("{}: model.vocab is not an object", path.display()))?;
        let mut tokens: Vec<Option<(String, TokenType)>> = vec![None; rows];
        let mut put = |id: Option<u64>, text: &str, kind: TokenType| {
            let slot = id.and_then(|id| tokens.get_mut(id as usize));
            *slot
                .with_context(|| {
                    format!("{}: the id of {text:?} is beyond the {rows} rows of the embedding", path.display())
                })
                .hint(
                    "the tokenizer is of another model; or tokens were added to it and not to the model \
                     (resize_token_embeddings)",
                )? = Some((text.to_owned(), kind));
            anyhow::Ok(())
        };
        for (text, id) in model {
            put(id.as_u64(), text, TokenType::Normal)?;
        }
        let added = json["added_tokens"].as_array().map_or(&[][..], Vec::as_slice);
        for token in added {
            let text = token["content"].as_str().unwrap_or_default();
            let control = token["special"] == true || (text.starts_with("<|") && text.ends_with("|>"));
            put(token["id"].as_u64(), text, if control { TokenType::Control } else { TokenType::UserDefined })?;
        }
        let unused =
            |(id, token): (usize, Option<_>)| token.unwrap_or_else(|| (format!("[PAD{id}]"), TokenType::Unused));
        let tokens: Vec<(String, TokenType)> = tokens.into_iter().enumerate().map(unused).collect();
        let merges = json["model"]["merges"].as_array().map_or(&[][..], Vec::as_slice);
        let merges = merges.iter().map(merge).collect::<Option<Vec<String>>>();
        let merges =
            merges.with_context(|| format!("{}: model.merges has an entry that is not two parts", path.display()))?;

        let settings = optional(&directory.join("tokenizer_config.json"))?;
        let ids: Value = read_json(&directory.join("config.json"))?;
        let special = |which: &str| {
            let named = &settings[format!("{which}_token")];
            let text = named.as_str().or(named["content"].as_str());
            let by_text = text.and_then(|text| added.iter().find(|token| token["content"] == text)?["id"].as_u64());
            by_text.or(ids[format!("{which}_token_id")].as_u64()).filter(|id| *id < rows as u64).map(|id| id as u32)
        };
        let (bos, padding) = (special("bos"), special("pad"));
        Ok(Vocabulary { tokens, merges, bos, padding })
    }
}

/// llama.cpp splits a text as the name in the file says, whatever `tokenizer.json` says.
fn check_splitting(json: &Value, architecture: &Architecture) -> Result<()> {
    let steps = &json["pre_tokenizer"]["pretokenizers"];
    let regex = steps[0]["pattern"]["Regex"].as_str().unwrap_or("none");
    ensure!(
        json["model"]["type"] == "BPE"
            && regex == architecture.tokenizer.split
            && steps[1]["type"] == "ByteLevel"
            && steps[1]["use_regex"] == false,
        anyhow!(
            "the text is not split as {} does (pre_tokenizer has {regex:?}), so llama.cpp would make other tokens of \
             it",
            architecture.name
        )
        .hint(
            "llama.cpp's convert_hf_to_gguf.py may know this tokenizer: name what it writes with --model; or, if the model was \
             trained with another, take that one's tokenizer.json"
        )
    );
    Ok(())
}

fn merge(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => match parts.as_slice() {
            [left, right] => Some(format!("{} {}", left.as_str()?, right.as_str()?)),
            _ => None,
        },
        _ => None,
    }
}

fn optional(path: &Path) -> Result<Value> {
    if path.exists() { read_json(path) } else { Ok(Value::Null) }
}
