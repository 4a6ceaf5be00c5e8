//! The whole stage with a scripted engine.

use super::*;
use crate::prediction::read_predictions;

/// A token a byte.
struct Bytes;

impl Tokenizer for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(text.bytes().map(u32::from).collect())
    }
}

/// Answers from a list of outcomes, one a prompt; then stops as if it had crashed.
struct Scripted {
    outcomes: std::vec::IntoIter<Result<Outcome, String>>,
    asked: Vec<(usize, usize)>,
}

impl Generator for Scripted {
    fn run(
        &mut self,
        jobs: &mut dyn Iterator<Item = Result<Job>>,
        done: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        for job in jobs {
            let job = job?;
            for ask in &job.asks {
                let outcome = self.outcomes.next().context("the engine crashed")?;
                self.asked.push((job.id, ask.task));
                done(Answer {
                    job: job.id,
                    task: ask.task,
                    outcome,
                    cached_tokens: 1,
                    generated_tokens: 2,
                    seconds: 0.5,
                })?;
            }
        }
        Ok(())
    }
}

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn text(text: &str) -> Result<Outcome, String> {
    Ok(Outcome::Text { text: text.into(), ended: true })
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
        mode: LabelMode,
        outcomes: Vec<Result<Outcome, String>>,
    ) -> (Result<Summary>, Vec<(usize, usize)>) {
        let format = Format::Chat { chat: &self.chat, tokenizer: &Bytes, budget };
        let asker = Asker { prompts: &self.prompts, tasks: &[0, 1, 2], format, label_mode: mode };
        let path = predictions_path(self.folder.path());
        let mut log = Log::append_to(&path).unwrap();
        let work = prepare(&self.reels, &asker, &self.identity, &read_predictions(&path).unwrap()).unwrap();
        let mut engine = Scripted { outcomes: outcomes.into_iter(), asked: vec![] };
        let summary = run(&work, &self.reels, &asker, &self.identity, &mut engine, &mut log, &mut |_| {});
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
fn generated_labels_are_matched_or_invalid() {
    let labels = ["iklan".to_owned(), "bukan iklan".to_owned()];
    for (text, expected) in
        [(" \"Iklan\".", Some("iklan")), ("Bukan Iklan\n", Some("bukan iklan")), ("iklan atau bukan", None), ("", None)]
    {
        assert_eq!(match_label(text, &labels), expected, "{text:?}");
    }
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
    assert_eq!(asked, [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
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
    assert_eq!(asked, [(1, 0), (1, 1), (1, 2)]);
    let predictions = fixture.predictions();
    assert!(predictions[0].error.as_ref().unwrap().contains("more than 5000 tokens"));
}
