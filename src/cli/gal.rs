//! What can be typed behind `reels gal`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ReviewFormat;
use crate::config::{DEFAULT_SEED, GalOverrides, PredictOverrides};

/// One line of help each.
#[derive(Debug, Subcommand)]
pub enum GalCommand {
    /// Have a few Reels written, and tell what all of them would take: tokens, time, cost, and how many pass
    #[command(
        after_help = "What is written for it is kept: `reels gal generate` with the same flags goes on from there.\n\n\
                      Example:\n  reels gal plan data/split/train.jsonl --model https://api.example.com/v1#name --output gal/a --accepted 80"
    )]
    Plan(PlanArgs),
    /// Have a model write Reels like the seeds, until enough of each label pass the filters
    #[command(
        after_help = "Seeds are training records, never what test.lock keeps for judging. Each prompt shows some of the label, of several accounts. \
                      Rows come out in candidates.jsonl; what passes and why not is for `reels gal filter` to say.\n\n\
                      Examples:\n  reels gal generate data/split/train.jsonl --model https://api.example.com/v1#name --output gal/a\n  \
                      reels gal generate data/split/train.jsonl --model gguf/a.gguf --task none --shots 0 --output gal/b"
    )]
    Generate(GenerateArgs),
    /// Have a teacher answer all tasks about the candidates: its labels, with how sure it is, are what is learned
    #[command(
        mut_arg("data", |arg| arg.hide(true).env(None::<&str>)),
        mut_arg("output", |arg| arg.hide(true).env(None::<&str>)),
        mut_arg("limit", |arg| arg.hide(true).env(None::<&str>)),
        mut_arg("shard", |arg| arg.hide(true).env(None::<&str>)),
        after_help = "Each prompt lists the labels in another order. Answers are predictions, in DIR/annotated; settings are those of `reels predict`.\n\n\
                      Examples:\n  reels gal annotate gal/a --model gguf/teacher.gguf\n  \
                      reels gal annotate gal/a --model https://api.example.com/v1#name --samples 3 --temperature 0.7 --max-cost 5"
    )]
    Annotate(GalAnnotateArgs),
    /// Keep the rows that are fit to learn from, and say of the others why they aren't
    #[command(
        after_help = "In this order: empty, truncated, too short or long, another language, what test.lock holds, copies of seeds, \
                      what only a seed says (handles, addresses, long numbers, 13 words in a row), duplicates, ROUGE-L above 0.7; then unlabelled, \
                      not sure, not agreed on, summaries that state what the Reel doesn’t, more of a label than wanted. Rejected rows stay.\n\n\
                      Example:\n  reels gal filter gal/a --confidence 0.7"
    )]
    Filter(GalFilterArgs),
    /// Ask people about kept and rejected rows, drawn at random, without saying which is which
    #[command(after_help = "Example:\n  reels gal review gal/a --sample 100 --output review.html\n  \
                            reels data agreement a.ani.json a.budi.json gal/a/rows.jsonl")]
    Review(GalReviewArgs),
    /// Write real records and kept rows into one file to train on
    #[command(
        after_help = "Example:\n  reels gal build gal/a --real data/split/train.jsonl --ratio 5 --output data/x5.jsonl"
    )]
    Build(GalBuildArgs),
    /// Train a student on real records alone, on controls and on mixes, several times each, and ask all about the same Reels
    #[command(
        after_help = "Each is a folder of predictions, in DIR/ablation: the most frequent label, a quarter, a half, three quarters and all of the \
                      real records, the real ones with the student’s own answers, and mixes; of a base that is trained also TF-IDF, and the real \
                      records with as many steps as the largest mix. A base is trained by the [train] settings of reels.toml.\n\n\
                      Examples:\n  reels gal ablate gal/a --real data/split/train.jsonl --test data/split/test.jsonl --ratios 1,5,20\n  \
                      reels gal ablate gal/a --real data/split/train.jsonl --test data/split/test.jsonl --student models/qwen2.5-0.5b"
    )]
    Ablate(GalAblateArgs),
    /// Say whether it helped, against which controls, and what an examiner asks
    #[command(
        after_help = "Writes report.html, report.md and report.json. What is missing for an answer is named.\n\n\
                      Examples:\n  reels gal report gal/a\n  reels gal report gal/a --annotations review.ani.json,review.budi.json"
    )]
    Report(GalReportArgs),
}

/// What `reels gal plan` takes.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub generate: GenerateArgs,
    /// Candidates to have written for it
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub preview: usize,
}

/// What `reels gal generate` takes.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Training records that examples are drawn from
    #[arg(value_name = "SEEDS.jsonl")]
    pub seeds: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: GalOverrides,
}

/// What `reels gal annotate` takes.
#[derive(Debug, Args)]
pub struct GalAnnotateArgs {
    /// Folder that `reels gal generate` wrote
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Records that examples were drawn from [default: where they were then]
    #[arg(long, value_name = "F.jsonl")]
    pub seeds: Option<PathBuf>,
    /// Frozen test set [default: test.lock beside the seeds or above]
    #[arg(long, env = "REELS_LOCK", value_name = "test.lock")]
    pub lock: Option<PathBuf>,
    /// Answers to each label task, each with the labels in another order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub samples: u32,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: PredictOverrides,
}

/// What `reels gal filter` takes.
#[derive(Debug, Args)]
pub struct GalFilterArgs {
    /// Folder with candidates and a teacher's answers about them
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Records that examples were drawn from [default: where they were then]
    #[arg(long, value_name = "F.jsonl")]
    pub seeds: Option<PathBuf>,
    /// Frozen test set [default: test.lock beside the seeds or above]
    #[arg(long, env = "REELS_LOCK", value_name = "test.lock")]
    pub lock: Option<PathBuf>,
    /// Least probability of the teacher's label
    #[arg(long, value_name = "P", default_value_t = 0.6)]
    pub confidence: f64,
    /// Least share of the teacher's answers that give it
    #[arg(long, value_name = "SHARE", default_value_t = 0.6)]
    pub agreement: f64,
    /// Rows of a label, at most, by the first label task
    #[arg(long, value_name = "N")]
    pub per_label: Option<usize>,
    /// Learn the label alone, and not how sure the teacher was
    #[arg(long)]
    pub hard: bool,
}

/// What `reels gal review` takes.
#[derive(Debug, Args)]
pub struct GalReviewArgs {
    /// Folder with filtered rows
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Rows to ask about, half of them kept
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub sample: usize,
    /// Seed of which rows are drawn
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// A page, a table for a spreadsheet, or tasks for Label Studio
    #[arg(long, value_name = "FORMAT", default_value = "html")]
    pub to: ReviewFormat,
    /// The form
    #[arg(short, long, value_name = "F")]
    pub output: PathBuf,
    /// Label tasks that are asked, several with commas [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub task: Vec<String>,
    /// Whom a table or tasks for Label Studio are for; the page asks
    #[arg(long, value_name = "NAME")]
    pub annotator: Option<String>,
}

/// What `reels gal build` takes.
#[derive(Debug, Args)]
pub struct GalBuildArgs {
    /// Folder with filtered rows
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Records of people, all of which are taken
    #[arg(long, value_name = "F.jsonl")]
    pub real: PathBuf,
    /// Generated rows for each real one
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub ratio: f64,
    /// Seed of which rows are taken; of a larger ratio these are taken too
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Frozen test set [default: test.lock beside the real records or above]
    #[arg(long, env = "REELS_LOCK", value_name = "test.lock")]
    pub lock: Option<PathBuf>,
    /// Records with soft labels, conversations as OpenAI’s fine-tuning takes them, or a table
    #[arg(long, value_name = "FORMAT", default_value = "records")]
    pub to: BuildFormat,
    /// The file to train on; its manifest and a data card go beside it
    #[arg(short, long, value_name = "F")]
    pub output: PathBuf,
}

/// What `reels gal ablate` takes.
#[derive(Debug, Args)]
pub struct GalAblateArgs {
    /// Folder with filtered rows
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Records of people that all learn from
    #[arg(long, value_name = "F.jsonl")]
    pub real: PathBuf,
    /// Records of people that all are judged by
    #[arg(long, value_name = "F.jsonl")]
    pub test: PathBuf,
    /// Who learns: baseline:tfidf (labels alone), or a Hugging Face directory with a base
    #[arg(long, value_name = "baseline:tfidf|DIR", default_value = "baseline:tfidf")]
    pub student: String,
    /// Generated rows for each real one, several with commas
    #[arg(long, value_name = "R,…", value_delimiter = ',', default_value = "1,5,20")]
    pub ratios: Vec<f64>,
    /// Times that each is done, with other rows drawn and another start of training
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seeds: usize,
    /// Frozen test set [default: test.lock beside the real records or above]
    #[arg(long, env = "REELS_LOCK", value_name = "test.lock")]
    pub lock: Option<PathBuf>,
    /// Folder for all that is made; an interrupted ablation in it is continued [default: DIR/ablation]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// What `reels gal report` takes.
#[derive(Debug, Args)]
pub struct GalReportArgs {
    /// Folder with filtered rows
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Folder that `reels gal ablate` wrote [default: DIR/ablation, if it is there]
    #[arg(long, value_name = "DIR")]
    pub ablation: Option<PathBuf>,
    /// People’s answers to the form of `reels gal review`, several with commas
    #[arg(long, value_name = "F,…", value_delimiter = ',')]
    pub annotations: Vec<PathBuf>,
    /// Records that examples were drawn from [default: where they were then]
    #[arg(long, value_name = "F.jsonl")]
    pub seeds: Option<PathBuf>,
    /// Frozen test set [default: test.lock beside the seeds or above]
    #[arg(long, env = "REELS_LOCK", value_name = "test.lock")]
    pub lock: Option<PathBuf>,
    /// Folder to write to [default: DIR]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// What a training set is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildFormat {
    /// A record a line, as `reels train` takes it
    Records,
    /// A conversation a line, for each task that has an answer: labels without how sure they are
    Messages,
    /// A column a field
    Parquet,
}
