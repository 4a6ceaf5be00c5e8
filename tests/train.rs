//! `reels train` as its users run it: what a run leaves, going on after an interruption, and what is refused.

mod folder;
mod tiny;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use folder::Folder;
use serde_json::{Value, json};

/// With a base, prompts and data.
fn with_base() -> Folder {
    let folder = Folder::new();
    tiny::write(folder.root());
    folder
}

fn train(flags: &str) -> String {
    format!("train --base base --prompts prompts --max-seq-tokens 160 --dev dev.jsonl {flags}")
}

impl Folder {
    /// Runs `reels train` with these flags besides those that all runs have, expects an exit code, and gives its stderr.
    #[track_caller]
    fn train(&self, flags: &str, code: i32) -> String {
        self.ends(&train(flags), code).err
    }

    fn adapter(&self, run: &str) -> Vec<u8> {
        self.bytes(&format!("{run}/adapter_model.safetensors"))
    }

    /// Losses by step, and on dev data.
    fn losses(&self, run: &str) -> Vec<(u64, f64)> {
        let line = |line: Value| {
            let loss = line.get("loss").or(line.get("dev_loss")).unwrap();
            (line["step"].as_u64().unwrap(), loss.as_f64().unwrap())
        };
        self.lines(&format!("{run}/metrics.jsonl")).into_iter().map(line).collect()
    }
}

const SHORT: &str = "--data train.jsonl --epochs 2 --grad-accum 2 --eval-every 4 --lr 1e-2";

#[test]
fn a_run_leaves_all_that_later_stages_read() {
    let folder = with_base();
    let stderr = folder.train(&format!("{SHORT} -o run"), 0);
    for part in ["24 records, 48 examples", "computed twice", "⟦i|s|i| |0|<|im_end|>⟧", "dev loss", "kept: step"] {
        assert!(stderr.contains(part), "{part} is not in: {stderr}");
    }
    for name in [
        "adapter_model.safetensors",
        "adapter_config.json",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "prompts/tasks.toml",
        "metrics.jsonl",
        "probe.jsonl",
    ] {
        assert!(folder.has(&format!("run/{name}")), "{name}");
    }
    let manifest = folder.json("run/manifest.json");
    assert_eq!(manifest["settings"]["lr"], 1e-2);
    assert!(manifest["finished_at"].is_string() && manifest["base"]["sha256"].is_string());
    let config = folder.json("run/adapter_config.json");
    assert_eq!((&config["r"], &config["peft_type"]), (&16.into(), &"LORA".into()));
    let losses = folder.losses("run");
    let (first, last) = (losses[0].1, losses[losses.len() - 1].1);
    assert!(last < first - 0.3, "the loss went from {first} to {last}");
    assert!(folder.lines("run/probe.jsonl")[0]["tokens"].as_array().unwrap().len() > 10);
    assert_eq!(folder.succeeds("report run").out, "run/report.html\n");
    assert!(folder.read("run/report.html").contains("<title>run – training report</title>"));
    let again = folder.train(&format!("{SHORT} -o run"), 2);
    assert!(again.contains("run holds a run already\nhint: --resume"), "{again}");
}

#[test]
fn a_loss_that_rises_is_told() {
    let folder = with_base();
    let said =
        folder.train("--data train.jsonl --steps 6 --lr 2 --warmup 0 --method full --max-grad-norm 100 -o run", 0);
    assert!(said.contains("warning: the loss rose from ") && said.contains("hint: train with a lower --lr"), "{said}");
    assert!(!folder.train("--data train.jsonl --steps 2 -o calm", 0).contains("the loss rose"));
}

#[test]
fn what_is_held_out_is_not_learned_from() {
    let folder = with_base();
    let record = |id: &str, transcript: &str| {
        json!({"id": id, "transcript": transcript, "reference": {"summary": "isi", "ad": "iklan"}}).to_string()
    };
    let text = "warung nasi uduk Mpok Leha buka dari jam lima subuh di Condet";
    let disguised = text.replace('a', "а").to_uppercase();
    folder
        .write("copies.jsonl", [record("a", "lain"), record("b", &disguised)].join("\n"))
        .write("judge.jsonl", record("r", text));
    let refused = folder.train("--data copies.jsonl --held-out judge.jsonl -o run", 2);
    let expected =
        "copies.jsonl: there are copies in it of 1 texts of judge.jsonl: \"b\" of \"r\" (the same words)\nhint: take";
    assert!(refused.contains(expected), "{refused}");
    assert!(!folder.has("run"));
    // In conversations what is asked again and again is no text.
    let ask = "Tentukan apakah ini iklan atau bukan, satu kata saja.";
    let turns = |said: &str| {
        let user = json!({"role": "user", "content": format!("{said}\n{ask}")});
        json!({"messages": [user, {"role": "assistant", "content": "iklan"}]}).to_string()
    };
    let others: Vec<String> = (0..20).map(|index| turns(&format!("{index} lain"))).collect();
    let talk = |last: &str| folder.write("talk.jsonl", [&others[..], &[turns(last)]].concat().join("\n"));
    folder.write("judged-talk.jsonl", turns(text));
    talk("kucing hilang");
    folder.train("--data talk.jsonl --held-out judged-talk.jsonl --steps 1 -o other", 0);
    talk(text);
    let refused = folder.train("--data talk.jsonl --held-out judge.jsonl -o run", 2);
    assert!(
        refused.contains("talk.jsonl: there are copies in it of 1 texts of judge.jsonl: \"21\" of \"r\""),
        "{refused}"
    );
    // Copies in what decides which step is kept are no reason to stop.
    folder.write("dev.jsonl", record("r", text));
    let said = folder.train("--data copies.jsonl --steps 1 -o run", 0);
    assert!(
        said.contains(
            "warning: copies.jsonl has copies of 1 texts of dev.jsonl, so the loss on it says less: \"b\" of \"r\""
        ),
        "{said}"
    );
    // Neither are accounts, but they are told; the same data for both would choose the step by what it is judged by.
    let of = |id: &str, account: &str, transcript: &str| {
        json!({"id": id, "account": account, "transcript": transcript, "reference": {"ad": "iklan"}}).to_string()
    };
    let write = |name: &str, records: &[String]| folder.write(name, records.join("\n"));
    write("data.jsonl", &[of("a", "warung", "satu"), of("b", "bengkel", "dua")]);
    write("dev.jsonl", &[of("c", "warung", "tiga"), of("d", "toko", "empat")]);
    write("judge.jsonl", &[of("e", "bengkel", "lima"), of("f", "toko", "enam")]);
    let said = folder.train("--data data.jsonl --held-out judge.jsonl --steps 1 -o accounts", 0);
    for (pair, account) in [
        ("data.jsonl and in dev.jsonl", "warung"),
        ("data.jsonl and in judge.jsonl", "bengkel"),
        ("dev.jsonl and in judge.jsonl", "toko"),
    ] {
        let expected = format!("warning: 1 account is in {pair}");
        assert!(
            said.lines().any(|line| line.starts_with(&expected) && line.ends_with(&format!(": {account}"))),
            "{said}"
        );
    }
    let refused = folder.train("--data data.jsonl --held-out dev.jsonl -o none", 2);
    assert!(refused.contains("--dev dev.jsonl and --held-out dev.jsonl are the same data\nhint: "), "{refused}");
}

/// What `reels split` froze is held out without being named.
#[test]
fn a_lock_beside_the_data_is_kept_to() {
    let folder = with_base();
    let words = ["nasi uduk", "soto banjar", "bengkel motor", "salon kucing", "toko buku bekas", "kolam ikan koi"];
    let lines: Vec<String> = (0..6)
        .map(|index| {
            let transcript = [words[index]; 6].join(" dan ");
            json!({"id": format!("r_{index}"), "account": format!("a_{index}"), "transcript": transcript, "reference": {"ad": "iklan"}})
                .to_string()
        })
        .collect();
    folder.write("reels.jsonl", lines.join("\n"));
    folder.succeeds("split reels.jsonl -o data --dev 0 --test 0.5 --prompts prompts");
    let said = folder.train("--data data/train.jsonl --steps 1 -o run", 0);
    assert!(!said.contains("the prompts quote"), "{said}");
    folder.write("data/leak.jsonl", folder.read("data/test.jsonl"));
    let refused = folder.train("--data data/leak.jsonl -o none", 2);
    assert!(refused.contains("lock     data/test.lock: 3 records, frozen since "), "{refused}");
    assert!(refused.contains("data/leak.jsonl: there are copies in it of 3 texts of data/test.lock: "), "{refused}");
    assert!(refused.contains("(the same words)") && !folder.has("none"), "{refused}");

    // An example in a prompt.
    let locked = &folder.lines("data/test.jsonl")[0];
    let quote = format!("Contoh: {} {{% endblock %}}", locked["transcript"].as_str().unwrap());
    folder.edit("prompts/ad.jinja", |text| text.replacen("{% endblock %}", &quote, 1));
    let said = folder.train("--data data/train.jsonl --steps 1 -o quoting", 0);
    let expected =
        format!("warning: the prompts quote the test set that data/test.lock froze: ad.jinja {}", locked["id"]);
    assert!(said.contains(&expected), "{said}");
}

/// The examples of a Reel computed together, apart, and one after the other, are the same training.
#[test]
fn how_examples_are_put_together_changes_nothing() {
    let folder = with_base();
    let packed = "--batch-size 16 --grad-accum 4";
    let refused = folder.train(&format!("--data train.jsonl {packed} --max-memory 1M -o none"), 2);
    let least = refused.split("needs ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    for (run, flags) in [
        ("one", "--batch-size 1 --grad-accum 48 --no-packing"),
        ("many", "--batch-size 48 --grad-accum 1 --no-packing"),
        ("packed", packed),
        ("tight", &format!("{packed} --max-memory {least}M")),
    ] {
        let stderr = folder.train(&format!("--data train.jsonl --steps 4 --dropout 0 --lr 1e-2 -o {run} {flags}"), 0);
        assert_eq!(!stderr.contains("0 of 2 layers are computed twice"), run == "tight", "{stderr}");
    }
    let one = folder.losses("one");
    for run in ["many", "packed", "tight"] {
        for ((step, loss), (_, expected)) in folder.losses(run).iter().zip(&one) {
            assert!((loss - expected).abs() < 1e-5 * expected, "{run}, step {step}: {loss}, not {expected}");
        }
    }
    assert_eq!(folder.adapter("packed"), folder.adapter("tight"), "recomputed layers are the same to the last bit");
}

fn wait_for(child: &mut Child, folder: &Folder, run: &str, steps: usize) {
    let started = Instant::now();
    let metrics = folder.path(&format!("{run}/metrics.jsonl"));
    while std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() < steps) || !metrics.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "no {steps} steps within a minute");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn interrupted_and_killed_runs_go_on_to_the_last_bit() {
    let folder = with_base();
    let long = "--data train.jsonl --steps 300 --grad-accum 2 --eval-every 40 --patience 0 --lr 1e-3";
    folder.train(&format!("{long} -o whole"), 0);
    for (run, signal) in [("interrupted", "-TERM"), ("killed", "-KILL")] {
        let mut command = folder.command(&train(&format!("{long} -o {run}")));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&mut child, &folder, run, 90);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        if signal == "-TERM" {
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(130), "{stderr}");
            assert!(stderr.contains("reels train --resume --output interrupted goes on from there"), "{stderr}");
        }
        assert!(!folder.has(&format!("{run}/adapter_model.safetensors")));
        let stderr = folder.succeeds(&format!("train --resume --output {run}")).err;
        assert!(stderr.contains("going on from"), "{stderr}");
        assert_eq!(folder.losses(run), folder.losses("whole"), "{run}");
        assert_eq!(folder.adapter(run), folder.adapter("whole"), "{run}");
    }
}

#[test]
fn a_run_goes_on_only_as_what_it_is() {
    let folder = with_base();
    let missing = folder.train("--data train.jsonl --resume -o none", 2);
    assert!(missing.contains("none holds no run: it has no manifest.json\nhint: "), "{missing}");
    folder.train(&format!("{SHORT} -o run"), 0);
    let finished = folder.train("--data train.jsonl --resume -o run", 2);
    assert!(finished.contains("run is finished\nhint: to train further"), "{finished}");
    // As if it had been killed before its end.
    folder.edit_json("run/manifest.json", |manifest| manifest["finished_at"] = Value::Null);
    let other = folder.train("--data train.jsonl --resume -o run --lr 1e-3", 2);
    assert!(other.contains("--lr 0.001, and run was started with 0.01\nhint: leave it out"), "{other}");
    let other = folder.train("--data dev.jsonl --resume -o run", 2);
    assert!(other.contains("run was started with another data\nhint: "), "{other}");
}

#[test]
fn records_that_cannot_be_used_are_refused_before_training() {
    let folder = with_base();
    let write = |text: String| folder.write("brought.jsonl", text);
    let good = folder.read("train.jsonl");
    write(good.replacen("bukan iklan", "Bukan Iklan", 2).replacen("isi 7", "", 1));
    let refused = folder.train("--data brought.jsonl -o run", 2);
    for expected in [
        "error: brought.jsonl:2: id \"r1\": reference.ad is \"Bukan Iklan\"",
        "brought.jsonl: of 24 records, 2 can't be used, 1 value was mended",
        "2  no label of the task  reference.ad       lines 2, 3  \"Bukan Iklan\" → bukan iklan?",
        "hint: correct the record",
    ] {
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    assert!(!folder.has("run"));
    write(good.replacen("\"isi 7\"", "\"\"", 1));
    let refused = folder.train("--data brought.jsonl --strict -o run", 2);
    assert!(refused.contains("--strict: brought.jsonl") && refused.contains("blank gold answer"), "{refused}");
    let said = folder.train("--data brought.jsonl --steps 1 -o run", 0);
    assert!(said.contains("blank gold answer") && said.contains("line 8  no reference"), "{said}");
}

#[test]
fn conversations_of_other_formats_are_learned() {
    let folder = with_base();
    let write = |text: &str| folder.write("talk.jsonl", text);
    for text in [
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"hai\"}, {\"from\": \"gpt\", \"value\": \"ya\"}]}",
        "[\n {\"instruction\": \"Ringkas.\",\n  \"input\": \"hai\", \"output\": \"ya\"}\n]",
    ] {
        write(text);
        folder.train("--data talk.jsonl --steps 1 -o run", 0);
        std::fs::remove_dir_all(folder.path("run")).unwrap();
    }
    write("{\"text\": \"<|im_start|>user\"}\n");
    let refused = folder.train("--data talk.jsonl -o run", 2);
    assert!(
        refused.contains("talk.jsonl:1: text holds prompt and answer")
            && refused.contains("hint: each line is {\"messages\"")
    );
}

#[test]
fn the_example_settings_are_the_defaults() {
    let folder = with_base();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/reels.example.toml");
    let short = "--data train.jsonl --steps 2 --grad-accum 2 -o";
    folder.train(&format!("--config {example} {short} with"), 0);
    folder.train(&format!("{short} without"), 0);
    assert_eq!(folder.adapter("with"), folder.adapter("without"));
    let settings = |run: &str| {
        let mut manifest = folder.json(&format!("{run}/manifest.json"));
        manifest["settings"]["output"] = Value::Null;
        manifest["settings"]["epochs"] = Value::Null;
        manifest["settings"].clone()
    };
    assert_eq!(settings("with"), settings("without"));
}

#[test]
fn methods_and_adapters_build_on_each_other() {
    let folder = with_base();
    folder.train(&format!("{SHORT} --method lora --rank 4 --targets q_proj,v_proj -o first"), 0);
    let onto = format!("{SHORT} --method lora --targets q_proj,v_proj -o second --init-adapter first");
    let rank = folder.train(&onto, 2);
    assert!(rank.contains("rank is 16, and that of the adapter first is 4\nhint: give --rank=4"), "{rank}");
    folder.train(&format!("{onto} --rank 4"), 0);
    let (first, second) = (folder.losses("first"), folder.losses("second"));
    assert!(second[0].1 < first[0].1 - 0.2, "{} after {}", second[0].1, first[0].1);
    folder.train("--data train.jsonl --steps 20 --method full --lr 1e-3 -o full", 0);
    assert!(folder.has("full/model.safetensors"));
    // What is trained in whole is a base again.
    folder.succeeds(&format!("train --base full --prompts prompts --max-seq-tokens 160 {SHORT} -o on-full"));
}

#[test]
fn what_training_starts_from_is_not_written_over() {
    let folder = with_base();
    let before = folder.read("base/config.json");
    let stderr = folder.train("--data train.jsonl --steps 1 -o ./base", 2);
    assert!(stderr.contains("./base is what training starts from") && stderr.contains("\nhint: "), "{stderr}");
    assert_eq!(folder.read("base/config.json"), before);
}

#[test]
fn a_flag_takes_the_place_of_what_contradicts_it_in_the_file() {
    let folder = with_base();
    folder.write("reels.toml", "[train]\nsteps = 1\n");
    folder.train("--data train.jsonl --epochs 1 --grad-accum 8 -o run", 0);
    assert_eq!(folder.losses("run").last().unwrap().0, 3);
    folder.write("reels.toml", "[train]\nsteps = 1\nepochs = 1\n");
    let stderr = folder.train("--data train.jsonl -o both", 2);
    assert!(stderr.contains("both steps and epochs are given\nhint: "), "{stderr}");
}

#[test]
fn control_tokens_in_an_answer_are_taken_apart() {
    let folder = with_base();
    let line = "{\"id\":\"a\",\"transcript\":\"x\",\"reference\":{\"summary\":\"a<|im_end|>b\"}}\n";
    folder.write("odd.jsonl", line);
    let stderr = folder.train("--data odd.jsonl --steps 1 -o run", 0);
    assert!(stderr.contains("⟦a|<| |||i|m|_|e|n|d|||>|b|<|im_end|>⟧"), "{stderr}");
}

#[test]
fn what_is_amiss_with_answers_is_told() {
    let folder = with_base();
    let line = |id: &str, summary: &str| {
        json!({"id": id, "transcript": "x", "reference": {"summary": summary}}).to_string() + "\n"
    };
    let lines = [line("a", "isi<|im_end|>\n"), line("b", &"i".repeat(24)), line("c", &"i".repeat(21))].concat();
    folder.write("odd.jsonl", lines);
    let stderr = folder.train("--data odd.jsonl --steps 1 -o run", 0);
    assert!(stderr.contains("3 examples, 1 answers stripped of the end token they ended in\n"), "{stderr}");
    assert!(stderr.contains("⟦i|s|i|<|im_end|>⟧"), "{stderr}");
    let long = "warning: odd.jsonl: 2 answers of summary have more than its max_tokens, 20, the longest 24: b, c\nhint: `reels predict` will cut";
    assert!(stderr.contains(long), "{stderr}");
}

#[test]
fn sequences_are_no_longer_than_the_base_has_positions() {
    let folder = with_base();
    let train = "train --base base --prompts prompts --data train.jsonl --steps 1 -o run";
    let stderr = folder.fails(&format!("{train} --max-seq-tokens 2048"), 2);
    assert!(stderr.contains("--max-seq-tokens 2048 is more than the 512 positions of base\n"), "{stderr}");
    let stderr = folder.succeeds(train).err;
    assert!(stderr.contains("sequence 512 tokens at most: base has no more positions\n"), "{stderr}");
    folder.edit_json("run/manifest.json", |manifest| {
        assert_eq!(manifest["settings"]["max_seq_tokens"], 512);
        manifest["finished_at"] = Value::Null;
    });
    folder.succeeds(&format!("{train} --resume"));
}

#[test]
fn conversations_are_learned_too() {
    let folder = with_base();
    let line = "{\"messages\": [{\"role\": \"user\", \"content\": \"hai\"}, {\"role\": \"assistant\", \"content\": \"ya\"}]}\n";
    folder.write("chat.jsonl", line.repeat(3));
    let stderr = folder.train("--data chat.jsonl --steps 2 --grad-accum 1 -o run", 0);
    assert!(stderr.contains("3 records, 3 examples") && stderr.contains("⟦y|a|<|im_end|>⟧"), "{stderr}");
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint() {
    let folder = with_base();
    let stderr = folder.train("--data train.jsonl --steps 200 --eval-every 1 --method full --lr 9 --max-grad-norm 0 --weight-decay 9 --warmup 3 --patience 0 --grad-accum 1 -o run", 2);
    assert!(stderr.contains("training can't go on") && stderr.contains("hint: lower --lr"), "{stderr}");
    assert!(stderr.contains("the last checkpoint is kept: run/checkpoints/step-"), "{stderr}");
}

#[test]
fn what_cannot_be_trained_is_refused_before_weights_are_read() {
    let folder = with_base();
    let edited = |name: &str, change: &dyn Fn(&mut Value)| {
        let to = folder.path(name);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(folder.path("base")).unwrap().flatten() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        folder.edit_json(&format!("{name}/config.json"), change);
    };
    folder.write("empty.jsonl", "").write("unanswered.jsonl", "{\"id\":\"a\",\"transcript\":\"x\"}\n");
    let long = "kata ".repeat(100);
    folder.write(
        "long.jsonl",
        format!("{{\"id\":\"a\",\"transcript\":\"x\",\"reference\":{{\"summary\":\"{long}\"}}}}\n"),
    );
    edited("small", &|config| config["vocab_size"] = 200.into());
    edited("large", &|config| config["vocab_size"] = 2000.into());
    edited("gpt", &|config| config["model_type"] = "gpt2".into());
    edited("wide", &|config| config["intermediate_size"] = 32.into());
    edited("sharded", &|_| ());
    folder.remove("sharded/model.safetensors");
    folder.write("sharded/model.safetensors.index.json", "{\"weight_map\": {\"a\": \"model-00001.safetensors\"}}");
    edited("short", &|config| config["max_position_embeddings"] = 100.into());
    for (base, flags, expected) in [
        ("base", "--data empty.jsonl", "empty.jsonl has no records"),
        ("base", "--data unanswered.jsonl", "1 records have no reference, 0 are longer"),
        ("base", "--data long.jsonl", "0 records have no reference, 1 are longer than 160 tokens"),
        ("base", "--data train.jsonl --targets c_attn", "--targets c_attn is not a linear map"),
        ("base", "--data train.jsonl --max-memory 1M", "of memory, and 1 MiB may be used"),
        ("base", "--data train.jsonl --max-seq-tokens 16", "leaves nothing for a prompt beside an answer"),
        ("base", "--data train.jsonl --init-adapter none", "none/adapter_config.json is missing"),
        ("small", "--data train.jsonl", "tokenizer.json has 259 tokens, and the embedding 200 rows"),
        ("large", "--data train.jsonl", "tokenizer.json has 259 tokens, and the embedding 2000 rows"),
        ("gpt", "--data train.jsonl", "model_type is \"gpt2\""),
        ("wide", "--data train.jsonl", "has the shape [24, 16], and config.json says [32, 16]"),
        ("sharded", "--data train.jsonl", "names model-00001.safetensors, which is missing"),
        ("short", "--data train.jsonl", "--max-seq-tokens 160 is more than the 100 positions"),
        ("model.gguf", "--data train.jsonl", "model.gguf is a GGUF file, which holds no weights to train"),
        ("none", "--data train.jsonl", "none/config.json is missing"),
    ] {
        let usual = if flags.contains("--max-seq-tokens") { "" } else { "--max-seq-tokens 160" };
        let stderr = folder.fails(&format!("train --base {base} --prompts prompts {usual} {flags} -o run"), 2);
        assert!(stderr.contains(expected) && stderr.contains("\nhint: "), "{base} {flags}: {stderr}");
        assert!(!folder.has("run"), "{base} {flags}: something was written");
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_says_so() {
    let folder = with_base();
    let stderr = folder.train("--data train.jsonl --device cuda -o run", 5);
    assert!(stderr.contains("this build can't compute on a GPU\nhint: build it with --features cuda"), "{stderr}");
}
