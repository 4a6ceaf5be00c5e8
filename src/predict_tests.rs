//! The whole stage with a scripted engine.

use anyhow::Context;

use super::*;
use crate::ask::Format;
use crate::config::{EngineSettings, LabelMode, Repeats, Sampling};
use crate::generator::{Capabilities, Event, Job, JobId, Outcome, Refused, SavedPrefix, Text, Usage};
use crate::prediction::read_predictions;
use crate::prompt::fixture::Bytes;
use crate::prompt::{ChatFormat, PromptSet};

/// Answers from a list of outcomes, one a job; then stops as if it had crashed.
struct Scripted {
    outcomes: std::vec::IntoIter<Result<Outcome, String>>,
    /// Reel and task of each.
    asked: Vec<String>,
    queue: VecDeque<Job>,
}

impl Generator for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities { tokens: true, label_scores: true, most_labels: 20, seed: true, logprobs: false }
    }

    fn session(&mut self, _bounds: &Bounds) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(ScriptedSession(self)))
    }
}

struct ScriptedSession<'a>(&'a mut Scripted);

impl Session for ScriptedSession<'_> {
    fn admit(&mut self, job: Job) -> Result<(), Refused> {
        self.0.queue.push_back(job);
        Ok(())
    }

    fn step(&mut self) -> Result<Vec<Event>> {
        let Some(Job { id: job, randomness, .. }) = self.0.queue.pop_front() else { return Ok(vec![]) };
        let cost = Cost { cached_tokens: 1, generated_tokens: 2, seconds: 0.5, ..Cost::default() };
        let outcome = self.0.outcomes.next().context("the engine crashed")?;
        self.0.asked.push(randomness.replace('\n', " "));
        Ok(vec![match outcome {
            Ok(outcome) => Event::Answer { job, outcome, cost },
            Err(reason) => Event::Failed { job, reason: reason.into(), cost },
        }])
    }

    fn cancel(&mut self, _job: JobId) -> Result<()> {
        unreachable!("predict cancels nothing")
    }

    fn is_idle(&self) -> bool {
        self.0.queue.is_empty()
    }

    fn has_room(&self) -> bool {
        self.0.queue.is_empty()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn kept_prefixes(&mut self) -> Vec<SavedPrefix> {
        vec![]
    }
}

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn text(text: &str) -> Result<Outcome, String> {
    Ok(Outcome::Text(Text { text: text.into(), ..Text::default() }))
}

struct Fixture {
    prompts: PromptSet,
    chat: ChatFormat,
    reels: Vec<Reel>,
    identity: Identity,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(reels: usize) -> Fixture {
        let reel =
            |number| Reel { id: format!("r{number}"), transcript: Some(format!("ucapan {number}")), ..Reel::default() };
        Fixture {
            prompts: PromptSet::embedded().unwrap(),
            chat: ChatFormat::new(CHATML, vec!["<|im_start|>".into(), "<|im_end|>".into()]).unwrap(),
            reels: (0..reels).map(reel).collect(),
            identity: Identity { model_sha256: "m".into(), adapter_sha256: None, settings_sha256: "s".into() },
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn run(
        &self,
        budget: usize,
        label_mode: LabelMode,
        outcomes: Vec<Result<Outcome, String>>,
    ) -> (Result<Summary>, Vec<String>) {
        let format = Format::Chat { chat: &self.chat, tokenizer: &Bytes, budget };
        let asker =
            Asker::new(&self.prompts, &[0, 1, 2], format, label_mode, Sampling::GREEDY, Repeats::default()).unwrap();
        let path = predictions_path(self.folder.path());
        let mut log = Log::append_to(&path).unwrap();
        let earlier = read_predictions(&path).unwrap();
        let pending = prepare(&self.reels, &asker, &self.identity, &earlier, EngineSettings::UBATCH).unwrap();
        let mut engine = Scripted { outcomes: outcomes.into_iter(), asked: vec![], queue: VecDeque::new() };
        let mut driver = Driver {
            reels: &self.reels,
            asker: &asker,
            identity: &self.identity,
            log: &mut log,
            seen: &mut |_| {},
            stop: &Stop::default(),
        };
        let summary = driver.run(pending, &mut engine);
        (summary, engine.asked)
    }

    fn predictions(&self) -> Vec<Prediction> {
        read_predictions(&predictions_path(self.folder.path())).unwrap()
    }
}

#[test]
fn labels_are_the_normalised_argmax_of_their_scores() {
    let fixture = Fixture::new(1);
    let category = (0..15).map(|label| if label == 2 { -1.0 } else { -2.0 }).collect();
    let scores = vec![text("ringkas"), Ok(Outcome::LabelScores(category)), Ok(Outcome::LabelScores(vec![-3.0, -3.0]))];
    fixture.run(100_000, LabelMode::Score, scores).0.unwrap();
    let [summary, category, ad] = &fixture.predictions()[..] else { panic!() };
    assert_eq!((summary.output.as_str(), summary.finish), ("ringkas", Finish::Stop));
    assert_eq!(category.output, "kuliner");
    let logprobs = category.label_logprobs.as_ref().unwrap();
    assert!((logprobs.values().map(|value| value.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(ad.output, "iklan", "of equal scores, the label listed first");
    assert!(summary.prompt.contains("ucapan 0") && summary.prompt.ends_with("<|im_start|>assistant\n"));
}

#[test]
fn a_generated_label_is_one_of_the_tasks_or_invalid() {
    let fixture = Fixture::new(1);
    fixture.run(100_000, LabelMode::Generate, vec![text("s"), text("**Kuliner**"), text("mungkin")]).0.unwrap();
    let predictions = fixture.predictions();
    assert_eq!((predictions[1].output.as_str(), predictions[1].finish), ("kuliner", Finish::Stop));
    assert_eq!((predictions[2].output.as_str(), predictions[2].finish), ("mungkin", Finish::Invalid));
}

#[test]
fn what_is_done_is_not_done_again_and_errors_are_tried_again() {
    let fixture = Fixture::new(2);
    let (crashed, _) = fixture.run(100_000, LabelMode::Generate, vec![text("a"), Err("no memory".into())]);
    assert!(crashed.unwrap_err().to_string().contains("crashed"));
    let (summary, asked) = fixture.run(100_000, LabelMode::Generate, (0..5).map(|_| text("b")).collect());
    assert_eq!(summary.unwrap().made, 5);
    assert_eq!(asked, ["r0 1", "r0 2", "r1 0", "r1 1", "r1 2"]);
    let predictions = fixture.predictions();
    assert_eq!(predictions.len(), 6);
    assert!(predictions.iter().all(|prediction| prediction.error.is_none()));
    let (summary, asked) = fixture.run(100_000, LabelMode::Generate, vec![]);
    assert_eq!((summary.unwrap().made, asked.len()), (0, 0));
}

#[test]
fn a_record_that_does_not_fit_fails_alone() {
    let mut fixture = Fixture::new(2);
    fixture.reels[0].caption = Some("x".repeat(5000));
    let (summary, asked) = fixture.run(5000, LabelMode::Generate, (0..3).map(|_| text("b")).collect());
    let summary = summary.unwrap();
    assert_eq!((summary.made, summary.failed), (6, 3));
    assert_eq!(asked, ["r1 0", "r1 1", "r1 2"]);
    let predictions = fixture.predictions();
    let expected = "its prompt has more than 5000 tokens even without the transcript\n\
                    hint: shorten the caption, or raise --max-prompt-tokens";
    assert_eq!(predictions[0].error.as_deref(), Some(expected));
}
