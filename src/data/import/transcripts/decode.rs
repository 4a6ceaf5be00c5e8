//! Bytes as text, and characters that were cut in two.

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::lines::utf16;

/// A byte that is no UTF-8 stands in a text as this and the byte, for private use, until [`mend`] knows what is beside it.
const STRAY: u32 = 0x10_fe00;

pub struct Decoded {
    /// To be mended.
    pub text: String,
    /// As the Encoding Standard names it.
    pub encoding: &'static str,
}

/// A text in UTF-8 or UTF-16, or else in windows-1252, which holds Latin-1; an object
/// in JSON is never that.
pub fn decode(bytes: &[u8]) -> Decoded {
    if let Some((big, mark)) = utf16(bytes) {
        let encoding = if big { UTF_16BE } else { UTF_16LE };
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return Decoded { text: text.into_owned(), encoding: encoding.name() };
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut text, mut stray_bytes) = (String::with_capacity(bytes.len()), Vec::new());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        stray_bytes.extend_from_slice(chunk.invalid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(STRAY + u32::from(*byte))));
    }
    // Letters beyond ASCII that are whole are UTF-8's; so are those that become so when the ends of lines come together.
    let has_whole = bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    let at_ends = |line: &str| !line.trim().trim_matches(is_stray).contains(is_stray);
    let is_cut = has_whole
        || bytes.trim_ascii_start().starts_with(b"{")
        || std::str::from_utf8(&stray_bytes).is_ok() && text.lines().all(at_ends);
    if is_cut {
        return Decoded { text, encoding: "UTF-8" };
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    Decoded { text: text.into_owned(), encoding: WINDOWS_1252.name() }
}

fn stray(char: char) -> Option<u8> {
    u8::try_from((char as u32).checked_sub(STRAY)?).ok().filter(|byte| *byte >= 0x80)
}

fn is_stray(char: char) -> bool {
    stray(char).is_some()
}

/// Puts characters together that were cut between two texts, where the first of them ends. What else is cut becomes
/// U+FFFD. Gives the number of both.
pub fn mend(mut texts: Vec<&mut String>) -> usize {
    let mut mended = 0;
    for at in 1..texts.len() {
        let (before, behind) = texts.split_at_mut(at);
        let (before, behind) = (&mut *before[at - 1], &mut *behind[0]);
        let end: Vec<char> = before.chars().rev().take_while(|char| is_stray(*char)).collect();
        let start: Vec<char> = behind.chars().take_while(|char| is_stray(*char)).collect();
        let bytes: Vec<u8> = end.iter().rev().chain(&start).filter_map(|char| stray(*char)).collect();
        if let Ok(whole) = std::str::from_utf8(&bytes)
            && !end.is_empty()
            && !start.is_empty()
        {
            before.truncate(before.len() - end.iter().map(|char| char.len_utf8()).sum::<usize>());
            before.push_str(whole);
            behind.drain(..start.iter().map(|char| char.len_utf8()).sum::<usize>());
            mended += 1;
        }
    }
    for text in texts.iter_mut().filter(|text| text.contains(is_stray)) {
        let mut whole = String::with_capacity(text.len());
        let mut was_stray = false;
        for char in text.chars() {
            let is_stray = is_stray(char);
            if !is_stray {
                whole.push(char);
            } else if !was_stray {
                whole.push('\u{fffd}');
                mended += 1;
            }
            was_stray = is_stray;
        }
        **text = whole;
    }
    mended
}
