//! Personal data as a user deals with it: an audit that tells what is left, and erasing somebody everywhere.

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

/// Of @rani_kue and the Reel CAAAABAAAAA, under the key 00 01 … 1f (tests/reference/pseudonyms.py).
const RANI: &str = "a_67e2cf704ee997f3";
const REEL: &str = "r_706c75d53cabc939";
const OTHER: &str = "a_6d2e86142dce6072";

fn reels(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("reels").unwrap();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REELS_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", folder.join("config"));
    let output = command.current_dir(folder).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

fn record(id: &str, account: &str, source: Value) -> Value {
    let reference = json!({"summary": format!("Ringkasan {id}."), "category": "kuliner", "ad": "iklan"});
    json!({"id": id, "account": account, "caption": format!("Kue basah {id} enak."), "reference": reference, "source": source})
}

/// All files below a folder, with what is in them.
fn all(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Records, what was synthesised of them, a lock, a result, a run and a model.
fn project(folder: &Path) {
    let key: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    write(folder, "config/reels/pseudonyms.key", &format!("{key}\n"));
    let records = [
        record(REEL, RANI, json!({"kind": "yt-dlp"})),
        record("r_1111111111111111", RANI, json!({"kind": "yt-dlp"})),
        record("r_2222222222222222", OTHER, json!({"kind": "yt-dlp", "with": [RANI]})),
        record("r_3333333333333333", OTHER, json!({"kind": "yt-dlp"})),
        record("r_4444444444444444", "a_00000000000000aa", json!(null)),
    ];
    write(folder, "data/reels.jsonl", &lines(&records));
    let child = |id: &str, seeds: &[&str]| json!({"id": id, "account": null, "caption": "Kue buatan.", "synthetic": true, "source": {"seeds": seeds}});
    // A child of a child stands before its parent.
    let children = [
        child("s_2", &["s_1"]),
        child("s_1", &["r_3333333333333333", "r_1111111111111111"]),
        child("s_3", &["r_4444444444444444"]),
    ];
    write(folder, "data/synthetic.jsonl", &lines(&children));
    write(folder, "data/array.json", &serde_json::to_string_pretty(&records[..4]).unwrap());
    let (code, _, said) = reels(
        folder,
        &["eval", "--model", "baseline:lead-1", "--data", "data/reels.jsonl", "--bootstrap", "100", "-o", "eval/a"],
    );
    assert_eq!(code, 0, "{said}");
    let data = json!({"path": "data/reels.jsonl", "sha256": "0"});
    write(folder, "runs/a/manifest.json", &json!({"command": "train", "data": data, "dev": null}).to_string());
    write(folder, "runs/a/adapter_model.safetensors", "weights");
    write(folder, "runs/b/manifest.json", &json!({"command": "train", "data": {"path": "other.jsonl"}}).to_string());
    write(folder, "gguf/a.gguf", "weights");
    write(folder, "gguf/a.gguf.json", &json!({"data": data}).to_string());
}

fn with_lock(folder: &Path) {
    let hash = reels::run::sha256(read(folder, "data/reels.jsonl").as_bytes());
    let locked = |id: &str, account: &str| json!({"id": id, "account": account, "text": "abc", "signature": "AAAA"});
    let records = [locked(REEL, RANI), locked("r_3333333333333333", OTHER)];
    let lock = json!({"v": 1, "data": "reels.jsonl", "data_sha256": hash, "similar": 0.31, "records": records});
    write(folder, "data/test.lock", &lock.to_string());
}

const ERASE: [&str; 6] = ["--in", "data", "eval", "runs", "gguf", "notes.txt"];

#[test]
fn somebody_is_erased_from_all_that_was_made_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    project(folder);
    with_lock(folder);
    write(folder, "notes.txt", "rapat hari Senin\n");
    let before = all(folder);

    let (code, told, said) = reels(folder, &[&["data", "erase", "@Rani_Kue", "--dry-run"], &ERASE[..]].concat());
    assert!(code == 0 && told.contains("would go") && said.contains("nothing was altered"), "{told}{said}");
    assert_eq!(all(folder), before);

    let (code, told, said) = reels(folder, &[&["data", "erase", "@Rani_Kue"], &ERASE[..]].concat());
    assert_eq!(code, 0, "{told}{said}");
    let counted = |name: &str| -> Vec<String> {
        let line = told.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {told}"));
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    assert_eq!(counted("data/reels.jsonl"), ["3", "2"]);
    assert_eq!(counted("data/synthetic.jsonl"), ["2", "1"]);
    assert_eq!(counted("data/array.json"), ["3", "1"]);
    assert_eq!(counted("data/test.lock"), ["1", "1"]);
    assert_eq!(counted("eval/a/predictions.jsonl"), ["3", "2"]);
    assert_eq!(counted("eval/a/report.html"), ["deleted"]);
    for expected in [
        "reels score --predictions eval/a/predictions.jsonl --data data/reels.jsonl --output eval/a",
        "runs/a learned from data/reels.jsonl, and isn't altered",
        "gguf/a.gguf learned from data/reels.jsonl",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("runs/b"), "{said}");
    for (name, text) in all(folder) {
        let text = String::from_utf8_lossy(&text).into_owned();
        for gone in [RANI, REEL, "r_1111111111111111", "r_2222222222222222", "s_1", "s_2"] {
            assert!(!text.contains(gone), "{name} has {gone}");
        }
    }
    // What stays is as it was.
    let kept = lines(&[
        record("r_3333333333333333", OTHER, json!({"kind": "yt-dlp"})),
        record("r_4444444444444444", "a_00000000000000aa", json!(null)),
    ]);
    assert_eq!(read(folder, "data/reels.jsonl"), kept);
    let array: Value = serde_json::from_str(&read(folder, "data/array.json")).unwrap();
    assert_eq!(array, json!([record("r_3333333333333333", OTHER, json!({"kind": "yt-dlp"}))]));
    let lock: Value = serde_json::from_str(&read(folder, "data/test.lock")).unwrap();
    assert_eq!((&lock["similar"], lock["records"].as_array().unwrap().len()), (&json!(0.31), 1));
    assert_eq!(
        lock["records"][0],
        json!({"id": "r_3333333333333333", "account": OTHER, "text": "abc", "signature": "AAAA"})
    );

    let again =
        ["score", "--predictions", "eval/a/predictions.jsonl", "--data", "data/reels.jsonl", "--output", "eval/a"];
    let (code, _, said) = reels(folder, &again);
    assert_eq!(code, 0, "{said}");
    assert!(folder.join("eval/a/report.html").is_file());

    let (code, _, said) = reels(folder, &[&["data", "erase", "@Rani_Kue"], &ERASE[..]].concat());
    assert!(code == 1 && said.contains("has @Rani_Kue\nhint: is it spelt"), "{code} {said}");
}

#[test]
fn a_lock_takes_over_the_hash_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    project(folder);
    with_lock(folder);
    let (code, told, said) = reels(folder, &["data", "erase", REEL, "--in", "data"]);
    assert_eq!(code, 0, "{told}{said}");
    let lock: Value = serde_json::from_str(&read(folder, "data/test.lock")).unwrap();
    assert_eq!(lock["data_sha256"], reels::run::sha256(read(folder, "data/reels.jsonl").as_bytes()));
    // Only the Reel: its account stays.
    assert!(read(folder, "data/reels.jsonl").contains(RANI));
}

#[test]
fn every_name_of_a_reel_erases_it() {
    for id in [REEL, "CAAAABAAAAA", "2305843010287435776", "2305843010287435776_5512"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        project(folder);
        let (code, told, said) = reels(folder, &["data", "erase", id, "--in", "data/reels.jsonl"]);
        assert_eq!(code, 0, "{id}: {said}");
        assert!(told.contains("data/reels.jsonl") && !read(folder, "data/reels.jsonl").contains(REEL), "{id}: {told}");
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "data/a.jsonl", &lines(&[record(REEL, RANI, json!(null))]));
    // Without the key a handle says nothing of a pseudonym, and a pseudonym needs none.
    let (code, _, said) = reels(folder, &["data", "erase", "rani_kue", "--in", "data"]);
    assert!(code == 2 && said.contains("there is no key at ") && said.contains("hint: name the key"), "{said}");
    let (code, _, said) = reels(folder, &["data", "erase", RANI, "--in", "data"]);
    assert!(code == 0 && read(folder, "data/a.jsonl").is_empty(), "{said}");
    assert!(!folder.join("config").exists());

    write(folder, "bad.key", "secret\n");
    let (code, _, said) = reels(folder, &["data", "erase", "rani_kue", "--in", "data", "--key", "bad.key"]);
    assert!(code == 2 && said.contains("bad.key holds no key: 6 characters"), "{said}");
    let (code, _, said) = reels(folder, &["data", "erase", "rani_kue", "--in", "nowhere"]);
    assert!(code == 2 && said.contains("cannot read nowhere"), "{said}");
    let (code, _, said) = reels(folder, &["data", "erase", "@", "--in", "data"]);
    assert!(code == 2 && said.contains("an ID is empty"), "{said}");

    // What has another form is named, and so is a broken line.
    write(folder, "data/b.csv", &format!("id,teks\n{REEL},Kue\n"));
    write(folder, "data/c.jsonl", &format!("{{\"id\":\"{REEL}\"\n{{\"id\":\"r_3333333333333333\"}}\n"));
    write(folder, "data/d.jsonl", "{\"id\":\n");
    write(folder, "data/e.parquet", "PAR1");
    let (code, _, said) = reels(folder, &["data", "erase", REEL, "--in", "data"]);
    assert_eq!(code, 3, "{said}");
    for expected in ["data/b.csv names it", "data/c.jsonl names it", "data/e.parquet can't be looked into"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("data/d.jsonl"), "{said}");
    assert!(read(folder, "data/c.jsonl").contains(REEL));
}

#[test]
fn names_that_were_never_replaced_are_erased_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let records = [record("DHhaNTBaQgM", "@Rani_Kue", json!(null)), record("CAAAABAAAAA", "kopi7", json!(null))];
    write(folder, "a.jsonl", &lines(&records));
    let (code, _, said) = reels(folder, &["data", "erase", "rani_kue", "--in", "a.jsonl"]);
    assert!(code == 0 && said.contains("warning: there is no key at "), "{said}");
    assert_eq!(read(folder, "a.jsonl"), lines(&records[1..]));
}

#[test]
fn an_audit_tells_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    project(folder);
    let (code, told, said) = reels(folder, &["data", "audit", "data", "eval"]);
    assert!(code == 0 && told.starts_with("nothing is left in ") && said.is_empty(), "{told}{said}");
    let (code, told, said) = reels(folder, &["data", "audit", "gguf"]);
    assert!(code == 0 && said.contains("not looked into: 1 with weights"), "{told}{said}");

    let left =
        json!({"id": "CAAAABAAAAA", "account": "rani_kue", "caption": "WA 0812-3456-7890", "full_name": "Rani W"});
    write(folder, "data/left.jsonl", &lines(&[left]));
    let (code, told, said) = reels(folder, &["data", "audit", "data"]);
    assert_eq!(code, 1, "{said}");
    for expected in
        ["phone number", "data/left.jsonl:1 caption 0812…90", "field full_name", "account that is no pseudonym"]
    {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains("3456") && !told.contains("Rani W"), "{told}");
    let (code, told, _) = reels(folder, &["data", "audit", "data/left.jsonl", "--json"]);
    let audit: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &audit["left"]["phone number"]["count"]), (1, &json!(1)));
    assert_eq!(audit["left"]["phone number"]["places"][0]["line"], 1);

    write(folder, "data/table.xlsx", "PK\u{3}\u{4}");
    let (code, _, said) = reels(folder, &["data", "audit", "data"]);
    assert!(code == 2 && said.contains("data/table.xlsx can't be looked into"), "{said}");
}
