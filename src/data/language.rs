//! Whether a text is in the language that it ought to be in.

use std::sync::LazyLock;

use lingua::{Language, LanguageDetector, LanguageDetectorBuilder};

/// Malay isn't among them: it takes every ninth sentence of Indonesian news for itself, and more of speech.
static DETECTOR: LazyLock<LanguageDetector> =
    LazyLock::new(|| LanguageDetectorBuilder::from_languages(&[Language::Indonesian, Language::English]).build());

/// Shorter texts are names and exclamations, which may be in any language. Letters.
const SHORT: usize = 40;
/// More isn't looked at.
const LONG: usize = 1000;
/// Of 0 to 1: so sure the other language must be.
const SURE: f64 = 0.9;

/// Whether a text can be told to be in another language than this one.
pub fn is_told(expected: &str) -> bool {
    matches!(expected, "id" | "en")
}

/// What tells that a text is in another language.
pub fn other_language(text: &str, expected: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().filter(|char| char.is_alphabetic()).take(LONG).collect();
    if letters.len() < SHORT || !is_told(expected) {
        return None;
    }
    let foreign = letters.iter().filter(|letter| !is_latin(**letter)).count();
    if 2 * foreign > letters.len() {
        return Some(format!("{foreign} of {} letters are of another script", letters.len()));
    }
    let (other, name) =
        if expected == "id" { (Language::English, "English") } else { (Language::Indonesian, "Indonesian") };
    let start: String = text.chars().take(LONG).collect();
    let confidence = DETECTOR.compute_language_confidence(start, other);
    (confidence >= SURE).then(|| format!("{name} with a confidence of {confidence:.2}"))
}

fn is_latin(letter: char) -> bool {
    matches!(letter, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_scripts_are_told() {
        let arabic = "بسم الله الرحمن الرحيم الحمد لله رب العالمين الرحمن الرحيم";
        assert!(other_language(arabic, "id").unwrap().contains("of another script"));
        assert_eq!(other_language(arabic, "ar"), None);
        assert_eq!(other_language("Bismillah, semoga hari ini lancar semua ya teman-teman, amin الله", "id"), None);
        assert_eq!(other_language("Let's go!", "id"), None);
        let indonesian = "Hari ini kita masak soto ayam di rumah, bumbunya cuma lima macam.";
        assert!(other_language(indonesian, "en").unwrap().starts_with("Indonesian"));
    }
}
