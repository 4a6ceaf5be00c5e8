//! How far annotators agree on ratings.

use indexmap::{IndexMap, IndexSet};

use super::read::{RatedTask, Text};
use crate::annotation::{RATINGS, SCALES};
use crate::score::agreement::{Judgements, Scale, agreement};
use crate::scores::Agreement;

/// By scale on which two rated a text.
pub(super) fn agreements(task: &RatedTask) -> IndexMap<String, Agreement> {
    SCALES.iter().filter_map(|scale| Some(((*scale).to_owned(), of_scale(task, scale)?))).collect()
}

fn of_scale(task: &RatedTask, scale: &str) -> Option<Agreement> {
    let rated = || task.texts().map(|(_, text)| text).filter(|text| text.given(scale).next().is_some());
    if !rated().any(|text| text.given(scale).count() > 1) {
        return None;
    }
    let annotators: IndexSet<&str> = rated().flat_map(|text| text.given(scale)).map(|(by, _)| by).collect();
    let accounts: IndexSet<&str> = rated().filter_map(|text| text.account.as_deref()).collect();
    let account = |text: &Text| accounts.get_index_of(text.account.as_deref()?).map(|at| at as u32);
    let answers = |text: &'_ Text| -> Vec<Option<u16>> {
        let given = |by: &&str| text.said.get(*by)?.ratings.get(scale).map(|value| u16::from(value - RATINGS.start()));
        annotators.iter().map(given).collect()
    };
    let judgements = Judgements {
        categories: RATINGS.count(),
        answers: rated().flat_map(answers).collect(),
        accounts: rated().map(account).collect(),
        annotators: annotators.iter().map(|by| (*by).to_owned()).collect(),
    };
    Some(agreement(&judgements, Scale::Ordinal))
}
