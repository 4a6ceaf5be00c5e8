//! Making the prompts of one Reel fit their budget, the same way for training and inference.

use anyhow::{Error, Result};
use unicode_segmentation::UnicodeSegmentation;

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
        /// Tokens of the longest of its prompts without the transcript.
        tokens: usize,
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
/// A transcript that is too long keeps its first two thirds and last third of what fits, cut at white space, or at
/// characters where there is none; the cut is the same for all tasks of the set, asked for or not, so that they share
/// one prefix and a prompt doesn't depend on what else is asked.
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
    fit_tasks(reel, prompts, &prompts.tasks, chat, tokenizer, budget)
}

/// [`fit`] where `tasks` are the set's with their labels in another order.
///
/// # Errors
/// [`FitError`].
pub fn fit_tasks(
    reel: &Reel,
    prompts: &PromptSet,
    tasks: &[Task],
    chat: &ChatFormat,
    tokenizer: &dyn Tokenizer,
    budget: usize,
) -> Result<Vec<Prompt>, FitError> {
    let mut reel = chat.neutralise(reel);
    let mut whole = Vec::new();
    // Of a transcript that is too long, one prompt takes long enough to tokenise.
    let too_long = loop {
        let Some(task) = tasks.get(whole.len()) else { return Ok(whole) };
        let prompt = render(&reel, task, prompts, chat, tokenizer)?;
        if prompt.tokens.len() > budget {
            break prompt.tokens.len();
        }
        whole.push(prompt);
    };
    let transcript = reel.transcript.take().unwrap_or_default();
    let pieces = pieces(&transcript);
    let shortened = |kept| Some(shorten(&transcript, &pieces, kept));

    reel.transcript = shortened(0);
    let render_all = |reel: &Reel| -> Result<Vec<Prompt>> {
        tasks.iter().map(|task| render(reel, task, prompts, chat, tokenizer)).collect()
    };
    let least = render_all(&reel)?;
    let longest = (0..least.len()).max_by_key(|task| least[*task].tokens.len()).unwrap_or(0);
    let tokens = least[longest].tokens.len();
    if tokens > budget {
        return Err(FitError::TooLong { budget, tokens });
    }
    // Searches for the largest number of pieces with which the longest task's prompt fits.
    let (mut kept, mut too_many) = (0, pieces.len());
    while kept + 1 < too_many {
        let middle = (kept + too_many) / 2;
        reel.transcript = shortened(middle);
        if render(&reel, &tasks[longest], prompts, chat, tokenizer)?.tokens.len() <= budget {
            kept = middle;
        } else {
            too_many = middle;
        }
    }
    // Another task may be a token longer at this cut than the one that was longest before.
    loop {
        reel.transcript = shortened(kept);
        let mut rendered = render_all(&reel)?;
        if rendered.iter().all(|prompt| prompt.tokens.len() <= budget) {
            let left_out = too_long - rendered[whole.len()].tokens.len();
            rendered.iter_mut().for_each(|prompt| prompt.truncated_tokens = left_out);
            return Ok(rendered);
        }
        kept = kept.checked_sub(1).ok_or(FitError::TooLong { budget, tokens })?;
    }
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

/// Byte ranges of what a text may be cut between: its words, and the characters of a word that is longer than those of
/// languages with spaces between them.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    const LONGEST_WORD: usize = 64;
    let mut pieces = Vec::new();
    for word in text.split_whitespace() {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        if word.chars().nth(LONGEST_WORD).is_none() {
            pieces.push((start, start + word.len()));
        } else {
            let characters = word.grapheme_indices(true);
            pieces.extend(characters.map(|(at, character)| (start + at, start + at + character.len())));
        }
    }
    pieces
}

/// The first two thirds and the last third of `kept` pieces.
fn shorten(text: &str, pieces: &[(usize, usize)], kept: usize) -> String {
    let tail = kept / 3;
    let head = kept - tail;
    let start = if head > 0 { &text[..pieces[head - 1].1] } else { "" };
    let end = if tail > 0 { &text[pieces[pieces.len() - tail].0..] } else { "" };
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
        let Err(FitError::TooLong { budget: 50, tokens }) = run("satu dua", 50) else { panic!() };
        assert!(run("satu dua", tokens).is_ok() && run("satu dua", tokens - 1).is_err());
    }

    #[test]
    fn text_without_spaces_is_cut_at_characters() {
        // Four bytes a flag letter, two letters a flag.
        let flags = ["🇮🇩", "🇲🇾", "🇸🇬"].iter().cycle().take(900).copied().collect::<String>();
        let wrapper = run("x", 100_000).unwrap().iter().map(|prompt| prompt.tokens.len()).max().unwrap();
        for (text, character) in [(&*"今日市场新闻".repeat(300), 3), (&*"ha".repeat(9000), 1), (&flags, 8)] {
            let prompts = run(text, wrapper + 1000).unwrap();
            let longest = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap();
            assert!((wrapper + 980..=wrapper + 1000).contains(&longest), "{longest}, wrapper {wrapper}");
            let (head, tail) = prompts[0].text.split_once(CUT).unwrap();
            let head = &head[head.rfind('\n').unwrap() + 1..];
            let tail = &tail[..tail.find('\n').unwrap()];
            assert!(text.starts_with(head) && text.ends_with(tail), "{head} […] {tail}");
            assert!(head.len() % character == 0 && tail.len() % character == 0, "{head} […] {tail}");
            assert!(head.len().abs_diff(2 * tail.len()) <= 2 * character, "{} and {}", head.len(), tail.len());
        }
    }

    #[test]
    fn words_between_spaces_stay_whole_beside_text_without_any() {
        let text = format!("{} {}", ["selengkapnya"; 200].join(" "), "市".repeat(3000));
        let prompts = run(&text, run("x", 100_000).unwrap()[1].tokens.len() + 1000).unwrap();
        let (head, _) = prompts[0].text.split_once(CUT).unwrap();
        assert!(head.ends_with(" selengkapnya"), "{head}");
    }
}
