//! Asking people: forms to answer without any server, and what comes back.

mod form;
pub mod label_studio;

pub use form::{Form, Item, Text};
