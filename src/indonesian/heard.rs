//! What recognisers of speech write where nobody speaks.

/// What a text is that nobody spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unspoken {
    /// Notes, remarks in brackets, "musik".
    Music,
    /// A thanks or farewell, which people say too.
    Thanks,
    /// What ends videos: thanks for watching, a call to subscribe. People say it too.
    Closing,
    /// Who made the subtitles.
    Credit,
    /// One phrase again and again.
    Repeated,
}

use Unspoken::{Closing, Credit, Music, Thanks};

/// Whole texts that Whisper is known to make of music and silence, in Indonesian, Malay and English; without case and
/// punctuation.
const HEARD: [(&str, Unspoken); 34] = [
    ("terima kasih telah menonton sampai jumpa", Closing),
    ("terima kasih sudah menonton", Closing),
    ("terima kasih sudah menonton video ini", Closing),
    ("terima kasih telah menonton", Closing),
    ("terima kasih telah menonton video ini", Closing),
    ("terima kasih karena telah menonton", Closing),
    ("terima kasih kerana menonton", Closing),
    ("terima kasih atas perhatiannya", Thanks),
    ("terima kasih", Thanks),
    ("sampai jumpa di video selanjutnya", Closing),
    ("sampai jumpa di video berikutnya", Closing),
    ("sampai jumpa", Thanks),
    ("selamat menikmati", Thanks),
    ("jangan lupa like share dan subscribe", Closing),
    ("jangan lupa like comment dan subscribe", Closing),
    ("jangan lupa like komen dan subscribe", Closing),
    ("jangan lupa like comment share dan subscribe", Closing),
    ("jangan lupa untuk like share dan subscribe", Closing),
    ("jangan lupa like dan subscribe", Closing),
    ("jangan lupa subscribe", Closing),
    ("jangan lupa subscribe channel ini", Closing),
    ("subtitles by the amara org community", Credit),
    ("amara org", Credit),
    ("thank you for watching", Closing),
    ("thanks for watching", Closing),
    ("thanks for watching and dont forget to like and subscribe", Closing),
    ("thank you", Thanks),
    ("please subscribe", Closing),
    ("like and subscribe", Closing),
    ("bye bye", Thanks),
    ("you", Thanks),
    ("musik", Music),
    ("music", Music),
    ("la", Music),
];

/// What such a text begins with where a name follows.
const CREDITS: [&str; 7] = [
    "subtitle by",
    "subtitles by",
    "subtitle oleh",
    "transkrip oleh",
    "teks oleh",
    "terjemahan oleh",
    "diterjemahkan oleh",
];

/// What a transcript is that has nothing but what recognisers make of music and silence: notes, remarks in brackets, known
/// phrases, or one phrase again and again. Of several the one that says most.
pub fn unspoken(transcript: &str) -> Option<Unspoken> {
    // Long ones are speech, unless they begin with a remark or their first word comes again and again.
    const LONG: usize = 200;
    let first = transcript.split_whitespace().next().unwrap_or("");
    if transcript.len() > LONG && first.starts_with(char::is_alphanumeric) && transcript.matches(first).nth(4).is_none()
    {
        return None;
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
    if words.is_empty() {
        return (!transcript.trim().is_empty()).then_some(Music);
    }
    if is_repeated(&words) {
        return Some(Unspoken::Repeated);
    }
    // A credit is a line.
    let text = words.join(" ");
    if words.len() <= 8 && CREDITS.iter().any(|credit| text.starts_with(credit)) {
        return Some(Credit);
    }
    let mut rest = text.as_str();
    let mut most = Music;
    while !rest.is_empty() {
        let known = HEARD.iter().filter_map(|(phrase, what)| {
            let behind = rest.strip_prefix(phrase)?;
            (behind.is_empty() || behind.starts_with(' ')).then(|| (behind.trim_start(), *what))
        });
        let (behind, what) = known.min_by_key(|(behind, _)| behind.len())?;
        (rest, most) = (behind, most.max(what));
    }
    Some(most)
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
        let thanks = "Terima kasih telah menonton! ".repeat(40);
        let music = "[Musik] ".repeat(40);
        for (text, expected) in [
            ("Terima kasih sudah menonton!", Closing),
            ("Terima kasih telah menonton. Terima kasih telah menonton.", Closing),
            ("Terima kasih. Jangan lupa like, share, dan subscribe!", Closing),
            ("Terima kasih.", Thanks),
            ("[Musik]", Music),
            ("(musik)  ♪♪♪", Music),
            ("♪ Musik", Music),
            ("♪", Music),
            ("Thanks for watching!", Closing),
            ("Subtitle by DimaTorzok", Credit),
            ("Terjemahan oleh Sari", Credit),
            ("Subtitles by the Amara.org community", Credit),
            ("*tepuk tangan*", Music),
            ("oh sayang oh sayang oh sayang oh sayang oh sayang oh", Unspoken::Repeated),
            ("...", Music),
            (&thanks, Unspoken::Repeated),
            (&music, Music),
        ] {
            assert_eq!(unspoken(text), Some(expected), "{text}");
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
            assert_eq!(unspoken(text), None, "{text}");
        }
    }
}
