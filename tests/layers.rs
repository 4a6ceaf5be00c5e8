//! Imports point down: commands → stages → ask → engines → shared → nouns, and libraries stay in their place.

use std::path::{Path, PathBuf};

/// From the ground up; a module may import from the layers below its own.
const LAYERS: [&[&str]; 9] = [
    &["error", "stop"],
    &["lines", "terminal", "architecture", "foreign"],
    &["gguf", "reel", "task", "prediction", "annotation", "scores"],
    &["prompt", "config", "generator", "learner", "publish", "run", "indonesian"],
    &["llama", "baseline", "qlora", "remote"],
    &["ask"],
    &["data", "predict", "score", "report", "train", "export", "doctor", "gal"],
    &["cli"],
    &["commands"],
];

/// Imports within a layer, each for a reason that is easy to see.
const SAME_LAYER: [(&str, &str); 15] = [
    ("indonesian", "run"),
    ("task", "reel"),
    ("reel", "annotation"),
    ("scores", "prediction"),
    ("scores", "task"),
    ("generator", "config"),
    ("generator", "prompt"),
    ("prompt", "run"),
    ("prompt", "publish"),
    ("run", "publish"),
    ("report", "data"),
    ("report", "score"),
    ("report", "gal"),
    ("gal", "data"),
    ("gal", "score"),
];

/// Library → the only module that may name it.
const LIBRARIES: [(&str, &str); 12] = [
    ("candle", "qlora"),
    ("llama_cpp_2", "llama"),
    ("llama_cpp_sys_2", "llama"),
    ("minijinja_contrib", "prompt"),
    ("sastrawi", "indonesian"),
    ("tokenizers::", "prompt"),
    ("linfa", "baseline"),
    ("calamine", "data"),
    ("encoding_rs", "data"),
    ("parquet::", "data"),
    ("lingua::", "data"),
    ("ureq::", "remote"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("{module} has no layer yet: add it to LAYERS"))
}

/// The identifiers behind each `crate::`, comments left out.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect())
        .collect()
}

#[test]
fn imports_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").trim_end_matches("_tests");
        if matches!(module, "main" | "lib") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for import in imports(&text).iter().filter(|import| *import != module) {
            let allowed = layer(import) < layer(module) || SAME_LAYER.contains(&(module, import));
            assert!(allowed, "{} imports crate::{import}, which is not below it", relative.display());
            checked += 1;
        }
        for (library, home) in LIBRARIES {
            assert!(
                module == home || !text.contains(library),
                "{} names {library}; only {home} may",
                relative.display()
            );
        }
    }
    assert!(checked > 50, "only {checked} imports were found: has the way of importing changed?");
}
