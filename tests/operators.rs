//! `reels` as operators run it: signals, limits, two at once, logs.

mod folder;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use folder::Folder;
use serde_json::{Value, json};

/// So many Reels that answering them takes seconds.
fn many(count: usize) -> Folder {
    let folder = Folder::new();
    let reel = |at: usize| {
        let text =
            format!("cerita nomor {at} tentang pasar pagi. Pembeli datang sejak subuh. Harga cabai {at} rupiah. ")
                .repeat(8);
        json!({"id": format!("r{at}"), "account": format!("a{}", at % 97), "transcript": text, "reference": {"summary": "Cerita pasar pagi."}}).to_string()
            + "\n"
    };
    folder.write("reels.jsonl", (0..count).map(reel).collect::<String>());
    folder
}

const PREDICT: &str = "predict --model baseline:lead-3 --data reels.jsonl --output out";

fn answers(folder: &Folder) -> usize {
    std::fs::read(folder.path("out/predictions.jsonl"))
        .map_or(0, |log| log.iter().filter(|byte| **byte == b'\n').count())
}

fn wait_for_answers(folder: &Folder, count: usize) {
    let started = Instant::now();
    while answers(folder) < count {
        assert!(started.elapsed() < Duration::from_secs(60), "no answers come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap().success());
}

#[test]
fn a_folder_has_one_writer_and_a_signal_sent_twice_is_one_wish() {
    let folder = many(20_000);
    let mut run = folder.command(PREDICT).stderr(Stdio::null()).spawn().unwrap();
    wait_for_answers(&folder, 50);
    let error = folder.fails(PREDICT, 2);
    let holder = format!("out is in use by process {} (", run.id());
    assert!(error.contains(&holder) && error.contains("\nhint: wait for it or stop it"), "{error}");
    // As `timeout` sends it: to the program, and at once to its group.
    signal("TERM", run.id());
    signal("TERM", run.id());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let done = answers(&folder);
    assert!(done < 20_000, "it was not stopped");
    let speed = folder.json("out/manifest.json")["speed"].clone();
    assert_eq!(speed["predictions"], done);
    assert!(folder.json("out/manifest.json")["finished_at"].is_null());
    // Whoever is gone holds nothing, and speed is that of both.
    folder.succeeds(PREDICT);
    assert_eq!(answers(&folder), 20_000);
    let both = folder.json("out/manifest.json")["speed"].clone();
    assert_eq!(both["predictions"], 20_000);
    assert!(both["seconds"].as_f64() > speed["seconds"].as_f64());
    assert_eq!(folder.json("out/progress.json")["done"], 20_000);
    // Nothing is left to do: what was measured stays.
    folder.succeeds(PREDICT);
    assert_eq!(folder.json("out/manifest.json")["speed"], both);
}

#[test]
fn a_terminal_that_closes_stops_it_unless_that_was_ignored_before() {
    let folder = many(5_000);
    let binary = env!("CARGO_BIN_EXE_reels");
    // Whoever runs this test may have it ignored.
    let started = |with: &[&str]| {
        let mut command = Command::new("env");
        command.args(with).arg(binary).args(PREDICT.split_whitespace()).current_dir(folder.root());
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut run = started(&["--default-signal=HUP"]);
    wait_for_answers(&folder, 20);
    signal("HUP", run.id());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let before = answers(&folder);
    let mut run = started(&["--ignore-signal=HUP"]);
    wait_for_answers(&folder, before + 1);
    signal("HUP", run.id());
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(answers(&folder), 5_000);
}

#[test]
fn messages_can_be_objects_with_their_time() {
    let folder = many(3);
    let run = folder.succeeds(&format!("{PREDICT} --log json"));
    let lines: Vec<Value> = run.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line["time"].as_str().unwrap().ends_with('Z')), "{}", run.err);
    assert!(lines.iter().any(|line| line["message"] == "data     reels.jsonl, 3 Reels"), "{}", run.err);
    let error = folder.fails("predict --model baseline:nothing --data reels.jsonl --output other --log json", 2);
    let line: Value = serde_json::from_str(error.lines().last().unwrap()).unwrap();
    assert!(line["message"].as_str().unwrap().starts_with("error: baseline:nothing is not known\nhint: "), "{line}");
}

#[test]
fn shells_and_manuals_know_its_commands() {
    let folder = Folder::new();
    for (shell, part) in [("bash", "complete -F _reels"), ("zsh", "#compdef reels"), ("fish", "complete -c reels")] {
        let script = folder.succeeds(&format!("completions {shell}")).out;
        assert!(script.contains(part) && script.contains("ablate"), "{shell}");
    }
    folder.succeeds("man man1");
    let page = folder.read("man1/reels-gal-ablate.1");
    assert!(page.contains("\\-\\-student") && folder.has("man1/reels.1") && folder.has("man1/reels-train.1"));
    let version = folder.succeeds("--version").out;
    assert!(version.starts_with(concat!("reels ", env!("CARGO_PKG_VERSION"), "\ncommit    ")), "{version}");
    assert!(version.contains("\nfeatures  "), "{version}");
    if version.contains("infer") {
        let pinned = include_str!("../Cargo.toml").lines().find(|line| line.starts_with("llama-cpp-sys-2 = ")).unwrap();
        let number = pinned.split_once("\"=").unwrap().1.split('"').next().unwrap();
        assert!(version.contains(&format!("llama-cpp-sys-2 {number} ")), "{version}, not {number}");
    }
    assert_eq!(folder.succeeds("-V").out, concat!("reels ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_limit_of_the_process_is_what_memory_there_is() {
    let folder = Folder::new();
    let binary = env!("CARGO_BIN_EXE_reels");
    let doctor = |limit: &str| {
        let script = format!("{limit} exec {binary} doctor --json");
        let output = Command::new("sh").args(["-c", &script]).current_dir(folder.root()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let gibibytes = |limit: &str| -> f64 {
        let told: Value = serde_json::from_str(&doctor(limit)).unwrap();
        let memory = told.as_array().unwrap().iter().find(|each| each["about"] == "memory").unwrap()["what"].clone();
        memory.as_str().unwrap().strip_suffix(" GiB free").unwrap().parse().unwrap()
    };
    let [free, limited] = ["", "ulimit -v 3000000;"].map(gibibytes);
    // 2.86 GiB, of which the program has some.
    assert!(free > limited && (1.0..2.87).contains(&limited), "{free} {limited}");
}

#[test]
fn parts_are_put_together_and_a_missing_one_is_named() {
    let folder = many(300);
    folder.succeeds(PREDICT);
    folder.succeeds("predict --model baseline:lead-3 --data reels.jsonl --output parts/1 --shard 1/3");
    // As Slurm says it, and as Kubernetes does.
    for (variable, number, part) in [("SLURM_ARRAY_TASK_ID", "2", 2), ("JOB_COMPLETION_INDEX", "2", 3)] {
        let arguments = format!("predict --model baseline:lead-3 --data reels.jsonl --output parts/{part} --shard 3");
        assert!(folder.command(&arguments).env(variable, number).output().unwrap().status.success());
    }
    let sizes = [1, 2, 3].map(|part| folder.lines(&format!("parts/{part}/predictions.jsonl")).len());
    assert!(sizes.iter().sum::<usize>() == 300 && sizes.iter().all(|size| *size > 60), "{sizes:?}");
    let error = folder.fails("gather parts/1 parts/3 --output all", 2);
    assert!(
        error.contains(&format!("{} of 300 Reels have no answers: no directory is of shard 2/3", sizes[1])),
        "{error}"
    );
    assert!(!folder.has("all"));
    // In another order, with one of them twice.
    let run = folder.succeeds("gather parts/3 parts/1 parts/2 parts/1 --output all");
    assert!(run.err.contains("300 answers about 300 Reels, of 3 directories"), "{}", run.err);
    let what = |name: &str| -> Vec<(String, String)> {
        let lines = folder.lines(name);
        lines.iter().map(|line| (line["reel_id"].to_string(), line["output"].to_string())).collect()
    };
    assert_eq!(what("all/predictions.jsonl"), what("out/predictions.jsonl"));
    folder.succeeds("score --predictions all/predictions.jsonl --data reels.jsonl --output all --bootstrap 100");
    folder.succeeds("score --predictions out/predictions.jsonl --data reels.jsonl --output out --bootstrap 100");
    assert_eq!(folder.json("all/scores.json"), folder.json("out/scores.json"));
    assert_eq!(folder.json("all/manifest.json")["model"]["name"], "baseline:lead-3");

    folder.edit("parts/2/predictions.jsonl", |text| text.lines().take(5).map(|line| line.to_owned() + "\n").collect());
    let error = folder.fails("gather parts/1 parts/2 parts/3 --output again", 2);
    assert!(
        error.contains("Reels have no answers: r") && error.contains("goes on with a part that is not at its end"),
        "{error}"
    );
    folder.succeeds("predict --model baseline:lead-1 --data reels.jsonl --output parts/other --shard 2/3");
    for (command, expected) in [
        ("gather parts/1 parts/other parts/3 --output again", "parts/other is of another model than parts/1\nhint: "),
        ("gather parts/1 gal --output again", "gal has no manifest.json\nhint: "),
        (
            "eval --model baseline:lead-3 --data reels.jsonl --shard 1/3",
            "--shard is not for `reels eval`: a part has no scores",
        ),
        (
            "predict --model baseline:lead-3 --data reels.jsonl --output x --shard 3",
            "neither is set\nhint: name it: --shard 1/3",
        ),
        (
            "gather parts/1 parts/2 parts/3 --data parts/1/predictions.jsonl --output again",
            "is not the data that was asked about",
        ),
    ] {
        let error = folder.fails(command, 2);
        assert!(error.contains(expected), "{command}: {error}");
    }
}

#[test]
fn answers_go_through_a_pipe() {
    let folder = many(4);
    let script = format!(
        "cat reels.jsonl | {} predict --model baseline:lead-3 --data - --output - 2>err.txt | head -n 3",
        env!("CARGO_BIN_EXE_reels")
    );
    let output = Command::new("sh").args(["-c", &script]).current_dir(folder.root()).output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["reel_id"].as_str().unwrap()).collect::<Vec<_>>(), ["r0", "r1", "r2"]);
    assert!(folder.read("err.txt").contains("standard input, 4 Reels") && !folder.has("-"));
    let error = folder.fails("eval --model baseline:lead-3 --data reels.jsonl --output -", 2);
    assert!(error.contains("--output - has no room for a report"), "{error}");
}
