//! Lines for people and for pipes. A pipe that nobody reads any more (`reels … | head`) is no reason to stop: what a command is
//! for happens all the same, and its exit code tells.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Result, Write, stderr, stdout};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// A file that lines go to instead.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Writes all lines that `work` prints to the end of a file: what is done many times over isn't for people to read each time.
///
/// # Errors
/// When the file can't be opened; or what `work` says.
pub fn into<T>(path: &Path, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.map_err(|error| environment(format!("cannot write {}: {error}", path.display())))?;
    let set = |file| FILE.lock().map(|mut to| *to = file).is_ok();
    set(Some(file));
    let done = work();
    set(None);
    done
}

/// Whether a line went to a file.
fn elsewhere(line: Arguments) -> bool {
    FILE.lock().is_ok_and(|file| file.as_ref().is_some_and(|file| write(file, line).is_ok()))
}

/// Whether a line couldn't be written to stdout.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// Whether nobody reads stdout any more, or nothing can be written to it.
pub fn is_unread() -> bool {
    UNREAD.load(Ordering::Relaxed)
}

/// See `outln!`.
pub fn out(line: Arguments) {
    if elsewhere(line) {
        return;
    }
    let written = write(stdout().lock(), line);
    if written.is_err() {
        UNREAD.store(true, Ordering::Relaxed);
    }
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && let Ok(mut failure) = FAILURE.lock()
    {
        failure.get_or_insert(error.to_string());
    }
}

/// Whether messages are objects.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on each message is an object with its time.
pub fn write_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// See `errln!`. Where it can't be written, nobody can be told.
pub fn err(line: Arguments) {
    if elsewhere(line) {
        return;
    }
    if AS_JSON.load(Ordering::Relaxed) {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let message = serde_json::json!({"time": time, "message": line.to_string()});
        drop(write(stderr().lock(), format_args!("{message}")));
    } else {
        drop(write(stderr().lock(), line));
    }
}

fn write(mut to: impl Write, line: Arguments) -> Result<()> {
    to.write_fmt(line)?;
    to.write_all(b"\n")?;
    to.flush()
}

/// Whether lines for people may have colours: on a terminal, unless `NO_COLOR` is set (no-color.org).
pub fn has_colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether all that was printed arrived, as far as somebody read it.
///
/// # Errors
/// Of the environment, such as a full disk.
pub fn check() -> anyhow::Result<()> {
    let failure = FAILURE.lock().ok().and_then(|mut failure| failure.take());
    failure.map_or(Ok(()), |reason| Err(environment(format!("cannot write to stdout: {reason}"))))
}
