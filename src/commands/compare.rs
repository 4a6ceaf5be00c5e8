//! `reels compare`: which of several results is better, and what a test set can show.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Code, folder};
use crate::cli::CompareArgs;
use crate::config::SettingsFile;
use crate::lines::Lines;
use crate::prompt::PromptSet;
use crate::publish::{write_bytes, write_json};
use crate::report::{self, Difference};
use crate::run::EnvironmentFailure;
use crate::score::Table;
use crate::score::compare::{Run, compare};
use crate::score::significance::{smallest_accuracy_difference, smallest_difference};

pub(super) fn run(args: CompareArgs, file: &SettingsFile) -> Result<Code> {
    if args.plan {
        return plan(&args);
    }
    let settings = file.add("compare", args.settings)?.resolve()?;
    let (runs, differing) = read_runs(&args.directories)?;
    let comparison = compare(&runs, &settings.score)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        println!("{}", report::comparison(&comparison, &differing));
    }
    if let Some(directory) = settings.output {
        std::fs::create_dir_all(&directory)
            .map_err(|error| EnvironmentFailure(format!("cannot make {}: {error}", directory.display())))?;
        let page = report::comparison_html(&comparison, &differing)?;
        write_bytes(&directory.join("comparison.html"), page.as_bytes())?;
        let text = report::comparison_markdown(&comparison, &differing);
        write_bytes(&directory.join("comparison.md"), text.as_bytes())?;
        write_bytes(&directory.join("comparison.tex"), report::comparison_latex(&comparison).as_bytes())?;
        write_json(&directory.join("comparison.json"), &comparison)?;
        eprintln!("report: {}", directory.join("comparison.html").display());
    }
    Ok(Code::Done)
}

/// The runs of result directories, and what besides their answers is not the same.
pub(super) fn read_runs(directories: &[PathBuf]) -> Result<(Vec<Run>, Vec<Difference>)> {
    let mut runs = Vec::new();
    let mut manifests = Vec::new();
    for (directory, name) in directories.iter().zip(names(directories)?) {
        let rows = directory.join("rows.jsonl");
        ensure!(
            rows.is_file(),
            "{} is not a result directory: it has no rows.jsonl\nhint: `reels eval` and `reels score` write one",
            directory.display()
        );
        let tasks = PromptSet::find(Some(&directory.join("prompts")))?.tasks;
        runs.push(Run { name, table: Table::read(&Lines::open(&rows, "rows")?, &tasks)? });
        manifests.push(folder::manifest(directory)?.unwrap_or(Value::Null));
    }
    Ok((runs, differences(&manifests)))
}

/// The last part of each path; whole paths where two are alike.
fn names(directories: &[PathBuf]) -> Result<Vec<String>> {
    let short = |path: &PathBuf| -> Result<String> {
        let path = path.canonicalize().with_context(|| {
            format!("{} does not exist\nhint: name result directories of `reels eval` or `reels score`", path.display())
        })?;
        Ok(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned())
    };
    let names: Vec<String> = directories.iter().map(short).collect::<Result<_>>()?;
    if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
        return Ok(names);
    }
    Ok(directories.iter().map(|path| path.display().to_string()).collect())
}

/// What besides the answers is not the same in all runs.
fn differences(manifests: &[Value]) -> Vec<Difference> {
    let of = |what: &'static str, pointer: &str, shown: usize| {
        let value = |manifest: &Value| match manifest.pointer(pointer) {
            None => "unknown".to_owned(),
            Some(value) => value.as_str().map_or(value.to_string(), str::to_owned),
        };
        let values: Vec<String> = manifests.iter().map(value).collect();
        let differ = values.iter().any(|value| *value != values[0]);
        let values = values.iter().map(|value| value.chars().take(shown).collect()).collect();
        differ.then_some(Difference { what, values })
    };
    [
        of("model", "/model/name", 60),
        of("adapter", "/adapter/name", 60),
        of("prompts", "/inputs/prompts_sha256", 8),
        of("data", "/data/sha256", 8),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a test set of a size can show, before any token is spent.
fn plan(args: &CompareArgs) -> Result<Code> {
    let rows = args.rows.context("--plan needs --rows\nhint: for example --plan --rows 655 --discordance 0.1")?;
    ensure!(rows > 0, "--rows 0 shows nothing");
    let points = |difference: f64| format!("{:.1} points", 100.0 * difference);
    println!("{rows} rows show, at 5 % error and 80 % power, with the rows independent of each other:");
    let discordances = args.discordance.map_or(vec![0.05, 0.1, 0.2, 0.3], |discordance| vec![discordance]);
    for discordance in discordances {
        ensure!(
            discordance > 0.0 && discordance <= 1.0,
            "--discordance {discordance} is not above 0 and at most 1\nhint: it is the share of rows that one run alone gets right"
        );
        let least = smallest_accuracy_difference(rows, discordance);
        println!(
            "  accuracy: {} where the runs disagree in correctness on {:.0} % of rows",
            points(least),
            100.0 * discordance
        );
    }
    let spreads = args.sd.map_or(vec![0.05, 0.1, 0.15], |sd| vec![sd]);
    for sd in spreads {
        ensure!(sd > 0.0 && sd <= 1.0, "--sd {sd} is not above 0 and at most 1");
        let least = smallest_difference(sd / (rows as f64).sqrt());
        println!("  ROUGE: {} where the differences of rows have a standard deviation of {sd}", points(least));
    }
    println!(
        "Rows of the same account are alike: with accounts of m rows and a correlation r within them, count\nrows / (1 + (m − 1) r) instead."
    );
    Ok(Code::Done)
}
