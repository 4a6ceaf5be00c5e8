//! What an error knows beside its message: what to do about it, and whose it is.
//!
//! [`anyhow::Error`] carries all errors. [`Hint`] adds the next step to one, [`environment`] makes one that isn't the
//! input's; [`Shown`] and [`Kind`] find both again, whatever context was added on the way.

use std::error::Error as StdError;
use std::fmt;

use anyhow::{Error, Result, anyhow};

/// Whose an error is, which decides how the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The fault of what the user gave: files, settings, the command line.
    Input,
    /// The fault of disk, memory or engine.
    Environment,
}

impl Kind {
    /// The kind of an error; one that says nothing of it is the input's.
    pub fn of(error: &Error) -> Kind {
        let mut failures = error.chain().filter_map(|cause| cause.downcast_ref::<Failure>());
        if failures.any(|failure| failure.kind == Kind::Environment) { Kind::Environment } else { Kind::Input }
    }
}

/// An error and what is known beside its message; reads as the error alone does.
#[derive(Debug)]
struct Failure {
    error: Error,
    kind: Kind,
    hints: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.error)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl Failure {
    fn of(error: Error) -> Failure {
        let top: &(dyn StdError + 'static) = error.as_ref();
        if !top.is::<Failure>() {
            return Failure { kind: Kind::of(&error), error, hints: vec![] };
        }
        // Wrapped once more, it would be no link of the chain any longer.
        error.downcast().unwrap_or_else(|error| Failure { kind: Kind::Input, error, hints: vec![] })
    }
}

/// A failure of disk, memory or engine.
pub fn environment(message: impl Into<String>) -> Error {
    blame_environment(anyhow!(message.into()))
}

/// The same error, as a failure of disk, memory or engine: for what only its caller can tell apart.
pub fn blame_environment(error: Error) -> Error {
    Failure { kind: Kind::Environment, ..Failure::of(error) }.into()
}

/// Adds to an error what to do about it.
pub trait Hint: Sized {
    /// The same with a hint.
    type Hinted;

    /// Adds the next step, which is shown on a line of its own below the message.
    fn hint(self, hint: impl Into<String>) -> Self::Hinted {
        self.with_hint(|| hint)
    }

    /// [`Hint::hint`] that is only made where there is an error.
    fn with_hint<H: Into<String>>(self, hint: impl FnOnce() -> H) -> Self::Hinted;
}

impl Hint for Error {
    type Hinted = Error;

    fn with_hint<H: Into<String>>(self, hint: impl FnOnce() -> H) -> Error {
        let mut failure = Failure::of(self);
        failure.hints.push(hint().into());
        failure.into()
    }
}

impl<T, E: Into<Error>> Hint for Result<T, E> {
    type Hinted = Result<T>;

    fn with_hint<H: Into<String>>(self, hint: impl FnOnce() -> H) -> Result<T> {
        self.map_err(|error| error.into().with_hint(hint))
    }
}

/// The beginning of a hint: the known name that differs least, where that is in a third of its letters at most.
pub fn did_you_mean(name: &str, known: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let distance = |known: &str| strsim::osa_distance(name, known.trim_matches(['[', ']']));
    let nearest =
        known.into_iter().map(|known| (distance(known.as_ref()), known)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, known)) if distance <= name.chars().count().div_ceil(3) => {
            format!("did you mean {}? ", known.as_ref())
        }
        _ => String::new(),
    }
}

/// An error as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// All causes, the outermost first.
    pub message: String,
    /// What to do, the innermost first: it knows most.
    pub hints: Vec<String>,
}

impl Shown {
    /// Takes an error apart.
    pub fn of(error: &Error) -> Shown {
        let (mut messages, mut hints) = (vec![], vec![]);
        for cause in error.chain() {
            messages.push(cause.to_string());
            hints.push(cause.downcast_ref().map_or(&[][..], |failure: &Failure| &failure.hints));
        }
        hints.reverse();
        Shown { message: messages.join(": "), hints: hints.concat() }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.message)?;
        self.hints.iter().try_for_each(|hint| write!(formatter, "\nhint: {hint}"))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, bail, ensure};

    use super::*;

    fn shown(error: Error) -> String {
        Shown::of(&error).to_string()
    }

    #[test]
    fn hints_stand_below_all_causes() {
        let missing = || std::fs::read("/nowhere/a").context("cannot read /nowhere/a").hint("name a file").unwrap_err();
        assert_eq!(
            shown(missing().context("settings")),
            "settings: cannot read /nowhere/a: No such file or directory (os error 2)\nhint: name a file"
        );
        // Text made of an error has no hints in it.
        assert_eq!(format!("{:#}", missing()), "cannot read /nowhere/a: No such file or directory (os error 2)");
        let both = missing().hint("or leave it out").context("run a").hint("name another --output");
        assert!(shown(both).ends_with("2)\nhint: name a file\nhint: or leave it out\nhint: name another --output"));
    }

    #[test]
    fn the_kind_survives_context_and_hints() {
        let full = || environment("cannot write a: no space left");
        assert_eq!(Kind::of(&full()), Kind::Environment);
        assert_eq!(Kind::of(&full().hint("free some").context("run a").hint("or").context("b")), Kind::Environment);
        let blamed = blame_environment(anyhow!("no memory").hint("close something").context("a"));
        assert_eq!(Kind::of(&blamed), Kind::Environment);
        assert_eq!(shown(blamed), "a: no memory\nhint: close something");
        assert_eq!(Kind::of(&anyhow!("a").hint("b").context("c")), Kind::Input);
    }

    #[test]
    fn hints_go_where_errors_are_made() {
        fn checked(value: u8) -> Result<u8> {
            ensure!(value > 0, anyhow!("--rows {value} shows nothing").hint("give more"));
            if value > 9 {
                bail!(environment("too many").hint("give less"));
            }
            Some(value).filter(|value| *value != 5).context("5 is missing").with_hint(|| format!("take {}", value + 1))
        }
        assert_eq!(checked(1).unwrap(), 1);
        assert_eq!(shown(checked(0).unwrap_err()), "--rows 0 shows nothing\nhint: give more");
        let many = checked(10).unwrap_err();
        assert_eq!((Kind::of(&many), shown(many)), (Kind::Environment, "too many\nhint: give less".to_owned()));
        assert_eq!(shown(checked(5).unwrap_err()), "5 is missing\nhint: take 6");
    }
}
