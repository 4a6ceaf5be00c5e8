use std::path::Path;

use super::*;
use crate::config::{Duration, ScheduleKind};
use crate::error::{Kind, environment};
use crate::learner::Document;

/// Has one number as its parameter, which falls by the learning rate with every step; its loss on dev data is given.
#[derive(Default)]
struct Scripted {
    parameter: f64,
    dev_losses: Vec<f64>,
    evaluations: usize,
    /// Σ of the weights of the batches since the last step, and how many there were.
    accumulated: (f64, usize),
    steps: Vec<(Update, usize)>,
    seeds: Vec<u64>,
    /// The step whose loss is no number.
    diverges_at: Option<usize>,
    disk_is_full: bool,
    /// Wished by itself while the batch of this number is learned from.
    stops_at: Option<usize>,
    stop: Stop,
}

impl Learner for Scripted {
    fn accumulate(&mut self, batch: &Batch, seed: u64) -> Result<f64> {
        self.accumulated = (self.accumulated.0 + batch.weight(), self.accumulated.1 + 1);
        self.seeds.push(seed);
        if self.stops_at == Some(self.seeds.len()) {
            self.stop.wish();
        }
        Ok(if self.diverges_at == Some(self.steps.len()) { f64::NAN } else { 2.0 * batch.weight() })
    }

    fn step(&mut self, update: &Update) -> Result<f64> {
        assert_eq!(update.divisor, self.accumulated.0);
        self.steps.push((*update, self.accumulated.1));
        self.accumulated = (0.0, 0);
        self.parameter -= update.learning_rate;
        Ok(1.0)
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<f64> {
        self.evaluations += 1;
        Ok(self.dev_losses[self.evaluations - 1] * batch.weight())
    }

    fn save(&mut self, directory: &Path) -> Result<()> {
        if self.disk_is_full {
            std::fs::write(directory.join("half"), "x").unwrap();
            return Err(environment("cannot write adapter: no space left"));
        }
        std::fs::write(directory.join("adapter"), self.parameter.to_string())?;
        Ok(std::fs::write(directory.join("optimizer.safetensors"), "moments")?)
    }

    fn restore(&mut self, directory: &Path) -> Result<()> {
        self.parameter = std::fs::read_to_string(directory.join("adapter"))?.parse()?;
        Ok(())
    }

    fn peak_bytes(&self) -> u64 {
        1
    }
}

struct Bench {
    folder: tempfile::TempDir,
    optimisation: Optimisation,
    schedule: Schedule,
    sequences: Vec<Sequence>,
    state: State,
}

impl Bench {
    fn new(eval_every: usize, patience: Option<usize>) -> Bench {
        let optimisation = Optimisation {
            lr: 1.0,
            schedule: ScheduleKind::Constant,
            warmup: 0.0,
            duration: Duration::Epochs(3),
            batch_size: 2,
            grad_accum: 2,
            weight_decay: 0.1,
            max_grad_norm: Some(0.3),
            shuffle: true,
            eval_every: Some(eval_every),
            patience,
        };
        let sequence = |index: usize| Sequence {
            batch: Batch {
                tokens: vec![1; 4],
                documents: vec![Document::plain(4)],
                rows: vec![1, 2],
                targets: vec![1, 1],
                weights: vec![1.0, index as f32],
            },
            example_tokens: 4,
        };
        Bench {
            folder: tempfile::tempdir().unwrap(),
            schedule: Schedule::new(10, optimisation, 7),
            optimisation,
            sequences: (0..10).map(sequence).collect(),
            state: State::default(),
        }
    }

    fn train(&mut self, learner: &mut Scripted, dev: bool) -> Result<Ending> {
        let stop = learner.stop.clone();
        let work = Work {
            schedule: &self.schedule,
            optimisation: &self.optimisation,
            seed: 7,
            sequences: &self.sequences,
            dev: if dev { &self.sequences[..1] } else { &[] },
            stop: &stop,
        };
        let mut run = RunFolder::open(self.folder.path(), self.state.step).unwrap();
        let ending = train(&work, learner, &mut run, &mut self.state, &mut |_| ())?;
        if ending != Ending::Interrupted {
            run.finish(&self.state)?;
        }
        Ok(ending)
    }

    fn checkpoints(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("checkpoints")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn adapter(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("adapter")).unwrap()
    }
}

#[test]
fn a_step_is_divided_by_the_weights_of_all_its_batches() {
    let (mut bench, mut learner) = (Bench::new(100, None), Scripted::default());
    assert_eq!(bench.train(&mut learner, false).unwrap(), Ending::Finished);
    // Ten sequences, four a step: the last step of an epoch has two, which are one batch.
    let batches: Vec<usize> = learner.steps.iter().map(|(_, batches)| *batches).collect();
    assert_eq!(batches, [2, 2, 1, 2, 2, 1, 2, 2, 1]);
    let weights: f64 = learner.steps[..3].iter().map(|(update, _)| update.divisor).sum();
    assert_eq!(weights, 10.0 + 45.0);
    let mut seeds = learner.seeds.clone();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), learner.seeds.len(), "every batch leaves out other elements");
    assert_eq!((bench.checkpoints(), bench.adapter()), (vec!["step-9".to_owned()], "-9".to_owned()));
    let metrics = std::fs::read_to_string(bench.folder.path().join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 9);
    assert!(metrics.starts_with("{\"step\":1,\"epoch\":0.33"), "{metrics}");
}

#[test]
fn the_best_checkpoint_is_kept_and_waiting_ends() {
    let mut learner = Scripted { dev_losses: vec![3.0, 1.0, 1.5, 1.0, 1.2, 9.0], ..Scripted::default() };
    let mut bench = Bench::new(1, Some(3));
    assert_eq!(bench.train(&mut learner, true).unwrap(), Ending::StoppedEarly);
    assert_eq!((learner.evaluations, bench.state.best), (5, Some(Evaluation { step: 2, dev_loss: 1.0 })));
    assert_eq!(bench.checkpoints(), ["step-2", "step-4", "step-5"]);
    assert_eq!(bench.adapter(), "-2");
    assert!(!bench.folder.path().join("optimizer.safetensors").exists());
}

#[test]
fn a_loss_that_is_no_number_changes_nothing() {
    // Where the checkpoint is of the very step that made the parameters useless, the one before is the last good one.
    for (diverges_at, kept) in [(5, &["step-2", "step-4"][..]), (4, &["step-2"])] {
        let mut learner = Scripted { diverges_at: Some(diverges_at), ..Scripted::default() };
        let mut bench = Bench::new(2, None);
        let message = bench.train(&mut learner, false).unwrap_err().to_string();
        let expected = format!("the loss of step {} is NaN", diverges_at + 1);
        assert!(message.starts_with(&expected) && message.contains(kept[kept.len() - 1]), "{message}");
        assert_eq!(
            (learner.parameter, bench.checkpoints()),
            (-(diverges_at as f64), kept.iter().map(|name| (*name).to_owned()).collect())
        );
    }
}

#[test]
fn a_full_disk_leaves_the_checkpoint_before() {
    let (mut bench, mut learner) = (Bench::new(3, None), Scripted::default());
    bench.schedule.steps = 3;
    bench.train(&mut learner, false).unwrap();
    bench.schedule.steps = 9;
    learner.disk_is_full = true;
    let error = bench.train(&mut learner, false).unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains("the checkpoint of step 6 is not written") && message.contains("step-3"), "{message}");
    assert_eq!(Kind::of(&error), Kind::Environment);
    assert_eq!(bench.checkpoints(), ["step-3"], "what was half written is gone");
}

#[test]
fn what_a_killed_run_was_writing_is_cleared_away() {
    let (mut bench, mut learner) = (Bench::new(3, None), Scripted::default());
    let half = bench.folder.path().join("checkpoints/step-3.0123.part");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("adapter"), "x").unwrap();
    bench.schedule.steps = 3;
    bench.train(&mut learner, false).unwrap();
    assert_eq!(bench.checkpoints(), ["step-3"]);
}

#[test]
fn a_run_that_is_stopped_keeps_its_whole_steps_and_goes_on() {
    // Within the fourth step, whose first batch is lost.
    let mut bench = Bench::new(100, None);
    let mut stopped = Scripted { stops_at: Some(6), ..Scripted::default() };
    assert_eq!(bench.train(&mut stopped, false).unwrap(), Ending::Interrupted);
    assert_eq!((bench.state.step, bench.checkpoints()), (3, vec!["step-3".to_owned()]));
    let mut learner = Scripted::default();
    learner.restore(&bench.folder.path().join("checkpoints/step-3")).unwrap();
    assert_eq!(bench.train(&mut learner, false).unwrap(), Ending::Finished);
    assert_eq!((bench.state.step, bench.adapter()), (9, "-9".to_owned()));
}
