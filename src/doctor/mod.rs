//! Whether something will work here, and why not: checks of a model file, of a training run, of the machine.

#[cfg(feature = "train")]
mod directory;
#[cfg(not(feature = "train"))]
#[path = "directory_disabled.rs"]
mod directory;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(not(feature = "cuda"))]
#[path = "gpu_disabled.rs"]
mod gpu;
mod machine;
mod model;

use serde::Serialize;

pub use directory::directory;
pub use machine::machine;
pub use model::model;

use crate::error::Shown;
use crate::gguf::Problem;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, and may disappoint.
    Warning,
    /// It won't work, or answer wrongly.
    Error,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[expect(missing_docs, reason = "the type says it")]
    pub severity: Severity,
    /// Such as `header` or `memory`.
    pub about: &'static str,
    #[expect(missing_docs, reason = "the name says it")]
    pub what: String,
    /// What comes of it; none where all is well.
    pub why: Option<String>,
    /// What to do; none where all is well.
    pub hint: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, what: impl Into<String>) -> Finding {
        Finding { severity: Severity::Ok, about, what: what.into(), why: None, hint: None }
    }

    fn warning(
        about: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        let (why, hint) = (Some(why.into()), Some(hint.into()));
        Finding { severity: Severity::Warning, about, what: what.into(), why, hint }
    }

    fn error(about: &'static str, what: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, ..Finding::warning(about, what, why, hint) }
    }

    fn of(about: &'static str, error: &anyhow::Error, why: &str) -> Finding {
        let Shown { message, hints } = Shown::of(error);
        let hint = if hints.is_empty() { "correct it, and look again".to_owned() } else { hints.join("; ") };
        Finding::error(about, message, why, hint)
    }

    fn problem(about: &'static str, problem: Problem) -> Finding {
        let make = if problem.runs { Finding::warning } else { Finding::error };
        make(about, problem.what, problem.why, problem.hint)
    }
}
