//! Against lines as people write and say them.

use proptest::prelude::*;

use super::scrub::{Counts, Kind, Scrubber};
use crate::reel::Reel;

const FOUND: &str = include_str!("found.tsv");
const KEPT: &str = include_str!("kept.txt");

fn scrubber() -> Scrubber {
    Scrubber::new(["rani_kue", "@Kopi.Senja", "budi"], ["Rani Wulandari", "Ujang Suherman Jaya", "Rani"])
}

/// The account of the lines, a plain word.
fn own() -> Vec<String> {
    vec!["WarungIjo".into()]
}

#[test]
fn personal_data_become_placeholders() {
    let mut wrong = vec![];
    let lines: Vec<&str> = FOUND.lines().collect();
    assert!(lines.len() >= 120);
    for line in lines {
        let (text, expected) = line.split_once('\t').unwrap();
        let (scrubbed, _) = scrubber().scrub(text, &own());
        if scrubbed != expected {
            wrong.push(format!("{text}\n  is       {scrubbed}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// As another program writes phone numbers (tests/reference/phones.py).
#[test]
fn phone_numbers_of_every_area_are_found() {
    let phones: Vec<Vec<String>> = serde_json::from_str(include_str!("../../../tests/reference/phones.json")).unwrap();
    assert_eq!(phones.len(), 240);
    for phone in phones.iter().flatten() {
        let (scrubbed, _) = scrubber().scrub(&format!("pesan ke {phone} ya, 25rb 3 porsi"), &[]);
        let expected =
            format!("pesan ke {}<TELP> ya, 25rb 3 porsi", if phone.starts_with("tel:") { "tel:" } else { "" });
        assert_eq!(scrubbed, expected, "{phone}");
    }
}

#[test]
fn all_else_stays() {
    let lines: Vec<&str> = KEPT.lines().collect();
    assert!(lines.len() >= 120);
    let changed = |line: &&str| Some(scrubber().scrub(line, &own()).0).filter(|scrubbed| scrubbed != line);
    let wrong: Vec<String> = lines.iter().filter_map(|line| Some(format!("{line} -> {}", changed(line)?))).collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lines_together_are_as_lines_alone() {
    let texts: Vec<&str> = FOUND.lines().map(|line| line.split_once('\t').unwrap().0).collect();
    let expected: Vec<&str> = FOUND.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    let (scrubbed, counts) = scrubber().scrub(&texts.join("\n;\n"), &own());
    assert_eq!(scrubbed, expected.join("\n;\n"));
    let placeholders = |kind: Kind| scrubbed.matches(kind.placeholder()).count();
    assert_eq!(counts, Kind::ALL.map(|kind| (kind, placeholders(kind))).into());
}

#[test]
fn a_reel_is_scrubbed_wherever_it_has_text() {
    let mut reel = Reel {
        caption: Some("wa 0812-3456-7890 @rani_kue".into()),
        transcript: Some("kata Rani Wulandari".into()),
        hashtags: vec!["kuliner".into(), "rani_kue".into()],
        reference: [("summary".into(), "Rani Wulandari memasak.".into()), ("ad".into(), "iklan".into())].into(),
        alternatives: [("summary".into(), vec!["Hubungi rani@contoh.id.".into()])].into(),
        ..Reel::default()
    };
    let counts = scrubber().scrub_reel(&mut reel, &[]);
    assert_eq!(counts, Counts::from([(Kind::Phone, 1), (Kind::Email, 1), (Kind::Handle, 2), (Kind::Name, 2)]));
    assert_eq!(reel.caption.as_deref(), Some("wa <TELP> <AKUN>"));
    assert_eq!(reel.hashtags, ["kuliner", "<AKUN>"]);
    assert_eq!((reel.reference["summary"].as_str(), reel.reference["ad"].as_str()), ("<NAMA> memasak.", "iklan"));
    assert_eq!(reel.alternatives["summary"], ["Hubungi <EMAIL>."]);
}

#[test]
fn a_long_text_takes_time_in_proportion() {
    for piece in
        ["0812 ", "0", "a.", "nol delapan ", "bca ", "a@a", "8", "@", "rani ", "(0", "+6", "at gmail ", "🙏", "ﷺ"]
    {
        let text = piece.repeat((1 << 18) / piece.len());
        let start = std::time::Instant::now();
        scrubber().scrub(&text, &own());
        // A second without optimisation; what isn't linear takes minutes.
        assert!(start.elapsed().as_secs() < 30, "{piece:?}: {:?}", start.elapsed());
    }
}

proptest! {
    #[test]
    fn scrubbing_twice_changes_nothing(text in r"([0-9+@. ()a-f-]|08|62|bca |@|wa|<TELP>|<|>|\.com|nol |delapan |🙏|１|é|\n|B 1234 XY|rani_kue|Rani Wulandari|https://|ﷺ){0,60}") {
        let (once, _) = scrubber().scrub(&text, &own());
        let (twice, counts) = scrubber().scrub(&once, &own());
        prop_assert_eq!(once, twice);
        prop_assert!(counts.is_empty());
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,200}") {
        scrubber().scrub(&text, &own());
    }
}
