//! Digits as people write them in groups.

use super::super::fold::{Folded, SIGN, is_word};

/// Digits without anything between them.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    pub start: usize,
    pub end: usize,
}

impl Group {
    pub fn len(self) -> usize {
        self.end - self.start
    }
}

/// Groups that may belong together, from a place on.
#[derive(Debug)]
pub struct Groups {
    pub groups: Vec<Group>,
    /// Of all groups.
    pub digits: String,
}

/// What may stand between two groups: at most so many signs.
const SEPARATOR: usize = 3;

/// Letters that people write for digits, where digits stand beside them.
fn value(byte: u8) -> Option<char> {
    match byte {
        b'0'..=b'9' => Some(byte as char),
        b'o' => Some('0'),
        b'l' | b'i' => Some('1'),
        _ => None,
    }
}

impl Groups {
    /// Reads until there are more than `most` digits.
    pub fn read(folded: &Folded, start: usize, most: usize) -> Groups {
        let mut found = Groups { groups: vec![], digits: String::new() };
        let mut at = start;
        while found.digits.len() <= most {
            let mut end = at;
            while let Some(digit) = value(folded.after(end)).filter(|_| end - at <= most) {
                found.digits.push(digit);
                end += 1;
            }
            let real = folded.bytes[at..end].iter().filter(|byte| byte.is_ascii_digit()).count();
            // Letters count among mostly digits.
            if real == 0 || real < end - at && (real < 2 || 3 * real < 2 * (end - at)) {
                found.digits.truncate(found.groups.iter().map(|group| group.len()).sum());
                // Of "7890 lo" and "7890liter" the digits alone.
                let digits = folded.bytes[at..end].iter().take_while(|byte| byte.is_ascii_digit()).count();
                if digits > 0 {
                    found.digits.extend(folded.bytes[at..at + digits].iter().map(|byte| *byte as char));
                    found.groups.push(Group { start: at, end: at + digits });
                }
                break;
            }
            found.groups.push(Group { start: at, end });
            let gap = (0..=SEPARATOR).find(|gap| !is_separator(folded.after(end + gap)));
            match gap {
                Some(gap) if gap > 0 && value(folded.after(end + gap)).is_some() => at = end + gap,
                _ => break,
            }
        }
        found
    }

    /// The end of the most groups that have so many digits, where nothing says that the last one is something else.
    pub fn end(&self, folded: &Folded, least: usize, most: usize) -> Option<usize> {
        let (mut best, mut counted, mut digits) = (None, None, 0);
        for (index, group) in self.groups.iter().enumerate() {
            // Behind a whole number, a price or a count follows rather than more of it.
            if digits >= least {
                let gap = |index: usize| &folded.bytes[self.groups[index - 1].end..self.groups[index].start];
                let same = index > 1 && gap(index) == gap(index - 1);
                let small = self.groups[..index].iter().any(|group| group.len() <= 2);
                if gap(index).contains(&b' ') && !(same && (group.len() >= 3 || small)) {
                    break;
                }
            }
            digits += group.len();
            if digits > most {
                break;
            }
            if digits >= least && ends(folded, *group) {
                let unit = is_unit(folded, *group);
                (if unit { &mut counted } else { &mut best }).replace(group.end);
            }
        }
        // With "x" behind it, it is a number all the same, where it can't end sooner.
        best.or(counted)
    }

    /// Whether a dot or comma stands before each three digits, as in amounts.
    pub fn is_amount(&self, folded: &Folded) -> bool {
        let dotted = |pair: &[Group]| matches!(folded.bytes[pair[0].end..pair[1].start], [b'.'] | [b',']);
        self.groups.len() > 1
            && self.groups[0].len() <= 3
            && self.groups[1..].iter().all(|group| group.len() == 3)
            && self.groups.windows(2).all(dotted)
    }

    /// Whether the same stands between all groups.
    pub fn is_even(&self, folded: &Folded) -> bool {
        let gaps = || self.groups.windows(2).map(|pair| &folded.bytes[pair[0].end..pair[1].start]);
        gaps().zip(gaps().skip(1)).all(|(a, b)| a == b)
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b'-' | b'(' | b')' | b'/' | b'_' | b',' | SIGN)
}

/// Whether a number can end with a group: no more letters of a code follow.
fn ends(folded: &Folded, group: Group) -> bool {
    let follows = folded.after(group.end);
    let is_more = follows == b'_' || follows >= 0x80 || follows.is_ascii_digit();
    let glued = word(folded, group.end);
    !is_more && (glued.is_empty() || group.len() >= 3 && glued.iter().all(u8::is_ascii_alphabetic))
}

/// Whether the unit of an amount follows a group.
fn is_unit(folded: &Folded, group: Group) -> bool {
    const UNITS: [&str; 19] = [
        "rb", "ribu", "rebu", "k", "jt", "juta", "pcs", "pc", "kg", "gr", "gram", "g", "ml", "cm", "mm", "km", "liter",
        "x", "persen",
    ];
    let gap = usize::from(folded.after(group.end) == b' ');
    let word = word(folded, group.end + gap);
    UNITS.iter().any(|unit| unit.as_bytes() == word)
}

/// The letters and digits from a place on.
fn word(folded: &Folded, start: usize) -> &[u8] {
    let rest = folded.bytes.get(start..).unwrap_or_default();
    &rest[..rest.iter().take(12).take_while(|byte| is_word(**byte)).count()]
}

/// Whether a number can begin at a place: it isn't the rest of another one, or of a code.
pub fn begins(folded: &Folded, at: usize) -> bool {
    let (before, earlier) = (folded.before(at), folded.before(at.saturating_sub(1)));
    match before {
        byte if byte.is_ascii_digit() || byte >= 0x80 || byte == b'_' => false,
        byte if byte.is_ascii_alphabetic() => follows_word(folded, at, &CALLS, 0),
        b'.' | b',' | b'-' | b'/' | b'+' | b'=' if earlier.is_ascii_digit() => {
            // The number of a list.
            before == b'.' && earlier != b'0' && at >= 2 && folded.before(at - 2) == b'\n'
        }
        _ => true,
    }
}

/// Words that phone numbers stand behind.
pub const CALLS: [&str; 32] = [
    "wa",
    "was",
    "wa me",
    "whatsapp",
    "whatsap",
    "wasap",
    "hp",
    "nohp",
    "no hp",
    "telp",
    "tlp",
    "telpon",
    "telepon",
    "telfon",
    "tel",
    "telephone",
    "phone",
    "call",
    "hubungi",
    "hub",
    "sms",
    "cp",
    "contact",
    "contact person",
    "kontak",
    "hotline",
    "admin",
    "fax",
    "nomor wa",
    "no wa",
    "nowa",
    "order",
];

/// Whether one of some words stands before a place, at most so many signs away.
pub fn follows_word(folded: &Folded, at: usize, words: &[&str], signs: usize) -> bool {
    let is_sign = |byte: u8| matches!(byte, b' ' | b':' | b'.' | b'=' | b'-' | b'(' | b'/' | b'#' | SIGN);
    let gap = (0..=signs).take_while(|gap| *gap == 0 || is_sign(folded.before(at + 1 - gap))).last().unwrap_or(0);
    let text = &folded.bytes[..at.saturating_sub(gap)];
    words.iter().any(|word| {
        text.strip_suffix(word.as_bytes()).is_some_and(|before| !before.last().is_some_and(|byte| is_word(*byte)))
    })
}
