//! Collectors' files → records: one file a source, each with what it makes of a value and how it is known.

mod apify;
mod gallery_dl;
mod graph;
mod instaloader;
mod post;
mod source;
pub mod table;
mod value;
mod web;
mod ytdlp;
mod zeeschuimer;
