//! `reels gal` as its users run it, with a hosted model that writes and another one that teaches.

mod folder;
mod host;

use std::process::Stdio;
use std::time::Duration;

use folder::Folder;
use host::{Answer, Host, Request, completion};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

const LABELS: [&str; 2] = ["kuliner", "musik"];

/// Words that nothing else has, always the same of one name.
fn words(name: &str, count: usize) -> String {
    let mut state = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let syllables = ["ka", "ru", "mi", "to", "sa", "le", "ni", "po", "da", "gu", "be", "ja", "wi", "ho", "ca", "yu"];
    let mut word = |_| {
        (0..3)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                syllables[(state >> 60) as usize]
            })
            .collect::<String>()
    };
    (0..count).map(&mut word).collect::<Vec<_>>().join(" ")
}

/// Seeds of two labels, a locked Reel, and the lock.
fn folder() -> Folder {
    let folder = Folder::new();
    let seed = |at: usize| {
        json!({"id": format!("s{at}"), "account": format!("a{}", at / 2), "caption": words(&format!("caption {at}"), 5),
            "transcript": format!("{} hubungi @kedai{at}", words(&format!("seed {at}"), 30)),
            "reference": {"category": LABELS[at % 2], "ad": "iklan"}})
    };
    folder.write("all.jsonl", (0..40).map(|at| seed(at).to_string() + "\n").collect::<String>());
    folder.succeeds("split all.jsonl --output data --test 8 --dev 0");
    folder
}

/// What a writer makes of a request: a fresh Reel; sometimes one that mustn't be kept.
fn write(request: &Request, locked: &str) -> String {
    let asked = request.text();
    let name = request.prompt();
    let text = |transcript: String| {
        format!("Keterangan: {}\nTagar: #satu #dua\nTranskrip: {transcript}", words(&asked[..30], 4))
    };
    match name.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 8 {
        0 => text(locked.to_owned()),
        1 => text(format!("{} pesan ke @kedai3 ya", words(&name, 25))),
        2 => text("halo".to_owned()),
        3 => text(words("always the same", 30)),
        _ => text(words(&name, 30)),
    }
}

/// A host that writes and teaches.
fn host(locked: String) -> Host {
    Host::start(move |request| {
        std::thread::sleep(Duration::from_millis(5));
        let text = request.text();
        let said = if text.starts_with("Tulis satu Reel baru") {
            write(request, &locked)
        } else if text.contains("ini iklan") {
            "bukan iklan".to_owned()
        } else if text.contains("satu kategori") {
            LABELS[text.len() % 2].to_owned()
        } else {
            "Pembicara membahas topiknya.".to_owned()
        };
        Answer::ok(&completion(&said, text.len() / 4, said.len() / 4))
    })
}

fn locked(folder: &Folder) -> String {
    folder.lines("data/test.jsonl")[0]["transcript"].as_str().unwrap().to_owned()
}

fn generate(host: &Host, output: &str) -> String {
    format!(
        "gal generate data/train.jsonl --model {} --label kuliner,musik --accepted 12 --output {output}",
        host.model()
    )
}

fn rejected(rows: &[Value], by: &str) -> usize {
    rows.iter().filter(|row| row["source"]["rejected"] == by).count()
}

#[test]
fn a_set_is_generated_labelled_filtered_and_built() {
    let folder = folder();
    let locked = locked(&folder);
    let host = host(locked.clone());
    // A plan writes a few, which the rest goes on from.
    folder.write("reels.toml", format!("[prices.\"{}\"]\ninput = 1.0\noutput = 2.0\n", host::MODEL));
    let run = folder.succeeds(&generate(&host, "gal").replace("generate", "plan"));
    assert_eq!(host.requests().len(), 10);
    let plan = folder.json("gal/plan.json");
    assert!(
        plan["written"] == 10 && plan["wanted"] == 24.0 && plan["of_each"]["cost"].as_f64().unwrap() > 0.0,
        "{plan}"
    );
    let [low, expected, high] = [0, 1, 2].map(|at| plan["candidates"][at].as_f64().unwrap());
    assert!(low <= expected && expected <= high && low >= 24.0, "{plan}");
    assert!(run.out.contains("24 that pass") && run.out.contains("pass the filters for texts"), "{}", run.out);
    let run = folder.succeeds(&generate(&host, "gal"));
    assert_eq!(
        host.requests().len(),
        folder.lines("gal/candidates.jsonl").len(),
        "what the plan wrote was written again"
    );
    assert!(
        run.err.contains("candidates: gal/candidates.jsonl")
            && run.err.contains("the seeds’, as examples, to 127.0.0.1"),
        "{}",
        run.err
    );
    let prompts: Vec<String> = host.requests().iter().map(Request::prompt).collect();
    assert!(prompts.iter().all(|prompt| !prompt.contains(&locked)), "a prompt shows what is locked");
    let classes = folder.json("gal/generated/manifest.json")["classes"].clone();
    assert_eq!((&classes[0]["label"], &classes[0]["end"]), (&json!("musik"), &json!("enough")));
    let candidates = folder.lines("gal/candidates.jsonl");
    let ids: std::collections::HashSet<&str> = candidates.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), candidates.len());
    for row in &candidates {
        let source = &row["source"];
        assert_eq!(source["seeds"].as_array().unwrap().len(), 3);
        assert!(
            row["synthetic"] == true
                && source["model"] == host::MODEL
                && source["prompt_sha256"].as_str().unwrap().len() == 64
        );
        assert!(LABELS.contains(&source["requested"]["category"].as_str().unwrap()));
    }
    // More of it goes on from what is there.
    let asked = host.requests().len();
    folder.succeeds(&generate(&host, "gal"));
    assert_eq!(host.requests().len(), asked);
    folder.succeeds(&generate(&host, "gal").replace("--accepted 12", "--accepted 14"));
    let more = folder.lines("gal/candidates.jsonl");
    assert!(more.len() > candidates.len() && candidates.iter().all(|row| more.contains(row)));

    folder.succeeds(&format!("gal annotate gal --model {} --samples 3 --label-mode generate", host.model()));
    let asked: Vec<Request> =
        host.requests().into_iter().filter(|request| request.text().contains("satu kategori")).collect();
    assert!(asked.len() > 3 * 24 && asked.len().is_multiple_of(3), "{}", asked.len());
    let orders: std::collections::HashSet<&str> =
        asked.iter().map(|request| request.text().split("penyampaiannya.").nth(1).unwrap()).collect();
    assert!(orders.len() > asked.len() / 2, "labels stand in the same order: {}", orders.len());

    let run = folder.succeeds("gal filter gal --agreement 0.3 --confidence 0.3");
    let rows = folder.lines("gal/rows.jsonl");
    assert_eq!(rows.len(), more.len(), "rejected rows stay");
    for by in ["locked", "memorised", "short", "duplicate"] {
        assert!(rejected(&rows, by) > 0, "{by}: {}", run.out);
    }
    let kept: Vec<&Value> = rows.iter().filter(|row| row["source"]["rejected"].is_null()).collect();
    assert!(kept.len() >= 20, "{}", run.out);
    for row in &kept {
        let said = row.to_string();
        assert!(!said.contains(&locked) && !said.contains("@kedai"), "{said}");
        let votes: u64 =
            row["source"]["votes"]["category"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((votes, &row["reference"]["ad"]), (3, &json!("bukan iklan")));
        let soft: f64 =
            row["soft"]["category"].as_object().unwrap().values().map(|share| share.as_f64().unwrap()).sum();
        assert!((soft - 1.0).abs() < 1e-9);
    }
    assert_eq!(folder.json("gal/yield.json")["kept"], kept.len());
    // Two people see kept and rejected rows, and not which is which.
    let run = folder.succeeds("gal review gal --sample 12 --to csv --annotator ani --output ani.csv");
    assert!(run.err.contains("gal/review.jsonl: 6 kept and 6 rejected rows"), "{}", run.err);
    let shown = folder.read("gal/review.jsonl");
    assert!(shown.lines().count() == 12 && !shown.contains("rejected") && !shown.contains("\"category\""), "{shown}");
    let train = folder.lines("data/train.jsonl").len();
    folder.succeeds("gal build gal --real data/train.jsonl --ratio 0.5 --output mix.jsonl");
    let mix = folder.lines("mix.jsonl");
    assert_eq!(mix.len(), train + train.div_ceil(2));
    let small: Vec<Value> = mix.into_iter().filter(|row| row["synthetic"] == true).collect();
    folder.succeeds("gal build gal --real data/train.jsonl --ratio 0.6 --output more.jsonl");
    let larger = folder.lines("more.jsonl");
    assert!(small.iter().all(|row| larger.contains(row)), "a larger ratio takes what a smaller one does");
    assert!(folder.read("mix.card.md").contains("# Data card"));
    // The same as conversations and as a table, which other tools read.
    folder.succeeds("gal build gal --real data/train.jsonl --ratio 0.5 --to messages --output mix.messages.jsonl");
    let conversations = folder.lines("mix.messages.jsonl");
    assert!(
        conversations.len() >= 2 * train && conversations.iter().all(|line| line["messages"][2]["role"] == "assistant")
    );
    folder.succeeds("gal build gal --real data/train.jsonl --ratio 0.5 --to parquet --output mix.parquet");
    for card in ["mix.messages.card.md", "mix.card.md"] {
        assert!(folder.read(card).contains("- Written by a model: "), "{card}");
    }
    folder.succeeds("import mix.parquet --output back.jsonl --raw");
    let back = folder.lines("back.jsonl");
    assert_eq!(back.len(), train + train.div_ceil(2));
    let error = folder.fails("gal build gal --real data/train.jsonl --ratio 99 --output no.jsonl", 2);
    assert!(error.contains("are kept\nhint: generate more, or give --ratio "), "{error}");
}

#[test]
fn killed_at_random_moments_candidates_are_the_same_bytes() {
    let folder = folder();
    let locked = locked(&folder);
    let whole = host(locked.clone());
    folder.succeeds(&generate(&whole, "whole"));
    let expected = folder.bytes("whole/candidates.jsonl");
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let hash = regex::Regex::new(r#""model_sha256":"[0-9a-f]+""#).unwrap();
    // The host's address is a part of the model's name, and nothing else is.
    let without_host = |bytes: Vec<u8>| hash.replace_all(&String::from_utf8(bytes).unwrap(), "").into_owned();
    let expected = without_host(expected);
    for kill in 0..20 {
        let host = host(locked.clone());
        let output = format!("killed{kill}");
        let command = format!("{} --width 4", generate(&host, &output));
        let mut run = folder.command(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let requests = 1 + rng.next_u32() as usize % 30;
        while host.requests().len() < requests && run.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        run.kill().unwrap();
        run.wait().unwrap();
        folder.succeeds(&command.replace("--width 4", &format!("--width {}", 1 + kill)));
        let again: usize = host.times().values().map(|times| times - 1).sum();
        assert!(again <= 4, "{again} asked again, 4 at most were under way");
        assert_eq!(without_host(folder.bytes(&format!("{output}/candidates.jsonl"))), expected, "kill {kill}");
    }
}

#[test]
fn bad_input_is_named() {
    let folder = folder();
    let host = host(locked(&folder));
    let model = host.model();
    let generate = |more: &str| format!("gal generate data/train.jsonl --model {model} --output gal {more}");
    folder.write(
        "quotes.jinja",
        format!(
            "{{% block system %}}Contoh: {}{{% endblock %}}{{% block user %}}Tulis.{{% endblock %}}",
            locked(&folder)
        ),
    );
    for (command, expected) in [
        (generate("--label kulinr"), "--label kulinr is none of the labels of category\nhint: did you mean kuliner?"),
        (generate("--label wisata"), "no seed has category wisata\nhint: label a few Reels of it"),
        (generate("--task summary"), "--task summary is no label task\nhint: there are category, ad, or none"),
        (generate("--accepted 0"), "--accepted 0 asks for nothing"),
        (generate("--accepted 9 --candidates 3"), "--candidates 3 are fewer than the --accepted 9"),
        (generate("--label musik --template quotes.jinja"), "quotes.jinja quotes a Reel that is locked for judging"),
        (generate("--label musik").replace(&model, "baseline:lead-1"), "baseline:lead-1 writes no Reels"),
        (
            generate("--label musik").replace("data/train.jsonl", "all.jsonl") + " --lock data/test.lock",
            "are what the lock keeps for judging: ",
        ),
        (
            "gal annotate nowhere --model baseline:lead-1".to_owned(),
            "nowhere/candidates.jsonl is not there\nhint: `reels gal generate",
        ),
        ("gal filter nowhere".to_owned(), "nowhere/candidates.jsonl is not there"),
        (
            "gal build nowhere --real all.jsonl --output x.jsonl".to_owned(),
            "nowhere/rows.jsonl is not there\nhint: `reels gal filter",
        ),
    ] {
        let error = folder.fails(&command, 2);
        assert!(error.contains(expected), "{command}: {error}");
    }
    assert!(host.requests().is_empty() && !folder.has("gal/candidates.jsonl"));
    // A budget ends it cleanly.
    let run = folder.ends(&generate("--label musik --accepted 12 --max-tokens 1700"), 3);
    assert!(run.err.contains("stopped by --max-tokens 1700: what is written is kept"), "{}", run.err);
    // What was paid for can be annotated.
    let paid = folder.lines("gal/candidates.jsonl").len();
    assert!(paid > 0 && paid < 12 && host.requests().len() == paid, "{paid}");
    folder.succeeds(&generate("--label musik --accepted 12"));
    // All are rejected.
    folder.succeeds(&format!("gal annotate gal --model {model} --label-mode generate"));
    let error = folder.fails("gal filter gal --confidence 1 --per-label 0", 2);
    assert!(error.contains("no row is kept: the table says which filter rejects most\nhint: "), "{error}");
    assert!(
        error.contains("once and no probabilities: --confidence and --agreement reject nothing of it\nhint: "),
        "{error}"
    );
    let table = folder.ends("gal filter gal --confidence 1 --per-label 0", 2).out;
    assert!(table.contains("balance"), "{table}");
}

#[test]
fn a_teacher_that_is_killed_or_asked_more_often_goes_on() {
    let folder = folder();
    let host = host(locked(&folder));
    folder.succeeds(&generate(&host, "gal"));
    let annotate = |samples: usize| {
        format!("gal annotate gal --model {} --samples {samples} --label-mode generate --width 4", host.model())
    };
    let before = host.requests().len();
    let mut run = folder.command(&annotate(2)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while host.requests().len() < before + 30 {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let error = folder.fails("gal filter gal", 2);
    assert!(error.contains("the teacher has not answered all of it\nhint: `reels gal annotate`"), "{error}");
    let run = folder.succeeds(&annotate(2));
    let asked = host.requests().len();
    folder.succeeds(&annotate(2));
    assert_eq!(host.requests().len(), asked, "nothing is asked again");
    // The texts that don't pass are nobody's to pay for.
    let passes: usize = run.err.split("texts    ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let candidates = folder.lines("gal/candidates.jsonl").len();
    assert!(passes < candidates, "{passes} of {candidates}");
    let of_category = |folder: &Folder| {
        let lines = folder.lines("gal/annotated/predictions.jsonl");
        lines.iter().filter(|line| line["task"] == "category").count()
    };
    assert_eq!(of_category(&folder), 2 * passes);
    folder.succeeds(&annotate(3));
    assert_eq!(of_category(&folder), 3 * passes);
    assert_eq!(host.requests().len() - asked, 2 * passes, "a third answer to both label tasks, and nothing else");
    folder.succeeds("gal filter gal --confidence 0.3 --agreement 0.3");
    assert!(folder.lines("gal/rows.jsonl").iter().all(|row| row["source"]["rejected"] != "unlabelled"));
}
