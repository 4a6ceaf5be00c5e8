//! What is learned from: a prompt as `predict` makes it, and the answer that ought to stand behind it.

use anyhow::{Context, Result, anyhow, bail, ensure};
use rayon::prelude::*;

use crate::error::Hint;
use crate::prompt::{ChatFormat, FitError, PromptSet, Tokenizer, fit};
use crate::reel::Reel;
use crate::task::{Task, TaskKind};

/// A prompt and its answer as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    #[expect(missing_docs, reason = "the name says it")]
    pub reel_id: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub task: String,
    /// Prompt, answer and the token that ends it.
    pub tokens: Vec<u32>,
    /// Where the answer starts: from here on tokens are learned.
    pub answer_at: usize,
    /// How much each learned token counts: 1, or the probability of a soft label.
    pub weight: f32,
}

/// Examples, and the records that have none.
#[derive(Debug, Default, PartialEq)]
pub struct Examples {
    /// In the order of the records, of the tasks, and of the labels of a soft answer.
    pub examples: Vec<Example>,
    /// Lines of the data.
    pub records: usize,
    /// Ids of records whose prompt doesn't fit even without the transcript, or not together with an answer.
    pub too_long: Vec<String>,
    /// Reels without a reference for any task.
    pub without_reference: usize,
    /// Reels whose transcript was shortened.
    pub shortened: usize,
    /// Answers that ended in the token that the chat template writes behind an answer; they are learned without it.
    pub stripped: usize,
    /// Texts that are longer than answers to their task may be.
    pub long_answers: Vec<LongAnswer>,
}

/// A text of more than its task's `max_tokens`.
#[derive(Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LongAnswer {
    pub reel_id: String,
    pub task: String,
    pub tokens: usize,
}

impl Examples {
    /// # Errors
    /// When nothing is left to learn from.
    pub(super) fn checked(self, name: &str, max_tokens: usize) -> Result<Examples> {
        ensure!(
            !self.examples.is_empty(),
            anyhow!(
                "{name}: there is nothing to learn from: {} records have no reference, {} are longer than {max_tokens} tokens with their answer",
                self.without_reference,
                self.too_long.len()
            )
            .hint("give records with reference.<task>, raise --max-seq-tokens if the base has more positions, or shorten the templates")
        );
        Ok(self)
    }
}

/// How Reels become examples.
pub struct Maker<'a> {
    #[expect(missing_docs, reason = "the name says it")]
    pub prompts: &'a PromptSet,
    #[expect(missing_docs, reason = "the name says it")]
    pub chat: &'a ChatFormat,
    #[expect(missing_docs, reason = "the name says it")]
    pub tokenizer: &'a (dyn Tokenizer + Sync),
    /// Tokens that a prompt may have.
    pub max_prompt_tokens: usize,
    /// Tokens that a prompt with its answer and end may have.
    pub max_tokens: usize,
}

/// The budget of a prompt, so that the longest answer of every task has room behind it.
///
/// # Errors
/// When nothing is left for a prompt.
pub fn max_prompt_tokens(max_seq_tokens: usize, prompts: &PromptSet) -> Result<usize> {
    let answer = prompts.tasks.iter().map(|task| task.max_tokens).max().unwrap_or(0) + 1;
    max_seq_tokens
        .checked_sub(answer)
        .filter(|budget| *budget > 0)
        .with_context(|| {
            format!("a sequence of {max_seq_tokens} tokens leaves nothing for a prompt beside an answer of {answer}")
        })
        .hint("raise --max-seq-tokens, or lower max_tokens in tasks.toml")
}

impl Maker<'_> {
    /// One example a Reel and task that has a reference; of a soft answer one a label. `name` stands in errors.
    ///
    /// # Errors
    /// Names the Reel whose answer is empty or whose soft labels aren't probabilities; when nothing is left to learn
    /// from.
    pub fn examples(&self, name: &str, reels: &[Reel]) -> Result<Examples> {
        let (end, end_text) = (self.chat.end_token(self.tokenizer)?, self.chat.end_text()?);
        let of_reel = |reel| self.of_reel(reel, end, end_text);
        let of_reels: Vec<Examples> = reels.par_iter().map(of_reel).collect::<Result<_>>()?;
        let made = of_reels.into_iter().fold(Examples::default(), |mut made, own| {
            made.examples.extend(own.examples);
            made.too_long.extend(own.too_long);
            made.records += own.records;
            made.without_reference += own.without_reference;
            made.shortened += own.shortened;
            made.stripped += own.stripped;
            made.long_answers.extend(own.long_answers);
            made
        });
        made.checked(name, self.max_tokens)
    }

    fn of_reel(&self, reel: &Reel, end: u32, end_text: &str) -> Result<Examples> {
        let mut made = Examples { records: 1, ..Examples::default() };
        let answers: Vec<Vec<(String, f32)>> =
            self.prompts.tasks.iter().map(|task| answers(reel, task, end_text)).collect::<Result<_>>()?;
        let references = self.prompts.tasks.iter().filter_map(|task| reel.reference.get(&task.name));
        made.stripped = references.filter(|reference| reference.trim_end().ends_with(end_text)).count();
        if answers.iter().all(Vec::is_empty) {
            made.without_reference = 1;
            return Ok(made);
        }
        let prompts = match fit(reel, self.prompts, self.chat, self.tokenizer, self.max_prompt_tokens) {
            Ok(prompts) => prompts,
            Err(FitError::TooLong { .. }) => {
                made.too_long.push(reel.id.clone());
                return Ok(made);
            }
            Err(FitError::Other(error)) => return Err(error),
        };
        made.shortened = usize::from(prompts.iter().any(|prompt| prompt.truncated_tokens > 0));
        for ((prompt, task), answers) in prompts.iter().zip(&self.prompts.tasks).zip(answers) {
            for (mut answer, weight) in answers {
                self.chat.take_apart(&mut answer);
                let answer = self
                    .chat
                    .answer_tokens(&prompt.text, &answer, self.tokenizer)
                    .with_context(|| format!("record {:?}, task {:?}", reel.id, task.name))?;
                if task.kind == TaskKind::Text && answer.len() > task.max_tokens {
                    let (reel_id, task) = (reel.id.clone(), task.name.clone());
                    made.long_answers.push(LongAnswer { reel_id, task, tokens: answer.len() });
                }
                let tokens = [&prompt.tokens[..], &answer, &[end]].concat();
                if tokens.len() > self.max_tokens {
                    made.too_long = vec![reel.id.clone()];
                    continue;
                }
                let (reel_id, task) = (reel.id.clone(), task.name.clone());
                made.examples.push(Example { reel_id, task, tokens, answer_at: prompt.tokens.len(), weight });
            }
        }
        Ok(made)
    }
}

/// The answers to learn with their weights: the labels of a soft answer, else the reference.
fn answers(reel: &Reel, task: &Task, end: &str) -> Result<Vec<(String, f32)>> {
    let soft = reel.soft.as_ref().and_then(|soft| soft.get(&task.name)).filter(|_| task.kind == TaskKind::Label);
    if let Some(soft) = soft {
        let sum: f64 = soft.values().sum();
        ensure!(
            soft.values().all(|share| (0.0..=1.0).contains(share)) && (sum - 1.0).abs() < 1e-3,
            anyhow!("record {:?}: soft.{} are not probabilities, they sum to {sum}", reel.id, task.name)
                .hint("shares of the labels, 1 together")
        );
        if let Some(label) = soft.keys().find(|label| !task.labels.contains(label)) {
            bail!("record {:?}: soft.{} names {label:?}, which is not among the task's labels", reel.id, task.name);
        }
        let learned = soft.iter().filter(|(_, share)| **share > 0.0);
        return Ok(learned.map(|(label, share)| (task.wording(label).to_owned(), *share as f32)).collect());
    }
    let Some(reference) = reel.reference.get(&task.name) else { return Ok(vec![]) };
    let reference = without_end(reference, end);
    ensure!(
        !reference.is_empty(),
        anyhow!("record {:?}: reference.{} is empty, so there is nothing to learn", reel.id, task.name)
            .hint("leave it out, or fill it in")
    );
    Ok(vec![(task.wording(reference).to_owned(), 1.0)])
}

/// An answer without white space around it and the end tokens behind it.
pub(super) fn without_end<'a>(answer: &'a str, end: &str) -> &'a str {
    let mut answer = answer.trim();
    while let Some(shorter) = answer.strip_suffix(end) {
        answer = shorter.trim_end();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    const END: u32 = 1000;

    /// A token a byte, but for the end.
    struct Bytes;

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<u32>> {
            let mut tokens = Vec::new();
            for (index, part) in text.split("<|im_end|>").enumerate() {
                tokens.extend((index > 0).then_some(END));
                tokens.extend(part.bytes().map(u32::from));
            }
            Ok(tokens)
        }
    }

    fn examples(reels: &[Reel], max_tokens: usize) -> Result<Examples> {
        let prompts = PromptSet::embedded().unwrap();
        let chat = ChatFormat::new(CHATML, ["<|im_start|>", "<|im_end|>"].map(str::to_owned).to_vec()).unwrap();
        let maker = Maker { prompts: &prompts, chat: &chat, tokenizer: &Bytes, max_prompt_tokens: 20_000, max_tokens };
        maker.examples("a.jsonl", reels)
    }

    fn reel(id: &str) -> Reel {
        let mut reel = Reel { id: id.into(), transcript: Some("kopi susu".into()), ..Reel::default() };
        reel.reference.insert("summary".into(), " Kopi. ".into());
        reel.reference.insert("category".into(), "kuliner".into());
        reel
    }

    fn learned(example: &Example) -> String {
        let answer = &example.tokens[example.answer_at..];
        assert_eq!(answer.last(), Some(&END));
        answer[..answer.len() - 1].iter().map(|token| *token as u8 as char).collect()
    }

    #[test]
    fn the_answer_and_its_end_are_learned() {
        let made = examples(&[reel("a"), Reel { reference: [].into(), ..reel("b") }], 30_000).unwrap();
        assert_eq!((made.examples.len(), made.without_reference, made.records), (2, 1, 2));
        let example = &made.examples[0];
        assert_eq!((learned(example).as_str(), example.task.as_str(), example.weight), ("Kopi.", "summary", 1.0));
        let prompt: Vec<u8> = example.tokens[..example.answer_at].iter().map(|token| *token as u8).collect();
        assert!(prompt.ends_with(b"<|im_start|>assistant\n"));
    }

    #[test]
    fn an_end_token_behind_an_answer_is_not_learned_as_text() {
        let mut reel = reel("a");
        reel.reference.insert("summary".into(), "Kopi.<|im_end|>\n <|im_end|> ".into());
        let made = examples(&[reel], 30_000).unwrap();
        assert_eq!((learned(&made.examples[0]).as_str(), made.stripped), ("Kopi.", 1));
        assert_eq!(without_end("a<|im_end|>b", "<|im_end|>"), "a<|im_end|>b");
    }

    #[test]
    fn texts_that_predict_would_cut_are_known() {
        let mut long = reel("b");
        long.reference.insert("summary".into(), "x".repeat(129));
        long.reference.insert("category".into(), "kecantikan".into());
        let mut full = reel("c");
        full.reference.insert("summary".into(), "x".repeat(128));
        let found = examples(&[reel("a"), long, full], 30_000).unwrap().long_answers;
        assert_eq!(found, [LongAnswer { reel_id: "b".into(), task: "summary".into(), tokens: 129 }]);
    }

    #[test]
    fn a_soft_label_is_an_example_a_label() {
        let soft = [("iklan".to_owned(), 0.75), ("bukan iklan".to_owned(), 0.25)].into();
        let reel = Reel { soft: Some([("ad".to_owned(), soft)].into()), ..reel("a") };
        let made = examples(&[reel], 30_000).unwrap().examples;
        let shares: Vec<(String, f32)> = made[2..].iter().map(|example| (learned(example), example.weight)).collect();
        assert_eq!(shares, [("bukan iklan".to_owned(), 0.25), ("iklan".to_owned(), 0.75)]);
    }

    #[test]
    fn a_label_is_learned_as_the_model_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        PromptSet::embedded().unwrap().write_to(folder.path()).unwrap();
        let tasks = folder.path().join("tasks.toml");
        let text = std::fs::read_to_string(&tasks).unwrap();
        let alias = "[\"promosi\", \"bukan iklan\"]\nlabel_alias = { promosi = \"iklan\" }";
        std::fs::write(&tasks, text.replace("[\"iklan\", \"bukan iklan\"]", alias)).unwrap();
        let prompts = PromptSet::find(Some(folder.path())).unwrap();
        let chat = ChatFormat::new(CHATML, ["<|im_start|>", "<|im_end|>"].map(str::to_owned).to_vec()).unwrap();
        let maker =
            Maker { prompts: &prompts, chat: &chat, tokenizer: &Bytes, max_prompt_tokens: 20_000, max_tokens: 30_000 };
        let hard = Reel { reference: [("ad".to_owned(), "iklan".to_owned())].into(), ..reel("a") };
        let soft = [("iklan".to_owned(), 0.75), ("bukan iklan".to_owned(), 0.25)].into();
        let soft = Reel { soft: Some([("ad".to_owned(), soft)].into()), reference: [].into(), ..reel("b") };
        let made = maker.examples("a.jsonl", &[hard, soft]).unwrap().examples;
        assert_eq!(made.iter().map(learned).collect::<Vec<_>>(), ["promosi", "bukan iklan", "promosi"]);
    }

    #[test]
    fn what_cannot_be_learned_is_named() {
        let empty = Reel { reference: [("summary".to_owned(), " ".to_owned())].into(), ..reel("a") };
        let message = examples(&[empty], 30_000).unwrap_err().to_string();
        assert!(message.contains("record \"a\": reference.summary is empty"), "{message}");
        let soft = [("iklan".to_owned(), 0.75)].into();
        let uneven = Reel { soft: Some([("ad".to_owned(), soft)].into()), ..reel("a") };
        let message = examples(&[uneven], 30_000).unwrap_err().to_string();
        assert!(message.contains("soft.ad are not probabilities, they sum to 0.75"), "{message}");
        let message = examples(&[reel("a")], 10).unwrap_err().to_string();
        assert!(message.contains("0 records have no reference, 1 are longer than 10 tokens"), "{message}");
    }
}
