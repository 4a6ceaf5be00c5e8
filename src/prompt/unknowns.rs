//! Fields that are unknown and are written all the same: a model reads "None" then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use minijinja::State;
use minijinja::value::Value;

use super::{Message, PromptSource};
use crate::task::Task;

/// How often a template wrote something unknown while it was rendered.
#[derive(Default)]
pub(super) struct Nones(BTreeMap<String, usize>);

impl Nones {
    pub fn note(state: &mut State) {
        let template = state.name().to_owned();
        *state.get_or_insert_extension_with(Nones::default).0.entry(template).or_default() += 1;
    }

    pub fn take(state: &mut State) -> BTreeMap<String, usize> {
        state.get_extension_mut().map(|nones: &mut Nones| std::mem::take(&mut nones.0)).unwrap_or_default()
    }
}

/// What was found out about unknown fields, of all prompts rendered.
#[derive(Debug, Default)]
pub(super) struct Unknowns {
    /// Whether the templates have the word themselves.
    worded: bool,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Tasks and which fields were unknown, that were looked at.
    seen: BTreeSet<(String, Vec<String>)>,
    /// Fields by template.
    written: BTreeMap<String, BTreeSet<String>>,
}

impl Unknowns {
    /// What the engine writes.
    pub const TEXT: &str = "None";

    pub fn new(worded: bool) -> Unknowns {
        Unknowns { worded, found: Mutex::default() }
    }

    /// Adds what was joined to a text before it was written (`"Likes: " ~ reel.likes`), which is the task's template's.
    pub fn counted(
        &self,
        mut nones: BTreeMap<String, usize>,
        messages: &[Message],
        task: &Task,
    ) -> BTreeMap<String, usize> {
        if !self.worded {
            let all: usize = messages.iter().map(|message| message.content.matches(Unknowns::TEXT).count()).sum();
            if let Some(joined @ 1..) = all.checked_sub(nones.values().sum()) {
                *nones.entry(task.template.clone()).or_default() += joined;
            }
        }
        nones
    }

    /// Finds the fields by filling each alone: less is written as unknown then. `render` gives the counts of a changed Reel.
    pub fn note(
        &self,
        task: &str,
        reel: &Value,
        nones: &BTreeMap<String, usize>,
        render: impl Fn(Value) -> Option<BTreeMap<String, usize>>,
    ) {
        if nones.is_empty() {
            return;
        }
        let fields: Vec<Value> = reel.try_iter().into_iter().flatten().collect();
        let value = |field: &Value| reel.get_item(field).unwrap_or_default();
        let unknown: Vec<&Value> = fields.iter().filter(|field| value(field).is_none()).collect();
        let pattern = (task.to_owned(), unknown.iter().map(|field| field.to_string()).collect());
        if !self.lock().seen.insert(pattern) {
            return;
        }
        for field in unknown {
            let filled = |filling: &Value| {
                let of = |other: &Value| if other == field { filling.clone() } else { value(other) };
                let all: BTreeMap<String, Value> = fields.iter().map(|other| (other.to_string(), of(other))).collect();
                render(all.into())
            };
            // A number, or a text where the template wants one.
            let Some(filled) = [Value::from(1), Value::from("1")].iter().find_map(filled) else { continue };
            let fewer = nones.iter().filter(|(template, count)| filled.get(*template).is_none_or(|left| left < count));
            for (template, _) in fewer {
                self.lock().written.entry(template.clone()).or_default().insert(field.to_string());
            }
        }
    }

    pub fn warnings(&self, source: &PromptSource) -> Vec<String> {
        let warning = |(template, fields): (&String, &BTreeSet<String>)| {
            let fields: Vec<String> = fields.iter().map(|field| format!("reel.{field}")).collect();
            let (are, field) = (if fields.len() == 1 { "is" } else { "are" }, &fields[0]);
            format!(
                "warning: {source}: {template} writes \"{}\" where {} {are} unknown\n\
                 hint: {{{{ {field} if {field} is not none else \"tidak diketahui\" }}}}",
                Unknowns::TEXT,
                fields.join(", ")
            )
        };
        self.lock().written.iter().map(warning).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
