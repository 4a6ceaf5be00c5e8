//! What an examiner asks of generated data, each with what answers it here or with what is missing.

use serde::Serialize;

use super::sections::otherwise;
use super::verdict::{interval, is_mix, labels_instead, mixes_in};
use super::{GalReport, Side};
use crate::gal::ladder::{Difference, TaskLadder};
use crate::report::metrics::{self, count, counted, decimal, percent};

/// A question and its answer.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Question {
    pub question: &'static str,
    pub answer: String,
    /// Then the answer is what would give one.
    pub is_missing: bool,
}

const ABLATE: &str = "`reels gal ablate` trains a student on the real records, on controls and on mixes.";

/// What answers a question, or what is missing for it.
type Answer = fn(&GalReport) -> Result<String, String>;

/// The twelve of them.
pub fn questions(report: &GalReport) -> Vec<Question> {
    let asked: [(&'static str, Answer); 12] = [
        (
            "Is the gain larger than that of the same training on real data, or of self-distillation without new text?",
            controls,
        ),
        ("Is the teacher somebody else than the judge, and did the teacher see the test set?", judge),
        ("Which test Reels have a neighbour in what was learned from, and what is the score without them?", neighbours),
        ("How many seeds, and is the interval by account?", seeds),
        ("Does it hold at every ratio, and where does it saturate?", saturation),
        ("How often does the teacher disagree with what was asked for?", requested),
        ("What do people say of a random sample of kept and rejected rows?", people),
        ("How varied are generated texts beside real ones?", diversity),
        ("Does it help the rare labels, or only the frequent ones?", rare),
        ("Could more labelled Reels have done it?", labels),
        ("Under which licence, and with whose personal data?", licence),
        ("Can it be run again?", again),
    ];
    let of = |(question, answer): (&'static str, Answer)| match answer(report) {
        Ok(answer) => Question { question, answer, is_missing: false },
        Err(answer) => Question { question, answer, is_missing: true },
    };
    asked.into_iter().map(of).collect()
}

/// A sentence a task; what is missing where there is no task.
fn each_task(report: &GalReport, of: impl Fn(&TaskLadder) -> Option<String>) -> Result<String, String> {
    let told: Vec<String> = report.tasks.iter().filter_map(of).collect();
    if told.is_empty() { Err(ABLATE.to_owned()) } else { Ok(told.join(" ")) }
}

fn listed(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(|each| format!("{} − {}: {}", each.arm, each.from, interval(&each.by)))
        .collect::<Vec<_>>()
        .join("; ")
}

fn controls(report: &GalReport) -> Result<String, String> {
    let told = each_task(report, |ladder| {
        (!ladder.from_controls.is_empty()).then(|| {
            format!("{}, in {}: {}.", ladder.task, metrics::name(ladder.metric), listed(&ladder.from_controls))
        })
    })?;
    let without = report.ablation.iter().flat_map(|ablation| &ablation.without);
    let without: String = without.map(|[arm, why]| format!(" Without {arm}: {why}.")).collect();
    Ok(format!("{told}{without}"))
}

fn judge(report: &GalReport) -> Result<String, String> {
    let Some(ablation) = &report.ablation else { return Err(ABLATE.to_owned()) };
    let [writer, teacher] = &report.makers;
    let [shown, kept] = report.locked.map(|locked| locked.map(|records| counted(records, "record")));
    let lock = match (shown, kept) {
        (Some(shown), Some(kept)) => {
            format!("What the lock keeps was refused in seeds and prompts ({shown}) and rejected in rows ({kept})")
        }
        (None, Some(kept)) => {
            format!("What the lock keeps ({kept}) was rejected in rows; prompts were written without a lock")
        }
        _ => "There was no test.lock: whether seeds, prompts or rows held the test set is told by the neighbours alone"
            .to_owned(),
    };
    let of_test = report.locked_of_test.map_or(String::new(), |locked| {
        format!("; it holds {} of the {} test Reels", count(locked), count(ablation.test.records))
    });
    Ok(format!(
        "The judge is the gold answers of {}; {} wrote, {} labelled, {} learned. {lock}{of_test}. Whether the weights of the writer or the teacher \
         have seen the test set can’t be told from here.",
        ablation.test.path, writer.name, teacher.name, ablation.student
    ))
}

fn neighbours(report: &GalReport) -> Result<String, String> {
    let Some(ablation) = &report.ablation else { return Err(ABLATE.to_owned()) };
    let real = report.neighbours.iter().map(|each| each.real.len()).max().unwrap_or(0);
    let generated = report.neighbours.iter().map(|each| each.generated.len()).max().unwrap_or(0);
    let mut told = format!(
        "Of {}, {} have one in the real records and {} in the generated rows of an arm.",
        counted(ablation.test.records, "test Reel"),
        count(real),
        count(generated)
    );
    for ladder in &report.tasks {
        if let Some(part) = &ladder.without_neighbours {
            told.push_str(&format!(" {} without them: {}.", ladder.task, mixes_in(part)));
        }
    }
    Ok(told)
}

fn seeds(report: &GalReport) -> Result<String, String> {
    let Some(ablation) = &report.ablation else { return Err(ABLATE.to_owned()) };
    let units: Vec<String> = report
        .tasks
        .iter()
        .map(|ladder| format!("{} of {}", counted(ladder.sampling.clusters, ladder.sampling.unit()), ladder.task))
        .collect();
    let few = if ablation.seeds < 3 { " Fewer than three seeds tell little of how they differ." } else { "" };
    Ok(format!(
        "{}: a seed draws the rows of a mix and starts the training; candidates and labels were made once. Intervals are over seeds and {}.{few}",
        counted(ablation.seeds, "seed"),
        units.join(", ")
    ))
}

fn saturation(report: &GalReport) -> Result<String, String> {
    each_task(report, |ladder| {
        let real: Vec<Difference> = ladder.from_real.iter().filter(|each| is_mix(ladder, &each.arm)).cloned().collect();
        (!real.is_empty()).then(|| {
            let growth = if ladder.growth.is_empty() {
                String::new()
            } else {
                format!("; from one to the next {}", listed(&ladder.growth))
            };
            format!("{}, in {}: {}{growth}.", ladder.task, metrics::name(ladder.metric), listed(&real))
        })
    })
}

fn requested(report: &GalReport) -> Result<String, String> {
    let told: Vec<String> = report
        .assigned
        .iter()
        .map(|(task, assigned)| {
            let [other, all] = otherwise(assigned);
            format!("{task}: {} of {} rows ({}).", count(other), count(all), percent(other as f64 / all.max(1) as f64))
        })
        .collect();
    if told.is_empty() {
        return Ok("No label was asked for (--task none), so that there is none to disagree with.".to_owned());
    }
    Ok(told.join(" "))
}

fn people(report: &GalReport) -> Result<String, String> {
    if report.people.is_empty() {
        return Err(
            "`reels gal review` draws rows for two people; `reels gal report --annotations` takes their answers."
                .to_owned(),
        );
    }
    let side = |side: &Side| {
        side.as_the_teacher.map_or("none".to_owned(), |[value, low, high]| {
            format!("{} ({} – {}) of {}", decimal(value), decimal(low), decimal(high), counted(side.labels, "label"))
        })
    };
    let told = report.people.iter().map(|(task, reviewed)| {
        format!(
            "{task}: people give the teacher’s label to {} about kept rows and {} about rejected ones.",
            side(&reviewed.kept),
            side(&reviewed.rejected)
        )
    });
    let told: Vec<String> = told.collect();
    let two = report.people.values().any(|reviewed| reviewed.kept.agreement.is_some());
    Ok(format!("{}{}", told.join(" "), if two { "" } else { " No two people answered about one row." }))
}

fn diversity(report: &GalReport) -> Result<String, String> {
    let diversity = &report.diversity;
    let [real, generated] = [&diversity.real, &diversity.generated];
    if generated.texts == 0 {
        return Err("No row is kept.".to_owned());
    }
    let pair = |name: &str, of: &dyn Fn(&crate::gal::diversity::Texts) -> String| {
        format!("{name} {} real, {} generated", of(real), of(generated))
    };
    Ok(format!(
        "{}; {}; {}; {}; {}.",
        pair("words", &|texts| format!("{:.0}", texts.words.median)),
        pair("distinct-1", &|texts| decimal(texts.distinct[0])),
        pair("distinct-2", &|texts| decimal(texts.distinct[1])),
        pair("colloquial words", &|texts| format!("{:.1}\u{a0}%", 100.0 * texts.slang)),
        pair("ROUGE-L with the nearest real text", &|texts| decimal(texts.nearest.median)),
    ))
}

fn rare(report: &GalReport) -> Result<String, String> {
    let has_labels = report.tasks.iter().any(|ladder| ladder.rare.is_some());
    if !report.tasks.is_empty() && !has_labels {
        return Err("No test row has a label with fewer real records than an equal share.".to_owned());
    }
    each_task(report, |ladder| {
        let rare = ladder.rare.as_ref()?;
        let frequent =
            ladder.frequent.as_ref().map_or(String::new(), |part| format!("; frequent ones: {}", mixes_in(part)));
        Some(format!(
            "{}, accuracy over {} with a rare label: {}{frequent}.",
            ladder.task,
            counted(rare.rows, "row"),
            mixes_in(rare)
        ))
    })
}

fn labels(report: &GalReport) -> Result<String, String> {
    each_task(report, |ladder| Some(format!("{}.", labels_instead(ladder)?)))
}

fn licence(report: &GalReport) -> Result<String, String> {
    let personal = format!(
        "Kept rows with a handle, an address, a long number or 13 words in a row of a seed: {}; with a handle, an address or a long \
         number at all: {}",
        count(report.memorised),
        count(report.identifying)
    );
    let of = |maker: &super::Maker| maker.licence.as_ref().map(|licence| format!("{}: {licence}", maker.name));
    match [of(&report.makers[0]), of(&report.makers[1])] {
        [Some(writer), Some(teacher)] if writer == teacher => Ok(format!("{personal}. Licence of {writer}.")),
        [Some(writer), Some(teacher)] => Ok(format!("{personal}. Licences: {writer}; {teacher}.")),
        _ => Err(format!(
            "{personal}. Under which licence {} may be used has to be said by hand: what made it doesn’t say it.",
            if report.makers[0].licence.is_none() { "what was written" } else { "what was labelled" }
        )),
    }
}

fn again(report: &GalReport) -> Result<String, String> {
    let hash = |sha256: &str| sha256.chars().take(12).collect::<String>();
    let [writer, teacher] = &report.makers;
    let hosted = report.makers.iter().any(|maker| maker.manifest.hosted.is_some());
    let ablation = report.ablation.as_ref().map_or(String::new(), |ablation| {
        format!(
            "; real records {}, test {}, rows {}, prompts {}",
            hash(&ablation.real.sha256),
            hash(&ablation.test.sha256),
            hash(&ablation.rows_sha256),
            hash(&ablation.prompts_sha256)
        )
    });
    let same = if hosted {
        "A hosted model may answer otherwise another time: its rows are kept, and all from `reels gal filter` on is the same again"
    } else {
        "With --reproducible candidates and answers are the same bytes; all from `reels gal filter` on is the same again"
    };
    Ok(format!(
        "{same}. Each row has its seeds, prompt, model, sampling and attempt. SHA-256: writer {}, teacher {}{ablation}. reels {}.",
        hash(&writer.sha256),
        hash(&teacher.sha256),
        env!("CARGO_PKG_VERSION")
    ))
}
