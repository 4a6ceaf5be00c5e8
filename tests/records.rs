//! Records as people bring them: what can be mended is, what can't be used is counted as failed, and all of it is said.

mod folder;

use std::io::Write;

use folder::Folder;
use serde_json::Value;

const MIXED: &str = concat!(
    "{\"id\":\"a\",\"transcript\":\"Soto enak. Datang ya.\",\"likes\":\"1,2 rb\",\"reference\":{\"summary\":\"Soto enak.\"}}\n",
    "{\"id\":\"b\",\n",
    "{\"id\":\"c\",\"transcript\":\"Motor hidup lagi.\",\"like\":5,\"reference\":{\"category\":\"Otomotif\"}}\n",
    "{\"id\":\"d\",\"caption\":\"Kucing pulang.\",\"reference\":{\"summary\":[\"Kucing pulang.\",\"Kucing kembali.\"]}}\n",
);

const PREDICT: &str = "predict --model baseline:lead-1 --data";

#[test]
fn records_that_cannot_be_used_fail_and_the_rest_goes_on() {
    let folder = Folder::new();
    folder.write("d.jsonl", MIXED);
    let said = folder.fails("eval --model baseline:lead-1 --data d.jsonl --bootstrap 100 -o o", 3);
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
    let made = folder.lines("o/predictions.jsonl");
    let failed: Vec<&Value> = made.iter().filter(|prediction| prediction["finish"] == "error").collect();
    assert_eq!(failed.iter().map(|failed| &failed["reel_id"]).collect::<Vec<_>>(), ["line:2", "c"]);
    assert!(
        failed[1]["error"].as_str().unwrap().starts_with("d.jsonl:3: id \"c\": reference.category is \"Otomotif\"")
    );
    assert_eq!(made.len(), 4);

    let said = folder.fails("score --predictions o/predictions.jsonl --data d.jsonl -o s", 3);
    assert!(said.contains("2 can't be used"), "{said}");
    assert_eq!(folder.json("s/scores.json")["tasks"]["summary"]["metrics"]["rouge1"]["n"], 2);
}

#[test]
fn strict_refuses_before_anything_is_done() {
    let folder = Folder::new();
    let run = |text: &str, expected: &str| {
        folder.write("d.jsonl", text);
        let said = folder.fails(&format!("{PREDICT} d.jsonl --strict -o o"), 2);
        assert!(said.starts_with("error: --strict: d.jsonl: of ") && said.contains(expected), "{said}");
        assert!(!folder.has("o"));
    };
    run(MIXED, "Otomotif");
    run("{\"id\":\"a\",\"transcript\":\"x\",\"likes\":1.0}", "\"1.0\" → 1");
    run("{\"id\":\"a\",\"transcript\":\"x\",\"transkrip\":\"y\"}", "transcript?");
    folder.write("d.jsonl", "{\"id\":\"a\",\"transcript\":\"x\",\"likes\":null}");
    folder.succeeds(&format!("{PREDICT} d.jsonl --strict -o o"));
}

#[test]
fn whatever_the_file_is_brought_as_the_records_are_the_same() {
    let folder = Folder::new();
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
        folder.write("d.jsonl", bytes);
        let said = folder.succeeds(&format!("{PREDICT} d.jsonl -o {name}")).err;
        assert!(said.contains(warning), "{name}: {said}");
        let made = folder.lines(&format!("{name}/predictions.jsonl"));
        assert_eq!(made.iter().map(|made| &made["output"]).collect::<Vec<_>>(), expected, "{name}");
    }
    for (name, bytes, expected) in [
        ("d.csv", &b"id,transcript\na,b\n"[..], "d.csv:1: expected a JSON object, found \"id,transcript\"\nhint: "),
        ("d.xlsx", b"PK\x03\x04", "d.xlsx: expected JSON, one object a line, found a workbook (XLSX)"),
    ] {
        folder.write(name, bytes);
        let said = folder.fails(&format!("{PREDICT} {name} -o o"), 2);
        assert!(said.contains(expected) && said.contains("lines=True"), "{said}");
    }
}
