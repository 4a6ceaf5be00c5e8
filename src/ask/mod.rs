//! Asking: what answers and with which prompts, a record and a task as a job, and what came of it as a prediction.
//!
//! ```text
//!     Answerer (file, host, baseline)   Prompts   Records
//!                        └──────────┬──────┘        │
//!                                Asker ◄────────────┘
//!                                   │ Question = Asked + Job
//!                                   ▼
//!                          Session: admit, step ─► Event ─► Asked::prediction
//! ```
//!
//! [`Identity`] says which answers these are, a [`Manifest`] how they came about. Stages drive this: `predict` does all of a
//! file, an export compares the labels of two files.

mod answerer;
mod drive;
mod identity;
mod ledger;
mod manifest;
mod prompts;
mod questions;
pub mod records;

pub use answerer::Answerer;
pub use drive::{Ended, drive};
pub use identity::{Identity, settings_json};
pub use ledger::{Evaluation, LEDGER, variants_of};
pub use manifest::{
    AdapterFacts, DataFacts, EngineFacts, HostedFacts, Inputs, LabelAnswers, LearnedFrom, Manifest, ModelFacts,
    PromptFacts, Resampling, RunSetup, Speed, inputs,
};
pub use prompts::Prompts;
pub use questions::{Asked, Asker, Format, Question, label_tokens};
pub use records::{NO_NUMBER, Records, mended_json};
