//! Records × tasks → predictions: what is still to do, and doing it.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};

use crate::ask::{Asked, Asker, Ended, Identity, Question, drive};
use crate::error::{Hint, Shown};
use crate::generator::{Bounds, Cost, Generator, Reads, Session, Want};
use crate::prediction::{Finish, Key, Prediction, Shortened};
use crate::prompt::FitError;
use crate::reel::Reel;
use crate::run::Log;
use crate::stop::Stop;
use crate::task::Task;

/// What is to be done, known before weights are loaded.
#[derive(Debug)]
pub struct Pending {
    /// Index of each Reel, and what is to be asked about it.
    reels: VecDeque<(usize, Vec<Question>)>,
    /// Records that can't be used or whose prompts can't be made, with the reason.
    unusable: Vec<(usize, String)>,
    /// Of those, the fewest tokens that the prompts of one have without the transcript.
    shortest: Option<usize>,
    /// Reels whose prompts leave out some of the transcript.
    pub shortened: Shortened,
    /// Predictions that were done before.
    pub done_before: usize,
    /// Ids of Reels that were answered before, to other prompts.
    pub changed: Vec<String>,
    /// Its size, for planning memory.
    pub bounds: Bounds,
}

impl Pending {
    /// Predictions still to be made by an engine.
    pub fn left(&self) -> usize {
        self.reels.iter().map(|(_, questions)| questions.len()).sum()
    }

    /// Reels they are about.
    pub fn reels_left(&self) -> usize {
        let mut last = None;
        self.reels.iter().filter(|(reel, _)| last.replace(*reel) != Some(*reel)).count()
    }

    /// Where no record has a prompt that fits: the fewest tokens that one has without its transcript.
    pub fn none_fits(&self) -> Option<usize> {
        self.shortest.filter(|_| self.reels.is_empty() && self.done_before == 0)
    }
}

/// Renders every prompt, to fail on a broken template before anything expensive and to know what is left.
/// `step_tokens` is [`Bounds::step_tokens`].
///
/// # Errors
/// Names the template and the record.
pub fn prepare(
    reels: &[Reel],
    asker: &Asker,
    identity: &Identity,
    earlier: &[Prediction],
    step_tokens: usize,
) -> Result<Pending> {
    let done: HashMap<Key, Finish> = earlier.iter().map(|prediction| (prediction.key(), prediction.finish)).collect();
    let is_done = |key: &Key| done.get(key).is_some_and(|finish| *finish != Finish::Error);
    let bounds = Bounds { reels: 0, max_cells: 0, max_text_tokens: 0, text_tasks: 0, labels: 0, step_tokens };
    let mut pending = Pending {
        reels: VecDeque::new(),
        unusable: vec![],
        shortest: None,
        shortened: Shortened::default(),
        done_before: 0,
        changed: vec![],
        bounds,
    };
    let answered = earlier.iter().filter(|prediction| prediction.finish != Finish::Error);
    let prompts: HashMap<(&str, &str, u32), &str> =
        answered.map(|one| ((&*one.reel_id, &*one.task, one.repeat), &*one.prompt_sha256)).collect();
    for (index, reel) in reels.iter().enumerate() {
        if let Some(reason) = &reel.unusable {
            pending.unusable.push((index, reason.clone()));
            continue;
        }
        let questions = match asker.questions(reel) {
            Ok(questions) => questions,
            Err(error @ FitError::TooLong { tokens, .. }) => {
                pending.shortest = Some(pending.shortest.map_or(tokens, |shortest| shortest.min(tokens)));
                pending.shortened.add(0);
                pending.unusable.push((index, Shown::of(&error.into_error()).to_string()));
                continue;
            }
            Err(FitError::Other(error)) => return Err(error),
        };
        pending.shortened.add(questions.iter().map(|question| question.asked.truncated_tokens).max().unwrap_or(0));
        let asked = questions.len();
        let key = |question: &Question| question.asked.key(reel, asker.task(&question.asked), identity);
        let other = |question: &Question| {
            let Key { reel_id, task, repeat, prompt_sha256, .. } = key(question);
            prompts.get(&(&*reel_id, &*task, repeat)).is_some_and(|earlier| *earlier != prompt_sha256)
        };
        pending.changed.extend(questions.iter().any(other).then(|| reel.id.clone()));
        let left: Vec<Question> = questions.into_iter().filter(|question| !is_done(&key(question))).collect();
        pending.done_before += asked - left.len();
        // What is repeated shares little: a group each time.
        let mut left = left.into_iter().peekable();
        while let Some(first) = left.next() {
            let repeat = first.asked.repeat();
            let mut group = vec![first];
            while let Some(next) = left.next_if(|next| next.asked.repeat() == repeat) {
                group.push(next);
            }
            widen(&mut pending.bounds, &group);
            pending.reels.push_back((index, group));
        }
    }
    Ok(pending)
}

/// Makes room for one more Reel.
fn widen(bounds: &mut Bounds, questions: &[Question]) {
    let most = |current: &mut usize, value: usize| *current = value.max(*current);
    let is_text = |question: &&Question| matches!(question.job.want, Want::Text(_));
    bounds.reels += 1;
    most(&mut bounds.max_cells, cells(questions));
    most(&mut bounds.text_tasks, questions.iter().filter(is_text).count());
    most(&mut bounds.labels, questions.iter().map(labels).sum());
    for question in questions {
        if let Want::Text(text) = &question.job.want {
            most(&mut bounds.max_text_tokens, tokens(question).len() + text.max_tokens);
        }
    }
}

fn tokens(question: &Question) -> &[u32] {
    match &question.job.reads {
        Reads::Tokens { tokens, .. } => tokens,
        Reads::Messages(_) => &[],
    }
}

fn labels(question: &Question) -> usize {
    if let Want::LabelScores(labels) = &question.job.want { labels.len() } else { 0 }
}

/// Cache cells to prefill one Reel, at most: what its prompts don't share with the first one counts once each.
fn cells(questions: &[Question]) -> usize {
    let Some(first) = questions.first().map(tokens) else { return 0 };
    let own = |question: &Question| {
        let shared = first.iter().zip(tokens(question)).take_while(|(a, b)| a == b).count();
        tokens(question).len() - shared + question.job.want.label_tokens()
    };
    first.len() + questions.iter().map(own).sum::<usize>()
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Predictions made now, failed ones included.
    pub made: usize,
    /// Of those, without an answer.
    pub failed: usize,
    /// Tokens of all prompts.
    pub prompt_tokens: usize,
    /// Of those, taken from a prefix that was already computed.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// Wall time.
    pub seconds: f64,
    /// The user asked to stop before all was done.
    pub interrupted: bool,
    /// Why the engine took on nothing more before all was done.
    pub stopped: Option<String>,
}

/// Makes predictions of what comes from an engine, and keeps them.
pub struct Driver<'a> {
    /// Those the questions are about.
    pub reels: &'a [Reel],
    /// What made the questions.
    pub asker: &'a Asker<'a>,
    /// Which answers they are.
    pub identity: &'a Identity,
    /// Each prediction is appended to it.
    pub log: &'a mut Log,
    /// Then shown to this.
    pub seen: &'a mut dyn FnMut(&Prediction),
    /// The user's wish, looked at between steps.
    pub stop: &'a Stop,
}

impl Driver<'_> {
    /// Does the work.
    ///
    /// # Errors
    /// When the engine or writing fails; what was appended stays.
    pub fn run(&mut self, mut pending: Pending, generator: &mut dyn Generator) -> Result<Summary> {
        let started = Instant::now();
        let mut summary = Summary::default();
        for (index, reason) in std::mem::take(&mut pending.unusable) {
            for (task, _) in self.asker.tasks() {
                let failed = (index, Asked::nothing(task));
                self.fail(&failed, reason.clone(), Cost::default(), &mut summary)?;
            }
        }
        if !pending.reels.is_empty() {
            let mut session = generator.session(&pending.bounds)?;
            self.answer(pending.reels, &mut *session, &mut summary)?;
        }
        summary.seconds = started.elapsed().as_secs_f64();
        Ok(summary)
    }

    fn answer(
        &mut self,
        left: VecDeque<(usize, Vec<Question>)>,
        session: &mut dyn Session,
        summary: &mut Summary,
    ) -> Result<()> {
        let group = |(reel, questions): (usize, Vec<Question>)| {
            questions.into_iter().map(|Question { asked, job }| ((reel, asked), job)).collect::<Vec<_>>()
        };
        let stop = self.stop;
        let ended = drive(session, left.into_iter().map(group), stop, |(reel, asked), came, cost| match came {
            Ok(outcome) => {
                let task = self.asker.task(&asked);
                let prediction = asked.answered(&self.reels[reel], task, self.identity, outcome, cost);
                self.keep(&prediction, summary)
            }
            Err(reason) => self.fail(&(reel, asked), reason.to_string(), cost, summary),
        })?;
        match ended {
            Ended::Done => {}
            Ended::Interrupted => summary.interrupted = true,
            Ended::Stopped(reason) => summary.stopped = Some(reason),
        }
        Ok(())
    }

    fn fail(
        &mut self,
        (reel, asked): &(usize, Asked),
        reason: String,
        cost: Cost,
        summary: &mut Summary,
    ) -> Result<()> {
        let prediction = asked.failed(&self.reels[*reel], self.asker.task(asked), self.identity, reason, cost);
        self.keep(&prediction, summary)
    }

    fn keep(&mut self, prediction: &Prediction, summary: &mut Summary) -> Result<()> {
        self.log.append(prediction)?;
        summary.made += 1;
        summary.failed += usize::from(prediction.finish == Finish::Error);
        summary.prompt_tokens += prediction.tokens.prompt;
        summary.cached_tokens += prediction.tokens.cached;
        summary.generated_tokens += prediction.tokens.generated;
        (self.seen)(prediction);
        Ok(())
    }
}

/// The indices of the tasks named, in the set's order; all of them when none is named.
///
/// # Errors
/// Names the task that the set doesn't have.
pub fn select_tasks(tasks: &[Task], names: &[String]) -> Result<Vec<usize>> {
    for name in names {
        ensure!(
            tasks.iter().any(|task| task.name == *name),
            anyhow!(
                "--task {name} is not among the tasks ({})",
                tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ")
            )
            .hint("see `reels prompt list`")
        );
    }
    Ok((0..tasks.len()).filter(|&index| names.is_empty() || names.contains(&tasks[index].name)).collect())
}

/// The name of the predictions in a result directory.
pub fn predictions_path(folder: &Path) -> PathBuf {
    folder.join("predictions.jsonl")
}

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
