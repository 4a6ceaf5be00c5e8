//! Lines for people and for pipes. A pipe that nobody reads any more (`reels … | head`) is no reason to stop: what a command is
//! for happens all the same, and its exit code tells.

use std::fmt::Arguments;
use std::io::{ErrorKind, Result, Write, stderr, stdout};
use std::sync::Mutex;

use crate::error::environment;

/// Why the first line that couldn't be written couldn't.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Prints a line to stdout: data, and what was asked for.
macro_rules! outln {
    ($($arguments:tt)*) => { $crate::terminal::out(::std::format_args!($($arguments)*)) };
}

/// Prints a line to stderr: all else.
macro_rules! errln {
    ($($arguments:tt)*) => { $crate::terminal::err(::std::format_args!($($arguments)*)) };
}

/// See `outln!`.
pub fn out(line: Arguments) {
    let written = write(stdout().lock(), line);
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && let Ok(mut failure) = FAILURE.lock()
    {
        failure.get_or_insert(error.to_string());
    }
}

/// See `errln!`. Where it can't be written, nobody can be told.
pub fn err(line: Arguments) {
    drop(write(stderr().lock(), line));
}

fn write(mut to: impl Write, line: Arguments) -> Result<()> {
    to.write_fmt(line)?;
    to.write_all(b"\n")?;
    to.flush()
}

/// Whether all that was printed arrived, as far as somebody read it.
///
/// # Errors
/// Of the environment, such as a full disk.
pub fn check() -> anyhow::Result<()> {
    let failure = FAILURE.lock().ok().and_then(|mut failure| failure.take());
    failure.map_or(Ok(()), |reason| Err(environment(format!("cannot write to stdout: {reason}"))))
}
