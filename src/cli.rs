//! The command line: what can be typed, and its help. Nothing is decided here.

mod data;
mod gal;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use self::data::*;
pub use self::gal::*;
use crate::config::{
    CompareOverrides, DataOverrides, DoctorOverrides, EvalOverrides, ExportOverrides, PredictOverrides,
    PromptOverrides, ReportOverrides, ScoreOverrides, SplitOverrides, TrainOverrides,
};
use crate::data::import::{Mapping, WrittenBy};

/// Indonesian summaries, categories and advertisement detection for short videos: predict, score, report
#[derive(Debug, Parser)]
#[command(
    version,
    long_version = version(),
    max_term_width = 100,
    after_help = "Settings come from flags, then REELS_* variables, then reels.toml, then defaults.\n\
                  Exit codes: 0 done, 1 a threshold was missed, 2 input or command line wrong, 3 some items failed,\n\
                  4 a threshold can't be decided by this data, 5 the environment failed, 130 interrupted.\n\
                  Start with: reels eval"
)]
pub struct Cli {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub command: Command,
    /// Settings file [default: reels.toml where it is there]
    #[arg(long, global = true, env = "REELS_CONFIG", value_name = "F.toml")]
    pub config: Option<PathBuf>,
    /// What messages are written as: lines for people, or an object with a time each
    #[arg(long, global = true, env = "REELS_LOG", value_name = "FORMAT", default_value = "text")]
    pub log: LogFormat,
}

/// What messages on stderr are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// An object a line, with `time` and `message`
    Json,
}

/// The version with what it was built from and with: the commit, in builds to be given away, and what can be chosen.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let features =
            [("infer", cfg!(feature = "infer")), ("train", cfg!(feature = "train")), ("cuda", cfg!(feature = "cuda"))];
        let features: Vec<&str> = features.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name).collect();
        let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
        let mut lines = vec![
            env!("CARGO_PKG_VERSION").to_owned(),
            format!("commit    {}", option_env!("REELS_COMMIT").unwrap_or("of a build for development")),
            format!("features  {features}"),
        ];
        lines.extend(crate::llama::described().map(|engine| format!("engine    {engine}")));
        lines.join("\n")
    });
    &VERSION
}

/// One line of help each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make records of what collectors wrote: yt-dlp, instaloader, gallery-dl, Apify, Zeeschuimer, the Graph API, tables
    #[command(after_help = "Example:\n  reels import collected/ --output data/reels.jsonl")]
    Import(ImportArgs),
    /// Part records into train, dev and a frozen test set, or into folds; what belongs together stays together
    #[command(
        after_help = "Records of one account, of accounts that posted together, and near copies stay in one part. The test set is frozen in\n\
                      test.lock: run again on grown data, it stays as it is, and what has to do with it is left out and listed.\n\n\
                      Examples:\n  reels split reels.jsonl --output data\n  reels split reels.jsonl --output data --test 100 --dev 50\n  \
                      reels split reels.jsonl --output folds --folds 5"
    )]
    Split(SplitArgs),
    /// Answer all tasks for all records, score the answers and write a report
    #[command(after_help = "Without --output, results go to eval/runs/<time>-<key>/ and eval/latest points there.\n\
                            An interrupted run goes on where it stopped when the same command is given again.\n\n\
                            Examples:\n  reels eval\n  reels eval --model gguf/reels-mini.gguf --data my.jsonl\n  reels eval --model baseline:lead-1")]
    Eval(EvalOverrides),
    /// Answer all tasks for all records
    #[command(after_help = "Example:\n  reels predict --model gguf/reels-mini.gguf --data my.jsonl --output out/a")]
    Predict(PredictOverrides),
    /// Put the answers of several machines together, and prove that none is missing
    #[command(after_help = "Each directory is of `reels predict --shard I/N` with the same flags.\n\n\
                      Example:\n  reels gather out/shard-* --output out/all")]
    Gather(GatherArgs),
    /// Score predictions against the records' references; needs no model
    #[command(
        after_help = "Examples:\n  reels score --predictions out/a/predictions.jsonl --data my.jsonl --output out/scored\n  \
                      reels score --predictions elsewhere.csv --data my.jsonl --output out/elsewhere"
    )]
    Score(ScoreOverrides),
    /// Tell which of several results is better; the first one is the baseline
    #[command(
        after_help = "A difference is tested row by row, accounts kept together, and adjusted for the number of results.\n\n\
                      Examples:\n  reels compare out/lead-3 out/mini\n  reels compare --plan --rows 655 --discordance 0.1"
    )]
    Compare(CompareArgs),
    /// Write the report of a result again, from its files alone; of a training run, its curves
    #[command(
        after_help = "Examples:\n  reels report eval/latest\n  reels report out/tuned --against out/lead-3 out/prompted --format html,tex"
    )]
    Report(ReportArgs),
    /// Fine-tune a Qwen2.5 model on records with references
    #[command(
        after_help = "Learning rate, schedule, batch, dropout and limit are the QLoRA paper's for a model of 7B by default. The answers and the token that ends them are\n\
                      learned, the prompts are not. Ctrl-C writes a checkpoint; --resume goes on from it.\n\n\
                      Examples:\n  reels train --base Qwen2.5-7B-Instruct --data train.jsonl --dev dev.jsonl --output runs/a\n  \
                      reels train --resume --output runs/a\n  reels report runs/a"
    )]
    Train(TrainOverrides),
    /// Write what was trained as a file for llama.cpp, and prove that it answers the same
    #[command(
        after_help = "The file in floats is compared with base and adapter, the quantised one with that; a file that differs too much is\n\
                      not written (exit code 1). F.gguf.json beside it says where it comes from and how it compared.\n\n\
                      Examples:\n  reels export runs/a --output gguf/a.gguf\n  \
                      reels export runs/a --quant q4_k_m --imatrix train.jsonl --output gguf/a-q4.gguf\n  \
                      reels export runs/a --adapter --output gguf/a-lora.gguf\n  \
                      reels export Qwen2.5-7B-Instruct --quant q4_k_m --output gguf/base.gguf"
    )]
    Export(ExportArgs),
    /// Tell whether a model, a training run or this machine will work, and why not
    #[command(after_help = "Exit code 2 where something is wrong with the file or directory, 5 with the machine.\n\n\
                      Examples:\n  reels doctor gguf/reels-mini.gguf\n  reels doctor runs/a\n  reels doctor --json")]
    Doctor(DoctorArgs),
    /// Generate Reels for training and have them labelled (Generate–Annotate–Learn)
    #[command(subcommand)]
    Gal(GalCommand),
    /// Look at data: what there is, what must not be in it, and erasing somebody from it
    #[command(subcommand)]
    Data(DataCommand),
    /// Look at prompts, or write a set to work on
    #[command(subcommand)]
    Prompt(PromptCommand),
    /// Print what makes a shell complete commands and flags
    #[command(
        after_help = "Examples:\n  reels completions bash > ~/.local/share/bash-completion/completions/reels\n  \
                      reels completions zsh > ~/.zfunc/_reels\n  reels completions fish > ~/.config/fish/completions/reels.fish"
    )]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: Shell,
    },
    /// Write a manual page for each command into a folder
    #[command(after_help = "Example:\n  reels man ~/.local/share/man/man1")]
    Man {
        /// Folder to write to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// One line of help each.
#[derive(Debug, Subcommand)]
pub enum PromptCommand {
    /// List the tasks and their templates
    List {
        /// Folder with tasks.toml and templates [default: ./prompts, else the embedded ones]
        #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
        prompts: Option<PathBuf>,
    },
    /// Show the prompts of one record
    Render(RenderArgs),
    /// Write the embedded prompts into a folder, to edit them there
    Eject {
        /// Folder to write; existing files are left alone
        #[arg(default_value = "prompts")]
        folder: PathBuf,
    },
}

/// What `reels gather` takes.
#[derive(Debug, Args)]
pub struct GatherArgs {
    /// Result directories of the parts
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
    /// Records that were asked about [default: where they were then]
    #[arg(long, value_name = "F.jsonl")]
    pub data: Option<PathBuf>,
    /// Directory for all answers
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// What `reels import` takes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files that a collector wrote, or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Folder of transcripts, or one of them: what a recogniser wrote, called like the Reel's file or by its shortcode
    #[arg(long, value_name = "DIR", num_args = 1)]
    pub transcripts: Vec<PathBuf>,
    /// File of records; what it has already stays, and what is new is added
    #[arg(short, long, value_name = "F.jsonl")]
    pub output: PathBuf,
    /// Take all files for those of this collector [default: each is known by what stands in it]
    #[arg(long, value_name = "SOURCE", value_parser = PossibleValuesParser::new(WrittenBy::names()))]
    pub from: Option<String>,
    /// Which column of a table is which field; may be given several times [default: told by the columns' names]
    #[arg(long = "map", value_name = "FIELD=COLUMN")]
    pub mapping: Vec<Mapping>,
    /// Tell what would be written, and write nothing
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: DataOverrides,
    /// Keep handles, shortcodes and texts as they are: whoever gets the file sees who said what
    #[arg(long)]
    pub raw: bool,
}

/// What `reels split` takes.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Records, one JSON object a line
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: SplitOverrides,
}

/// What `reels report` takes.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Result directory of `reels eval` or `reels score`, or run of `reels train`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: ReportOverrides,
}

/// What `reels compare` takes.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Result directories of `reels eval` or `reels score`, two or more
    #[arg(value_name = "DIR", required_unless_present = "plan", num_args = 2.., conflicts_with = "plan")]
    pub directories: Vec<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: CompareOverrides,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Tell what a test set can show, without any result
    #[arg(long, help_heading = "Planning")]
    pub plan: bool,
    /// Rows of the test set
    #[arg(long, value_name = "N", requires = "plan", help_heading = "Planning")]
    pub rows: Option<usize>,
    /// Share of rows that only one of two results gets right [default: several]
    #[arg(long, value_name = "SHARE", requires = "plan", help_heading = "Planning")]
    pub discordance: Option<f64>,
    /// Standard deviation of the rows' differences in ROUGE [default: several]
    #[arg(long, value_name = "SD", requires = "plan", help_heading = "Planning")]
    pub sd: Option<f64>,
}

/// What `reels export` takes.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Run of `reels train`, adapter as PEFT stores it, or Hugging Face directory of a model
    #[arg(value_name = "RUN|BASE")]
    pub directory: PathBuf,
    /// Write base and adapter as one model (the default)
    #[arg(long, conflicts_with = "adapter", help_heading = "What")]
    pub merge: bool,
    /// Write the adapter alone, for `reels predict --model BASE.gguf --adapter F.gguf`
    #[arg(long, help_heading = "What")]
    pub adapter: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: ExportOverrides,
}

/// What `reels doctor` takes.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Model file, training run, adapter or model directory [default: only the machine is looked at]
    #[arg(value_name = "F.gguf|DIR")]
    pub path: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: DoctorOverrides,
    /// Print JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

/// What `reels prompt render` takes.
#[derive(Debug, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for help")]
    pub settings: PromptOverrides,
    /// The record's id [default: the first one]
    #[arg(long)]
    pub id: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory, ValueEnum};
    use serde::Serialize;

    use super::*;
    use crate::config::{GalOverrides, HostedSettings, SECTIONS};

    fn command(section: &str) -> clap::Command {
        let command = Cli::command();
        let found = command.find_subcommand(section).unwrap();
        ["render", "erase", "generate"]
            .into_iter()
            .find_map(|name| found.find_subcommand(name))
            .unwrap_or(found)
            .clone()
    }

    #[test]
    fn every_setting_is_a_flag_of_its_command() {
        fn keys(default: impl Serialize) -> Vec<String> {
            serde_json::to_value(default).unwrap().as_object().unwrap().keys().cloned().collect()
        }
        let settings = [
            ("data", keys(DataOverrides::default())),
            ("split", keys(SplitOverrides::default())),
            ("eval", keys(EvalOverrides::default())),
            ("predict", keys(PredictOverrides::default())),
            ("score", keys(ScoreOverrides::default())),
            ("compare", keys(CompareOverrides::default())),
            ("report", keys(ReportOverrides::default())),
            ("train", keys(TrainOverrides::default())),
            ("export", keys(ExportOverrides::default())),
            ("doctor", keys(DoctorOverrides::default())),
            ("prompt", keys(PromptOverrides::default())),
            ("gal", keys(GalOverrides::default())),
        ];
        assert_eq!(settings.each_ref().map(|(section, _)| *section), SECTIONS);
        for (section, keys) in settings {
            for key in keys {
                let flag = key.replace('_', "-");
                let command = command(section);
                let found = command.get_arguments().any(|argument| argument.get_long() == Some(flag.as_str()));
                assert!(found, "[{section}] {key} is no flag");
            }
        }
    }

    fn name(value: impl ValueEnum) -> String {
        value.to_possible_value().unwrap().get_name().to_owned()
    }

    /// The defaults that a command's help tells: those that are `resolved`, and others `in_words`.
    fn check(section: &str, resolved: &[(&str, String)], in_words: &[&str]) {
        let mut told = BTreeSet::new();
        for argument in command(section).get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let Some((_, default)) = help.split_once("[default: ") else { continue };
            let flag = argument.get_id().as_str().replace('_', "-");
            if let Some((_, value)) = resolved.iter().find(|(resolved, _)| *resolved == flag) {
                let first = default.split([',', ']']).next().unwrap();
                let same = first == value || first.parse::<f64>().is_ok_and(|first| value.parse() == Ok(first));
                assert!(same, "reels {section} --{flag} is {value:?}, and its help says {default:?}");
            }
            told.insert(flag);
        }
        let expected = resolved.iter().map(|(flag, _)| *flag).chain(in_words.iter().copied());
        assert_eq!(told, expected.map(str::to_owned).collect(), "reels {section}");
    }

    #[test]
    fn the_help_tells_the_defaults_that_are_used() {
        let (predict, scoring) = EvalOverrides::default().resolve().unwrap();
        let engine = &predict.engine;
        let answering = [
            ("label-mode", name(predict.label_mode)),
            ("fit", name(predict.fit)),
            ("max-prompt-tokens", crate::config::PredictSettings::DEFAULT_MAX_PROMPT_TOKENS.to_string()),
            ("temperature", predict.sampling.temperature.to_string()),
            ("top-p", predict.sampling.top_p.to_string()),
            ("seed", predict.sampling.seed.to_string()),
            ("ubatch", engine.ubatch.to_string()),
            ("kv-type", name(engine.kv_type)),
            ("timeout", HostedSettings::TIMEOUT_SECONDS.to_string()),
        ];
        let bootstrap = ("bootstrap", scoring.score.bootstrap.to_string());
        let seed = ("seed", scoring.score.seed.to_string());
        let in_words = ["data", "prompts", "task", "width", "threads", "api-key-file"];
        check("predict", &answering, &in_words);
        let evaluating = [&answering[..], std::slice::from_ref(&bootstrap)].concat();
        check("eval", &evaluating, &[&in_words[..], &["interval"]].concat());
        check("score", &[bootstrap.clone(), seed.clone()], &["data", "prompts", "interval"]);
        check("compare", &[bootstrap.clone(), seed.clone()], &["discordance", "sd", "interval"]);
        check("report", &[bootstrap, seed], &["format", "interval"]);
        check("prompt", &[], &["data", "prompts", "task", "id"]);
        check("doctor", &[], &["path"]);
        check("data", &[], &["key"]);
        let split = SplitOverrides { output: Some("out".into()), ..Default::default() }.resolve("a".into()).unwrap();
        check("split", &[("seed", split.seed.to_string())], &["train", "dev", "test", "lock", "prompts"]);

        let output = Some("a.gguf".into());
        let export = ExportOverrides { output, ..Default::default() }.resolve("run".into(), false).unwrap();
        let written =
            [("merge-base", name(export.merge_base)), ("to", name(export.to)), ("quant", name(export.quant.unwrap()))];
        check("export", &written, &["base", "threads"]);

        let filled = serde_json::to_value(TrainOverrides::default().filled().unwrap()).unwrap();
        let in_words = ["lock", "prompts", "alpha", "targets", "eval-every", "max-memory"];
        // A switch that is off needs no word.
        let filled: Vec<(String, String)> = filled
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| !value.is_null() && **value != false)
            .map(|(key, value)| (key.replace('_', "-"), value.as_str().map_or(value.to_string(), str::to_owned)))
            .filter(|(flag, _)| !in_words.contains(&flag.as_str()))
            .collect();
        let filled: Vec<(&str, String)> = filled.iter().map(|(flag, value)| (flag.as_str(), value.clone())).collect();
        check("train", &filled, &in_words);
    }
}
