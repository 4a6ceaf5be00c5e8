//! What of a transcript nobody may have said, with what tells so.

mod compression;

use std::ops::Range;

use serde::Serialize;

use self::compression::compression_ratio;
use super::{Segment, Transcript};
use crate::data::language::{is_told, other_language};
use crate::indonesian::{Unspoken, unspoken};

/// Whisper's own limits (Radford et al. 2022, 4.5): text that compresses better is repeated, speech less likely than this
/// is none.
const MOST_COMPRESSION: f64 = 2.4;
const NO_SPEECH: f64 = 0.6;
const LOW_LOGPROB: f64 = -1.0;
/// What Whisper hears at a time, in seconds.
const WINDOW_S: f64 = 30.0;
/// What Whisper writes of that at most: 224 tokens (Radford et al. 2022, 2.3) of some four letters.
const WINDOW_BYTES: usize = 900;
/// So often in a row nobody says the same.
const IN_A_ROW: usize = 3;

/// What is wrong with a transcript as far as its figures tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quality {
    /// In order of the segments.
    pub flags: Vec<Flag>,
    /// What couldn't be looked at: figures that the recogniser doesn't give of every segment, and `segment_language`.
    pub not_available: Vec<&'static str>,
}

/// A doubt about a segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flag {
    /// Counted from 0; `None` for all of them.
    pub segment: Option<usize>,
    pub kind: FlagKind,
    /// The words, and the figures with their limits.
    pub evidence: String,
}

/// What a segment may be instead of speech in the language of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// Notes and remarks in brackets.
    Music,
    /// A phrase that recognisers make of silence.
    Invented,
    /// The recogniser itself doubts that somebody speaks.
    NoSpeech,
    /// The same again and again.
    Repeated,
    OtherLanguage,
}

impl FlagKind {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            FlagKind::Music => "music",
            FlagKind::Invented => "invented",
            FlagKind::NoSpeech => "no speech",
            FlagKind::Repeated => "repeated",
            FlagKind::OtherLanguage => "another language",
        }
    }
}

impl Quality {
    /// Looks at a transcript that ought to be in a language (ISO 639-1). Whether a segment is in it can be told for
    /// Indonesian and English only; Malay is taken for Indonesian.
    pub fn of(transcript: &Transcript, expected_language: &str) -> Quality {
        let segments = &transcript.segments;
        let mut flags = unspoken_segments(segments);
        flags.extend(segments.iter().enumerate().filter_map(no_speech));
        flags.extend(in_a_row(segments));
        flags.extend(compressed(segments));
        flags.extend(segments.iter().enumerate().filter_map(|(index, segment)| {
            let evidence = other_language(&segment.text, expected_language)?;
            Some(Flag { segment: Some(index), kind: FlagKind::OtherLanguage, evidence })
        }));
        flags.extend(transcript.language.as_ref().filter(|heard| *heard != expected_language).map(|heard| Flag {
            segment: None,
            kind: FlagKind::OtherLanguage,
            evidence: format!("the recogniser says {heard}, expected {expected_language}"),
        }));
        flags.sort_by_key(|flag| (flag.segment, flag.kind));
        flags.dedup_by_key(|flag| (flag.segment, flag.kind));
        let lacks = |figure: fn(&Segment) -> Option<f64>| segments.iter().any(|segment| figure(segment).is_none());
        let not_available = [
            ("avg_logprob", lacks(|segment| segment.avg_logprob)),
            ("no_speech_prob", lacks(|segment| segment.no_speech_prob)),
            ("compression_ratio", lacks(|segment| segment.compression_ratio)),
            ("times", lacks(|segment| segment.start_s.and(segment.end_s))),
            ("language", transcript.language.is_none()),
            ("segment_language", !is_told(expected_language)),
        ];
        let not_available = not_available.into_iter().filter(|(_, lacks)| *lacks).map(|(name, _)| name).collect();
        Quality { flags, not_available }
    }
}

/// Music; and stock phrases: who made the subtitles wherever that stands, what ends videos where nothing is said behind
/// it, a thanks where nothing else is said at all.
fn unspoken_segments(segments: &[Segment]) -> Vec<Flag> {
    let what: Vec<Option<Unspoken>> = segments.iter().map(|segment| unspoken(&segment.text)).collect();
    let end = what.iter().rposition(Option::is_none).map_or(0, |last| last + 1);
    let flag = |(index, what): (usize, &Option<Unspoken>)| {
        let (kind, why) = match (*what)? {
            Unspoken::Music => (FlagKind::Music, ""),
            Unspoken::Repeated => (FlagKind::Repeated, ", one phrase again and again"),
            Unspoken::Credit => (FlagKind::Invented, ", which names who made subtitles"),
            Unspoken::Closing if index >= end => (FlagKind::Invented, " alone at the end"),
            Unspoken::Thanks if end == 0 => (FlagKind::Invented, ", and nothing else is said"),
            Unspoken::Closing | Unspoken::Thanks => return None,
        };
        let silence =
            segments[index].no_speech_prob.map_or(String::new(), |prob| format!(", no_speech_prob {prob:.2}"));
        Some(Flag { segment: Some(index), kind, evidence: format!("{}{why}{silence}", quoted(&segments[index].text)) })
    };
    what.iter().enumerate().filter_map(flag).collect()
}

fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let start: String = text.chars().take(SHOWN).collect();
    if start.len() < text.len() { format!("\"{start}…\"") } else { format!("\"{start}\"") }
}

fn no_speech((index, segment): (usize, &Segment)) -> Option<Flag> {
    let (silence, logprob) = segment.no_speech_prob.zip(segment.avg_logprob)?;
    (silence > NO_SPEECH && logprob < LOW_LOGPROB).then(|| Flag {
        segment: Some(index),
        kind: FlagKind::NoSpeech,
        evidence: format!("no_speech_prob {silence:.2} > {NO_SPEECH}, avg_logprob {logprob:.2} < {LOW_LOGPROB:.1}"),
    })
}

/// The same words, segment after segment.
fn in_a_row(segments: &[Segment]) -> Vec<Flag> {
    let words = |segment: &Segment| letters(&segment.text);
    let all: Vec<String> = segments.iter().map(words).collect();
    let mut flags = Vec::new();
    let mut first = 0;
    for run in all.chunk_by(|a, b| a == b) {
        if run.len() >= IN_A_ROW && !run[0].is_empty() {
            let evidence = format!("{} {} times in a row", quoted(&segments[first].text), run.len());
            flags.extend(flagged(first..first + run.len(), &evidence));
        }
        first += run.len();
    }
    flags
}

/// Letters and digits without case.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn flagged(segments: Range<usize>, evidence: &str) -> impl Iterator<Item = Flag> {
    segments.map(move |index| Flag { segment: Some(index), kind: FlagKind::Repeated, evidence: evidence.to_owned() })
}

/// What compresses too well, by the recogniser's figure or by ours of each segment and of what is heard at a time.
fn compressed(segments: &[Segment]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let singles = segments.iter().enumerate().map(|(index, segment)| (index, segment.compression_ratio));
    for (index, ratio) in singles.filter_map(|(index, ratio)| Some((index, ratio?))) {
        if ratio > MOST_COMPRESSION {
            let evidence = format!("compression_ratio {ratio:.2} > {MOST_COMPRESSION}, says the recogniser");
            flags.extend(flagged(index..index + 1, &evidence));
        }
    }
    for range in (0..segments.len()).map(|index| index..index + 1).chain(windows(segments)) {
        let texts: Vec<&str> = segments[range.clone()].iter().map(|segment| segment.text.as_str()).collect();
        let text = texts.join(" ");
        let ratio = pieces(&text).map(compression_ratio).fold(0.0, f64::max);
        if ratio > MOST_COMPRESSION {
            let evidence = match range.len() {
                1 => format!("compression ratio {ratio:.2} > {MOST_COMPRESSION}"),
                _ => format!(
                    "compression ratio {ratio:.2} > {MOST_COMPRESSION} of segments {}–{}",
                    range.start,
                    range.end - 1
                ),
            };
            flags.extend(flagged(range, &evidence));
        }
    }
    flags
}

/// A text in pieces no longer than what is heard at a time: any text compresses well when it is long.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(WINDOW_BYTES));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Segments that lie within [`WINDOW_S`]; none without times.
fn windows(segments: &[Segment]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut first = 0;
    for at in 1..=segments.len() {
        let is_within = segments.get(at).is_some_and(|next| {
            let times = next.end_s.zip(segments[first].start_s);
            times.is_some_and(|(end, start)| end - start <= WINDOW_S)
        });
        if !is_within {
            if at - first > 1 {
                windows.push(first..at);
            }
            first = at;
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str) -> Segment {
        Segment { text: text.into(), ..Segment::default() }
    }

    fn flags(segments: Vec<Segment>) -> Vec<(Option<usize>, FlagKind)> {
        let transcript = Transcript::new("whisper", Some("id"), segments);
        Quality::of(&transcript, "id").flags.iter().map(|flag| (flag.segment, flag.kind)).collect()
    }

    const SPEECH: &str = "Hari ini kita masak soto ayam di rumah Bu Ratmi, bumbunya cuma lima macam.";

    #[test]
    fn phrases_are_doubted_where_nothing_is_said_behind_them() {
        use FlagKind::{Invented, Music};
        let of = |texts: &[&str]| flags(texts.iter().map(|text| segment(text)).collect());
        let closing = "Terima kasih sudah menonton!";
        assert_eq!(of(&[SPEECH, closing]), [(Some(1), Invented)]);
        assert_eq!(of(&[SPEECH, closing, "♪"]), [(Some(1), Invented), (Some(2), Music)]);
        assert_eq!(of(&[closing, SPEECH]), []);
        assert_eq!(of(&[SPEECH, "Terima kasih."]), []);
        assert_eq!(of(&["[Musik]", "Terima kasih."]), [(Some(0), Music), (Some(1), Invented)]);
        assert_eq!(of(&["Subtitles by the Amara.org community", SPEECH]), [(Some(0), Invented)]);
        assert_eq!(of(&["(musik)", SPEECH]), [(Some(0), Music)]);
        assert_eq!(of(&[&format!("{SPEECH} {closing}")]), []);
    }

    #[test]
    fn figures_are_held_against_whispers_limits() {
        let measured = |silence: f64, logprob: f64, ratio: f64| {
            let (no_speech_prob, avg_logprob) = (Some(silence), Some(logprob));
            flags(vec![Segment { no_speech_prob, avg_logprob, compression_ratio: Some(ratio), ..segment(SPEECH) }])
        };
        assert_eq!(measured(0.61, -1.01, 2.4), [(Some(0), FlagKind::NoSpeech)]);
        assert_eq!(measured(0.6, -1.01, 2.4), []);
        assert_eq!(measured(0.61, -1.0, 2.4), []);
        assert_eq!(measured(0.1, -0.1, 2.41), [(Some(0), FlagKind::Repeated)]);
    }

    #[test]
    fn repetition_is_found_within_and_between_segments() {
        let again = "jangan lupa mampir ke kedai kami ya teman-teman ".repeat(8);
        let timed = |index: usize, text: &str| Segment {
            start_s: Some(3.0 * index as f64),
            end_s: Some(3.0 * (index + 1) as f64),
            ..segment(text)
        };
        assert_eq!(flags(vec![segment(&again)]), [(Some(0), FlagKind::Repeated)]);
        let same = ["Ayo beli.", "ayo beli", "Ayo, beli!", SPEECH].map(segment);
        assert_eq!(flags(same.to_vec()), [0, 1, 2].map(|index| (Some(index), FlagKind::Repeated)));
        assert_eq!(flags(["Ayo beli.", "ayo beli", SPEECH].map(segment).to_vec()), []);
        assert!(!flags(["...", ".", "…"].map(segment).to_vec()).contains(&(Some(1), FlagKind::Repeated)));
        // A loop of two segments, which only shows in both together.
        let two = ["kopi susu gula aren murah sekali", "di kedai bu ratmi salatiga ya kak"];
        let repeated: Vec<Segment> = (0..12).map(|index| timed(index, two[index % 2])).collect();
        assert_eq!(flags(repeated[..10].to_vec()).len(), 10);
        let untimed: Vec<Segment> = repeated.iter().map(|segment| self::segment(&segment.text)).collect();
        assert_eq!(flags(untimed), []);
    }

    #[test]
    fn long_speech_is_no_repetition() {
        let sample = include_str!("../../../../eval/sample.jsonl");
        let reels = sample.lines().map(|line| serde_json::from_str::<crate::reel::Reel>(line).unwrap());
        let all = reels.filter_map(|reel| reel.transcript).collect::<Vec<String>>().join(" ");
        assert!(compression_ratio(&all) > MOST_COMPRESSION);
        assert_eq!(flags(vec![segment(&all)]), []);
    }

    #[test]
    fn windows_are_what_whisper_hears_at_a_time() {
        let timed = |start: f64, end: f64| Segment { start_s: Some(start), end_s: Some(end), ..segment("a") };
        let segments = [timed(0.0, 10.0), timed(10.0, 30.0), timed(30.0, 31.0), timed(31.0, 70.0), timed(70.0, 71.0)];
        assert_eq!(windows(&segments).iter().map(|window| (window.start, window.end)).collect::<Vec<_>>(), [(0, 2)]);
        assert!(windows(&[]).is_empty());
    }

    #[test]
    fn other_languages_are_told() {
        let english = "I will show you how to make this wonderful chicken soup at home today.";
        assert_eq!(flags(vec![segment(SPEECH), segment(english)]), [(Some(1), FlagKind::OtherLanguage)]);
        let mut transcript = Transcript::new("whisper", Some("english"), vec![segment(SPEECH)]);
        let heard = Quality::of(&transcript, "id");
        assert_eq!(heard.flags[0].segment, None);
        assert_eq!(heard.flags[0].evidence, "the recogniser says en, expected id");
        assert!(!heard.not_available.contains(&"segment_language"));
        transcript.language = None;
        let unknown = Quality::of(&transcript, "jv");
        assert_eq!(unknown.flags, []);
        assert_eq!(
            unknown.not_available,
            ["avg_logprob", "no_speech_prob", "compression_ratio", "times", "language", "segment_language"]
        );
    }

    #[test]
    fn a_record_can_hold_it() {
        let quality = Quality::of(&Transcript::new("srt", None, vec![segment("♪♪")]), "id");
        let written = serde_json::to_value(&quality).unwrap();
        let flag = serde_json::json!({"segment": 0, "kind": "music", "evidence": "\"♪♪\""});
        assert_eq!(written["flags"], serde_json::json!([flag]));
        assert!(written["not_available"].as_array().unwrap().contains(&"no_speech_prob".into()));
    }
}
