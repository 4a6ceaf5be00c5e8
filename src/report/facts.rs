//! What was run, when and on what: the head of the page, read from the manifest.

use serde::Serialize;
use serde_json::Value;

use super::metrics::{count, counted, percent};
use super::svg::DataTable;

/// One entry of the head: a name, what it is, and smaller print.
#[derive(Debug, Serialize)]
pub struct Fact {
    name: &'static str,
    value: String,
    details: Vec<String>,
}

/// Every key of the manifest is optional, and so is every fact.
pub fn facts(manifest: &Value) -> Vec<Fact> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_f64);
    let whole = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_u64).map(|value| value as usize);
    let sha256 =
        |pointer: &str| text(pointer).map(|hash| format!("SHA-256 {}…", hash.chars().take(12).collect::<String>()));

    let model_details = [
        text("/model/architecture"),
        number("/model/parameters").map(|parameters| format!("{} parameters", short(parameters))),
        sha256("/model/sha256"),
    ];
    let data_details = [whole("/data/reels").map(|reels| counted(reels, "Reel")), sha256("/data/sha256")];
    let run_details = [
        text("/crate_version").map(|version| format!("reels {version}")),
        text("/command").map(|command| format!("command {command}")),
        whole("/seed").map(|seed| format!("seed {seed}")),
    ];
    let speed_details = [
        number("/speed/seconds").map(|seconds| format!("took {}", duration(seconds))),
        prompt_tokens(number("/speed/prompt_tokens"), number("/speed/cached_tokens")),
        whole("/speed/generated_tokens").map(|tokens| format!("{} generated", counted(tokens, "token"))),
    ];
    [
        fact("Model", text("/model/name"), model_details),
        fact("Adapter", text("/adapter/name"), [sha256("/adapter/sha256")]),
        fact("Data", text("/data/path"), data_details),
        fact("Prompts", text("/prompts/source"), [sha256("/prompts/sha256")]),
        fact("Run", text("/started_at").map(|time| moment(&time)), run_details),
        fact("Machine", text("/machine/cpu"), [whole("/machine/threads").map(|threads| counted(threads, "thread"))]),
        fact(
            "Speed",
            number("/speed/reels_per_second").map(|speed| format!("{speed:.2} Reels a second")),
            speed_details,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The head of a training run's page.
pub fn training_facts(manifest: &Value) -> Vec<Fact> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_f64);
    let sha256 =
        |pointer: &str| text(pointer).map(|hash| format!("SHA-256 {}…", hash.chars().take(12).collect::<String>()));
    let setting = |name: &str, key: &str| number(&format!("/settings/{key}")).map(|value| format!("{name} {value}"));
    [
        fact("Base", text("/base/path"), [sha256("/base/sha256")]),
        fact("Method", text("/settings/method"), [setting("rank", "rank"), setting("alpha", "alpha")]),
        fact("Data", text("/data/path"), [sha256("/data/sha256")]),
        fact("Dev data", text("/dev/path"), [sha256("/dev/sha256")]),
        fact("Prompts", text("/prompts/source"), [sha256("/prompts/sha256")]),
        fact(
            "Run",
            text("/started_at").map(|time| moment(&time)),
            [text("/crate_version").map(|version| format!("reels {version}")), setting("seed", "seed")],
        ),
        fact("Machine", text("/machine/cpu"), [number("/machine/cores").map(|cores| format!("{cores} cores"))]),
        fact(
            "Took",
            number("/result/seconds").map(duration),
            [number("/result/peak_bytes").map(|bytes| format!("{:.0} MiB of memory", bytes / 1048576.0))],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A fact without a value is left out, details and all.
fn fact<const N: usize>(name: &'static str, value: Option<String>, details: [Option<String>; N]) -> Option<Fact> {
    Some(Fact { name, value: value?, details: details.into_iter().flatten().collect() })
}

fn prompt_tokens(prompt: Option<f64>, cached: Option<f64>) -> Option<String> {
    let prompt = prompt?;
    let read = format!("{} read", counted(prompt as usize, "prompt token"));
    Some(match cached {
        Some(cached) if prompt > 0.0 => format!("{read}, {} from cache", percent(cached / prompt)),
        _ => read,
    })
}

/// What the answers took, and what a thousand Reels would.
pub fn cost(manifest: &Value) -> Option<DataTable> {
    let number = |key: &str| manifest.pointer(&format!("/speed/{key}")).and_then(Value::as_f64);
    let (seconds, reels_per_second) = (number("seconds")?, number("reels_per_second").filter(|rate| *rate > 0.0)?);
    let reels = seconds * reels_per_second;
    let row = |name: &str, value: f64, decimals: usize| {
        let shown =
            |value: f64| if decimals == 0 { count(value.round() as usize) } else { format!("{value:.decimals$}") };
        vec![name.to_owned(), shown(value), shown(value / reels * 1000.0)]
    };
    let cores = manifest.pointer("/engine/threads").and_then(Value::as_f64).unwrap_or(1.0);
    let mut rows = vec![row("Time in minutes", seconds / 60.0, 1), row("Core hours", seconds * cores / 3600.0, 2)];
    for (name, key) in [
        ("Prompt tokens", "prompt_tokens"),
        ("of these from cache", "cached_tokens"),
        ("Generated tokens", "generated_tokens"),
    ] {
        rows.extend(number(key).map(|tokens| row(name, tokens, 0)));
    }
    Some(DataTable::new(&["What", "This run", "1,000 Reels"], rows))
}

/// `2026-03-02T10:11:12Z` as `2 Mar 2026, 10:11 UTC`; what is no time stands as it is.
fn moment(time: &str) -> String {
    time.parse::<jiff::Timestamp>()
        .map_or_else(|_| time.to_owned(), |time| time.strftime("%-d %b %Y, %H:%M UTC").to_string())
}

fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.1} s"),
        seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

fn short(number: f64) -> String {
    match number {
        number if number >= 1e9 => format!("{:.2} billion", number / 1e9),
        number if number >= 1e6 => format!("{:.1} million", number / 1e6),
        number => count(number as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn an_empty_manifest_has_no_facts() {
        assert!(facts(&Value::Null).is_empty());
        assert!(facts(&serde_json::json!({"model": "text instead of a table"})).is_empty());
    }

    #[test]
    fn facts_are_written_for_readers() {
        let facts = facts(&fixture::manifest());
        let find = |name| facts.iter().find(|fact| fact.name == name).unwrap();
        assert_eq!(find("Model").details[..2], ["qwen2", "6.0 million parameters"]);
        assert_eq!(find("Run").value, "2 Mar 2026, 10:11 UTC");
        assert_eq!(find("Speed").details[1], "61,000 prompt tokens read, 80\u{a0}% from cache");
        assert!(facts.iter().all(|fact| fact.name != "Adapter"));
    }
}
