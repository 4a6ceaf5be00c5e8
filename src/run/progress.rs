//! How far long work is: a bar on a terminal, a line now and then where there is none, and a file for whoever watches.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{memory_bytes, size, timestamp};
use crate::publish::write_json;

/// Between two lines in a log.
const LINES: Duration = Duration::from_secs(30);
/// Between two states of the file.
const STATES: Duration = Duration::from_secs(5);

/// How far some work is; any thread may count.
pub struct Progress {
    what: &'static str,
    bar: ProgressBar,
    /// Done before this began.
    before: u64,
    done: AtomicU64,
    all: u64,
    started: Instant,
    file: Option<PathBuf>,
    told: Mutex<Told>,
}

struct Told {
    line: Instant,
    state: Instant,
}

impl Progress {
    /// Of so many pieces, some of which are done; `file` gets its state as JSON every few seconds.
    pub fn new(what: &'static str, done: usize, all: usize, file: Option<PathBuf>) -> Progress {
        let bar = ProgressBar::new(all as u64).with_position(done as u64);
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}, {per_sec}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        let now = Instant::now();
        let told = Mutex::new(Told { line: now, state: now });
        Progress {
            what,
            bar,
            before: done as u64,
            done: AtomicU64::new(done as u64),
            all: all as u64,
            started: now,
            file,
            told,
        }
    }

    /// So many more are done.
    pub fn inc(&self, pieces: u64) {
        self.bar.inc(pieces);
        self.done.fetch_add(pieces, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_hidden() && told.line.elapsed() >= LINES {
            told.line = Instant::now();
            errln!("{}", self.line());
        }
        if told.state.elapsed() >= STATES {
            told.state = Instant::now();
            self.write();
        }
    }

    /// Takes the bar away, and writes where it ended.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        self.write();
    }

    /// Pieces a second, and seconds that the others will take.
    fn rate(&self) -> (f64, Option<f64>) {
        let done = self.done.load(Ordering::Relaxed);
        let rate = (done - self.before) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let left = self.all.saturating_sub(done) as f64;
        (rate, (rate > 0.0).then(|| left / rate))
    }

    fn line(&self) -> String {
        let (rate, left) = self.rate();
        let left = left.map_or_else(String::new, |left| format!(", {} left", lasting(left)));
        let (done, all) = (self.done.load(Ordering::Relaxed), self.all);
        format!("{} {done} of {all} {}, {rate:.2} a second{left}, {}", timestamp(), self.what, size(memory_bytes()))
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        let (rate, left) = self.rate();
        let state = json!({
            "v": 1, "at": timestamp(), "process": std::process::id(), "done": self.done.load(Ordering::Relaxed), "all": self.all,
            "per_second": rate, "seconds_left": left, "memory_bytes": memory_bytes(),
        });
        // It is there to be looked at; work goes on without it.
        let _ = write_json(file, &state);
    }
}

/// Seconds as people say them.
fn lasting(seconds: f64) -> String {
    match seconds {
        short if short < 90.0 => format!("{short:.0} s"),
        some if some < 5400.0 => format!("{:.0} min", some / 60.0),
        long => format!("{:.1} h", long / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_how_far_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("progress.json");
        let progress = Progress::new("answers", 10, 40, Some(file.clone()));
        progress.inc(5);
        progress.finish();
        let state: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!((&state["done"], &state["all"]), (&15.into(), &40.into()));
        assert!(state["per_second"].as_f64().unwrap() > 0.0 && state["memory_bytes"].as_u64().unwrap() > 0);
        assert!(progress.line().contains(" 15 of 40 answers, "), "{}", progress.line());
        assert_eq!([30.0, 600.0, 7200.0].map(lasting), ["30 s", "10 min", "2.0 h"]);
    }
}
