//! Gold answers: texts, and labels as people write them.

use serde_json::Value;

use super::cell::Cell;
use super::values::Values;
use crate::ask::records::{Kind, Note, folded, lenient, nearest};
use crate::data::import::post::Post;
use crate::task::{Task, TaskKind};

/// Also for what is true or false.
pub const YES: [&str; 7] = ["ya", "iya", "y", "yes", "true", "1", "benar"];
pub const NO: [&str; 8] = ["tidak", "tdk", "n", "no", "false", "0", "bukan", "salah"];

impl Values<'_> {
    /// Gold answers of several tasks in one cell.
    pub fn references(&mut self, name: &str, text: &str, post: &mut Post) {
        let Ok((golds, _)) = lenient(text) else {
            let cell = Cell::Text(text.to_owned());
            self.left_out::<()>("no gold answers", name, &cell, "an object, e.g. {\"category\": \"kuliner\"}");
            return;
        };
        for (task, gold) in golds {
            let cell = match gold {
                Value::Null => continue,
                Value::String(text) => Cell::text(text),
                gold => Cell::Text(gold.to_string()),
            };
            if cell != Cell::Empty {
                self.reference(name, &task, cell, post);
            }
        }
    }

    pub fn reference(&mut self, name: &str, task: &str, cell: Cell, post: &mut Post) {
        let known = self.tasks.iter().find(|known| known.name == *task);
        let gold = match (&cell, known) {
            (_, Some(known)) if known.kind == TaskKind::Label => self.label(name, known, &cell),
            (Cell::List(items), _) => {
                self.note(Kind::LeftOut, "further gold answers", name, &cell.shown(), "the first one is read");
                items.first().cloned()
            }
            _ => Some(cell.shown()),
        };
        if let Some(gold) = gold {
            post.reference.insert(task.to_owned(), gold);
        }
    }

    fn label(&mut self, name: &str, task: &Task, cell: &Cell) -> Option<String> {
        let text = match cell {
            // 1.0, where a column has gaps
            Cell::Number(number) if number.fract() == 0.0 => format!("{number:.0}"),
            cell => cell.shown().trim().to_owned(),
        };
        let labels = || task.labels.iter().map(String::as_str);
        let key = folded(&text);
        let said = task.label_said(&text).or_else(|| labels().find(|label| folded(label) == key && !key.is_empty()));
        if let Some(label) = said {
            if label != text {
                self.note(Kind::Mended, "label in other letters", name, &text, label);
            }
            return Some(label.to_owned());
        }
        let other = |label: &String| labels().find(|other| *other != label).map(str::to_owned);
        let yes_or_no = task.positive.as_ref().and_then(|positive| match text.trim_end_matches(".0").to_lowercase() {
            text if YES.contains(&text.as_str()) => Some(positive.clone()),
            text if NO.contains(&text.as_str()) => other(positive),
            _ => None,
        });
        if let Some(label) = yes_or_no {
            self.note(Kind::Mended, "yes or no for a label", name, &text, &label);
            return Some(label);
        }
        let meant = match nearest(&text, labels()) {
            Some(near) => format!("{near}?"),
            None => format!("one of {}", task.labels.join(", ")),
        };
        let note = Note::new("no label of the task, left out", name, &text).meant(Some(meant)).by_value();
        self.problems.add(Kind::LeftOut, self.line, note);
        None
    }
}
