//! How often intervals hold the truth and tests reject a true null, by simulation. An hour or so:
//!
//!     cargo test --test coverage -- --ignored --nocapture
//!
//! Every simulated data set goes through `score` and `compare` as real rows do. What comes out is written to
//! `benches/coverage/`. The variable `SIMULATIONS` changes how many a cell takes (1,000, and 5,000 in those that have a
//! name); `CELLS` is a part of the names of the cells that are run, and then nothing is written.

mod annotators;
mod designs;
mod ratings;
mod tally;

use std::fmt::Write;

use indexmap::{IndexMap, IndexSet};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::config::{IntervalMethod, MetricSettings, ScoreSettings};
use reels::prediction::Finish;
use reels::score::agreement::agreement;
use reels::score::compare::{Run, compare};
use reels::score::significance::{mcnemar, mcnemar_power, smallest_difference};
use reels::score::{Table, Thresholds, score};
use reels::scores::{Metric, Row, Scores};
use reels::task::{Task, parse_tasks};

use self::annotators::{People, people};
use self::designs::{Design, Drawn, Judge, Population, RUNS, crossed, hidden, judges, named, normal};
use self::tally::{Tallies, Tally, simulate};

const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 500, seed: 42, interval: None };
const METRICS: MetricSettings = MetricSettings { amounts: false, stems: false };

/// What intervals are made by, with the name under which they stand in the tables.
const METHODS: [(&str, Option<IntervalMethod>); 5] = [
    ("default", None),
    ("jackknife", Some(IntervalMethod::Jackknife)),
    ("bootstrap-t", Some(IntervalMethod::BootstrapT)),
    ("percentile", Some(IntervalMethod::Percentile)),
    ("bca", Some(IntervalMethod::Bca)),
];

fn row(index: usize, account: Option<usize>, task: &str) -> Row {
    Row {
        v: 1,
        reel_id: format!("r{index:05}"),
        account: account.map(|account| format!("a{account}")),
        task: task.into(),
        repeat: 0,
        prompt: String::new(),
        reference: Some("text".into()),
        alternatives: vec![],
        annotations: IndexMap::new(),
        output: String::new(),
        label_logprobs: None,
        finish: Finish::Stop,
        metrics: IndexMap::new(),
        flags: vec![],
        slices: IndexMap::new(),
    }
}

fn label_task(labels: usize) -> Vec<Task> {
    let labels: Vec<String> = (0..labels).map(|label| format!("l{label}")).collect();
    let text = format!(
        "[task.label]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 9\npositive = \"l0\"\nlabels = {labels:?}\n"
    );
    let text = if labels.len() == 2 { text } else { text.replace("positive = \"l0\"\n", "") };
    parse_tasks(&text, "tasks.toml").unwrap()
}

fn text_task() -> Vec<Task> {
    parse_tasks("[task.text]\nkind = \"text\"\ntemplate = \"t\"\nmax_tokens = 9\n", "tasks.toml").unwrap()
}

fn label_row(index: usize, account: Option<usize>, label: usize, answer: Option<usize>) -> Row {
    let correct = f64::from(u8::from(answer == Some(label)));
    Row {
        reference: Some(format!("l{label}")),
        output: answer.map_or(String::new(), |answer| format!("l{answer}")),
        finish: if answer.is_some() { Finish::Stop } else { Finish::Invalid },
        metrics: [("correct".to_owned(), correct)].into(),
        ..row(index, account, "label")
    }
}

fn labels(drawn: &[Drawn], run: usize, design: &Design, task: &[Task]) -> Table {
    let of = |(index, drawn): (usize, &Drawn)| {
        let answer = Some(drawn.answers[run]).filter(|answer| *answer < design.labels);
        label_row(index, drawn.account, drawn.label, answer)
    };
    Table::of(&drawn.iter().enumerate().map(of).collect::<Vec<_>>(), task).unwrap()
}

fn texts(drawn: &[(Option<usize>, [f64; RUNS])], run: usize, task: &[Task]) -> Table {
    let of = |(index, (account, values)): (usize, &(Option<usize>, [f64; RUNS]))| Row {
        metrics: [("rougeL".to_owned(), values[run])].into(),
        ..row(index, *account, "text")
    };
    Table::of(&drawn.iter().enumerate().map(of).collect::<Vec<_>>(), task).unwrap()
}

/// Rows of a yes/no task with the probabilities of a judge.
fn judged(judge: &Judge, task: &[Task], random: &mut ChaCha8Rng) -> Table {
    let of = |(index, (account, positive, probability)): (usize, (usize, bool, f64))| {
        let logprobs = [("l0".to_owned(), probability.ln()), ("l1".to_owned(), (1.0 - probability).ln())];
        let answer = usize::from(probability < 0.5);
        let account = judge.accounts.map(|_| account);
        Row { label_logprobs: Some(logprobs.into()), ..label_row(index, account, usize::from(!positive), Some(answer)) }
    };
    Table::of(&judge.draw(random).into_iter().enumerate().map(of).collect::<Vec<_>>(), task).unwrap()
}

/// What metrics of a label task estimate on data with these labels.
fn truths(population: &Population, occurring: &IndexSet<usize>) -> Vec<(&'static str, f64)> {
    let f1 = population.f1();
    let weighted = |values: &dyn Fn(usize) -> f64| -> f64 {
        population.share.iter().enumerate().map(|(label, share)| share * values(label)).sum()
    };
    let mean = |values: &dyn Fn(usize) -> f64| -> f64 {
        occurring.iter().map(|label| values(*label)).sum::<f64>() / occurring.len() as f64
    };
    let [mcc, kappa] = population.mcc_and_kappa();
    vec![
        ("accuracy", weighted(&|label| population.recall(label))),
        ("weighted_f1", weighted(&|label| f1[label])),
        ("macro_f1_present", mean(&|label| f1[label])),
        ("macro_f1", f1.iter().sum::<f64>() / f1.len() as f64),
        ("balanced_accuracy", mean(&|label| population.recall(label))),
        ("mcc", mcc),
        ("kappa", kappa),
    ]
}

/// Intervals of these metrics by all methods; gives the scores by the default.
fn tally(table: &Table, task: &str, truths: &[(&'static str, f64)], tallies: &mut Tallies) -> Scores {
    let scores = METHODS.map(|(name, interval)| {
        let scores = score(table, &ScoreSettings { interval, ..SETTINGS }, &METRICS, &Thresholds::new());
        for (key, truth) in truths {
            let Metric { value, low, high, bootstrap, .. } = &scores.tasks[task].metrics[*key];
            tallies.entry((key, name)).or_default().interval(*value, [*low, *high], *truth);
            if let Some(bounds) = bootstrap {
                tallies.entry((key, "beside")).or_default().interval(*value, [bounds.low, bounds.high], *truth);
            }
        }
        scores
    });
    scores.into_iter().next().unwrap()
}

fn label_cell(design: &Design, simulations: u64) -> Tallies {
    let (task, population) = (label_task(design.labels), design.population());
    let f1 = population.f1();
    simulate(simulations, |random, tallies| {
        let drawn = design.draw([&population; RUNS], random);
        let truths = truths(&population, &drawn.iter().map(|row| row.label).collect());
        let scores = tally(&labels(&drawn, 0, design, &task), "label", &truths, tallies);
        for (label, class) in scores.tasks["label"].classes.values().enumerate().filter(|(_, class)| class.support > 0)
        {
            for (key, value, interval, truth) in [
                ("class precision", class.precision, class.intervals.precision, population.precision(label)),
                ("class recall", class.recall, class.intervals.recall, population.recall(label)),
                ("class f1", class.f1, class.intervals.f1, f1[label]),
            ] {
                let bounds = interval.unwrap_or([f64::NAN; 2]);
                tallies.entry((key, "default")).or_default().interval(value, bounds, truth);
            }
        }
    })
}

fn text_cell(design: &Design, simulations: u64) -> Tallies {
    let (task, truth) = (text_task(), [("rougeL", design.text_truth())]);
    simulate(simulations, |random, tallies| {
        tally(&texts(&design.draw_texts(random), 0, &task), "text", &truth, tallies);
    })
}

fn intervals((name, design, simulations): &(String, Design, u64)) -> (String, Tallies) {
    let mut tallies = label_cell(design, *simulations);
    tallies.extend(text_cell(design, *simulations));
    eprintln!("{name}");
    (name.clone(), tallies)
}

fn judge_cell(judge: &Judge, simulations: u64) -> Tallies {
    let keys = ["brier", "log_loss", "roc_auc", "average_precision", "ece"];
    let task = label_task(2);
    // So many rows that they tell what a metric estimates, each of an account of its own.
    let many = Judge { accounts: judge.accounts.map(|_| 400_000), rows: 400_000, ..*judge };
    let table = judged(&many, &task, &mut ChaCha8Rng::seed_from_u64(3));
    let scores = score(&table, &ScoreSettings { bootstrap: 100, ..SETTINGS }, &METRICS, &Thresholds::new());
    let truths = keys.map(|key| (key, scores.tasks["label"].metrics[key].value));
    simulate(simulations, |random, tallies| {
        tally(&judged(judge, &task, random), "label", &truths, tallies);
    })
}

/// How often tests reject that runs are equally good, where `truths` are 0, and intervals of differences hold them.
fn comparison(
    tables: impl IntoIterator<Item = Table>,
    task: &str,
    truths: &[(&'static str, f64)],
    name: &'static str,
    tallies: &mut Tallies,
) {
    let runs = tables.into_iter().enumerate().map(|(run, table)| Run { name: run.to_string(), table });
    let compared = compare(&runs.collect::<Vec<_>>(), &SETTINGS).unwrap();
    for (key, truth) in truths {
        let metric = &compared.tasks[task].metrics[*key];
        let difference = &metric.differences[0];
        let bounds = [difference.low, difference.high];
        tallies.entry((key, name)).or_default().interval(difference.value, bounds, *truth);
        if *truth == 0.0 {
            let mut reject = |what, rejects| tallies.entry((*key, what)).or_default().test(rejects);
            reject("p", difference.p.unwrap() < 0.05);
            reject("Holm", metric.differences.iter().any(|difference| difference.p_adjusted.unwrap() < 0.05));
            reject("max-T", metric.best.len() < RUNS);
        }
    }
}

fn comparison_cell(design: &Design, simulations: u64) -> Tallies {
    let (label_task, text_task, population) = (label_task(design.labels), text_task(), design.population());
    let worse = Design { quality: design.quality - 0.1, ..*design }.population();
    simulate(simulations, |random, tallies| {
        let drawn = design.draw([&population; RUNS], random);
        let null = truths(&population, &IndexSet::from([0])).into_iter().map(|(key, _)| (key, 0.0)).collect::<Vec<_>>();
        let tables = (0..RUNS).map(|run| labels(&drawn, run, design, &label_task));
        comparison(tables, "label", &null, "equal", tallies);
        let drawn = design.draw_texts(random);
        let tables = (0..RUNS).map(|run| texts(&drawn, run, &text_task));
        comparison(tables, "text", &[("rougeL", 0.0)], "equal", tallies);
        let drawn = design.draw([&population, &worse, &population, &population], random);
        let occurring = drawn.iter().map(|row| row.label).collect();
        let better = truths(&population, &occurring);
        let truths =
            better.into_iter().zip(truths(&worse, &occurring)).map(|((key, better), (_, worse))| (key, worse - better));
        let tables = (0..2).map(|run| labels(&drawn, run, design, &label_task));
        comparison(tables, "label", &truths.collect::<Vec<_>>(), "worse", tallies);
    })
}

/// The designs of which many simulations are run, and those of which fewer are, with their names and simulations; and whether
/// these are all.
fn cells(many: Vec<Design>, fewer: Vec<Design>) -> (Vec<(String, Design, u64)>, bool) {
    let only = std::env::var("CELLS").ok();
    let given: Option<u64> = std::env::var("SIMULATIONS").ok().map(|n| n.parse().expect("a number"));
    let with = |designs: Vec<Design>, simulations: u64| {
        designs.into_iter().map(move |design| (design.to_string(), design, given.unwrap_or(simulations)))
    };
    let mut cells: Vec<(String, Design, u64)> = with(many, 5000).chain(with(fewer, 1000)).collect();
    let all = only.is_none();
    cells.retain(|(name, ..)| only.as_ref().is_none_or(|only| name.contains(only)));
    (cells, all)
}

/// How many simulations the cells took.
fn effort() -> String {
    match std::env::var("SIMULATIONS") {
        Ok(n) => format!("{n} simulations a cell"),
        Err(_) => "5,000 simulations in each of the first seven cells, 1,000 in each of the others".into(),
    }
}

fn publish(name: &str, text: &str, all: bool) {
    println!("{text}");
    if all {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/coverage");
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(format!("{folder}/{name}.md"), text).unwrap();
    }
}

/// A table with a row a cell and a column a metric.
fn table(
    head: &str,
    columns: &[&'static str],
    what: &'static str,
    cells: &[(String, Tallies)],
    cell: fn(&Tally) -> String,
) -> String {
    let mut text = format!("\n{head}\n\n| design | {} |\n|---{}|\n", columns.join(" | "), "|---".repeat(columns.len()));
    for (name, tallies) in cells {
        let of = columns.iter().map(|key| tallies.get(&(*key, what)).map_or(String::new(), cell));
        writeln!(text, "| {name} | {} |", of.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    text
}

/// Every number of every cell.
fn details(cells: &[(String, Tallies)]) -> String {
    let mut text =
        "\nAll numbers: coverage (of tests: rejected), mean width, truth below and above, bias, share withheld.\n"
            .to_owned();
    for (name, tallies) in cells {
        write!(text, "\n{name}\n\n| metric | by | % | width | below | above | bias | withheld |\n|---|---|---|---|---|---|---|---|\n").unwrap();
        for ((key, what), tally) in tallies {
            writeln!(text, "| {key} | {what} | {} |", tally.line()).unwrap();
        }
    }
    text
}

/// By metric and method: cells that show it, the least coverage, and how many fail.
fn summary(cells: &[(String, Tallies)]) -> String {
    let mut by: IndexMap<(&str, &str), Vec<Tally>> = IndexMap::new();
    for (name, tally) in cells.iter().flat_map(|(_, tallies)| tallies) {
        by.entry(*name).or_default().push(*tally);
    }
    let mut text =
        "\n| metric | by | cells that show it | least coverage | median | fail |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for ((key, what), tallies) in by {
        let mut shown: Vec<f64> = tallies.iter().map(Tally::coverage).filter(|coverage| !coverage.is_nan()).collect();
        shown.sort_by(f64::total_cmp);
        let fails = tallies.iter().filter(|tally| tally.fails()).count();
        let number = |at: usize| shown.get(at).map_or("–".to_owned(), |coverage| format!("{coverage:.1}"));
        writeln!(
            text,
            "| {key} | {what} | {} of {} | {} | {} | {fails} |",
            shown.len(),
            tallies.len(),
            number(0),
            number(shown.len() / 2)
        )
        .unwrap();
    }
    text
}

#[test]
#[ignore = "an hour of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn intervals_hold() {
    let (cells, all) = cells(named(), crossed());
    let designs: Vec<(String, Tallies)> = cells.iter().map(intervals).collect();
    let simulations = cells.last().map_or(0, |(.., simulations)| *simulations);
    let judge = |judge: &Judge| (judge.to_string(), judge_cell(judge, simulations));
    let judges: Vec<(String, Tallies)> = judges().iter().map(judge).collect();
    let every = [designs.clone(), judges.clone()].concat();
    let metrics = ["accuracy", "weighted_f1", "macro_f1_present", "macro_f1", "balanced_accuracy", "mcc", "rougeL"];
    let text = [
        format!(
            "# Coverage of 95 % intervals\n\nBy `tests/coverage`: {}, 500 resamples. In a cell: coverage in per cent of those shown (mean \
             width, share withheld). **fails**: below 93 % by more than chance; c: conservative, above 97 %.\n",
            effort()
        ),
        table("## By default", &metrics, "default", &designs, Tally::cell),
        table("## By label", &["class precision", "class recall", "class f1"], "default", &designs, Tally::cell),
        table("## The bootstrap beside it", &metrics[1..4], "beside", &designs, Tally::cell),
        table(
            "## Of probabilities",
            &["brier", "log_loss", "roc_auc", "average_precision", "ece"],
            "default",
            &judges,
            Tally::cell,
        ),
        format!("\n## All methods\n{}", summary(&every)),
        details(&every),
    ];
    publish("intervals", &text.concat(), all);
    let fails = |(name, tallies): &(String, Tallies)| {
        let of = |(key, what): &(&str, &str), tally: &Tally| {
            (["default", "beside"].contains(what) && tally.fails())
                .then(|| format!("{name}: {key} by {what}: {}", tally.cell()))
        };
        tallies.iter().filter_map(|(name, tally)| of(name, tally)).collect::<Vec<_>>()
    };
    let failed: Vec<String> = every.iter().flat_map(fails).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Which is told, as it can't be helped: nothing shows which of such rows are of one account.
#[test]
#[ignore = "minutes of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn unknown_accounts_narrow_intervals() {
    let (cells, all) = cells(vec![], hidden());
    let simulations = cells.last().map_or(0, |(.., simulations)| *simulations);
    let cells: Vec<(String, Tallies)> = cells.iter().map(intervals).collect();
    let metrics = ["accuracy", "weighted_f1", "macro_f1_present", "macro_f1", "balanced_accuracy", "mcc", "rougeL"];
    let tables = METHODS.map(|(name, _)| table(&format!("## By {name}"), &metrics, name, &cells, Tally::cell));
    let head = format!(
        "# Where accounts are unknown\n\nBy `tests/coverage`: {simulations} simulations a cell, 500 resamples. Rows of an account are alike; \
         one of unknown account stands by itself. Cells as in [intervals.md](intervals.md).\n"
    );
    publish("unknown_accounts", &[&head[..], &tables.concat()].concat(), all);
    let fails = |tallies: &Tallies| tallies.iter().any(|((_, what), tally)| *what == "default" && tally.fails());
    for (name, tallies) in cells {
        assert!(name.contains("unknown") || !fails(&tallies), "{name}");
    }
}

#[test]
#[ignore = "an hour of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn comparisons_hold() {
    let (cells, all) = cells(named(), crossed());
    let simulated = |(name, design, simulations): &(String, Design, u64)| {
        let name = format!("{name}, correlation {}", design.correlation);
        eprintln!("{name}");
        (name, comparison_cell(design, *simulations))
    };
    let cells: Vec<(String, Tallies)> = cells.iter().map(simulated).collect();
    let metrics = ["accuracy", "weighted_f1", "macro_f1_present", "balanced_accuracy", "mcc", "rougeL"];
    let rejected = |tally: &Tally| {
        format!("{:.1}{}", tally.coverage(), if tally.rejects_too_often() { " **too often**" } else { "" })
    };
    let text = [
        format!("# Comparisons\n\nFour runs over the same data. By `tests/coverage`: {}, 500 resamples.\n", effort()),
        table("## True nulls rejected at 5 %, two runs", &metrics, "p", &cells, rejected),
        table("## Any of three true nulls rejected, adjusted by Holm", &metrics, "Holm", &cells, rejected),
        table("## Any of four equal runs told from the best, by max-T", &metrics, "max-T", &cells, rejected),
        table("## Coverage of differences that are 0", &metrics, "equal", &cells, Tally::cell),
        table(
            "## Coverage of differences from a run that is worse by 0.1",
            &metrics[..5],
            "worse",
            &cells,
            Tally::cell,
        ),
        details(&cells),
    ];
    publish("comparisons", &text.concat(), all);
    let wrong = |(name, tallies): &(String, Tallies)| {
        let of = |(key, what): &(&str, &str), tally: &Tally| {
            let is_wrong = match *what {
                "equal" | "worse" => tally.fails(),
                _ => tally.rejects_too_often(),
            };
            is_wrong.then(|| format!("{name}: {key}, {what}: {}", tally.cell()))
        };
        tallies.iter().filter_map(|(name, tally)| of(name, tally)).collect::<Vec<_>>()
    };
    let wrong: Vec<String> = cells.iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Intervals over all annotators and, where there are more than two, of the first two.
fn people_cell(people: &People, simulations: u64) -> Tallies {
    let truth = agreement(&people.truth(), people.scale());
    simulate(simulations, |random, tallies| {
        let drawn = agreement(&people.draw(random), people.scale());
        for coefficient in people.scale().coefficients() {
            let key = coefficient.key;
            let mut tally = |what, drawn: &Metric, truth: &Metric| {
                tallies.entry((key, what)).or_default().interval(drawn.value, [drawn.low, drawn.high], truth.value);
            };
            tally("all", &drawn.metrics[key], &truth.metrics[key]);
            if people.annotators > 2 {
                tally("two of them", &drawn.pairs[0].metrics[key], &truth.pairs[0].metrics[key]);
            }
        }
    })
}

#[test]
#[ignore = "minutes of simulation: cargo test --test coverage agreement -- --ignored --nocapture"]
fn intervals_of_agreement_hold() {
    let only = std::env::var("CELLS").ok();
    let simulations = std::env::var("SIMULATIONS").map_or(1000, |n| n.parse().expect("a number"));
    let mut people = people();
    people.retain(|people| only.as_ref().is_none_or(|only| people.to_string().contains(only)));
    let simulated = |people: &People| {
        let name = people.to_string();
        eprintln!("{name}");
        (name, people_cell(people, simulations))
    };
    let cells: Vec<(String, Tallies)> = people.iter().map(simulated).collect();
    let labels = ["percent_agreement", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha", "gwet_ac1", "macro_f1"];
    let ratings = ["percent_agreement", "weighted_kappa", "krippendorff_alpha"];
    let (of_ratings, of_labels): (Vec<_>, Vec<_>) = cells.iter().cloned().partition(|(name, _)| name.contains("1–5"));
    let text = [
        format!(
            "# Coverage of 95 % intervals of agreement\n\nBy `cargo test --test coverage agreement -- --ignored`: {simulations} simulations \
             a cell. Cells as in [intervals.md](intervals.md).\n"
        ),
        table("## Labels", &labels, "all", &of_labels, Tally::cell),
        table("## Ratings", &ratings, "all", &of_ratings, Tally::cell),
        details(&cells),
    ];
    publish("agreement", &text.concat(), only.is_none());
    let failed = |(name, tallies): &(String, Tallies)| {
        let of = |((key, what), tally): (&(&str, &str), &Tally)| {
            tally.fails().then(|| format!("{name}: {key} of {what}: {}", tally.cell()))
        };
        tallies.iter().filter_map(of).collect::<Vec<_>>()
    };
    let failed: Vec<String> = cells.iter().flat_map(failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
#[ignore = "minutes of simulation: cargo test --test coverage -- --ignored --nocapture"]
fn plans_hold() {
    let mut text =
        "# Power\n\nWhat `compare --plan` reckons with, and how often the test showed it in 10,000 simulations.\n\n\
                    | rows | disagree | differ | reckoned | simulated |\n|---|---|---|---|---|\n"
            .to_owned();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut shares = |shown: &mut dyn FnMut(&mut ChaCha8Rng) -> bool| {
        (0..10_000).filter(|_| shown(&mut random)).count() as f64 / 10_000.0
    };
    let mut off = Vec::new();
    for rows in [40u64, 120, 300, 655] {
        for discordance in [0.02, 0.05, 0.1, 0.2, 0.3] {
            for share in [0.2, 0.35, 0.5, 0.75, 1.0] {
                let difference = discordance * share;
                let power = mcnemar_power(rows, discordance, difference);
                let simulated = shares(&mut |random| {
                    let (mut gained, mut lost) = (0, 0);
                    for _ in 0..rows {
                        if random.random_bool(discordance) {
                            if random.random_bool(0.5 + share / 2.0) { gained += 1 } else { lost += 1 }
                        }
                    }
                    mcnemar(gained, lost) < 0.05
                });
                writeln!(text, "| {rows} | {discordance} | {difference:.3} | {power:.3} | {simulated:.3} |").unwrap();
                off.push((power - simulated).abs());
            }
        }
    }
    text += "\nDifferences of ROUGE with a standard deviation of 0.1, of the size that is to be shown 80 times of 100:\n\n\
             | rows | differ | simulated, by sign flips |\n|---|---|---|\n";
    for rows in [10usize, 20, 40, 120] {
        let difference = smallest_difference(0.1 / (rows as f64).sqrt(), rows as f64 - 1.0);
        let task = text_task();
        let simulated = shares(&mut |random| {
            let values: Vec<f64> = (0..rows).map(|_| difference + 0.1 * normal(random)).collect();
            let run = |name: &str, of: &dyn Fn(f64) -> f64| {
                let row = |(index, value): (usize, &f64)| Row {
                    metrics: [("rougeL".to_owned(), of(*value))].into(),
                    ..row(index, None, "text")
                };
                let rows: Vec<Row> = values.iter().enumerate().map(row).collect();
                Run { name: name.into(), table: Table::of(&rows, &task).unwrap() }
            };
            let runs = [run("a", &|_| 0.0), run("b", &|value| value)];
            compare(&runs, &SETTINGS).unwrap().tasks["text"].metrics["rougeL"].differences[0].p.unwrap() < 0.05
        });
        writeln!(text, "| {rows} | {difference:.4} | {simulated:.3} |").unwrap();
        off.push((0.8 - simulated).abs());
    }
    publish("power", &text, true);
    let worst = off.into_iter().fold(0.0, f64::max);
    assert!(worst < 0.02, "{worst}");
}
