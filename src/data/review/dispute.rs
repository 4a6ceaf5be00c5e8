//! Reels about which annotators differ.

use indexmap::IndexMap;
use serde::Serialize;

use super::decide::by_reel;
use super::form::{Form, Item};
use super::read::Brought;
use crate::annotation::{Annotation, Kind, Question, Role};
use crate::task::Task;

/// A Reel about which annotators differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disputed {
    #[expect(missing_docs, reason = "the name says it")]
    pub id: String,
    /// Whose label it is, and which.
    pub answers: Vec<Annotation>,
}

/// The disputed Reels of a task, in the order in which they were answered.
pub fn disputed(brought: &[Brought], task: &Task) -> Vec<Disputed> {
    let mut all = vec![];
    for (id, answers) in by_reel(brought) {
        let answers: Vec<Annotation> = answers
            .into_iter()
            .filter(|(one, _)| one.answers.role == Role::Annotator)
            .filter_map(|(one, item)| {
                let (by, answer) = (one.answers.annotator.clone(), item.answers.get(&task.name)?.clone());
                Some(Annotation { by, answer, role: Role::Annotator, note: item.note.clone() })
            })
            .collect();
        if answers.iter().any(|answer| answer.answer != answers[0].answer) {
            all.push(Disputed { id: id.to_owned(), answers });
        }
    }
    all
}

/// A form with what is disputed alone, for somebody who decides.
pub fn adjudication(title: &str, items: Vec<Item>, tasks: &[&Task], brought: &[Brought]) -> Form {
    let mut of_items: IndexMap<String, Item> = items.into_iter().map(|item| (item.id.clone(), item)).collect();
    for task in tasks {
        for Disputed { id, answers } in disputed(brought, task) {
            if let Some(item) = of_items.get_mut(&id) {
                item.disputed.insert(task.name.clone(), answers);
            }
        }
    }
    let items = of_items.into_values().filter(|item| !item.disputed.is_empty()).collect();
    let questions = tasks.iter().map(|task| Question::from(*task)).collect();
    Form { role: Role::Adjudicator, ..Form::new(Kind::Annotations, title, questions, items) }
}
