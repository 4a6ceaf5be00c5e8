//! `reels compare`: which of several results is better, and what a test set can show.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Code, folder};
use crate::cli::CompareArgs;
use crate::config::with_file;
use crate::prompt::PromptSet;
use crate::report;
use crate::score::compare::{Run, compare};
use crate::score::significance::{smallest_accuracy_difference, smallest_difference};
use crate::scores::read_rows;

pub(super) fn run(args: CompareArgs, config: Option<&Path>) -> Result<Code> {
    if args.plan {
        return plan(&args);
    }
    let settings = with_file(args.settings, "compare", config)?.resolve()?;
    let names = names(&args.directories)?;
    let mut runs = Vec::new();
    let mut manifests = Vec::new();
    for (directory, name) in args.directories.iter().zip(names) {
        let rows_path = directory.join("rows.jsonl");
        ensure!(
            rows_path.is_file(),
            "{} is not a result directory: it has no rows.jsonl\nhint: `reels eval` and `reels score` write one",
            directory.display()
        );
        let prompts = PromptSet::find(Some(&directory.join("prompts")))?;
        runs.push(Run { name, rows: read_rows(&rows_path)?, tasks: prompts.tasks });
        manifests.push(folder::manifest(directory)?.unwrap_or(Value::Null));
    }
    let comparison = compare(&runs, &settings)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        println!("{}", report::comparison(&comparison, &differences(&manifests)));
    }
    Ok(Code::Done)
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

/// What besides the answers is not the same in all runs, a line each.
fn differences(manifests: &[Value]) -> Vec<String> {
    let of = |name: &str, pointer: &str, shown: usize| {
        let values: Vec<String> = manifests
            .iter()
            .map(|manifest| {
                manifest
                    .pointer(pointer)
                    .map_or("unknown".to_owned(), |value| value.as_str().map_or(value.to_string(), str::to_owned))
            })
            .collect();
        let differ = values.iter().any(|value| *value != values[0]);
        differ.then(|| {
            let shown: Vec<String> = values.iter().map(|value| value.chars().take(shown).collect()).collect();
            format!("{name}: {}", shown.join(" · "))
        })
    };
    [of("model", "/model/name", 60), of("prompts", "/inputs/prompts_sha256", 8), of("data", "/data/sha256", 8)]
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
