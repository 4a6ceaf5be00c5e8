//! Settings: what the user may override, and what it resolves to.
//!
//! Flags and `REELS_*` variables arrive as overrides (parsed by clap), the settings file adds what they leave out,
//! defaults fill the rest. Below `commands/` only the resolved structs are seen.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The model that comes with the project.
pub const BUNDLED_MODEL: &str = "gguf/reels-mini.gguf";

/// Overrides for [`PredictSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictOverrides {
    /// Model to answer with: a GGUF file, or baseline:lead-1, lead-3, oracle, majority, tfidf
    #[arg(long, env = "REELS_MODEL", value_name = "F.gguf|baseline:NAME", help_heading = "Model")]
    pub model: Option<String>,
    /// LoRA adapter for the model
    #[arg(long, env = "REELS_ADAPTER", value_name = "F.gguf", help_heading = "Model")]
    pub adapter: Option<PathBuf>,
    /// Records a baseline learns from
    #[arg(long, env = "REELS_TRAIN", value_name = "F.jsonl", help_heading = "Model")]
    pub train: Option<PathBuf>,
    /// Records to answer, one JSON object a line [default: the bundled sample]
    #[arg(long, env = "REELS_DATA", value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Folder with tasks.toml and templates [default: ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Result directory; an interrupted run in it is continued
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Only this task; may be given several times [default: all]
    #[arg(long, env = "REELS_TASK", value_name = "NAME", value_delimiter = ',')]
    pub task: Option<Vec<String>>,
    /// Only the first N records
    #[arg(long, env = "REELS_LIMIT", value_name = "N")]
    pub limit: Option<usize>,
    /// Score the task's labels, or generate text and match it [default: score]
    #[arg(long, env = "REELS_LABEL_MODE", help_heading = "Answers")]
    pub label_mode: Option<LabelMode>,
    /// Prompt budget in tokens; a longer transcript loses its middle [default: 3072, or what the model's context allows]
    #[arg(long, env = "REELS_MAX_PROMPT_TOKENS", value_name = "N", help_heading = "Answers")]
    pub max_prompt_tokens: Option<usize>,
    /// Sampling temperature of generated text; 0 takes the likeliest token [default: 0]
    #[arg(long, env = "REELS_TEMPERATURE", value_name = "T", help_heading = "Answers")]
    pub temperature: Option<f32>,
    /// Sample from the smallest set of tokens with this probability [default: 0.9]
    #[arg(long, env = "REELS_TOP_P", value_name = "P", help_heading = "Answers")]
    pub top_p: Option<f32>,
    /// Seed of everything random: sampling, resampling [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N", help_heading = "Answers")]
    pub seed: Option<u64>,
    /// Answer every prompt alone, so that results don't depend on batching; slower
    #[arg(long, env = "REELS_REPRODUCIBLE", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Answers")]
    pub reproducible: Option<bool>,
    /// Reels answered at once [default: 16, or what memory allows]
    #[arg(long, env = "REELS_WIDTH", value_name = "N", help_heading = "Engine")]
    pub width: Option<usize>,
    /// Tokens computed at once [default: 512]
    #[arg(long, env = "REELS_UBATCH", value_name = "N", help_heading = "Engine")]
    pub ubatch: Option<usize>,
    /// Number format of the cache of keys and values [default: f16]
    #[arg(long, env = "REELS_KV_TYPE", help_heading = "Engine")]
    pub kv_type: Option<KvType>,
    /// Threads [default: the cores that affinity and control group allow]
    #[arg(long, env = "REELS_THREADS", value_name = "N", help_heading = "Engine")]
    pub threads: Option<usize>,
}

/// Overrides for [`EvalSettings`].
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
    /// Predictions to score, from `reels predict`
    #[arg(long, env = "REELS_PREDICTIONS", value_name = "F.jsonl")]
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
    /// Seed of the resampling [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub scoring: ScoringOverrides,
}

/// Overrides for the settings of `reels compare`.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct CompareOverrides {
    /// Resamples behind each interval, and exchanges behind each test [default: 10000]
    #[arg(long, env = "REELS_BOOTSTRAP", value_name = "N")]
    pub bootstrap: Option<usize>,
    /// Seed of the resampling [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N")]
    pub seed: Option<u64>,
}

/// How a label task is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelMode {
    /// The label with the highest probability
    Score,
    /// Text that is matched to a label
    Generate,
}

/// Number format of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum KvType {
    F32,
    F16,
    #[value(name = "q8_0")]
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// A model file.
    Gguf(PathBuf),
    /// A baseline, by the name behind `baseline:`.
    Baseline(String),
}

/// Settings of `reels predict`.
#[derive(Debug, Clone)]
pub struct PredictSettings {
    /// What answers.
    pub model: ModelName,
    /// LoRA adapter for it.
    pub adapter: Option<PathBuf>,
    /// Records a baseline learns from.
    pub train: Option<PathBuf>,
    /// Records to answer; `None` is the bundled sample.
    pub data: Option<PathBuf>,
    /// Folder of prompts; `None` looks for them.
    pub prompts: Option<PathBuf>,
    /// Result directory; `None` chooses one.
    pub output: Option<PathBuf>,
    /// Only these tasks; empty is all.
    pub tasks: Vec<String>,
    /// Only the first so many records.
    pub limit: Option<usize>,
    /// How label tasks are answered.
    pub label_mode: LabelMode,
    /// Prompt budget; `None` is as much as fits, up to [`PredictSettings::DEFAULT_MAX_PROMPT_TOKENS`].
    pub max_prompt_tokens: Option<usize>,
    /// How the engine runs.
    pub engine: EngineSettings,
}

impl PredictSettings {
    /// A minute and a half of speech takes about a fifth of this.
    pub const DEFAULT_MAX_PROMPT_TOKENS: usize = 3072;
}

/// How an engine runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// Reels at once; `None` chooses.
    pub width: Option<usize>,
    /// Tokens computed at once.
    pub ubatch: usize,
    /// Number format of the cache.
    pub kv_type: KvType,
    /// For prefill and decoding both.
    pub threads: usize,
    /// How text is generated.
    pub sampling: Sampling,
    /// Every prompt alone.
    pub reproducible: bool,
}

/// How text is generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// In (0, 1].
    pub top_p: f32,
    /// Of the draws.
    pub seed: u64,
}

/// How scores are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreSettings {
    /// Resamples behind each interval.
    pub bootstrap: usize,
    /// Of the resampling.
    pub seed: u64,
}

/// What counts as the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
        parsed.with_context(|| {
            format!("--fail-under {text:?} is not TASK.METRIC=VALUE\nhint: for example category.macro_f1=0.8")
        })
    }
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
    #[expect(missing_docs, reason = "the type says it")]
    pub scoring: ScoringSettings,
}

const DEFAULT_SEED: u64 = 42;
const DEFAULT_BOOTSTRAP: usize = 10_000;

impl PredictOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<PredictSettings> {
        let temperature = self.temperature.unwrap_or(0.0);
        let top_p = self.top_p.unwrap_or(0.9);
        ensure!((0.0..=10.0).contains(&temperature), "--temperature {temperature} is not between 0 and 10");
        ensure!(top_p > 0.0 && top_p <= 1.0, "--top-p {top_p} is not above 0 and at most 1");
        for (flag, value, most) in [
            ("width", self.width, 255),
            ("ubatch", self.ubatch, 8192),
            ("threads", self.threads, 1024),
            ("limit", self.limit, usize::MAX),
            ("max-prompt-tokens", self.max_prompt_tokens, 1 << 20),
        ] {
            ensure!(
                value.is_none_or(|value| (1..=most).contains(&value)),
                "--{flag} {} is not between 1 and {most}",
                value.unwrap_or(0)
            );
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(PredictSettings {
            model: model_name(self.model.as_deref().unwrap_or(BUNDLED_MODEL))?,
            adapter: self.adapter,
            train: self.train,
            data: self.data,
            prompts: self.prompts,
            output: self.output,
            tasks: self.task.unwrap_or_default(),
            limit: self.limit,
            label_mode: self.label_mode.unwrap_or(LabelMode::Score),
            max_prompt_tokens: self.max_prompt_tokens,
            engine: EngineSettings {
                width: self.width,
                ubatch: self.ubatch.unwrap_or(512),
                kv_type: self.kv_type.unwrap_or(KvType::F16),
                threads: self.threads.unwrap_or(cores),
                sampling: Sampling { temperature, top_p, seed: self.seed.unwrap_or(DEFAULT_SEED) },
                reproducible: self.reproducible.unwrap_or(false),
            },
        })
    }
}

impl EvalOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<(PredictSettings, ScoringSettings)> {
        let scoring = self.scoring.resolve(self.predict.seed)?;
        Ok((self.predict.resolve()?, scoring))
    }
}

impl ScoringOverrides {
    fn resolve(self, seed: Option<u64>) -> Result<ScoringSettings> {
        Ok(ScoringSettings {
            score: score_settings(self.bootstrap, seed)?,
            metrics: MetricSettings { amounts: self.amounts.unwrap_or(false), stems: self.stem.unwrap_or(false) },
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
                .context("--predictions is missing\nhint: name the predictions.jsonl that `reels predict` wrote")?,
            data: self.data,
            prompts: self.prompts,
            output: self.output.context("--output is missing\nhint: name a directory for scores and report")?,
            scoring: self.scoring.resolve(self.seed)?,
        })
    }
}

impl CompareOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self) -> Result<ScoreSettings> {
        score_settings(self.bootstrap, self.seed)
    }
}

fn score_settings(bootstrap: Option<usize>, seed: Option<u64>) -> Result<ScoreSettings> {
    let bootstrap = bootstrap.unwrap_or(DEFAULT_BOOTSTRAP);
    ensure!((100..=1_000_000).contains(&bootstrap), "--bootstrap {bootstrap} is not between 100 and 1000000");
    Ok(ScoreSettings { bootstrap, seed: seed.unwrap_or(DEFAULT_SEED) })
}

fn model_name(name: &str) -> Result<ModelName> {
    if let Some(baseline) = name.strip_prefix("baseline:") {
        return Ok(ModelName::Baseline(baseline.to_owned()));
    }
    if name.starts_with("http://") || name.starts_with("https://") {
        bail!("--model {name}: this build can't ask an endpoint yet\nhint: name a .gguf file");
    }
    Ok(ModelName::Gguf(PathBuf::from(name)))
}

/// Adds a section of the settings file to what flags and variables gave, which win.
///
/// `file` is the one named with `--config`; without one, `reels.toml` is read where it is there.
///
/// # Errors
/// Names the file and the key of what is unknown or of the wrong type.
pub fn with_file<T>(overrides: T, section: &str, file: Option<&Path>) -> Result<T>
where
    T: Default + Serialize + DeserializeOwned,
{
    let path = match file {
        Some(path) => path,
        None if Path::new("reels.toml").is_file() => Path::new("reels.toml"),
        None => return Ok(overrides),
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read settings {}", path.display()))?;
    let mut tables: toml::Table =
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let Some(section_value) = tables.remove(section) else { return Ok(overrides) };
    let given = serde_json::to_value(section_value)?;
    let known = serde_json::to_value(T::default())?;
    let (serde_json::Value::Object(mut merged), serde_json::Value::Object(flags)) =
        (given, serde_json::to_value(overrides)?)
    else {
        bail!("{}: [{section}] is not a table", path.display());
    };
    for key in merged.keys() {
        ensure!(
            known.get(key).is_some(),
            "{}: [{section}] {key} is not a setting\nhint: keys are the flags of `reels {section} --help` with _ for -",
            path.display()
        );
    }
    merged.extend(flags.into_iter().filter(|(_, value)| !value.is_null()));
    serde_json::from_value(merged.into()).with_context(|| format!("{}: [{section}]", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(text: &str, flags: EvalOverrides) -> Result<EvalOverrides> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        with_file(flags, "eval", Some(file.path()))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let mut flags = EvalOverrides::default();
        flags.predict.width = Some(2);
        let merged = merge("[eval]\nwidth = 4\nkv_type = \"q8_0\"\nbootstrap = 500\n[train]\nx = 1\n", flags).unwrap();
        assert_eq!(
            (merged.predict.width, merged.predict.kv_type, merged.scoring.bootstrap),
            (Some(2), Some(KvType::Q8_0), Some(500))
        );
    }

    #[test]
    fn an_unknown_key_is_named() {
        let message = format!("{:#}", merge("[eval]\nwidht = 4\n", EvalOverrides::default()).unwrap_err());
        assert!(message.contains("[eval] widht is not a setting"), "{message}");
    }

    #[test]
    fn ranges_are_checked() {
        let overrides =
            PredictOverrides { model: Some("baseline:lead-1".into()), width: Some(0), ..Default::default() };
        assert_eq!(overrides.resolve().unwrap_err().to_string(), "--width 0 is not between 1 and 255");
    }
}
