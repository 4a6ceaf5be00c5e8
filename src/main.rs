//! `reels`: parse, run, print the error and its hint.

use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::process::ExitCode;
use std::sync::Once;

use clap::Parser;
use reels::cli::{self, Cli, LogFormat};
use reels::commands::{self, Code};
use reels::error::Shown;
use reels::terminal;

fn main() -> ExitCode {
    set_hook(Box::new(tell_panic));
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
    let Ok(ended) = ended else { return Code::EnvironmentFailed.into() };
    match ended.and_then(|code| terminal::check().map(|()| code)) {
        Ok(code) => code.into(),
        Err(error) => {
            terminal::err(format_args!("error: {}", Shown::of(&error)));
            Code::of(&error).into()
        }
    }
}

/// Says that the fault is ours, and leaves what is needed to mend it in a file. Of several threads the first one is told.
fn tell_panic(panic: &PanicHookInfo) {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        let arguments: Vec<String> = std::env::args().collect();
        let (version, trace) = (cli::version(), Backtrace::force_capture());
        let report = format!("reels {version}\n{}\n\n{panic}\n\n{trace}\n", arguments.join(" "));
        let path = std::env::temp_dir().join(format!("reels-panic-{}.txt", std::process::id()));
        let kept = std::fs::write(&path, report).is_ok();
        let said = panic.payload_as_str().unwrap_or("it doesn’t say why");
        let place = panic.location().map_or(String::new(), |place| format!(" ({}:{})", place.file(), place.line()));
        terminal::err(format_args!("error: this is a fault of reels: {said}{place}"));
        let report = if kept { format!("{} says more; ", path.display()) } else { String::new() };
        terminal::err(format_args!("hint: {report}what was computed is kept, and the same command goes on from there"));
    });
}
