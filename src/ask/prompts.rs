//! The prompts that go with what answers.

use anyhow::Result;

use crate::config::{ModelName, PredictSettings};
use crate::gguf;
use crate::prompt::PromptSet;

/// The prompts to answer with, and what the model was trained with where its file says so.
pub struct Prompts {
    /// All tasks, asked for or not.
    pub set: PromptSet,
    /// SHA-256 of the prompts that the model was trained with.
    trained_sha256: Option<String>,
    /// Tokens that a prompt had at most when the model was trained.
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
            // A file that can't be read is reported when it is opened, after the data was checked.
            let Ok(gguf) = gguf::read_header(path) else { continue };
            if own.is_none() {
                own = match PromptSet::in_model(&gguf) {
                    Err(error) if settings.prompts.is_some() => {
                        errln!("warning: its own prompts are left out: {error:#}");
                        None
                    }
                    own => own?,
                };
            }
            trained_budget = trained_budget.or(gguf.number("reels.max_prompt_tokens").map(|tokens| tokens as usize));
        }
        let trained_sha256 = own.as_ref().map(PromptSet::sha256);
        let set = match (&settings.prompts, own) {
            (None, Some(own)) => own,
            (folder, _) => PromptSet::find(folder.as_deref())?,
        };
        Ok(Prompts { set, trained_sha256, trained_budget })
    }

    /// A set of prompts that belongs to no model.
    pub fn of(set: PromptSet) -> Prompts {
        Prompts { set, trained_sha256: None, trained_budget: None }
    }

    /// Warns of what was found when they were rendered, all of them or a part of the set, and where the model was trained with
    /// others.
    pub fn warn(&self, rendered: &PromptSet) {
        rendered.warnings().iter().for_each(|warning| errln!("{warning}"));
        if self.trained_sha256.as_ref().is_some_and(|trained| *trained != self.set.sha256()) {
            errln!(
                "warning: the model was trained with other prompts than those in {}\nhint: leave out --prompts to use its own",
                self.set.source
            );
        }
    }
}
