//! Data and models that change between runs and underneath them.

mod folder;

use std::process::{Command, Stdio};
use std::time::Duration;

use folder::{Folder, model};
use serde_json::{Value, json};

impl Folder {
    fn data(&self, records: &[(&str, &str, &str)]) {
        let line = |(id, transcript, ad): &(&str, &str, &str)| {
            json!({"id": id, "transcript": transcript, "reference": {"ad": ad}}).to_string() + "\n"
        };
        self.write("data.jsonl", records.iter().map(line).collect::<String>());
    }
}

const EVAL: &str = "eval --model baseline:lead-1 --data data.jsonl --bootstrap 200 -o out";

#[test]
fn results_grow_with_their_data() {
    let folder = Folder::new();
    let (a, b, c) = (("a", "satu. dua", "iklan"), ("b", "tiga. empat", "iklan"), ("c", "lima", "bukan iklan"));
    folder.data(&[a, b]);
    folder.succeeds(EVAL);
    let identity = |folder: &Folder| folder.json("out/manifest.json")["data"]["sha256"].clone();
    let first = identity(&folder);
    folder.data(&[b, a]);
    let said = folder.succeeds(EVAL).err;
    assert!(said.contains("going on: 2 predictions are done, 0 left"), "{said}");
    assert_eq!(identity(&folder), first, "the order is no part of it");
    folder.data(&[c, b, a]);
    let said = folder.succeeds(EVAL).err;
    assert!(said.contains("going on: 2 predictions are done, 1 left"), "{said}");
    assert_ne!(identity(&folder), first);
    assert_eq!(folder.json("out/manifest.json")["data"]["reels"], 3);
    // A label that was corrected changes no prompt; a transcript does.
    folder.data(&[("c", "lima", "iklan"), b, a]);
    folder.succeeds(EVAL);
    folder.data(&[c, ("b", "lain", "iklan"), a]);
    let said = folder.fails(EVAL, 2);
    let expected =
        "out holds answers about 1 records that have changed in data.jsonl since: b\nhint: name another --output";
    assert!(said.contains(expected), "{said}");
    folder.data(&[c, a]);
    let said = folder.fails(EVAL, 2);
    assert!(said.contains("out holds answers about 1 records that aren't in data.jsonl: b"), "{said}");
}

#[test]
fn a_record_that_was_mended_is_answered_after_all() {
    let folder = Folder::new();
    folder.write("data.jsonl", "{\"id\":\"a\",\"transcript\":\"satu\"}\n{\"transcript\":\"dua\"}\n{\"id\":\"c\"}\n");
    let predict = "predict --model baseline:lead-1 --data data.jsonl -o out";
    folder.fails(predict, 3);
    folder.data(&[("a", "satu", "iklan"), ("b", "dua", "iklan"), ("c", "tiga", "iklan")]);
    folder.succeeds(predict);
    folder.succeeds("score --predictions out/predictions.jsonl --data data.jsonl --bootstrap 200 -o scores");
}

/// What was answered is what is scored, whatever becomes of the file meanwhile.
#[test]
fn data_that_is_edited_while_it_is_answered_is_scored_as_it_was() {
    let folder = Folder::new();
    let ids: Vec<String> = (0..40).map(|index| format!("r{index}")).collect();
    let records = |ad| {
        ids.iter().map(move |id| (id.as_str(), "warung buka dari jam lima subuh sampai habis", ad)).collect::<Vec<_>>()
    };
    folder.data(&records("iklan"));
    let eval = format!("eval --model {} --data data.jsonl --bootstrap 200 -o out", model());
    let mut running = folder.command(&eval).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(|| std::fs::metadata(folder.path("out/predictions.jsonl")).is_ok_and(|file| file.len() > 0));
    folder.data(&records("bukan iklan"));
    assert!(running.wait().unwrap().success());
    let scored = folder.lines("out/rows.jsonl");
    let mut references = scored.iter().filter(|row| row["task"] == "ad").map(|row| row["reference"].as_str().unwrap());
    assert!(references.all(|reference| reference == "iklan"));
}

/// Nothing is computed yet, so nothing is to be finished.
#[test]
fn waiting_for_standard_input_ends_with_the_first_signal() {
    let folder = Folder::new();
    let predict = "predict --model baseline:lead-1 --data - -o out";
    let mut running = folder.command(predict).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", running.id());
    let handles_sigterm = |line: &str| {
        line.strip_prefix("SigCgt:").is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << 14) != 0)
    };
    wait_for(|| std::fs::read_to_string(&status).unwrap().lines().any(handles_sigterm));
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").arg(running.id().to_string()).status().unwrap().success());
    let mut ended = None;
    wait_for(|| {
        ended = running.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(130));
}

#[test]
fn answers_of_a_model_that_is_changed_meanwhile_are_dropped() {
    let folder = Folder::new();
    std::fs::copy(model(), folder.path("model.gguf")).unwrap();
    let predict = "predict --model model.gguf --no-loop-stop -o out";
    folder.succeeds(&format!("{predict} --limit 2"));
    let before = folder.bytes("out/predictions.jsonl");
    let running = folder.command(predict).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(|| {
        std::fs::metadata(folder.path("out/predictions.jsonl")).is_ok_and(|file| file.len() > before.len() as u64)
    });
    let other = folder.path("other.gguf");
    std::fs::copy(model(), &other).unwrap();
    std::fs::rename(&other, folder.path("model.gguf")).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("error: model.gguf was changed while it answered: this run's answers are dropped\nhint: "),
        "{said}"
    );
    assert_eq!(folder.bytes("out/predictions.jsonl"), before);
}

#[test]
fn what_a_task_that_is_not_asked_cuts_is_said_and_can_be_left() {
    let folder = Folder::new();
    folder.data(&[("a", &(0..120).map(|word| format!("kata{word} ")).collect::<String>(), "iklan")]);
    folder.succeeds("prompt eject p");
    let long = format!("{} {{% endblock %}}", "Perhatikan baik-baik. ".repeat(150));
    folder.edit("p/summary.jinja", |summary| summary.replace("{% endblock %}", &long));
    let predict = |more: &str| {
        let flags = "--prompts p --data data.jsonl --task ad --max-prompt-tokens 1000";
        folder.succeeds(&format!("predict --model {} {flags} {more}", model())).err
    };
    let said = predict("-o all");
    assert!(said.contains("1 of 1 Reels shortened") && said.contains("hint: --fit asked"), "{said}");
    let said = predict("--fit asked -o asked");
    assert!(!said.contains("shortened"), "{said}");
    let cut =
        |output: &str| folder.lines(&format!("{output}/predictions.jsonl"))[0]["truncated_tokens"].as_u64().unwrap();
    assert!(cut("all") > 0 && cut("asked") == 0);
    let settings = |output: &str| folder.json(&format!("{output}/manifest.json"))["settings"]["fit"].clone();
    assert_eq!((settings("all"), settings("asked")), (Value::Null, json!(["ad"])));
}

fn wait_for(mut happened: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it didn't happen in 30 s");
}
