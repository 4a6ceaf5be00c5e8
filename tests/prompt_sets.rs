//! Sets of prompts that people bring: what would be lost, misread or never end is said before a model is loaded.

mod folder;

use folder::{Folder, model};
use serde_json::Value;

const RECORDS: &str = concat!(
    "{\"id\":\"a\",\"transcript\":\"promo kopi\",\"likes\":1,\"reference\":{\"ad\":\"iklan\"}}\n",
    "{\"id\":\"b\",\"transcript\":\"cerita kucing\",\"reference\":{\"ad\":\"bukan iklan\"}}\n",
    "{\"id\":\"c\",\"transcript\":\"resep sambal\",\"reference\":{\"ad\":\"bukan iklan\"}}\n",
);

/// With records, and the shipped prompts in `p`.
fn with_prompts() -> Folder {
    let folder = Folder::new();
    folder.write("d.jsonl", RECORDS).succeeds("prompt eject p");
    folder
}

#[test]
fn a_misspelt_block_is_refused_by_every_command_that_reads_prompts() {
    let folder = with_prompts();
    folder.edit("p/ad.jinja", |text| text.replace("{% block task %}", "{% block taks %}"));
    let expected = "error: p: ad.jinja:2: base.jinja has no block \"taks\", so this one is left out of the prompt\n\
                    hint: did you mean task? it has system, task, user\n";
    for arguments in [
        "prompt list --prompts p",
        "prompt render --prompts p",
        "eval --prompts p --data d.jsonl --model baseline:lead-1",
        &format!("predict --prompts p --data d.jsonl --model {} -o out", model()),
    ] {
        assert_eq!(folder.fails(arguments, 2), expected, "{arguments}");
    }
}

#[test]
fn a_prompt_without_an_instruction_is_refused_before_weights_are_loaded() {
    let only_the_base = with_prompts();
    only_the_base.write("p/ad.jinja", "{% extends \"base.jinja\" %}{% block user %}{{ super() }}{% endblock %}");
    let said = only_the_base.fails("prompt render --prompts p --task ad --data d.jsonl", 2);
    assert!(said.contains("ad.jinja: the instruction is empty: block user says what the base does"), "{said}");
    let folder = with_prompts();
    folder.edit("p/ad.jinja", |_| "{% extends \"base.jinja\" %}{% block task %}\n{% endblock %}".into());
    let message = folder.fails(&format!("predict --prompts p --data d.jsonl --model {} -o out", model()), 2);
    assert!(
        message.starts_with("error: record \"a\": p: ad.jinja: the instruction is empty (block task)\nhint: "),
        "{message}"
    );
    assert!(!folder.has("out/manifest.json"));
}

#[test]
fn an_unknown_field_that_is_written_is_warned_of_once() {
    let folder = with_prompts();
    folder.edit("p/base.jinja", |text| text.replace("{{ number(reel.likes) }}", "{{ reel.likes }}"));
    let warning = "warning: p: base.jinja writes \"None\" where reel.likes is unknown\n\
                   hint: {{ reel.likes if reel.likes is not none else \"tidak diketahui\" }}\n";
    let data = "--prompts p --data d.jsonl";
    let render = |id| folder.succeeds(&format!("prompt render --id {id} {data}"));
    assert!(render("a").err.is_empty());
    let shown = render("b");
    assert!(shown.out.contains("Suka: None\n") && shown.err == warning, "{}", shown.err);
    for command in ["predict", "eval"] {
        let message = folder.succeeds(&format!("{command} --model {} -o of-{command} {data}", model())).err;
        assert_eq!(message.matches(warning).count(), 1, "{message}");
    }
}

#[test]
fn line_ends_of_windows_change_neither_tokens_nor_hashes() {
    let folder = with_prompts();
    folder.succeeds("prompt eject q");
    for file in ["tasks.toml", "base.jinja", "ad.jinja", "category.jinja", "summary.jinja"] {
        folder.edit(&format!("q/{file}"), |text| format!("\u{feff}{}", text.replace('\n', "\r\n")));
    }
    let asked = format!("--model {} --data d.jsonl", model());
    let render = |prompts| folder.succeeds(&format!("prompt render --prompts {prompts} {asked}")).out;
    assert_eq!(render("p"), render("q"));
    let hash = |prompts| {
        folder.succeeds(&format!("predict --prompts {prompts} {asked} -o out-{prompts}"));
        folder.json(&format!("out-{prompts}/manifest.json"))["prompts"]["sha256"].clone()
    };
    assert_eq!(hash("p"), hash("q"));
}

/// Writes the bundled model with other prompts in it, of the same length.
fn write_model(folder: &Folder, from: &str, to: &str) {
    let mut bytes = std::fs::read(model()).unwrap();
    let at = bytes.windows(from.len()).rposition(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    folder.write("m.gguf", bytes);
}

#[test]
fn prompts_in_a_model_are_held_to_the_same() {
    let folder = with_prompts();
    write_model(&folder, "Data Reel\n\n", "Data Reel\r\n");
    let prompt = folder.succeeds("prompt render --model m.gguf --data d.jsonl").out;
    assert!(prompt.contains("Data Reel\nDurasi"), "{prompt}");

    write_model(&folder, "{% block task %}", "{% block taks %}");
    let predict = "predict --model m.gguf -o out --data d.jsonl";
    let message = folder.fails(predict, 2);
    assert!(
        message.contains("base.jinja has no block \"taks\"") && message.contains("hint: did you mean task?"),
        "{message}"
    );
    assert!(message.contains("hint: name prompts with --prompts, or export the model anew\n"), "{message}");
    let message = folder.succeeds(&format!("{predict} --prompts p")).err;
    assert!(message.starts_with("warning: its own prompts are left out: in "), "{message}");
}

#[test]
fn a_loop_without_an_end_is_an_error_within_seconds() {
    let folder = with_prompts();
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    folder.edit("p/ad.jinja", |text| text.replace("Tugas", &format!("{endless}Tugas")));
    let began = std::time::Instant::now();
    let message = folder.fails(&format!("eval --prompts p --data d.jsonl --model {}", model()), 2);
    assert!(message.contains("p: ad.jinja:3: takes more than 200000 steps to render\nhint: a loop"), "{message}");
    assert!(began.elapsed().as_secs() < 20);
}

#[test]
fn two_wordings_of_a_label_are_compared() {
    let folder = with_prompts();
    folder.succeeds("prompt eject q");
    folder.edit("q/tasks.toml", |text| {
        text.replace("labels = [\"iklan\", \"bukan iklan\"]", "labels = [\"promosi\", \"cerita\"]").replace(
            "positive = \"iklan\"",
            "positive = \"iklan\"\nlabel_alias = { promosi = \"iklan\", cerita = \"bukan iklan\" }",
        )
    });
    let prompt = folder.succeeds("prompt render --prompts q --task ad --data d.jsonl").out;
    assert!(
        prompt.contains("- promosi: ada hubungan") && prompt.contains("Jawab dengan \"promosi\" atau \"cerita\" saja."),
        "{prompt}"
    );
    let listed = folder.succeeds("prompt list --prompts q").out;
    assert!(listed.contains("promosi (in references iklan), cerita (in references bukan iklan)"), "{listed}");

    let eval = |prompts: &str, model: &str, output: &str, further: &str| {
        let asked = format!("--prompts {prompts} --data d.jsonl --task ad --model {model}");
        folder.succeeds(&format!("eval {asked} -o {output} {further}"));
        folder.lines(&format!("{output}/predictions.jsonl"))
    };
    let (stable, worded) = (eval("p", &model(), "p-run", ""), eval("q", &model(), "q-run", ""));
    for (stable, worded) in stable.iter().zip(&worded) {
        let labels = |line: &Value| line["label_logprobs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(labels(worded), ["iklan", "bukan iklan"]);
        assert!(labels(stable).iter().any(|label| worded["output"] == **label));
        // Another wording was scored.
        assert_ne!(stable["label_logprobs"], worded["label_logprobs"]);
        assert_ne!(stable["settings_sha256"], worded["settings_sha256"]);
    }
    let scores = folder.read("q-run/scores.json");
    assert!(scores.contains("bukan iklan") && !scores.contains("cerita"), "{scores}");
    let compared = folder.succeeds("compare p-run q-run").out;
    assert!(compared.contains("macro_f1"), "{compared}");

    // A baseline answers in the labels of the references, whatever the wording.
    for baseline in ["baseline:majority", "baseline:tfidf"] {
        let output = format!("q-{}", &baseline[9..]);
        let answers = eval("q", baseline, &output, "--train d.jsonl");
        assert!(answers.iter().all(|line| line["finish"] == "stop"), "{answers:?}");
        assert_eq!(answers[1]["output"], "bukan iklan", "{baseline}");
        folder.succeeds(&format!("compare p-run {output}"));
    }
    // Generated, an answer is matched to the wording and stored as the label.
    for line in eval("q", &model(), "q-generated", "--label-mode generate") {
        let invalid = line["finish"] == "invalid";
        assert!(invalid || ["iklan", "bukan iklan"].contains(&line["output"].as_str().unwrap()), "{line}");
    }
    // A reference in the words of the prompt isn't one.
    folder.edit("d.jsonl", |text| text.replace("\"ad\":\"iklan\"", "\"ad\":\"promosi\""));
    let message = folder.fails(&format!("eval --prompts q --data d.jsonl --model {}", model()), 3);
    assert!(message.contains("\"promosi\" → iklan, which the model reads so"), "{message}");
}
