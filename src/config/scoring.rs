//! Settings of `reels eval`, `reels score`, `reels compare` and `reels report`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::DEFAULT_SEED;
use super::predict::{PredictOverrides, PredictSettings};
use crate::error::Hint;

const DEFAULT_BOOTSTRAP: usize = 10_000;

/// Overrides for the settings of `reels eval`.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct EvalOverrides {
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub predict: PredictOverrides,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub scoring: ScoringOverrides,
}

/// Overrides for [`ScoringSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoringOverrides {
    /// Resamples behind each interval [default: 10000]
    #[arg(long, env = "REELS_BOOTSTRAP", value_name = "N", help_heading = "Statistics")]
    pub bootstrap: Option<usize>,
    /// How intervals are made [default: by the kind of metric, as the signature says]
    #[arg(long, env = "REELS_INTERVAL", value_name = "METHOD", help_heading = "Statistics")]
    pub interval: Option<IntervalMethod>,
    /// Take Rp1.500.000 and 1,5 juta for the same word in the metrics with _id
    #[arg(long, env = "REELS_AMOUNTS", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Statistics")]
    pub amounts: Option<bool>,
    /// Add ROUGE over Indonesian stems, as metrics with _id_stem
    #[arg(long, env = "REELS_STEM", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Statistics")]
    pub stem: Option<bool>,
    /// Result directory on other (dev) data: the threshold that is best there decides each yes/no task here
    #[arg(long, env = "REELS_THRESHOLD_FROM", value_name = "DIR", help_heading = "Statistics")]
    pub threshold_from: Option<PathBuf>,
    /// Least value of a metric, by the 95 % interval: exit 1 if it is below, 4 if the data can't tell; several with commas
    #[arg(
        long,
        env = "REELS_FAIL_UNDER",
        value_name = "TASK.METRIC=VALUE",
        value_delimiter = ',',
        help_heading = "Statistics"
    )]
    pub fail_under: Option<Vec<String>>,
}

/// Overrides for the settings of `reels score`.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoreOverrides {
    /// Answers to score: of `reels predict`, or from elsewhere: id, task and output, as JSON lines or as CSV
    #[arg(long, env = "REELS_PREDICTIONS", value_name = "F")]
    pub predictions: Option<PathBuf>,
    /// Records with the reference answers [default: the bundled sample]
    #[arg(long, env = "REELS_DATA", value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Folder with tasks.toml [default: those beside the predictions, ./prompts, the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Result directory
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Refuse data in which anything had to be mended, isn't read or can't be used, before anything else is done
    #[arg(long, env = "REELS_STRICT", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub strict: Option<bool>,
    /// Leave out what was asked for and isn't answered; else it counts as wrong
    #[arg(long, env = "REELS_ANSWERED_ONLY", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub answered_only: Option<bool>,
    /// Seed of the resampling [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub scoring: ScoringOverrides,
}

/// Overrides for [`CompareSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct CompareOverrides {
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub resampling: ResamplingOverrides,
    /// Write comparison.html, .md, .tex and .json into this directory too
    #[arg(short, long, value_name = "DIR", conflicts_with = "plan")]
    pub output: Option<PathBuf>,
}

/// Overrides for [`ReportSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportOverrides {
    /// Results on the same data to stand beside it, the first one the baseline; or other runs
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub against: Option<Vec<PathBuf>>,
    /// What to write; several with commas [default: all]
    #[arg(long, value_delimiter = ',')]
    pub format: Option<Vec<ReportFormat>>,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub resampling: ResamplingOverrides,
}

/// Overrides for what a comparison is made with.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct ResamplingOverrides {
    /// Resamples behind each interval, and exchanges behind each test [default: 10000]
    #[arg(long, env = "REELS_BOOTSTRAP", value_name = "N")]
    pub bootstrap: Option<usize>,
    /// Seed of the resampling [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// How intervals are made [default: by the kind of metric, as the signature says]
    #[arg(long, env = "REELS_INTERVAL", value_name = "METHOD")]
    pub interval: Option<IntervalMethod>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    /// One page that works offline: report.html
    Html,
    /// Markdown: report.md
    Md,
    /// LaTeX tables with booktabs, and the methods paragraph: report.tex
    Tex,
    /// The numbers, unrounded: report.csv
    Csv,
    /// A model card with metadata: model-card.md
    Card,
}

impl ReportFormat {
    /// Every one.
    pub const ALL: [ReportFormat; 5] =
        [ReportFormat::Html, ReportFormat::Md, ReportFormat::Tex, ReportFormat::Csv, ReportFormat::Card];
}

/// How scores are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreSettings {
    /// Resamples behind each interval.
    pub bootstrap: usize,
    /// Seed of the resampling.
    pub seed: u64,
    /// How intervals are made; `None` is by the kind of metric.
    pub interval: Option<IntervalMethod>,
}

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Bias-corrected and accelerated bootstrap
    Bca,
    /// Quantiles of the resamples
    Percentile,
    /// Symmetric studentised bootstrap
    BootstrapT,
    /// One account (or Reel) left out at a time, Student's t
    Jackknife,
}

/// What counts as the same word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MetricSettings {
    /// In the metrics with `_id`, `Rp1.500.000` and `1,5 juta` are one word.
    pub amounts: bool,
    /// Metrics with `_id_stem`, over stems, are made too.
    pub stems: bool,
}

/// How answers are scored and judged.
#[derive(Debug, Clone)]
pub struct ScoringSettings {
    #[expect(missing_docs, reason = "the type says it")]
    pub score: ScoreSettings,
    #[expect(missing_docs, reason = "the type says it")]
    pub metrics: MetricSettings,
    /// Whether missing answers are left out.
    pub answered_only: bool,
    /// Result directory on dev data that thresholds are chosen on.
    pub threshold_from: Option<PathBuf>,
    /// What decides the exit code.
    pub fail_under: Vec<Threshold>,
}

/// The least value a metric may have.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Threshold {
    pub task: String,
    pub metric: String,
    pub least: f64,
}

impl std::str::FromStr for Threshold {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Threshold> {
        let parsed = text.split_once('=').and_then(|(name, least)| {
            let (task, metric) = name.trim().rsplit_once('.')?;
            let least = least.trim().parse().ok().filter(|least: &f64| least.is_finite())?;
            Some(Threshold { task: task.to_owned(), metric: metric.to_owned(), least })
        });
        parsed
            .with_context(|| format!("--fail-under {text:?} is not TASK.METRIC=VALUE"))
            .hint("for example category.macro_f1=0.8")
    }
}

/// Settings of `reels compare`.
#[derive(Debug, Clone)]
pub struct CompareSettings {
    #[expect(missing_docs, reason = "the type says it")]
    pub score: ScoreSettings,
    /// Directory to write pages into too.
    pub output: Option<PathBuf>,
}

/// Settings of `reels report`.
#[derive(Debug, Clone)]
pub struct ReportSettings {
    #[expect(missing_docs, reason = "the type says it")]
    pub score: ScoreSettings,
    /// Results beside it, the baseline first.
    pub against: Vec<PathBuf>,
    /// What is written.
    pub formats: Vec<ReportFormat>,
}

/// Settings of `reels score`.
#[derive(Debug, Clone)]
pub struct ScoreRun {
    /// What to score.
    pub predictions: PathBuf,
    /// Records with references; `None` is the bundled sample.
    pub data: Option<PathBuf>,
    /// Folder of prompts; `None` looks for them.
    pub prompts: Option<PathBuf>,
    /// Result directory.
    pub output: PathBuf,
    /// Refuse data that isn't as it ought to be.
    pub strict: bool,
    #[expect(missing_docs, reason = "the type says it")]
    pub scoring: ScoringSettings,
}

impl EvalOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<(PredictSettings, ScoringSettings)> {
        ensure!(
            self.predict.shard.is_none(),
            anyhow!("--shard is not for `reels eval`: a part has no scores of the whole")
                .hint("`reels predict --shard` answers it; `reels gather` puts the parts together, and `reels score` scores them")
        );
        ensure!(
            self.predict.output.as_deref() != Some(Path::new("-")),
            anyhow!("--output - has no room for a report")
                .hint("name a directory; `reels predict --output -` prints answers")
        );
        let scoring = self.scoring.resolve(self.predict.seed)?;
        Ok((self.predict.resolve()?, scoring))
    }
}

impl ScoringOverrides {
    fn resolve(self, seed: Option<u64>) -> Result<ScoringSettings> {
        Ok(ScoringSettings {
            score: score_settings(self.bootstrap, seed, self.interval)?,
            metrics: MetricSettings { amounts: self.amounts.unwrap_or(false), stems: self.stem.unwrap_or(false) },
            answered_only: false,
            threshold_from: self.threshold_from,
            fail_under: self.fail_under.unwrap_or_default().iter().map(|text| text.parse()).collect::<Result<_>>()?,
        })
    }
}

impl ScoreOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<ScoreRun> {
        Ok(ScoreRun {
            predictions: self
                .predictions
                .context("--predictions is missing")
                .hint("name the predictions.jsonl that `reels predict` wrote, or answers from elsewhere")?,
            data: self.data,
            prompts: self.prompts,
            output: self.output.context("--output is missing").hint("name a directory for scores and report")?,
            strict: self.strict.unwrap_or(false),
            scoring: ScoringSettings {
                answered_only: self.answered_only.unwrap_or(false),
                ..self.scoring.resolve(self.seed)?
            },
        })
    }
}

impl CompareOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<CompareSettings> {
        Ok(CompareSettings { score: self.resampling.resolve()?, output: self.output })
    }
}

impl ReportOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<ReportSettings> {
        Ok(ReportSettings {
            score: self.resampling.resolve()?,
            against: self.against.unwrap_or_default(),
            formats: self.format.filter(|formats| !formats.is_empty()).unwrap_or_else(|| ReportFormat::ALL.to_vec()),
        })
    }
}

impl ResamplingOverrides {
    fn resolve(self) -> Result<ScoreSettings> {
        score_settings(self.bootstrap, self.seed, self.interval)
    }
}

fn score_settings(
    bootstrap: Option<usize>,
    seed: Option<u64>,
    interval: Option<IntervalMethod>,
) -> Result<ScoreSettings> {
    let bootstrap = bootstrap.unwrap_or(DEFAULT_BOOTSTRAP);
    ensure!((100..=1_000_000).contains(&bootstrap), "--bootstrap {bootstrap} is not between 100 and 1000000");
    Ok(ScoreSettings { bootstrap, seed: seed.unwrap_or(DEFAULT_SEED), interval })
}
