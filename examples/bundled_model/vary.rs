//! Variations of Reels, by rules: what is said stays, how it was said and what is known about it changes.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::reel::Reel;
use serde_json::json;

/// Words that stand for each other, depending on who speaks.
const SPOKEN: [&[&str]; 13] = [
    &["nggak", "gak", "ga", "enggak", "ndak", "tidak", "kagak"],
    &["banget", "bgt", "sekali", "pisan"],
    &["aku", "saya", "gue", "gua"],
    &["kamu", "lu", "lo", "kau"],
    &["kalian", "klean", "kelen"],
    &["udah", "sudah", "udh", "dah"],
    &["kayak", "kaya", "seperti", "kek"],
    &["cuma", "cuman", "hanya"],
    &["pakai", "pake"],
    &["kalau", "kalo", "klo"],
    &["gimana", "bagaimana", "gmn"],
    &["terus", "trus", "lalu", "abis itu"],
    &["karena", "soalnya", "karna"],
];
/// Share of words that the recogniser misses at most: many, so that labels don't hang on single ones.
const MISSED: f64 = 0.6;
const FILLERS: [&str; 6] = ["eee", "nah", "ya", "gitu", "hmm", "kan"];

#[derive(Args)]
pub struct Vary {
    #[arg(long)]
    reels: Vec<PathBuf>,
    /// How often each record comes, the first time as it is
    #[arg(long, default_value_t = 3)]
    times: usize,
    #[arg(short, long)]
    output: PathBuf,
}

impl Vary {
    pub fn run(&self) -> Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(42);
        let reels = super::texts::records(&self.reels)?;
        let all = reels.iter().flat_map(|reel| {
            (0..self.times).map(|time| quoting(varied(reel, time, &mut random))).collect::<Vec<Reel>>()
        });
        super::write_lines(&self.output, all.map(|reel| Ok(serde_json::to_string(&reel)?)))
    }
}

/// With the beginning of what is said for a summary.
fn quoting(mut reel: Reel) -> Reel {
    let text = reel.transcript.as_deref().unwrap_or_default();
    if let Some(summary) = reel.reference.get_mut("summary") {
        *summary = super::texts::quoted(text);
    }
    reel.reference.retain(|_, answer| !answer.is_empty());
    reel.synthetic = true;
    reel
}

/// As it is, the first time.
pub fn varied(reel: &Reel, time: usize, random: &mut ChaCha8Rng) -> Reel {
    let mut varied = reel.clone();
    if time == 0 {
        return varied;
    }
    varied.id = format!("{}_v{time}", reel.id);
    varied.synthetic = true;
    varied.source = Some(json!({"kind": "varied", "of": reel.id}));
    varied.transcript = reel.transcript.as_deref().map(|text| spoken(text, random));
    for count in [&mut varied.likes, &mut varied.views, &mut varied.plays, &mut varied.comments] {
        *count = count
            .filter(|_| random.random_bool(0.8))
            .map(|count| (count as f64 * random.random_range(0.5..1.0)) as u64);
    }
    if random.random_bool(0.3) {
        varied.hashtags.clear();
    }
    varied
}

/// Other fillers, other words of the same meaning, without punctuation in half of all cases.
fn spoken(text: &str, random: &mut ChaCha8Rng) -> String {
    let plain = random.random_bool(0.5);
    let missed = random.random_range(0.0..MISSED);
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if random.random_bool(missed) {
            continue;
        }
        let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        let lower = bare.to_lowercase();
        if FILLERS.contains(&lower.as_str()) && random.random_bool(0.5) {
            continue;
        }
        let alike = SPOKEN.iter().find(|alike| alike.contains(&lower.as_str())).filter(|_| random.random_bool(0.5));
        let word = match alike.and_then(|alike| alike.choose(random)) {
            Some(other) => word.replace(bare, other),
            None => word.to_owned(),
        };
        words.push(if plain { word.trim_matches([',', '.', '?', '!', ':', ';']).to_lowercase() } else { word });
        if random.random_bool(0.02) {
            words.extend(FILLERS.choose(random).map(|filler| (*filler).to_owned()));
        }
    }
    words.join(" ")
}
