//! What can be typed behind `reels data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::{DEFAULT_SEED, DataOverrides, HostedOverrides};

/// One line of help each.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Tell what there is in records: labels, accounts, lengths, months, what is unknown, what a model's prompts would cut
    #[command(
        after_help = "Example:\n  reels data stats data/reels.jsonl --model gguf/reels-mini.gguf --output data/stats"
    )]
    Stats(StatsArgs),
    /// Ask people for labels or ratings, by a page that needs no server, and take back what they answered
    #[command(
        after_help = "The page asks for a name, shows one Reel after the other without any answer of a model, each annotator in another\n\
                      order, and saves a file. With --from these come back: as reference where annotators agree, as soft where\n\
                      they don’t, each answer as it was in annotations; ratings as ratings.jsonl beside each run’s rows.\n\n\
                      Examples:\n  reels data review data/reels.jsonl --to html --output review.html\n  \
                      reels data review data/reels.jsonl --from ani.json budi.json --output data/labelled.jsonl\n  \
                      reels data review data/test.jsonl --runs out/a out/b --to html --output rate.html\n  \
                      reels data review data/test.jsonl --runs out/a out/b --from ani.json budi.json\n  \
                      reels data review data/reels.jsonl --from-model https://api.example.com/v1#name --output judge.json"
    )]
    Review(ReviewArgs),
    /// Tell how far annotators agree, with intervals, and on what they don’t
    #[command(
        after_help = "Takes what `reels data review` takes back, and records that are labelled: their annotations, or their reference as\n\
                      one annotator.\n\n\
                      Examples:\n  reels data agreement ani.json budi.json\n  \
                      reels data agreement ani.json budi.json --data data/reels.jsonl --adjudicate decide.html"
    )]
    Agreement(AgreementArgs),
    /// Tell what is left of personal data in records, results or texts
    #[command(after_help = "Exit code 1 where something is left, 2 where a file can't be looked into.\n\n\
                            Examples:\n  reels data audit data/reels.jsonl\n  reels data audit data eval/latest --json")]
    Audit(AuditArgs),
    /// Erase an account or a Reel from records, results and what was synthesised from them
    #[command(
        after_help = "Runs and models that learned from what is erased are named, not altered. Exit code 1 where nothing has\n\
                      an ID, 3 where a file names it that has to be looked at by hand.\n\n\
                      Examples:\n  reels data erase @rani_kue --in data eval --dry-run\n  reels data erase r_3f9a2c0b1d4e5f60 --in data eval"
    )]
    Erase(EraseArgs),
}

/// What `reels data stats` takes.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Records
    #[arg(value_name = "F.jsonl")]
    pub data: PathBuf,
    /// Folder with tasks.toml and templates [default: those in the --model file, else ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Count the tokens of prompts as this model reads them, and the transcripts that would be cut
    #[arg(long, env = "REELS_MODEL", value_name = "F.gguf")]
    pub model: Option<String>,
    /// Prompt budget in tokens, with --model
    #[arg(long, env = "REELS_MAX_PROMPT_TOKENS", value_name = "N", requires = "model")]
    pub max_prompt_tokens: Option<usize>,
    /// Write a page (data.html), a data card (data.md) and all figures (data.json) into this folder
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// What `reels data review` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("way").required(true).args(["to", "from", "from_model"]))]
pub struct ReviewArgs {
    /// Records that are asked about
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// Write a form: a page, a table for a spreadsheet, or tasks for Label Studio (with F.xml, its labelling interface)
    #[arg(long, value_name = "FORMAT", requires = "output")]
    pub to: Option<ReviewFormat>,
    /// Take back files of answers: what the page saved, filled-in tables, exports of Label Studio as JSON
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// Let a model annotate, named as for `reels predict`: it is shown no answer of anybody
    #[arg(
        long,
        value_name = "URL#NAME",
        requires = "output",
        conflicts_with_all = ["runs", "show_answers", "annotator"]
    )]
    pub from_model: Option<String>,
    /// The form; with --from the labelled records, with --from-model its answers
    #[arg(short, long, value_name = "F")]
    pub output: Option<PathBuf>,
    /// Tasks that are asked, several with commas [default: all label tasks; with --runs, the text task]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub task: Vec<String>,
    /// Result directories whose texts are rated instead: faithful, complete, fluent, and of two which is better
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub runs: Vec<PathBuf>,
    /// Show the labels of this result directory as suggestions: quicker, and annotators then agree with them more often
    #[arg(long, value_name = "DIR", conflicts_with_all = ["runs", "from"])]
    pub show_answers: Option<PathBuf>,
    /// Ask about so many records, drawn at random
    #[arg(long, value_name = "N", conflicts_with = "from")]
    pub sample: Option<usize>,
    /// Seed of --sample
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED, requires = "sample")]
    pub seed: u64,
    /// Whom a table or tasks for Label Studio are for, which decides their order; the page asks
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    pub annotator: Option<String>,
    /// Folder with tasks.toml and templates [default: ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub hosted: HostedOverrides,
}

/// What a form is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReviewFormat {
    /// One page that needs no server and no network
    Html,
    /// Tasks to import into Label Studio
    LabelStudio,
    /// A table for a spreadsheet
    Csv,
}

/// What `reels data agreement` takes.
#[derive(Debug, Args)]
pub struct AgreementArgs {
    /// Answers of two annotators or more, in one file or several
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Write a page on which somebody decides where they differ
    #[arg(long, value_name = "F.html", requires = "data")]
    pub adjudicate: Option<PathBuf>,
    /// Records that were asked about, for --adjudicate
    #[arg(long, value_name = "DATA")]
    pub data: Option<PathBuf>,
    /// Tasks that are looked at, several with commas [default: all label tasks]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub task: Vec<String>,
    /// Folder with tasks.toml and templates [default: ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Write agreement.json and agreement.md into this folder
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// What `reels data audit` takes.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Files and folders; all files in a folder are looked into
    #[arg(value_name = "F|DIR", required = true)]
    pub paths: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What `reels data erase` takes.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Handles, shortcodes, media numbers or pseudonyms
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Files and folders to erase it from; all files in a folder are looked into
    #[arg(long = "in", value_name = "F|DIR", required = true, num_args = 1..)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: DataOverrides,
    /// Tell what would go, and alter nothing
    #[arg(long)]
    pub dry_run: bool,
}
