//! The wish to stop, passed to whatever takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};

/// How many reads wait for somebody else.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Reads what may never come, such as standard input: meanwhile there is nothing to finish, and the first wish to stop ends the
/// program at once, with exit code 130.
pub fn waiting<T>(read: impl FnOnce() -> T) -> T {
    WAITING.fetch_add(1, Ordering::Relaxed);
    let read = read();
    WAITING.fetch_sub(1, Ordering::Relaxed);
    read
}

/// The user's wish to stop; long work looks at it between steps. Clones are the same wish.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Wished by the first Ctrl-C or SIGTERM; the second one stops the program at once, with exit code 130.
    ///
    /// # Errors
    /// When the handler can't be installed.
    pub fn on_interrupt() -> Result<Stop> {
        let stop = Stop::default();
        let wish = stop.clone();
        let handler = move || {
            if wish.0.swap(true, Ordering::Relaxed) || WAITING.load(Ordering::Relaxed) > 0 {
                std::process::exit(130);
            }
        };
        ctrlc::set_handler(handler).context("cannot watch for Ctrl-C")?;
        Ok(stop)
    }

    /// Asks to stop.
    pub fn wish(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether anyone asked to stop.
    pub fn wished(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
