//! The wish to stop, passed to whatever takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

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
            if wish.0.swap(true, Ordering::Relaxed) {
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
