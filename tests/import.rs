//! Import as its users run it: what collectors wrote becomes records, whatever else lies beside it.

mod folder;

use std::io::{Read, Write};
use std::path::Path;

use folder::Folder;
use serde_json::{Value, json};

/// As yt-dlp writes it.
fn info(id: &str, channel: &str, fields: &Value) -> String {
    let mut info = json!({
        "id": id, "extractor_key": "Instagram", "extractor": "Instagram", "_type": "video", "channel": channel,
        "webpage_url": format!("https://www.instagram.com/reel/{id}/"), "timestamp": 1_740_910_272, "duration": 41.2,
        "description": "Soto ayam #resep", "like_count": 1200, "comment_count": 88, "epoch": 1_764_000_000,
        "_version": {"version": "2026.10.26"},
    });
    info.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    info.to_string()
}

fn field<'a>(records: &'a [Value], id: &str, field: &str) -> &'a Value {
    &records.iter().find(|record| record["id"] == id).unwrap_or_else(|| panic!("no {id}"))[field]
}

const IMPORT: &str = "import in --raw -o r.jsonl";

fn folder() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("in")).unwrap();
    folder
}

#[test]
fn what_is_new_is_added_and_what_people_wrote_stays() {
    let folder = folder();
    folder.write("in/a.info.json", info("A1", "warung", &json!({})));
    let run = folder.succeeds(IMPORT);
    assert!(run.err.contains("Reels    1 new, 0 with news, 0 as before"), "{}", run.err);
    let first = folder.read("r.jsonl");
    folder.edit_json("r.jsonl", |record| record["reference"] = json!({"ad": "iklan"}));
    let labelled = folder.read("r.jsonl");
    assert!(folder.succeeds(IMPORT).err.contains("0 new, 0 with news, 1 as before"));
    assert_eq!(folder.read("r.jsonl").trim(), labelled);

    // Collected again a day later, and another one.
    folder.write("in/a2.info.json", info("A1", "warung", &json!({"like_count": 1500, "epoch": 1_764_086_400})));
    folder.write("in/b.info.json", info("B1", "warung", &json!({"like_count": null})));
    let told = folder.succeeds(&format!("{IMPORT} --check")).err;
    assert!(told.contains("1 new, 1 with news, 0 as before"), "{told}");
    assert_eq!(folder.read("r.jsonl").trim(), labelled, "a check writes nothing");
    folder.succeeds(IMPORT);
    let records = folder.lines("r.jsonl");
    assert_eq!(records.iter().map(|record| record["id"].as_str().unwrap()).collect::<Vec<_>>(), ["A1", "B1"]);
    assert_eq!(records[0]["likes"], 1500);
    assert_eq!(records[0]["reference"]["ad"], "iklan");
    let times: Vec<_> =
        records[0]["source"]["counts"].as_array().unwrap().iter().map(|counts| &counts["likes"]).collect();
    assert_eq!(times, [1200, 1500], "all counts stay, with their times");
    assert!(records[1]["likes"].is_null() && records[1]["source"]["unknown"]["likes"] == "absent");
    let version = &serde_json::from_str::<Value>(&first).unwrap()["source"]["files"][0]["version"];
    assert_eq!(version, "2026.10.26");
}

#[test]
fn placeholders_are_unknown_and_counted() {
    let folder = folder();
    for number in 0..6 {
        let likes = if number < 5 { 3 } else { 40 };
        folder.write(
            &format!("in/{number}.info.json"),
            info(&format!("H{number}"), "hidden", &json!({"like_count": likes})),
        );
        let likes = if number == 0 { 3 } else { 100 + number };
        folder.write(
            &format!("in/o{number}.info.json"),
            info(&format!("O{number}"), "open", &json!({"like_count": likes})),
        );
    }
    folder.write(
        "in/m.info.json",
        info(
            "M",
            "minus",
            &json!({"timestamp": 4_102_444_800_u64, "like_count": -1, "view_count": 0, "comment_count": 0}),
        ),
    );
    let told = folder.succeeds(IMPORT).err;
    assert!(told.contains("likes: placeholder -1 (1), likes: placeholder 3 (5), views: placeholder 0 (1)"), "{told}");
    assert!(told.contains("warning: 1 Reels were posted after today"), "{told}");
    let records = folder.lines("r.jsonl");
    assert!(field(&records, "H0", "likes").is_null());
    assert_eq!(field(&records, "H0", "source")["unknown"]["likes"], "placeholder 3");
    assert_eq!([field(&records, "H5", "likes"), field(&records, "O0", "likes")], [40, 3]);
    assert_eq!(field(&records, "M", "comments"), 0);
}

#[test]
fn what_is_broken_is_told_and_the_rest_is_imported() {
    let folder = folder();
    folder.write("in/good.info.json", info("GOOD", "warung", &json!({})));
    let wide: Vec<u8> =
        format!("\u{feff}{}", info("WIDE", "warung", &json!({}))).encode_utf16().flat_map(u16::to_le_bytes).collect();
    folder.write("in/wide.info.json", wide);
    folder.write("in/nan.info.json", info("NAN", "warung", &json!({})).replace("41.2", "NaN"));
    folder.write("in/broken.info.json", &info("BROKEN", "warung", &json!({}))[..90]);
    let mut packed = liblzma_of(info("XZ", "warung", &json!({})).as_bytes());
    folder.write("in/whole.json.xz", &packed);
    packed.truncate(packed.len() / 2);
    folder.write("in/half.json.xz", &packed);
    let long = std::fs::File::create(folder.path("in/long.json")).unwrap();
    (&long).write_all(b"{\"id\": \"").unwrap();
    long.set_len(1 << 30).unwrap();
    std::os::unix::fs::symlink(".", folder.path("in/circle")).unwrap();
    folder.write("in/photo.jpg", [0xff, 0xd8]);
    folder.write("in/note.md", "# Catatan\nbukan data");
    folder.write("in/shape.json", r#"{"shortcode": "X", "captionText": "halo", "likes_total": 3}"#);
    let run = folder.run(IMPORT);
    assert_eq!(run.code, 3, "{}", run.err);
    for expected in [
        "half.json.xz",
        "long.json:1: cannot be read: a line of more than 64 MB",
        "circle",
        "broken JSON",
        "no collector that is known",
        "shape.json",
    ] {
        assert!(run.err.contains(expected), "{expected}: {}", run.err);
    }
    let records = folder.lines("r.jsonl");
    let mut ids: Vec<&str> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["GOOD", "NAN", "WIDE", "XZ"]);
    assert!(field(&records, "NAN", "duration_s").is_null());

    std::fs::create_dir(folder.path("empty")).unwrap();
    let said = folder.fails("import empty --raw -o e.jsonl", 2);
    assert!(said.contains("empty") && said.contains("hint: ") && !folder.has("e.jsonl"), "{said}");
    let said = folder.fails("import nowhere --raw -o e.jsonl", 2);
    assert!(said.contains("nowhere does not exist"), "{said}");
}

fn liblzma_of(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::bufread::XzEncoder::new(bytes, 6).read_to_end(&mut packed).unwrap();
    packed
}

/// Files that the collectors' own packages wrote, see `tests/import`.
#[test]
fn every_collector_gives_the_same_reel() {
    let folder = Folder::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    for source in ["apify", "gallery-dl", "graph", "instaloader", "web", "yt-dlp", "zeeschuimer"] {
        folder.run(&format!("import {} --raw -o {source}.jsonl", fixtures.join(source).display()));
        let records = folder.lines(&format!("{source}.jsonl"));
        let soto = |name: &str| field(&records, "DGrSoto4yam", name);
        assert_eq!([soto("account"), soto("posted_at")], ["dapur.mbaksri", "2025-03-02T10:11:12Z"], "{source}");
        assert!(soto("caption").as_str().unwrap().starts_with("Soto ayam"), "{source}");
        assert_eq!(soto("hashtags")[0], "ResepSoto", "{source}");
    }
}

/// Everything that could tell who somebody is, in all that is written: records, splits, results, pages, ledger.
#[test]
fn nobody_is_named_in_anything_that_is_written() {
    let folder = folder();
    let people = ["dapur.mbaksri", "warungpaklek", "Sri Wahyuni Lestari", "rina.jalan2", "kurirkilat"];
    let private = [
        "0812-3456-7890",
        "+62 813 9876 5432",
        "sri.masak@gmail.com",
        "linktr.ee/dapurmbaksri",
        "3174025509870003",
        "8730112233",
    ];
    for number in 0..8 {
        let caption = format!(
            "Soto nomor {number} dari dapur.mbaksri, resep Sri Wahyuni Lestari. Order WA 0812-3456-7890 atau {} \
             @rina.jalan2, kirim lewat KURIRKILAT. Transfer BCA 8730112233. #dapurmbaksri Rp 25.000",
            private[2]
        );
        let info = info(
            &format!("DGrSoto4y{number:02}"),
            "dapur.mbaksri",
            &json!({"description": caption, "uploader": "Sri Wahyuni Lestari"}),
        );
        folder.write(&format!("in/dapur.mbaksri [DGrSoto4y{number:02}].info.json"), info);
        let heard = json!({"text": "x", "language": "id", "segments": [{
            "id": 0, "start": 0.0, "end": 4.0, "avg_logprob": -1.4, "no_speech_prob": 0.9, "compression_ratio": 1.1,
            "text": " hubungi nol delapan satu dua tiga empat lima enam tujuh delapan sembilan nol ya, atau +62 813 9876 5432, nik 3174025509870003, linktr.ee/dapurmbaksri",
        }]});
        folder.write(&format!("in/dapur.mbaksri [DGrSoto4y{number:02}].json"), heard.to_string());
    }
    folder.write(
        "in/other.info.json",
        info("DGrOther001", "warungpaklek", &json!({"description": "Halo dari warungpaklek"})),
    );
    folder.write("in/third.info.json", info("DGrOther002", "kurirkilat", &json!({"description": "Antar cepat"})));
    folder.write(
        "in/table.csv",
        "shortcode,caption,paidPartnership\nDGrOther003,Halo,Kemitraan berbayar dengan @rina.jalan2\n",
    );
    let run = folder.succeeds("import in --key k.key -o out/r.jsonl");
    assert!(run.err.contains("<TELP>") && run.err.contains("k.key"), "{}", run.err);
    folder.succeeds("data stats out/r.jsonl -o out/stats");
    folder.succeeds("split out/r.jsonl --dev 0 --test 0.3 -o out/split");
    folder.succeeds("eval --model baseline:lead-1 --data out/r.jsonl --bootstrap 100 -o out/eval");
    let mut looked_at = 0;
    let mut folders = vec![folder.path("out")];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            looked_at += 1;
            let text = String::from_utf8_lossy(&std::fs::read(&entry).unwrap()).to_lowercase();
            for named in people.iter().chain(&private).chain(&["dapurmbaksri", "nol delapan satu dua", "dgrsoto4y"]) {
                assert!(!text.contains(&named.to_lowercase()), "{named} in {}", entry.display());
            }
        }
    }
    assert!(looked_at > 8);
    let records = folder.lines("out/r.jsonl");
    assert!(records[0]["caption"].as_str().unwrap().ends_with("Rp 25.000"), "{}", records[0]["caption"]);
    assert_eq!(records[0]["source"]["transcript"]["flags"][0]["kind"], "no_speech");
    let flags = records.iter().filter_map(|record| record["source"]["flags"].as_object());
    assert_eq!(flags.flat_map(|flags| flags.values()).next().unwrap(), "Kemitraan berbayar dengan <AKUN>");
    folder.succeeds("data audit out/r.jsonl");

    // Elsewhere, with the same key, they have the same names; with another one, others.
    let elsewhere = Folder::new();
    std::fs::create_dir(elsewhere.path("in")).unwrap();
    elsewhere
        .write("in/a.info.json", info("DGrSoto4y00", "Dapur.MbakSri", &json!({})))
        .write("k.key", folder.read("k.key"));
    elsewhere.succeeds("import in --key k.key -o r.jsonl");
    elsewhere.succeeds("import in --key other.key -o other.jsonl");
    let (same, other) = (&elsewhere.lines("r.jsonl")[0], &elsewhere.lines("other.jsonl")[0]);
    assert_eq!([&same["id"], &same["account"]], [&records[0]["id"], &records[0]["account"]]);
    assert!(same["id"] != other["id"] && same["account"] != other["account"]);
}

#[test]
fn tables_tell_what_people_know() {
    let folder = folder();
    folder.write("in/a.info.json", info("DGrSoto4yam", "warung", &json!({})));
    folder.write("in/DGrSoto4yam.srt", "1\n00:00:00,000 --> 00:00:04,000\nHari ini kita masak soto.\n");
    folder.write("in/caption.txt", "sebuah takarir; tanpa tabel\n");
    folder.write("labels.csv", "\u{feff}kode;ringkasan;kategori;iklan_A;iklan_B\r\nDGrSoto4yam;Masak soto.;Kuliner;Tidak;Ya\r\nDGrTidakAda;;musik;Ya;Ya\r\n");
    let said = folder.fails("import in labels.csv --raw -o r.jsonl", 3);
    assert!(said.contains("reference.ad could be the columns iklan_A, iklan_B\nhint: say which: --map"), "{said}");
    let said = folder.fails("import in labels.csv --map reference.ad=iklan_C --raw -o s.jsonl", 2);
    assert!(
        said.contains("--map reference.ad=iklan_C: no table has such a column") && !folder.has("s.jsonl"),
        "{said}"
    );
    let run = folder.succeeds("import in labels.csv --map reference.ad=iklan_A --raw -o t.jsonl");
    for expected in [
        "reference.ad ← iklan_A (--map)",
        "\"Tidak\" → bukan iklan",
        "a text that is no table",
        "heard    1 Reels have a transcript",
    ] {
        assert!(run.err.contains(expected), "{expected}: {}", run.err);
    }
    assert!(
        run.err.contains("left out 1 Reels with neither caption nor transcript: labels.csv, \"DGrTidakAda\""),
        "{}",
        run.err
    );
    let records = folder.lines("t.jsonl");
    assert_eq!(records.len(), 1);
    let soto = |name: &str| field(&records, "DGrSoto4yam", name);
    assert_eq!(soto("reference"), &json!({"ad": "bukan iklan", "category": "kuliner", "summary": "Masak soto."}));
    assert_eq!([soto("transcript"), soto("account")], ["Hari ini kita masak soto.", "warung"]);
    assert_eq!(soto("source")["transcript"]["not_available"][0], "avg_logprob");

    // Two that say something else.
    folder.write("in/DGrSoto4yam.vtt", "WEBVTT\n\n00:00.000 --> 00:04.000\nKita pergi ke pasar.\n");
    let said = folder.succeeds("import in --raw -o u.jsonl").err;
    assert!(
        said.contains("contradict in transcript, and tell as much, so that neither is used: ")
            && said.contains("DGrSoto4yam.srt and in/DGrSoto4yam.vtt"),
        "{said}"
    );
}
