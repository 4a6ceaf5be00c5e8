//! Making the prompts of one Reel fit their budget, the same way for training and inference.

use anyhow::{Error, Result};

use super::{ChatFormat, Prompt, PromptSet, Tokenizer};
use crate::error::Hint;
use crate::reel::Reel;
use crate::task::Task;

const CUT: &str = " […] ";

/// Why a Reel has no prompts.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The prompt of this record doesn't fit; others may.
    #[error("its prompt has more than {budget} tokens even without the transcript")]
    TooLong {
        /// Tokens that a prompt may have.
        budget: usize,
    },
    /// A template doesn't render, or the tokeniser fails: no record can be answered.
    #[error(transparent)]
    Other(#[from] Error),
}

impl FitError {
    /// With what to do about it, for who can't go on without the prompts or tells the user why they are missing.
    pub fn into_error(self) -> Error {
        match self {
            FitError::TooLong { .. } => Error::from(self).hint("shorten the caption, or raise --max-prompt-tokens"),
            // Wrapped once more, what it knows beside its message would be lost.
            FitError::Other(error) => error,
        }
    }
}

/// The prompts of one Reel, one for each task, each of at most `budget` tokens.
///
/// A transcript that is too long keeps its first two thirds and last third of what fits, cut at white space; the
/// cut is the same for all tasks of the set, asked for or not, so that they share one prefix and a prompt doesn't
/// depend on what else is asked.
///
/// # Errors
/// [`FitError`].
pub fn fit(
    reel: &Reel,
    prompts: &PromptSet,
    chat: &ChatFormat,
    tokenizer: &dyn Tokenizer,
    budget: usize,
) -> Result<Vec<Prompt>, FitError> {
    let mut reel = chat.neutralise(reel);
    let whole = render_all(&reel, prompts, chat, tokenizer)?;
    let longest = |rendered: &[Prompt]| rendered.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(0);
    if longest(&whole) <= budget {
        return Ok(whole);
    }
    let Some(task) =
        prompts.tasks.iter().zip(&whole).max_by_key(|(_, prompt)| prompt.tokens.len()).map(|(task, _)| task)
    else {
        return Ok(whole);
    };
    let transcript = reel.transcript.take().unwrap_or_default();
    let words = word_spans(&transcript);

    // Searches for the largest number of words with which the longest task's prompt fits.
    let (mut fits, mut too_many) = (None, words.len());
    let mut kept = 0;
    loop {
        reel.transcript = Some(shorten(&transcript, &words, kept));
        if render(&reel, task, prompts, chat, tokenizer)?.tokens.len() <= budget {
            fits = Some(kept);
        } else {
            too_many = kept;
        }
        match fits {
            Some(fits) if fits + 1 < too_many => kept = (fits + too_many) / 2,
            _ => break,
        }
    }
    let Some(mut kept) = fits else { return Err(FitError::TooLong { budget }) };
    // Another task may be a token longer at this cut than the one that was longest before.
    loop {
        let shortened = shorten(&transcript, &words, kept);
        let left_out = tokenizer.encode(&transcript)?.len().saturating_sub(tokenizer.encode(&shortened)?.len());
        reel.transcript = Some(shortened);
        let mut rendered = render_all(&reel, prompts, chat, tokenizer)?;
        if longest(&rendered) <= budget {
            rendered.iter_mut().for_each(|prompt| prompt.truncated_tokens = left_out);
            return Ok(rendered);
        }
        kept = kept.checked_sub(1).ok_or(FitError::TooLong { budget })?;
    }
}

fn render_all(reel: &Reel, prompts: &PromptSet, chat: &ChatFormat, tokenizer: &dyn Tokenizer) -> Result<Vec<Prompt>> {
    prompts.tasks.iter().map(|task| render(reel, task, prompts, chat, tokenizer)).collect()
}

fn render(
    reel: &Reel,
    task: &Task,
    prompts: &PromptSet,
    chat: &ChatFormat,
    tokenizer: &dyn Tokenizer,
) -> Result<Prompt> {
    let text = chat.prompt(&prompts.render(reel, task)?)?;
    let tokens = tokenizer.encode(&text)?;
    Ok(Prompt { text, tokens, truncated_tokens: 0 })
}

/// Byte ranges of the words of a text.
fn word_spans(text: &str) -> Vec<(usize, usize)> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            (start, start + word.len())
        })
        .collect()
}

/// The first two thirds and the last third of `kept` words.
fn shorten(text: &str, words: &[(usize, usize)], kept: usize) -> String {
    let tail = kept / 3;
    let head = kept - tail;
    let start = if head > 0 { &text[..words[head - 1].1] } else { "" };
    let end = if tail > 0 { &text[words[words.len() - tail].0..] } else { "" };
    format!("{start}{CUT}{end}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::fixture::Bytes;

    fn run(transcript: &str, budget: usize) -> Result<Vec<Prompt>, FitError> {
        let chat = ChatFormat::new("{% for m in messages %}[{{ m.content }}]{% endfor %}", vec![]).unwrap();
        let reel = Reel { id: "r".into(), transcript: Some(transcript.into()), ..Reel::default() };
        fit(&reel, &PromptSet::embedded().unwrap(), &chat, &Bytes, budget)
    }

    #[test]
    fn what_fits_is_left_alone() {
        let prompts = run("satu dua tiga", 100_000).unwrap();
        assert!(prompts.iter().all(|prompt| prompt.truncated_tokens == 0 && prompt.text.contains("satu dua tiga")));
    }

    #[test]
    fn a_cut_keeps_two_thirds_of_the_start_and_one_of_the_end() {
        let words: Vec<String> = (0..1000).map(|number| format!("wxyz{number}")).collect();
        let longest = |prompts: &[Prompt]| prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap();
        let wrapper = longest(&run("x", 100_000).unwrap());
        let prompts = run(&words.join(" "), wrapper + 1000).unwrap();
        let longest = longest(&prompts);
        assert!(longest <= wrapper + 1000 && longest > wrapper + 980, "{longest}, wrapper {wrapper}");
        let text = &prompts[0].text;
        let (head, tail) = text.split_once(" […] ").unwrap();
        assert!(head.contains("wxyz0 ") && tail.contains("wxyz999"));
        let count = |part: &str| part.matches("wxyz").count();
        assert!((count(head) as i64 - 2 * count(tail) as i64).abs() <= 2, "{} and {}", count(head), count(tail));
        assert!(prompts.iter().all(|prompt| prompt.truncated_tokens > 6000));
    }

    #[test]
    fn a_budget_below_the_wrapper_is_the_records_own_error() {
        assert!(matches!(run("satu dua", 50), Err(FitError::TooLong { budget: 50 })));
    }
}
