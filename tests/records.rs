//! Records as people bring them: what can be mended is, what can't be used is counted as failed, and all of it is said.

use std::io::Write;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn reels(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("reels").unwrap();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REELS_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn predictions(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("predictions.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const MIXED: &str = concat!(
    "{\"id\":\"a\",\"transcript\":\"Soto enak. Datang ya.\",\"likes\":\"1,2 rb\",\"reference\":{\"summary\":\"Soto enak.\"}}\n",
    "{\"id\":\"b\",\n",
    "{\"id\":\"c\",\"transcript\":\"Motor hidup lagi.\",\"like\":5,\"reference\":{\"category\":\"Otomotif\"}}\n",
    "{\"id\":\"d\",\"caption\":\"Kucing pulang.\",\"reference\":{\"summary\":[\"Kucing pulang.\",\"Kucing kembali.\"]}}\n",
);

const PREDICT: [&str; 5] = ["predict", "--model", "baseline:lead-1", "--data", "d.jsonl"];

#[test]
fn records_that_cannot_be_used_fail_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("d.jsonl"), MIXED).unwrap();
    let args = ["eval", "--model", "baseline:lead-1", "--data", "d.jsonl", "--bootstrap", "100", "-o", "o"];
    let (code, said) = reels(folder, &args);
    assert_eq!(code, 3, "{said}");
    for expected in [
        "2 predictions failed",
        "d.jsonl: of 4 records, 2 can't be used, 1 field is unknown and not read, 1 value was mended",
        "broken JSON",
        "line 3  \"Otomotif\" → otomotif?",
        "likes?",
        "\"1,2 rb\" → 1200",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let made = predictions(&folder.join("o"));
    let failed: Vec<&Value> = made.iter().filter(|prediction| prediction["finish"] == "error").collect();
    assert_eq!(failed.iter().map(|failed| &failed["reel_id"]).collect::<Vec<_>>(), ["line:2", "c"]);
    assert!(
        failed[1]["error"].as_str().unwrap().starts_with("d.jsonl:3: id \"c\": reference.category is \"Otomotif\"")
    );
    assert_eq!(made.len(), 4);

    let (code, said) =
        reels(folder, &["score", "--predictions", "o/predictions.jsonl", "--data", "d.jsonl", "-o", "s"]);
    assert!(code == 3 && said.contains("2 can't be used"), "{said}");
    let scores: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("s/scores.json")).unwrap()).unwrap();
    assert_eq!(scores["tasks"]["summary"]["metrics"]["rouge1"]["n"], 2);
}

#[test]
fn strict_refuses_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |text: &str, expected: &str| {
        std::fs::write(folder.join("d.jsonl"), text).unwrap();
        let (code, said) = reels(folder, &[&PREDICT[..], &["--strict", "-o", "o"]].concat());
        assert!(code == 2 && said.starts_with("error: --strict: d.jsonl: of ") && said.contains(expected), "{said}");
        assert!(!folder.join("o").exists());
    };
    run(MIXED, "Otomotif");
    run("{\"id\":\"a\",\"transcript\":\"x\",\"likes\":1.0}", "\"1.0\" → 1");
    run("{\"id\":\"a\",\"transcript\":\"x\",\"transkrip\":\"y\"}", "transcript?");
    std::fs::write(folder.join("d.jsonl"), "{\"id\":\"a\",\"transcript\":\"x\",\"likes\":null}").unwrap();
    assert_eq!(reels(folder, &[&PREDICT[..], &["--strict", "-o", "o"]].concat()).0, 0);
}

#[test]
fn whatever_the_file_is_brought_as_the_records_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (a, b) = ("{\"id\":\"a\",\"transcript\":\"kafé\"}", "{\"id\":\"b\",\"transcript\":\"teh\"}");
    let plain = format!("{a}\n{b}\n");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let expected = ["kafé", "teh"];
    for (name, bytes, warning) in [
        ("plain", plain.clone().into_bytes(), ""),
        ("gzip", gzip(plain.as_bytes()), "compressed with gzip"),
        ("utf16", utf16, "UTF-16"),
        ("array", format!("[\n{a},\n{b}\n]").into_bytes(), "objects are taken apart"),
        ("commas", format!("{a},\n{b},\n").into_bytes(), "objects are taken apart"),
        ("together", format!("{a}{b}").into_bytes(), "objects are taken apart"),
        (
            "pretty",
            format!("{a}\n{b}").replace('{', "{\n ").replace('}', "\n}").into_bytes(),
            "objects are taken apart",
        ),
    ] {
        std::fs::write(folder.join("d.jsonl"), bytes).unwrap();
        let (code, said) = reels(folder, &[&PREDICT[..], &["-o", name]].concat());
        assert!(code == 0 && said.contains(warning), "{name}: {said}");
        let outputs: Vec<String> =
            predictions(&folder.join(name)).iter().map(|made| made["output"].as_str().unwrap().to_owned()).collect();
        assert_eq!(outputs, expected, "{name}");
    }
    for (name, bytes, expected) in [
        ("d.csv", &b"id,transcript\na,b\n"[..], "d.csv:1: expected a JSON object, found \"id,transcript\"\nhint: "),
        ("d.xlsx", b"PK\x03\x04", "d.xlsx: expected JSON, one object a line, found a workbook (XLSX)"),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
        let (code, said) = reels(folder, &["predict", "--model", "baseline:lead-1", "--data", name, "-o", "o"]);
        assert!(code == 2 && said.contains(expected) && said.contains("lines=True"), "{said}");
    }
}
