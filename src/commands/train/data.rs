//! What is learned from: records or conversations as sequences.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::base::Base;
use crate::ask::Records;
use crate::config::TrainSettings;
use crate::lines::Snapshot;
use crate::prompt::PromptSet;
use crate::publish::write_bytes;
use crate::task::Task;
use crate::train::conversations;
use crate::train::examples::{Examples, Maker, max_prompt_tokens};
use crate::train::preview;
use crate::train::sequences::{Sequence, sequences};

/// Training or dev data, ready for batches.
pub struct Data {
    name: String,
    /// Identity of the records, or SHA-256 of a file of conversations.
    pub sha256: String,
    pub examples: Examples,
    pub sequences: Vec<Sequence>,
    /// Tokens that a prompt may have; `None` for conversations, whose prompts aren't shortened.
    pub max_prompt_tokens: Option<usize>,
}

impl Data {
    pub fn read(path: &Path, settings: &TrainSettings, prompts: &PromptSet, base: &Base) -> Result<Data> {
        let opened = Snapshot::open(path, "data file")?;
        let (name, mut sha256) = (opened.lines.name().to_owned(), opened.sha256.clone());
        let max_tokens = settings.max_seq_tokens;
        let (examples, budget) = if conversations::are_conversations(&opened.lines)? {
            (conversations::examples(&opened.lines, &base.chat, &base.tokenizer, max_tokens)?, None)
        } else {
            let budget = max_prompt_tokens(max_tokens, prompts)?;
            let records = Records::of(&opened, &prompts.tasks)?;
            records.problems.refuse(settings.strict)?;
            sha256.clone_from(&records.sha256);
            let reels = records.read()?;
            records.problems.warn();
            let maker =
                Maker { prompts, chat: &base.chat, tokenizer: &base.tokenizer, max_prompt_tokens: budget, max_tokens };
            (maker.examples(&name, &reels)?, Some(budget))
        };
        let sequences = sequences(&examples.examples, settings.packing.then_some(max_tokens));
        Ok(Data { name, sha256, examples, sequences, max_prompt_tokens: budget })
    }

    pub fn announce(&self, what: &str, max_tokens: usize, tasks: &[Task]) {
        errln!("{what:<8} {}", preview::data(&self.name, &self.examples, &self.sequences, max_tokens));
        preview::long_answers(&self.name, &self.examples, tasks).iter().for_each(|warning| errln!("{warning}"));
    }
}

/// Writes prompts to compare engines on later: those of a few Reels, each of another task in turn.
pub fn write_probe(folder: &Path, data: &Data) -> Result<()> {
    const PROBES: usize = 16;
    let mut tasks: Vec<&str> = data.examples.examples.iter().map(|example| example.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let path = folder.join("probe.jsonl");
    let mut lines = String::new();
    let (mut reel, mut count) = ("", 0);
    for example in &data.examples.examples {
        if example.reel_id != reel && example.task == tasks[count % tasks.len()] && count < PROBES {
            let tokens = &example.tokens[..example.answer_at];
            let line = json!({"v": 1, "reel_id": example.reel_id, "task": example.task, "tokens": tokens});
            lines += &format!("{line}\n");
            (reel, count) = (&example.reel_id, count + 1);
        }
    }
    write_bytes(&path, lines.as_bytes())
}
