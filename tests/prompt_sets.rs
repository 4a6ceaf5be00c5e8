//! Sets of prompts that people bring: what would be lost, misread or never end is said before a model is loaded.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

const RECORDS: &str = concat!(
    "{\"id\":\"a\",\"transcript\":\"promo kopi\",\"likes\":1,\"reference\":{\"ad\":\"iklan\"}}\n",
    "{\"id\":\"b\",\"transcript\":\"cerita kucing\",\"reference\":{\"ad\":\"bukan iklan\"}}\n",
    "{\"id\":\"c\",\"transcript\":\"resep sambal\",\"reference\":{\"ad\":\"bukan iklan\"}}\n",
);

/// A folder with records, the shipped prompts in `p`, and the program run in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("d.jsonl"), RECORDS).unwrap();
        folder.run(&["prompt", "eject", "p"], 0);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn edit(&self, file: &str, edit: impl Fn(&str) -> String) -> &Folder {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = edit(&text);
        assert_ne!(edited, text, "{file} is as it was");
        std::fs::write(path, edited).unwrap();
        self
    }

    /// Runs and expects an exit code; what was written to stdout and stderr.
    fn run(&self, args: &[&str], code: i32) -> (String, String) {
        let mut command = Command::cargo_bin("reels").unwrap();
        command.current_dir(self.path());
        std::env::vars().filter(|(name, _)| name.starts_with("REELS_")).for_each(|(name, _)| {
            command.env_remove(name);
        });
        let output = command.args(args).assert().code(code).get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

fn model() -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("gguf/reels-mini.gguf");
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_misspelt_block_is_refused_by_every_command_that_reads_prompts() {
    let folder = Folder::new();
    folder.edit("p/ad.jinja", |text| text.replace("{% block task %}", "{% block taks %}"));
    let expected = "error: p: ad.jinja:2: base.jinja has no block \"taks\", so this one is left out of the prompt\n\
                    hint: did you mean task? it has system, task, user\n";
    for args in [
        &["prompt", "list", "--prompts", "p"][..],
        &["prompt", "render", "--prompts", "p"],
        &["eval", "--prompts", "p", "--data", "d.jsonl", "--model", "baseline:lead-1"],
        &["predict", "--prompts", "p", "--data", "d.jsonl", "--model", &model(), "-o", "out"],
    ] {
        assert_eq!(folder.run(args, 2).1, expected, "{args:?}");
    }
}

#[test]
fn a_prompt_without_an_instruction_is_refused_before_weights_are_loaded() {
    let only_the_base = Folder::new();
    std::fs::write(
        only_the_base.path().join("p/ad.jinja"),
        "{% extends \"base.jinja\" %}{% block user %}{{ super() }}{% endblock %}",
    )
    .unwrap();
    let (_, said) = only_the_base.run(&["prompt", "render", "--prompts", "p", "--task", "ad", "--data", "d.jsonl"], 2);
    assert!(said.contains("ad.jinja: the instruction is empty: block user says what the base does"), "{said}");
    let folder = Folder::new();
    folder.edit("p/ad.jinja", |_| "{% extends \"base.jinja\" %}{% block task %}\n{% endblock %}".into());
    let args = ["predict", "--prompts", "p", "--data", "d.jsonl", "--model", &model(), "-o", "out"];
    let (_, message) = folder.run(&args, 2);
    assert!(
        message.starts_with("error: record \"a\": p: ad.jinja: the instruction is empty (block task)\nhint: "),
        "{message}"
    );
    assert!(!folder.path().join("out/manifest.json").exists());
}

#[test]
fn an_unknown_field_that_is_written_is_warned_of_once() {
    let folder = Folder::new();
    folder.edit("p/base.jinja", |text| text.replace("{{ number(reel.likes) }}", "{{ reel.likes }}"));
    let warning = "warning: p: base.jinja writes \"None\" where reel.likes is unknown\n\
                   hint: {{ reel.likes if reel.likes is not none else \"tidak diketahui\" }}\n";
    let data = ["--prompts", "p", "--data", "d.jsonl"];
    let render = |id| folder.run(&[&["prompt", "render", "--id", id][..], &data].concat(), 0);
    assert!(render("a").1.is_empty());
    let (prompt, message) = render("b");
    assert!(prompt.contains("Suka: None\n") && message == warning, "{message}");
    let model = model();
    for command in ["predict", "eval"] {
        let output = format!("of-{command}");
        let (_, message) = folder.run(&[&[command, "--model", &model, "-o", &output][..], &data].concat(), 0);
        assert_eq!(message.matches(warning).count(), 1, "{message}");
    }
}

#[test]
fn line_ends_of_windows_change_neither_tokens_nor_hashes() {
    let folder = Folder::new();
    folder.run(&["prompt", "eject", "q"], 0);
    for file in ["tasks.toml", "base.jinja", "ad.jinja", "category.jinja", "summary.jinja"] {
        folder.edit(&format!("q/{file}"), |text| format!("\u{feff}{}", text.replace('\n', "\r\n")));
    }
    let render = |prompts| {
        folder.run(&["prompt", "render", "--prompts", prompts, "--model", &model(), "--data", "d.jsonl"], 0).0
    };
    assert_eq!(render("p"), render("q"));
    let hash = |prompts| {
        folder.run(
            &[
                "predict",
                "--prompts",
                prompts,
                "--model",
                &model(),
                "--data",
                "d.jsonl",
                "-o",
                &format!("out-{prompts}"),
            ],
            0,
        );
        let text = std::fs::read_to_string(folder.path().join(format!("out-{prompts}/manifest.json"))).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["prompts"]["sha256"].clone()
    };
    assert_eq!(hash("p"), hash("q"));
}

/// The bundled model with other prompts in it, of the same length.
fn model_with(folder: &Folder, from: &str, to: &str) -> String {
    let mut bytes = std::fs::read(model()).unwrap();
    let at = bytes.windows(from.len()).rposition(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    let path = folder.path().join("m.gguf");
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn prompts_in_a_model_are_held_to_the_same() {
    let folder = Folder::new();
    let data = ["--data", "d.jsonl"];
    let model = model_with(&folder, "Data Reel\n\n", "Data Reel\r\n");
    let (prompt, _) = folder.run(&[&["prompt", "render", "--model", &model][..], &data].concat(), 0);
    assert!(prompt.contains("Data Reel\nDurasi"), "{prompt}");

    let model = model_with(&folder, "{% block task %}", "{% block taks %}");
    let args = [&["predict", "--model", &model, "-o", "out"][..], &data].concat();
    let (_, message) = folder.run(&args, 2);
    assert!(
        message.contains("base.jinja has no block \"taks\"") && message.contains("hint: did you mean task?"),
        "{message}"
    );
    assert!(message.contains("hint: name prompts with --prompts, or export the model anew\n"), "{message}");
    let (_, message) = folder.run(&[&args[..], &["--prompts", "p"]].concat(), 0);
    assert!(message.starts_with("warning: its own prompts are left out: in "), "{message}");
}

#[test]
fn a_loop_without_an_end_is_an_error_within_seconds() {
    let folder = Folder::new();
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    folder.edit("p/ad.jinja", |text| text.replace("Tugas", &format!("{endless}Tugas")));
    let began = std::time::Instant::now();
    let (_, message) = folder.run(&["eval", "--prompts", "p", "--data", "d.jsonl", "--model", &model()], 2);
    assert!(message.contains("p: ad.jinja:3: takes more than 200000 steps to render\nhint: a loop"), "{message}");
    assert!(began.elapsed().as_secs() < 20);
}

#[test]
fn two_wordings_of_a_label_are_compared() {
    let folder = Folder::new();
    folder.run(&["prompt", "eject", "q"], 0);
    folder.edit("q/tasks.toml", |text| {
        text.replace("labels = [\"iklan\", \"bukan iklan\"]", "labels = [\"promosi\", \"cerita\"]").replace(
            "positive = \"iklan\"",
            "positive = \"iklan\"\nlabel_alias = { promosi = \"iklan\", cerita = \"bukan iklan\" }",
        )
    });
    let (prompt, _) = folder.run(&["prompt", "render", "--prompts", "q", "--task", "ad", "--data", "d.jsonl"], 0);
    assert!(
        prompt.contains("- promosi: ada hubungan") && prompt.contains("Jawab dengan \"promosi\" atau \"cerita\" saja."),
        "{prompt}"
    );
    let (listed, _) = folder.run(&["prompt", "list", "--prompts", "q"], 0);
    assert!(listed.contains("promosi (in references iklan), cerita (in references bukan iklan)"), "{listed}");

    let eval = |prompts: &str, model: &str, output: &str, further: &[&str]| {
        let args = ["eval", "--prompts", prompts, "--data", "d.jsonl", "--task", "ad", "--model", model, "-o", output];
        folder.run(&[&args[..], further].concat(), 0);
        let lines = std::fs::read_to_string(folder.path().join(output).join("predictions.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let (stable, worded) = (eval("p", &model(), "p-run", &[]), eval("q", &model(), "q-run", &[]));
    for (stable, worded) in stable.iter().zip(&worded) {
        let labels =
            |line: &serde_json::Value| line["label_logprobs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(labels(worded), ["iklan", "bukan iklan"]);
        assert!(labels(stable).iter().any(|label| worded["output"] == **label));
        // Another wording was scored.
        assert_ne!(stable["label_logprobs"], worded["label_logprobs"]);
        assert_ne!(stable["settings_sha256"], worded["settings_sha256"]);
    }
    let scores = std::fs::read_to_string(folder.path().join("q-run/scores.json")).unwrap();
    assert!(scores.contains("bukan iklan") && !scores.contains("cerita"), "{scores}");
    let (compared, _) = folder.run(&["compare", "p-run", "q-run"], 0);
    assert!(compared.contains("macro_f1"), "{compared}");

    // A baseline answers in the labels of the references, whatever the wording.
    let train = ["--train", "d.jsonl"];
    for baseline in ["baseline:majority", "baseline:tfidf"] {
        let output = format!("q-{}", &baseline[9..]);
        let answers = eval("q", baseline, &output, &train);
        assert!(answers.iter().all(|line| line["finish"] == "stop"), "{answers:?}");
        assert_eq!(answers[1]["output"], "bukan iklan", "{baseline}");
        folder.run(&["compare", "p-run", &output], 0);
    }
    // Generated, an answer is matched to the wording and stored as the label.
    for line in eval("q", &model(), "q-generated", &["--label-mode", "generate"]) {
        let invalid = line["finish"] == "invalid";
        assert!(invalid || ["iklan", "bukan iklan"].contains(&line["output"].as_str().unwrap()), "{line}");
    }
    // A reference in the words of the prompt isn't one.
    folder.edit("d.jsonl", |text| text.replace("\"ad\":\"iklan\"", "\"ad\":\"promosi\""));
    let (_, message) = folder.run(&["eval", "--prompts", "q", "--data", "d.jsonl", "--model", &model()], 3);
    assert!(message.contains("\"promosi\" → iklan, which the model reads so"), "{message}");
}
