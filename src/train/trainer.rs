//! The loop: steps, evaluations, checkpoints, and stopping so that nothing is lost.

use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::run_folder::RunFolder;
use super::schedule::Schedule;
use super::sequences::Sequence;
use crate::config::Optimisation;
use crate::error::Hint;
use crate::learner::{Batch, Learner, Update};
use crate::run::sha256;
use crate::stop::Stop;

/// How far a run is: all that a checkpoint needs beside the parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps done.
    pub step: usize,
    /// The best evaluation so far.
    pub best: Option<Evaluation>,
    /// Evaluations since then.
    pub since_best: usize,
    /// The last step that was due for evaluation and checkpoint, and had them.
    pub checked: usize,
    /// Spent in steps.
    pub seconds: f64,
    /// Of examples, learned from so far.
    pub tokens: u64,
}

/// A loss on dev data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps done before it.
    pub step: usize,
    /// Per learned token.
    pub dev_loss: f64,
}

/// One line of `metrics.jsonl`: a step of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Steps done, with this one.
    pub step: usize,
    /// Epochs done, with a part.
    pub epoch: f64,
    /// Per learned token, before the step.
    pub loss: f64,
    /// Before it was limited.
    pub grad_norm: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub lr: f64,
    /// Of this step's examples.
    pub tokens: usize,
    /// Of these computed: what examples share counts once.
    pub computed_tokens: usize,
    /// Of this step.
    pub seconds: f64,
    /// The most memory in use so far.
    pub peak_bytes: u64,
}

/// What is shown while it goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Event {
    Step(StepMetrics),
    /// `true` where it is the best so far.
    Evaluated(Evaluation, bool),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Finished,
    /// The last evaluations weren't better.
    StoppedEarly,
    /// The user stopped it; a checkpoint is written.
    Interrupted,
}

/// What a run works on.
#[derive(Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Work<'a> {
    pub schedule: &'a Schedule,
    pub optimisation: &'a Optimisation,
    pub seed: u64,
    pub sequences: &'a [Sequence],
    /// Evaluated on, if there is any.
    pub dev: &'a [Sequence],
    pub stop: &'a Stop,
}

/// Trains from `state` on. Each step is logged, each checkpoint is whole before an older one goes.
///
/// # Errors
/// When the loss is no number: the parameters are still those of the step before. When something can't be written: the
/// last checkpoint stays.
pub fn train(
    work: &Work,
    learner: &mut dyn Learner,
    run: &mut RunFolder,
    state: &mut State,
    seen: &mut dyn FnMut(Event),
) -> Result<Ending> {
    loop {
        let due = state.step.is_multiple_of(work.schedule.eval_every) || state.step == work.schedule.steps;
        if due && state.step > state.checked {
            if !work.dev.is_empty() {
                let Some(dev_loss) = evaluate(work, learner, run)? else {
                    // Going on begins with this evaluation.
                    run.save(learner, state)?;
                    return Ok(Ending::Interrupted);
                };
                let evaluation = Evaluation { step: state.step, dev_loss };
                let better = state.best.is_none_or(|best| dev_loss < best.dev_loss);
                (state.best, state.since_best) =
                    if better { (Some(evaluation), 0) } else { (state.best, state.since_best + 1) };
                run.log(&evaluation)?;
                seen(Event::Evaluated(evaluation, better));
            }
            state.checked = state.step;
            run.save(learner, state)?;
        }
        if state.step >= work.schedule.steps {
            return Ok(Ending::Finished);
        }
        if work.optimisation.patience.is_some_and(|patience| state.since_best >= patience) {
            return Ok(Ending::StoppedEarly);
        }
        let Some(metrics) = step(work, learner, state, run)? else {
            if state.step > state.checked {
                run.save(learner, state)?;
            }
            return Ok(Ending::Interrupted);
        };
        run.log(&metrics)?;
        seen(Event::Step(metrics));
    }
}

/// One step; `None` when interrupted, with nothing changed.
fn step(work: &Work, learner: &mut dyn Learner, state: &mut State, run: &RunFolder) -> Result<Option<StepMetrics>> {
    let started = Instant::now();
    let step = state.step;
    let (mut loss, mut weight, mut tokens, mut computed_tokens) = (0.0, 0.0, 0, 0);
    for (index, batch) in work.schedule.batches(step).into_iter().enumerate() {
        if work.stop.wished() {
            return Ok(None);
        }
        let mut joined = Batch::default();
        for sequence in batch.iter().map(|&index| &work.sequences[index]) {
            joined.extend(&sequence.batch);
            tokens += sequence.example_tokens;
        }
        loss += learner.accumulate(&joined, seed(work.seed, step, index))?;
        weight += joined.weight();
        computed_tokens += joined.tokens.len();
    }
    let (loss, lr) = (loss / weight, work.schedule.learning_rate(step));
    let update = Update {
        divisor: weight,
        max_grad_norm: work.optimisation.max_grad_norm,
        learning_rate: lr,
        weight_decay: work.optimisation.weight_decay,
    };
    let grad_norm = if loss.is_finite() { learner.step(&update)? } else { f64::NAN };
    if !grad_norm.is_finite() && work.dev.is_empty() {
        // What the step before made of the parameters is what fails now, and nothing has looked at it since.
        run.discard(step)?;
    }
    ensure!(
        loss.is_finite() && grad_norm.is_finite(),
        anyhow!(
            "the loss of step {} is {loss}, the norm of its gradients {grad_norm}: training can't go on\n{}",
            step + 1,
            run.kept()
        )
        .hint("lower --lr, or raise --warmup, in a new run")
    );
    let seconds = started.elapsed().as_secs_f64();
    state.step += 1;
    state.seconds += seconds;
    state.tokens += tokens as u64;
    let epoch = work.schedule.epoch(state.step);
    let peak_bytes = learner.peak_bytes();
    Ok(Some(StepMetrics { step: state.step, epoch, loss, grad_norm, lr, tokens, computed_tokens, seconds, peak_bytes }))
}

/// The loss on dev data per learned token; `None` when interrupted.
fn evaluate(work: &Work, learner: &mut dyn Learner, run: &RunFolder) -> Result<Option<f64>> {
    let (mut loss, mut weight) = (0.0, 0.0);
    for sequence in work.dev {
        if work.stop.wished() {
            return Ok(None);
        }
        loss += learner.evaluate(&sequence.batch)?;
        weight += sequence.batch.weight();
    }
    ensure!(
        loss.is_finite(),
        anyhow!("the loss on the dev data is {}: training can't go on\n{}", loss / weight, run.kept())
            .hint("lower --lr in a new run")
    );
    Ok(Some(loss / weight))
}

/// Of a batch's dropout.
fn seed(seed: u64, step: usize, batch: usize) -> u64 {
    let hash = sha256(json!([seed, step, batch]).to_string().as_bytes());
    u64::from_str_radix(&hash[..16], 16).unwrap_or(seed)
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
