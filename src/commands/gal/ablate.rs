//! `reels gal ablate`: one student after the other, each of other training data, all asked about the same Reels.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use super::arms::LOG;
use super::{ANNOTATED, ROWS, build, needs};
use crate::ask::{LEDGER, Records};
use crate::cli::GalAblateArgs;
use crate::commands::Code;
use crate::config::{ExportOverrides, PredictOverrides, SettingsFile, TrainOverrides};
use crate::error::Hint;
use crate::gal::ablation::{Ablation, Arm, Kind, Source, kinds, wanted};
use crate::prompt::PromptSet;
use crate::publish::write_json;
use crate::reel::Reel;
use crate::run::{Claim, sha256_file, stamps, timestamp};
use crate::stop::Stop;
use crate::task::{Task, TaskKind};

/// Beside an arm's answers.
pub(super) const DATA: &str = "train.jsonl";
pub(super) const SCORED: &str = "rows.jsonl";
/// What says what was done.
pub(super) const ABLATION: &str = "ablation.json";

/// Who learns.
pub(super) enum Student {
    Baseline,
    /// A Hugging Face directory, with the settings of `reels train`.
    Base(PathBuf),
}

/// All that runs have in common.
pub(super) struct Runs<'a> {
    pub(super) args: &'a GalAblateArgs,
    pub(super) file: &'a SettingsFile,
    pub(super) stop: &'a Stop,
    pub(super) folder: PathBuf,
    pub(super) prompts: PathBuf,
    pub(super) student: Student,
    pub(super) real: Vec<Reel>,
    pub(super) kept: Vec<Reel>,
    /// Ascending.
    pub(super) ratios: Vec<f64>,
    /// Names of the label tasks.
    pub(super) labels: Vec<String>,
    /// Variants that the test set has judged.
    pub(super) judged: usize,
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

    pub(super) fn has_steps(&self) -> bool {
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
