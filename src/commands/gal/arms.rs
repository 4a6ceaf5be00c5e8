//! An arm of an ablation: what it learns from, its training, and its answers.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::ablate::{DATA, Runs, SCORED, Student};
use crate::ask::{Evaluation, Prompts};
use crate::commands::predict::{Predicted, finish_manifest, predict};
use crate::commands::score::{asked, restrict};
use crate::commands::{Code, export, folder, train};
use crate::config::{ExportOverrides, PredictOverrides, TrainOverrides};
use crate::gal::ablation::{Arm, Kind, drawn, part, wanted};
use crate::lines::Lines;
use crate::predict::predictions_path;
use crate::prediction::{Finish, Prediction, read_predictions};
use crate::publish::publish;
use crate::reel::Reel;
use crate::run::read_manifest;
use crate::score::{Join, Scoring};
use crate::terminal;

/// Beside an arm's answers.
pub(super) const LOG: &str = "log.txt";
const MODEL: &str = "model.gguf";
const RUN: &str = "run";

impl Runs<'_> {
    /// What is to be learned from, without how long it takes.
    pub(super) fn arm(&self, kind: Kind, steps: Option<usize>) -> Arm {
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

    pub(super) fn folder_of(&self, arm: &str, seed: u64) -> PathBuf {
        self.folder.join(arm).join(format!("seed-{seed}"))
    }

    /// Trains, asks and scores; what is there is kept.
    pub(super) fn run(&mut self, arm: &mut Arm, seed: u64) -> Result<Code> {
        let folder = self.folder_of(&arm.name, seed);
        if arm.kind == Kind::Steps && is_of_other_ratios(arm, &folder)? {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(LOG);
        // Its many words are of use where something is wrong.
        terminal::into(&log, || self.logged(arm, seed, &folder))
            .map_err(|error| error.context(format!("arm {}, seed {seed}", arm.name)))
    }

    /// Why an arm can't be had of these records.
    pub(super) fn has_no_use_for(&self, arm: &Arm) -> Option<String> {
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

/// Whether a control was trained as long as another largest mix.
fn is_of_other_ratios(arm: &Arm, folder: &Path) -> Result<bool> {
    let data = folder.join(DATA);
    if !data.is_file() {
        return Ok(false);
    }
    let records = std::fs::read(data)?.iter().filter(|byte| **byte == b'\n').count();
    let run = read_manifest(&folder.join(RUN))?;
    let steps = run.and_then(|run| run["settings"]["steps"].as_u64());
    Ok(records != arm.real + arm.more || steps.is_some_and(|steps| Some(steps as usize) != arm.steps))
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
