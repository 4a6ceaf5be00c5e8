//! Pages as people use them, in a browser: what `tests/pages` does, and that what they save is what `reels` reads.

mod folder;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use folder::Folder;

use reels::annotation::{Answers, Role};
use serde_json::Value;
use walkdir::WalkDir;

/// What drives the browser, or what is missing.
fn driver(root: &Path) -> Result<PathBuf, String> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = || env::split_paths(&path).any(|folder| names.iter().any(|name| folder.join(name).exists()));
    if env::var_os("CHROMIUM").is_none() && !on_path() {
        return Err("no Chromium on the path, and none named in CHROMIUM".to_owned());
    }
    let node = root.join("target/tools/pages/playwright/driver/node");
    if node.exists() { Ok(node) } else { Err(format!("{} is not there", node.display())) }
}

/// As a file has it, without times: those may be written as whole numbers.
fn timeless(mut answers: Value) -> Value {
    for item in answers["items"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().remove("seconds");
    }
    answers
}

/// The file in which an annotator answered all 40 Reels.
fn complete(read: &[(String, Answers)], annotator: &str) -> String {
    let is_it = |answers: &Answers| {
        let answered = answers.items.iter().filter(|item| item.answers.len() == 2).count();
        (answers.annotator.as_str(), answers.role, answers.of, answered) == (annotator, Role::Annotator, 40, 40)
    };
    read.iter().find(|(_, answers)| is_it(answers)).map(|(file, _)| file.clone()).unwrap()
}

#[test]
fn the_review_page_works_in_a_browser() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let node = match driver(root) {
        Ok(node) => node,
        Err(missing) if env::var_os("REELS_NEEDS_BROWSER").is_none() => {
            eprintln!("skipped: {missing} (tools/test-tools.sh installs it)");
            return;
        }
        Err(missing) => panic!("{missing}"),
    };
    let out = Folder::new();
    let reels = std::fs::read_to_string(root.join("eval/dev.jsonl")).unwrap();
    out.write("reels.jsonl", reels.lines().take(40).collect::<Vec<_>>().join("\n"));
    out.succeeds("data review reels.jsonl --to html --output page.html");
    let mut command = Command::new(node);
    command.arg(root.join("tests/pages/review.mjs")).env("OUT", out.root()).env("PAGE", out.path("page.html"));
    let run = command.output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));

    let saved = WalkDir::new(out.path("saved")).into_iter().map(Result::unwrap);
    let files: Vec<_> = saved.filter(|entry| entry.file_type().is_file()).collect();
    assert!(files.len() > 10, "{told}");
    let mut read = vec![];
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let answers: Answers = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(answers.items.iter().all(|item| item.seconds.is_some()), "{text}");
        let again = serde_json::to_value(&answers).unwrap();
        assert_eq!(timeless(again), timeless(serde_json::from_str(&text).unwrap()), "{}", file.path().display());
        read.push((file.path().display().to_string(), answers));
    }

    // The complete files of two annotators become references, and shares of labels.
    let complete: Vec<String> = ["ani", "budi"].map(|annotator| complete(&read, annotator)).into();
    out.succeeds(&format!("data review reels.jsonl --from {} --output labelled.jsonl", complete.join(" ")));
    let labelled = out.lines("labelled.jsonl");
    assert_eq!(labelled.len(), 40);
    let answered = |reel: &Value| {
        let annotations = reel["annotations"]["ad"].as_array().unwrap();
        annotations.iter().filter(|annotation| annotation["by"] != "reference").count()
    };
    assert!(labelled.iter().all(|reel| answered(reel) == 2));
    assert!(labelled.iter().all(|reel| reel["soft"]["category"].is_object()));
    let agreement = out.succeeds(&format!("data agreement {}", complete.join(" "))).out;
    assert!(agreement.contains("category: ani, budi; 40 Reels with two labels and more"), "{agreement}");
}
