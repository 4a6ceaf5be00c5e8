//! Hosted models as their users ask them, by hosts that behave and hosts that don't.

mod folder;
mod host;

use std::collections::{HashMap, VecDeque};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use folder::Folder;
use host::{Answer, Host, MODEL, Request, completion, honest, said};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

const KEY: &str = "sk-s3cret-0123456789";

/// A folder with so many Reels.
fn folder(reels: usize) -> Folder {
    let folder = Folder::new();
    let record = |at: usize| {
        json!({"id": format!("r{at}"), "account": format!("a{}", at / 3), "caption": format!("Keterangan {at}"),
            "transcript": format!("ucapan nomor {at} tentang nasi goreng dan kopi susu"),
            "reference": {"category": "kuliner", "ad": "iklan", "summary": "Ucapan tentang nasi goreng."}})
    };
    folder.write("reels.jsonl", (0..reels).map(|at| record(at).to_string() + "\n").collect::<String>());
    folder
}

fn predict(host: &Host, more: &str) -> String {
    format!("predict --model {} --data reels.jsonl --output out {more}", host.model())
}

/// The last line of each prediction, by Reel and task.
fn predictions(folder: &Folder) -> HashMap<(String, String), Value> {
    let key = |line: &Value| (line["reel_id"].as_str().unwrap().to_owned(), line["task"].as_str().unwrap().to_owned());
    folder.lines("out/predictions.jsonl").into_iter().map(|line| (key(&line), line)).collect()
}

/// Each is there once without an error, and says what the model said.
#[track_caller]
fn assert_whole(folder: &Folder, host: &Host, reels: usize) {
    let said: HashMap<String, String> =
        host.requests().iter().map(|request| (request.prompt(), said(request))).collect();
    assert_eq!(said.len(), 3 * reels, "prompts");
    let predictions = predictions(folder);
    assert_eq!(predictions.len(), 3 * reels);
    let mut outputs: Vec<&str> = predictions.values().map(|line| line["output"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = said.values().map(String::as_str).collect();
    outputs.sort_unstable();
    expected.sort_unstable();
    assert_eq!(outputs, expected);
    let answered = folder.lines("out/predictions.jsonl").into_iter().filter(|line| line["error"].is_null()).count();
    assert_eq!(answered, 3 * reels, "an answer is there twice");
}

/// Tokens that the manifest counts: read and written, and those that were lost at most.
fn counted(folder: &Folder) -> [u64; 4] {
    let hosted = &folder.json("out/manifest.json")["hosted"];
    let of = |tokens: &Value| ["prompt_tokens", "completion_tokens"].map(|key| tokens[key].as_u64().unwrap_or(0));
    let ([read, written], [lost_read, lost_written]) = (of(&hosted["counted"]), of(&hosted["lost"]));
    [read, written, lost_read, lost_written]
}

/// Tokens that an honest answer to a request takes.
fn takes(request: &Request) -> (u64, u64) {
    let Answer::Whole(200, _, body) = honest(request) else { panic!() };
    let body: Value = serde_json::from_str(&body).unwrap();
    (body["usage"]["prompt_tokens"].as_u64().unwrap(), body["usage"]["completion_tokens"].as_u64().unwrap())
}

#[test]
fn a_host_that_misbehaves_loses_nothing_and_doubles_nothing() {
    const REELS: usize = 20;
    /// What a prompt gets the first time it is asked.
    type Kinds = Mutex<HashMap<String, usize>>;
    let kinds: Arc<Kinds> = Arc::default();
    let kind = |kinds: &Kinds, request: &Request| {
        let mut kinds = kinds.lock().unwrap();
        // Refusals slow it down: there are some, not one every second.
        let next = if kinds.len() < 40 { kinds.len() % 20 } else { 2 + kinds.len() % 18 };
        *kinds.entry(request.prompt()).or_insert(next)
    };
    let of_host = kinds.clone();
    let host = Host::start(move |request| {
        let body = || completion(&said(request), takes(request).0 as usize, takes(request).1 as usize);
        let complaint = |code: u16| json!({"error": {"message": "kelebihan beban", "code": code}});
        if request.before > 0 {
            return honest(request);
        }
        match kind(&of_host, request) {
            0 => Answer::Whole(429, vec!["Retry-After: 1".into()], complaint(429).to_string()),
            1 => Answer::status(429, &complaint(429)),
            2 => Answer::status(500, &complaint(500)),
            3 => Answer::Hang(Duration::from_secs(60)),
            4 => Answer::Half(body().to_string(), 90),
            5 => Answer::Whole(200, vec![], "<html>gateway</html>".into()),
            6 => Answer::ok(&Value::Object({
                let mut body = body().as_object().unwrap().clone();
                body["model"] = json!("another");
                body
            })),
            7 => Answer::ok(&complaint(502)),
            8 => Answer::Drip(body().to_string(), Duration::from_millis(100)),
            9 => Answer::ok(&completion("", 50, 1)),
            _ => honest(request),
        }
    });
    let kind = |request: &Request| kind(&kinds, request);
    let folder = folder(REELS);
    let run = folder.ends(&predict(&host, "--timeout 4"), 3);
    let first = host.requests();
    let of =
        |kinds: &[usize]| first.iter().filter(|request| request.before == 0 && kinds.contains(&kind(request))).count();
    assert!((0..10).all(|kind| of(&[kind]) > 0), "not every way to misbehave was tried");
    let failed: Vec<Value> = predictions(&folder)
        .into_values()
        .filter(|line| !line["error"].is_null())
        .map(|line| line["error"].clone())
        .collect();
    assert_eq!(failed.len(), of(&[6, 9]), "{failed:?}");
    assert!(
        failed
            .iter()
            .any(|error| error.as_str().unwrap().starts_with("another model answered: another, not m-1\nhint: "))
    );
    assert!(failed.iter().any(|error| error.as_str().unwrap().starts_with("the model answered nothing\nhint: ")));
    assert!(run.err.contains("answers never arrived"), "{}", run.err);
    // What failed is asked again, and nothing else.
    folder.succeeds(&predict(&host, "--timeout 4"));
    assert_eq!(host.requests().len(), first.len() + failed.len());
    assert_whole(&folder, &host, REELS);
    // Whole answers to the token: honest ones, another model's and the empty ones. What hung, broke off or was no JSON is lost.
    let all = host.requests();
    let honest = all
        .iter()
        .filter(|request| request.before > 0 || [6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19].contains(&kind(request)));
    let (mut read, mut written) =
        honest.map(takes).fold((0, 0), |sum, (read, written)| (sum.0 + read, sum.1 + written));
    (read, written) = (read + 50 * of(&[9]) as u64, written + of(&[9]) as u64);
    let lost: Vec<&Request> =
        all.iter().filter(|request| request.before == 0 && [3, 4, 5, 7, 8].contains(&kind(request))).collect();
    let lost_read: u64 = lost.iter().map(|request| takes(request).0).sum();
    let most: u64 = lost.iter().map(|request| request.body["max_tokens"].as_u64().unwrap()).sum();
    assert_eq!(counted(&folder), [read, written, lost_read, most]);
}

#[test]
fn killed_at_random_moments_nothing_is_asked_twice_but_what_was_under_way() {
    const REELS: usize = 24;
    let folders: Vec<Folder> = (0..20).map(|_| folder(REELS)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(42);
    let (mut twice, mut partial) = (0, 0);
    for folder in &folders {
        let host = Host::start(|request| {
            std::thread::sleep(Duration::from_millis(20));
            honest(request)
        });
        let mut run = folder.command(&predict(&host, "")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let requests = 1 + rng.next_u32() as usize % (3 * REELS - 1);
        while host.requests().len() < requests {
            assert!(run.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_micros(200));
        }
        run.kill().unwrap();
        run.wait().unwrap();
        let noted = folder.lines("out/requests.jsonl");
        let under_way = noted.iter().filter(|line| !line["sent"].is_null()).count()
            - noted.iter().filter(|line| !line["came"].is_null()).count();
        let kept = folder.read("out/predictions.jsonl").lines().filter(|line| line.ends_with('}')).count();
        // One answer can have been counted and not yet written.
        let came = noted.iter().filter(|line| !line["came"].is_null()).count();
        assert!(came >= kept && came - kept <= 1, "{came} came, {kept} kept");
        folder.succeeds(&predict(&host, ""));
        assert_whole(folder, &host, REELS);
        let again: usize = host.times().values().map(|times| times - 1).sum();
        assert!(again <= under_way + came - kept, "{again} asked again, {under_way} were under way");
        let [read, written, lost_read, lost_written] = counted(folder);
        let (all_read, all_written) =
            host.requests().iter().map(takes).fold((0, 0), |sum, (read, written)| (sum.0 + read, sum.1 + written));
        // Prompts to the token, as each was answered in the end; answers at most. One that was noted may never have gone.
        assert!(read + lost_read >= all_read && written + lost_written >= all_written, "{:?}", counted(folder));
        assert_eq!(lost_written > 0, under_way > 0);
        (twice, partial) = (twice + again, partial + usize::from(kept > 0 && kept < 3 * REELS));
    }
    assert!(twice > 0 && partial > 10, "{twice} asked again, {partial} killed in the middle");
}

#[test]
fn budgets_stop_cleanly_and_go_on() {
    const REELS: usize = 12;
    let host = Host::start(honest);
    let folder = folder(REELS);
    folder.write("reels.toml", format!("[prices.\"{MODEL}\"]\ninput = 1000.0\noutput = 4000.0\n"));
    let all = |folder: &Folder| {
        let [read, written, ..] = counted(folder);
        (read + written, read as f64 / 1e3 + written as f64 * 4.0 / 1e3)
    };
    let run = folder.ends(&predict(&host, "--max-tokens 6000"), 3);
    assert!(
        run.err.contains("stopped by --max-tokens 6000: ") && run.err.contains("\nhint: the same command with more"),
        "{}",
        run.err
    );
    let (tokens, _) = all(&folder);
    assert!(tokens > 4000 && tokens <= 6000, "{tokens} tokens");
    assert!(folder.json("out/manifest.json")["finished_at"].is_null());
    let kept = predictions(&folder).len();
    assert!(predictions(&folder).values().all(|line| line["error"].is_null()), "what wasn't asked is no failure");
    // The same budget has nothing left, as it is for all runs in the directory.
    folder.ends(&predict(&host, "--max-tokens 6000"), 3);
    assert_eq!(predictions(&folder).len(), kept);
    let run = folder.ends(&predict(&host, "--max-cost 9"), 3);
    assert!(run.err.contains("stopped by --max-cost 9: "), "{}", run.err);
    let (_, cost) = all(&folder);
    assert!(cost > 7.0 && cost <= 9.0, "{cost}");
    let manifest = folder.json("out/manifest.json");
    assert!((manifest["hosted"]["cost"].as_f64().unwrap() - cost).abs() < 1e-9);
    assert_eq!(manifest["hosted"]["price"], json!({"input": 1000.0, "output": 4000.0}));
    folder.succeeds(&predict(&host, ""));
    assert_whole(&folder, &host, REELS);
    assert_eq!(host.requests().len(), 3 * REELS, "nothing was asked twice");
    // An evaluation that stopped isn't scored.
    let run = folder.ends(
        &predict(&host, "--max-tokens 2000").replace("predict", "eval").replace("output out", "output scored"),
        3,
    );
    assert!(run.err.contains("stopped by --max-tokens 2000") && !folder.has("scored/scores.json"), "{}", run.err);
    let error = folder.fails(&predict(&host, "--max-cost 9").replace(MODEL, "m-1b"), 2);
    assert!(error.contains("the settings file has no price for m-1b\nhint: add [prices.\"m-1b\"]"), "{error}");
    folder.write("reels.toml", format!("[prices.\"{MODEL}\"]\ninput = 1.0\n"));
    let error = folder.fails(&predict(&host, ""), 2);
    assert!(error.contains("reels.toml: [prices.\"m-1\"]: missing field `output`\nhint: input = 0.15"), "{error}");
}

#[test]
fn the_key_is_in_no_file_message_or_process_list() {
    let asks_for_key = |key: Option<&str>| match key {
        Some(key) if key == format!("Bearer {KEY}") => Answer::ok(&json!({"data": [{"id": MODEL}]})),
        // Who repeats a key shall not have it printed here.
        other => Answer::status(
            401,
            &json!({"error": {"message": format!("{other:?} is no key"), "code": "invalid_api_key"}}),
        ),
    };
    let host = Host::with(asks_for_key, |request| match request.before {
        0 => Answer::status(
            500,
            &json!({"error": {"message": format!("{} broke", request.authorization.clone().unwrap())}}),
        ),
        1 if request.text().contains("nomor 1 ") => Answer::ok(&completion(&format!("Kunci: {KEY}"), 5, 5)),
        _ => {
            std::thread::sleep(Duration::from_millis(30));
            honest(request)
        }
    });
    let folder = folder(4);
    folder.write("key", format!("{KEY}\n"));
    for (way, arguments) in [("variable", ""), ("file", "--api-key-file key")] {
        let mut command =
            folder.command(&predict(&host, arguments).replace("--output out", &format!("--output {way}")));
        command.env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
        if way == "variable" {
            command.env("REELS_API_KEY", KEY);
        }
        let run = command.spawn().unwrap();
        let seen = host.requests().len();
        while host.requests().len() == seen {
            std::thread::sleep(Duration::from_millis(1));
        }
        let listed = std::fs::read(format!("/proc/{}/cmdline", run.id())).unwrap();
        assert!(!String::from_utf8_lossy(&listed).contains(KEY));
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        for printed in [output.stdout, output.stderr] {
            assert!(!String::from_utf8_lossy(&printed).contains(KEY), "{}", String::from_utf8_lossy(&printed));
        }
        assert!(
            host.requests()[seen..]
                .iter()
                .all(|request| request.authorization.as_deref() == Some(&*format!("Bearer {KEY}")))
        );
    }
    let mut command = folder.command(&predict(&host, ""));
    let refused = command.env("REELS_API_KEY", KEY.to_uppercase()).output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        error.contains("401") && error.contains("the key is not taken: see REELS_API_KEY or --api-key-file"),
        "{error}"
    );
    assert!(!error.contains(&KEY.to_uppercase()), "{error}");
    let found = std::process::Command::new("grep").args(["-rl", KEY, "."]).current_dir(folder.root()).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "./key\n");
    assert!(folder.read("variable/predictions.jsonl").contains("Kunci: [key]"));
}

#[test]
fn texts_go_to_the_host_that_was_named_and_to_no_other() {
    let other = Host::start(honest);
    for status in [301, 302, 303, 307, 308] {
        let to = format!("Location: http://{}/v1/chat/completions", other.address);
        let host = Host::start(move |_| Answer::Whole(status, vec![to.clone()], String::new()));
        let folder = folder(2);
        let error = folder.fails(&predict(&host, ""), 2);
        assert!(
            error.contains(&format!("the host answers {status}: what is asked is at http://{}", other.address)),
            "{error}"
        );
        assert!(error.contains("hint: texts and key go to the host that was named"), "{error}");
        let listing = Host::with(
            {
                let to = format!("Location: http://{}/v1/models", other.address);
                move |_| Answer::Whole(status, vec![to.clone()], String::new())
            },
            honest,
        );
        let error = folder.fails(&predict(&listing, "").replace("output out", "output listed"), 2);
        assert!(error.contains(&format!("the host answers {status}: what is asked is at")), "{error}");
        assert!(listing.requests().is_empty());
    }
    assert!(other.requests().is_empty());
    let folder = folder(2);
    let error = folder.fails("predict --model http://192.0.2.1/v1#m --data reels.jsonl --output out", 2);
    assert!(
        error.contains(
            "everybody between here and 192.0.2.1 could read texts and key\nhint: use https://, or --insecure-http"
        ),
        "{error}"
    );
    let run = folder.succeeds(&predict(&other, ""));
    assert_eq!(run.err.matches("6 prompts about 2 Reels, to 127.0.0.1:").count(), 1, "{}", run.err);
}

#[test]
fn certificates_and_proxies_are_those_of_the_environment() {
    let (host, authority) = Host::encrypted(&["models.test", "localhost"], honest);
    let folder = folder(2);
    folder.write("authority.pem", authority);
    let here = format!("https://localhost:{}/v1#{MODEL}", host.address.port());
    let run = |model: &str, output: &str, environment: &[(&str, &str)]| {
        let mut command = folder.command(&format!("predict --model {model} --data reels.jsonl --output {output}"));
        let run = command.envs(environment.iter().copied()).output().unwrap();
        (run.status.code().unwrap(), String::from_utf8(run.stderr).unwrap())
    };
    let (code, error) = run(&here, "a", &[]);
    assert!(code == 5 && error.contains("who answers there can't prove to be the host: "), "{error}");
    assert!(error.contains("UnknownIssuer") && error.contains("hint: SSL_CERT_FILE names a file"), "{error}");
    let (code, error) = run(&here, "a", &[("SSL_CERT_FILE", "nowhere.pem")]);
    assert!(code == 5 && error.contains("SSL_CERT_FILE names no certificate"), "{error}");
    assert!(host.requests().is_empty());
    assert_eq!(run(&here, "a", &[("SSL_CERT_FILE", "authority.pem")]).0, 0);
    assert_eq!(host.requests().len(), 6);

    let (proxy, asked) = host::tunnel(host.address);
    let elsewhere = format!("https://models.test/v1#{MODEL}");
    let through = [("SSL_CERT_FILE", "authority.pem"), ("HTTPS_PROXY", &*format!("http://{proxy}"))];
    let (code, error) = run(&elsewhere, "b", &through);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("6 prompts about 2 Reels leave this machine, to models.test alone"), "{error}");
    assert!(asked.lock().unwrap().iter().all(|line| line == "CONNECT models.test:443 HTTP/1.1"), "{asked:?}");
    let before = asked.lock().unwrap().len();
    let (code, error) = run(&elsewhere, "c", &[&through[..], &[("NO_PROXY", "localhost, .test")]].concat());
    assert!(code == 5 && error.contains("models.test: there is no such host"), "{error}");
    // Nothing on this machine goes through a proxy.
    assert_eq!(run(&here, "d", &through).0, 0);
    assert_eq!(asked.lock().unwrap().len(), before);
}

#[test]
fn labels_are_scored_where_log_probabilities_cover_them_and_the_result_says_which() {
    let listed = |labels: &[(&str, f64)]| {
        let top: Vec<Value> = labels.iter().map(|(token, p)| json!({"token": token, "logprob": p.ln()})).collect();
        json!({"content": [{"token": labels[0].0, "logprob": labels[0].1.ln(), "top_logprobs": top}]})
    };
    let host = Host::start(move |request| {
        let said = said(request);
        let covered = if said.contains("iklan") { "iklan" } else { "musik" };
        let mut body = completion(covered, 40, 2);
        if request.body["logprobs"] == true && request.text().contains("Keterangan 0") {
            let all = [
                "mus", "hib", "kul", "kec", "kes", "edu", "tek", "bis", "ber", "ola", "wis", "aga", "kel", "oto", "lai",
            ];
            body["choices"][0]["logprobs"] = match said.contains("iklan") {
                true => listed(&[("iklan", 0.75), ("bukan", 0.25)]),
                false => listed(&all.map(|token| (token, if token == "mus" { 0.3 } else { 0.05 }))),
            };
        }
        Answer::ok(&body)
    });
    let folder = folder(2);
    let run = folder.succeeds(&predict(&host, "--task category,ad"));
    assert!(run.err.contains("labels   2 of 4 generated and matched, not scored"), "{}", run.err);
    let predictions = predictions(&folder);
    let of = |reel: &str, task: &str| &predictions[&(reel.to_owned(), task.to_owned())];
    let close = |found: &Value, expected: f64| (found.as_f64().unwrap().exp() - expected).abs() < 1e-9;
    assert_eq!(of("r0", "ad")["output"], "iklan");
    assert!(close(&of("r0", "ad")["label_logprobs"]["bukan iklan"], 0.25));
    assert_eq!(of("r0", "category")["output"], "musik");
    assert!(close(&of("r0", "category")["label_logprobs"]["otomotif"], 0.05));
    assert!(of("r1", "ad")["label_logprobs"].is_null() && of("r1", "category")["label_logprobs"].is_null());
    assert_eq!(folder.json("out/manifest.json")["hosted"]["labels"], json!({"scored": 2, "generated": 2}));
    let generated =
        folder.succeeds(&predict(&host, "--task ad --label-mode generate").replace("--output out", "--output b"));
    assert!(!generated.err.contains("labels  "), "{}", generated.err);
    assert!(host.requests().iter().rev().take(2).all(|request| request.body.get("logprobs").is_none()));
}

#[test]
fn a_host_is_asked_the_way_it_knows() {
    let host = Host::start(|request| {
        let refuse =
            |what: &str| Answer::status(400, &json!({"error": {"message": what, "type": "invalid_request_error"}}));
        if request.body.get("max_tokens").is_some() {
            return refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
        }
        if request.body["top_logprobs"].as_u64().is_some_and(|top| top > 5) {
            return refuse("top_logprobs must be at most 5");
        }
        if request.body.get("logprobs").is_some() {
            return refuse("this model has no logprobs");
        }
        honest(request)
    });
    let folder = folder(6);
    folder.succeeds(&predict(&host, "--width 1 --temperature 0.7 --seed 3"));
    assert_whole(&folder, &host, 6);
    assert_eq!(host.requests().len(), 18 + 3, "what is learned is kept");
    let answered: Vec<Request> =
        host.requests().into_iter().filter(|request| request.body.get("logprobs").is_none()).collect();
    let seeds: std::collections::HashSet<u64> =
        answered.iter().map(|request| request.body["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds.len(), 18, "each job has its own draws");
    let Value::Object(body) = &answered.last().unwrap().body else { panic!() };
    assert_eq!((&body["model"], &body["temperature"].as_f64().map(|t| t as f32)), (&json!(MODEL), &Some(0.7)));
    assert!((body["top_p"].as_f64().unwrap() - 0.9).abs() < 1e-6);
    let roles: Vec<&Value> = body["messages"].as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["system", "user"]);
}

#[test]
fn bad_input_is_named_before_anything_is_sent() {
    let folder = folder(2);
    let host = Host::start(honest);
    let ends = |model: &str, more: &str, code: i32| {
        folder.fails(&format!("predict --model {model} --data reels.jsonl --output out --timeout 3 {more}"), code)
    };
    let closed = host::closed_port();
    let locked = Host::with(|_| Answer::status(401, &json!({"detail": "no key"})), honest);
    for (model, more, code, expected) in [
        (
            host.model().replace(MODEL, "m-2"),
            "",
            2,
            "there is no model \"m-2\"\nhint: did you mean m-1? the host lists m-1",
        ),
        (format!("http://{}/v1", host.address), "", 2, "names no model\nhint: an address and a name"),
        (format!("http://127.0.0.1:{closed}/v1#m"), "", 5, "nobody answers there\nhint: see that the server runs"),
        (
            "https://no-such-host.invalid/v1#m".into(),
            "",
            5,
            "no-such-host.invalid: there is no such host\nhint: see the address",
        ),
        (
            locked.model(),
            "",
            2,
            "the host answers 401: no key\nhint: give the host's key by REELS_API_KEY or --api-key-file",
        ),
        (host.model(), "--api-key-file nowhere", 2, "cannot read the key in nowhere"),
        (host.model(), "--adapter reels.jsonl", 2, "--adapter is for model files"),
        (host.model(), "--train reels.jsonl", 2, "--train is for baselines"),
        (
            host.model(),
            "--max-prompt-tokens 100",
            2,
            "--max-prompt-tokens is for model files: how a hosted model counts",
        ),
        (host.model(), "--timeout 0", 2, "--timeout"),
        (host.model(), "--max-cost 1", 2, "the settings file has no price for m-1"),
    ] {
        let error = ends(&model, more, code);
        assert!(
            error.contains(expected) && (error.contains("hint: ") || more == "--timeout 0"),
            "{model} {more}: {error}"
        );
        assert!(!folder.has("out/manifest.json"), "{error}");
    }
    for host in [&host, &locked] {
        assert!(host.requests().is_empty());
    }
    let with = |name: &str, value: &str, model: &str| {
        let mut command = folder.command(&format!("predict --model {model} --data reels.jsonl --output out"));
        let run = command.env(name, value).output().unwrap();
        assert_eq!(run.status.code(), Some(5), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stderr).unwrap()
    };
    let proxy = format!("http://me:s3cret@{}", host::proxy("407 Proxy Authentication Required"));
    let error = with("https_proxy", &proxy, "https://api.example.com/v1#m");
    assert!(
        error.contains("no way through the proxy that https_proxy names: ")
            && error.contains("407")
            && error.contains("hint: see that variable"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
    let error = with("https_proxy", &format!("http://127.0.0.1:{closed}"), "https://api.example.com/v1#m");
    assert!(error.contains("nobody answers there through the proxy that https_proxy names"), "{error}");
}

#[test]
fn an_answer_that_is_too_long_or_cut_is_an_error_of_its_own() {
    let host = Host::start(|request| match request.text() {
        text if text.contains("nomor 0 ") => Answer::ok(&completion(&"a".repeat(10 << 20), 5, 5)),
        text if text.contains("nomor 1 ") => {
            let mut body = completion("Ringkasan yang", 5, 5);
            body["choices"][0]["finish_reason"] = json!("length");
            Answer::ok(&body)
        }
        text if text.contains("nomor 2 ") => {
            let mut body = completion("", 5, 300);
            body["choices"][0]["message"]["content"] = Value::Null;
            body["choices"][0]["finish_reason"] = json!("length");
            Answer::ok(&body)
        }
        _ => honest(request),
    });
    let folder = folder(4);
    folder.ends(&predict(&host, "--task summary"), 3);
    let predictions = predictions(&folder);
    for (reel, expected) in [
        ("r0", "the host's answer is longer than 4 MiB\nhint: lower max_tokens in tasks.toml"),
        ("r1", "tokens: \"Ringkasan yang\"\nhint: raise max_tokens in tasks.toml"),
        ("r2", "the model thought for longer\nhint: raise max_tokens in tasks.toml"),
    ] {
        let line = &predictions[&(reel.to_owned(), "summary".to_owned())];
        assert!(line["error"].as_str().unwrap().contains(expected) && line["output"] == "", "{line}");
    }
    assert!(predictions[&("r3".to_owned(), "summary".to_owned())]["error"].is_null());
    assert_eq!(host.requests().len(), 4, "none of these is asked again unasked");
}

#[test]
fn a_host_that_goes_away_ends_the_run_and_keeps_what_is_done() {
    let gone = Arc::new(AtomicBool::new(false));
    let [listing, answering] = [gone.clone(), gone];
    let unavailable = || Answer::status(503, &json!({"error": "gone"}));
    let host = Host::with(
        move |_| if listing.load(Relaxed) { unavailable() } else { Answer::ok(&json!({"data": [{"id": MODEL}]})) },
        move |request| if answering.swap(true, Relaxed) { unavailable() } else { honest(request) },
    );
    let folder = folder(2);
    let error = folder.fails(&predict(&host, "--task ad --width 1"), 5);
    assert!(
        error.contains(
            "the host answers 503: gone (asked 5 times)\nhint: what is done is kept: the same command goes on"
        ),
        "{error}"
    );
    assert_eq!(predictions(&folder).len(), 1);
    assert_eq!(folder.json("out/manifest.json")["hosted"]["counted"]["requests"], 6);
}

#[test]
fn an_interrupted_run_waits_for_what_is_paid_for() {
    let host = Host::start(|request| {
        std::thread::sleep(Duration::from_millis(700));
        honest(request)
    });
    let folder = folder(20);
    let mut run = folder.command(&predict(&host, "")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while host.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::process::Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let asked = host.requests().len();
    assert_eq!(predictions(&folder).len(), asked, "what was under way has come");
    assert!(asked < 60);
    folder.succeeds(&predict(&host, "--width 60"));
    assert_eq!(host.requests().len(), 60);
}

#[test]
fn a_model_annotates_blind() {
    let host = Host::start(|request| match request.text() {
        text if text.contains("nomor 3 ") => Answer::ok(&completion("tidak tahu", 5, 2)),
        _ => honest(request),
    });
    let folder = folder(8);
    let ask = format!("data review reels.jsonl --from-model {} --output judge.json", host.model());
    let run = folder.succeeds(&ask);
    assert!(run.err.contains("judge.json: 7 of 8 Reels have an answer of m-1"), "{}", run.err);
    assert_eq!(host.requests().len(), 16, "label tasks alone");
    assert!(host.requests().iter().all(|request| !request.prompt().contains("reference")));
    let judge = folder.json("judge.json");
    assert_eq!((&judge["annotator"], &judge["kind"], &judge["of"]), (&json!(MODEL), &json!("annotations"), &json!(8)));
    folder.succeeds(&ask);
    assert_eq!(host.requests().len(), 16, "nothing is asked twice");
    // Its file goes beside those of people, and its agreement beside theirs.
    folder.succeeds("data review reels.jsonl --to csv --annotator ani --output form.csv");
    let mut table = csv::Reader::from_reader(std::io::Cursor::new(
        folder.read("form.csv").trim_start_matches('\u{feff}').to_owned(),
    ));
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let mut filled = csv::Writer::from_writer(vec![]);
    filled.write_record(&header).unwrap();
    for row in table.records() {
        let mut row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
        row[column("ad")] = "iklan".into();
        row[column("category")] = "kuliner".into();
        filled.write_record(&row).unwrap();
    }
    folder.write("ani.csv", filled.into_inner().unwrap());
    let agreement = folder.succeeds("data agreement ani.csv judge.json").out;
    assert!(agreement.contains("ad: ani, m-1; 7 Reels with two labels and more"), "{agreement}");
    let labelled = folder.succeeds("data review reels.jsonl --from ani.csv judge.json --output labelled.jsonl");
    assert!(labelled.out.contains("m-1"), "{}", labelled.out);
    // The Reels that people were given, by the same seed.
    folder.succeeds(&ask.replace("judge.json", "some.json --sample 3"));
    folder.succeeds("data review reels.jsonl --to csv --annotator budi --sample 3 --output some.csv");
    let drawn: Vec<Value> =
        folder.json("some.json")["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    let form = folder.read("some.csv");
    assert!(drawn.len() >= 2 && drawn.iter().all(|id| form.contains(id.as_str().unwrap())), "{drawn:?} {form}");
    let error = folder.fails(&format!("data review reels.jsonl --from-model {}", host.model()), 2);
    assert!(error.contains("--output"), "{error}");
}

/// What the pace makes of a host with a limit, by real connections; with made-up time `remote::pace` tests it always.
#[test]
#[ignore = "takes three minutes"]
fn a_limit_is_kept_to_within_a_tenth() {
    const LIMIT: usize = 20;
    for (name, says_when) in [("with Retry-After", true), ("without Retry-After", false)] {
        let taken: Mutex<VecDeque<Instant>> = Mutex::default();
        let host = Host::start(move |request| {
            std::thread::sleep(Duration::from_millis(50));
            let mut taken = taken.lock().unwrap();
            let now = Instant::now();
            while taken.front().is_some_and(|time| now - *time >= Duration::from_secs(1)) {
                taken.pop_front();
            }
            if taken.len() < LIMIT {
                taken.push_back(now);
                return honest(request);
            }
            let headers = if says_when { vec!["Retry-After: 1".to_owned()] } else { vec![] };
            Answer::Whole(429, headers, json!({"error": {"message": "terlalu banyak"}}).to_string())
        });
        let folder = folder(1000);
        folder.succeeds(&predict(&host, "--task ad"));
        let requests = host.requests();
        let seconds = (requests.last().unwrap().at - requests[0].at).as_secs_f64();
        let (rate, refused) = (1000.0 / seconds, requests.len() - 1000);
        println!("{name}: {rate:.2} answers a second of {LIMIT}, {refused} refused");
        assert!(rate >= 0.9 * LIMIT as f64 && refused <= 30, "{name}: {rate:.2} a second, {refused} refused");
    }
}
