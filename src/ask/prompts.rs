//! The prompts that go with what answers.

use anyhow::Result;

use crate::config::{ModelName, PredictSettings};
use crate::gguf;
use crate::prompt::PromptSet;

/// The prompts to answer with, and what the model was trained with where its file says so.
pub struct Prompts {
    /// All tasks, asked for or not.
    pub set: PromptSet,
    /// Hash of the prompts it was trained with.
    trained_sha256: Option<String>,
    /// The budget it was trained with.
    pub(super) trained_budget: Option<usize>,
}

impl Prompts {
    /// Those named with --prompts, else those in the adapter's or model's file, else `./prompts`, else the embedded ones.
    ///
    /// # Errors
    /// Names the file and what is wrong with its prompts.
    pub fn find(settings: &PredictSettings) -> Result<Prompts> {
        let model = if let ModelName::Gguf(path) = &settings.model { Some(path) } else { None };
        let (mut own, mut trained_budget) = (None, None);
        for path in settings.adapter.iter().chain(model).filter(|path| path.exists()) {
            // What is wrong with it is said when it is opened, after a look at the data.
            let Ok(gguf) = gguf::read_header(path) else { continue };
            own = own.map_or_else(|| PromptSet::in_model(&gguf), |own| Ok(Some(own)))?;
            trained_budget = trained_budget.or(gguf.number("reels.max_prompt_tokens").map(|tokens| tokens as usize));
        }
        let trained_sha256 = own.as_ref().map(PromptSet::sha256);
        let set = match (&settings.prompts, own) {
            (None, Some(own)) => own,
            (folder, _) => PromptSet::find(folder.as_deref())?,
        };
        Ok(Prompts { set, trained_sha256, trained_budget })
    }

    /// A set for no model in particular.
    pub fn of(set: PromptSet) -> Prompts {
        Prompts { set, trained_sha256: None, trained_budget: None }
    }

    /// Says when the model was trained with others.
    pub fn warn(&self) {
        if self.trained_sha256.as_ref().is_some_and(|trained| *trained != self.set.sha256()) {
            eprintln!(
                "warning: the model was trained with other prompts than those in {}\nhint: leave out --prompts to use its own",
                self.set.source
            );
        }
    }
}
