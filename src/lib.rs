//! `reels`: from short videos to Indonesian summaries and labels, with honest error bars.
//!
//! The pipeline, each stage handing over by files:
//!
//! ```text
//!     records (JSONL) ──► train ──► runs/NAME/ ──► export ──► F.gguf
//!            │              ▲                                   │
//!            │       prompts/*.jinja                            │
//!            ▼              ▼                                   │
//!         predict ◄──────  ask  ◄───────────────────────────────┘
//!            │
//!            └──► score ──► report · compare
//! ```
//!
//! * [`error`] is what an error knows beside its message, [`stop`] the wish to stop, [`terminal`] prints lines, [`lines`] reads files of any size,
//!   [`foreign`] tells what a file is that should hold weights.
//! * [`reel`], [`task`], [`prediction`], [`annotation`], [`scores`]: the nouns, and the file formats they are written in;
//!   [`gguf`] reads and writes model files; [`architecture`] is the table of what families of models are known by.
//! * [`prompt`] renders a Reel and a task into token ids; [`config`] resolves settings; [`run`] has hashes and logs,
//!   [`publish`] writes whole files or nothing; [`indonesian`] knows words and sentences; [`generator`] is what every
//!   engine does (a session that takes jobs one by one), [`learner`] what one that trains does.
//! * Engines: [`llama`] runs GGUF models on the CPU, [`baseline`] needs no model, `qlora` trains.
//! * [`ask`]: what answers and with which prompts, a record and a task as a job, what came of it as a prediction.
//! * Stages: [`data`] (collected files → records; pseudonyms; train, dev and a frozen test set; what must not be learned from), [`predict`] (records × tasks → predictions), [`mod@score`]
//!   (predictions → rows and scores), [`report`] (scores → a table and a page), `train` (records → an adapter), `export` (an
//!   adapter and its base → a model file, proved to answer the same), [`doctor`] (will this work here).
//! * [`commands`] has one file a command; [`cli`] is what can be typed.
//!
//! Imports point down this list's reverse: commands → stages → ask → engines → shared → nouns. A test holds that.

#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

// Its macros are known in all that follows.
#[macro_use]
pub mod terminal;

pub mod cli;
pub mod commands;

pub mod data;
pub mod doctor;
#[cfg(all(feature = "train", feature = "infer"))]
pub mod export;
pub mod gal;
pub mod predict;
pub mod report;
pub mod score;
#[cfg(feature = "train")]
pub mod train;

pub mod ask;

pub mod baseline;
#[cfg(feature = "infer")]
pub mod llama;
#[cfg(not(feature = "infer"))]
#[path = "llama/disabled.rs"]
pub mod llama;
#[cfg(feature = "train")]
pub mod qlora;
pub mod remote;

pub mod config;
pub mod generator;
pub mod indonesian;
pub mod learner;
pub mod prompt;
pub mod publish;
pub mod run;

pub mod annotation;
pub mod gguf;
pub mod prediction;
pub mod reel;
pub mod scores;
pub mod task;

pub mod architecture;
pub mod foreign;
pub mod lines;
pub mod stop;

pub mod error;
