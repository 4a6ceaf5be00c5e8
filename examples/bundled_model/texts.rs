//! Plain text as conversations: `reels train` learns what the assistant says, the text itself and then its summary.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use reels::lines::Lines;
use reels::reel::{Reel, read_reels};
use serde_json::{Value, json};

/// Words of a text at most, so that it fits into a sequence of 1,024 tokens with its summary; few articles are longer.
const WORDS: usize = 500;

#[derive(Args)]
pub struct Texts {
    /// Records of written text
    #[arg(long)]
    news: Vec<PathBuf>,
    /// Records of speech, with captions and summaries
    #[arg(long)]
    reels: Vec<PathBuf>,
    #[arg(short, long)]
    output: PathBuf,
}

impl Texts {
    pub fn run(&self) -> Result<()> {
        let of = |reels: Vec<Reel>, asked: &'static str| reels.into_iter().map(move |reel| conversation(reel, asked));
        let all = of(records(&self.news)?, "Berita").chain(of(records(&self.reels)?, "Ucapan"));
        super::write_lines(&self.output, all.map(|line| Ok(line.to_string())))
    }
}

fn conversation(reel: Reel, asked: &str) -> Value {
    let text = reel.transcript.as_deref().map(beginning);
    let summary = reel.reference.get("summary").cloned();
    let turns = [(asked, text), ("Keterangan", reel.caption), ("Ringkasan", summary)];
    let messages: Vec<Value> = turns
        .into_iter()
        .filter_map(|(asked, text)| Some((asked, text.filter(|text| !text.trim().is_empty())?)))
        .flat_map(|(asked, text)| {
            [json!({"role": "user", "content": asked}), json!({"role": "assistant", "content": text})]
        })
        .collect();
    json!({"id": reel.id, "messages": messages})
}

/// Of all files.
pub fn records(paths: &[PathBuf]) -> Result<Vec<Reel>> {
    let of = |path: &PathBuf| read_reels(&Lines::open(path, "data file")?);
    Ok(paths.iter().map(of).collect::<Result<Vec<_>>>()?.concat())
}

/// What is to be learned of a line that [`Texts`] wrote.
pub fn answers(line: &str) -> Result<Vec<String>> {
    let line: Value = serde_json::from_str(line)?;
    let messages = line["messages"].as_array().context("a line without messages")?;
    let answers = messages.iter().filter(|message| message["role"] == "assistant");
    answers.map(|answer| Ok(answer["content"].as_str().context("an answer without text")?.to_owned())).collect()
}

/// Whole paragraphs as long as they fit, and the first one.
fn beginning(text: &str) -> String {
    let mut words = 0;
    let fits = |paragraph: &&str| {
        let before = words;
        words += paragraph.split_whitespace().count();
        before == 0 || words <= WORDS
    };
    text.lines().take_while(fits).collect::<Vec<&str>>().join("\n")
}
