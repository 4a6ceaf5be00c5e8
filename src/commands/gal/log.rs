//! Candidates as they come, one a line.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::error::Hint;
use crate::generator::{Cost, Ending, Outcome, Reason};
use crate::lines::Lines;

/// A line of the log: a candidate as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Generated {
    pub(super) v: u32,
    pub(super) id: String,
    pub(super) seeds: Vec<String>,
    pub(super) prompt_sha256: String,
    /// Empty where there is none.
    pub(super) text: String,
    pub(super) truncated: bool,
    pub(super) error: Option<String>,
    pub(super) prompt_tokens: usize,
    pub(super) generated_tokens: usize,
    pub(super) seconds: f64,
}

impl Generated {
    pub(super) fn of(
        id: String,
        seeds: Vec<String>,
        prompt_sha256: String,
        tokens: usize,
        came: Result<Outcome, Reason>,
        cost: Cost,
    ) -> Generated {
        let (text, truncated, error) = match came {
            Ok(Outcome::Text(text)) => (text.text, text.ending != Ending::Complete, None),
            Ok(Outcome::LabelScores(_)) => (String::new(), false, Some("the engine answered with labels".to_owned())),
            Err(reason) => (String::new(), false, Some(reason.to_string())),
        };
        Generated {
            v: 1,
            id,
            seeds,
            prompt_sha256,
            text,
            truncated,
            error,
            prompt_tokens: cost.prompt_tokens.unwrap_or(tokens),
            generated_tokens: cost.generated_tokens,
            seconds: cost.seconds,
        }
    }
}

/// Candidates by id, without those that failed: they are tried again.
pub(super) fn read_log(path: &Path) -> Result<HashMap<String, Generated>> {
    let lines = Lines::open(path, "log of candidates")?;
    let mut written = HashMap::new();
    lines.each(|line| {
        match serde_json::from_slice::<Generated>(line.bytes) {
            Ok(line) if line.error.is_none() => {
                written.insert(line.id.clone(), line);
            }
            Ok(_) => {}
            Err(_) if !line.ended || line.bytes.trim_ascii().is_empty() => {}
            Err(error) => {
                let at = format!("{}:{}: not a candidate: {error}", lines.name(), line.place.number);
                return Err(anyhow!(at)).hint("name another --output");
            }
        }
        Ok(())
    })?;
    Ok(written)
}
