//! `reels`: parse, run, print the error and its hint.

use std::process::ExitCode;

use clap::Parser;
use reels::cli::Cli;
use reels::commands;
use reels::error::Shown;
use reels::terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
            // llama.cpp's own messages would stand between ours; RUST_LOG brings them back.
            tracing_subscriber::EnvFilter::new("reels=warn,off")
        }))
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .log_internal_errors(false)
        .init();
    match commands::run(cli).and_then(|code| terminal::check().map(|()| code)) {
        Ok(code) => code.into(),
        Err(error) => {
            terminal::err(format_args!("error: {}", Shown::of(&error)));
            commands::Code::of(&error).into()
        }
    }
}
