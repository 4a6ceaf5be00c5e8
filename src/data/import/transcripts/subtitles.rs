//! SRT and VTT, as recognisers, editors and video sites write them.

use anyhow::{Result, anyhow, bail};

use super::{Segment, Transcript};
use crate::error::Hint;

const ARROW: &str = "-->";

/// A text and when it is shown, in seconds.
#[derive(Debug)]
struct Cue {
    start: f64,
    end: f64,
    lines: Vec<String>,
}

/// Whether a text has VTT's head, or times among its first lines.
pub fn is_subtitles(text: &str) -> bool {
    const FIRST: usize = 5;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    is_vtt(text) || lines.by_ref().take(FIRST).any(|line| times(line).is_some())
}

fn is_vtt(text: &str) -> bool {
    text.trim_start().starts_with("WEBVTT")
}

/// Reads all cues. What rolls up, each cue beginning with what the one before said, is taken once and counted.
///
/// # Errors
/// Names the file and the line with a time that is none.
pub fn read(name: &str, text: &str) -> Result<Transcript> {
    let is_vtt = is_vtt(text);
    let mut cues: Vec<Cue> = Vec::new();
    let (mut language, mut in_cue) = (None, false);
    for (index, line) in text.lines().enumerate() {
        if let Some((start, end)) = times(line) {
            // In front of the time stands a number; VTT may have a name there, behind a blank line.
            if let Some(cue) = cues.last_mut()
                && cue.lines.last().is_some_and(|line| is_number(line))
            {
                cue.lines.pop();
            }
            cues.push(Cue { start, end, lines: vec![] });
            in_cue = true;
            continue;
        }
        if line.split_once(ARROW).is_some_and(|(start, _)| seconds(start).is_some()) {
            bail!(
                anyhow!("{name}:{}: expected two times, found {line:?}", index + 1)
                    .hint("write 00:00:01,000 --> 00:00:02,500; is the file whole?")
            );
        }
        match cues.last_mut() {
            None => language = language.or(line.strip_prefix("Language:").map(str::trim)),
            // A blank line ends a cue of VTT; behind it come notes, styles and names. SRT's may have one in it.
            Some(_) if is_vtt && line.is_empty() => in_cue = false,
            Some(cue) if in_cue => cue.lines.push(line.to_owned()),
            Some(_) => {}
        }
    }
    let has_timed_words = text.contains("<u>") || text.contains("<c>");
    for cue in &mut cues {
        cue.lines = cue.lines.iter().map(|line| plain(line)).filter(|line| !line.trim().is_empty()).collect();
    }
    let count = cues.len();
    if has_timed_words || rolls(&cues) {
        cues = unrolled(cues);
    }
    let rolled = count - cues.len();
    let segment = |cue: Cue| Segment {
        start_s: Some(cue.start),
        end_s: Some(cue.end),
        text: cue.lines.join(" "),
        ..Segment::default()
    };
    let kind = if is_vtt { "vtt" } else { "srt" };
    let segments = cues.into_iter().map(segment).collect();
    Ok(Transcript { rolled, ..Transcript::new(kind, language, segments) })
}

fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// The two times of a line, in seconds. VTT's settings and SRT's coordinates may follow.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once(ARROW)?;
    Some((seconds(start)?, seconds(rest.split_whitespace().next()?)?))
}

/// `00:01:02,345`, `01:02.345` or `01:02`.
fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let (clock, fraction) = text.split_once([',', '.']).unwrap_or((text, "0"));
    let digits = |text: &str| (is_number(text) && text.len() <= 6).then(|| text.parse::<u32>().ok()).flatten();
    let mut seconds = 0.0;
    for part in clock.split(':') {
        seconds = 60.0 * seconds + f64::from(digits(part)?);
    }
    let parts = clock.split(':').count();
    let fraction = f64::from(digits(fraction)?) / 10f64.powi(fraction.len() as i32);
    // To the millisecond: what is added up has other last bits than what is written.
    matches!(parts, 2 | 3).then(|| ((seconds + fraction) * 1000.0).round() / 1000.0)
}

/// A line without tags and with its entities as letters.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{']) {
        let (before, tag) = rest.split_at(at);
        let is_style = tag.starts_with("{\\");
        let is_tag = tag[1..].starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/');
        plain.push_str(before);
        match tag.find(if is_style { '}' } else { '>' }) {
            Some(end) if is_style || (tag.starts_with('<') && is_tag) => rest = &tag[end + 1..],
            _ => {
                plain.push_str(&tag[..1]);
                rest = &tag[1..];
            }
        }
    }
    plain.push_str(rest);
    const ENTITIES: [(&str, &str); 6] =
        [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&lrm;", ""), ("&rlm;", ""), ("&amp;", "&")];
    ENTITIES.iter().fold(plain, |plain, (entity, letter)| plain.replace(entity, letter))
}

/// Whether most cues of several lines begin with the line that the one before ended with.
fn rolls(cues: &[Cue]) -> bool {
    let tall: Vec<&[Cue]> = cues.windows(2).filter(|pair| pair[1].lines.len() > 1).collect();
    let rolling = tall.iter().filter(|pair| pair[0].lines.last() == pair[1].lines.first()).count();
    rolling > 1 && 2 * rolling > tall.len()
}

/// Each line once.
fn unrolled(cues: Vec<Cue>) -> Vec<Cue> {
    let mut once: Vec<Cue> = Vec::with_capacity(cues.len());
    let mut shown: Vec<String> = Vec::new();
    for mut cue in cues {
        let most = shown.len().min(cue.lines.len());
        let again = (0..=most).rev().find(|again| shown[shown.len() - again..] == cue.lines[..*again]).unwrap_or(0);
        shown.clone_from(&cue.lines);
        cue.lines.drain(..again);
        match once.last_mut() {
            Some(last) if again > 0 && cue.lines.is_empty() => last.end = last.end.max(cue.end),
            _ => once.push(cue),
        }
    }
    once
}
