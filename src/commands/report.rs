//! `reels report`: pages and tables from the files of a result directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::compare::{compared_ratings, rated_runs, read_runs};
use super::{Code, folder};
use crate::ask::Manifest;
use crate::cli::ReportArgs;
use crate::config::{CompareOverrides, ReportFormat, ReportOverrides, ScoreSettings, SettingsFile};
use crate::error::Hint;
use crate::lines::Lines;
use crate::predict::predictions_path;
use crate::prediction::Shortened;
use crate::prompt::PromptSet;
use crate::publish::write_bytes;
use crate::report::{self, Report, Rows};
use crate::run::read_manifest;
use crate::score::compare::{Comparison, compare};
use crate::score::metric::{main_metric, main_of};
use crate::score::ratings;
use crate::scores::Scores;
use crate::task::{Task, TaskKind};

pub(super) fn run(args: ReportArgs, file: &SettingsFile) -> Result<Code> {
    let manifest = read_manifest(&args.directory)?.unwrap_or(Value::Null);
    if manifest["command"] == "train" {
        return training(&args.directory, args.settings, &manifest);
    }
    let mut flags = file.add("report", args.settings)?;
    // What [report] leaves open of a comparison is as [compare] has it.
    let comparison = CompareOverrides { resampling: flags.resampling, ..CompareOverrides::default() };
    flags.resampling = file.add("compare", comparison)?.resampling;
    let settings = flags.resolve()?;
    let result = ResultFiles::read(&args.directory, &settings.score)?;
    let ladder = if settings.against.is_empty() {
        None
    } else {
        let directories: Vec<PathBuf> = settings.against.iter().chain([&args.directory]).cloned().collect();
        let mut ladder = compare(&read_runs(&directories)?.0, &settings.score)?;
        ladder.ratings = compared_ratings(&directories, &settings.score)?;
        report::left_out(&ladder).inspect(|left_out| errln!("{left_out}"));
        Some(ladder)
    };
    for path in write(&args.directory, &result.report(ladder.as_ref()), &settings.formats)? {
        outln!("{}", path.display());
    }
    Ok(Code::Done)
}

/// The page of a training run. What the settings file says is about results.
fn training(directory: &Path, flags: ReportOverrides, manifest: &Value) -> Result<Code> {
    ensure!(
        flags.format.is_none_or(|formats| formats == [ReportFormat::Html]),
        anyhow!("the report of a training run is a page").hint("leave out --format")
    );
    let curves = |directory: &Path| {
        let path = directory.join("metrics.jsonl");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))
            .hint("a training run has one")?;
        report::Curves::read(directory.display().to_string(), &text)
    };
    let against = flags.against.unwrap_or_default();
    let directories = std::iter::once(directory).chain(against.iter().map(PathBuf::as_path));
    let runs = directories.map(curves).collect::<Result<Vec<_>>>()?;
    let path = directory.join("report.html");
    write_bytes(&path, report::training_html(&runs, manifest)?.as_bytes())?;
    outln!("{}", path.display());
    Ok(Code::Done)
}

/// The files of a result directory that a report is made of.
pub(super) struct ResultFiles {
    pub scores: Scores,
    pub rows: Rows,
    tasks: Vec<Task>,
    manifest: Manifest,
}

impl ResultFiles {
    pub fn read(directory: &Path, settings: &ScoreSettings) -> Result<ResultFiles> {
        let path = directory.join("scores.json");
        ensure!(
            path.is_file(),
            anyhow!("{} is not a result directory: it has no scores.json", directory.display())
                .hint("`reels eval` and `reels score` write one")
        );
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut scores: Scores = serde_json::from_str(&text)
            .with_context(|| format!("{} holds no scores", path.display()))
            .hint("run `reels score` again")?;
        let mut manifest = folder::manifest(directory)?.unwrap_or_default();
        let predictions = predictions_path(directory);
        if manifest.shortened.is_none() && predictions.exists() {
            manifest.shortened = Some(Shortened::read(&predictions)?);
        }
        add_ratings(&mut scores, directory, settings)?;
        let main = |task: &str| scores.tasks.get(task).map_or(main_metric(TaskKind::Text), main_of).key;
        let rows = Rows::read(Lines::open(&directory.join("rows.jsonl"), "rows")?, main)?;
        Ok(ResultFiles { scores, rows, tasks: PromptSet::find(Some(&directory.join("prompts")))?.tasks, manifest })
    }

    pub fn report<'a>(&'a self, ladder: Option<&'a Comparison>) -> Report<'a> {
        Report {
            title: self.manifest.model.as_ref().map_or_else(|| "predictions".to_owned(), |model| model.name.clone()),
            scores: &self.scores,
            rows: &self.rows,
            tasks: &self.tasks,
            manifest: &self.manifest,
            ladder,
        }
    }
}

/// What people say of the texts, where they were asked since the texts were scored.
pub(super) fn add_ratings(scores: &mut Scores, directory: &Path, settings: &ScoreSettings) -> Result<()> {
    for run in rated_runs(&[directory.to_owned()])? {
        for (task, rated) in ratings::score(&run, settings) {
            if let Some(scores) = scores.tasks.get_mut(&task) {
                scores.ratings = Some(rated);
            }
        }
    }
    Ok(())
}

/// Writes a report in some formats, and gives the paths of the files.
pub(super) fn write(directory: &Path, report: &Report, formats: &[ReportFormat]) -> Result<Vec<PathBuf>> {
    let write = |format: &ReportFormat| {
        let (name, text) = match format {
            ReportFormat::Html => ("report.html", report::html(report).context("the report can't be made")?),
            ReportFormat::Md => ("report.md", report::markdown(report)),
            ReportFormat::Tex => ("report.tex", report::latex(report)),
            ReportFormat::Csv => ("report.csv", report::csv(report.scores)),
            ReportFormat::Card => ("model-card.md", report::model_card(report)),
        };
        let path = directory.join(name);
        write_bytes(&path, text.as_bytes())?;
        Ok(path)
    };
    formats.iter().map(write).collect()
}
