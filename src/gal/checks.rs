//! What a generated text has to pass before anybody looks at its labels, in order; the first that rejects it counts.

use std::collections::HashSet;
use std::sync::LazyLock;

use indexmap::IndexMap;
use rayon::prelude::*;
use regex::Regex;

use super::pool::{Likeness, Pool, Sketch};
use super::row::Origin;
use crate::data::dedup::fold::{folded, runs};
use crate::data::dedup::{self, Likeness as Copied};
use crate::data::known::Known;
use crate::data::language::other_language;
use crate::data::lock::{Held, Index, Lock};
use crate::reel::Reel;

/// Words of a transcript, at least and at most: shorter ones say nothing, longer ones are several Reels.
pub const WORDS: [usize; 2] = [8, 600];
/// Digits of a number that two texts don't have in common by chance; a year has fewer.
const DIGITS: usize = 5;

/// The filters by name, in the order in which they look.
pub const FILTERS: [&str; 10] =
    ["empty", "truncated", "short", "long", "language", "locked", "seed_copy", "memorised", "duplicate", "rouge_l"];

/// Why a text isn't kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// One of [`FILTERS`], or of those for labels.
    pub by: &'static str,
    /// What it found, for people.
    pub because: String,
}

/// Looks at texts one after the other; those that pass are what later ones mustn't be like.
pub struct Checks<'a> {
    lock: Option<Index<'a>>,
    seeds: Pool,
    seed_ids: Vec<String>,
    /// Runs of words of the seeds.
    passages: HashSet<u64>,
    /// Handles, addresses and long numbers of the seeds.
    marks: HashSet<String>,
    kept: Pool,
    kept_ids: Vec<String>,
}

/// A text with what takes long to compute of it, which any thread can do.
pub struct Looked {
    sketch: Sketch,
    words: usize,
    language: Option<String>,
    passages: Vec<u64>,
    marks: Vec<String>,
    held: Option<Held>,
}

impl<'a> Checks<'a> {
    /// Against a lock and the seeds.
    pub fn new(seeds: &[Reel], lock: Option<&'a Lock>) -> Checks<'a> {
        let texts = || seeds.iter().map(everything);
        let handles = seeds.iter().filter_map(|reel| Some(format!("@{}", reel.account.as_deref()?.to_lowercase())));
        Checks {
            lock: lock.map(Index::of),
            seeds: Pool::of(seeds.iter().map(|reel| Sketch::of(dedup::text(reel)))),
            seed_ids: seeds.iter().map(|reel| reel.id.clone()).collect(),
            passages: texts().flat_map(|text| runs(&folded(&text))).collect(),
            marks: texts().flat_map(|text| marks(&text)).chain(handles).collect(),
            kept: Pool::default(),
            kept_ids: vec![],
        }
    }

    /// What depends on nothing but the text.
    pub fn look(&self, reel: &Reel) -> Looked {
        let text = everything(reel);
        let transcript = reel.transcript.as_deref().unwrap_or_default();
        Looked {
            sketch: Sketch::of(dedup::text(reel)),
            words: transcript.split_whitespace().count(),
            language: other_language(transcript, "id"),
            passages: runs(&folded(&text)),
            marks: marks(&text),
            held: self.lock.as_ref().and_then(|lock| lock.holds(&Known::from(reel))),
        }
    }

    /// Whether a text says what of all only a seed says: what is kept mustn't.
    pub fn repeats_a_seed(&self, reel: &Reel) -> bool {
        let text = everything(reel);
        runs(&folded(&text)).iter().any(|run| self.passages.contains(run))
            || marks(&text).iter().any(|mark| self.marks.contains(mark))
    }

    /// Whether a text passes; then it is kept. Notes what was found.
    ///
    /// # Errors
    /// Why it doesn't.
    pub fn pass(
        &mut self,
        reel: &Reel,
        origin: &Origin,
        looked: Looked,
        scores: &mut IndexMap<String, f64>,
    ) -> Result<(), Rejected> {
        let Looked { sketch, words, language, passages, marks, held } = looked;
        let reject = |by: &'static str, because: String| Err(Rejected { by, because });
        scores.insert("words".to_owned(), words as f64);
        if words == 0 {
            return reject("empty", "there is no transcript".to_owned());
        }
        if origin.truncated {
            return reject("truncated", "it ends at the limit of tokens".to_owned());
        }
        if words < WORDS[0] {
            return reject("short", format!("{words} words, fewer than {}", WORDS[0]));
        }
        if words > WORDS[1] {
            return reject("long", format!("{words} words, more than {}", WORDS[1]));
        }
        if let Some(language) = language {
            return reject("language", language);
        }
        match held {
            Some(Held::Id) => return reject("locked", "it is a record that is locked".to_owned()),
            Some(Held::Account) => return reject("locked", "it is of an account that is locked".to_owned()),
            Some(Held::Copy(of, likeness)) => {
                return reject("locked", format!("a copy of {of}: {}", copied(&likeness)));
            }
            None => {}
        }
        let like_seed = self.seeds.like(&sketch);
        if let Some(alike) = like_seed {
            scores.insert("like_seed".to_owned(), alike.share);
            return reject("seed_copy", format!("{} of {}", share(alike.share, alike.by), self.seed_ids[alike.of]));
        }
        if passages.iter().any(|run| self.passages.contains(run)) {
            return reject("memorised", format!("{} words in a row of a seed", dedup::RUN));
        }
        if let Some(mark) = marks.iter().find(|mark| self.marks.contains(*mark)) {
            return reject("memorised", format!("a seed’s {mark:?}"));
        }
        if let Some(alike) = self.kept.like(&sketch) {
            scores.insert("like_kept".to_owned(), alike.share);
            let by = if alike.by == Likeness::RougeL { "rouge_l" } else { "duplicate" };
            return reject(by, format!("{} of {}", share(alike.share, alike.by), self.kept_ids[alike.of]));
        }
        self.kept.keep(sketch);
        self.kept_ids.push(reel.id.clone());
        Ok(())
    }
}

/// Whether a text has a handle, an address or a long number.
pub fn identifies(reel: &Reel) -> bool {
    !marks(&everything(reel)).is_empty()
}

/// Ids of the candidates whose texts pass, looked at in their order.
pub fn passing(candidates: &[(Reel, Origin)], mut checks: Checks) -> HashSet<String> {
    let looked: Vec<Looked> = candidates.par_iter().map(|(reel, _)| checks.look(reel)).collect();
    let mut passing = HashSet::new();
    for ((reel, origin), looked) in candidates.iter().zip(looked) {
        if checks.pass(reel, origin, looked, &mut IndexMap::new()).is_ok() {
            passing.insert(reel.id.clone());
        }
    }
    passing
}

fn copied(likeness: &Copied) -> String {
    match likeness {
        // Words of what is locked are shown to nobody.
        Copied::Part(words, _) => format!("{words} words stand in both"),
        other => other.to_string(),
    }
}

fn share(share: f64, by: Likeness) -> String {
    match by {
        Likeness::Exact => "the same words as those".to_owned(),
        Likeness::Jaccard => format!("{:.0} % of the runs of letters", 100.0 * share),
        Likeness::RougeL => format!("ROUGE-L {share:.2} with that"),
    }
}

/// All that is written of a Reel.
fn everything(reel: &Reel) -> String {
    [&reel.transcript, &reel.caption].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// What only somebody who has read it can know: handles, addresses, long numbers.
fn marks(text: &str) -> Vec<String> {
    static MARKS: LazyLock<Regex> = LazyLock::new(|| {
        #[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test uses it")]
        Regex::new(r"(?i)@[\w.]{3,}|https?://\S+|\bwww\.\S+|\+?\d[\d .\-]*\d").unwrap()
    });
    let number = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        // +62 812 is 0812.
        let digits =
            digits.strip_prefix("62").map_or(digits.clone(), |rest| format!("0{}", rest.trim_start_matches('0')));
        // A price in thousands is said by many.
        (digits.trim_end_matches('0').len() >= DIGITS).then_some(digits)
    };
    let of = |found: regex::Match| -> Vec<String> {
        let text = found.as_str();
        if text.starts_with(|first: char| first.is_ascii_digit() || first == '+') {
            // Numbers that stand side by side, and each of them.
            return std::iter::once(text).chain(text.split_whitespace()).filter_map(number).collect();
        }
        vec![text.to_lowercase().trim_end_matches(['.', ',', '/']).to_owned()]
    };
    let mut marks: Vec<String> = MARKS.find_iter(text).flat_map(of).collect();
    marks.dedup();
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel(id: &str, transcript: &str) -> Reel {
        Reel { id: id.into(), transcript: Some(transcript.into()), ..Reel::default() }
    }

    const SEED: &str = "halo semuanya kali ini saya mau berbagi resep rendang padang asli dari nenek saya di bukittinggi yang \
                        dimasak empat jam pesan di @rendang.uni atau telepon 0812-3456-789 ya harganya 150.000 saja";
    const LOCKED: &str = "pagi ini di pasar senen pedagang mengeluh karena harga cabai naik dua kali lipat sejak minggu lalu \
                          dan pembeli makin sepi kata ibu ratna yang sudah dua puluh tahun berjualan di sana";

    fn passes(checks: &mut Checks, id: &str, text: &str) -> Result<(), &'static str> {
        let reel = reel(id, text);
        let looked = checks.look(&reel);
        checks.pass(&reel, &Origin::gal(), looked, &mut IndexMap::new()).map_err(|rejected| rejected.by)
    }

    #[test]
    fn the_first_filter_that_rejects_a_text_counts() {
        let lock = Lock::in_memory(&[Known::from(&reel("t1", LOCKED))]);
        let mut checks = Checks::new(&[reel("s1", SEED)], Some(&lock));
        let fresh =
            "teman-teman hari ini kita bahas cara merawat motor tua supaya mesinnya tetap halus dan tidak boros bensin";
        for (id, text, expected) in [
            ("a", "", Err("empty")),
            ("b", "halo apa kabar", Err("short")),
            ("c", &*"kata ".repeat(700), Err("long")),
            (
                "d",
                "hello everyone today we are going to talk about how to keep an old motorbike running smoothly",
                Err("language"),
            ),
            ("e", &LOCKED.replace("cabai", "bawang"), Err("locked")),
            ("f", &SEED.replace("empat", "lima"), Err("seed_copy")),
            (
                "g",
                "buat yang mau pesan kue kering lebaran langsung saja hubungi nomor 08123456789 stok terbatas ya bun",
                Err("memorised"),
            ),
            (
                "h",
                "jangan lupa ikuti akun @Rendang.Uni untuk tips masak lainnya setiap hari minggu pagi jam delapan ya",
                Err("memorised"),
            ),
            ("i", fresh, Ok(())),
            ("j", &fresh.to_uppercase(), Err("duplicate")),
            (
                "k",
                &fresh.replace("hari ini kita bahas", "sekarang saya jelaskan").replace("boros", "haus"),
                Err("rouge_l"),
            ),
            (
                "l",
                "harganya cuma 150.000 untuk satu loyang besar cukup buat satu keluarga besar kumpul di hari raya nanti",
                Ok(()),
            ),
        ] {
            assert_eq!(passes(&mut checks, id, text), expected, "{id}");
        }
    }

    #[test]
    fn the_limit_of_tokens_is_a_reason_of_its_own() {
        let mut checks = Checks::new(&[reel("s1", SEED)], None);
        let cut = reel("a", "teman-teman hari ini kita bahas cara merawat motor tua supaya mesinnya tetap");
        let looked = checks.look(&cut);
        let origin = Origin { truncated: true, ..Origin::gal() };
        let rejected = checks.pass(&cut, &origin, looked, &mut IndexMap::new()).unwrap_err();
        assert_eq!(rejected.by, "truncated");
    }

    #[test]
    fn only_what_few_would_write_is_a_mark() {
        let found = marks("@kedai.kopi, di https://a.id/x. dan 0812 3456-7890, Rp1.500.000 tahun 2024 no 15");
        assert_eq!(found, ["@kedai.kopi", "https://a.id/x", "081234567890", "34567890"]);
        assert_eq!(marks("+62 812-3456-7890")[0], marks("0812 34567890")[0], "the same telephone");
    }
}
