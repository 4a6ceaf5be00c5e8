use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::annotation::{Answered, Answers, Question};
use crate::data::review::Text;
use crate::error::Shown;

const EXPORT: &str = include_str!("../../../tests/reference/label_studio/export.json");
const ALL: &str = include_str!("../../../tests/reference/label_studio/export-all.json");
const SNAPSHOT: &str = include_str!("../../../tests/reference/label_studio/snapshot.json");
const MIN: &str = include_str!("../../../tests/reference/label_studio/export-min.json");
const CSV: &str = include_str!("../../../tests/reference/label_studio/export.csv");

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/label_studio").join(name)
}

fn question(name: &str, labels: &[&str], descriptions: &[(&str, &str)]) -> Question {
    Question {
        name: name.into(),
        labels: labels.iter().map(|label| (*label).into()).collect(),
        descriptions: descriptions.iter().map(|(label, text)| ((*label).into(), (*text).into())).collect(),
    }
}

fn item(number: usize, caption: Option<&str>, transcript: Option<&str>) -> Item {
    Item {
        id: format!("r_{number}"),
        account: (number != 3).then(|| format!("a_{}", number / 2)),
        shown: format!("shown {number}"),
        caption: caption.map(Into::into),
        transcript: transcript.map(Into::into),
        ..Item::default()
    }
}

/// Seven Reels, the first of which has whatever can be known.
fn form() -> Form {
    let mut items = vec![
        item(0, Some("<b>Warung</b> & \"promo\" 🍜\n$caption {{ baris }} dua"), Some("selamat datang di warung kami")),
        item(1, Some("Lagu dari kampung"), None),
        item(2, None, Some("kenapa langit biru? <script>alert(1)</script>")),
        item(3, Some("Sambal matah"), Some("iris bawang merah")),
        item(4, Some("Soto"), Some("kuahnya bening")),
        item(5, Some("Gitar"), Some("kunci C")),
        item(6, None, None),
    ];
    items[0].duration_s = Some(41.2);
    items[0].likes = Some(1200);
    items[0].views = Some(0);
    items[0].plays = Some(45300);
    items[0].comments = Some(88);
    items[0].hashtags = vec!["kuliner".into(), "warung".into()];
    items[0].suggested = [("category".into(), "kuliner".into()), ("ada iklan".into(), "iklan".into())].into();
    items[2].suggested = [("category".into(), "tanya \"&\" jawab <3".into())].into();
    let category = [("kuliner", "makanan, minuman"), ("musik", "lagu,\nalat musik")];
    Form {
        v: 1,
        kind: Kind::Annotations,
        form: "f0e1".into(),
        role: Role::Annotator,
        title: "contoh".into(),
        tasks: vec![
            question("category", &["kuliner", "musik", "tanya \"&\" jawab <3"], &category),
            question("ada iklan", &["iklan", "bukan iklan"], &[("iklan", "ada tawaran, mis. \"endorse\" & <promo>")]),
        ],
        items,
    }
}

fn written() -> [(&'static str, String); 2] {
    let tasks = serde_json::to_string_pretty(&tasks(&form())).unwrap();
    [("config.xml", config(&form()).unwrap()), ("tasks.json", tasks + "\n")]
}

#[test]
#[ignore = "writes what tests/reference/label_studio.py gives to Label Studio"]
fn write_what_label_studio_takes() {
    for (name, text) in written() {
        std::fs::write(file(name), text).unwrap();
    }
}

/// Label Studio took these files, and its exports are of them.
#[test]
fn what_is_written_is_what_label_studio_took() {
    for (name, text) in written() {
        assert_eq!(text, std::fs::read_to_string(file(name)).unwrap(), "{name}");
    }
}

#[test]
fn what_label_studio_cannot_ask_is_refused() {
    let refused = |change: fn(&mut Form)| {
        let mut form = form();
        change(&mut form);
        Shown::of(&config(&form).unwrap_err()).to_string()
    };
    let ratings = refused(|form| {
        form.kind = Kind::Ratings;
        form.items[0].texts = vec![Text { key: "k".into(), text: "ringkasan".into() }];
    });
    assert_eq!(ratings, "Label Studio isn't asked for ratings\nhint: write a page: --to html");
    let adjudicator = refused(|form| form.role = Role::Adjudicator);
    assert_eq!(adjudicator, "Label Studio isn't asked to decide between annotators\nhint: write a page: --to html");
    let broken = refused(|form| form.tasks[1].labels[0] = "dua\nbaris".into());
    assert_eq!(broken, "task \"ada iklan\": Label Studio would change \"dua\\nbaris\"\nhint: write a page: --to html");
}

/// Number of the Reel, category, ad, note, seconds.
type Said = (usize, &'static str, &'static str, Option<&'static str>, f64);

/// What tests/reference/label_studio.py has them answer.
const SARI: [Said; 4] = [
    (0, "kuliner", "iklan", Some("Ada kode diskon \"WARUNG10\",\nmungkin <iklan> & ajakan."), 31.25),
    (1, "musik", "bukan iklan", None, 10.5),
    (2, "tanya \"&\" jawab <3", "bukan iklan", None, 10.5),
    (4, "kuliner", "iklan", Some("Tadinya musik."), 12.0),
];
const BUDI: [Said; 3] = [
    (0, "kuliner", "bukan iklan", None, 10.5),
    (1, "musik", "bukan iklan", Some("Lagu daerah."), 10.5),
    (3, "kuliner", "iklan", None, 10.5),
];

fn answers(annotator: &str, said: &[Said]) -> Answers {
    let items = said.iter().map(|(number, category, ad, note, seconds)| Answered {
        id: format!("r_{number}"),
        account: form().items[*number].account.clone(),
        shown: format!("shown {number}"),
        answers: [("category", category), ("ada iklan", ad)]
            .map(|(task, label)| (task.to_owned(), (*label).to_owned()))
            .into(),
        note: note.map(Into::into),
        seconds: Some(*seconds),
        ..Answered::default()
    });
    Answers {
        v: 1,
        kind: Kind::Annotations,
        form: "f0e1".into(),
        role: Role::Annotator,
        annotator: annotator.into(),
        tasks: vec![],
        of: 7,
        items: items.collect(),
    }
}

#[test]
fn exports_are_what_was_answered() {
    for export in [EXPORT, ALL] {
        let expected = Export { answers: vec![answers("ls-1", &SARI), answers("ls-2", &BUDI)], skipped: 2 };
        assert_eq!(read(export, "export.json").unwrap(), expected);
    }
    // A snapshot has names.
    let named = vec![answers("sari", &SARI), answers("budi", &BUDI)];
    let named = Export { answers: named, skipped: 2 };
    assert_eq!(read(SNAPSHOT, "snapshot.json").unwrap(), named);
    let written_otherwise = SNAPSHOT.replacen("\"sari@example.id\"", "\" Sari@Example.id\"", 2);
    assert!(written_otherwise != SNAPSHOT && read(&written_otherwise, "snapshot.json").unwrap() == named);
    // The latest comes first there, and what was skipped isn't there.
    let latest = Export { answers: vec![answers("ls-2", &BUDI), answers("ls-1", &SARI)], skipped: 0 };
    assert_eq!(read(MIN, "export-min.json").unwrap(), latest);
}

fn error(text: &str) -> String {
    Shown::of(&read(text, "e.json").unwrap_err()).to_string()
}

/// The error of an export after a change.
fn changed(export: &str, change: impl Fn(&mut Value)) -> String {
    let mut entries: Value = serde_json::from_str(export).unwrap();
    change(&mut entries);
    error(&entries.to_string())
}

#[test]
fn half_a_file_is_told() {
    for export in [EXPORT, SNAPSHOT, MIN] {
        let whole = export.trim_end();
        for end in (0..whole.len()).step_by(53).filter(|end| whole.is_char_boundary(*end)) {
            assert!(error(&whole[..end]).contains("ends in the middle"), "{end} of {}", whole.len());
        }
    }
}

#[test]
fn what_is_no_export_is_told() {
    let told = |text: &str| error(text).replace('\n', " / ");
    assert!(told(CSV).starts_with("e.json: not an export of Label Studio: "), "{}", told(CSV));
    assert!(told(CSV).ends_with("/ hint: export as JSON or JSON-MIN"), "{}", told(CSV));
    assert!(told("{\"v\":1}").starts_with("e.json: not an export of Label Studio: invalid type: map"));
    assert_eq!(
        told(&written()[1].1),
        "e.json: entry 1 of the list: has no annotations: it is a task as it is imported, or of another program / \
         hint: export the project in Label Studio as JSON or JSON-MIN"
    );
    assert!(told("[1]").starts_with("e.json: entry 1 of the list: has no annotations"));
    assert!(told("[]").starts_with("e.json: 0 tasks, and nobody answered one (skipped: 0) / hint: export the project"));
    let other = changed(ALL, |tasks| tasks[1]["data"] = json!({"text": "Lagu dari kampung"}));
    assert!(
        other.starts_with("e.json: task 2: its data isn't what reels wrote: missing field `reel`\nhint: "),
        "{other}"
    );
    let other = changed(MIN, |annotations| annotations[0]["shown"] = Value::Null);
    assert!(other.starts_with("e.json: task 1: its data isn't what reels wrote: invalid type: null"), "{other}");
}

#[test]
fn what_cannot_be_one_persons_answers_is_told() {
    let twice = changed(EXPORT, |tasks| tasks[0]["annotations"][1]["completed_by"] = 1.into());
    assert!(twice.starts_with("e.json: task 1: ls-1 answered about \"r_0\" before\nhint: delete one of"), "{twice}");
    let two_tasks = changed(EXPORT, |tasks| tasks[1]["data"]["reel"] = "r_0".into());
    assert!(two_tasks.starts_with("e.json: task 2: ls-1 answered about \"r_0\" before"), "{two_tasks}");
    let forms = changed(EXPORT, |tasks| tasks[2]["data"]["form"] = "beef".into());
    assert!(forms.starts_with("e.json: task 3: asks by form beef, the tasks before it by f0e1\nhint: "), "{forms}");
    let nobody = changed(EXPORT, |tasks| tasks[1]["annotations"][0]["completed_by"] = Value::Null);
    assert!(nobody.starts_with("e.json: task 2: an annotation is nobody's\nhint: its user was deleted"), "{nobody}");
    let odd = changed(EXPORT, |tasks| tasks[1]["annotations"][0]["completed_by"] = (-1).into());
    assert!(odd.starts_with("e.json: task 2: its annotations can't be read: "), "{odd}");
    assert!(odd.ends_with("\nhint: export again as JSON or JSON-MIN, and change nothing in the file"), "{odd}");
    let nobody = changed(MIN, |annotations| annotations[0]["annotator"] = "".into());
    assert!(nobody.starts_with("e.json: task 1: an annotation is nobody's"), "{nobody}");
}

#[test]
fn what_is_not_one_label_is_told() {
    let result = |tasks: &mut Value, at: usize| tasks[1]["annotations"][0]["result"][at].take();
    let both = changed(EXPORT, |tasks| {
        tasks[1]["annotations"][0]["result"][0]["value"]["choices"] = json!(["musik", "kuliner"]);
    });
    assert!(
        both.contains("task 2: ls-1 answered category with [\"musik\", \"kuliner\"], which isn't one label\nhint: ")
    );
    let again = changed(EXPORT, |tasks| {
        let first = result(tasks, 0);
        tasks[1]["annotations"][0]["result"] = json!([first, first]);
    });
    assert!(again.contains("task 2: ls-1 answered category with [\"musik\"], which isn't one label"), "{again}");
    let both = changed(MIN, |annotations| annotations[0]["answer_category"] = json!({"choices": ["a", "b"]}));
    assert!(both.contains("task 1: answer_category is {\"choices\":[\"a\",\"b\"]}, which isn't one label"), "{both}");
    let other = changed(EXPORT, |tasks| tasks[1]["annotations"][0]["result"][0]["from_name"] = "mutu".into());
    assert!(other.contains("task 2: control \"mutu\" isn't one that reels wrote\nhint: take the control"), "{other}");
}

/// Whoever knows the tasks names them.
#[test]
fn unknown_labels_are_kept() {
    let mut tasks: Value = serde_json::from_str(EXPORT).unwrap();
    tasks[1]["annotations"][0]["result"][0]["value"]["choices"] = json!(["musiik"]);
    let export = read(&tasks.to_string(), "e.json").unwrap();
    assert_eq!(export.answers[0].items[1].answers["category"], "musiik");
}
