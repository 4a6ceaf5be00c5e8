//! What recognisers of speech write where nobody speaks.

/// Whole texts that Whisper is known to make of music and silence, in Indonesian, Malay and English; without case and
/// punctuation, longer ones before those that they begin with.
const HEARD: [&str; 22] = [
    "terima kasih telah menonton sampai jumpa",
    "terima kasih sudah menonton",
    "terima kasih telah menonton",
    "terima kasih karena telah menonton",
    "terima kasih kerana menonton",
    "terima kasih atas perhatiannya",
    "terima kasih",
    "sampai jumpa di video selanjutnya",
    "sampai jumpa",
    "selamat menikmati",
    "jangan lupa like share dan subscribe",
    "jangan lupa subscribe",
    "subtitles by the amara org community",
    "thank you for watching",
    "thanks for watching",
    "thank you",
    "please subscribe",
    "like and subscribe",
    "you",
    "musik",
    "music",
    "la",
];

/// What such a text begins with where a name follows.
const CREDITS: [&str; 5] = ["subtitle by", "subtitles by", "subtitle oleh", "transkrip oleh", "teks oleh"];

/// Whether a transcript has nothing but what recognisers make of music: notes, remarks in brackets, known phrases, or one
/// phrase again and again.
pub fn heard_only_music(transcript: &str) -> bool {
    // Long ones are speech, unless they begin with a remark or their first word comes again and again.
    const LONG: usize = 200;
    let first = transcript.split_whitespace().next().unwrap_or("");
    if transcript.len() > LONG && first.starts_with(char::is_alphanumeric) && transcript.matches(first).nth(4).is_none()
    {
        return false;
    }
    let mut bracketed = 0usize;
    let mut letters = String::new();
    for char in transcript.chars() {
        match char {
            '[' | '(' | '*' if bracketed == 0 => bracketed = 1,
            ']' | ')' | '*' => bracketed = 0,
            _ if bracketed > 0 => {}
            _ if char.is_alphanumeric() => letters.extend(char.to_lowercase()),
            '\'' | '-' => {}
            _ => letters.push(' '),
        }
    }
    let words: Vec<&str> = letters.split_whitespace().collect();
    if words.is_empty() || is_repeated(&words) {
        return !transcript.trim().is_empty();
    }
    // A credit is a line.
    let text = words.join(" ");
    if words.len() <= 8 && CREDITS.iter().any(|credit| text.starts_with(credit)) {
        return true;
    }
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let known = HEARD.iter().find_map(|phrase| {
            let behind = rest.strip_prefix(phrase)?;
            (behind.is_empty() || behind.starts_with(' ')).then(|| behind.trim_start())
        });
        let Some(behind) = known else { return false };
        rest = behind;
    }
    true
}

/// Whether the words are one phrase five times or more, the last time perhaps not whole.
fn is_repeated(words: &[&str]) -> bool {
    // Knuth, Morris and Pratt: the longest beginning that ends here too.
    let mut borders = vec![0; words.len()];
    for at in 1..words.len() {
        let mut border: usize = borders[at - 1];
        while border > 0 && words[border] != words[at] {
            border = borders[border - 1];
        }
        borders[at] = border + usize::from(words[border] == words[at]);
    }
    let period = words.len() - borders[words.len() - 1];
    words.len() >= 5 * period
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn music_is_told_from_speech() {
        for text in [
            "Terima kasih sudah menonton!",
            "Terima kasih telah menonton. Terima kasih telah menonton.",
            "[Musik]",
            "(musik)  ♪♪♪",
            "♪",
            "Thanks for watching!",
            "Subtitle by DimaTorzok",
            "*tepuk tangan*",
            "oh sayang oh sayang oh sayang oh sayang oh sayang oh",
            "...",
            &"Terima kasih telah menonton! ".repeat(40),
            &"[Musik] ".repeat(40),
        ] {
            assert!(heard_only_music(text), "{text}");
        }
        for text in [
            "",
            "Warung Bu Sari jual soto. Terima kasih sudah menonton!",
            "[Musik] halo semuanya",
            "terima kasihku kepada guru",
            "enak enak enak sekali",
            "halo",
            "Subtitle by me is what you should never write when nobody asked for it at all",
        ] {
            assert!(!heard_only_music(text), "{text}");
        }
    }
}
