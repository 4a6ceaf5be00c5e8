//! `reels split` as a user runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.path().join(name), lines.join("\n") + "\n").unwrap();
    }

    /// Standard output and standard error.
    fn split(&self, arguments: &str, code: i32) -> [String; 2] {
        let mut command = Command::cargo_bin("reels").unwrap();
        let run = command.current_dir(self.path()).arg("split").args(arguments.split_whitespace()).output().unwrap();
        let said = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(run.status.code(), Some(code), "{}\n{}", said[0], said[1]);
        said
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    fn ids(&self, name: &str) -> BTreeSet<String> {
        self.read(name).lines().map(id_of).collect()
    }

    /// The part of each id.
    fn parts(&self, folder: &str) -> BTreeMap<String, &'static str> {
        let of = |part: &'static str| {
            self.ids(&format!("{folder}/{part}.jsonl")).into_iter().map(move |id| (id, part)).collect::<Vec<_>>()
        };
        ["train", "dev", "test"].into_iter().flat_map(of).collect()
    }
}

fn id_of(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
}

/// The records that come with the project, with their texts and labels.
fn bundled(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("eval").join(name);
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn changed(line: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut record = serde_json::from_str(line).unwrap();
    change(&mut record);
    record.to_string()
}

fn text(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["transcript"].as_str().unwrap().to_owned()
}

#[test]
fn records_are_parted_as_they_were_and_told() {
    let folder = Folder::new();
    let lines = bundled("sample.jsonl");
    folder.write("reels.jsonl", &lines);
    let [table, said] = folder.split("reels.jsonl -o data", 0);
    // Byte for byte, each once.
    let mut written: Vec<String> = ["train", "dev", "test"]
        .iter()
        .flat_map(|part| folder.read(&format!("data/{part}.jsonl")).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    written.sort();
    let mut brought = lines.clone();
    brought.sort();
    assert_eq!(written, brought);
    let sizes = ["train", "dev", "test"].map(|part| folder.ids(&format!("data/{part}.jsonl")).len());
    assert_eq!(sizes, [96, 12, 12]);
    let accounts = |part: &str| -> BTreeSet<String> {
        let of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["account"].as_str().unwrap().to_owned();
        folder.read(&format!("data/{part}.jsonl")).lines().map(of).collect()
    };
    for (a, b) in [("train", "dev"), ("train", "test"), ("dev", "test")] {
        assert!(accounts(a).is_disjoint(&accounts(b)), "{a} and {b}");
    }
    assert!(table.contains("train.jsonl") && table.contains("with gold answers"), "{table}");
    assert!(table.lines().any(|line| line.trim_start().starts_with("ad iklan")), "{table}");
    assert!(said.contains("lock     data/test.lock"), "{said}");
    let manifest = folder.json("data/manifest.json");
    assert_eq!((&manifest["command"], &manifest["seed"]), (&json!("split"), &json!(42)));
    assert_eq!(manifest["split"]["parts"][2]["records"], 12);
    // No text is in the lock.
    let lock = folder.read("data/test.lock");
    let words = folder.read("data/test.jsonl");
    let words = text(words.lines().next().unwrap());
    assert!(words.split(' ').filter(|word| word.len() > 6).all(|word| !lock.contains(word)), "{lock}");
    // The same seed, threads or not, and order or not, gives the same.
    let before = folder.parts("data");
    let mut turned = lines.clone();
    turned.reverse();
    folder.write("turned.jsonl", &turned);
    let mut single = Command::cargo_bin("reels").unwrap();
    single.current_dir(folder.path()).env("RAYON_NUM_THREADS", "1").args(["split", "turned.jsonl", "-o", "again"]);
    single.assert().success();
    assert_eq!(folder.parts("again"), before);
    folder.split("reels.jsonl -o other --seed 7", 0);
    assert_ne!(folder.parts("other"), before);
    folder.split("reels.jsonl -o counts --test 20 --dev 30", 0);
    assert_eq!(["train", "dev", "test"].map(|part| folder.ids(&format!("counts/{part}.jsonl")).len()), [70, 30, 20]);
}

#[test]
fn a_test_set_stays_when_data_grows() {
    let folder = Folder::new();
    let mut lines = bundled("sample.jsonl");
    folder.write("reels.jsonl", &lines);
    folder.split("reels.jsonl -o data", 0);
    let before = folder.parts("data");
    let lock = folder.read("data/test.lock");
    // The same once more.
    let [_, said] = folder.split("reels.jsonl -o data --seed 42", 0);
    assert!(said.contains("lock     data/test.lock: 12 records, frozen since "), "{said}");
    assert!(!said.contains("--test"), "{said}");
    assert_eq!(folder.parts("data"), before);
    let [_, said] = folder.split("reels.jsonl -o data --test 40", 0);
    assert!(said.contains("warning: --test isn't looked at: the test set is frozen with 12 records"), "{said}");
    assert_eq!(folder.parts("data"), before);
    let test: Vec<String> = folder.read("data/test.jsonl").lines().map(str::to_owned).collect();
    let renamed = |line: &str, id: &str, account: &str| {
        changed(line, |record| (record["id"], record["account"]) = (id.into(), account.into()))
    };
    lines.push(changed(&test[0], |record| {
        (record["id"], record["transcript"]) = ("x_account".into(), "teks lain".into())
    }));
    lines.push(renamed(&test[1], "x_copy", "acc_baru"));
    let with = serde_json::from_str::<Value>(&test[2]).unwrap()["account"].clone();
    lines.push(changed(&test[2], |record| {
        (record["id"], record["account"], record["transcript"]) =
            ("x_with".into(), "acc_lain".into(), "teks yang lain".into());
        record["caption"] = Value::Null;
        record["source"] = json!({"kind": "test", "with": [with]});
    }));
    lines.extend(bundled("dev.jsonl").into_iter().take(30));
    folder.write("reels.jsonl", &lines);
    let [table, _] = folder.split("reels.jsonl -o data", 0);
    let after = folder.parts("data");
    for (id, part) in &before {
        assert_eq!(*part == "test", after.get(id) == Some(&"test"), "{id}");
    }
    for (id, reason) in [
        ("x_account", "of an account of the test set"),
        ("x_copy", "copy of a record of the test set"),
        ("x_with", "posted together with an account of the test set"),
    ] {
        assert!(table.contains(&format!("left out 1 {reason}: {id}")), "{table}");
        assert!(!after.contains_key(id));
    }
    assert_eq!(after.len(), 150);
    let left_out = folder.json("data/manifest.json")["split"]["left_out"].clone();
    assert_eq!(left_out.as_array().unwrap().len(), 3);
    assert_eq!(folder.read("data/test.lock"), lock);
    // Nor does another split of the same project put locked records elsewhere.
    let [_, said] = folder.split("reels.jsonl -o elsewhere --lock data/test.lock --test 0.3", 0);
    assert!(said.contains("lock     data/test.lock"), "{said}");
    assert_eq!(folder.ids("elsewhere/test.jsonl"), folder.ids("data/test.jsonl"));
    assert!(!folder.path().join("elsewhere/test.lock").exists());
    // Some of it gone, or the file another one, is told.
    fs::write(folder.path().join("data/test.jsonl"), "").unwrap();
    let gone: Vec<String> = lines.iter().filter(|line| id_of(line) != id_of(&test[0])).cloned().collect();
    folder.write("reels.jsonl", &gone);
    let [_, said] = folder.split("reels.jsonl -o data", 0);
    assert!(said.contains("warning: data/test.jsonl isn't what was locked in data/test.lock\nhint: "), "{said}");
    assert!(said.contains("warning: 1 of 12 locked records are not in reels.jsonl: "), "{said}");
}

/// Every kind of copy of a record goes where the record goes.
#[test]
fn planted_copies_are_never_parted() {
    let folder = Folder::new();
    // By letters the longer one of transcript and caption is compared.
    let lines: Vec<String> =
        bundled("sample.jsonl").iter().map(|line| changed(line, |record| record["caption"] = Value::Null)).collect();
    let alone = |line: &str, id: String, text: String| {
        changed(line, |record| {
            (record["id"], record["account"], record["transcript"]) = (id.into(), Value::Null, text.into());
            (record["caption"], record["source"]) = (Value::Null, Value::Null);
            record["reference"]["summary"] = Value::Null;
        })
    };
    let vocabulary: Vec<String> =
        lines.iter().flat_map(|line| text(line).split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let mathematical = |letter: char| match letter {
        'a'..='z' => char::from_u32(0x1d41a + letter as u32 - 97).unwrap(),
        other => other,
    };
    let mut all = lines.clone();
    for (index, line) in lines.iter().enumerate() {
        let (id, own) = (id_of(line), text(line));
        let summary = serde_json::from_str::<Value>(line).unwrap()["reference"]["summary"].as_str().unwrap().to_owned();
        // Every fifth word, which are 20 % at most.
        let fifth = own.split(' ').enumerate().map(|(at, word)| {
            if at % 5 == 4 { vocabulary[(at * 7919 + index * 104_729) % vocabulary.len()].as_str() } else { word }
        });
        let copies = [
            ("case", own.to_uppercase()),
            ("spacing", own.replace(' ', " \n ")),
            ("letters", own.chars().map(mathematical).collect()),
            ("zero", own.chars().flat_map(|letter| [letter, '\u{200b}']).collect()),
            ("words", fifth.collect::<Vec<&str>>().join(" ")),
            (
                "summary",
                format!(
                    "begini ceritanya teman teman jadi {summary} nah itu dia kisah nomor {index} sampai jumpa lagi"
                ),
            ),
        ];
        all.extend(copies.map(|(kind, text)| alone(line, format!("{kind}:{id}"), text)));
    }
    folder.write("reels.jsonl", &all);
    folder.split("reels.jsonl -o data --test 0.2", 0);
    let parts = folder.parts("data");
    assert_eq!(parts.len(), all.len());
    for (id, part) in &parts {
        let original = id.split(':').next_back().unwrap();
        assert_eq!(*part, parts[original], "{id}");
    }
    // Found from the lock alone, too: where they come later.
    folder.write("reels.jsonl", &lines);
    folder.split("reels.jsonl -o later --test 60", 0);
    let test = folder.ids("later/test.jsonl");
    folder.write("reels.jsonl", &all);
    let [table, _] = folder.split("reels.jsonl -o later", 0);
    let after = folder.parts("later");
    for id in all.iter().map(|line| id_of(line)) {
        let original = id.split(':').next_back().unwrap();
        if id != original && test.contains(original) {
            assert!(!after.contains_key(&id), "{id} is in {}", after[&id]);
        }
    }
    assert!(table.contains("left out 360 copy of a record of the test set: "), "{table}");
}

#[test]
fn folds_are_grouped_and_hold_each_record_once() {
    let folder = Folder::new();
    folder.write("reels.jsonl", &bundled("sample.jsonl"));
    let [table, _] = folder.split("reels.jsonl -o folds --folds 5", 0);
    assert_eq!(table.lines().filter(|line| line.contains("/test.jsonl")).count(), 5 + 5, "{table}");
    let all = folder.ids("reels.jsonl");
    let mut tested = BTreeSet::new();
    for fold in 1..=5 {
        let [train, test] = ["train", "test"].map(|part| folder.ids(&format!("folds/fold-{fold}/{part}.jsonl")));
        assert!(train.is_disjoint(&test));
        assert_eq!(train.len() + test.len(), all.len());
        assert!(tested.is_disjoint(&test));
        tested.extend(test);
    }
    assert_eq!(tested, all);
    assert!(!folder.path().join("folds/test.lock").exists());
    folder.split("reels.jsonl -o folds --folds 5 --test 0.1", 2);
    // What is frozen is in no fold.
    folder.split("reels.jsonl -o data", 0);
    folder.split("reels.jsonl -o folds --folds 5 --lock data/test.lock", 0);
    let test = folder.ids("data/test.jsonl");
    let [in_train, in_test] = ["train", "test"].map(|part| folder.ids(&format!("folds/fold-1/{part}.jsonl")));
    assert!(in_train.is_disjoint(&test) && in_test.is_disjoint(&test));
    assert_eq!(in_train.len() + in_test.len(), 108);
}

#[test]
fn impossible_wishes_are_met_as_far_as_possible_and_said() {
    let folder = Folder::new();
    let lines: Vec<String> =
        bundled("sample.jsonl")
            .iter()
            .enumerate()
            .map(|(index, line)| {
                if index < 108 { changed(line, |record| record["account"] = "acc_besar".into()) } else { line.clone() }
            })
            .collect();
    folder.write("reels.jsonl", &lines);
    let [table, said] = folder.split("reels.jsonl -o data --dev 0.1 --test 0.3", 0);
    assert!(
        said.contains("were wanted: groups stay whole, and the largest has ") && said.contains("of 120 records"),
        "{said}"
    );
    assert!(table.contains("largest groups\n  ") && table.contains("acc_besar"), "{table}");
    for (arguments, expected) in [
        ("reels.jsonl -o a --test 1000", "--test 1000 are more than there are: 120 records with gold answers\nhint: "),
        (
            "reels.jsonl -o a --train 50 --dev 10 --test 10",
            "--train 50, --dev 10 and --test 10 are 70, and there are 120",
        ),
        ("reels.jsonl -o a --test 1.5", "--test 1.5: is neither a share nor a number of records\nhint: "),
        ("none.jsonl -o a", "cannot read data file none.jsonl"),
        ("data/train.jsonl -o data --lock data/test.lock", "is the data, and would be overwritten\nhint: "),
    ] {
        let [_, said] = folder.split(arguments, 2);
        assert!(said.contains(expected), "{arguments}: {said}");
    }
    fs::write(folder.path().join("data/test.lock"), "{}").unwrap();
    let [_, said] = folder.split("reels.jsonl -o data", 2);
    assert!(said.contains("data/test.lock: no lock of a test set, or a damaged one: missing field `v`"), "{said}");
}

#[test]
fn what_cannot_be_used_is_told_and_what_has_no_answer_is_learned_from() {
    let folder = Folder::new();
    let mut lines = bundled("sample.jsonl");
    for (index, line) in lines.iter_mut().enumerate().filter(|(index, _)| index % 4 == 0) {
        *line = changed(line, |record| {
            record["account"] = format!("acc_sendiri_{index}").into();
            if index % 8 == 0 { record["reference"] = Value::Null } else { record["synthetic"] = true.into() }
        });
    }
    lines.insert(5, "{\"id\":\"rusak\"".into());
    folder.write("reels.jsonl", &lines);
    let [table, said] = folder.split("reels.jsonl -o data", 3);
    assert!(said.contains("of 121 records, 1 can't be used"), "{said}");
    for part in ["dev", "test"] {
        for line in folder.read(&format!("data/{part}.jsonl")).lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            assert!(record["synthetic"] == false && record["reference"].is_object(), "{part}: {line}");
        }
    }
    let sizes = ["train", "dev", "test"].map(|part| folder.ids(&format!("data/{part}.jsonl")).len());
    assert_eq!(sizes, [72 + 30, 9, 9], "{table}");
    folder.write("broken.jsonl", &["{\"id\":".into()]);
    let [_, said] = folder.split("broken.jsonl -o none", 2);
    assert!(said.contains("broken.jsonl:1") && !folder.path().join("none").exists(), "{said}");
}
