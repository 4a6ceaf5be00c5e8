//! `reels doctor`: will this work here, and why not.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};

use super::Code;
use crate::cli::DoctorArgs;
use crate::config::SettingsFile;
use crate::doctor::{Finding, Severity, directory, machine, model};
use crate::error::Hint;

pub(super) fn run(args: DoctorArgs, file: &SettingsFile) -> Result<Code> {
    let settings = file.add("doctor", args.settings)?;
    let mut found = Vec::new();
    if let Some(path) = &args.path {
        ensure!(
            path.exists(),
            anyhow!("{} does not exist", path.display())
                .hint("name a .gguf file, a training run or a model directory; without one, the machine is looked at")
        );
        found = if path.is_dir() { directory(path) } else { model(path, settings.adapter.as_deref()) };
    }
    let wrong = found.iter().any(|finding| finding.severity == Severity::Error);
    found.extend(machine(Path::new(".")));
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        found.iter().for_each(print);
    }
    let worst = found.iter().map(|finding| finding.severity).max();
    Ok(match worst {
        Some(Severity::Error) if wrong => Code::BadInput,
        Some(Severity::Error) => Code::EnvironmentFailed,
        _ => Code::Done,
    })
}

fn print(finding: &Finding) {
    let Finding { severity, about, what, why, hint } = finding;
    let word = match severity {
        Severity::Ok => "ok",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    outln!("{word:<8} {about:<10} {what}");
    for (word, text) in [("why", why), ("hint", hint)] {
        if let Some(text) = text {
            outln!("{:19} {word}: {text}", "");
        }
    }
}
