//! `reels gal ablate` with a base that is trained: each arm from data to answers.

mod folder;
mod tiny;

use folder::Folder;
use serde_json::{Value, json};

/// Generated rows that a teacher has labelled and filters kept.
fn with_rows() -> Folder {
    let folder = Folder::new();
    tiny::write(folder.root());
    for name in ["gal/annotated", "gal/generated"] {
        std::fs::create_dir_all(folder.path(name)).unwrap();
    }
    let row = |at: usize| {
        let ad = at.is_multiple_of(2);
        let label = ["bukan iklan", "iklan"][usize::from(ad)];
        json!({"id": format!("g{at:02}"), "transcript": format!("{} kata {at}", ["lari sore", "jual teh"][usize::from(ad)]),
            "synthetic": true, "reference": {"summary": format!("isi baru {at}"), "ad": label},
            "source": {"kind": "gal", "requested": {}, "attempt": at, "seeds": [], "prompt_sha256": "", "model": "w", "model_sha256": "",
                "sampling": {"temperature": 0.9, "top_p": 1.0, "seed": 1}}})
        .to_string()
            + "\n"
    };
    folder.write("gal/rows.jsonl", (0..60).map(row).collect::<String>());
    let rows = reels::run::sha256(&folder.bytes("gal/rows.jsonl"));
    folder.write(
        "gal/yield.json",
        json!({"rows_sha256": rows, "yields": [], "assigned": {}, "settings": {}}).to_string(),
    );
    let data = json!({"path": "train.jsonl", "sha256": "", "reels": 24});
    folder.write("gal/generated/manifest.json", json!({"v": 1, "data": data}).to_string());
    let copied =
        std::process::Command::new("cp").args(["-r", "prompts", "gal/annotated/"]).current_dir(folder.root()).status();
    assert!(copied.unwrap().success());
    folder.write(
        "reels.toml",
        "[train]\nmax_seq_tokens = 160\nepochs = 1\ngrad_accum = 4\nlr = 1e-2\ndevice = \"cpu\"\nmethod = \"lora\"\n[predict]\nwidth = 4\n",
    );
    folder
}

const ABLATE: &str = "gal ablate gal --real train.jsonl --test dev.jsonl --student base --ratios 1,2 --seeds 2";

#[test]
fn a_base_is_trained_for_each_arm_and_each_seed() {
    let folder = with_rows();
    let run = folder.succeeds(ABLATE);
    let ablation = folder.json("gal/ablation/ablation.json");
    let arm = |name: &str| ablation["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    let names: Vec<&str> =
        ablation["arms"].as_array().unwrap().iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["majority", "tfidf", "real-25", "real-50", "real-75", "real", "self", "x1", "x2", "real-steps"],
        "{}",
        run.err
    );
    // As many steps as the largest mix has, and so more of the same data.
    assert_eq!(arm("real-steps")["steps"], arm("x2")["steps"]);
    assert!(arm("x2")["steps"].as_u64() > arm("real")["steps"].as_u64() && arm("real")["seeds"] == 2);
    let manifest = folder.json("gal/ablation/real-steps/seed-2/run/manifest.json");
    assert_eq!((&manifest["result"]["steps"], &manifest["settings"]["seed"]), (&arm("x2")["steps"], &json!(2)));
    // The student’s own answers about the real records, with how sure it was.
    let own = folder.lines("gal/ablation/self/seed-1/train.jsonl");
    let own: Vec<&Value> = own.iter().filter(|record| record["id"].as_str().unwrap().ends_with(" once more")).collect();
    assert_eq!(own.len(), 24);
    assert!(own.iter().all(|record| record["soft"]["ad"].as_object().unwrap().len() == 2 && record["reference"]["ad"].is_string()));
    // What has answered is not kept; what was trained is.
    assert!(!folder.has("gal/ablation/x1/seed-1/model.gguf") && !folder.has("gal/ablation/real/seed-1/model.gguf"));
    assert!(folder.has("gal/ablation/x1/seed-1/run/adapter_model.safetensors"));

    folder.succeeds("gal report gal");
    let report = folder.json("gal/report.json");
    let of = |task: usize| {
        let levels = report["tasks"][task]["levels"].as_array().unwrap();
        levels.iter().map(|level| level["arm"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((&report["tasks"][0]["task"], &report["tasks"][1]["task"]), (&json!("summary"), &json!("ad")));
    assert!(!of(0).contains(&"tfidf") && of(1).contains(&"tfidf"), "a baseline for labels writes no summaries");
    let text = folder.read("gal/report.md");
    assert!(text.contains("x2 − real-steps: ") && text.contains("x1 − self: "), "{text}");

    // One that is missing is made again, and nothing else.
    let before = folder.bytes("gal/ablation/x1/seed-2/rows.jsonl");
    std::fs::remove_dir_all(folder.path("gal/ablation/x1/seed-2")).unwrap();
    let other = folder.path("gal/ablation/x2/seed-1/rows.jsonl").metadata().unwrap().modified().unwrap();
    folder.succeeds(ABLATE);
    let answers = |bytes: &[u8]| -> Vec<Value> {
        let text = std::str::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["output"].clone()).collect()
    };
    assert_eq!(answers(&folder.bytes("gal/ablation/x1/seed-2/rows.jsonl")), answers(&before));
    assert_eq!(folder.path("gal/ablation/x2/seed-1/rows.jsonl").metadata().unwrap().modified().unwrap(), other);
    let error = folder.fails(&ABLATE.replace("--student base", "--student baseline:tfidf"), 2);
    assert!(error.contains("ablation.json is of other student\nhint: "), "{error}");
}
