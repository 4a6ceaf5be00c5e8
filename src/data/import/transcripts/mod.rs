//! What speech recognisers wrote of a video: a file a video, whose format is told by its shape.

mod decode;
mod index;
mod json;
mod language;
mod quality;
mod subtitles;
mod table;

use anyhow::{Result, anyhow, bail, ensure};

pub use self::index::{Index, Names, Paired, stem};
pub use self::quality::{Flag, FlagKind, Quality};
use crate::error::Hint;

/// What is read at most, in bytes: an hour of speech with every token takes some 10 MB.
pub const LARGEST: usize = 32 << 20;

/// What a recogniser heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The recogniser or format: `whisper`, `faster-whisper`, `whisper.cpp`, `whisperx`, `segments`, `srt`, `vtt`, `tsv`,
    /// `text`.
    pub kind: &'static str,
    /// As the recogniser says; ISO 639-1 where it has a code for it.
    pub language: Option<String>,
    /// In order of the file; none is blank.
    pub segments: Vec<Segment>,
    /// Characters that were cut in two: put together again, or U+FFFD where the rest is lost.
    pub repaired: usize,
    /// Cues that only said again what the one before said, as captions that roll do.
    pub rolled: usize,
    /// `UTF-8`, or what it was decoded from.
    pub encoding: &'static str,
}

/// What was said in one go. What the recogniser doesn't tell is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// Seconds from the video's start.
    pub start_s: Option<f64>,
    /// Seconds from the video's start.
    pub end_s: Option<f64>,
    /// White space is tidied, tags and names of speakers are left out.
    pub text: String,
    /// Mean natural logarithm of the tokens' probabilities.
    pub avg_logprob: Option<f64>,
    /// Probability that nobody speaks.
    pub no_speech_prob: Option<f64>,
    /// Bytes of the text over its bytes after zlib, of the 30 seconds that it was heard in.
    pub compression_ratio: Option<f64>,
}

impl Transcript {
    /// All that was said.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.segments.iter().map(|segment| segment.text.as_str()).collect();
        texts.join(" ")
    }

    fn new(kind: &'static str, language: Option<&str>, segments: Vec<Segment>) -> Transcript {
        let language = language.and_then(language::code);
        Transcript { kind, language, segments, repaired: 0, rolled: 0, encoding: "UTF-8" }
    }

    /// How many figures the recogniser gives.
    fn figures(&self) -> usize {
        let has = |figure: fn(&Segment) -> Option<f64>| usize::from(self.segments.iter().any(|s| figure(s).is_some()));
        has(|s| s.start_s)
            + has(|s| s.avg_logprob)
            + has(|s| s.no_speech_prob)
            + has(|s| s.compression_ratio)
            + usize::from(self.language.is_some())
    }
}

/// Reads a transcript: JSON of openai-whisper, faster-whisper, whisper.cpp or WhisperX, SRT, VTT or TSV. `None` for what is
/// none of these. `is_transcript` where the file stands among transcripts: then plain text is one too, a segment a line, and
/// what can't be read is an error.
///
/// # Errors
/// Names the file and what is wrong: more than [`LARGEST`], JSON that ends too early, a time that is none, no segments.
pub fn read(name: &str, bytes: &[u8], is_transcript: bool) -> Result<Option<Transcript>> {
    if bytes.len() > LARGEST {
        ensure!(
            !is_transcript,
            anyhow!("{name}: {} MB are too much for a transcript, {} MB are read", bytes.len() >> 20, LARGEST >> 20)
                .hint("a transcript is of one video; is it the right file?")
        );
        return Ok(None);
    }
    let decoded = decode::decode(bytes);
    let text = decoded.text.as_str();
    let found = if text.contains('\0') || text.trim().is_empty() {
        None
    } else if json::is_json(text) {
        json::read(name, text, is_transcript)?
    } else if subtitles::is_subtitles(text) {
        Some(subtitles::read(name, text)?)
    } else if table::is_table(text) {
        Some(table::read(name, text)?)
    } else if is_transcript {
        let segments = text.lines().map(|line| Segment { text: line.to_owned(), ..Segment::default() });
        Some(Transcript::new("text", None, segments.collect()))
    } else {
        None
    };
    let Some(mut transcript) = found else {
        ensure!(!is_transcript, no_transcript(name, text));
        return Ok(None);
    };
    transcript.encoding = decoded.encoding;
    let segments = &mut transcript.segments;
    transcript.repaired = decode::mend(segments.iter_mut().map(|segment| &mut segment.text).collect());
    for segment in segments.iter_mut() {
        segment.text = tidied(&segment.text);
        let seconds = |time: Option<f64>| time.filter(|seconds| *seconds >= 0.0);
        (segment.start_s, segment.end_s) = (seconds(segment.start_s), seconds(segment.end_s));
    }
    segments.retain(|segment| !segment.text.is_empty());
    if segments.is_empty() {
        bail!(
            anyhow!("{name}: no segments with text")
                .hint("the recogniser heard nothing or was stopped; a Reel without speech needs no transcript")
        );
    }
    Ok(Some(transcript))
}

fn no_transcript(name: &str, text: &str) -> anyhow::Error {
    let what = match text {
        _ if text.contains('\0') => "is no text",
        _ if text.trim().is_empty() => "is empty",
        _ => "is JSON, but no recogniser's: it has neither segments nor transcription",
    };
    anyhow!("{name}: {what}").hint("transcripts are JSON of Whisper and its kin, SRT, VTT, TSV or plain text")
}

/// Without white space around it and twice in it, and without the speaker that WhisperX or whisper.cpp writes in front.
fn tidied(text: &str) -> String {
    let text = text.replace("[SPEAKER_TURN]", " ");
    let trimmed = text.trim_start();
    let speaker = [("[SPEAKER_", "]:"), ("(speaker ", ")")].into_iter().find_map(|(before, behind)| {
        let (name, said) = trimmed.strip_prefix(before)?.split_once(behind)?;
        (name == "?" || name.bytes().all(|byte| byte.is_ascii_digit())).then_some(said)
    });
    speaker.unwrap_or(trimmed).split_whitespace().collect::<Vec<&str>>().join(" ")
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
