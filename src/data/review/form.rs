//! What is asked of annotators, whatever it is written as: a page, a table, or tasks for Label Studio.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::annotation::{Kind, Question, Role};

/// A form: the same for all annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the type says it")]
    pub kind: Kind,
    /// Hash of what is asked, see [`crate::annotation::Answers::form`].
    pub form: String,
    /// Who answers it.
    pub role: Role,
    /// What it is about: the name of the data.
    pub title: String,
    /// Of annotations, the label tasks that are asked; of ratings, the text task whose answers are rated.
    pub tasks: Vec<Question>,
    /// In the order of the data; each annotator sees them in an order of their own.
    pub items: Vec<Item>,
}

/// A Reel as annotators see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Item {
    #[expect(missing_docs, reason = "the name says it")]
    pub id: String,
    /// Not shown: agreement is told by account.
    pub account: Option<String>,
    /// Hash of what is shown of the Reel.
    pub shown: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub duration_s: Option<f64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub likes: Option<u64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub views: Option<u64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub plays: Option<u64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub comments: Option<u64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub caption: Option<String>,
    /// Without `#`.
    pub hashtags: Vec<String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub transcript: Option<String>,
    /// A model’s label by task name, where annotators are to see it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub suggested: BTreeMap<String, String>,
    /// Where it is decided between annotators: by task name, what each of them answered and noted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disputed: BTreeMap<String, Vec<crate::annotation::Annotation>>,
    /// What is rated, in no order that tells where it is from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<Text>,
}

/// A text about the Reel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// See [`crate::annotation::text_key`].
    pub key: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub text: String,
}
