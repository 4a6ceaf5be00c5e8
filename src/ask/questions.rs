//! A record and a task as a job, and what came of it as a prediction.

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::identity::Identity;
use crate::baseline::Baseline;
use crate::config::{LabelMode, Repeats, Sampling};
use crate::error::Hint;
use crate::generator::{Cost, Ending, Job, LabelTokens, Outcome, Reads, TextWant, Want};
use crate::prediction::{Finish, Key, Prediction, TokenCounts};
use crate::prompt::{
    ChatFormat, Cuts, FitError, Prompt, PromptCuts, PromptSet, Tokenizer, fit_tasks, without_control_tokens,
};
use crate::reel::Reel;
use crate::run::{sha256, sha256_tokens};
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
    /// As messages, which whoever runs the model makes a prompt of, and counts.
    Messages,
    /// What the baseline reads of the record itself.
    Record(&'a Baseline),
}

/// Turns Reels into questions.
pub struct Asker<'a> {
    /// All tasks of the set, asked for or not.
    prompts: &'a PromptSet,
    /// Indices into the set's tasks of those asked for.
    tasks: &'a [usize],
    format: Format<'a>,
    cuts: Cuts,
    label_mode: LabelMode,
    sampling: Sampling,
    repeats: Repeats,
}

/// A prompt with what it asks for.
#[derive(Debug)]
pub struct Question {
    /// For the prediction.
    pub asked: Asked,
    /// For the engine; its number is the driver's to give.
    pub job: Job,
}

/// What a prediction says of its prompt.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Index into the set's tasks.
    pub task: usize,
    repeat: u32,
    /// Where each label of the prompt stands in the task; empty where they stand as there.
    order: Vec<usize>,
    text: String,
    tokens: usize,
    /// Tokens of the transcript that its prompt leaves out.
    pub truncated_tokens: usize,
    sha256: String,
}

impl<'a> Asker<'a> {
    /// Asks `tasks`, which are indices into the set's.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn new(
        prompts: &'a PromptSet,
        tasks: &'a [usize],
        format: Format<'a>,
        label_mode: LabelMode,
        sampling: Sampling,
        repeats: Repeats,
    ) -> Result<Asker<'a>> {
        let cuts = match &format {
            Format::Chat { chat, tokenizer, .. } => Cuts::new(prompts, chat, *tokenizer)?,
            Format::Messages | Format::Record(_) => Cuts::default(),
        };
        Ok(Asker { prompts, tasks, format, cuts, label_mode, sampling, repeats })
    }

    /// The tasks asked for, in the set's order.
    pub fn tasks(&self) -> impl Iterator<Item = (usize, &'a Task)> {
        self.tasks.iter().map(|&index| (index, &self.prompts.tasks[index]))
    }

    /// The task of a question.
    pub fn task(&self, asked: &Asked) -> &'a Task {
        &self.prompts.tasks[asked.task]
    }

    /// A question a task, in the set's order; then those that are repeated.
    ///
    /// # Errors
    /// [`FitError`].
    pub fn questions(&self, reel: &Reel) -> Result<Vec<Question>, FitError> {
        let mut questions = vec![];
        for repeat in 0..self.repeats.count {
            questions.extend(self.once(reel, repeat)?);
        }
        Ok(questions)
    }

    fn once(&self, reel: &Reel, repeat: u32) -> Result<Vec<Question>, FitError> {
        let orders: Vec<Vec<usize>> = self.prompts.tasks.iter().map(|task| self.order(reel, task, repeat)).collect();
        let ordered = self.prompts.tasks.iter().zip(&orders).map(|(task, order)| task.in_order(order));
        let ordered: Vec<Task> = ordered.collect();
        let asked = || self.tasks().filter(|(_, task)| repeat == 0 || task.kind == TaskKind::Label);
        let question = |index: usize, text: String, sha256: String| Asked {
            task: index,
            repeat,
            order: orders[index].clone(),
            text,
            tokens: 0,
            truncated_tokens: 0,
            sha256,
        };
        let (chat, tokenizer, budget) = match &self.format {
            Format::Chat { chat, tokenizer, budget } => (chat, *tokenizer, *budget),
            Format::Record(baseline) => {
                let of = |(index, task)| {
                    let messages = baseline.messages(reel, task);
                    let user = messages.iter().find(|message| message.role == "user");
                    let text = user.map_or_else(String::new, |message| message.content.clone());
                    let asked = question(index, text, sha256(serde_json::json!(messages).to_string().as_bytes()));
                    self.question(
                        reel,
                        Asked { order: vec![], ..asked },
                        Reads::Messages(messages),
                        Want::Text(TextWant::of(task.max_tokens)),
                    )
                };
                return Ok(asked().map(of).collect());
            }
            Format::Messages => {
                let reel = without_control_tokens(reel);
                let of = |(index, _)| {
                    let task: &Task = &ordered[index];
                    let messages = self.prompts.render(&reel, task)?;
                    let turns = messages.iter().map(|message| format!("{}:\n{}", message.role, message.content));
                    let text = turns.collect::<Vec<_>>().join("\n\n");
                    let asked = question(index, text, sha256(serde_json::json!(messages).to_string().as_bytes()));
                    let scored = task.kind == TaskKind::Label && self.label_mode == LabelMode::Score;
                    let labels = if scored { task.wordings.clone() } else { vec![] };
                    let want = Want::Text(TextWant { labels, ..TextWant::of(task.max_tokens) });
                    Ok(self.question(&reel, asked, Reads::Messages(messages), want))
                };
                return Ok(asked().map(of).collect::<Result<_>>()?);
            }
        };
        let prompts = fit_tasks(reel, self.prompts, &ordered, chat, tokenizer, budget)?;
        let cuts = self.cuts.of(&prompts);
        let mut prompts: Vec<Option<(Prompt, PromptCuts)>> = prompts.into_iter().zip(cuts).map(Some).collect();
        let of = |(index, _): (usize, &Task)| {
            let task: &Task = &ordered[index];
            let (Prompt { text, tokens, truncated_tokens }, PromptCuts { lead, cuts }) =
                prompts[index].take().context("a task was asked for twice")?;
            let want = match (task.kind, self.label_mode) {
                (TaskKind::Label, LabelMode::Score) => {
                    let labels = label_tokens(task, &text, chat, tokenizer);
                    Want::LabelScores(labels.hint("use --label-mode generate")?)
                }
                _ => Want::Text(TextWant::of(task.max_tokens)),
            };
            let asked = question(index, text, sha256_tokens(&tokens));
            let asked = Asked { tokens: tokens.len(), truncated_tokens, ..asked };
            Ok(self.question(reel, asked, Reads::Tokens { tokens: tokens.into(), lead, cuts }, want))
        };
        Ok(asked().map(of).collect::<Result<_>>()?)
    }

    /// Where each label of a prompt stands in the task; empty where they stand as there.
    fn order(&self, reel: &Reel, task: &Task, repeat: u32) -> Vec<usize> {
        if !self.repeats.shuffled || task.kind != TaskKind::Label {
            return vec![];
        }
        let name = format!("labels\n{}\n{}\n{}\n{repeat}", self.sampling.seed, reel.id, task.name);
        let mut random = ChaCha8Rng::from_seed(Sha256::digest(name).into());
        let mut order: Vec<usize> = (0..task.labels.len()).collect();
        order.shuffle(&mut random);
        order
    }

    fn question(&self, reel: &Reel, asked: Asked, reads: Reads, want: Want) -> Question {
        let repeat = if asked.repeat == 0 { String::new() } else { format!("\n{}", asked.repeat) };
        let randomness = format!("{}\n{}{repeat}", reel.id, asked.task);
        let job = Job { id: 0, reads, want, sampling: self.sampling, randomness, prefix: None };
        Question { asked, job }
    }
}

/// A task's labels as tokens behind a prompt.
///
/// # Errors
/// When a label has no tokens of its own there.
pub fn label_tokens(
    task: &Task,
    prompt: &str,
    chat: &ChatFormat,
    tokenizer: &dyn Tokenizer,
) -> Result<Vec<LabelTokens>> {
    let end = chat.end_token(tokenizer)?;
    let label = |label: &String| Ok(LabelTokens { tokens: chat.answer_tokens(prompt, label, tokenizer)?, end });
    task.wordings.iter().map(label).collect()
}

impl Asked {
    /// The prediction of an answer.
    pub fn answered(&self, reel: &Reel, task: &Task, identity: &Identity, outcome: Outcome, cost: Cost) -> Prediction {
        let mut prediction = self.blank(reel, task, identity, cost);
        match outcome {
            Outcome::LabelScores(scores) => {
                let logprobs = log_softmax(&self.in_task_order(scores));
                // Of equal scores, the label listed first.
                let best = (0..logprobs.len()).rev().max_by(|&a, &b| logprobs[a].total_cmp(&logprobs[b])).unwrap_or(0);
                prediction.output = task.labels[best].clone();
                prediction.label_logprobs = Some(task.labels.iter().cloned().zip(logprobs).collect());
                prediction.finish = Finish::Stop;
            }
            Outcome::Text(text) => {
                let label = task.label_said(&text.text);
                prediction.finish = match (task.kind, label) {
                    (TaskKind::Label, None) => Finish::Invalid,
                    (TaskKind::Text, _) => match text.ending {
                        Ending::Complete => Finish::Stop,
                        Ending::Cut => Finish::Length,
                        Ending::Loop => Finish::Loop,
                    },
                    _ => Finish::Stop,
                };
                prediction.output = label.map_or(text.text, str::to_owned);
            }
        }
        prediction
    }

    /// The prediction where there is no answer.
    pub fn failed(&self, reel: &Reel, task: &Task, identity: &Identity, reason: String, cost: Cost) -> Prediction {
        Prediction { error: Some(reason), ..self.blank(reel, task, identity, cost) }
    }

    /// Counts up where it is asked several times.
    pub fn repeat(&self) -> u32 {
        self.repeat
    }

    /// Of each label, in the order of the task.
    fn in_task_order(&self, scores: Vec<f64>) -> Vec<f64> {
        let mut placed = scores.clone();
        for (at, score) in self.order.iter().zip(scores) {
            placed[*at] = score;
        }
        placed
    }

    /// A prompt that can't be made.
    pub fn nothing(task: usize) -> Asked {
        let sha256 = sha256_tokens(&[]);
        Asked { task, repeat: 0, order: vec![], text: String::new(), tokens: 0, truncated_tokens: 0, sha256 }
    }

    /// A prediction without an answer yet.
    fn blank(&self, reel: &Reel, task: &Task, identity: &Identity, cost: Cost) -> Prediction {
        Prediction {
            v: 1,
            reel_id: reel.id.clone(),
            task: task.name.clone(),
            repeat: self.repeat,
            output: String::new(),
            label_logprobs: None,
            finish: Finish::Error,
            error: None,
            truncated_tokens: self.truncated_tokens,
            prompt: self.text.clone(),
            prompt_sha256: self.sha256.clone(),
            model_sha256: identity.model_sha256.clone(),
            adapter_sha256: identity.adapter_sha256.clone(),
            settings_sha256: identity.settings_sha256.clone(),
            tokens: TokenCounts {
                prompt: cost.prompt_tokens.unwrap_or(self.tokens),
                cached: cost.cached_tokens,
                generated: cost.generated_tokens,
            },
            seconds: cost.seconds,
        }
    }

    /// Which work the prediction is.
    pub fn key(&self, reel: &Reel, task: &Task, identity: &Identity) -> Key {
        Key {
            reel_id: reel.id.clone(),
            task: task.name.clone(),
            repeat: self.repeat,
            prompt_sha256: self.sha256.clone(),
            model_sha256: identity.model_sha256.clone(),
            adapter_sha256: identity.adapter_sha256.clone(),
            settings_sha256: identity.settings_sha256.clone(),
        }
    }
}

/// `scores` minus the log of their exponentials' sum.
fn log_softmax(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + scores.iter().map(|score| (score - max).exp()).sum::<f64>().ln();
    scores.iter().map(|score| score - log_sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Text;

    #[test]
    fn answers_in_the_wording_are_stored_as_labels() {
        let text = "[task.ad]\nkind = \"label\"\ntemplate = \"a.jinja\"\nmax_tokens = 8\n\
            labels = [\"promosi\", \"cerita\"]\nlabel_alias = { promosi = \"iklan\" }\n";
        let task = crate::task::parse_tasks(text, "tasks.toml").unwrap().remove(0);
        let identity = Identity { model_sha256: String::new(), adapter_sha256: None, settings_sha256: String::new() };
        let answered = |outcome| {
            let prediction = Asked::nothing(0).answered(&Reel::default(), &task, &identity, outcome, Cost::default());
            (prediction.output, prediction.finish, prediction.label_logprobs)
        };
        let generated = |text: &str| {
            let (output, finish, _) = answered(Outcome::Text(Text { text: text.into(), ..Text::default() }));
            (output, finish)
        };
        assert_eq!(generated(" \"Promosi\"."), ("iklan".into(), Finish::Stop));
        assert_eq!(generated("cerita"), ("cerita".into(), Finish::Stop));
        assert_eq!(generated("iklan"), ("iklan".into(), Finish::Stop), "what the references call it is no other label");
        assert_eq!(generated("lain"), ("lain".into(), Finish::Invalid));
        let (output, _, logprobs) = answered(Outcome::LabelScores(vec![-1.0, -2.0]));
        assert_eq!(output, "iklan");
        assert_eq!(logprobs.unwrap().keys().collect::<Vec<_>>(), ["iklan", "cerita"]);
    }
}
