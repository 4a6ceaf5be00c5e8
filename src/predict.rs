//! Records × tasks → predictions: what is still to do, and doing it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::IndexMap;
use serde_json::json;

use crate::config::{LabelMode, PredictSettings};
use crate::generator::{Answer, Ask, Generator, Job, LabelTokens, Outcome, Want, Workload};
use crate::prediction::{Finish, Key, Prediction, TokenCounts};
use crate::prompt::{ChatFormat, FitError, Prompt, PromptSet, Tokenizer, fit};
use crate::reel::Reel;
use crate::run::{Log, interrupted, sha256, sha256_tokens};
use crate::task::{Task, TaskKind};

/// How a Reel and a task become what an engine reads.
pub enum Format<'a> {
    /// Through the model's chat template and tokenizer.
    Chat {
        /// The model's.
        chat: &'a ChatFormat,
        /// The model's.
        tokenizer: &'a dyn Tokenizer,
        /// Prompt budget in tokens.
        budget: usize,
    },
    /// The record itself: what a baseline reads is its transcript.
    Record,
}

/// Which answers these are; the same for all predictions of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Prediction` with these names")]
pub struct Identity {
    pub model_sha256: String,
    pub adapter_sha256: Option<String>,
    pub settings_sha256: String,
}

/// SHA-256 of the settings that can change an answer, the same whichever tasks are asked for.
pub fn settings_sha256(settings: &PredictSettings, tasks: &[Task], budget: usize) -> String {
    sha256(settings_json(settings, tasks, budget).to_string().as_bytes())
}

/// What [`settings_sha256`] is over, for a manifest.
pub fn settings_json(settings: &PredictSettings, tasks: &[Task], budget: usize) -> serde_json::Value {
    let sampling = settings.engine.sampling;
    let greedy = sampling.temperature == 0.0;
    let tasks: IndexMap<&str, _> = tasks
        .iter()
        .map(|task| (task.name.as_str(), json!({"max_tokens": task.max_tokens, "labels": task.labels})))
        .collect();
    json!({
        "label_mode": settings.label_mode,
        "temperature": sampling.temperature,
        "top_p": (!greedy).then_some(sampling.top_p),
        "sampling_seed": (!greedy).then_some(sampling.seed),
        "kv_type": settings.engine.kv_type,
        "max_prompt_tokens": budget,
        "reproducible": settings.engine.reproducible,
        "tasks": tasks,
    })
}

/// Turns Reels into jobs.
pub struct Asker<'a> {
    /// All tasks of the set, asked for or not.
    pub prompts: &'a PromptSet,
    /// Indices into the set's tasks of those asked for.
    pub tasks: &'a [usize],
    /// How prompts are made.
    pub format: Format<'a>,
    /// How label tasks are answered.
    pub label_mode: LabelMode,
}

impl Asker<'_> {
    /// One ask a task, in the set's order.
    fn asks(&self, reel: &Reel) -> Result<Vec<Ask>, FitError> {
        let (chat, tokenizer, budget) = match &self.format {
            Format::Chat { chat, tokenizer, budget } => (chat, *tokenizer, *budget),
            Format::Record => return Ok(self.tasks.iter().map(|&task| self.record_ask(reel, task)).collect()),
        };
        let mut prompts: Vec<Option<Prompt>> =
            fit(reel, self.prompts, chat, tokenizer, budget)?.into_iter().map(Some).collect();
        let ask = |&index: &usize| {
            let task = &self.prompts.tasks[index];
            let prompt = prompts[index].take().context("a task was asked for twice")?;
            let want = match (task.kind, self.label_mode) {
                (TaskKind::Label, LabelMode::Score) => {
                    let end = chat.end_token(tokenizer)?;
                    let label = |label: &String| {
                        let tokens = chat.answer_tokens(&prompt.text, label, tokenizer);
                        let tokens = tokens.map_err(|error| anyhow!("{error:#}\nhint: use --label-mode generate"))?;
                        Ok(LabelTokens { tokens, end })
                    };
                    Want::LabelScores(task.labels.iter().map(label).collect::<Result<_>>()?)
                }
                _ => Want::Text { max_tokens: task.max_tokens },
            };
            Ok(Ask { task: index, prompt, want })
        };
        Ok(self.tasks.iter().map(ask).collect::<Result<_>>()?)
    }

    fn record_ask(&self, reel: &Reel, task: usize) -> Ask {
        let text = reel.transcript.as_deref().or(reel.caption.as_deref()).unwrap_or_default();
        let prompt =
            Prompt { text: text.to_owned(), tokens: text.bytes().map(u32::from).collect(), truncated_tokens: 0 };
        Ask { task, prompt, want: Want::Text { max_tokens: self.prompts.tasks[task].max_tokens } }
    }
}

/// What is to be done, known before weights are loaded.
#[derive(Debug)]
pub struct Work {
    /// Index of the Reel, and the tasks not done yet.
    pending: Vec<(usize, Vec<usize>)>,
    /// Records whose prompts can't be made, with the reason.
    unusable: Vec<(usize, String)>,
    /// Predictions that were done before.
    pub done_before: usize,
    /// Its size, for planning memory.
    pub workload: Workload,
}

impl Work {
    /// Predictions still to be made.
    pub fn left(&self) -> usize {
        self.pending.iter().map(|(_, tasks)| tasks.len()).sum()
    }
}

/// Renders every prompt once, to fail on a broken template before anything expensive and to know what is left.
///
/// # Errors
/// Names the template and the record.
pub fn prepare(reels: &[Reel], asker: &Asker, identity: &Identity, earlier: &[Prediction]) -> Result<Work> {
    let done: HashMap<Key, Finish> = earlier.iter().map(|prediction| (prediction.key(), prediction.finish)).collect();
    let is_done = |key: &Key| done.get(key).is_some_and(|finish| *finish != Finish::Error);
    let mut work = Work { pending: vec![], unusable: vec![], done_before: 0, workload: Workload::default() };
    for (index, reel) in reels.iter().enumerate() {
        let asks = match asker.asks(reel) {
            Ok(asks) => asks,
            Err(error @ FitError::TooLong { .. }) => {
                work.unusable.push((index, error.to_string()));
                continue;
            }
            Err(FitError::Other(error)) => return Err(error),
        };
        let (done, left): (Vec<Ask>, Vec<Ask>) = asks
            .into_iter()
            .partition(|ask| is_done(&blank(reel, &asker.prompts.tasks[ask.task], Some(&ask.prompt), identity).key()));
        work.done_before += done.len();
        if left.is_empty() {
            continue;
        }
        let most = |current: &mut usize, value: usize| *current = value.max(*current);
        work.workload.reels += 1;
        most(&mut work.workload.max_cells, cells(&left));
        for ask in &left {
            if let Want::Text { max_tokens } = ask.want {
                most(&mut work.workload.max_text_tokens, ask.prompt.tokens.len() + max_tokens);
            }
        }
        most(&mut work.workload.text_tasks, left.iter().filter(|ask| matches!(ask.want, Want::Text { .. })).count());
        most(&mut work.workload.labels, left.iter().map(labels).sum());
        work.pending.push((index, left.iter().map(|ask| ask.task).collect()));
    }
    Ok(work)
}

fn labels(ask: &Ask) -> usize {
    if let Want::LabelScores(labels) = &ask.want { labels.len() } else { 0 }
}

/// Cache cells to prefill one Reel, at most: what its prompts don't share with the first one counts once each.
fn cells(asks: &[Ask]) -> usize {
    let Some(first) = asks.first() else { return 0 };
    let shared = |ask: &Ask| first.prompt.tokens.iter().zip(&ask.prompt.tokens).take_while(|(a, b)| a == b).count();
    let own = asks.iter().skip(1).map(|ask| ask.prompt.tokens.len() - shared(ask)).sum::<usize>();
    let answers = asks.iter().map(|ask| match &ask.want {
        Want::Text { .. } => 0,
        Want::LabelScores(labels) => labels.iter().map(|label| label.tokens.len()).sum(),
    });
    first.prompt.tokens.len() + own + answers.sum::<usize>()
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
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
}

/// Does the work; each prediction is appended to the log, then shown to `seen`.
///
/// # Errors
/// Of the engine and of writing; what was appended stays.
pub fn run(
    work: &Work,
    reels: &[Reel],
    asker: &Asker,
    identity: &Identity,
    generator: &mut dyn Generator,
    log: &mut Log,
    seen: &mut dyn FnMut(&Prediction),
) -> Result<Summary> {
    let started = Instant::now();
    let mut summary = Summary::default();
    for (reel, reason) in &work.unusable {
        for &task in asker.tasks {
            let mut prediction = blank(&reels[*reel], &asker.prompts.tasks[task], None, identity);
            prediction.error = Some(reason.clone());
            log.append(&prediction)?;
            summary.made += 1;
            summary.failed += 1;
            seen(&prediction);
        }
    }
    let waiting = std::cell::RefCell::new(HashMap::<(usize, usize), Prompt>::new());
    let mut jobs = work.pending.iter().map(|(index, tasks)| {
        let reel = &reels[*index];
        let mut asks = asker.asks(reel).map_err(anyhow::Error::from)?;
        asks.retain(|ask| tasks.contains(&ask.task));
        for ask in &asks {
            waiting.borrow_mut().insert((*index, ask.task), ask.prompt.clone());
        }
        Ok(Job { id: *index, reel: reel.clone(), asks })
    });
    let mut done = |answer: Answer| {
        let prompt = waiting.borrow_mut().remove(&(answer.job, answer.task)).context("an answer to nothing")?;
        let task = &asker.prompts.tasks[answer.task];
        let prediction = prediction(blank(&reels[answer.job], task, Some(&prompt), identity), task, answer);
        log.append(&prediction)?;
        summary.made += 1;
        summary.failed += usize::from(prediction.finish == Finish::Error);
        summary.prompt_tokens += prediction.tokens.prompt;
        summary.cached_tokens += prediction.tokens.cached;
        summary.generated_tokens += prediction.tokens.generated;
        seen(&prediction);
        Ok(())
    };
    generator.run(&mut jobs, &mut done)?;
    summary.seconds = started.elapsed().as_secs_f64();
    let answered = summary.made - work.unusable.len() * asker.tasks.len();
    summary.interrupted = interrupted() && answered < work.left();
    ensure!(
        summary.interrupted || waiting.borrow().is_empty(),
        "the engine left {} prompts unanswered",
        waiting.borrow().len()
    );
    Ok(summary)
}

/// A prediction without an answer yet.
fn blank(reel: &Reel, task: &Task, prompt: Option<&Prompt>, identity: &Identity) -> Prediction {
    let tokens = prompt.map_or(&[][..], |prompt| &prompt.tokens);
    Prediction {
        v: 1,
        reel_id: reel.id.clone(),
        task: task.name.clone(),
        repeat: 0,
        output: String::new(),
        label_logprobs: None,
        finish: Finish::Error,
        error: None,
        truncated_tokens: prompt.map_or(0, |prompt| prompt.truncated_tokens),
        prompt: prompt.map_or_else(String::new, |prompt| prompt.text.clone()),
        prompt_sha256: sha256_tokens(tokens),
        model_sha256: identity.model_sha256.clone(),
        adapter_sha256: identity.adapter_sha256.clone(),
        settings_sha256: identity.settings_sha256.clone(),
        tokens: TokenCounts { prompt: tokens.len(), ..TokenCounts::default() },
        seconds: 0.0,
    }
}

fn prediction(mut prediction: Prediction, task: &Task, answer: Answer) -> Prediction {
    prediction.tokens.cached = answer.cached_tokens;
    prediction.tokens.generated = answer.generated_tokens;
    prediction.seconds = answer.seconds;
    match answer.outcome {
        Err(error) => prediction.error = Some(error),
        Ok(Outcome::LabelScores(scores)) => {
            let logprobs = log_softmax(&scores);
            // Of equal scores, the label listed first.
            let best = (0..logprobs.len()).rev().max_by(|&a, &b| logprobs[a].total_cmp(&logprobs[b])).unwrap_or(0);
            prediction.output = task.labels[best].clone();
            prediction.label_logprobs = Some(task.labels.iter().cloned().zip(logprobs).collect());
            prediction.finish = Finish::Stop;
        }
        Ok(Outcome::Text { text, ended }) => {
            let label = match_label(&text, &task.labels);
            prediction.finish = match (task.kind, label) {
                (TaskKind::Label, None) => Finish::Invalid,
                (TaskKind::Text, _) if !ended => Finish::Length,
                _ => Finish::Stop,
            };
            prediction.output = label.map_or(text, str::to_owned);
        }
    }
    prediction
}

/// `scores` minus the log of their exponentials' sum.
fn log_softmax(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + scores.iter().map(|score| (score - max).exp()).sum::<f64>().ln();
    scores.iter().map(|score| score - log_sum).collect()
}

/// The label that a generated text is, leaving out case and whatever isn't a letter or digit at its ends.
fn match_label<'a>(text: &str, labels: &'a [String]) -> Option<&'a str> {
    let fold = |text: &str| text.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase();
    let text = fold(text);
    labels.iter().find(|label| fold(label) == text).map(String::as_str)
}

/// The indices of the tasks named, in the set's order; all of them when none is named.
///
/// # Errors
/// Names the task that the set doesn't have.
pub fn select_tasks(tasks: &[Task], names: &[String]) -> Result<Vec<usize>> {
    for name in names {
        ensure!(
            tasks.iter().any(|task| task.name == *name),
            "--task {name} is not among the tasks ({})\nhint: see `reels prompt list`",
            tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ")
        );
    }
    Ok((0..tasks.len()).filter(|&index| names.is_empty() || names.contains(&tasks[index].name)).collect())
}

/// The name of the predictions in a result directory.
pub fn predictions_path(folder: &Path) -> std::path::PathBuf {
    folder.join("predictions.jsonl")
}

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
