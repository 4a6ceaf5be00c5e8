//! Indonesian as it is spoken and typed: sentences, and words in a form in which they can be compared.

mod heard;

use std::collections::HashMap;
use std::sync::LazyLock;

use sastrawi::{Dictionary, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

pub use self::heard::{Unspoken, unspoken};
use crate::run::sha256;

/// Lines of an informal word, a tab and the formal words: our own compilation.
const SLANG: &str = include_str!("slang.tsv");

static FORMAL: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| SLANG.lines().filter_map(|line| line.split_once('\t')).collect());

/// A full stop behind one of these ends no sentence.
const ABBREVIATIONS: [&str; 40] = [
    "a.n", "bpk", "dkk", "dll", "dr", "drg", "drs", "dsb", "dst", "gg", "h", "hj", "hlm", "ibu", "ir", "jend", "jl",
    "jln", "kab", "kec", "kel", "kol", "letjen", "mayjen", "no", "pdt", "prof", "pt", "rp", "rs", "s.d", "sdr", "sh",
    "st", "tbk", "telp", "tgl", "ust", "a.l", "u.p",
];

/// The sentences of a text. One ends at `.`, `!`, `?` or `…` before white space, or at a line's end; not behind an
/// abbreviation (`dr.`, `Rp.`), an initial (`B. J. Habibie`) or the number of a list (`1. Tepung`).
pub fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        for (at, word) in words_with_ends(line) {
            if ends_sentence(word) {
                sentences.push(line[start..at].trim());
                start = at;
            }
        }
        sentences.push(line[start..].trim());
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// What stands between white space, each with the byte where it ends.
fn words_with_ends(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split_whitespace().map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize + word.len(), word))
}

fn ends_sentence(word: &str) -> bool {
    let word = word.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
    if word.ends_with(['!', '?', '…']) || word.ends_with("...") {
        return true;
    }
    let Some(stem) = word.strip_suffix('.') else { return false };
    let stem = stem.trim_start_matches(['"', '\'', '(', '[', '“', '‘', '«']);
    let is_initial = stem.chars().count() == 1 && stem.chars().all(char::is_uppercase);
    let is_list_number = stem.len() <= 2 && !stem.is_empty() && stem.chars().all(|c| c.is_ascii_digit());
    !is_initial && !is_list_number && !ABBREVIATIONS.contains(&stem.to_lowercase().as_str())
}

/// How words are made comparable, beyond what [`Words::of`] always does. By default nothing more is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Words {
    /// Whether `Rp1.500.000`, `1,5 juta` and `1500000 rupiah` become the same word.
    pub amounts: bool,
    /// Whether words are reduced to their stems (Nazief and Adriani with confix stripping, by the crate sastrawi-rs).
    pub stems: bool,
}

impl Words {
    /// The words of a text: NFKC, lower case, without diacritics, addresses and emoji; `#` and `@` dropped before what
    /// they mark; `1.500.000` one number; a doubled word once (`anak-anak`, `anak2` are `anak`); informal words in
    /// their formal spelling (`gak` is `tidak`).
    pub fn of(self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for piece in text.split_whitespace().filter(|piece| !is_address(piece)) {
            for word in pieces(&folded(piece)) {
                match FORMAL.get(word.as_str()) {
                    Some(formal) => words.extend(formal.split(' ').map(str::to_owned)),
                    None => words.push(word),
                }
            }
        }
        if self.amounts {
            words = amounts(words);
        }
        if self.stems {
            words = words.into_iter().map(|word| STEMMER.stem_word(&word).into_owned()).collect();
        }
        words
    }
}

/// Name and version of what stems words, for signatures of scores.
pub const STEMMER_NAME: &str = "sastrawi-rs-0.5.3";

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(Dictionary::new);
static STEMMER: LazyLock<Stemmer<'static>> = LazyLock::new(|| Stemmer::new(&DICTIONARY));

/// Whether the stem of a word in lower case is an Indonesian one.
pub fn is_word(word: &str) -> bool {
    DICTIONARY.find(&STEMMER.stem_word(word))
}

/// Whether a word in lower case is a colloquial one of the table.
pub fn is_slang(word: &str) -> bool {
    FORMAL.contains_key(word)
}

/// Joins each number with the unit behind it into one number, and drops the currency.
fn amounts(words: Vec<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "rp" | "rupiah" | "idr") {
            continue;
        }
        let Some(value) = decimal(&word) else {
            found.push(word);
            continue;
        };
        let unit = words.peek().map_or(0, |unit| match unit.as_str() {
            "ribu" => 3,
            "juta" => 6,
            "miliar" => 9,
            "triliun" => 12,
            _ => 0,
        });
        if unit > 0 {
            words.next();
        }
        found.push(shifted(value, unit));
    }
    found
}

/// The digits before and behind a number's comma; `None` where the word is no number.
fn decimal(word: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = word.split_once(',').unwrap_or((word, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    (!whole.is_empty() && digits(whole) && digits(fraction)).then_some((whole, fraction))
}

/// A number with its comma moved to the right. It stays text, so that no number is too large.
fn shifted((whole, fraction): (&str, &str), places: usize) -> String {
    let moved = fraction.len().min(places);
    let whole = format!("{whole}{}{}", &fraction[..moved], "0".repeat(places - moved));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    match fraction[moved..].trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole},{rest}"),
    }
}

/// The first digits of the slang table's SHA-256: scores under different tables are different scores.
pub fn slang_hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| sha256(SLANG.as_bytes())[..8].to_owned());
    &HASH
}

fn is_address(piece: &str) -> bool {
    let piece = piece.trim_start_matches(['(', '"', '\'']).to_ascii_lowercase();
    piece.starts_with("http://") || piece.starts_with("https://") || piece.starts_with("www.")
}

fn folded(piece: &str) -> String {
    if piece.is_ascii() {
        return piece.to_ascii_lowercase();
    }
    let lower: String = piece.nfkc().flat_map(char::to_lowercase).collect();
    lower.nfd().filter(|c| !is_combining_mark(*c)).collect()
}

/// Words of a folded piece: runs of letters and digits, with what may stand inside one.
fn pieces(piece: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut compound: Vec<String> = vec![String::new()];
    let chars: Vec<char> = piece.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1).copied();
        let between = |is: fn(&char) -> bool| before.as_ref().is_some_and(is) && after.as_ref().is_some_and(is);
        let word = compound.last_mut().expect("it starts with one, and parts are only added");
        match c {
            c if c.is_alphanumeric() => {
                // `rp50` and `50rb` are an amount and its unit; `anak2` is not.
                let unit = before.is_some_and(|before| {
                    before.is_ascii_digit() && c.is_alphabetic() && word.chars().all(|c| c.is_ascii_digit() || c == ',')
                });
                if unit || (word == "rp" && c.is_ascii_digit()) {
                    flush(&mut compound, &mut words);
                    compound[0].push(c);
                } else {
                    word.push(c);
                }
            }
            // jum'at
            '\'' | '’' | '`' if between(|c| c.is_alphabetic()) => {}
            '.' if is_thousands(&chars, at) => {}
            ',' if between(char::is_ascii_digit) => word.push(c),
            '-' | '‑' if between(|c| c.is_alphabetic()) => compound.push(String::new()),
            _ => flush(&mut compound, &mut words),
        }
    }
    flush(&mut compound, &mut words);
    words
}

/// Whether the full stop at `at` parts a number into thousands: one digit or more before it, three behind it.
fn is_thousands(chars: &[char], at: usize) -> bool {
    let digits = chars[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    at > 0 && chars[at - 1].is_ascii_digit() && digits == 3
}

/// Adds a hyphenated word to `words`, doubled parts once, and leaves `compound` with one empty part.
fn flush(compound: &mut Vec<String>, words: &mut Vec<String>) {
    let parts = std::mem::replace(compound, vec![String::new()]);
    let mut last: Option<String> = None;
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let part = undoubled(part);
        match last.take() {
            // anak-anak, oleh-olehnya, berlari-lari: the fuller form stands for both
            Some(before) if part.starts_with(&before) => last = Some(part),
            Some(before) if before.ends_with(&part) => last = Some(before),
            before => {
                words.extend(before);
                last = Some(part);
            }
        }
    }
    words.extend(last);
}

/// `anak2` becomes `anak`, and `anak2nya` becomes `anaknya`; other words stay.
fn undoubled(word: String) -> String {
    match word.split_once('2') {
        Some((stem, suffix))
            if stem.chars().count() > 1
                && stem.chars().all(char::is_alphabetic)
                && suffix.chars().all(char::is_alphabetic) =>
        {
            format!("{stem}{suffix}")
        }
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Words::default().of(text)
    }

    #[test]
    fn words_are_folded() {
        for (text, expected) in [
            ("Café Pokémon ＦＵＬＬ", "kafe pokemon full"),
            ("Anak-anak anak2 anak2nya oleh-olehnya berlari-lari", "anak anak anaknya olehnya berlari"),
            ("sayur-mayur COVID-19 Jum'at", "sayur mayur covid 19 jumat"),
            ("Rp1.500.000 Rp 1.500.000,50 3,5kg 10.30 50rb", "rp 1500000 rp 1500000,50 3,5 kg 10 30 50 ribu"),
            ("#PromoGila @toko_resmi https://a.id/b?c (www.x.id) 🔥murah🔥", "promogila toko resmi murah"),
            ("gak bgt, makasih yaaa", "tidak sekali terima kasih ya"),
            ("", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn amounts_are_one_word_however_they_are_written() {
        let amounts = |text| Words { amounts: true, stems: false }.of(text).join(" ");
        for text in ["Rp1.500.000", "Rp 1,5 juta", "1,5jt", "1500 ribu rupiah", "1.500.000,00"] {
            assert_eq!(amounts(text), "1500000", "{text}");
        }
        assert_eq!(amounts("25rb, 0,5 kg, 3 juta orang, 2,75 miliar"), "25000 0,5 kg 3000000 orang 2750000000");
        assert_eq!(amounts("000 rupiah, juta"), "0 juta");
    }

    #[test]
    fn stems_are_an_option() {
        let stems = |text| Words { amounts: false, stems: true }.of(text).join(" ");
        assert_eq!(stems("memakan makanan, pelajaran dan mengajar"), "makan makan ajar dan ajar");
        assert_eq!(stems("kamis kami"), "kamis kami");
    }

    #[test]
    fn sentences_end_where_they_end() {
        let text =
            "Harga Rp. 5.000 saja. Jam 10.30 dr. Budi datang! \"Masa?\" tanya B. J. Habibie\nBaris baru…  Selesai";
        assert_eq!(
            sentences(text),
            [
                "Harga Rp. 5.000 saja.",
                "Jam 10.30 dr. Budi datang!",
                "\"Masa?\"",
                "tanya B. J. Habibie",
                "Baris baru…",
                "Selesai"
            ]
        );
        assert!(sentences(" \n ").is_empty());
    }

    #[test]
    fn the_slang_table_is_sorted_and_final() {
        let forms: Vec<&str> = SLANG.lines().map(|line| line.split_once('\t').expect("a tab").0).collect();
        assert!(forms.is_sorted() && forms.len() > 500);
        for (form, formal) in FORMAL.iter() {
            assert_eq!(words(form).join(" "), *formal);
            assert_eq!(words(formal).join(" "), *formal, "{form}: a formal spelling is changed again");
        }
    }

    #[test]
    fn the_slang_table_is_frozen() {
        // Scores made with another table are not comparable: a change here is a change of the metric.
        assert_eq!(slang_hash(), "fce11b7d");
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words(text in ".{0,60}") {
            for word in words(&text) {
                proptest::prop_assert!(!word.is_empty() && !word.contains(char::is_whitespace));
            }
        }
    }
}
