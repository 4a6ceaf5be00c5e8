use std::fs;

use super::*;
use crate::data::dedup::{COMMON, Likeness};
use crate::error::Shown;

const RAIN: &str =
    "hujan turun sejak subuh di Salatiga dan pasar pagi tetap ramai karena harga cabai turun lagi minggu ini";
const BOAT: &str =
    "perahu kayu buatan kakek akhirnya dicat ulang warna biru supaya wisatawan mau menyeberang ke pulau kecil itu";

fn known(id: &str, account: Option<&str>, text: &str, others: &[&str]) -> Known {
    let others = others.iter().map(|text| (*text).into()).collect();
    Known { id: id.into(), account: account.map(str::to_owned), text: text.into(), others }
}

fn copies(lock: &Lock, data: &[Known]) -> Vec<(usize, usize, String)> {
    let copies = Index::of(lock).copies(data.len(), &|at| Ok(data[at].clone()), COMMON).unwrap();
    copies.into_iter().map(|copy| (copy.at, copy.of, copy.likeness.to_string())).collect()
}

#[test]
fn copies_are_found_without_the_texts() {
    let summary = "perahu tua milik kakek dicat biru agar wisatawan kembali mau menyeberang ke pulau seberang";
    let lock = Lock::in_memory(&[known("t1", None, RAIN, &[]), known("t2", None, BOAT, &[summary])]);
    let written = serde_json::to_string(&lock).unwrap();
    assert!(!written.contains("hujan") && !written.contains("wisatawan"), "{written}");
    let holds = format!("tadi pagi ada berita begini, {summary}, dan saya setuju sekali dengan itu semuanya");
    let data = [
        known("a", None, &RAIN.to_uppercase().replace(' ', "  "), &[]),
        known("b", None, "kucing tetangga melahirkan lima anak di atas lemari dan semuanya sehat walafiat", &[]),
        known("c", None, &holds, &[]),
        known("d", None, &BOAT.replace("kayu", "besi").replace("biru", "ungu").replace("kecil", "besar"), &[]),
        known("e", None, "lain", &[RAIN]),
    ];
    let found = copies(&lock, &data);
    let run = "perahu tua milik kakek dicat biru agar wisatawan kembali mau menyeberang ke pulau";
    assert_eq!(found[0], (0, 0, "the same words".into()));
    assert_eq!(found[1], (2, 1, format!("14 words stand in both, first {run:?}")));
    assert!(matches!(&found[2], (3, 1, likeness) if likeness.ends_with("letters are the same")), "{found:?}");
    assert!(matches!(&found[3], (4, 0, likeness) if likeness.starts_with("18 words stand in both")), "{found:?}");
    assert_eq!(found.len(), 4);
    // What many texts of the data have is their way of ending.
    let endings: Vec<Known> =
        (0..COMMON).map(|at| known("x", None, &format!("{at} {summary} {at} kata lain"), &[])).collect();
    assert_eq!(copies(&lock, &endings), []);
    assert_eq!(copies(&lock, &endings[1..]).len(), COMMON - 1);
}

#[test]
fn many_records_are_looked_up_in_bands() {
    let mut lock = Lock::in_memory(&[known("t1", None, RAIN, &[]), known("t2", None, BOAT, &[])]);
    lock.similar = Alike::among(1_000_000).sure;
    let data = [
        known("a", None, &BOAT.replace("kecil itu", "kecil ini"), &[]),
        known("b", None, &RAIN.replace(" di ", " "), &[]),
    ];
    let found = Index::of(&lock).copies(2, &|at| Ok(data[at].clone()), usize::MAX).unwrap();
    assert_eq!(found.iter().map(|copy| (copy.at, copy.of)).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
}

#[test]
fn one_text_can_be_asked_about() {
    let lock = Lock::in_memory(&[known("t1", Some("a_1"), RAIN, &[])]);
    let index = Index::of(&lock);
    assert_eq!(index.holds(&known("t1", None, "lain", &[])), Some(Held::Id));
    assert_eq!(index.holds(&known("x", Some("a_1"), "lain", &[])), Some(Held::Account));
    assert_eq!(index.holds(&known("x", Some("a_1"), RAIN, &[])), Some(Held::Copy("t1".into(), Likeness::Same)));
    assert_eq!(index.holds(&known("x", Some("a_2"), BOAT, &[])), None);
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let lock = Lock::in_memory(&[known("t1", Some("a"), RAIN, &[BOAT]), known("t2", None, "pendek", &[])]);
    let lock = Lock { data: "test.jsonl".into(), ..lock };
    lock.write(&path).unwrap();
    let read = Lock::read(&path).unwrap();
    assert_eq!((&read.records, read.similar), (&lock.records, lock.similar));
    assert_eq!(read.records[1].signature, None);
    // Without a hash nothing is known of the file; with one, a change is seen.
    let data = folder.path().join("test.jsonl");
    fs::write(&data, "a").unwrap();
    assert_eq!(read.changed(&path).unwrap(), None);
    let locked = Lock { data_sha256: Some(sha256(b"a")), ..read };
    assert_eq!(locked.changed(&path).unwrap(), None);
    fs::write(&data, "b").unwrap();
    assert_eq!(locked.changed(&path).unwrap(), Some(data.clone()));
    fs::remove_file(data).unwrap();
    assert_eq!(locked.changed(&path).unwrap(), None);
}

#[test]
fn damaged_and_foreign_locks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let lock = Lock {
        data: "test.jsonl".into(),
        ..Lock::in_memory(&[known("t1", None, RAIN, &[]), known("t2", None, BOAT, &[])])
    };
    let good = serde_json::to_value(&lock).unwrap();
    let mut cases: Vec<(String, &str)> = vec![
        ("# Automatically generated by Cargo".into(), "no lock of a test set, or a damaged one: expected value"),
        ("{\"lockfileVersion\":3}".into(), "no lock of a test set, or a damaged one: missing field `v`"),
        (good.to_string()[..400].into(), "damaged one: EOF while parsing"),
    ];
    let mut changed = |pointer: &str, value: serde_json::Value, expected: &'static str| {
        let mut text = good.clone();
        *text.pointer_mut(pointer).unwrap() = value;
        cases.push((text.to_string(), expected));
    };
    changed("/v", 2.into(), "version 2, and this program reads version 1");
    changed("/similar", 7.into(), "\"similar\" is 7, not between");
    changed("/records", serde_json::json!([]), "it locks nothing");
    changed("/records/1/id", "t1".into(), "id \"t1\" is in it twice");
    changed("/records/0/runs", "AAAA".into(), "runs are 8 bytes each, found 3");
    changed("/records/0/runs", "?".into(), "Invalid");
    changed("/records/0/signature", "AAAA".into(), "a signature is 512 bytes, found 3");
    changed("/data", "../other.jsonl".into(), "\"../other.jsonl\" is no file's name");
    for (text, expected) in cases {
        fs::write(&path, text).unwrap();
        let message = Shown::of(&Lock::read(&path).unwrap_err()).to_string();
        assert!(message.contains("test.lock: ") && message.contains(expected), "{expected}: {message}");
        assert!(message.contains("\nhint: "), "{message}");
    }
}

#[test]
fn locks_are_looked_for_up_to_where_the_project_begins() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("project/data/reels");
    fs::create_dir_all(&data).unwrap();
    let lock = Lock { data: "test.jsonl".into(), ..Lock::in_memory(&[known("t1", None, RAIN, &[])]) };
    let found = || Lock::find(None, &[&data]).unwrap().map(|(path, _)| path.canonicalize().unwrap());
    lock.write(&root.path().join(FILE)).unwrap();
    // Without a project nothing above is looked at.
    assert_eq!(found(), None);
    fs::write(root.path().join("project/reels.toml"), "").unwrap();
    assert_eq!(found(), None);
    let above = root.path().join("project").join(FILE);
    lock.write(&above).unwrap();
    assert_eq!(found(), Some(above.canonicalize().unwrap()));
    let beside = data.join(FILE);
    lock.write(&beside).unwrap();
    assert_eq!(found(), Some(beside.canonicalize().unwrap()));
    let missing = Lock::find(Some(&root.path().join("none.lock")), &[&data]).unwrap_err();
    assert!(missing.to_string().contains("cannot read"), "{missing}");
}
