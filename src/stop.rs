//! The wish to stop, passed to whatever takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Signals so close together are one wish: `timeout` and terminals send theirs to the program and again to its group.
const ONE_WISH: Duration = Duration::from_secs(2);

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
    /// Wished by Ctrl-C, SIGTERM or a terminal that closes; one more, two seconds later or after that, stops the program at once,
    /// with exit code 130. What was ignored when the program started, as `nohup` does with a terminal that closes, stays so.
    ///
    /// # Errors
    /// When signals can't be watched.
    pub fn on_interrupt() -> Result<Stop> {
        let stop = Stop::default();
        let wish = stop.clone();
        let watched = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
        let mut signals = Signals::new(watched).context("cannot watch for Ctrl-C")?;
        let watch = move || {
            let mut first = None;
            for _ in &mut signals {
                let since = first.get_or_insert_with(Instant::now).elapsed();
                let again = wish.0.swap(true, Ordering::Relaxed) && since >= ONE_WISH;
                if again || WAITING.load(Ordering::Relaxed) > 0 {
                    std::process::exit(130);
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch).context("cannot watch for Ctrl-C")?;
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

/// Whether whoever started the program had a signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
