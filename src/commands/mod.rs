//! One file a command.

mod compare;
mod data;
mod doctor;
mod eval;
#[cfg(all(feature = "train", feature = "infer"))]
mod export;
#[cfg(not(all(feature = "train", feature = "infer")))]
#[path = "export_disabled.rs"]
mod export;
mod folder;
mod gal;
mod gather;
mod import;
mod leaks;
mod locked;
mod predict;
mod prompt;
mod report;
mod score;
mod split;
mod threshold;
#[cfg(feature = "train")]
mod train;
#[cfg(not(feature = "train"))]
#[path = "train_disabled.rs"]
mod train;

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::config::{PredictSettings, SettingsFile};
use crate::error::{Kind, environment};
use crate::stop::Stop;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 0: all done.
    Done,
    /// 1: a threshold asked for was missed.
    Missed,
    /// 2: input or command line wrong.
    BadInput,
    /// 3: some items failed, the rest are written.
    SomeFailed,
    /// 4: a threshold can't be decided by this data.
    Undecided,
    /// 5: disk, memory or engine.
    EnvironmentFailed,
    /// 130: the user stopped it.
    Interrupted,
}

impl Code {
    /// The exit code of a command that ended with an error.
    pub fn of(error: &anyhow::Error) -> Code {
        match Kind::of(error) {
            Kind::Input => Code::BadInput,
            Kind::Environment => Code::EnvironmentFailed,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(match code {
            Code::Done => 0,
            Code::Missed => 1,
            Code::BadInput => 2,
            Code::SomeFailed => 3,
            Code::Undecided => 4,
            Code::EnvironmentFailed => 5,
            Code::Interrupted => 130,
        })
    }
}

/// With what the model's tokens cost, where the file says it.
fn priced(file: &SettingsFile, mut settings: PredictSettings) -> Result<PredictSettings> {
    settings.hosted.price = file.price(&settings.model)?;
    Ok(settings)
}

/// Runs what was typed.
///
/// # Errors
/// Ready to be shown: they name the file and value and end in a hint.
pub fn run(cli: Cli) -> Result<Code> {
    let stop = Stop::on_interrupt()?;
    let file = SettingsFile::read(cli.config.as_deref())?;
    match cli.command {
        Command::Import(args) => import::run(args, &file, &stop),
        Command::Split(args) => split::run(file.add("split", args.settings)?.resolve(args.data)?, &stop),
        Command::Eval(overrides) => {
            let (predict, scoring) = file.add("eval", overrides)?.resolve()?;
            eval::run(priced(&file, predict)?, &scoring, &stop)
        }
        Command::Predict(overrides) => predict::run(priced(&file, file.add("predict", overrides)?.resolve()?)?, &stop),
        Command::Gather(args) => gather::run(&args),
        Command::Score(overrides) => score::run(file.add("score", overrides)?.resolve()?),
        Command::Compare(args) => compare::run(args, &file),
        Command::Report(args) => report::run(args, &file),
        Command::Train(flags) => train::run(flags, &file, &stop),
        Command::Export(args) => {
            let settings = file.add("export", args.settings)?;
            export::run(settings.resolve(args.directory, args.adapter)?, &stop)
        }
        Command::Doctor(args) => doctor::run(args, &file),
        Command::Gal(command) => gal::run(command, &file, &stop),
        Command::Data(command) => data::run(command, &file, &stop),
        Command::Prompt(command) => prompt::run(command, &file),
        Command::Completions { shell } => {
            // A pipe that is closed early is no reason to fail.
            let mut script = vec![];
            clap_complete::generate(shell, &mut Cli::command(), "reels", &mut script);
            outln!("{}", String::from_utf8_lossy(&script).trim_end());
            Ok(Code::Done)
        }
        Command::Man { folder } => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
                .map_err(|error| environment(format!("cannot write to {}: {error}", folder.display())))?;
            errln!("written  {}", folder.display());
            Ok(Code::Done)
        }
    }
}
