//! A prediction: what a model answered to one task about one Reel, as a line of JSON.

mod answer;

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use self::answer::{Answer, open_answers};
use crate::error::Hint;
use crate::lines::{Lines, Place};

/// One line of `predictions.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Format version, 1.
    pub v: u32,
    /// [`crate::reel::Reel::id`].
    pub reel_id: String,
    /// [`crate::task::Task::name`].
    pub task: String,
    /// Counts up where one prompt is answered several times.
    pub repeat: u32,
    /// The answer; for a label task one of its labels, or what was generated when that matches none.
    pub output: String,
    /// Natural-log probabilities normalised over the task's labels, in the task's order; absent where labels were generated.
    pub label_logprobs: Option<IndexMap<String, f64>>,
    /// How the answer ended.
    pub finish: Finish,
    /// Why there is no answer, with [`Finish::Error`].
    pub error: Option<String>,
    /// Tokens of the transcript left out because the prompt had to fit its budget.
    pub truncated_tokens: usize,
    /// The final prompt as text, as the model read it.
    pub prompt: String,
    /// SHA-256 of the prompt's token ids, each as 4 little-endian bytes.
    pub prompt_sha256: String,
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// SHA-256 of the adapter file.
    pub adapter_sha256: Option<String>,
    /// SHA-256 of the settings that can change an answer.
    pub settings_sha256: String,
    /// What was computed for it.
    pub tokens: TokenCounts,
    /// From the start of its Reel's prefill to this answer.
    pub seconds: f64,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it, or a label was chosen.
    Stop,
    /// The task's `max_tokens` was reached.
    Length,
    /// It repeated itself again and again, and was ended there.
    Loop,
    /// A generated label that is none of the task's.
    Invalid,
    /// There is no answer.
    Error,
    /// It was asked for, and there is no line of it; in rows alone.
    Missing,
    /// It comes from elsewhere, and nobody says.
    Unknown,
}

/// Token counts of one prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// The whole prompt.
    pub prompt: usize,
    /// Of those, taken from a prefix that was already computed.
    pub cached: usize,
    /// Generated; 0 where labels were scored.
    pub generated: usize,
}

/// What makes a prediction the same work: done once, not done again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields of `Prediction` with these names")]
pub struct Key {
    pub reel_id: String,
    pub task: String,
    pub repeat: u32,
    pub prompt_sha256: String,
    pub model_sha256: String,
    pub adapter_sha256: Option<String>,
    pub settings_sha256: String,
}

impl Prediction {
    /// See [`Key`].
    pub fn key(&self) -> Key {
        Key {
            reel_id: self.reel_id.clone(),
            task: self.task.clone(),
            repeat: self.repeat,
            prompt_sha256: self.prompt_sha256.clone(),
            model_sha256: self.model_sha256.clone(),
            adapter_sha256: self.adapter_sha256.clone(),
            settings_sha256: self.settings_sha256.clone(),
        }
    }
}

/// Reads predictions in file order; where a key stands on several lines, the last one counts.
///
/// A torn last line (no newline, not JSON: the writer was killed) is dropped with a warning.
///
/// # Errors
/// Names the file and the line of anything else that is not a prediction.
pub fn read_predictions(path: &Path) -> Result<Vec<Prediction>> {
    let lines = Lines::open(path, "predictions")?;
    let mut by_key = IndexMap::new();
    lines.each(|line| {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice::<Prediction>(line.bytes) {
            Ok(prediction) => {
                by_key.insert(prediction.key(), prediction);
            }
            Err(_) if !line.ended => warn_of_torn_line(&lines, line.place),
            Err(error) => return Err(not_a_prediction(&lines, line.place, &error)),
        }
        Ok(())
    })?;
    Ok(by_key.into_values().collect())
}

/// Reels whose transcripts were too long for their prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortened {
    #[expect(missing_docs, reason = "the type says it")]
    pub reels: usize,
    /// Reels that were looked at.
    pub of: usize,
    /// Tokens left out of the one that lost most.
    pub most_tokens: usize,
}

impl Shortened {
    /// Counts one more, of which so many tokens are left out.
    pub fn add(&mut self, truncated_tokens: usize) {
        self.reels += usize::from(truncated_tokens > 0);
        self.of += 1;
        self.most_tokens = self.most_tokens.max(truncated_tokens);
    }

    /// Counts those in a `predictions.jsonl`, of any version.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(predictions: &Path) -> Result<Shortened> {
        #[derive(Deserialize)]
        struct Head {
            reel_id: String,
            #[serde(default)]
            truncated_tokens: usize,
        }
        let mut reels: HashMap<String, usize> = HashMap::new();
        Lines::open(predictions, "predictions")?.each(|line| {
            if let Ok(Head { reel_id, truncated_tokens }) = serde_json::from_slice(line.bytes) {
                let most = reels.entry(reel_id).or_default();
                *most = truncated_tokens.max(*most);
            }
            Ok(())
        })?;
        let mut shortened = Shortened::default();
        reels.into_values().for_each(|tokens| shortened.add(tokens));
        Ok(shortened)
    }
}

pub(crate) fn warn_of_torn_line(lines: &Lines, place: Place) {
    tracing::warn!("{}:{}: dropped a torn last line (the writer was interrupted)", lines.name(), place.number);
}

pub(crate) fn not_a_prediction(lines: &Lines, place: Place, error: &serde_json::Error) -> anyhow::Error {
    anyhow!("{}:{}: not a prediction: {error}", lines.name(), place.number)
        .hint("a predictions.jsonl is written by `reels predict`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_reels_are_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.jsonl");
        let line = |reel: &str, rest: &str| format!("{{\"reel_id\":\"{reel}\"{rest}}}\n");
        let of = |tokens: usize| format!(",\"truncated_tokens\":{tokens}");
        let lines =
            [line("a", &of(7)), line("a", &of(7)), line("b", &of(0)), line("c", ""), line("d", &of(9))].concat();
        std::fs::write(&path, lines + "{\"reel_id\":\"e").unwrap();
        assert_eq!(Shortened::read(&path).unwrap(), Shortened { reels: 2, of: 4, most_tokens: 9 });
    }
}
