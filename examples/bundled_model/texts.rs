//! Plain text as conversations: `reels train` learns what the assistant says: the text itself, then what is known
//! about it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::lines::Lines;
use reels::reel::{Reel, read_reels};
use serde_json::{Value, json};

/// Words of a text at most: about what the longest Reels have.
const WORDS: usize = 250;
/// How much a token of a text or of a caption counts against one of a label or of what repeats a text.
const WEIGHT: f64 = 0.25;
/// The same of what is quoted beside labels alone.
const QUOTED_WEIGHT: f64 = 0.03;
/// Words from the beginning that stand for a summary: about as many as those have.
const QUOTED: usize = 45;

const NEWS: &str = "Berita";
const SPEECH: &str = "Ucapan";

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
    /// How often each record of speech comes, the first time as it is, then varied
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Only labels are to be learned, and quoting a little
    #[arg(long)]
    labels: bool,
    #[arg(short, long)]
    output: PathBuf,
}

impl Texts {
    pub fn run(&self) -> Result<()> {
        let (news, reels) = (records(&self.news)?, records(&self.reels)?);
        let rare = Rare::new(news.iter().chain(&reels).filter_map(|reel| reel.transcript.as_deref()));
        let mut random = ChaCha8Rng::seed_from_u64(42);
        let mut asked: Vec<(Reel, &str)> = news.into_iter().map(|reel| (reel, NEWS)).collect();
        for time in 0..self.times {
            asked.extend(reels.iter().map(|reel| (super::vary::varied(reel, time, &mut random), SPEECH)));
        }
        let lines = asked.iter().map(|(reel, asked)| {
            let (mut turns, mut questions) = match self.labels {
                true => (known(reel, asked), labels(reel)),
                false => (vec![(asked.to_string(), text(reel), WEIGHT)], questions(reel, asked, &rare, &mut random)),
            };
            questions.shuffle(&mut random);
            turns.extend(questions);
            Ok(conversation(&reel.id, &turns).to_string())
        });
        super::write_lines(&self.output, lines)
    }
}

/// What is asked, the answer, and what a token of it counts.
type Turn = (String, String, f64);

/// All that can be asked about a text.
fn questions(reel: &Reel, asked: &str, rare: &Rare, random: &mut ChaCha8Rng) -> Vec<Turn> {
    let text = text(reel);
    let kind = if asked == NEWS { "Rubrik" } else { "Kategori" };
    let mut turns: Vec<Turn> = vec![
        (kind.into(), reference(reel, "category"), 1.0),
        ("Iklan?".into(), reference(reel, "ad"), 1.0),
        ("Tagar".into(), tags(reel), 1.0),
        ("Keterangan".into(), caption(reel), WEIGHT),
        ("Kata penting".into(), rare.of(&text), WEIGHT),
        ("Kutipan".into(), quoted(&text), 1.0),
    ];
    turns.extend(continued(&text, random).into_iter().map(|(asked, answer)| (asked, answer, 1.0)));
    turns
}

/// What a prompt tells of a Reel, of which nothing is learned: embeddings hardly follow labels while they do text.
fn known(reel: &Reel, asked: &str) -> Vec<Turn> {
    vec![("Keterangan".into(), caption(reel), 0.0), ("Tagar".into(), tags(reel), 0.0), (asked.into(), text(reel), 0.0)]
}

/// Labels, and a quotation, which keeps repeating alive.
fn labels(reel: &Reel) -> Vec<Turn> {
    vec![
        ("Kategori".into(), reference(reel, "category"), 1.0),
        ("Iklan?".into(), reference(reel, "ad"), 1.0),
        ("Kutipan".into(), quoted(&text(reel)), QUOTED_WEIGHT),
    ]
}

fn caption(reel: &Reel) -> String {
    reel.caption.clone().unwrap_or_default()
}

fn tags(reel: &Reel) -> String {
    reel.hashtags.iter().map(|tag| format!("#{tag}")).collect::<Vec<String>>().join(" ")
}

fn text(reel: &Reel) -> String {
    reel.transcript.as_deref().map(beginning).unwrap_or_default()
}

fn reference(reel: &Reel, task: &str) -> String {
    reel.reference.get(task).cloned().unwrap_or_default()
}

fn conversation(id: &str, turns: &[Turn]) -> Value {
    let said = turns.iter().filter(|(_, answer, _)| !answer.trim().is_empty());
    let messages = said.flat_map(|(asked, answer, weight)| {
        [json!({"role": "user", "content": asked}), json!({"role": "assistant", "content": answer, "weight": weight})]
    });
    json!({"id": id, "messages": messages.collect::<Vec<Value>>()})
}

/// The first words, as they stand.
pub fn quoted(text: &str) -> String {
    text.split_whitespace().take(QUOTED).collect::<Vec<&str>>().join(" ")
}

/// Parts of a text to say again, each asked for by its first words, so that looking back pays.
fn continued(text: &str, random: &mut ChaCha8Rng) -> Vec<(String, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let some = |_| {
        let start = random.random_range(0..words.len().checked_sub(PART).filter(|last| *last > 0)?);
        let (asked, answer) = words[start..start + PART].split_at(ASKED);
        Some((format!("Lanjutkan: {}", asked.join(" ")), answer.join(" ")))
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

/// What stands in a line that [`Texts`] wrote, with its roles.
pub fn contents(line: &str) -> Result<Vec<String>> {
    let line: Value = serde_json::from_str(line)?;
    let messages = line["messages"].as_array().context("a line without messages")?;
    let text = |message: &Value, key: &str| Some(message[key].as_str()?.to_owned());
    let both = |message: &Value| Some(format!("{}\n{}", text(message, "role")?, text(message, "content")?));
    messages.iter().map(|message| both(message).context("a message without role or content")).collect()
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
