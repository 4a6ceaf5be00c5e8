//! What of the candidates is fit to learn from: texts first, then what the teacher made of them; with each filter's yield.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Result, anyhow};
use indexmap::IndexMap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::checks::{Checks, FILTERS, Rejected};
use super::row::{Origin, each_row};
use crate::error::Hint;
use crate::lines::Lines;
use crate::prediction::Finish;
use crate::reel::Reel;
use crate::score::unsupported;
use crate::task::{Task, TaskKind};

/// The filters for labels and answers, in the order in which they look.
const OF_ANSWERS: [&str; 6] = ["unlabelled", "cut_answer", "confidence", "agreement", "unsupported", "balance"];
/// Texts that are looked at together.
const TOGETHER: usize = 4096;

/// What a row has to reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Probability of the label, by the teacher.
    pub confidence: f64,
    /// Share of the answers that gave it.
    pub agreement: f64,
    /// Rows of a label of the first label task, at most; `None` keeps all.
    pub per_label: Option<usize>,
    /// Learn the label alone, and not how sure the teacher was.
    pub hard: bool,
}

/// What a filter did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yield {
    /// Its name.
    pub filter: String,
    /// Rows that came to it.
    pub came: usize,
    /// Of these, rejected.
    pub rejected: usize,
}

/// What the filters came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filtered {
    /// Candidates that were looked at.
    pub rows: usize,
    /// Of these, kept.
    pub kept: usize,
    #[expect(missing_docs, reason = "the type says it")]
    pub yields: Vec<Yield>,
    /// By label task, how many of the kept rows have a label.
    pub labels: BTreeMap<String, BTreeMap<String, usize>>,
    /// By label task, how often a label was requested and another or the same one was given: requested, given, rows.
    pub assigned: BTreeMap<String, BTreeMap<String, BTreeMap<String, usize>>>,
}

/// One answer of a teacher.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    repeat: u32,
    /// Empty where it failed.
    output: String,
    finish: Finish,
    is_label: bool,
    /// Natural-log probability of each of the task's labels, where they were scored.
    logprobs: Option<Box<[f64]>>,
}

/// What a teacher says of Reels, by id and task: its answers, first to last.
pub type Answers = HashMap<String, HashMap<String, Vec<Said>>>;

/// Of a prediction what is looked at here.
#[derive(Deserialize)]
struct Line {
    reel_id: String,
    task: String,
    repeat: u32,
    output: String,
    finish: Finish,
    label_logprobs: Option<HashMap<String, f64>>,
}

/// Reads a `predictions.jsonl`, line by line; where an answer stands on several lines, the last one counts.
///
/// # Errors
/// Names the file and the line that isn't a prediction.
pub fn answers(predictions: &Path, tasks: &[Task]) -> Result<Answers> {
    let lines = Lines::open(predictions, "predictions")?;
    let mut answers = Answers::new();
    lines.each(|line| {
        match serde_json::from_slice::<Line>(line.bytes) {
            Ok(line) => take(&mut answers, line, tasks),
            Err(_) if !line.ended || line.bytes.trim_ascii().is_empty() => {}
            Err(error) => {
                let at = format!("{}:{}: not a prediction: {error}", lines.name(), line.place.number);
                return Err(anyhow!(at)).hint("a predictions.jsonl is written by `reels gal annotate`");
            }
        }
        Ok(())
    })?;
    Ok(answers)
}

/// Whether a teacher gave a label once alone and didn't say how sure it is: then its confidence and agreement are 1, whatever it
/// said.
pub fn says_nothing_of_sureness(answers: &Answers) -> bool {
    let once = |said: &Vec<Said>| matches!(&said[..], [one] if one.is_label && one.logprobs.is_none());
    let labels = |tasks: &HashMap<String, Vec<Said>>| tasks.values().any(once);
    answers.values().any(labels)
}

fn take(answers: &mut Answers, line: Line, tasks: &[Task]) {
    let Some(task) = tasks.iter().find(|task| task.name == line.task) else { return };
    let of = answers.entry(line.reel_id).or_default().entry(line.task).or_default();
    of.retain(|earlier| earlier.repeat != line.repeat);
    let logprobs = line.label_logprobs.and_then(|logprobs| {
        task.labels.iter().map(|label| logprobs.get(label).copied()).collect::<Option<Box<[f64]>>>()
    });
    let place = of.partition_point(|earlier| earlier.repeat < line.repeat);
    of.insert(
        place,
        Said {
            repeat: line.repeat,
            output: line.output,
            finish: line.finish,
            is_label: task.kind == TaskKind::Label,
            logprobs,
        },
    );
}

/// What a label task's answers come to.
struct Label {
    label: String,
    /// Mean probability of each label, or the share of answers where there are no probabilities.
    shares: BTreeMap<String, f64>,
    votes: IndexMap<String, usize>,
    agreement: f64,
}

impl Label {
    /// `None` where no answer is a label.
    fn of(task: &Task, answers: &[Said]) -> Option<Label> {
        let given: Vec<&Said> = answers.iter().filter(|said| task.labels.contains(&said.output)).collect();
        let count = given.len() as f64;
        let mut votes: IndexMap<String, usize> = IndexMap::new();
        given.iter().for_each(|said| *votes.entry(said.output.clone()).or_default() += 1);
        let scores: Option<Vec<&[f64]>> = given.iter().map(|said| said.logprobs.as_deref()).collect();
        let share = |at: usize| match &scores {
            Some(scores) => scores.iter().map(|logprobs| logprobs[at].exp()).sum::<f64>() / count,
            None => votes.get(&task.labels[at]).copied().unwrap_or(0) as f64 / count,
        };
        let shares: Vec<f64> = (0..task.labels.len()).map(share).collect();
        // Of equal ones the label that the task lists first.
        let best = (0..shares.len()).rev().max_by(|a, b| shares[*a].total_cmp(&shares[*b])).filter(|_| count > 0.0)?;
        let label = task.labels[best].clone();
        // Of all that were asked for: one that failed or is no label agrees with none.
        let agreement = votes.get(&label).copied().unwrap_or(0) as f64 / answers.len() as f64;
        // What is nearly never is never: a soft label is learned as an example a label.
        let rounded = |share: f64| (share * 1e4).round() / 1e4;
        let mut shares: BTreeMap<String, f64> = task
            .labels
            .iter()
            .cloned()
            .zip(shares.iter().copied().map(rounded))
            .filter(|(_, share)| *share > 0.0)
            .collect();
        let sum: f64 = shares.values().sum();
        shares.values_mut().for_each(|share| *share /= sum);
        Some(Label { label, shares, votes, agreement })
    }
}

/// Looks at all candidates, in their order, and hands on each with what was found of it, kept or rejected.
///
/// # Errors
/// Names a record that wasn't generated; or what `row` says.
pub fn filter(
    candidates: &Path,
    answers: &Answers,
    tasks: &[Task],
    teacher: Option<&str>,
    mut checks: Checks,
    limits: &Limits,
    row: &mut dyn FnMut(&Reel) -> Result<()>,
) -> Result<Filtered> {
    let mut filtered = Filtered::default();
    let mut rejected: HashMap<&'static str, usize> = HashMap::new();
    let mut kept_of: HashMap<String, usize> = HashMap::new();
    let mut together: Vec<(Reel, Origin)> = vec![];
    let mut look = |reels: &mut Vec<(Reel, Origin)>| -> Result<()> {
        let looked: Vec<_> = reels.par_iter().map(|(reel, _)| checks.look(reel)).collect();
        for ((mut reel, mut origin), looked) in reels.drain(..).zip(looked) {
            let mut scores = IndexMap::new();
            let found = checks.pass(&reel, &origin, looked, &mut scores);
            let of_reel = answers.get(&reel.id);
            let found = found.and_then(|()| learn(&mut reel, &mut origin, of_reel, tasks, limits, &mut scores));
            let found = found.and_then(|()| balance(&reel, tasks, limits, &mut kept_of));
            for (task, label) in &origin.requested {
                if let Some(given) = reel.reference.get(task) {
                    let of = filtered.assigned.entry(task.clone()).or_default().entry(label.clone()).or_default();
                    *of.entry(given.clone()).or_default() += 1;
                }
            }
            filtered.rows += 1;
            filtered.kept += usize::from(found.is_ok());
            let is_label = |name: &str| tasks.iter().any(|task| task.name == *name && task.kind == TaskKind::Label);
            for (task, label) in reel.reference.iter().filter(|(task, _)| found.is_ok() && is_label(task)) {
                *filtered.labels.entry(task.clone()).or_default().entry(label.clone()).or_default() += 1;
            }
            if let Err(Rejected { by, because }) = found {
                *rejected.entry(by).or_default() += 1;
                (origin.rejected, origin.because) = (Some(by.to_owned()), Some(because));
            }
            origin.scores = scores;
            origin.teacher = teacher.filter(|_| of_reel.is_some()).map(str::to_owned);
            origin.into_reel(&mut reel)?;
            row(&reel)?;
        }
        Ok(())
    };
    each_row(candidates, &mut |reel, origin| {
        together.push((reel, origin));
        if together.len() == TOGETHER { look(&mut together) } else { Ok(()) }
    })?;
    look(&mut together)?;
    let mut came = filtered.rows;
    for name in FILTERS.into_iter().chain(OF_ANSWERS) {
        let rejected = rejected.get(name).copied().unwrap_or(0);
        filtered.yields.push(Yield { filter: name.to_owned(), came, rejected });
        came -= rejected;
    }
    Ok(filtered)
}

/// Takes over what the teacher says, where it is sure enough.
fn learn(
    reel: &mut Reel,
    origin: &mut Origin,
    answers: Option<&HashMap<String, Vec<Said>>>,
    tasks: &[Task],
    limits: &Limits,
    scores: &mut IndexMap<String, f64>,
) -> Result<(), Rejected> {
    let mut found: Option<Rejected> = None;
    let place = |by: &str| OF_ANSWERS.iter().position(|name| *name == by);
    // The first filter counts, whichever task it is about.
    let mut reject = |by: &'static str, because: String| {
        if found.as_ref().is_none_or(|earlier| place(by) < place(earlier.by)) {
            found = Some(Rejected { by, because });
        }
    };
    for task in tasks {
        let of_task = answers.and_then(|answers| answers.get(&task.name)).map_or(&[][..], Vec::as_slice);
        match task.kind {
            TaskKind::Label => {
                let Some(Label { label, shares, votes, agreement }) = Label::of(task, of_task) else {
                    reject("unlabelled", format!("the teacher has no {} for it", task.name));
                    continue;
                };
                let sure = shares.get(&label).copied().unwrap_or(0.0);
                scores.insert(format!("confidence.{}", task.name), sure);
                scores.insert(format!("agreement.{}", task.name), agreement);
                if sure < limits.confidence {
                    reject("confidence", format!("{} {label} with {sure:.2}, below {}", task.name, limits.confidence));
                } else if agreement < limits.agreement {
                    let given = of_task.len();
                    reject(
                        "agreement",
                        format!("{} {label} in {:.0} of {given} answers", task.name, agreement * given as f64),
                    );
                }
                origin.votes.insert(task.name.clone(), votes);
                reel.reference.insert(task.name.clone(), label);
                if !limits.hard {
                    reel.soft.get_or_insert_default().insert(task.name.clone(), shares);
                }
            }
            TaskKind::Text => {
                let Some(text) = of_task.first() else {
                    reject("unlabelled", format!("the teacher has no {} for it", task.name));
                    continue;
                };
                if text.finish != Finish::Stop || text.output.trim().is_empty() {
                    reject("cut_answer", format!("the teacher’s {} has no proper end", task.name));
                }
                let stated = unsupported(&text.output, reel);
                if let Some(first) = stated.first() {
                    reject("unsupported", format!("{} states what the Reel doesn’t, such as {first:?}", task.name));
                }
                reel.reference.insert(task.name.clone(), text.output.clone());
            }
        }
    }
    found.map_or(Ok(()), Err)
}

/// Keeps so many of a label.
fn balance(reel: &Reel, tasks: &[Task], limits: &Limits, kept: &mut HashMap<String, usize>) -> Result<(), Rejected> {
    let task = tasks.iter().find(|task| task.kind == TaskKind::Label);
    let label = task.and_then(|task| reel.reference.get(&task.name));
    let (Some(most), Some(label)) = (limits.per_label, label) else { return Ok(()) };
    let kept = kept.entry(label.clone()).or_default();
    if *kept >= most {
        return Err(Rejected { by: "balance", because: format!("there are {most} of {label} already") });
    }
    *kept += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Vec<Task> {
        let text = "[task.summary]\nkind = \"text\"\ntemplate = \"t\"\nmax_tokens = 64\n[task.ad]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 8\nlabels = [\"iklan\", \"bukan\"]\n";
        crate::task::parse_tasks(text, "tasks.toml").unwrap()
    }

    fn candidate(at: usize, requested: &str) -> Reel {
        let transcript = [
            "bensin makin mahal jadi motor tua di garasi saya rawat sendiri pakai oli bekas dan kunci pas warisan",
            "lebaran tinggal seminggu adonan nastar sudah siap dipanggang bareng tetangga sambil dengerin takbiran",
            "lari pagi keliling stadion bikin lutut sehat asal sepatunya empuk kata pelatih atletik kampung kami",
            "akuarium bocor semalam ikan koki panik untung ember besar masih nganggur di belakang dapur nenek",
            "senar gitar putus pas manggung akhirnya penonton malah nyanyi bareng tanpa musik seru banget asli",
            "kaktus mini dari pasar bunga ternyata gampang mati kalau tiap hari disiram jadi jangan terlalu sayang",
        ][at]
            .to_owned();
        let mut reel = Reel { id: format!("g{at}"), transcript: Some(transcript), synthetic: true, ..Reel::default() };
        let origin =
            Origin { requested: [("ad".to_owned(), requested.to_owned())].into(), attempt: at, ..Origin::gal() };
        origin.into_reel(&mut reel).unwrap();
        reel
    }

    fn answer(at: usize, task: &str, repeat: u32, output: &str, iklan: Option<f64>) -> Line {
        let logprobs =
            iklan.map(|share| [("iklan".to_owned(), share.ln()), ("bukan".to_owned(), (1.0 - share).ln())].into());
        let (reel_id, task, output) = (format!("g{at}"), task.to_owned(), output.to_owned());
        Line { reel_id, task, repeat, output, finish: Finish::Stop, label_logprobs: logprobs }
    }

    const LIMITS: Limits = Limits { confidence: 0.6, agreement: 0.6, per_label: None, hard: false };

    fn run(limits: &Limits) -> (Vec<Reel>, Filtered) {
        let summary = |at| answer(at, "summary", 0, "Pembicara membahas topik yang ramai.", None);
        let mut predictions: Vec<Line> = (0..6).map(summary).collect();
        for (at, shares) in
            [(0, [0.9, 0.7, 0.8]), (1, [0.55, 0.5, 0.55]), (2, [0.95, 0.45, 0.45]), (3, [0.1, 0.2, 0.1])]
        {
            for (repeat, share) in (0..).zip(shares) {
                let output = if share >= 0.5 { "iklan" } else { "bukan" };
                predictions.push(answer(at, "ad", repeat, output, Some(share)));
            }
        }
        predictions.push(answer(4, "ad", 0, "tidak tahu", None));
        predictions[5].output = "Harganya 975.000 rupiah di Surabaya.".to_owned();
        predictions.push(answer(5, "ad", 0, "iklan", None));
        let file = tempfile::NamedTempFile::new().unwrap();
        let candidates = (0..6).map(|at| serde_json::to_string(&candidate(at, "iklan")).unwrap() + "\n");
        std::fs::write(file.path(), candidates.collect::<String>()).unwrap();
        let mut answers = Answers::new();
        // What stands on a later line counts.
        take(&mut answers, answer(0, "ad", 1, "bukan", Some(0.1)), &tasks());
        predictions.into_iter().rev().for_each(|line| take(&mut answers, line, &tasks()));
        let (mut rows, checks) = (vec![], Checks::new(&[], None));
        let mut row = |reel: &Reel| {
            rows.push(reel.clone());
            Ok(())
        };
        let filtered = filter(file.path(), &answers, &tasks(), Some("guru"), checks, limits, &mut row).unwrap();
        (rows, filtered)
    }

    #[test]
    fn rows_keep_what_the_teacher_says_and_say_why_they_are_rejected() {
        let (rows, Filtered { kept, yields, assigned, .. }) = run(&LIMITS);
        assert_eq!(kept, 2);
        let rejected: Vec<Option<String>> = rows.iter().map(|row| Origin::of(row).unwrap().rejected).collect();
        let expected = [None, Some("confidence"), Some("agreement"), None, Some("unlabelled"), Some("unsupported")];
        assert_eq!(rejected, expected.map(|name| name.map(str::to_owned)));
        assert_eq!(rows[0].reference["ad"], "iklan");
        assert!((rows[0].soft.as_ref().unwrap()["ad"]["iklan"] - 0.8).abs() < 1e-9);
        assert_eq!(
            Origin::of(&rows[2]).unwrap().votes["ad"],
            [("iklan".to_owned(), 1), ("bukan".to_owned(), 2)].into()
        );
        assert_eq!(rows[3].reference["ad"], "bukan", "the label is the teacher's");
        assert_eq!(assigned["ad"]["iklan"], [("bukan".to_owned(), 1), ("iklan".to_owned(), 4)].into());
        let told: Vec<(&str, usize, usize)> = yields
            .iter()
            .filter(|step| step.rejected > 0)
            .map(|step| (step.filter.as_str(), step.came, step.rejected))
            .collect();
        assert_eq!(told, [("unlabelled", 6, 1), ("confidence", 5, 1), ("agreement", 4, 1), ("unsupported", 3, 1)]);
    }

    #[test]
    fn labels_can_be_hard_and_even() {
        let (rows, _) = run(&Limits { hard: true, per_label: Some(0), ..LIMITS });
        assert!(rows.iter().all(|row| row.soft.is_none()));
        let because: Vec<Option<String>> = rows.iter().map(|row| Origin::of(row).unwrap().rejected).collect();
        assert_eq!(because[0].as_deref(), Some("balance"));
    }
}
