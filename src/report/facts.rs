//! What was run, when and on what: the head of the page, read from the manifest.

use indexmap::IndexSet;
use serde::Serialize;
use serde_json::Value;

use super::metrics::{count, counted, percent};
use super::svg::DataTable;
use crate::ask::{HostedFacts, LabelAnswers, Manifest};
use crate::data::stats::Stats;
use crate::prediction::Shortened;

/// One entry of the head: a name, what it is, and smaller print.
#[derive(Debug, Serialize)]
pub struct Fact {
    name: &'static str,
    value: String,
    details: Vec<String>,
}

/// The head of a page on data.
pub fn data_facts(stats: &Stats) -> Vec<Fact> {
    let labelled = stats.tasks.iter().filter(|(_, task)| task.labelled > 0);
    let labelled: Vec<String> = labelled.map(|(name, task)| format!("{name} {}", count(task.labelled))).collect();
    let unusable = (stats.unusable > 0).then(|| format!("{} can’t be used", count(stats.unusable)));
    let hash: String = stats.sha256.chars().take(12).collect();
    [
        fact("Data", Some(counted(stats.records, "Reel")), [unusable, Some(format!("SHA-256 {hash}…"))]),
        fact("Accounts", Some(count(stats.accounts)), [None]),
        fact("Gold answers", (!labelled.is_empty()).then(|| labelled.join(", ")), [None]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What isn't known isn't a fact.
pub fn facts(manifest: &Manifest) -> Vec<Fact> {
    let Manifest { model, adapter, data, prompts, machine, engine, speed, .. } = manifest;
    let sha256 =
        |hash: &String| (!hash.is_empty()).then(|| format!("SHA-256 {}…", hash.chars().take(12).collect::<String>()));
    let model_details = model.as_ref().map_or([None, None, None], |model| {
        let parameters = model.parameters.map(|parameters| format!("{} parameters", short(parameters as f64)));
        [model.architecture.clone(), parameters, sha256(&model.sha256)]
    });
    let data_details = data.as_ref().map_or([None, None, None], |data| {
        let shortened = manifest.shortened.filter(|shortened| shortened.reels > 0).map(
            |Shortened { reels, most_tokens, .. }| {
                format!("{} shortened, by {} at most", count(reels), counted(most_tokens, "token"))
            },
        );
        [Some(counted(data.reels, "Reel")), shortened, sha256(&data.sha256)]
    });
    let run_details = [
        manifest.crate_version.as_ref().map(|version| format!("reels {version}")),
        manifest.command.as_ref().map(|command| format!("command {command}")),
        manifest.seed.map(|seed| format!("seed {seed}")),
    ];
    let speed_details = speed.as_ref().map_or([None, None, None], |speed| {
        [
            Some(format!("took {}", duration(speed.seconds))),
            Some(prompt_tokens(speed.prompt_tokens, speed.cached_tokens)),
            Some(format!("{} generated", counted(speed.generated_tokens, "token"))),
        ]
    });
    let machine_details = [
        machine.as_ref().and_then(|machine| machine.cores).map(|cores| counted(cores, "core")),
        engine.as_ref().map(|engine| counted(engine.threads, "thread")),
    ];
    let per_second = speed.as_ref().and_then(|speed| speed.reels_per_second);
    [
        fact("Model", model.as_ref().map(|model| model.name.clone()), model_details),
        hosted(manifest),
        fact(
            "Adapter",
            adapter.as_ref().map(|adapter| adapter.name.clone()),
            [adapter.as_ref().and_then(|adapter| sha256(&adapter.sha256))],
        ),
        fact("Data", data.as_ref().map(|data| data.path.clone()), data_details),
        fact(
            "Prompts",
            prompts.as_ref().map(|prompts| prompts.source.clone()),
            [prompts.as_ref().and_then(|prompts| sha256(&prompts.sha256))],
        ),
        fact("Run", manifest.started_at.as_deref().map(moment), run_details),
        fact("Machine", machine.as_ref().and_then(|machine| machine.cpu.clone()), machine_details),
        fact("Speed", per_second.map(|speed| format!("{speed:.2} Reels a second")), speed_details),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How a model was asked that somebody else runs, and what it took.
fn hosted(manifest: &Manifest) -> Option<Fact> {
    let HostedFacts { spent, cost, cost_at_most, labels, .. } = manifest.hosted.as_ref()?;
    let names = |names: &IndexSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let of_labels = |LabelAnswers { scored, generated }: &LabelAnswers| match generated {
        0 => format!("labels scored by the host’s log-probabilities: {}", count(*scored)),
        _ => format!("labels scored {}, generated and matched {}", count(*scored), count(*generated)),
    };
    fact(
        "Asked",
        manifest.model_path.clone(),
        [
            Some(counted(spent.counted.requests as usize, "request")),
            cost.map(|cost| format!("cost {cost:.4}")),
            cost_at_most.map(|most| format!("{most:.4} with answers that never arrived")),
            labels.as_ref().map(of_labels),
            (!spent.models.is_empty()).then(|| format!("answered as {}", names(&spent.models))),
            (!spent.fingerprints.is_empty()).then(|| format!("fingerprint {}", names(&spent.fingerprints))),
        ],
    )
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

fn prompt_tokens(prompt: usize, cached: usize) -> String {
    let read = format!("{} read", counted(prompt, "prompt token"));
    if prompt > 0 { format!("{read}, {} from cache", percent(cached as f64 / prompt as f64)) } else { read }
}

/// What the answers took, and what a thousand Reels would.
pub fn cost(manifest: &Manifest) -> Option<DataTable> {
    let speed = manifest.speed.as_ref()?;
    let reels = speed.seconds * speed.reels_per_second.filter(|rate| *rate > 0.0)?;
    let row = |name: &str, value: f64, decimals: usize| {
        let shown =
            |value: f64| if decimals == 0 { count(value.round() as usize) } else { format!("{value:.decimals$}") };
        vec![name.to_owned(), shown(value), shown(value / reels * 1000.0)]
    };
    let threads = manifest.engine.as_ref().map_or(1, |engine| engine.threads);
    let rows = vec![
        row("Time in minutes", speed.seconds / 60.0, 1),
        row("Core hours", speed.seconds * threads as f64 / 3600.0, 2),
        row("Prompt tokens", speed.prompt_tokens as f64, 0),
        row("of these from cache", speed.cached_tokens as f64, 0),
        row("Generated tokens", speed.generated_tokens as f64, 0),
    ];
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
        assert!(facts(&Manifest::default()).is_empty());
    }

    #[test]
    fn a_hosted_model_is_told_with_its_cost_and_how_labels_came() {
        let mut hosted = HostedFacts { cost: Some(0.12345), ..HostedFacts::default() };
        hosted.spent.counted.requests = 1360;
        hosted.spent.models.insert("m-1-2026-01-01".to_owned());
        hosted.labels = Some(LabelAnswers { scored: 200, generated: 40 });
        let model_path = Some("https://api.example.com/v1#m-1".to_owned());
        let facts = facts(&Manifest { hosted: Some(hosted), model_path, ..fixture::manifest() });
        let asked = facts.iter().find(|fact| fact.name == "Asked").unwrap();
        assert_eq!(asked.value, "https://api.example.com/v1#m-1");
        let details = [
            "1,360 requests",
            "cost 0.1235",
            "labels scored 200, generated and matched 40",
            "answered as m-1-2026-01-01",
        ];
        assert_eq!(asked.details, details);
    }

    #[test]
    fn facts_are_written_for_readers() {
        let facts = facts(&fixture::manifest());
        let find = |name| facts.iter().find(|fact| fact.name == name).unwrap();
        assert_eq!(find("Model").details[..2], ["qwen2", "6.0 million parameters"]);
        assert_eq!(find("Run").value, "2 Mar 2026, 10:11 UTC");
        assert_eq!(find("Speed").details[1], "61,000 prompt tokens read, 80\u{a0}% from cache");
        assert_eq!(find("Data").details[..2], ["120 Reels", "3 shortened, by 1,812 tokens at most"]);
        assert!(facts.iter().all(|fact| fact.name != "Adapter"));
    }
}
