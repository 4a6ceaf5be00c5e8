//! What is asked of annotators, whatever it is written as: a page, a table, or tasks for Label Studio.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::annotation::{Annotation, Kind, Question, Role, text_key};
use crate::reel::Reel;
use crate::task::Task;

/// A form: the same for all annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    /// Format version, 1.
    pub v: u32,
    #[expect(missing_docs, reason = "the type says it")]
    pub kind: Kind,
    /// See [`crate::annotation::Answers::form`].
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
    pub disputed: BTreeMap<String, Vec<Annotation>>,
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

impl Form {
    /// Of these items, what is asked of every one.
    pub fn new(kind: Kind, title: &str, tasks: Vec<Question>, items: Vec<Item>) -> Form {
        let form = version(kind, &tasks);
        Form { v: 1, kind, form, role: Role::Annotator, title: title.to_owned(), tasks, items }
    }
}

/// Each task with a hash of what is asked, so that two forms tell which of their tasks differ.
pub fn version(kind: Kind, tasks: &[Question]) -> String {
    let of = |task: &Question| format!("{}:{}", task.name, hash(kind, task));
    tasks.iter().map(of).collect::<Vec<_>>().join(";")
}

fn hash(kind: Kind, task: &Question) -> String {
    text_key(&serde_json::json!([kind, task]).to_string())
}

/// The tasks of a form that are asked otherwise in another one.
pub fn differing<'a>(form: &'a str, other: &'a str) -> impl Iterator<Item = &'a str> {
    let tasks = |form: &'a str| form.split(';').filter_map(|task| task.rsplit_once(':'));
    tasks(form)
        .filter(move |(task, hash)| tasks(other).any(|(name, other)| name == *task && other != *hash))
        .map(|(task, _)| task)
}

impl From<&Task> for Question {
    fn from(task: &Task) -> Question {
        let described = |label: &String| Some((label.clone(), task.descriptions.get(task.wording(label))?.clone()));
        Question {
            name: task.name.clone(),
            labels: task.labels.clone(),
            descriptions: task.labels.iter().filter_map(described).collect(),
        }
    }
}

impl From<&Reel> for Item {
    fn from(reel: &Reel) -> Item {
        let mut item = Item {
            id: reel.id.clone(),
            account: reel.account.clone(),
            duration_s: reel.duration_s,
            likes: reel.likes,
            views: reel.views,
            plays: reel.plays,
            comments: reel.comments,
            caption: reel.caption.clone(),
            hashtags: reel.hashtags.clone(),
            transcript: reel.transcript.clone(),
            ..Item::default()
        };
        item.shown = item.fingerprint();
        item
    }
}

impl Item {
    /// Of what is shown of the Reel.
    fn fingerprint(&self) -> String {
        let Item { duration_s, likes, views, plays, comments, caption, hashtags, transcript, .. } = self;
        let facts = (duration_s, likes, views, plays, comments);
        text_key(&serde_json::json!([facts, caption, hashtags, transcript]).to_string())
    }
}

/// So many of the items, chosen by the seed and their ids alone: the same ones whatever order they come in, and of a larger
/// number these too.
pub fn sample(items: &mut Vec<Item>, size: usize, seed: u64) {
    let rank = |item: &Item| text_key(&format!("{seed}:{}", item.id));
    let mut ranks: Vec<String> = items.iter().map(rank).collect();
    ranks.sort_unstable();
    if let Some(first_left_out) = ranks.get(size) {
        items.retain(|item| rank(item) < *first_left_out);
    }
}

/// Puts the items into the order in which this annotator gets them.
pub fn shuffle(items: &mut [Item], annotator: &str) {
    items.sort_by_cached_key(|item| text_key(&format!("{annotator}:{}", item.id)));
}
