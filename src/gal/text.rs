//! A Reel as a model writes it: what an example looks like, and what an answer is read as.

use crate::reel::Reel;

const CAPTION: &str = "Keterangan:";
const HASHTAGS: &str = "Tagar:";
const TRANSCRIPT: &str = "Transkrip:";

/// The texts of a Reel that was generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    #[expect(missing_docs, reason = "as of a Reel")]
    pub caption: Option<String>,
    /// Without `#`.
    pub hashtags: Vec<String>,
    #[expect(missing_docs, reason = "as of a Reel")]
    pub transcript: Option<String>,
}

/// A Reel as an example shows it.
pub fn example(reel: &Reel) -> String {
    let line = |name: &str, text: &str| format!("{name} {}\n", text.split_whitespace().collect::<Vec<_>>().join(" "));
    let caption = reel.caption.as_deref().map(|caption| line(CAPTION, caption)).unwrap_or_default();
    let hashtags: Vec<String> = reel.hashtags.iter().map(|tag| format!("#{tag}")).collect();
    let hashtags = if hashtags.is_empty() { String::new() } else { line(HASHTAGS, &hashtags.join(" ")) };
    let transcript = reel.transcript.as_deref().map(|text| line(TRANSCRIPT, text)).unwrap_or_default();
    (caption + &hashtags + &transcript).trim_end().to_owned()
}

impl Written {
    /// Reads what a model wrote. A text without any of the names is a transcript; what stands before the first of them is
    /// talk, and left out.
    pub fn of(text: &str) -> Written {
        let mut places: Vec<(usize, &str)> =
            [CAPTION, HASHTAGS, TRANSCRIPT].into_iter().filter_map(|name| Some((begin(text, name)?, name))).collect();
        places.sort_unstable();
        let clean = |text: &str| {
            let text = text.trim().trim_matches(['*', '"']).trim();
            (!text.is_empty() && text != "-").then(|| text.to_owned())
        };
        if places.is_empty() {
            return Written { transcript: clean(text), ..Written::default() };
        }
        let mut written = Written::default();
        for (index, (start, name)) in places.iter().enumerate() {
            let end = places.get(index + 1).map_or(text.len(), |(next, _)| *next);
            let said = clean(&text[start + name.len()..end]);
            match *name {
                CAPTION => written.caption = said,
                TRANSCRIPT => written.transcript = said,
                _ => {
                    let tags = said.unwrap_or_default();
                    let tag = |word: &str| word.trim_start_matches('#').trim_end_matches([',', '.']).to_owned();
                    written.hashtags = tags.split_whitespace().map(tag).filter(|tag| !tag.is_empty()).collect();
                }
            }
        }
        written
    }
}

/// Where a name begins a line, whatever its case, perhaps in bold.
fn begin(text: &str, name: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start_matches([' ', '*', '-', '#']);
        if trimmed.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            return Some(start + line.len() - trimmed.len());
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(caption: &str, hashtags: &[&str], transcript: &str) -> Written {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let hashtags = hashtags.iter().map(|tag| (*tag).to_owned()).collect();
        Written { caption: some(caption), hashtags, transcript: some(transcript) }
    }

    #[test]
    fn an_example_is_read_as_what_it_was() {
        let reel = Reel {
            caption: Some("Resep soto\nayam".into()),
            hashtags: vec!["soto".into(), "resep".into()],
            transcript: Some("halo semuanya".into()),
            ..Reel::default()
        };
        let text = example(&reel);
        assert_eq!(text, "Keterangan: Resep soto ayam\nTagar: #soto #resep\nTranskrip: halo semuanya");
        assert_eq!(Written::of(&text), written("Resep soto ayam", &["soto", "resep"], "halo semuanya"));
        assert_eq!(example(&Reel { caption: None, hashtags: vec![], ..reel }), "Transkrip: halo semuanya");
    }

    #[test]
    fn what_models_make_of_the_form_is_read_too() {
        let talk = "Tentu! Berikut Reel-nya:\n\n**Keterangan:** Kopi \n**transkrip:**\nhalo, ini\nkopi.";
        assert_eq!(Written::of(talk), written("Kopi", &[], "halo, ini\nkopi."));
        assert_eq!(Written::of("  halo saja "), written("", &[], "halo saja"));
        assert_eq!(Written::of("Transkrip: -\nKeterangan:"), Written::default());
        assert_eq!(
            Written::of("Tagar: kopi, #susu.\nTranskrip: a Transkrip: b"),
            written("", &["kopi", "susu"], "a Transkrip: b")
        );
        assert_eq!(Written::of(""), Written::default());
    }
}
