//! A host's answer as what was wanted, or why it is none.

use super::failure::{AGAIN, Failure, Meaning, shortened};
use super::labels;
use super::reply::{Reply, is_model};
use crate::generator::{Ending, Outcome, Text, TextWant};

/// How hosts say that an answer is whole.
const COMPLETE: [&str; 6] = ["", "stop", "eos", "eos_token", "stop_sequence", "end_turn"];

/// An answer as what was wanted of the model that was asked; `has_right_model`: it has answered before.
///
/// # Errors
/// When it is none.
pub(super) fn outcome(reply: Reply, want: &TextWant, asked: &str, has_right_model: bool) -> Result<Outcome, Failure> {
    let own = |text: String, hint| Err(Failure::new(Meaning::Own, text, Some(hint)));
    if let Some(model) = reply.model.as_ref().filter(|model| !is_model(asked, model)) {
        let text = format!("another model answered: {model}, not {asked}");
        let hint = "name the model as its host does: --model URL#NAME";
        // Where none ever came from the right one, none will.
        let meaning = if has_right_model { Meaning::Own } else { Meaning::All };
        return Err(Failure::new(meaning, text, Some(hint)));
    }
    let is_cut = reply.finish == "length";
    if !is_cut && !COMPLETE.contains(&&*reply.finish) {
        return own(format!("the host ended the answer for another reason: {:?}", shortened(&reply.finish)), AGAIN);
    }
    if !want.labels.is_empty()
        && let Some(scores) = labels::scores(&want.labels, &reply.positions, &reply.text)
    {
        return Ok(Outcome::LabelScores(scores));
    }
    match (is_cut, reply.text.trim().is_empty()) {
        (true, true) => own(
            format!("no answer within {} tokens: the model thought for longer", want.max_tokens),
            "raise max_tokens in tasks.toml, or ask a model that doesn't think",
        ),
        (true, false) if want.may_be_cut => {
            Ok(Outcome::Text(Text { text: reply.text, ending: Ending::Cut, ..Text::default() }))
        }
        (true, false) => own(
            format!("the answer was cut after {} tokens: {:?}", want.max_tokens, shortened(&reply.text)),
            "raise max_tokens in tasks.toml, or let the template ask for less",
        ),
        (false, true) => own("the model answered nothing".to_owned(), AGAIN),
        (false, false) => Ok(Outcome::Text(Text { text: reply.text, ..Text::default() })),
    }
}
