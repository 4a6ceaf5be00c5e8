//! Asking people: forms to answer without any server, and what comes back.

mod check;
mod decide;
mod dispute;
mod form;
mod label_studio;
mod page;
mod read;
mod table;
mod texts;

pub use check::{Told, check, check_data};
pub use decide::{ByReel, Labelled, by_reel, decide};
pub use dispute::{Disputed, adjudication, disputed};
pub use form::{Form, Item, Text, sample, shuffle, version};
pub use label_studio::{config as label_studio_config, tasks as label_studio_tasks};
pub use page::html;
pub use read::{Brought, read};
pub use table::write as write_table;
pub use texts::{FILE as RATINGS_FILE, Texts, give, ratings};
