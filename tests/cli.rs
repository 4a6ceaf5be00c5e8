//! The program as its users run it: exit codes, messages, and what stands on disk afterwards.

mod folder;

use folder::{Folder, model};
use serde_json::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/eval/sample.jsonl");
const GOOD: &str = "{\"id\":\"a\",\"transcript\":\"halo\",\"reference\":{\"ad\":\"iklan\"}}\n";

#[test]
fn eval_of_the_bundled_sample_leaves_a_complete_result_directory() {
    let folder = Folder::new();
    let run = folder.succeeds(&format!("eval --limit 3 --model {}", model()));
    assert!(run.out.contains("rouge1") && run.out.contains("macro_f1"), "{}", run.out);
    assert!(run.err.contains("report.html"), "{}", run.err);
    for name in ["predictions.jsonl", "rows.jsonl", "scores.json", "manifest.json", "report.html", "prompts/tasks.toml"]
    {
        assert!(folder.has(&format!("eval/latest/{name}")), "{name} is missing");
    }
    assert_eq!(folder.read("eval/latest/rows.jsonl").lines().count(), 9);
    assert_eq!(folder.json("eval/latest/scores.json")["tasks"]["category"]["metrics"]["macro_f1"]["n"], 3);

    // Scoring the same predictions again, without the model, gives the same scores.
    folder.succeeds("score --predictions eval/latest/predictions.jsonl --output again");
    assert_eq!(folder.read("again/scores.json"), folder.read("eval/latest/scores.json"));
}

#[test]
fn a_baseline_is_a_run_like_any_other() {
    let folder = Folder::new();
    let run = folder.succeeds("eval --model baseline:lead-1 --output lead");
    assert!(run.out.contains("rougeLsum"), "{}", run.out);
    assert!(run.err.contains("can't answer category, ad: left out"), "{}", run.err);
    let out = folder.succeeds(&format!("eval --model baseline:majority --output majority --train {SAMPLE}")).out;
    assert!(out.contains("accuracy"), "{out}");
    let out = folder.succeeds("eval --model baseline:oracle --output oracle").out;
    assert!(out.contains("rougeL_id"), "{out}");
    let out = folder.succeeds(&format!("eval --model baseline:tfidf --output tfidf --train {SAMPLE}")).out;
    assert!(out.contains("brier"), "{out}");
    let message = folder.fails("eval --model baseline:tfidf", 2);
    assert!(message.contains("needs records to learn labels from\nhint: add --train"), "{message}");
    let message = folder.fails("eval --model baseline:lead-9", 2);
    assert!(message.contains("baseline:lead-9 is not known\nhint: baseline:lead-1"), "{message}");
}

#[test]
fn a_missing_model_is_answered_with_the_bundled_one() {
    let message = Folder::new().fails("eval --model gguf/qwen-reels.gguf", 2);
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
        let message = folder.fails(&format!("eval --model m.gguf --data {name}"), 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{name}: {message}");
    }
    let message = folder.fails("eval --model m.gguf --data none.jsonl", 2);
    assert!(message.contains("cannot read data file none.jsonl") && message.contains("hint: "), "{message}");
}

#[test]
fn a_byte_order_mark_and_crlf_are_accepted() {
    let folder = Folder::new();
    folder.write("a.jsonl", format!("\u{feff}{}", GOOD.replace('\n', "\r\n")));
    folder.succeeds("predict --model baseline:lead-1 --data a.jsonl --output o");
}

#[test]
fn a_broken_template_is_named_with_its_line_before_weights_are_loaded() {
    let folder = Folder::new();
    folder.succeeds("prompt eject p");
    let text = folder.read("p/summary.jinja");
    let eval = format!("eval --model {} --prompts p", model());
    for (broken, expected) in [
        (text.replace("Tugas:", "{{ reel.judul }}"), "p: summary.jinja:3: reel.judul is not known"),
        (text.replace("Tugas:", "{% if %}"), "p: summary.jinja:3: syntax error"),
        (text.replace("base.jinja", "bass.jinja"), "bass.jinja"),
    ] {
        folder.write("p/summary.jinja", broken);
        let message = folder.fails(&eval, 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
    folder.remove("p/summary.jinja");
    let message = folder.fails(&eval, 2);
    assert!(message.contains("[task.summary] names the template \"summary.jinja\", which is not there"), "{message}");
    let message = folder.fails("eval --prompts nowhere --model baseline:lead-1", 2);
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
        let message = folder.fails("eval --model m.gguf", 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
    let message = folder.fails("eval --model .", 2);
    assert!(message.contains("is not a file"), "{message}");
    let model = model();
    let message = folder.fails(&format!("eval --model {model} --adapter {model}"), 2);
    assert!(message.contains("this is no LoRA adapter"), "{message}");
}

#[test]
fn a_result_directory_is_not_shared_between_settings() {
    let folder = Folder::new();
    folder.write("a.jsonl", GOOD).write("b.jsonl", GOOD.replace("halo", "hai"));
    for (flags, code, expected) in [
        ("baseline:lead-1 --data a.jsonl", 0, ""),
        ("baseline:lead-1 --data a.jsonl", 0, "1 predictions are done, 0 left"),
        ("baseline:lead-3 --data a.jsonl", 2, "o holds results of another model"),
        ("baseline:lead-1 --data b.jsonl", 2, "o holds answers about 1 records that have changed in b.jsonl since: a"),
        (
            "baseline:lead-1 --data a.jsonl --label-mode generate",
            2,
            "o holds results of another settings: label_mode \"score\" there, \"generate\" now\nhint: ",
        ),
    ] {
        let said = folder.ends(&format!("predict --output o --model {flags}"), code).err;
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_an_environment_failure() {
    let folder = Folder::new();
    folder.write("file", "");
    let message = folder.fails("eval --model baseline:lead-1 --output file/o", 5);
    assert!(message.contains("cannot make the result directory file/o"), "{message}");
}

#[test]
fn mixed_predictions_are_refused_by_score() {
    let folder = Folder::new();
    folder.write("a.jsonl", GOOD);
    folder.succeeds("predict --model baseline:lead-1 --data a.jsonl --output o");
    let line = folder.read("o/predictions.jsonl");
    let mut other: Value = serde_json::from_str(&line).unwrap();
    other["settings_sha256"] = "other".into();
    folder.write("mixed.jsonl", format!("{line}{other}\n"));
    let message = folder.fails("score --predictions mixed.jsonl --data a.jsonl --output s", 2);
    assert!(message.contains("settings") && message.contains("hint: "), "{message}");
    let message = folder.fails("score --predictions none.jsonl --output s", 2);
    assert!(message.contains("none.jsonl"), "{message}");
}

#[test]
fn a_budget_beyond_the_models_context_is_refused_with_the_numbers() {
    let folder = Folder::new();
    folder.succeeds("prompt eject p");
    folder.edit("p/tasks.toml", |tasks| tasks.replace("max_tokens = 128", "max_tokens = 1000"));
    let message = folder.fails(&format!("eval --model {} --prompts p --max-prompt-tokens 2000", model()), 2);
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
    let message = folder.fails("predict --model m.gguf --data a.jsonl -o o", 2);
    let expected = "error: no prompt fits: m.gguf was trained for 300 positions; the longest answer (summary) may take 128, \
                    which leaves 172 for a prompt, and the shortest has ";
    assert!(message.starts_with(expected) && message.contains("\nhint: take a model with more positions"), "{message}");

    let eval = format!("eval --model {} --data a.jsonl -o o --max-prompt-tokens", model());
    let message = folder.fails(&format!("{eval} 100"), 2);
    let (_, enough) =
        message.trim().split_once(" without its transcript\nhint: raise --max-prompt-tokens to ").unwrap();
    let enough = enough.split(' ').next().unwrap();
    folder.succeeds(&format!("{eval} {enough}"));
}

#[test]
fn shortened_reels_are_counted_before_the_answers_and_in_reports() {
    let folder = Folder::new();
    let long = "kata ".repeat(2000);
    folder.write("a.jsonl", format!("{GOOD}{{\"id\":\"b\",\"transcript\":\"{long}\"}}\n"));
    let said = folder.succeeds(&format!("eval --model {} --data a.jsonl --task ad -o o", model())).err;
    let expected = "fitting  1 of 2 Reels shortened to fit prompts of 1151 tokens (--max-prompt-tokens), by ";
    assert!(said.contains(expected), "{said}");
    let page = folder.read("o/report.html");
    assert!(page.contains("The transcripts of 1 of 2 Reels were shortened to fit their prompts, by "));
    // As an earlier version left it.
    folder.edit_json("o/manifest.json", |manifest| {
        let shortened = manifest.as_object_mut().unwrap().remove("shortened").unwrap();
        assert_eq!((&shortened["reels"], &shortened["of"]), (&1.into(), &2.into()));
    });
    folder.succeeds("report o --format md");
    let report = folder.read("o/report.md");
    assert!(report.contains("Transkrip 1 dari 2 Reels dipotong agar muat dalam prompt, paling banyak "), "{report}");
}

#[test]
fn prompts_can_be_listed_rendered_and_ejected() {
    let folder = Folder::new();
    let out = folder.succeeds("prompt list").out;
    assert!(out.contains("summary") && out.contains("category.jinja") && out.contains("iklan, bukan iklan"), "{out}");
    let out = folder.succeeds("prompt render --task ad").out;
    assert!(
        out.contains("--- ad: system")
            && out.contains("Tugas: tentukan apakah Reel ini iklan.")
            && !out.contains("summary"),
        "{out}"
    );
    let out = folder.succeeds(&format!("prompt render --task ad --model {}", model())).out;
    assert!(out.contains("<|im_start|>assistant") && out.contains("tokens, 0 left out"), "{out}");
    folder.succeeds("prompt eject");
    let message = folder.fails("prompt eject", 2);
    assert!(message.contains("is there already"), "{message}");
    let message = folder.fails("prompt render --task judul", 2);
    assert!(message.contains("--task judul is not among the tasks (summary, category, ad)"), "{message}");
}

#[test]
fn settings_come_from_flags_then_variables_then_the_file() {
    let folder = Folder::new();
    folder
        .write("a.jsonl", GOOD)
        .write("reels.toml", "[predict]\nmodel = \"baseline:lead-3\"\ndata = \"a.jsonl\"\noutput = \"from-file\"\n");
    let said = folder.succeeds("predict").err;
    assert!(said.contains("baseline:lead-3"), "{said}");
    for (flags, variable) in [("", "from-variable"), ("--output from-flag", "x")] {
        let output = folder.command(&format!("predict {flags}")).env("REELS_OUTPUT", variable).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for name in ["from-file", "from-variable", "from-flag"] {
        assert!(folder.has(&format!("{name}/predictions.jsonl")), "{name}");
    }
    folder.write("reels.toml", "[predict]\nmodle = \"x\"\n");
    let message = folder.fails("predict", 2);
    assert!(message.contains("reels.toml: [predict] modle is not a setting\nhint: "), "{message}");
}

/// Results of two baselines on the bundled sample.
fn two_results(folder: &Folder) {
    for name in ["lead-1", "lead-3"] {
        folder.succeeds(&format!("eval --model baseline:{name} -o {name}"));
    }
}

#[test]
fn two_results_are_compared_in_words_and_as_json() {
    let folder = Folder::new();
    two_results(&folder);
    let out = folder.succeeds("compare lead-1 lead-3").out;
    assert!(out.contains("baseline: lead-1") && out.contains("lead-3 is ") && out.contains("of 42 accounts"), "{out}");
    let json: Value = serde_json::from_str(&folder.succeeds("compare lead-1 lead-3 --json").out).unwrap();
    assert_eq!(json["runs"], serde_json::json!(["lead-1", "lead-3"]));
    let difference = &json["tasks"]["summary"]["metrics"]["rouge1"]["differences"][0];
    assert!(difference["p"].as_f64().unwrap() > 0.0 && difference["low"].as_f64() <= difference["value"].as_f64());
}

#[test]
fn results_that_cannot_be_compared_are_refused() {
    let folder = Folder::new();
    two_results(&folder);
    folder.edit("lead-3/rows.jsonl", |rows| rows.split_inclusive('\n').skip(1).collect());
    let message = folder.fails("compare lead-1 lead-3", 2);
    assert!(message.contains("lead-3 lacks 1 of the rows of lead-1") && message.contains("hint: "), "{message}");
    folder.write("lead-3/rows.jsonl", "{\"v\":1}\n");
    let message = folder.fails("compare lead-1 lead-3", 2);
    assert!(message.contains("lead-3/rows.jsonl:1: not a row"), "{message}");
    let message = folder.fails("compare lead-1 nowhere", 2);
    assert!(message.contains("nowhere does not exist"), "{message}");
    folder.fails("compare lead-1", 2);
}

#[test]
fn a_test_set_is_planned_without_results() {
    let folder = Folder::new();
    let out = folder.succeeds("compare --plan --rows 655 --discordance 0.1 --sd 0.1").out;
    assert!(out.contains("accuracy: 3.6 points") && out.contains("ROUGE: 1.1 points"), "{out}");
    let message = folder.fails("compare --plan", 2);
    assert!(message.contains("--plan needs --rows"), "{message}");
}

#[test]
fn a_threshold_decides_the_exit_code() {
    let folder = Folder::new();
    let fail_under = |what: &str, code| {
        folder.ends(&format!("eval --model baseline:lead-3 -o out --fail-under summary.rouge1={what}"), code).err
    };
    assert!(fail_under("0.01", 0).contains("summary.rouge1 of at least 0.01: reached"));
    assert!(fail_under("0.99", 1).contains("missed"));
    let value = folder.json("out/scores.json")["tasks"]["summary"]["metrics"]["rouge1"]["value"].to_string();
    assert!(fail_under(&value, 4).contains("can't be decided by this data"));
    for (threshold, expected) in [
        ("summary.rouge9=1", "the metric is unknown"),
        ("ad.brier=0.1", "one of which less is better"),
        ("ad.accuracy=1.5", "--fail-under ad.accuracy=1.5: no accuracy is so"),
        ("category.kappa=-2", "no kappa is so"),
        ("mood.accuracy=1", "unknown task \"mood\""),
        ("accuracy", "is not TASK.METRIC=VALUE"),
    ] {
        let message = folder.fails(&format!("eval --model baseline:lead-3 --fail-under {threshold}"), 2);
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
}

#[test]
fn reports_are_written_again_from_files_alone_and_beside_other_runs() {
    let folder = Folder::new();
    two_results(&folder);
    let page = folder.read("lead-3/report.html");
    folder.remove("lead-3/report.html");
    folder.remove("lead-3/predictions.jsonl");
    let out = folder.succeeds("report lead-3").out;
    assert!(out.contains("lead-3/model-card.md"), "{out}");
    assert_eq!(folder.read("lead-3/report.html"), page);
    assert!(folder.read("lead-3/report.md").contains("| summary | ROUGE-L |"));
    assert!(
        folder.read("lead-3/report.tex").contains("\\toprule")
            && folder.read("lead-3/report.csv").contains("summary,rougeL_id,0.")
    );
    assert!(folder.read("lead-3/model-card.md").starts_with("---\nlanguage: id\n"));

    let out = folder.succeeds("report lead-3 --against lead-1 --format html,md").out;
    assert!(out.contains("report.html") && !out.contains("report.tex"), "{out}");
    assert!(folder.read("lead-3/report.html").contains("Differences from lead-1."));

    folder.succeeds("compare lead-1 lead-3 -o both");
    for name in ["comparison.html", "comparison.md", "comparison.tex", "comparison.json"] {
        assert!(folder.read(&format!("both/{name}")).contains("lead-3"), "{name}");
    }
    let message = folder.fails("report both", 2);
    assert!(message.contains("both is not a result directory: it has no scores.json\nhint: "), "{message}");
}

#[test]
fn a_threshold_chosen_on_dev_data_decides_a_yes_no_task() {
    let folder = Folder::new();
    let sample = folder.read(SAMPLE);
    let lines: Vec<&str> = sample.lines().collect();
    folder.write("dev.jsonl", lines[..60].join("\n")).write("test.jsonl", lines[60..].join("\n"));
    let eval = format!("eval --task ad --model {}", model());
    folder.succeeds(&format!("{eval} --data dev.jsonl -o dev"));
    folder.succeeds(&format!("{eval} --data test.jsonl -o test --threshold-from dev"));
    let threshold = folder.json("test/manifest.json")["thresholds"]["ad"]["value"].as_f64().unwrap();
    assert_eq!(folder.json("test/scores.json")["tasks"]["ad"]["threshold"], threshold);
    for row in folder.lines("test/rows.jsonl") {
        let positive = row["label_logprobs"]["iklan"].as_f64().unwrap().exp() >= threshold;
        assert_eq!(row["output"], if positive { "iklan" } else { "bukan iklan" });
    }
    let score = "score --predictions test/predictions.jsonl --data test.jsonl -o again --threshold-from";
    let message = folder.fails(&format!("{score} test"), 2);
    assert!(message.contains("is in both, so the threshold would be chosen on the data it is judged on"), "{message}");
    let message = folder.fails("eval --model baseline:lead-1 -o none --threshold-from nowhere", 2);
    assert!(message.contains("nowhere: not a result directory") && message.contains("\nhint: "), "{message}");
    assert!(!folder.has("none"), "nothing was predicted");
    folder.succeeds("eval --model baseline:lead-1 -o lead");
    let message = folder.fails(&format!("{score} lead"), 2);
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
        let out = folder.succeeds(&format!("eval --model baseline:{name} --data a.jsonl -o {name}")).out;
        assert!(out.contains("summary          2"), "{out}");
    }
    assert!(folder.read("lead-1/report.html").contains("summary: no answer has a reference, so nothing is scored."));
    let message = folder.fails("compare lead-1 lead-3", 2);
    assert!(message.contains("no row of these runs has a reference\nhint: "), "{message}");
    // A threshold on what isn't there can't be decided.
    let score = "score --predictions lead-1/predictions.jsonl --data a.jsonl -o s";
    folder.fails(&format!("{score} --fail-under summary.rougeL=0.1"), 4);
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
    assert_eq!(folder.succeeds("report lead-3").out, "lead-3/report.md\n");
    let report = folder.read("lead-3/report.md");
    assert!(report.contains("lead-1"), "{report}");
    assert_eq!(folder.succeeds("report lead-3 --format csv").out, "lead-3/report.csv\n");
    folder.succeeds("compare lead-1 lead-3");
    assert!(folder.has("compared/comparison.json"));
    let message = folder.fails("export nowhere -o a.gguf", 2);
    assert!(message.contains("nowhere is not a directory") || message.contains("can't export"), "{message}");
    let out = folder.succeeds("prompt render").out;
    assert!(out.contains("--- ad: user") && out.contains("halo") && !out.contains("--- summary"), "{out}");
}

#[test]
fn a_section_that_is_none_is_refused_by_every_command() {
    let folder = Folder::new();
    folder.write("reels.toml", "[evla]\nwidth = 4\n");
    for command in ["eval", "prompt list", "doctor", "report none"] {
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
    let run = |arguments: &str| {
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        folder.command(arguments).stdout(closed()).stderr(closed()).status().unwrap().code()
    };
    assert_eq!(run("prompt render"), Some(0));
    assert_eq!(run("compare --plan --rows 98"), Some(0));
    assert_eq!(run(&format!("doctor {}", model())), Some(0));
    assert_eq!(run("doctor --help"), Some(0));
    let eval = "eval --model baseline:lead-3 -o a --bootstrap 200 --fail-under summary.rougeL=0.9";
    assert_eq!(run(eval), Some(1));
    assert!(folder.has("a/report.html"));
    assert_eq!(run("compare a a"), Some(0));
    assert_eq!(run("report a --format md"), Some(0));
    assert_eq!(run("predict --model none.gguf -o b"), Some(2));
}

#[test]
fn what_cannot_be_printed_fails() {
    let folder = Folder::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = folder.command("prompt list").stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr.ends_with("error: cannot write to stdout: No space left on device (os error 28)\n"), "{stderr}");
}

#[test]
fn summaries_that_go_round_are_ended_unless_asked_not_to() {
    let folder = Folder::new();
    let predicted = |output: &str, more: &str| {
        folder.succeeds(&format!("predict --model {} --task summary --limit 16 -o {output} {more}", model()));
        folder.lines(&format!("{output}/predictions.jsonl"))
    };
    assert!(predicted("a", "").iter().any(|line| line["finish"] == "loop"));
    assert!(predicted("b", "--no-loop-stop").iter().all(|line| line["finish"] != "loop"));
    let out = folder.succeeds("score --predictions a/predictions.jsonl -o a").out;
    assert!(out.contains("repeated themselves again and again"), "{out}");
    assert!(folder.read("a/report.html").contains("↻ repeats itself"));
}
