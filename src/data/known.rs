//! What of a record is looked at when it is compared with others.

use super::dedup::text;
use crate::reel::Reel;

/// What of a record or conversation is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    #[expect(missing_docs, reason = "the name says it")]
    pub id: String,
    /// `None` where it isn't known.
    pub account: Option<String>,
    /// See [`text`].
    pub text: String,
    /// What else is written of it: the shorter one of transcript and caption, and gold texts. Parts of them aren't to stand
    /// elsewhere either.
    pub others: Vec<String>,
}

impl From<&Reel> for Known {
    fn from(reel: &Reel) -> Known {
        let main = text(reel);
        let written = [&reel.caption, &reel.transcript].into_iter().flatten().filter(|text| text.as_str() != main);
        let gold = reel.reference.values().chain(reel.alternatives.values().flatten());
        let others = written.chain(gold).cloned().collect();
        Known { id: reel.id.clone(), account: reel.account.clone(), text: main.to_owned(), others }
    }
}
