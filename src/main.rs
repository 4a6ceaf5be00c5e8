//! `reels`: parse, run, print the error and its hint.

use std::backtrace::Backtrace;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use reels::cli::{self, Cli, LogFormat};
use reels::commands::{self, Code};
use reels::error::Shown;
use reels::terminal;

/// Turns that a thread waits in vain before it sleeps (benches/RESULTS.md).
const SPINS: &str = "1000";

fn main() -> ExitCode {
    set_hook(Box::new(note_panic));
    bound_spinning();
    let cli = Cli::parse();
    if cli.log == LogFormat::Json {
        terminal::write_json();
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
            // llama.cpp's own messages would stand between ours; RUST_LOG brings them back.
            tracing_subscriber::EnvFilter::new("reels=warn,off")
        }))
        .with_writer(std::io::stderr)
        .with_ansi(terminal::has_colours())
        .without_time()
        .with_target(false)
        .log_internal_errors(false)
        .init();
    let ended = catch_unwind(AssertUnwindSafe(|| commands::run(cli)));
    let Ok(ended) = ended else {
        tell_fault();
        return Code::EnvironmentFailed.into();
    };
    match ended.and_then(|code| terminal::check().map(|()| code)) {
        Ok(code) => code.into(),
        Err(error) => {
            terminal::err(format_args!("error: {}", Shown::of(&error)));
            Code::of(&error).into()
        }
    }
}

/// Threads of llama.cpp wait for each other after every operation, by libgomp's barriers, which spin for milliseconds: with other work on
/// the cores that is most of the time. How long they spin is read from the environment before `main`, so that the program begins once
/// more with it, unless somebody has chosen.
fn bound_spinning() {
    const VARIABLE: &str = "GOMP_SPINCOUNT";
    let is_chosen = |name: &&str| std::env::var_os(name).is_some();
    if !cfg!(feature = "infer") || [VARIABLE, "OMP_WAIT_POLICY"].iter().any(is_chosen) {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    // A loader that was named, an emulator, or a file that was replaced meanwhile.
    if program.file_name() != Path::new(&name).file_name() || !program.is_file() {
        return;
    }
    // It returns only where it can't: then threads spin.
    let _ = Command::new(program).arg0(name).args(arguments).env(VARIABLE, SPINS).exec();
}

/// What the last panic said. Some are caught, such as those of libraries that read broken files: these are no news.
static LAST: Mutex<String> = Mutex::new(String::new());

fn note_panic(panic: &PanicHookInfo) {
    let report = format!("{panic}\n\n{}", Backtrace::force_capture());
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = report;
}

/// Says that the fault is ours, and leaves what is needed to mend it in a file.
fn tell_fault() {
    let last = std::mem::take(&mut *LAST.lock().unwrap_or_else(PoisonError::into_inner));
    let arguments: Vec<String> = std::env::args_os().map(|part| part.to_string_lossy().into_owned()).collect();
    let report = format!("reels {}\n{}\n\n{last}\n", cli::version(), arguments.join(" "));
    let path = std::env::temp_dir().join(format!("reels-panic-{}.txt", std::process::id()));
    let kept = File::create_new(&path).and_then(|mut file| file.write_all(report.as_bytes())).is_ok();
    let said = last.lines().take(2).collect::<Vec<&str>>().join(" ");
    terminal::err(format_args!("error: this is a fault of reels: {said}"));
    let report = if kept { format!("{} says more; ", path.display()) } else { String::new() };
    terminal::err(format_args!("hint: {report}what was computed is kept, and the same command goes on from there"));
}
