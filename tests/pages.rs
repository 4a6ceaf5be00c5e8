//! Pages as people use them, in a browser: what `tests/pages` does, and that what they save is what `reels` reads.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use reels::annotation::Answers;
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
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(node).arg(root.join("tests/pages/review.mjs")).env("OUT", out.path()).output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));

    let saved = WalkDir::new(out.path().join("saved")).into_iter().map(Result::unwrap);
    let files: Vec<_> = saved.filter(|entry| entry.file_type().is_file()).collect();
    assert!(files.len() > 10, "{told}");
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let read: Answers = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(read.items.iter().all(|item| item.seconds.is_some()), "{text}");
        let again = serde_json::to_value(&read).unwrap();
        assert_eq!(timeless(again), timeless(serde_json::from_str(&text).unwrap()), "{}", file.path().display());
    }
}
