use serde_json::{Value, json};

use super::*;
use crate::prompt::PromptSet;

fn read(text: &str) -> Records {
    let tasks = PromptSet::embedded().unwrap().tasks;
    Records::of(&Snapshot::of("a.jsonl", &mut text.as_bytes()).unwrap(), &tasks).unwrap()
}

/// A record with one field more, or another one.
fn with(field: &str, value: Value) -> Reel {
    let mut record = json!({"id": "a", "transcript": "halo"});
    record[field] = value;
    let records = read(&record.to_string());
    records.reels().unwrap().remove(0)
}

#[test]
fn values_are_mended_and_counted() {
    for (value, expected) in [
        (json!(1200.0), Some(1200)),
        (json!("1,2 rb"), Some(1200)),
        (json!("1.200"), Some(1200)),
        (json!(-1), None),
        (json!("N/A"), None),
        (json!(""), None),
    ] {
        let records = read(&json!({"id": "a", "transcript": "x", "likes": value}).to_string());
        assert_eq!(records.read().unwrap()[0].likes, expected, "{value}");
        let table = records.problems.to_string();
        assert!(table.contains("1 value was mended") && table.contains("likes"), "{table}");
        assert!(records.problems.refuse(false).is_ok() && records.problems.refuse(true).is_err());
    }
    for value in [json!(1.25), json!("1.25"), json!("many"), json!(true), json!([1]), json!(1e300)] {
        let reason = with("likes", value.clone()).unusable.unwrap();
        assert!(reason.starts_with("a.jsonl:1: likes is ") && reason.contains("expected a count"), "{reason}");
    }
    assert_eq!(with("duration_s", json!("1:02:03")).duration_s, Some(3723.0));
    assert_eq!(with("duration_s", json!(-5)).duration_s, None);
    assert_eq!(with("account", json!(" warung ")).account.as_deref(), Some("warung"));
    assert_eq!(with("account", json!(" ")).account, None);
    assert_eq!(with("account", json!(123)).account.as_deref(), Some("123"));
    assert_eq!(with("id", json!(3726213999444109617u64)).id, "3726213999444109617");
    assert_eq!(with("id", json!(17.0)).id, "17");
    assert_eq!(with("id", json!(3.7e18)).id, "line:1");
    assert_eq!(with("hashtags", json!("#a #b,c")).hashtags, ["a", "b", "c"]);
    assert_eq!(with("hashtags", json!(["#a", "b", null, ""])).hashtags, ["a", "b"]);
    assert_eq!(with("caption", json!("nan")).caption, None);
    assert_eq!(with("posted_at", json!(1749967800)).posted_at.as_deref(), Some("2025-06-15T06:10:00Z"));
    assert_eq!(with("posted_at", json!("2025-03-12")).posted_at.as_deref(), Some("2025-03-12"));
    assert_eq!(with("posted_at", json!("12/03/2025")).posted_at, None);
    assert_eq!(with("reference", json!("{\"ad\": \"iklan\"}")).reference["ad"], "iklan");
    for (field, value) in [("hashtags", json!(null)), ("synthetic", json!(null)), ("soft", json!({"ad": null}))] {
        let records = read(&json!({"id": "a", "transcript": "x", field: value}).to_string());
        assert!(records.problems.refuse(true).is_ok(), "{}", records.problems);
    }
}

#[test]
fn what_python_and_spreadsheets_write_is_read() {
    let records = read(
        "{\"id\":\"a\",\"transcript\":\"enak \\ud83d sekali \\ud83d\\ude0b\",\"likes\":NaN,\"duration_s\":-Infinity,\"caption\":\"a\tb \\kopi\"}",
    );
    let reel = records.read().unwrap().remove(0);
    assert_eq!(reel.transcript.as_deref(), Some("enak \u{fffd} sekali \u{1f60b}"));
    assert_eq!((reel.likes, reel.duration_s, reel.caption.as_deref()), (None, None, Some("a\tb \\kopi")));
    let table = records.problems.to_string();
    for expected in [
        "NaN or Infinity",
        "likes",
        "duration_s",
        "half a character",
        "transcript",
        "control character",
        "escapes nothing",
    ] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}

#[test]
fn a_record_that_cannot_be_used_leaves_the_rest() {
    let records = read(concat!(
        "{\"id\":\"a\",\"transcript\":\"halo\",\"reference\":{\"category\":\"kuliner\"}}\n",
        "{\"id\":\"b\",\n",
        "{\"id\":\"a\",\"transcript\":\"halo\"}\n",
        "{\"transcript\":\"halo\"}\n",
        "{\"id\":\"c\",\"transkrip\":\"halo\"}\n",
        "{\"id\":\"d\",\"transcript\":\"halo\",\"reference\":{\"category\":\"Kuliner\"}}\n",
        "{\"id\":\"e\",\"transcript\":\"halo\",\"reference\":{\"ad\":\"iklan\",\"ad\":\"iklan\"}}\n",
        "{\"id\":\"f\",\"transcript\":\"halo\",\"likes\":1,\"likes\":2}\n",
        "{\"id\":\"g\",\"transcript\":\"halo\",\"reference\":{\"ad\":true}}\n",
        "{\"id\":\"h\",\"transcript\":\"halo\",\"reference\":{\"ad\":[\"iklan\",\"bukan iklan\"]}}\n",
        "{\"id\":\"i\",\"caption\":\"halo\"}",
    ));
    let reels = records.reels().unwrap();
    let ids: Vec<&str> = reels.iter().map(|reel| reel.id.as_str()).collect();
    assert_eq!(ids, ["a", "line:2", "line:3", "line:4", "c", "d", "line:7", "line:8", "g", "h", "i"]);
    assert_eq!(reels.iter().filter(|reel| reel.unusable.is_none()).count(), 2);
    assert!(reels[5].reference.is_empty());
    assert_eq!((records.problems.records, records.problems.unusable), (11, 9));
    let table = records.problems.to_string();
    for expected in [
        "a.jsonl: of 11 records, 9 can't be used, 1 field is unknown and not read",
        "broken JSON",
        "\"Kuliner\" → kuliner?",
        "transkrip           line 5   transcript?",
        "reference.ad        line 7",
        "several labels",
        "id used twice",
    ] {
        assert!(table.contains(expected), "{expected}:\n{table}");
    }
    let reason = reels[6].unusable.as_ref().unwrap();
    assert!(
        reason.starts_with("a.jsonl:7: column ") && reason.contains(": reference.ad stands twice\nhint: "),
        "{reason}"
    );
    assert!(records.problems.refuse(false).is_ok() && records.read().is_err());
    let error = read("{\"id\":\"b\"}\n{}").problems.refuse(false).unwrap_err().to_string();
    assert!(error.starts_with("a.jsonl:1: id \"b\" has neither transcript nor caption"), "{error}");
    let error =
        read("{\"id\":\"b\",\"transcript\":\"x\",\"reference\":{\"category\":\"Kuliner\"}}").problems.refuse(false);
    assert!(error.unwrap_err().to_string().ends_with("\"Kuliner\" → kuliner?"));
}

#[test]
fn unknown_fields_are_counted_with_what_is_meant() {
    let line = "{\"id\":\"ID\",\"transcript\":\"halo\",\"like\":1,\"category\":\"kuliner\",\"url\":\"x\",\"reference\":{\"kategori\":\"kuliner\",\"mood\":\"x\"}}\n";
    let records = read(&(0..5).map(|id| line.replace("ID", &id.to_string())).collect::<String>());
    let table = records.problems.to_string();
    for expected in [
        "20 fields are unknown and not read",
        "5  unknown field                like                lines 1, 2, 3 …  likes?",
        "write \"reference\": {\"category\": …}",
        "reference.kategori  lines 1, 2, 3 …  reference.category?",
        "no such task in the prompts",
    ] {
        assert!(table.contains(expected), "{expected}:\n{table}");
    }
    assert!(records.problems.refuse(true).is_err());
}

#[test]
fn a_record_is_known_by_what_is_read_of_it() {
    let hash = |text: &str| read(text).sha256;
    let one = hash("{\"id\":\"a\",\"transcript\":\"halo\",\"likes\":1200,\"source\":{\"b\":1,\"a\":2}}");
    let other = hash(
        "{ \"likes\": \"1,2 rb\", \"url\": \"x\", \"source\":{\"a\":2,\"b\":1}, \"transcript\": \"halo\", \"id\": \"a\" }",
    );
    assert_eq!(one, other);
    assert_ne!(one, hash("{\"id\":\"a\",\"transcript\":\"halo!\",\"likes\":1200}"));
    let [first, second] = ["a", "b"].map(|id| format!("{{\"id\":\"{id}\",\"transcript\":\"halo\"}}\n"));
    assert_eq!(hash(&[first.as_str(), &second].concat()), hash(&[second.as_str(), &first].concat()));
    assert_ne!(hash(&[first.as_str(), &second].concat()), hash(&first));
}

#[test]
fn records_that_are_nearly_another_are_listed() {
    let lines =
        ["r1", "r1 ", "R1", "r2"].map(|id| format!("{{\"id\":\"{id}\",\"transcript\":\"halo {}\"}}\n", id.len()));
    let records = read(&lines.concat());
    let table = records.problems.to_string();
    assert!(table.contains("2  id of another record but for case or spaces"), "{table}");
    assert!(table.contains("2  texts of another record"), "{table}");
    assert!(records.problems.refuse(true).is_ok() && records.problems.unusable == 0);
}

#[test]
fn music_is_flagged_and_used() {
    let records = read("{\"id\":\"a\",\"transcript\":\"Terima kasih sudah menonton!\"}");
    assert!(records.problems.to_string().contains("heard only music?"), "{}", records.problems);
    assert!(records.problems.refuse(true).is_ok());
    assert_eq!(records.read().unwrap()[0].transcript.as_deref(), Some("Terima kasih sudah menonton!"));
}

#[test]
fn the_table_is_bounded() {
    let fields: Vec<String> = (0..3000).map(|index| format!("\"x{index}x\\u001b[1m\":1")).collect();
    let records = read(&format!("{{\"id\":\"a\",\"transcript\":\"halo\",{}}}", fields.join(",")));
    let table = records.problems.to_string();
    assert_eq!(table.lines().count(), 3);
    assert!(table.contains("other fields, 1000: ") && table.ends_with("… and 2000 more"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[test]
fn a_file_that_is_changed_meanwhile_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "{\"id\":\"a\",\"transcript\":\"halo\"}\n").unwrap();
    let records = Records::open(Some(&path)).unwrap();
    let before = records.read().unwrap();
    std::fs::write(&path, "{\"id\":\"a\",\"transcript\":\"lain\"}\n{}").unwrap();
    assert_eq!(records.read().unwrap(), before);
    assert_eq!(records.file_sha256, crate::run::sha256(b"{\"id\":\"a\",\"transcript\":\"halo\"}\n"));
}

#[test]
fn moments_with_a_fraction_are_moments() {
    for moment in ["1700000000", "1700000000.25", "\"1700000000.0\"", "1700000000123"] {
        let records = read(&format!("{{\"id\":\"a\",\"transcript\":\"halo\",\"posted_at\":{moment}}}"));
        assert_eq!(records.read().unwrap()[0].posted_at.as_deref(), Some("2023-11-14T22:13:20Z"), "{moment}");
    }
}

#[test]
fn a_record_that_cannot_be_used_keeps_the_gold_answers_that_can() {
    let golds = "\"reference\":{\"summary\":\"isi\",\"ad\":\"iklan\",\"category\":\"apa\"}";
    let records =
        read(&format!("{{\"id\":\"a\",\"transcript\":\"halo\",\"likes\":\"1,5\",{golds}}}\n{{\"id\":\"b\"}}"));
    let reels = records.reels().unwrap();
    let kept: Vec<(&str, &str)> = reels[0].reference.iter().map(|(task, gold)| (&**task, &**gold)).collect();
    assert_eq!(kept, [("ad", "iklan"), ("summary", "isi")]);
    assert!(reels.iter().all(|reel| reel.unusable.is_some()) && reels[1].reference.is_empty());
    let joined = "{\"id\":\"a\",\"transcript\":\"halo\"}\n\u{feff}{\"id\":\"b\",\"transcript\":\"dua\"}";
    assert_eq!(read(joined).read().unwrap().len(), 2);
}
