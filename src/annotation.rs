//! What people say of Reels and of answers, as files hold it.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Hint, did_you_mean};
use crate::lines::Lines;

/// What one annotator answered: the file that a review page saves, and what a table or an export becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Format version, 1.
    pub v: u32,
    /// What was asked for.
    pub kind: Kind,
    /// The tasks, each with a hash of its labels and descriptions: answers to one question have the same.
    pub form: String,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(default)]
    pub role: Role,
    /// As whoever answered calls themselves.
    pub annotator: String,
    /// What was asked of every Reel; empty where it isn't known.
    #[serde(default)]
    pub tasks: Vec<Question>,
    /// Reels that were asked about.
    pub of: usize,
    /// Those that have an answer or a note.
    pub items: Vec<Answered>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Labels of Reels.
    Annotations,
    /// How good texts about Reels are.
    Ratings,
}

/// Whose answer it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers blind; agreement is about them.
    #[default]
    Annotator,
    /// Decides where annotators differ, and sees what they answered.
    Adjudicator,
    /// The gold answer that the record had before.
    Former,
}

impl Role {
    fn is_annotator(&self) -> bool {
        *self == Role::Annotator
    }
}

/// A task as annotators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    #[expect(missing_docs, reason = "the name says it")]
    pub name: String,
    /// As references have them, in the order of the task; empty for a text task.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What a label means.
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
}

/// What was answered about one Reel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The record's id.
    pub id: String,
    /// The record's account.
    #[serde(default)]
    pub account: Option<String>,
    /// Hash of what was shown of the Reel.
    pub shown: String,
    /// The label by task name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub answers: IndexMap<String, String>,
    /// By the hash of the text, then by what is rated ([`SCALES`]): 1 to 5.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub ratings: IndexMap<String, IndexMap<String, u8>>,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<Preference>,
    /// What the annotator wants to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Time that it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// What is rated from 1 to 5: that nothing is said that the Reel doesn’t say, that nothing that matters is left out, and how
/// it reads (Fabbri et al. 2021, SummEval: consistency, relevance, fluency).
pub const SCALES: [&str; 3] = ["faithful", "complete", "fluent"];
/// The least and the most that can be given.
pub const RATINGS: std::ops::RangeInclusive<u8> = 1..=5;

/// Which of two texts about a Reel is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// Hash of the one text.
    pub a: String,
    /// Hash of the other.
    pub b: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub prefers: Prefers,
}

/// The better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Prefers {
    A,
    B,
    Neither,
}

/// An annotator’s answer in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Whose it is.
    pub by: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub answer: String,
    #[expect(missing_docs, reason = "the type says it")]
    #[serde(default, skip_serializing_if = "Role::is_annotator")]
    pub role: Role,
    #[expect(missing_docs, reason = "the name says it")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One line of `ratings.jsonl` beside a run’s rows: what one annotator says of the run’s text about a Reel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the name says it")]
    pub reel_id: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub task: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub annotator: String,
    /// Hash of the rated text ([`text_key`]): of another text it says nothing.
    pub text: String,
    /// By what is rated ([`SCALES`]): 1 to 5; what isn’t there wasn’t rated.
    pub ratings: IndexMap<String, u8>,
    /// By the hash of another run’s text about the Reel: whether this one is better (1), worse (−1) or neither (0).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub preferred: IndexMap<String, i8>,
    #[expect(missing_docs, reason = "the name says it")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Rating {
    /// Checks what it says.
    ///
    /// # Errors
    /// Names the value that can't be given, and what isn't rated.
    pub fn check(&self) -> Result<()> {
        let (least, most) = (RATINGS.start(), RATINGS.end());
        ensure!(
            self.v == 1,
            anyhow!("a rating of version {}", self.v).hint("this program reads version 1: use the one that wrote it")
        );
        for (scale, value) in &self.ratings {
            ensure!(
                SCALES.contains(&scale.as_str()),
                anyhow!("unknown scale {scale:?}").hint(format!(
                    "{}the scales are {}",
                    did_you_mean(scale, SCALES),
                    SCALES.join(", ")
                ))
            );
            ensure!(
                RATINGS.contains(value),
                anyhow!("{scale} is {value}, not {least} to {most}").hint(format!("rate from {least} to {most}"))
            );
        }
        for (other, preferred) in &self.preferred {
            ensure!(
                (-1..=1).contains(preferred),
                anyhow!("preferred to {other} by {preferred}").hint("1 is better, -1 worse, 0 neither")
            );
            ensure!(
                *other != self.text,
                anyhow!("text {other} is compared with itself").hint("`preferred` names the other run's text")
            );
        }
        Ok(())
    }
}

/// Hash of a text that is rated: the first 16 hexadecimal digits of the SHA-256 of its bytes.
pub fn text_key(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a `ratings.jsonl`.
///
/// # Errors
/// Names the file and the line: of what is no rating, rates what isn't asked for or by more than there is to give, or is an
/// annotator's second rating of a text.
pub fn ratings(lines: &Lines) -> Result<Vec<Rating>> {
    let mut before: HashMap<[String; 4], u32> = HashMap::new();
    let mut ratings = Vec::new();
    lines.each(|line| {
        let at = || format!("{}:{}", lines.name(), line.place.number);
        let rating: Rating = serde_json::from_slice(line.bytes)
            .with_context(|| format!("{}: not a rating", at()))
            .hint("a ratings.jsonl is written by `reels data review --from`")?;
        rating.check().with_context(at)?;
        let Rating { reel_id, task, text, annotator, .. } = &rating;
        if let Some(first) = before.insert([reel_id, task, text, annotator].map(String::clone), line.place.number) {
            let again = format!("{annotator:?} rates the same text of Reel {reel_id:?} as in line {first}");
            bail!(anyhow!("{}: {again}", at()).hint("keep the line that is meant, remove the other"));
        }
        ratings.push(rating);
        Ok(())
    })?;
    Ok(ratings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    const LINE: &str = r#"{"v":1,"reel_id":"r1","task":"summary","annotator":"ana","text":"0a","ratings":{"faithful":4},"preferred":{"0b":1}}"#;

    fn refused(text: &str) -> String {
        Shown::of(&ratings(&Lines::of("a/ratings.jsonl", text)).unwrap_err()).to_string()
    }

    #[test]
    fn what_is_no_rating_is_named() {
        let with =
            |old: &str, new: &str| refused(&format!("{LINE}\n{}\n", LINE.replace("ana", "ben").replace(old, new)));
        for (message, expected) in [
            (with("\"faithful\":4", "\"faithful\":6"), "a/ratings.jsonl:2: faithful is 6, not 1 to 5\nhint: rate"),
            (with("\"faithful\":4", "\"faithful\":0"), "a/ratings.jsonl:2: faithful is 0, not 1 to 5\nhint: rate"),
            (
                with("\"faithful\":4", "\"faithful\":2.5"),
                "a/ratings.jsonl:2: not a rating: invalid type: floating point",
            ),
            (
                with("faithful", "faithfull"),
                "a/ratings.jsonl:2: unknown scale \"faithfull\"\nhint: did you mean faithful?",
            ),
            (with("\"0b\":1", "\"0b\":2"), "a/ratings.jsonl:2: preferred to 0b by 2\nhint: "),
            (with("\"0b\":1", "\"0a\":1"), "a/ratings.jsonl:2: text 0a is compared with itself\nhint: "),
            (with("\"v\":1", "\"v\":2"), "a/ratings.jsonl:2: a rating of version 2\nhint: "),
            (with("\"v\":1,", ""), "a/ratings.jsonl:2: not a rating: missing field `v`"),
            (
                refused(&format!("{LINE}\n{LINE}\n")),
                "a/ratings.jsonl:2: \"ana\" rates the same text of Reel \"r1\" as in line 1\nhint: ",
            ),
            (refused(&format!("{LINE}\n{}", &LINE[..50])), "a/ratings.jsonl:2: not a rating: EOF"),
            (refused("\n"), "a/ratings.jsonl:1: not a rating: EOF"),
        ] {
            assert!(message.starts_with(expected) && message.contains("\nhint: "), "{message}");
        }
        assert_eq!(ratings(&Lines::of("a", &format!("{LINE}\n{}\n", LINE.replace("0a", "0c")))).unwrap().len(), 2);
    }
}
