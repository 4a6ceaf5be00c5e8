//! Plain text as conversations: `reels train` learns what the assistant says: the text itself, then what is known
//! about it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::lines::Lines;
use reels::reel::{Reel, read_reels};
use serde_json::{Value, json};

/// Words of a text at most, so that it fits into a sequence of 1,280 tokens with all its turns; few articles are longer.
const WORDS: usize = 500;

const NEWS: &str = "Berita";

/// Parts of a text that are asked for again, and words of each: those it is asked for by, and all.
const PARTS: usize = 2;
const ASKED: usize = 4;
const PART: usize = 20;

/// Words that a text is told from others by.
const KEYWORDS: usize = 8;

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
        let (news, reels) = (records(&self.news)?, records(&self.reels)?);
        let rare = Rare::new(news.iter().chain(&reels).filter_map(|reel| reel.transcript.as_deref()));
        let mut random = ChaCha8Rng::seed_from_u64(42);
        let asked = news.iter().map(|reel| (reel, NEWS)).chain(reels.iter().map(|reel| (reel, "Ucapan")));
        let lines = asked.map(|(reel, asked)| Ok(conversation(reel, asked, &rare, &mut random).to_string()));
        super::write_lines(&self.output, lines)
    }
}

fn conversation(reel: &Reel, asked: &str, rare: &Rare, random: &mut ChaCha8Rng) -> Value {
    let text = reel.transcript.as_deref().map(beginning);
    let tags: Vec<String> = reel.hashtags.iter().map(|tag| format!("#{tag}")).collect();
    let reference = |task: &str| reel.reference.get(task).cloned();
    // What a newspaper files a text under; the categories of Reels are left to the adapter.
    let section = reference("category").filter(|_| asked == NEWS);
    let mut turns = vec![
        (asked.to_owned(), text.clone()),
        ("Keterangan".to_owned(), reel.caption.clone()),
        ("Tagar".to_owned(), Some(tags.join(" "))),
        ("Rubrik".to_owned(), section),
    ];
    turns.extend(text.iter().flat_map(|text| continued(text, random)));
    turns.extend(text.iter().map(|text| ("Kata penting".to_owned(), Some(rare.of(text)))));
    turns.push(("Ringkasan".to_owned(), reference("summary")));
    let messages: Vec<Value> = turns
        .into_iter()
        .filter_map(|(asked, text)| Some((asked, text.filter(|text| !text.trim().is_empty())?)))
        .flat_map(|(asked, text)| {
            [json!({"role": "user", "content": asked}), json!({"role": "assistant", "content": text})]
        })
        .collect();
    json!({"id": reel.id, "messages": messages})
}

/// Parts of a text to say again, each asked for by its first words, so that looking back pays.
fn continued(text: &str, random: &mut ChaCha8Rng) -> Vec<(String, Option<String>)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let some = |_| {
        let start = random.random_range(0..words.len().checked_sub(PART).filter(|last| *last > 0)?);
        let (asked, answer) = words[start..start + PART].split_at(ASKED);
        Some((format!("Lanjutkan: {}", asked.join(" ")), Some(answer.join(" "))))
    };
    (0..PARTS).filter_map(some).collect()
}

/// How many texts each word stands in.
struct Rare(HashMap<String, usize>);

impl Rare {
    fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Rare {
        let mut counts = HashMap::new();
        for text in texts {
            for word in words(text).collect::<HashSet<String>>() {
                *counts.entry(word).or_default() += 1;
            }
        }
        Rare(counts)
    }

    /// The words of a text that stand in the fewest others but in some, in their order.
    fn of(&self, text: &str) -> String {
        let mut all: Vec<String> = Vec::new();
        for word in
            words(text).filter(|word| word.chars().count() > 3 && self.0.get(word).is_some_and(|count| *count > 2))
        {
            if !all.contains(&word) {
                all.push(word);
            }
        }
        let mut counts: Vec<usize> = all.iter().map(|word| self.0[word]).collect();
        counts.sort_unstable();
        let most = counts.get(KEYWORDS).copied().unwrap_or(usize::MAX);
        let rare: Vec<String> = all.into_iter().filter(|word| self.0[word] < most).collect();
        rare.join(", ")
    }
}

/// In lower case, without what surrounds them.
fn words(text: &str) -> impl Iterator<Item = String> {
    let bare = |word: &str| word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    text.split_whitespace().map(bare).filter(|word| !word.is_empty())
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
