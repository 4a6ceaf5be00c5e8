//! Hosted models by real servers: llama-server, and llama-cpp-python's.

mod folder;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use folder::{Folder, gal, model};
use serde_json::Value;

const REELS: usize = 60;

/// A server that is stopped with the test.
struct Server {
    process: Child,
    name: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Waits until it takes requests; `name` is what it calls the bundled model.
    fn start(command: &mut Command, port: u16, name: &str) -> Server {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Server { process, name: format!("http://127.0.0.1:{port}/v1#{name}") };
        let started = Instant::now();
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err() {
            assert!(server.process.try_wait().unwrap().is_none(), "the server ended");
            assert!(started.elapsed() < Duration::from_secs(60), "the server takes no connection");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Both servers, or nothing where they aren't installed, which is said.
fn servers() -> Option<[(&'static str, Server); 2]> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/servers");
    if !tools.join("list.txt").exists() {
        let missing = format!("{} is not there (tools/servers.sh builds it)", tools.display());
        assert!(std::env::var_os("REELS_NEEDS_SERVERS").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let [a, b] = [free_port(), free_port()];
    let mut llama = Command::new(tools.join("bin/llama-server"));
    llama.args([
        "--model",
        &model(),
        "--alias",
        "mini",
        "--port",
        &a.to_string(),
        "--ctx-size",
        "8192",
        "--parallel",
        "4",
    ]);
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", tools.join("python"))
        .env("LLAMA_CPP_LIB_PATH", tools.join("bin"))
        .args(["-m", "llama_cpp.server", "--model", &model(), "--model_alias", "mini", "--port", &b.to_string()])
        .args(["--n_ctx", "2048"]);
    Some([
        ("llama-server", Server::start(llama.args(["--threads", "2"]), a, "mini")),
        ("llama-cpp-python", Server::start(&mut python, b, "mini")),
    ])
}

/// Predictions by Reel and task.
fn predictions(folder: &Folder, run: &str) -> HashMap<(String, String), Value> {
    let key = |line: &Value| (line["reel_id"].to_string(), line["task"].to_string());
    folder.lines(&format!("{run}/predictions.jsonl")).into_iter().map(|line| (key(&line), line)).collect()
}

#[test]
fn hosted_models_answer_as_the_same_model_does_here() {
    let Some(servers) = servers() else { return };
    let folder = Folder::new();
    let sample = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("eval/sample.jsonl")).unwrap();
    let records: Vec<&str> = sample.lines().take(REELS).collect();
    folder.write("reels.jsonl", records.join("\n") + "\n");
    folder.succeeds(&format!("eval --model {} --data reels.jsonl --output here --bootstrap 200", model()));
    let here = predictions(&folder, "here");
    for (run, server) in &servers {
        // Summaries that go round are cut by the host, and are errors of their own.
        let evaluated =
            folder.run(&format!("eval --model {} --data reels.jsonl --output {run} --bootstrap 200", server.name));
        assert!([0, 3].contains(&evaluated.code), "{}", evaluated.err);
        let there = predictions(&folder, run);
        assert_eq!(there.len(), here.len(), "{run}");
        let (mut labels, mut same, mut scored, mut cut) = (0, 0, 0, 0);
        let mut differences: Vec<f64> = vec![];
        for (key, line) in &there {
            if !line["error"].is_null() {
                assert!(line["error"].as_str().unwrap().starts_with("the answer was cut after "), "{line}");
                cut += 1;
                continue;
            }
            assert!(!line["output"].as_str().unwrap().is_empty() && line["tokens"]["prompt"].as_u64().unwrap() > 100);
            let Value::Object(of_labels) = &here[key]["label_logprobs"] else { continue };
            labels += 1;
            same += usize::from(line["output"] == here[key]["output"]);
            if let Value::Object(scores) = &line["label_logprobs"] {
                scored += 1;
                let probability =
                    |scores: &serde_json::Map<String, Value>, label: &str| scores[label].as_f64().unwrap().exp();
                let difference = |label: &String| (probability(of_labels, label) - probability(scores, label)).abs();
                differences.push(of_labels.keys().map(difference).fold(0.0, f64::max));
            }
        }
        differences.sort_by(f64::total_cmp);
        let near = differences.iter().filter(|difference| **difference <= 0.02).count();
        eprintln!(
            "{run}: {same} of {labels} labels the same, {scored} scored, {near} of them within 0.02; {cut} texts cut"
        );
        assert!(labels == 2 * REELS && same * 100 >= labels * 98, "{run}: {same} of {labels} labels are the same");
        assert!(scored * 10 >= labels * 9 && cut < REELS / 5, "{run}: {scored} scored, {cut} cut");
        // Both compute with rounded activations, each in its own way.
        assert!(near * 100 >= scored * 95 && differences[scored - 1] < 0.06, "{run}: {differences:?}");
        let hosted = &folder.json(&format!("{run}/manifest.json"))["hosted"];
        let read: u64 = there.values().map(|line| line["tokens"]["prompt"].as_u64().unwrap()).sum();
        let written: u64 = there.values().map(|line| line["tokens"]["generated"].as_u64().unwrap()).sum();
        assert_eq!(hosted["counted"]["requests"], 3 * REELS);
        assert_eq!(
            (&hosted["counted"]["prompt_tokens"], &hosted["counted"]["completion_tokens"]),
            (&read.into(), &written.into())
        );
        assert!(hosted["lost"].is_null(), "{hosted}");
    }
    let compared = folder.succeeds("compare here llama-server llama-cpp-python --bootstrap 200");
    assert!(compared.out.contains("category"), "{}", compared.out);
    // A name that the host doesn't have is told before anything is sent.
    let error = folder.fails(
        &format!("predict --model {} --data reels.jsonl --output no", servers[0].1.name.replace("#mini", "#maxi")),
        2,
    );
    assert!(error.contains("there is no model \"maxi\"\nhint: did you mean mini? the host lists mini"), "{error}");
    assert!(!folder.has("no/manifest.json"));
}

/// What a host was asked, by its manifest: requests that it counted, and those that may have been lost.
fn requests(folder: &Folder, manifest: &str) -> [u64; 2] {
    let hosted = folder.json(manifest)["hosted"].clone();
    [hosted["counted"]["requests"].as_u64().unwrap(), hosted["lost"]["requests"].as_u64().unwrap_or(0)]
}

#[test]
fn a_hosted_model_writes_and_labels_and_is_asked_once() {
    let Some([_, (_, python)]) = servers() else { return };
    let folder = Folder::new();
    gal::write(&folder);
    let generate = gal::generate(&python.name, "gal").replace("musik,edukasi", "musik,edukasi,otomotif,berita");
    // A budget ends it; with more it goes on.
    let run = folder.ends(&format!("{generate} --max-tokens 1500"), 3);
    assert!(run.err.contains("stopped by --max-tokens 1500: what is written is kept"), "{}", run.err);
    let written = folder.lines("gal/candidates.jsonl").len() as u64;
    assert!(written > 0 && requests(&folder, "gal/generated/manifest.json") == [written, 0], "{written}");
    // Killed, and gone on with: what was under way is asked again, and nothing else.
    let mut run = folder.command(&generate).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let logged = || folder.read("gal/generated/generated.jsonl").lines().count() as u64;
    while logged() < written + 3 && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    folder.succeeds(&generate);
    let written = folder.lines("gal/candidates.jsonl").len() as u64;
    let [counted, lost] = requests(&folder, "gal/generated/manifest.json");
    assert!(written <= counted && counted + lost <= written + 8, "{written} written, {counted} counted, {lost} lost");

    let annotate = format!("gal annotate gal --model {} --task category,ad --samples 2 --width 2", python.name);
    let mut run = folder.command(&annotate).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let answered = || {
        std::fs::read_to_string(folder.path("gal/annotated/predictions.jsonl")).unwrap_or_default().lines().count()
            as u64
    };
    while answered() < 3 && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    folder.succeeds(&annotate);
    let lines = answered();
    let [counted, lost] = requests(&folder, "gal/annotated/manifest.json");
    assert!(lines <= counted && counted + lost <= lines + 4, "{lines} answered, {counted} counted, {lost} lost");
    folder.succeeds("gal filter gal --confidence 0 --agreement 0");
    let rows = folder.lines("gal/rows.jsonl");
    let kept: Vec<&Value> = rows.iter().filter(|row| row["source"]["rejected"].is_null()).collect();
    assert!(!kept.is_empty() && rows.len() as u64 == written);
    for row in kept {
        assert!(row["reference"]["category"].is_string() && row["soft"]["ad"].is_object(), "{row}");
        assert_eq!(row["source"]["teacher"], "mini");
    }
    // All of it is there: nobody is asked again.
    folder.succeeds(&generate);
    folder.succeeds(&annotate);
    assert_eq!(requests(&folder, "gal/annotated/manifest.json"), [counted, lost]);
}
