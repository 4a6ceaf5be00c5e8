//! `reels gal ablate`: one student after the other, each of other training data, all asked about the same Reels.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use super::{ANNOTATED, ROWS, build, needs};
use crate::ask::{Evaluation, LEDGER, Prompts, Records};
use crate::cli::GalAblateArgs;
use crate::commands::predict::{Predicted, finish_manifest, predict};
use crate::commands::score::{asked, restrict};
use crate::commands::{Code, export, folder, train};
use crate::config::{ExportOverrides, PredictOverrides, SettingsFile, TrainOverrides};
use crate::error::Hint;
use crate::gal::ablation::{Ablation, Arm, Kind, Source, drawn, kinds, part, wanted};
use crate::lines::Lines;
use crate::predict::predictions_path;
use crate::prediction::{Finish, Prediction, read_predictions};
use crate::prompt::PromptSet;
use crate::publish::{publish, write_json};
use crate::reel::Reel;
use crate::run::{Claim, read_manifest, sha256_file, stamps, timestamp};

use crate::score::{Join, Scoring};
use crate::stop::Stop;
use crate::task::{Task, TaskKind};
use crate::terminal;

/// Beside an arm's answers.
pub(super) const DATA: &str = "train.jsonl";
const LOG: &str = "log.txt";
pub(super) const SCORED: &str = "rows.jsonl";
const MODEL: &str = "model.gguf";
const RUN: &str = "run";
/// What says what was done.
pub(super) const ABLATION: &str = "ablation.json";

/// Who learns.
enum Student {
    Baseline,
    /// A Hugging Face directory, with the settings of `reels train`.
    Base(PathBuf),
}

/// All that runs have in common.
struct Runs<'a> {
    args: &'a GalAblateArgs,
    file: &'a SettingsFile,
    stop: &'a Stop,
    folder: PathBuf,
    prompts: PathBuf,
    student: Student,
    real: Vec<Reel>,
    kept: Vec<Reel>,
    /// Ascending.
    ratios: Vec<f64>,
    /// Names of the label tasks.
    labels: Vec<String>,
    /// Variants that the test set has judged.
    judged: usize,
}

pub(super) fn run(args: &GalAblateArgs, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    let (mut runs, mut ablation) = Runs::prepare(args, file, stop)?;
    let earlier = earlier(&runs.folder, &ablation)?;
    std::fs::create_dir_all(&runs.folder)?;
    let _claim = Claim::of(&runs.folder)?;
    let people = runs.real.len();
    errln!(
        "ablation {people} real records and up to {} generated rows, judged by {} Reels; {} seeds",
        wanted(people, runs.ratios.last().copied().unwrap_or(0.0)),
        ablation.test.records,
        args.seeds
    );
    for kind in kinds(&runs.ratios, runs.student.has_steps()) {
        let steps = (kind == Kind::Steps).then(|| ablation.arms.iter().rev().find_map(|arm| arm.steps)).flatten();
        let mut arm = runs.arm(kind, steps);
        if let Some(why) = runs.has_no_use_for(&arm) {
            errln!("{:<10} left out: {why}", arm.name);
            ablation.without.push([arm.name, why]);
            continue;
        }
        // What was done by an earlier command took its time then.
        let before = earlier.as_ref().and_then(|earlier| earlier.arms.iter().find(|other| other.name == arm.name));
        arm.seconds = before.map_or(0.0, |before| before.seconds);
        for seed in 1..=arm.seeds {
            if stop.wished() {
                return Ok(runs.interrupted());
            }
            let started = Instant::now();
            match runs.run(&mut arm, seed as u64)? {
                Code::Done => {}
                Code::Interrupted => return Ok(runs.interrupted()),
                code => {
                    errln!(
                        "{} seed {seed} is not at its end: {}",
                        arm.name,
                        runs.folder_of(&arm.name, seed as u64).join(LOG).display()
                    );
                    return Ok(code);
                }
            }
            let seconds = started.elapsed().as_secs_f64();
            arm.seconds += seconds;
            errln!("{:<10} seed {seed}: {} + {} records, {seconds:.1} s", arm.name, arm.real, arm.more);
        }
        ablation.arms.push(arm);
        // With those that an earlier command did and this one hasn't come to.
        let is_new = |other: &&Arm| ablation.arms.iter().all(|arm| arm.name != other.name);
        let later: Vec<Arm> = earlier.iter().flat_map(|earlier| &earlier.arms).filter(is_new).cloned().collect();
        let arms = [&ablation.arms[..], &later[..]].concat();
        write_json(&runs.folder.join(ABLATION), &Ablation { arms, ..ablation.clone() })?;
    }
    ablation.finished_at = Some(timestamp());
    write_json(&runs.folder.join(ABLATION), &ablation)?;
    if runs.judged > 0 {
        errln!(
            "note: {} variants have been judged by {} now ({LEDGER}): what is picked among them looks better than it is",
            runs.judged,
            args.test.display()
        );
    }
    errln!("hint: `reels gal report {}` says whether it helped", args.folder.display());
    Ok(Code::Done)
}

/// What was done here before, which has to be of the same.
fn earlier(folder: &Path, now: &Ablation) -> Result<Option<Ablation>> {
    let path = folder.join(ABLATION);
    if !path.is_file() {
        return Ok(None);
    }
    let earlier = super::ablation(folder)?;
    let of = |ablation: &Ablation| {
        [
            ("student", ablation.student.clone()),
            ("training", ablation.training.to_string()),
            ("real records", ablation.real.sha256.clone()),
            ("rows", ablation.rows_sha256.clone()),
            ("test", ablation.test.sha256.clone()),
            ("prompts", ablation.prompts_sha256.clone()),
        ]
    };
    for ((what, there), (_, here)) in of(&earlier).into_iter().zip(of(now)) {
        ensure!(
            there == here,
            anyhow!("{} is of other {what}", path.display()).hint("name another --output, or delete the folder")
        );
    }
    Ok(Some(earlier))
}

impl Student {
    fn named(name: &str) -> Result<Student> {
        match name {
            "baseline:tfidf" => Ok(Student::Baseline),
            folder if Path::new(folder).is_dir() => Ok(Student::Base(PathBuf::from(folder))),
            _ => Err(anyhow!("--student {name} is no baseline:tfidf and no folder")
                .hint("name a Hugging Face directory with a base, as `reels train --base` takes it")),
        }
    }

    fn has_steps(&self) -> bool {
        matches!(self, Student::Base(_))
    }
}

impl<'a> Runs<'a> {
    /// Looks at all that is given, before anything is trained.
    fn prepare(args: &'a GalAblateArgs, file: &'a SettingsFile, stop: &'a Stop) -> Result<(Runs<'a>, Ablation)> {
        let rows = args.folder.join(ROWS);
        needs(&rows, &format!("filter {}", args.folder.display()))?;
        let (real, kept) = build::sources(&args.real, &rows)?;
        let mut ratios = args.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        ratios.dedup();
        for ratio in &ratios {
            build::check_ratio(*ratio, "--ratios", real.reels.len(), kept.len())?;
        }
        ensure!(args.seeds > 0, "--seeds 0 trains nothing");
        build::refuse_locked(&[&real.reels[..], &kept[..]].concat(), &args.folder, &args.real, args.lock.as_deref())?;
        let student = Student::named(&args.student)?;
        let prompts = args.folder.join(ANNOTATED).join("prompts");
        let set = PromptSet::find(Some(&prompts))?;
        let test = Records::open_for(Some(&args.test), &set.tasks)?;
        let reels = test.reels()?;
        ensure!(
            reels.iter().any(|reel| set.tasks.iter().any(|task| reel.reference.contains_key(&task.name))),
            anyhow!("no record of {} has a gold answer to a task of {}", args.test.display(), prompts.display())
                .hint("name the test part of labelled records")
        );
        let predict = file.add("predict", PredictOverrides::default())?;
        let training = match &student {
            Student::Baseline => json!({"predict": predict}),
            Student::Base(base) => json!({
                "predict": predict,
                "train": file.add("train", TrainOverrides::default())?,
                "export": file.add("export", ExportOverrides::default())?,
                "base": weights(base)?,
            }),
        };
        let source = |path: &Path, sha256: &str, records| Source {
            path: path.display().to_string(),
            sha256: sha256.to_owned(),
            records,
        };
        let ablation = Ablation {
            v: 1,
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: timestamp(),
            finished_at: None,
            student: args.student.clone(),
            training,
            real: source(&args.real, &real.sha256, real.reels.len()),
            test: source(&args.test, &test.sha256, reels.len()),
            rows_sha256: sha256_file(&rows)?,
            kept: kept.len(),
            prompts_sha256: set.sha256(),
            seeds: args.seeds,
            arms: vec![],
            without: vec![],
        };
        let folder = args.output.clone().unwrap_or_else(|| args.folder.join("ablation"));
        let real = real.reels;
        let is_label = |task: &&Task| task.kind == TaskKind::Label;
        let labels: Vec<String> = set.tasks.iter().filter(is_label).map(|task| task.name.clone()).collect();
        ensure!(
            student.has_steps() || real.iter().any(|reel| labels.iter().any(|task| reel.reference.contains_key(task))),
            anyhow!("baseline:tfidf learns labels, and no record of {} has one", args.real.display())
                .hint("name a base by --student, or records with labels")
        );
        Ok((Runs { args, file, stop, folder, prompts, student, real, kept, ratios, labels, judged: 0 }, ablation))
    }

    fn interrupted(&self) -> Code {
        errln!(
            "interrupted: what has answered is kept in {}\nhint: the same command goes on from there",
            self.folder.display()
        );
        Code::Interrupted
    }

    /// What is to be learned from, without how long it takes.
    fn arm(&self, kind: Kind, steps: Option<usize>) -> Arm {
        let people = self.real.len();
        let (real, more) = match kind {
            Kind::Part(share) => (part(&self.real, share, 0).len(), 0),
            Kind::Itself => (people, people),
            Kind::Generated(ratio) => (people, wanted(people, ratio)),
            // Without steps it is as many records that make up for it.
            Kind::Steps if !self.student.has_steps() => {
                (people, wanted(people, self.ratios.last().copied().unwrap_or(0.0)))
            }
            _ => (people, 0),
        };
        // The seed of a baseline decides which records it learns from, and nothing else.
        let chooses = match kind {
            Kind::Part(_) => true,
            Kind::Generated(_) => more < self.kept.len(),
            _ => false,
        };
        let trains = self.student.has_steps() && !matches!(kind, Kind::Majority | Kind::TfIdf);
        let seeds = if chooses || trains { self.args.seeds } else { 1 };
        Arm { name: kind.name(), kind, real, more, seeds, steps, seconds: 0.0 }
    }

    fn folder_of(&self, arm: &str, seed: u64) -> PathBuf {
        self.folder.join(arm).join(format!("seed-{seed}"))
    }

    /// Trains, asks and scores; what is there is kept.
    fn run(&mut self, arm: &mut Arm, seed: u64) -> Result<Code> {
        let folder = self.folder_of(&arm.name, seed);
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(LOG);
        // Its many words are of use where something is wrong.
        terminal::into(&log, || self.logged(arm, seed, &folder))
            .map_err(|error| error.context(format!("arm {}, seed {seed}", arm.name)))
    }

    /// Why an arm can't be had of these records.
    fn has_no_use_for(&self, arm: &Arm) -> Option<String> {
        let labels = |records: &[Reel]| {
            let of = |task: &String| {
                records.iter().filter_map(|reel| reel.reference.get(task)).collect::<HashSet<_>>().len()
            };
            self.labels.iter().map(of).max().unwrap_or(0)
        };
        let few = match (arm.kind, self.student.has_steps()) {
            (Kind::Majority, _) => labels(&self.real) < 1,
            (Kind::TfIdf, _) => labels(&self.real) < 2,
            (Kind::Part(share), false) => (1..=arm.seeds as u64).any(|seed| labels(&part(&self.real, share, seed)) < 2),
            _ => false,
        };
        few.then(|| "its records have too few labels to learn from".to_owned())
    }

    fn logged(&mut self, arm: &mut Arm, seed: u64, folder: &Path) -> Result<Code> {
        // Of other ratios it is another control.
        let run = read_manifest(&folder.join(RUN))?;
        if let (Kind::Steps, Some(run), Some(steps)) = (arm.kind, run, arm.steps)
            && run["settings"]["steps"].as_u64() != Some(steps as u64)
        {
            std::fs::remove_dir_all(folder)?;
            std::fs::create_dir_all(folder)?;
        }
        // The arm that learns from its answers needs its model once more.
        let is_needed = arm.kind == Kind::Real
            && self.student.has_steps()
            && !is_judged(&self.folder_of(&Kind::Itself.name(), seed))?;
        if is_judged(folder)? && !is_needed {
            arm.steps = steps(&folder.join(RUN))?;
            return Ok(Code::Done);
        }
        let records = match arm.kind {
            Kind::Part(share) => part(&self.real, share, seed),
            Kind::Itself => match self.with_own_answers(seed, folder)? {
                Ok(records) => records,
                Err(code) => return Ok(code),
            },
            Kind::Generated(ratio) => [self.real.clone(), drawn(&self.kept, self.real.len(), ratio, seed)].concat(),
            Kind::Steps => {
                let again = |at: usize| {
                    let real = &self.real[at % self.real.len()];
                    let id = format!("{} again {}", real.id, 1 + at / self.real.len());
                    Reel { id, source: Some(json!({"kind": "again", "seeds": [real.id]})), ..real.clone() }
                };
                [self.real.clone(), (0..arm.more).map(again).collect()].concat()
            }
            _ => self.real.clone(),
        };
        let data = folder.join(DATA);
        publish(&data, |file| {
            for record in &records {
                serde_json::to_writer(&mut *file, record)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })?;
        if let (Student::Base(base), false) = (&self.student, matches!(arm.kind, Kind::Majority | Kind::TfIdf)) {
            let trained = self.train(base, arm, seed, folder)?;
            if trained != Code::Done {
                return Ok(trained);
            }
        }
        self.judge(arm, seed, folder)
    }

    /// The real records, and all of them once more as the student that learned from them answers.
    fn with_own_answers(&self, seed: u64, folder: &Path) -> Result<std::result::Result<Vec<Reel>, Code>> {
        let of_real = match self.student {
            Student::Baseline => self.folder_of(&Kind::Real.name(), 1),
            Student::Base(_) => self.folder_of(&Kind::Real.name(), seed),
        };
        let answered = self.answer("real", &of_real, &of_real.join(DATA), &folder.join("answers"))?;
        // One that failed is learned nothing from.
        if !answered.ended {
            return Ok(Err(answered.code));
        }
        let mut own_answers: HashMap<String, Vec<Prediction>> = HashMap::new();
        for prediction in read_predictions(&predictions_path(&answered.folder))? {
            own_answers.entry(prediction.reel_id.clone()).or_default().push(prediction);
        }
        let mut records = self.real.clone();
        for real in &self.real {
            let mut own = Reel {
                id: format!("{} once more", real.id),
                reference: [].into(),
                soft: None,
                // Whoever erases the one erases the other.
                source: Some(json!({"kind": "self", "seeds": [real.id]})),
                ..real.clone()
            };
            own_answers.get(&real.id).into_iter().flatten().for_each(|prediction| learn(&mut own, prediction));
            records.push(own);
        }
        Ok(Ok(records))
    }

    fn train(&self, base: &Path, arm: &mut Arm, seed: u64, folder: &Path) -> Result<Code> {
        let run = folder.join(RUN);
        if steps(&run)?.is_none() {
            let going_on = run.join("manifest.json").is_file();
            let flags = TrainOverrides {
                base: Some(base.to_owned()),
                data: Some(folder.join(DATA)),
                prompts: Some(self.prompts.clone()),
                output: Some(run.clone()),
                seed: Some(seed),
                steps: arm.steps.filter(|_| arm.kind == Kind::Steps),
                ..TrainOverrides::default()
            };
            let resumed = TrainOverrides { resume: Some(true), output: Some(run.clone()), ..TrainOverrides::default() };
            let code = train::run(if going_on { resumed } else { flags }, self.file, self.stop)?;
            if code != Code::Done {
                return Ok(code);
            }
        }
        arm.steps = steps(&run)?;
        let model = folder.join(MODEL);
        if model.is_file() {
            return Ok(Code::Done);
        }
        let settings =
            self.file.add("export", ExportOverrides { output: Some(model), ..ExportOverrides::default() })?;
        export::run(settings.resolve(run, false)?, self.stop)
    }

    /// Answers and scores the test set.
    fn judge(&mut self, arm: &Arm, seed: u64, folder: &Path) -> Result<Code> {
        let rows = folder.join(SCORED);
        if is_judged(folder)? {
            return Ok(Code::Done);
        }
        let mut predicted = self.answer(&arm.name, folder, &self.args.test, folder)?;
        // An answer that failed is wrong; one that isn't there yet is asked for.
        if !predicted.ended {
            return Ok(predicted.code);
        }
        let answers = Lines::open(&predictions_path(folder), "predictions")?;
        let mut join = Join::new(&answers, &predicted.records.lines, &predicted.prompts.tasks)?;
        restrict(&mut join, &asked(&predicted.manifest));
        join.write_rows(&Scoring::default(), &rows, &|_| {})?;
        if let Some(evaluation) = Evaluation::of(&predicted.manifest, None, folder) {
            self.judged = evaluation.note().unwrap_or(self.judged);
        }
        let model = folder.join(MODEL);
        if model.is_file() && arm.kind != Kind::Real {
            std::fs::remove_file(&model)?;
        }
        let of_real = self.folder_of(&Kind::Real.name(), seed).join(MODEL);
        if arm.kind == Kind::Itself && of_real.is_file() {
            std::fs::remove_file(&of_real)?;
        }
        finish_manifest(folder, &mut predicted.manifest)?;
        Ok(Code::Done)
    }

    /// An arm's student in a folder answers about records.
    fn answer(&self, arm: &str, student: &Path, data: &Path, output: &Path) -> Result<Predicted> {
        let baseline = match (&self.student, arm) {
            (_, "majority") => Some("baseline:majority"),
            (Student::Baseline, _) | (_, "tfidf") => Some("baseline:tfidf"),
            (Student::Base(_), _) => None,
        };
        let own = PredictOverrides {
            model: Some(baseline.map_or_else(|| student.join(MODEL).display().to_string(), str::to_owned)),
            train: baseline.map(|_| student.join(DATA)),
            data: Some(data.to_owned()),
            prompts: Some(self.prompts.clone()),
            output: Some(output.to_owned()),
            ..PredictOverrides::default()
        };
        let settings = self.file.add("predict", own)?.resolve()?;
        let prompts = Prompts::find(&settings)?;
        predict(&settings, prompts, "gal ablate", settings.output.clone(), self.stop)
    }
}

/// What tells a base from another one in its place: of each file its name, size and time.
fn weights(base: &Path) -> Result<Value> {
    let entries: Vec<PathBuf> = std::fs::read_dir(base)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|path| path.is_file()).collect();
    files.sort();
    let stamps = stamps(&files)?;
    let told = files.iter().zip(stamps).map(|(path, (bytes, time, _))| {
        json!([path.file_name().unwrap_or_default().to_string_lossy(), bytes, time.to_string()])
    });
    Ok(told.collect())
}

/// Whether a student has answered and its answers are scored.
fn is_judged(folder: &Path) -> Result<bool> {
    let manifest = folder::manifest(folder)?;
    Ok(folder.join(SCORED).is_file() && manifest.is_some_and(|manifest| manifest.finished_at.is_some()))
}

/// Steps of a training that is at its end.
fn steps(run: &Path) -> Result<Option<usize>> {
    let manifest = read_manifest(run)?.filter(|manifest| manifest["finished_at"].is_string());
    Ok(manifest.and_then(|manifest| manifest["result"]["steps"].as_u64()).map(|steps| steps as usize))
}

/// Takes over an answer: a label with how sure it is, or a text.
fn learn(reel: &mut Reel, prediction: &Prediction) {
    if prediction.finish != Finish::Stop || prediction.output.trim().is_empty() {
        return;
    }
    reel.reference.insert(prediction.task.clone(), prediction.output.clone());
    if let Some(logprobs) = &prediction.label_logprobs {
        let shares = logprobs.iter().map(|(label, logprob)| (label.clone(), logprob.exp()));
        reel.soft.get_or_insert_default().insert(prediction.task.clone(), shares.collect());
    }
}
