use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Shown;

/// What tests/reference/transcripts.py wrote with the packages' own writers.
fn reference(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/transcripts");
    std::fs::read(folder.join(name)).unwrap()
}

fn expected() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&reference("expected.json")).unwrap()
}

fn shown(transcript: &Transcript) -> Value {
    let segment = |segment: &Segment| {
        let Segment { start_s, end_s, text, avg_logprob, no_speech_prob, compression_ratio } = segment;
        json!({
            "start_s": start_s, "end_s": end_s, "text": text, "avg_logprob": avg_logprob,
            "no_speech_prob": no_speech_prob, "compression_ratio": compression_ratio
        })
    };
    let Transcript { kind, language, segments, repaired, rolled, encoding } = transcript;
    json!({
        "kind": kind, "language": language, "encoding": encoding, "repaired": repaired, "rolled": rolled,
        "segments": segments.iter().map(segment).collect::<Vec<Value>>()
    })
}

#[test]
fn what_recognisers_write_is_read() {
    let expected = expected();
    assert!(expected.len() > 25);
    for (name, expected) in expected {
        let bytes = reference(&name);
        let transcript = read(&name, &bytes, true).unwrap().unwrap();
        assert_eq!(shown(&transcript), expected, "{name}");
        // By its shape, wherever it stands; any text is a transcript only among transcripts.
        let anywhere = read("lain.dat", &bytes, false).unwrap();
        assert_eq!(anywhere.is_some(), transcript.kind != "text", "{name}");
    }
}

#[test]
fn formats_of_one_recogniser_say_the_same() {
    let text = |name: &str| read(name, &reference(name), true).unwrap().unwrap().text();
    for name in ["whisper.srt", "whisper.vtt", "whisper.tsv", "whisper.txt", "whisperx.json", "whisperx.txt"] {
        assert_eq!(text(name), text("whisper.json"), "{name}");
    }
}

#[test]
fn what_is_no_transcript_is_none_or_an_error_among_transcripts() {
    for (text, expected) in [
        (&b""[..], "a.json: is empty"),
        (b" \n\t", "a.json: is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.json: is no text"),
        (b"{\"id\":\"a\",\"transcript\":\"halo\"}\n{\"id\":\"b\"}", "a.json: is JSON, but no recogniser's"),
        (b"{\"node\":{\"shortcode\":\"DA1\"},\"instaloader\":{}}", "neither segments nor transcription"),
        (b"[{\"shortCode\":\"DA1\",\"caption\":\"halo\"}]", "neither segments nor transcription"),
        (b"{\"segments\":[{\"url\":\"x\"}]}", "neither segments nor transcription"),
        (b"[]", "neither segments nor transcription"),
        (b"{\"a\":", "a.json:1: broken JSON: EOF while parsing a value"),
    ] {
        assert_eq!(read("a.json", text, false).unwrap(), None);
        let message = read("a.json", text, true).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let caption = read("a.txt", "Resep soto ayam 🍲\n#kuliner".as_bytes(), false).unwrap();
    assert_eq!(caption, None);
    let api = br#"{"text":"Halo semua.","usage":{"seconds":4}}"#;
    assert_eq!(read("a.json", api, false).unwrap(), None);
    assert_eq!(read("a.json", api, true).unwrap().unwrap().text(), "Halo semua.");
    let spoken = read("a.txt", b"[Musik]\n\nhalo\n", true).unwrap().unwrap();
    assert_eq!(spoken.segments.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>(), ["[Musik]", "halo"]);
}

#[test]
fn what_is_wrong_is_named() {
    let whisper = reference("whisper.json");
    for (bytes, expected) in [
        (&whisper[..whisper.len() / 2], "a.x:1: broken JSON"),
        (&whisper[..whisper.len() / 2], "hint: the file ends too early"),
        (b"{\"text\":\"\",\"segments\":[],\"language\":\"id\"}", "a.x: no segments with text"),
        (b"{\"segments\":[{\"text\":\" \"}]}", "a.x: no segments with text"),
        (b"{\"segments\":[{\"text\":\"a\"},{\"start\":1}]}", "a.x: segment 2 has no text"),
        (b"WEBVTT\n\nNOTE hanya catatan\n", "a.x: no segments with text"),
        (
            b"1\n00:00:01,000 --> 00:00:02,000\nhalo\n\n2\n00:00:03,000 --> 00:00:x",
            "a.x:6: expected two times, found \"00:00:03,000 --> 00:00:x\"",
        ),
        (b"1\n00:00:01,000 --> 00:00:02,000\nhalo\n\n2\n00:00:03,000 -->", "a.x:6: expected two times"),
        (b"start\tend\ttext\n0\t1000\thalo\n1000", "a.x:3: expected start, end and text, found \"1000\""),
        (b"start\tend\ttext\n", "a.x: no segments with text"),
    ] {
        for is_transcript in [false, true] {
            let error = read("a.x", bytes, is_transcript).unwrap_err();
            let message = Shown::of(&error).to_string();
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
    }
    let large = vec![b' '; LARGEST + 1];
    assert_eq!(read("a.txt", &large, false).unwrap(), None);
    assert!(read("a.txt", &large, true).unwrap_err().to_string().contains("a.txt: 32 MB are too much"));
}

#[test]
fn text_in_any_encoding_is_read() {
    for (bytes, expected, encoding) in [
        (&b"caf\xe9 enak"[..], "caf\u{e9} enak", "windows-1252"),
        (b"\xefaduh \xe9 \x93kopi\x94", "\u{ef}aduh \u{e9} “kopi”", "windows-1252"),
        ("caf\u{e9} ♪".as_bytes(), "caf\u{e9} ♪", "UTF-8"),
        (b"\xff\xfeh\0a\0i\0", "hai", "UTF-16LE"),
        (b"\xfe\xff\0h\0a\0i", "hai", "UTF-16BE"),
        (b"h\0a\0i\0", "hai", "UTF-16LE"),
    ] {
        let transcript = read("a.txt", bytes, true).unwrap().unwrap();
        assert_eq!((transcript.text().as_str(), transcript.encoding), (expected, encoding));
        assert_eq!(transcript.repaired, 0);
    }
    // UTF-8 in which something is cut stays UTF-8.
    let cut = read("a.txt", "caf\u{e9} ♪".as_bytes().split_last().unwrap().1, true).unwrap().unwrap();
    assert_eq!((cut.text().as_str(), cut.encoding, cut.repaired), ("caf\u{e9} \u{fffd}", "UTF-8", 1));
    let three = read("a.txt", b"a\xe2\n\x99\xaa b\xf0\x9f\n\x8d\x9c", true).unwrap().unwrap();
    assert_eq!((three.text().as_str(), three.repaired), ("a♪ b🍜", 2));
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_transcript: bool) {
        if let Ok(Some(transcript)) = read("a", &bytes, is_transcript) {
            Quality::of(&transcript, "id");
        }
    }

    #[test]
    fn no_change_is_too_much(file in 0usize..28, at: prop::sample::Index, put: Vec<u8>, taken in 0usize..20) {
        let (name, _) = expected().into_iter().nth(file).unwrap();
        let mut bytes = reference(&name);
        let at = at.index(bytes.len());
        bytes.splice(at..(at + taken).min(bytes.len()), put);
        if let Ok(Some(transcript)) = read(&name, &bytes, true) {
            prop_assert!(!transcript.segments.is_empty());
            prop_assert!(transcript.segments.iter().all(|segment| !segment.text.trim().is_empty()));
            Quality::of(&transcript, "id");
        }
    }
}
