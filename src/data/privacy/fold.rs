//! A copy of a text to search in, in which full-width digits, mathematical letters, zero-width characters and capitals hide
//! nothing, with the way back.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

use super::scrub::Kind;

/// Stands for each byte of what has been found.
pub const FOUND: u8 = 1;
/// Stands for emoji and other signs.
pub const SIGN: u8 = 2;

/// Lower-case, the letters of other alphabets that look like Latin ones among them.
pub struct Folded {
    /// UTF-8.
    pub bytes: Vec<u8>,
    /// Where in `bytes` and in the text, wherever the distance of the two changes.
    anchors: Vec<(usize, usize)>,
}

impl Folded {
    /// Placeholders in it count as found.
    pub fn of(text: &str) -> Folded {
        let mut folded = Folded { bytes: Vec::with_capacity(text.len()), anchors: vec![] };
        let mut placeholder_ends = 0;
        for (at, letter) in text.char_indices() {
            if letter == '<'
                && let Some(kind) = Kind::ALL.iter().find(|kind| text[at..].starts_with(kind.placeholder()))
            {
                placeholder_ends = at + kind.placeholder().len();
            }
            if at < placeholder_ends {
                folded.anchor(at);
                folded.bytes.push(FOUND);
            } else if letter.is_ascii() {
                folded.anchor(at);
                folded.bytes.push(ascii(letter));
            } else if let Some(letters) = plain(letter) {
                folded.anchor(at);
                folded.bytes.extend_from_slice(letters.as_bytes());
            }
        }
        folded.anchors.push((folded.bytes.len(), text.len()));
        folded
    }

    fn anchor(&mut self, original: usize) {
        let here = self.bytes.len();
        // Both grow alike from the last anchor on.
        if self.anchors.last().is_none_or(|(folded, at)| original - at != here - folded) {
            self.anchors.push((here, original));
        }
    }

    /// Marks a part as found: it is met no more.
    pub fn take(&mut self, start: usize, end: usize) {
        self.bytes[start..end].fill(FOUND);
    }

    /// Where a part stands in the text that this is the copy of.
    pub fn original(&self, text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
        text.floor_char_boundary(self.at(start))..text.ceil_char_boundary(self.at(end))
    }

    fn at(&self, folded: usize) -> usize {
        let next = self.anchors.partition_point(|(anchor, _)| *anchor <= folded);
        let Some((anchor, original)) = next.checked_sub(1).map(|last| self.anchors[last]) else { return 0 };
        let most = self.anchors.get(next).map_or(original, |(_, original)| *original);
        (original + folded - anchor).min(most)
    }

    /// The letter or digit, or whatever else, before a place; a line break at the start.
    pub fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(b'\n', |before| self.bytes[before])
    }

    /// The one at a place; a line break at the end.
    pub fn after(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }
}

/// Whether a byte is part of a letter or digit.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn ascii(letter: char) -> u8 {
    match letter {
        '\n' => b'\n',
        letter if letter.is_ascii_control() => b' ',
        letter => letter.to_ascii_lowercase() as u8,
    }
}

/// `None` for what can't be seen.
fn plain(letter: char) -> Option<String> {
    if let Some(digit) = digit(letter) {
        return Some(digit.to_string());
    }
    if is_combining_mark(letter) || is_invisible(letter) {
        return None;
    }
    let mut plain = String::new();
    for letter in std::iter::once(letter).nfkc() {
        match letter {
            letter if letter.is_ascii() => plain.push(ascii(letter) as char),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '·' | '•' | '∙' => plain.push('.'),
            '\u{2028}' | '\u{2029}' => plain.push('\n'),
            letter if letter.is_whitespace() => plain.push(' '),
            letter if is_combining_mark(letter) => {}
            letter if letter.is_alphanumeric() => {
                let mut buffer = [0; 4];
                let seen = skeleton(letter.encode_utf8(&mut buffer)).filter(|letter| !is_combining_mark(*letter));
                plain.extend(seen.flat_map(char::to_lowercase));
            }
            _ => plain.push(SIGN as char),
        }
    }
    Some(plain)
}

/// Of scripts other than Latin, and in circles; full-width and mathematical ones are compatible with plain ones.
fn digit(letter: char) -> Option<u32> {
    const ZEROS: [u32; 6] = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0x1040];
    // Of digits in circles, those from 1.
    const ONES: [u32; 3] = [0x2776, 0x2780, 0x278a];
    let code = letter as u32;
    let zero = ZEROS.into_iter().find(|zero| (*zero..zero + 10).contains(&code)).map(|zero| code - zero);
    let circled = || ONES.into_iter().find(|one| (*one..one + 9).contains(&code)).map(|one| code - one + 1);
    zero.or_else(circled).or((letter == '\u{24ff}').then_some(0))
}

fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike_and_found_again() {
        let text = "WA ０８１\u{200b}２ 𝟯4️⃣٥ ⑥é Аdi 📞–";
        let folded = Folded::of(text);
        assert_eq!(folded.bytes, b"wa 0812 345 6e adi \x02-");
        let original = |found: &str| {
            let start = folded.bytes.windows(found.len()).position(|part| part == found.as_bytes()).unwrap();
            &text[folded.original(text, start, start + found.len())]
        };
        for (found, expected) in
            [("0812", "０８１\u{200b}２"), ("34", "𝟯4️⃣"), ("6", "⑥"), ("adi", "Аdi"), ("wa", "WA"), ("-", "–")]
        {
            assert_eq!(original(found), expected);
        }
        let one = "Rp㎏ <TELP> <telp>";
        assert_eq!(Folded::of(one).bytes, b"rpkg \x01\x01\x01\x01\x01\x01 <telp>");
    }
}
