//! The program as its users run it: exit codes, messages, and what stands on disk afterwards.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn model() -> PathBuf {
    root().join("gguf/reels-mini.gguf")
}

/// The program in an empty directory, with no settings from outside.
fn reels(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("reels").unwrap();
    command.current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REELS_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Folder {
        std::fs::write(self.path().join(name), bytes).unwrap();
        self
    }

    /// Runs, expects an exit code, and gives what was written to stderr.
    fn fails(&self, args: &[&str], code: i32) -> String {
        let output = reels(self.path()).args(args).assert().code(code);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    }
}

const GOOD: &str = "{\"id\":\"a\",\"transcript\":\"halo\",\"reference\":{\"ad\":\"iklan\"}}\n";

#[test]
fn eval_of_the_bundled_sample_leaves_a_complete_result_directory() {
    let folder = Folder::new();
    let model = model();
    let run =
        reels(folder.path()).args(["eval", "--limit", "3", "--model", model.to_str().unwrap()]).assert().success();
    run.stdout(contains("rouge1").and(contains("macro_f1"))).stderr(contains("report.html"));
    let latest = folder.path().join("eval/latest");
    for name in ["predictions.jsonl", "rows.jsonl", "scores.json", "manifest.json", "report.html", "prompts/tasks.toml"]
    {
        assert!(latest.join(name).exists(), "{name} is missing");
    }
    let rows = std::fs::read_to_string(latest.join("rows.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 9);
    let scores: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(latest.join("scores.json")).unwrap()).unwrap();
    assert_eq!(scores["tasks"]["category"]["metrics"]["macro_f1"]["n"], 3);

    // Scoring the same predictions again, without the model, gives the same scores.
    let args = ["score", "--predictions", "eval/latest/predictions.jsonl", "--output", "again"];
    reels(folder.path()).args(args).assert().success();
    let again = std::fs::read_to_string(folder.path().join("again/scores.json")).unwrap();
    assert_eq!(again, std::fs::read_to_string(latest.join("scores.json")).unwrap());
}

#[test]
fn a_baseline_is_a_run_like_any_other() {
    let folder = Folder::new();
    reels(folder.path())
        .args(["eval", "--model", "baseline:lead-1", "--output", "lead"])
        .assert()
        .success()
        .stdout(contains("rougeLsum"))
        .stderr(contains("can't answer category, ad: left out"));
    let train = root().join("eval/sample.jsonl");
    reels(folder.path())
        .args(["eval", "--model", "baseline:majority", "--output", "majority", "--train", train.to_str().unwrap()])
        .assert()
        .success()
        .stdout(contains("accuracy"));
    reels(folder.path())
        .args(["eval", "--model", "baseline:oracle", "--output", "oracle"])
        .assert()
        .success()
        .stdout(contains("rougeL_id"));
    reels(folder.path())
        .args(["eval", "--model", "baseline:tfidf", "--output", "tfidf", "--train", train.to_str().unwrap()])
        .assert()
        .success()
        .stdout(contains("brier"));
    let message = folder.fails(&["eval", "--model", "baseline:tfidf"], 2);
    assert!(message.contains("needs records to learn labels from\nhint: add --train"), "{message}");
    let message = folder.fails(&["eval", "--model", "baseline:lead-9"], 2);
    assert!(message.contains("baseline:lead-9 is not known\nhint: baseline:lead-1"), "{message}");
}

#[test]
fn a_missing_model_is_answered_with_the_bundled_one() {
    let message = Folder::new().fails(&["eval", "--model", "gguf/qwen-reels.gguf"], 2);
    assert_eq!(
        message,
        "error: model gguf/qwen-reels.gguf does not exist\n\
         hint: the bundled one is gguf/reels-mini.gguf: reels eval --model gguf/reels-mini.gguf\n"
    );
}

#[test]
fn broken_data_is_named_before_a_model_is_opened() {
    let folder = Folder::new();
    // Not a model: a data error must come first.
    folder.write("m.gguf", "no model");
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty.jsonl", b"", "empty.jsonl has no records\nhint: "),
        ("array.jsonl", b"[1]\n", "array.jsonl:1: expected a JSON object"),
        ("csv.jsonl", b"id,transcript\n1,halo\n", "csv.jsonl:1: expected a JSON object, found \"id,transcript\""),
        ("torn.jsonl", b"\n{\"id\":\"b\",\n", "torn.jsonl:2: column"),
        (
            "type.jsonl",
            b"{\"id\":\"a\",\"transcript\":\"x\",\"likes\":\"many\"}\n",
            "type.jsonl:1: likes is \"many\", expected a count",
        ),
        ("latin.jsonl", b"{\"id\":\"a\",\"transcript\":\"caf\xe9\"}\n", "latin.jsonl:1: not UTF-8 at byte 28"),
        ("nothing.jsonl", b"{\"id\":\"a\"}\n", "nothing.jsonl:1: id \"a\" has neither transcript nor caption"),
        (
            "label.jsonl",
            b"{\"id\":\"a\",\"transcript\":\"x\",\"reference\":{\"ad\":\"ya\"}}\n",
            "label.jsonl:1: id \"a\": reference.ad is \"ya\", which is not among the task's labels (iklan, bukan iklan)",
        ),
    ];
    for (name, bytes, expected) in cases {
        folder.write(name, bytes);
        let message = folder.fails(&["eval", "--model", "m.gguf", "--data", name], 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{name}: {message}");
    }
    let message = folder.fails(&["eval", "--model", "m.gguf", "--data", "none.jsonl"], 2);
    assert!(message.contains("cannot read data file none.jsonl") && message.contains("hint: "), "{message}");
}

#[test]
fn a_byte_order_mark_and_crlf_are_accepted() {
    let folder = Folder::new();
    folder.write("a.jsonl", format!("\u{feff}{}", GOOD.replace('\n', "\r\n")));
    reels(folder.path())
        .args(["predict", "--model", "baseline:lead-1", "--data", "a.jsonl", "--output", "o"])
        .assert()
        .success();
}

#[test]
fn a_broken_template_is_named_with_its_line_before_weights_are_loaded() {
    let folder = Folder::new();
    reels(folder.path()).args(["prompt", "eject", "p"]).assert().success();
    let path = folder.path().join("p/summary.jinja");
    let text = std::fs::read_to_string(&path).unwrap();
    let args = ["eval", "--model", model().to_str().unwrap().to_owned().leak(), "--prompts", "p"];
    for (broken, expected) in [
        (text.replace("Tugas:", "{{ reel.judul }}"), "p: summary.jinja:3: reel.judul is not known"),
        (text.replace("Tugas:", "{% if %}"), "p: summary.jinja:3: syntax error"),
        (text.replace("base.jinja", "bass.jinja"), "bass.jinja"),
    ] {
        std::fs::write(&path, broken).unwrap();
        let message = folder.fails(&args, 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
    std::fs::remove_file(&path).unwrap();
    let message = folder.fails(&args, 2);
    assert!(message.contains("[task.summary] names the template \"summary.jinja\", which is not there"), "{message}");
    let message = folder.fails(&["eval", "--prompts", "nowhere", "--model", "baseline:lead-1"], 2);
    assert!(message.contains("nowhere/tasks.toml is missing\nhint: `reels prompt eject nowhere`"), "{message}");
}

/// The bundled model with one metadata key renamed, so that it is missing.
fn without(key: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(model()).unwrap();
    let needle = [&(key.len() as u64).to_le_bytes()[..], key.as_bytes()].concat();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 8] = b'X';
    bytes
}

#[test]
fn a_model_that_will_not_do_is_refused_with_its_reason() {
    let folder = Folder::new();
    let whole = std::fs::read(model()).unwrap();
    let cases = [
        (b"GGML not really".to_vec(), "m.gguf is not a GGUF file: it starts with \"GGML not\""),
        (whole[..whole.len() / 2].to_vec(), "truncated: tensor"),
        (whole[..1000].to_vec(), "truncated"),
        (without("general.architecture"), "m.gguf: general.architecture is missing: not a language model"),
        (without("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens is missing: not a language model"),
        (without("tokenizer.chat_template"), "tokenizer.chat_template is missing"),
        (without("tokenizer.ggml.eos_token_id"), "tokenizer.ggml.eos_token_id is missing"),
        (without("qwen2.rope.freq_base"), "qwen2.rope.freq_base is missing: llama.cpp would silently assume a value"),
    ];
    for (bytes, expected) in cases {
        folder.write("m.gguf", bytes);
        let message = folder.fails(&["eval", "--model", "m.gguf"], 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
    let message = folder.fails(&["eval", "--model", "."], 2);
    assert!(message.contains("is not a file"), "{message}");
    let model = model();
    let message = folder.fails(&["eval", "--model", model.to_str().unwrap(), "--adapter", model.to_str().unwrap()], 2);
    assert!(message.contains("this is no LoRA adapter"), "{message}");
}

#[test]
fn a_result_directory_is_not_shared_between_settings() {
    let folder = Folder::new();
    folder.write("a.jsonl", GOOD).write("b.jsonl", GOOD.replace("halo", "hai"));
    let run = |args: &[&str]| reels(folder.path()).args(["predict", "--output", "o"]).args(args).assert();
    run(&["--model", "baseline:lead-1", "--data", "a.jsonl"]).success();
    run(&["--model", "baseline:lead-1", "--data", "a.jsonl"])
        .success()
        .stderr(contains("1 predictions are done, 0 left"));
    run(&["--model", "baseline:lead-3", "--data", "a.jsonl"])
        .code(2)
        .stderr(contains("o holds results of another model"));
    run(&["--model", "baseline:lead-1", "--data", "b.jsonl"])
        .code(2)
        .stderr(contains("o holds answers about 1 records that have changed in b.jsonl since: a"));
    run(&["--model", "baseline:lead-1", "--data", "a.jsonl", "--label-mode", "generate"])
        .code(2)
        .stderr(contains("o holds results of another settings: label_mode \"score\" there, \"generate\" now\nhint: "));
}

#[test]
fn a_directory_that_cannot_be_written_is_an_environment_failure() {
    let folder = Folder::new();
    folder.write("file", "");
    let message = folder.fails(&["eval", "--model", "baseline:lead-1", "--output", "file/o"], 5);
    assert!(message.contains("cannot make the result directory file/o"), "{message}");
}

#[test]
fn mixed_predictions_are_refused_by_score() {
    let folder = Folder::new();
    folder.write("a.jsonl", GOOD);
    reels(folder.path())
        .args(["predict", "--model", "baseline:lead-1", "--data", "a.jsonl", "--output", "o"])
        .assert()
        .success();
    let line = std::fs::read_to_string(folder.path().join("o/predictions.jsonl")).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&line).unwrap();
    other["settings_sha256"] = "other".into();
    folder.write("mixed.jsonl", format!("{line}{other}\n"));
    let message = folder.fails(&["score", "--predictions", "mixed.jsonl", "--data", "a.jsonl", "--output", "s"], 2);
    assert!(message.contains("settings") && message.contains("hint: "), "{message}");
    let message = folder.fails(&["score", "--predictions", "none.jsonl", "--output", "s"], 2);
    assert!(message.contains("none.jsonl"), "{message}");
}

#[test]
fn a_budget_beyond_the_models_context_is_refused_with_the_numbers() {
    let folder = Folder::new();
    let prompts = folder.path().join("p");
    reels(folder.path()).args(["prompt", "eject", "p"]).assert().success();
    let tasks = std::fs::read_to_string(prompts.join("tasks.toml")).unwrap();
    std::fs::write(prompts.join("tasks.toml"), tasks.replace("max_tokens = 128", "max_tokens = 1000")).unwrap();
    let model = model();
    let args = ["eval", "--model", model.to_str().unwrap(), "--prompts", "p", "--max-prompt-tokens", "2000"];
    let message = folder.fails(&args, 2);
    assert!(
        message.contains("--max-prompt-tokens 2000 and an answer of 1000 are more than the 2048 positions"),
        "{message}"
    );
}

#[test]
fn where_no_prompt_fits_nothing_is_loaded_and_the_numbers_are_told() {
    let folder = Folder::new();
    folder.write("a.jsonl", GOOD);
    let mut bytes = std::fs::read(model()).unwrap();
    let needle = b"qwen2.context_length";
    let value = bytes.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len() + 4;
    bytes[value..value + 4].copy_from_slice(&300u32.to_le_bytes());
    folder.write("m.gguf", &bytes);
    let message = folder.fails(&["predict", "--model", "m.gguf", "--data", "a.jsonl", "-o", "o"], 2);
    let expected = "error: no prompt fits: m.gguf was trained for 300 positions; the longest answer (summary) may take 128, \
                    which leaves 172 for a prompt, and the shortest has ";
    assert!(message.starts_with(expected) && message.contains("\nhint: take a model with more positions"), "{message}");

    let model = model();
    let args = ["eval", "--model", model.to_str().unwrap(), "--data", "a.jsonl", "-o", "o", "--max-prompt-tokens"];
    let message = folder.fails(&[&args[..], &["100"]].concat(), 2);
    let (_, enough) =
        message.trim().split_once(" without its transcript\nhint: raise --max-prompt-tokens to ").unwrap();
    let enough = enough.split(' ').next().unwrap();
    reels(folder.path()).args(args).arg(enough).assert().success();
}

#[test]
fn shortened_reels_are_counted_before_the_answers_and_in_reports() {
    let folder = Folder::new();
    let long = "kata ".repeat(2000);
    folder.write("a.jsonl", format!("{GOOD}{{\"id\":\"b\",\"transcript\":\"{long}\"}}\n"));
    let model = model();
    let args = ["eval", "--model", model.to_str().unwrap(), "--data", "a.jsonl", "--task", "ad", "-o", "o"];
    let run = reels(folder.path()).args(args).assert().success();
    let expected = "fitting  1 of 2 Reels shortened to fit prompts of 1151 tokens (--max-prompt-tokens), by ";
    run.stderr(contains(expected));
    let read = |name: &str| std::fs::read_to_string(folder.path().join("o").join(name)).unwrap();
    let page = read("report.html");
    assert!(page.contains("The transcripts of 1 of 2 Reels were shortened to fit their prompts, by "));
    // As an earlier version left it.
    let mut manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let shortened = manifest.as_object_mut().unwrap().remove("shortened").unwrap();
    assert_eq!((&shortened["reels"], &shortened["of"]), (&1.into(), &2.into()));
    folder.write("o/manifest.json", manifest.to_string());
    reels(folder.path()).args(["report", "o", "--format", "md"]).assert().success();
    assert!(read("report.md").contains("Transkrip 1 dari 2 Reels dipotong agar muat dalam prompt, paling banyak "));
}

#[test]
fn prompts_can_be_listed_rendered_and_ejected() {
    let folder = Folder::new();
    reels(folder.path())
        .args(["prompt", "list"])
        .assert()
        .success()
        .stdout(contains("summary").and(contains("category.jinja")).and(contains("iklan, bukan iklan")));
    reels(folder.path()).args(["prompt", "render", "--task", "ad"]).assert().success().stdout(
        contains("--- ad: system")
            .and(contains("Tugas: tentukan apakah Reel ini iklan."))
            .and(contains("summary").not()),
    );
    let model = model();
    reels(folder.path())
        .args(["prompt", "render", "--task", "ad", "--model", model.to_str().unwrap()])
        .assert()
        .success()
        .stdout(contains("<|im_start|>assistant").and(contains("tokens, 0 left out")));
    reels(folder.path()).args(["prompt", "eject"]).assert().success();
    reels(folder.path()).args(["prompt", "eject"]).assert().code(2).stderr(contains("is there already"));
    let message = folder.fails(&["prompt", "render", "--task", "judul"], 2);
    assert!(message.contains("--task judul is not among the tasks (summary, category, ad)"), "{message}");
}

#[test]
fn settings_come_from_flags_then_variables_then_the_file() {
    let folder = Folder::new();
    folder
        .write("a.jsonl", GOOD)
        .write("reels.toml", "[predict]\nmodel = \"baseline:lead-3\"\ndata = \"a.jsonl\"\noutput = \"from-file\"\n");
    reels(folder.path()).arg("predict").assert().success().stderr(contains("baseline:lead-3"));
    reels(folder.path()).arg("predict").env("REELS_OUTPUT", "from-variable").assert().success();
    reels(folder.path()).args(["predict", "--output", "from-flag"]).env("REELS_OUTPUT", "x").assert().success();
    for name in ["from-file", "from-variable", "from-flag"] {
        assert!(folder.path().join(name).join("predictions.jsonl").exists(), "{name}");
    }
    folder.write("reels.toml", "[predict]\nmodle = \"x\"\n");
    let message = folder.fails(&["predict"], 2);
    assert!(message.contains("reels.toml: [predict] modle is not a setting\nhint: "), "{message}");
}

/// Results of two baselines on the bundled sample.
fn two_results(folder: &Folder) {
    for name in ["lead-1", "lead-3"] {
        let model = format!("baseline:{name}");
        reels(folder.path()).args(["eval", "--model", &model, "-o", name]).assert().success();
    }
}

#[test]
fn two_results_are_compared_in_words_and_as_json() {
    let folder = Folder::new();
    two_results(&folder);
    reels(folder.path())
        .args(["compare", "lead-1", "lead-3"])
        .assert()
        .success()
        .stdout(contains("baseline: lead-1").and(contains("lead-3 is ")).and(contains("of 42 accounts")));
    let output = reels(folder.path()).args(["compare", "lead-1", "lead-3", "--json"]).assert().success();
    let json: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(json["runs"], serde_json::json!(["lead-1", "lead-3"]));
    let difference = &json["tasks"]["summary"]["metrics"]["rouge1"]["differences"][0];
    assert!(difference["p"].as_f64().unwrap() > 0.0 && difference["low"].as_f64() <= difference["value"].as_f64());
}

#[test]
fn results_that_cannot_be_compared_are_refused() {
    let folder = Folder::new();
    two_results(&folder);
    let rows = std::fs::read_to_string(folder.path().join("lead-3/rows.jsonl")).unwrap();
    folder.write("lead-3/rows.jsonl", rows.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>());
    let message = folder.fails(&["compare", "lead-1", "lead-3"], 2);
    assert!(message.contains("lead-3 lacks 1 of the rows of lead-1") && message.contains("hint: "), "{message}");
    folder.write("lead-3/rows.jsonl", "{\"v\":1}\n");
    let message = folder.fails(&["compare", "lead-1", "lead-3"], 2);
    assert!(message.contains("lead-3/rows.jsonl:1: not a row"), "{message}");
    let message = folder.fails(&["compare", "lead-1", "nowhere"], 2);
    assert!(message.contains("nowhere does not exist"), "{message}");
    folder.fails(&["compare", "lead-1"], 2);
}

#[test]
fn a_test_set_is_planned_without_results() {
    let folder = Folder::new();
    reels(folder.path())
        .args(["compare", "--plan", "--rows", "655", "--discordance", "0.1", "--sd", "0.1"])
        .assert()
        .success()
        .stdout(contains("accuracy: 3.6 points").and(contains("ROUGE: 1.1 points")));
    let message = folder.fails(&["compare", "--plan"], 2);
    assert!(message.contains("--plan needs --rows"), "{message}");
}

#[test]
fn a_threshold_decides_the_exit_code() {
    let folder = Folder::new();
    let fail_under = |what: &str, code| {
        let threshold = format!("summary.rouge1={what}");
        folder.fails(&["eval", "--model", "baseline:lead-3", "-o", "out", "--fail-under", &threshold], code)
    };
    assert!(fail_under("0.01", 0).contains("summary.rouge1 of at least 0.01: reached"));
    assert!(fail_under("0.99", 1).contains("missed"));
    let scores: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/scores.json")).unwrap()).unwrap();
    let value = scores["tasks"]["summary"]["metrics"]["rouge1"]["value"].to_string();
    assert!(fail_under(&value, 4).contains("can't be decided by this data"));
    for (threshold, expected) in [
        ("summary.rouge9=1", "the metric is unknown"),
        ("ad.brier=0.1", "one of which less is better"),
        ("ad.accuracy=1.5", "--fail-under ad.accuracy=1.5: no accuracy is so"),
        ("category.kappa=-2", "no kappa is so"),
        ("mood.accuracy=1", "unknown task \"mood\""),
        ("accuracy", "is not TASK.METRIC=VALUE"),
    ] {
        let message = folder.fails(&["eval", "--model", "baseline:lead-3", "--fail-under", threshold], 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
}

#[test]
fn reports_are_written_again_from_files_alone_and_beside_other_runs() {
    let folder = Folder::new();
    two_results(&folder);
    let page = std::fs::read(folder.path().join("lead-3/report.html")).unwrap();
    std::fs::remove_file(folder.path().join("lead-3/report.html")).unwrap();
    std::fs::remove_file(folder.path().join("lead-3/predictions.jsonl")).unwrap();
    reels(folder.path()).args(["report", "lead-3"]).assert().success().stdout(contains("lead-3/model-card.md"));
    assert_eq!(std::fs::read(folder.path().join("lead-3/report.html")).unwrap(), page);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("lead-3/report.md").contains("| summary | ROUGE-L |"));
    assert!(
        read("lead-3/report.tex").contains("\\toprule") && read("lead-3/report.csv").contains("summary,rougeL_id,0.")
    );
    assert!(read("lead-3/model-card.md").starts_with("---\nlanguage: id\n"));

    reels(folder.path())
        .args(["report", "lead-3", "--against", "lead-1", "--format", "html,md"])
        .assert()
        .success()
        .stdout(contains("report.html").and(contains("report.tex").not()));
    assert!(read("lead-3/report.html").contains("Differences from lead-1."));

    reels(folder.path()).args(["compare", "lead-1", "lead-3", "-o", "both"]).assert().success();
    for name in ["comparison.html", "comparison.md", "comparison.tex", "comparison.json"] {
        assert!(read(&format!("both/{name}")).contains("lead-3"), "{name}");
    }
    let message = folder.fails(&["report", "both"], 2);
    assert!(message.contains("both is not a result directory: it has no scores.json\nhint: "), "{message}");
}

#[test]
fn a_threshold_chosen_on_dev_data_decides_a_yes_no_task() {
    let folder = Folder::new();
    let sample = std::fs::read_to_string(root().join("eval/sample.jsonl")).unwrap();
    let lines: Vec<&str> = sample.lines().collect();
    folder.write("dev.jsonl", lines[..60].join("\n")).write("test.jsonl", lines[60..].join("\n"));
    let model = model();
    let eval = |data: &str, output: &str, more: &[&str]| {
        let args = ["eval", "--task", "ad", "--model", model.to_str().unwrap(), "--data", data, "-o", output];
        reels(folder.path()).args(args).args(more).assert()
    };
    eval("dev.jsonl", "dev", &[]).success();
    eval("test.jsonl", "test", &["--threshold-from", "dev"]).success();
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.path().join(name)).unwrap()).unwrap()
    };
    let threshold = json("test/manifest.json")["thresholds"]["ad"]["value"].as_f64().unwrap();
    assert_eq!(json("test/scores.json")["tasks"]["ad"]["threshold"], threshold);
    let rows = std::fs::read_to_string(folder.path().join("test/rows.jsonl")).unwrap();
    for row in rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        let positive = row["label_logprobs"]["iklan"].as_f64().unwrap().exp() >= threshold;
        assert_eq!(row["output"], if positive { "iklan" } else { "bukan iklan" });
    }
    let score = |more: &[&str]| {
        let args = ["score", "--predictions", "test/predictions.jsonl", "--data", "test.jsonl", "-o", "again"];
        folder.fails(&[&args[..], more].concat(), 2)
    };
    let message = score(&["--threshold-from", "test"]);
    assert!(message.contains("is in both, so the threshold would be chosen on the data it is judged on"), "{message}");
    let message = folder.fails(&["eval", "--model", "baseline:lead-1", "-o", "none", "--threshold-from", "nowhere"], 2);
    assert!(message.contains("nowhere: not a result directory") && message.contains("\nhint: "), "{message}");
    assert!(!folder.path().join("none").exists(), "nothing was predicted");
    reels(folder.path()).args(["eval", "--model", "baseline:lead-1", "-o", "lead"]).assert().success();
    let message = score(&["--threshold-from", "lead"]);
    assert!(message.contains("it is of another model"), "{message}");
}

#[test]
fn a_task_without_references_is_answered_and_not_scored() {
    let folder = Folder::new();
    folder.write(
        "a.jsonl",
        "{\"id\":\"a\",\"transcript\":\"Halo. Ini kopi.\"}\n{\"id\":\"b\",\"transcript\":\"Lagi.\"}\n",
    );
    for name in ["lead-1", "lead-3"] {
        let model = format!("baseline:{name}");
        let args = ["eval", "--model", &model, "--data", "a.jsonl", "-o", name];
        reels(folder.path()).args(args).assert().success().stdout(contains("summary          2"));
    }
    let page = std::fs::read_to_string(folder.path().join("lead-1/report.html")).unwrap();
    assert!(page.contains("summary: no answer has a reference, so nothing is scored."));
    let message = folder.fails(&["compare", "lead-1", "lead-3"], 2);
    assert!(message.contains("no row of these runs has a reference\nhint: "), "{message}");
    // A threshold on what isn't there can't be decided.
    let score = ["score", "--predictions", "lead-1/predictions.jsonl", "--data", "a.jsonl", "-o", "s"];
    folder.fails(&[&score[..], &["--fail-under", "summary.rougeL=0.1"]].concat(), 4);
}

#[test]
fn commands_that_look_read_the_settings_file_too() {
    let folder = Folder::new();
    two_results(&folder);
    folder.write("a.jsonl", GOOD).write(
        "reels.toml",
        "[report]\nformat = [\"md\"]\nagainst = [\"lead-1\"]\nbootstrap = 200\n\
         [compare]\noutput = \"compared\"\nbootstrap = 200\n\
         [export]\nquant = \"f16\"\n\
         [prompt]\ndata = \"a.jsonl\"\ntask = [\"ad\"]\n",
    );
    reels(folder.path()).args(["report", "lead-3"]).assert().success().stdout("lead-3/report.md\n");
    let report = std::fs::read_to_string(folder.path().join("lead-3/report.md")).unwrap();
    assert!(report.contains("lead-1"), "{report}");
    reels(folder.path()).args(["report", "lead-3", "--format", "csv"]).assert().success().stdout("lead-3/report.csv\n");
    reels(folder.path()).args(["compare", "lead-1", "lead-3"]).assert().success();
    assert!(folder.path().join("compared/comparison.json").exists());
    let message = folder.fails(&["export", "nowhere", "-o", "a.gguf"], 2);
    assert!(message.contains("nowhere is not a directory") || message.contains("can't export"), "{message}");
    let shown = reels(folder.path()).args(["prompt", "render"]).assert().success();
    shown.stdout(contains("--- ad: user").and(contains("halo")).and(contains("--- summary").not()));
}

#[test]
fn a_section_that_is_none_is_refused_by_every_command() {
    let folder = Folder::new();
    folder.write("reels.toml", "[evla]\nwidth = 4\n");
    for command in [&["eval"][..], &["prompt", "list"], &["doctor"], &["report", "none"]] {
        let message = folder.fails(command, 2);
        assert!(
            message.contains("error: reels.toml: [evla] is not a section\nhint: did you mean [eval]? "),
            "{message}"
        );
    }
}

/// `reels … | head` and `reels … 2>&1 | true`: nobody reads, and all is done and told by the exit code as otherwise.
#[test]
fn a_pipe_that_nobody_reads_ends_nothing() {
    let folder = Folder::new();
    let run = |args: &[&str]| {
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("reels"));
        command.current_dir(folder.path()).args(args).stdout(closed()).stderr(closed());
        command.status().unwrap().code()
    };
    assert_eq!(run(&["prompt", "render"]), Some(0));
    assert_eq!(run(&["compare", "--plan", "--rows", "98"]), Some(0));
    assert_eq!(run(&["doctor", model().to_str().unwrap()]), Some(0));
    assert_eq!(run(&["doctor", "--help"]), Some(0));
    let eval = ["eval", "--model", "baseline:lead-3", "-o", "a", "--bootstrap", "200"];
    assert_eq!(run(&[&eval[..], &["--fail-under", "summary.rougeL=0.9"]].concat()), Some(1));
    assert!(folder.path().join("a/report.html").exists());
    assert_eq!(run(&["compare", "a", "a"]), Some(0));
    assert_eq!(run(&["report", "a", "--format", "md"]), Some(0));
    assert_eq!(run(&["predict", "--model", "none.gguf", "-o", "b"]), Some(2));
}

#[test]
fn what_cannot_be_printed_fails() {
    let folder = Folder::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("reels"));
    let output = command.current_dir(folder.path()).args(["prompt", "list"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr.ends_with("error: cannot write to stdout: No space left on device (os error 28)\n"), "{stderr}");
}

#[test]
fn summaries_that_go_round_are_ended_unless_asked_not_to() {
    let folder = Folder::new();
    let model = model();
    let finishes = |output: &str, more: &[&str]| -> Vec<String> {
        let args = ["predict", "--model", model.to_str().unwrap(), "--task", "summary", "--limit", "16", "-o", output];
        reels(folder.path()).args(args).args(more).assert().success();
        let text = std::fs::read_to_string(folder.path().join(output).join("predictions.jsonl")).unwrap();
        let finish = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["finish"].as_str().unwrap().to_owned()
        };
        text.lines().map(finish).collect()
    };
    assert!(finishes("a", &[]).iter().any(|finish| finish == "loop"));
    assert!(finishes("b", &["--no-loop-stop"]).iter().all(|finish| finish != "loop"));
    let report = ["score", "--predictions", "a/predictions.jsonl", "-o", "a"];
    reels(folder.path()).args(report).assert().success().stdout(contains("repeated themselves again and again"));
    let page = std::fs::read_to_string(folder.path().join("a/report.html")).unwrap();
    assert!(page.contains("↻ repeats itself"));
}
