//! Which transcript belongs to which Reel, told by the names of files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Transcript;
use super::quality::letters;

/// Letters of a shortcode: 10 in Instagram's first years, 11 since.
const SHORTCODE: RangeInclusive<usize> = 10..=12;
/// Digits of an id, at least; fewer are dates.
const ID: usize = 15;

const TEXT: [&str; 9] = [".info.json", ".json.xz", ".jsonl", ".json", ".srt", ".vtt", ".tsv", ".txt", ".csv"];
const MEDIA: [&str; 11] = [".mp4", ".mov", ".mkv", ".webm", ".m4a", ".mp3", ".wav", ".aac", ".flac", ".ogg", ".opus"];

/// What a Reel is called by its collector.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// Of the collector's file, see [`stem`].
    pub stem: Option<&'a str>,
    pub shortcode: Option<&'a str>,
    /// The platform's number.
    pub id: Option<&'a str>,
}

/// Transcripts by what their files are called.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<File>,
    by_stem: HashMap<String, Vec<usize>>,
    by_part: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// `None` where it can't be read.
    transcript: Option<Transcript>,
    /// Reels that it was found for.
    reels: usize,
}

/// What there is for a Reel.
#[derive(Debug, PartialEq)]
pub struct Paired<'a> {
    /// Of one whose stem is the collector's file's before others, then the one with most figures. `None` where two that
    /// contradict are equal in that, and where none can be read.
    pub used: Option<(&'a Path, &'a Transcript)>,
    /// Those that say something else; all of them where none is used.
    pub contradicting: Vec<&'a Path>,
    pub unreadable: Vec<&'a Path>,
}

struct Candidate<'a> {
    /// Whether its stem is the collector's, and how many figures it has.
    rank: (bool, usize),
    path: &'a Path,
    transcript: &'a Transcript,
}

impl Index {
    /// Takes all files among which transcripts are looked for, with what was read of them; errors are the caller's to report.
    pub fn new(files: Vec<(PathBuf, Result<Transcript>)>) -> Index {
        let file = |(path, read): (PathBuf, Result<Transcript>)| File { path, transcript: read.ok(), reels: 0 };
        let mut index = Index { files: files.into_iter().map(file).collect(), ..Index::default() };
        index.files.sort_by(|a, b| a.path.cmp(&b.path));
        for (at, file) in index.files.iter().enumerate() {
            let stems = stems(&file.path);
            let parts: BTreeSet<&str> = stems.iter().flat_map(|stem| parts(stem)).collect();
            for part in parts {
                index.by_part.entry(part.to_owned()).or_default().push(at);
            }
            for stem in stems {
                index.by_stem.entry(stem).or_default().push(at);
            }
        }
        index
    }

    /// The transcript of a Reel, asked for once, found by stem, shortcode or id. Texts that differ in letters or digits contradict; SRT and
    /// JSON of one recogniser don't. `None` where no file is called like it.
    pub fn find(&mut self, names: Names) -> Option<Paired<'_>> {
        // Each once; those with the very stem are noted.
        let mut found: BTreeMap<usize, bool> = BTreeMap::new();
        for part in [names.shortcode, names.id].into_iter().flatten() {
            found.extend(self.by_part.get(part).into_iter().flatten().map(|at| (*at, false)));
        }
        let has_stem = names.stem.and_then(|stem| self.by_stem.get(stem));
        found.extend(has_stem.into_iter().flatten().map(|at| (*at, true)));
        if found.is_empty() {
            return None;
        }
        for at in found.keys() {
            self.files[*at].reels += 1;
        }
        let mut by_text: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        let mut unreadable = Vec::new();
        for (at, has_stem) in found {
            let File { path, transcript, .. } = &self.files[at];
            let Some(transcript) = transcript else {
                unreadable.push(path.as_path());
                continue;
            };
            let candidate = Candidate { rank: (has_stem, transcript.figures()), path, transcript };
            by_text.entry(letters(&transcript.text())).or_default().push(candidate);
        }
        // The best of each text, the best text last.
        let mut texts: Vec<Vec<Candidate>> = by_text.into_values().collect();
        for text in &mut texts {
            // Stable: of equals the first by name.
            text.sort_by_key(|candidate| std::cmp::Reverse(candidate.rank));
        }
        texts.sort_by_key(|text| text[0].rank);
        let is_tied = matches!(&texts[..], [.., second, first] if second[0].rank == first[0].rank);
        let used = if is_tied { None } else { texts.pop() };
        let mut contradicting: Vec<&Path> = texts.iter().flatten().map(|candidate| candidate.path).collect();
        contradicting.sort_unstable();
        let used = used.map(|text| (text[0].path, text[0].transcript));
        Some(Paired { used, contradicting, unreadable })
    }

    /// Files that no Reel was found for, in order of their names; [`stem`] of one is to be compared with the Reels'.
    pub fn unpaired(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|file| file.reels == 0).map(|file| file.path.as_path())
    }

    /// Files that were found for several Reels, of which all but one are likely wrong: a stem that is a time isn't unique.
    pub fn shared(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|file| file.reels > 1).map(|file| file.path.as_path())
    }
}

/// A file's name without what collectors, recorders and recognisers put at its end.
pub fn stem(path: &Path) -> String {
    stems(path).swap_remove(0)
}

/// The same, and what may be the stem where a language or a medium stands at the end: whisper.cpp writes `x.wav.json`,
/// yt-dlp `x.id.vtt`.
fn stems(path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let without = |name: &str, ends: &[&str]| {
        let end = ends.iter().find(|end| name.len() > end.len() && name.to_lowercase().ends_with(**end));
        end.and_then(|end| name.get(..name.len() - end.len())).map(str::to_owned)
    };
    let mut stems = vec![without(&name, &TEXT).unwrap_or_else(|| name.into_owned())];
    let bare = without(&stems[0], &MEDIA);
    stems.splice(..0, bare);
    let spoken = stems[0].rsplit_once('.').filter(|(stem, language)| {
        let code = language.split('-').next().unwrap_or("");
        !stem.is_empty() && matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_lowercase())
    });
    if let Some(stem) = spoken.map(|(stem, _)| stem.to_owned()) {
        stems.extend(without(&stem, &MEDIA));
        stems.push(stem);
    }
    stems
}

/// Parts of a name that may be a shortcode or an id: all of it, what stands in brackets, words of a shortcode's length, long
/// numbers.
fn parts(stem: &str) -> BTreeSet<&str> {
    let mut parts: BTreeSet<&str> = stem.split(['[', ']', '(', ')']).map(str::trim).collect();
    parts.extend(stem.split(|char: char| !char.is_ascii_digit()).filter(|digits| digits.len() >= ID));
    parts.insert(stem);
    let separators: Vec<usize> =
        stem.match_indices(|char: char| !char.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let starts = std::iter::once(0).chain(separators.iter().map(|at| at + 1));
    for start in starts {
        // A shortcode may have - and _ in it, which separate it too.
        for end in separators.iter().copied().chain([stem.len()]).filter(|end| *end > start) {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let word = stem.get(start..end).filter(|word| SHORTCODE.contains(&word.len()));
            parts.extend(word.filter(|word| word.bytes().all(is_letter)));
        }
    }
    parts.remove("");
    parts
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::super::Segment;
    use super::*;

    fn transcript(kind: &'static str, text: &str, logprob: Option<f64>) -> Transcript {
        let segment = Segment { text: text.into(), avg_logprob: logprob, ..Segment::default() };
        Transcript::new(kind, None, vec![segment])
    }

    /// Path, what is said if it can be read, and a figure.
    type Written = (&'static str, Option<(&'static str, Option<f64>)>);

    fn index(files: &[Written]) -> Index {
        let file = |(path, said): &Written| {
            let read = said.map(|(text, logprob)| transcript("text", text, logprob)).ok_or_else(|| anyhow!("broken"));
            (PathBuf::from(path), read)
        };
        Index::new(files.iter().map(file).collect())
    }

    fn used(index: &mut Index, names: Names) -> Option<String> {
        let (path, _) = index.find(names)?.used?;
        Some(path.display().to_string())
    }

    #[test]
    fn files_are_found_by_the_names_that_tools_give_them() {
        let all = [
            "t/Video by dapurbusari [DA1_bC-dE2f].json",
            "t/2024-06-26_10-20-00_UTC.json",
            "t/3401234567890123456_3401234567890123457_55.wav.json",
            "t/DFaB12345_-.id.vtt",
            "t/kopi.enak_DGxY98765zz_2.txt",
            "t/toko.id.srt",
        ];
        let files: Vec<_> = all.iter().map(|path| (*path, Some(("halo", None)))).collect();
        let mut index = index(&files);
        let stem = |stem| Names { stem: Some(stem), ..Names::default() };
        let shortcode = |shortcode| Names { shortcode: Some(shortcode), ..Names::default() };
        let id = |id| Names { id: Some(id), ..Names::default() };
        for (names, expected) in [
            (stem("Video by dapurbusari [DA1_bC-dE2f]"), Some(all[0])),
            (shortcode("DA1_bC-dE2f"), Some(all[0])),
            (stem("2024-06-26_10-20-00_UTC"), Some(all[1])),
            (id("3401234567890123456"), Some(all[2])),
            (stem("3401234567890123456_3401234567890123457_55"), Some(all[2])),
            (shortcode("DFaB12345_-"), Some(all[3])),
            (shortcode("DGxY98765zz"), Some(all[4])),
            (stem("toko.id"), Some(all[5])),
            (shortcode("da1_bc-de2f"), None),
            (shortcode("DA1_bC-dE2"), None),
            (id("20240626102000"), None),
            (stem("kopi.enak"), None),
        ] {
            assert_eq!(used(&mut index, names).as_deref(), expected, "{names:?}");
        }
        assert_eq!(index.unpaired().count(), 0);
    }

    #[test]
    fn collectors_files_have_a_stem() {
        for (name, expected) in [
            ("a/Video by x [DA1_bC-dE2f].info.json", "Video by x [DA1_bC-dE2f]"),
            ("2024-06-26_10-20-00_UTC.json.xz", "2024-06-26_10-20-00_UTC"),
            ("34_55.mp4.json", "34_55"),
            ("kopi.enak.MP4", "kopi.enak"),
            ("toko.id.srt", "toko.id"),
            (".json", ".json"),
            ("", ""),
        ] {
            assert_eq!(stem(Path::new(name)), expected);
        }
    }

    #[test]
    fn transcripts_that_say_the_same_are_one() {
        let same = [("a.srt", Some(("Halo,  SEMUA!", None))), ("b/a.json", Some(("halo semua", Some(-0.1))))];
        let mut index = index(&same);
        let paired = index.find(Names { stem: Some("a"), ..Names::default() }).unwrap();
        assert_eq!(paired.used.unwrap().0, Path::new("b/a.json"));
        assert_eq!(paired.contradicting, [] as [&Path; 0]);
    }

    #[test]
    fn contradictions_are_named() {
        let code = "DA1_bC-dE2f";
        let both = Names { stem: Some("reel"), shortcode: Some(code), id: None };
        let (bracketed, plain) = ("x [DA1_bC-dE2f].json", "DA1_bC-dE2f.txt");
        let said = |index: &mut Index| -> (Option<String>, Vec<String>) {
            let paired = index.find(both).unwrap();
            let name = |path: &Path| path.display().to_string();
            (paired.used.map(|(path, _)| name(path)), paired.contradicting.iter().map(|path| name(path)).collect())
        };
        // The one with more figures, the one with the very stem, none where they are equal.
        let mut richer = index(&[(bracketed, Some(("satu", Some(-0.1)))), (plain, Some(("dua", None)))]);
        assert_eq!(said(&mut richer), (Some(bracketed.into()), vec![plain.into()]));
        let mut stem = index(&[(bracketed, Some(("satu", Some(-0.1)))), ("reel.txt", Some(("dua", None)))]);
        assert_eq!(said(&mut stem), (Some("reel.txt".into()), vec![bracketed.into()]));
        let mut equal = index(&[(bracketed, Some(("satu", None))), (plain, Some(("dua", None)))]);
        assert_eq!(said(&mut equal), (None, vec![plain.into(), bracketed.into()]));
        assert_eq!(equal.unpaired().count(), 0);
    }

    #[test]
    fn what_cannot_be_read_and_what_has_no_reel_is_named() {
        let mut index = index(&[("a.json", None), ("a.srt", Some(("halo", None))), ("lain.srt", Some(("hai", None)))]);
        let paired = index.find(Names { stem: Some("a"), ..Names::default() }).unwrap();
        assert_eq!(paired.unreadable, [Path::new("a.json")]);
        assert_eq!(paired.used.unwrap().0, Path::new("a.srt"));
        assert_eq!(index.unpaired().collect::<Vec<_>>(), [Path::new("lain.srt")]);
        assert_eq!(index.shared().count(), 0);
        index.find(Names { stem: Some("a"), ..Names::default() });
        assert_eq!(index.shared().collect::<Vec<_>>(), ["a.json", "a.srt"].map(Path::new));
        assert_eq!(index.find(Names::default()), None);
    }
}
