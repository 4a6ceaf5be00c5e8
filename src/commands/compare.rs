//! `reels compare`: which of several results is better, and what a test set can show.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::IndexMap;

use super::{Code, folder};
use crate::ask::{LEDGER, Manifest, variants_of};
use crate::cli::CompareArgs;
use crate::config::{ScoreSettings, SettingsFile};
use crate::data::review::RATINGS_FILE;
use crate::error::{Hint, environment};
use crate::lines::Lines;
use crate::prompt::PromptSet;
use crate::publish::{write_bytes, write_json};
use crate::report::{self, RunDifference};
use crate::score::Table;
use crate::score::compare::{Run, compare};
use crate::score::ratings::{self, Files, RatedRun, RatingComparison};
use crate::score::significance::{mcnemar_power, smallest_accuracy_difference, smallest_difference};

pub(super) fn run(args: CompareArgs, file: &SettingsFile) -> Result<Code> {
    if args.plan {
        return plan(&args);
    }
    let settings = file.add("compare", args.settings)?.resolve()?;
    let (runs, differing, judged) = read_runs(&args.directories)?;
    let mut comparison = compare(&runs, &settings.score)?;
    comparison.ratings = compared_ratings(&args.directories, &settings.score)?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        outln!("{}", report::comparison(&comparison, &differing));
    }
    if judged > runs.len() {
        errln!(
            "note: {judged} variants have been judged by this data ({LEDGER}), and {} runs are compared here: what was picked \
             among all of them looks better than it is",
            runs.len()
        );
    }
    if let Some(directory) = settings.output {
        std::fs::create_dir_all(&directory)
            .map_err(|error| environment(format!("cannot make {}: {error}", directory.display())))?;
        let page = report::comparison_html(&comparison, &differing)?;
        write_bytes(&directory.join("comparison.html"), page.as_bytes())?;
        let text = report::comparison_markdown(&comparison, &differing);
        write_bytes(&directory.join("comparison.md"), text.as_bytes())?;
        write_bytes(&directory.join("comparison.tex"), report::comparison_latex(&comparison).as_bytes())?;
        write_json(&directory.join("comparison.json"), &comparison)?;
        errln!("report: {}", directory.join("comparison.html").display());
    }
    Ok(Code::Done)
}

/// The runs of result directories, what besides their answers is not the same, and how many variants their data has judged.
pub(super) fn read_runs(directories: &[PathBuf]) -> Result<(Vec<Run>, Vec<RunDifference>, usize)> {
    let mut runs = Vec::new();
    let mut manifests = Vec::new();
    for (directory, name) in directories.iter().zip(names(directories)?) {
        let rows = directory.join("rows.jsonl");
        ensure!(
            rows.is_file(),
            anyhow!("{} is not a result directory: it has no rows.jsonl", directory.display())
                .hint("`reels eval` and `reels score` write one")
        );
        let tasks = PromptSet::find(Some(&directory.join("prompts")))?.tasks;
        runs.push(Run { name, table: Table::read(&Lines::open(&rows, "rows")?, &tasks)? });
        manifests.push(folder::manifest(directory)?.unwrap_or_default());
    }
    let data = manifests.iter().filter_map(|manifest| Some(manifest.data.as_ref()?.sha256.as_str()));
    let judged = variants_of(data);
    Ok((runs, differences(&manifests), judged))
}

/// By task, what people say of the texts of result directories.
pub(super) fn compared_ratings(
    directories: &[PathBuf],
    settings: &ScoreSettings,
) -> Result<IndexMap<String, RatingComparison>> {
    ratings::compare(&rated_runs(directories)?, settings)
}

/// What people say of the texts in result directories.
pub(super) fn rated_runs(directories: &[PathBuf]) -> Result<Vec<RatedRun>> {
    let opened = directories.iter().map(|directory| {
        let path = directory.join(RATINGS_FILE);
        let ratings = if path.exists() { Lines::open(&path, "ratings")? } else { Lines::none() };
        Ok((Lines::open(&directory.join("rows.jsonl"), "rows")?, ratings))
    });
    let opened: Vec<(Lines, Lines)> = opened.collect::<Result<_>>()?;
    let names = names(directories)?;
    let files = names.iter().zip(&opened).map(|(name, (rows, ratings))| Files { name, rows, ratings });
    ratings::read(&files.collect::<Vec<_>>())
}

/// Names for result directories: the last part of each path, or whole paths where two are alike.
fn names(directories: &[PathBuf]) -> Result<Vec<String>> {
    let short = |path: &PathBuf| -> Result<String> {
        let path = path
            .canonicalize()
            .with_context(|| format!("{} does not exist", path.display()))
            .hint("name result directories of `reels eval` or `reels score`")?;
        Ok(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned())
    };
    let names: Vec<String> = directories.iter().map(short).collect::<Result<_>>()?;
    if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
        return Ok(names);
    }
    Ok(directories.iter().map(|path| path.display().to_string()).collect())
}

/// What besides the answers is not the same in all runs.
fn differences(manifests: &[Manifest]) -> Vec<RunDifference> {
    let of = |what: &'static str, value: fn(&Manifest) -> Option<String>, shown: usize| {
        let values: Vec<String> = manifests
            .iter()
            .map(|manifest| {
                value(manifest).unwrap_or_else(|| if what == "adapter" { "none" } else { "unknown" }.into())
            })
            .collect();
        let differ = values.iter().any(|value| *value != values[0]);
        let values = values.iter().map(|value| value.chars().take(shown).collect()).collect();
        differ.then_some(RunDifference { what, values })
    };
    [
        of("model", |manifest| Some(manifest.model.as_ref()?.name.clone()), 60),
        of("adapter", |manifest| Some(manifest.adapter.as_ref()?.name.clone()), 60),
        of("prompts", |manifest| manifest.inputs.get("prompts_sha256")?.clone(), 8),
        of("data", |manifest| Some(manifest.data.as_ref()?.sha256.clone()), 8),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a test set of a size can show, before any token is spent.
fn plan(args: &CompareArgs) -> Result<Code> {
    let rows = args.rows.context("--plan needs --rows").hint("for example --plan --rows 655 --discordance 0.1")?;
    ensure!(rows > 0, "--rows 0 shows nothing");
    let points = |difference: f64| format!("{:.1} points", 100.0 * difference);
    outln!("{rows} rows show, at 5 % error and 80 % power, with the rows independent of each other:");
    let discordances = args.discordance.map_or(vec![0.05, 0.1, 0.2, 0.3], |discordance| vec![discordance]);
    for discordance in discordances {
        ensure!(
            discordance > 0.0 && discordance <= 1.0,
            anyhow!("--discordance {discordance} is not above 0 and at most 1")
                .hint("it is the share of rows that one run alone gets right")
        );
        let where_they_do = format!("where the runs disagree in correctness on {} % of rows", 100.0 * discordance);
        match smallest_accuracy_difference(rows as u64, discordance) {
            Some(least) => outln!("  accuracy: {} {where_they_do}", points(least)),
            None => outln!(
                "  accuracy: nothing for sure {where_they_do}: at most {} can differ, which is shown {:.0} times of 100",
                points(discordance),
                100.0 * mcnemar_power(rows as u64, discordance, discordance)
            ),
        }
    }
    let spreads = args.sd.map_or(vec![0.05, 0.1, 0.15], |sd| vec![sd]);
    for sd in spreads {
        ensure!(sd > 0.0 && sd <= 1.0, "--sd {sd} is not above 0 and at most 1");
        ensure!(rows > 1, anyhow!("--rows 1 shows nothing about ROUGE").hint("differences take two rows or more"));
        let least = smallest_difference(sd / (rows as f64).sqrt(), rows as f64 - 1.0);
        outln!("  ROUGE: {} where the differences of rows have a standard deviation of {sd}", points(least));
    }
    outln!(
        "Rows of the same account are alike: with accounts of m rows and a correlation r within them, count\nrows / (1 + (m − 1) r) instead."
    );
    Ok(Code::Done)
}
