//! What people say of Reels and of answers, as files hold it.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What one annotator answered: the file that a review page saves, and what a table or an export becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Format version, 1.
    pub v: u32,
    /// What was asked for.
    pub kind: Kind,
    /// Hash of the question: tasks with labels and descriptions, or what is rated. Answers to one question have the same.
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

/// Hash of a text that is rated: the first 16 hexadecimal digits of the SHA-256 of its bytes.
pub fn text_key(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
