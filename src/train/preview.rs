//! What is about to be learned, in words, before anything expensive happens.

use std::fmt::Write;

use super::examples::{Example, Examples, LongAnswer};
use super::schedule::Schedule;
use super::sequences::Sequence;
use crate::config::{Duration, Optimisation, ScheduleKind};
use crate::task::Task;

/// Tokens shown of each end of a long prompt.
const SHOWN: usize = 24;

/// Data in three lines: what there is, how long it is, what becomes of it.
pub fn data(name: &str, made: &Examples, sequences: &[Sequence], max_tokens: usize) -> String {
    let mut text = format!("{name}, {} records, {} examples", made.records, made.examples.len());
    for (count, what) in [
        (made.without_reference, "records without a reference left out"),
        (made.shortened, "transcripts shortened"),
        (made.stripped, "answers stripped of the end token they ended in"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if let Some(first) = made.too_long.first() {
        let _ = write!(text, ", {} too long and left out ({first:?} for one)", made.too_long.len());
    }
    let mut lengths: Vec<usize> = made.examples.iter().map(|example| example.tokens.len()).collect();
    lengths.sort_unstable();
    let percentile = |share: f64| lengths[((lengths.len() - 1) as f64 * share).round() as usize];
    let total: usize = lengths.iter().sum();
    let learned: usize = made.examples.iter().map(|example| example.tokens.len() - example.answer_at).sum();
    let computed: usize = sequences.iter().map(|sequence| sequence.batch.tokens.len()).sum();
    let _ = write!(
        text,
        "\n         tokens an example: {} at 10 %, {} at 50 %, {} at 90 %, {} at most; {:.1} % of {total} learned",
        percentile(0.1),
        percentile(0.5),
        percentile(0.9),
        percentile(1.0),
        100.0 * learned as f64 / total as f64
    );
    let _ = write!(
        text,
        "\n         {} sequences of at most {max_tokens} tokens; {computed} tokens computed",
        sequences.len()
    );
    if computed < total {
        let _ = write!(
            text,
            " ({:.2} times fewer: examples of one record share their beginning)",
            total as f64 / computed as f64
        );
    }
    text
}

/// A warning for each task with answers that are longer than `predict` writes.
pub fn long_answers(name: &str, made: &Examples, tasks: &[Task]) -> Vec<String> {
    const IDS: usize = 5;
    let of_task = |task: &Task| {
        let long: Vec<&LongAnswer> = made.long_answers.iter().filter(|answer| answer.task == task.name).collect();
        let longest = long.iter().map(|answer| answer.tokens).max()?;
        let mut ids: Vec<&str> = long.iter().take(IDS).map(|answer| answer.reel_id.as_str()).collect();
        ids.extend((long.len() > IDS).then_some("…"));
        Some(format!(
            "warning: {name}: {} answers of {} have more than its max_tokens, {}, the longest {longest}: {}\n\
             hint: `reels predict` will cut such answers; raise max_tokens in tasks.toml, or shorten them",
            long.len(),
            task.name,
            task.max_tokens,
            ids.join(", ")
        ))
    };
    tasks.iter().filter_map(of_task).collect()
}

/// Steps and learning rate in a line.
pub fn steps(schedule: &Schedule, optimisation: &Optimisation) -> String {
    let Optimisation { batch_size, grad_accum, lr, duration, .. } = *optimisation;
    let epochs = match duration {
        Duration::Epochs(epochs) => format!("{epochs} epochs of {}", schedule.steps_per_epoch()),
        Duration::Steps(_) => format!("{:.2} epochs", schedule.epoch(schedule.steps)),
    };
    let then = match optimisation.schedule {
        ScheduleKind::Constant => "then constant",
        ScheduleKind::Linear => "then falling to 0",
        ScheduleKind::Cosine => "then falling to 0 along a cosine",
    };
    format!(
        "{} ({epochs}), each of {grad_accum} × {batch_size} sequences; learning rate {lr} after {} steps, {then}; checkpoint every {}",
        schedule.steps, schedule.warmup, schedule.eval_every
    )
}

/// An example token by token: `|` between tokens, what is learned in `⟦⟧`.
pub fn example(example: &Example, piece: impl Fn(u32) -> String) -> String {
    let shown = |tokens: &[u32]| -> String {
        let pieces: Vec<String> = tokens.iter().map(|token| piece(*token).replace('\n', "⏎")).collect();
        pieces.join("|")
    };
    let (prompt, answer) = example.tokens.split_at(example.answer_at);
    let prompt = if prompt.len() > 3 * SHOWN {
        let left_out = prompt.len() - 2 * SHOWN;
        format!("{}| … {left_out} tokens … |{}", shown(&prompt[..SHOWN]), shown(&prompt[prompt.len() - SHOWN..]))
    } else {
        shown(prompt)
    };
    format!("{}, {}: {prompt}⟦{}⟧", example.reel_id, example.task, shown(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::PromptSet;
    use crate::train::sequences::sequences;

    fn made() -> Examples {
        let example = |length: u32| Example {
            reel_id: "a".into(),
            task: "summary".into(),
            tokens: (0..length).collect(),
            answer_at: length as usize - 2,
            weight: 1.0,
        };
        Examples {
            records: 3,
            examples: vec![example(10), example(100)],
            too_long: vec!["b".into()],
            ..Examples::default()
        }
    }

    #[test]
    fn data_is_described_in_numbers() {
        let made = made();
        let text = data("a.jsonl", &made, &sequences(&made.examples, Some(102)), 102);
        assert_eq!(
            text,
            "a.jsonl, 3 records, 2 examples, 1 too long and left out (\"b\" for one)\n         \
             tokens an example: 10 at 10 %, 100 at 50 %, 100 at 90 %, 100 at most; 3.6 % of 110 learned\n         \
             1 sequences of at most 102 tokens; 100 tokens computed (1.10 times fewer: examples of one record share their beginning)"
        );
    }

    #[test]
    fn long_answers_are_named_by_task() {
        let long = |(id, tokens)| LongAnswer { reel_id: format!("r{id}"), task: "summary".into(), tokens };
        let made = Examples { long_answers: (0..7).zip(130..).map(long).collect(), ..Examples::default() };
        let tasks = PromptSet::embedded().unwrap().tasks;
        let expected = "warning: a.jsonl: 7 answers of summary have more than its max_tokens, 128, the longest 136: \
                        r0, r1, r2, r3, r4, …\nhint: `reels predict` will cut such answers; ";
        let [warning] = &long_answers("a.jsonl", &made, &tasks)[..] else { panic!() };
        assert!(warning.starts_with(expected), "{warning}");
    }

    #[test]
    fn the_learned_part_is_marked() {
        let piece = |token: u32| format!("{token}\n");
        assert_eq!(example(&made().examples[0], piece), "a, summary: 0⏎|1⏎|2⏎|3⏎|4⏎|5⏎|6⏎|7⏎⟦8⏎|9⏎⟧");
        assert!(example(&made().examples[1], piece).contains("|23⏎| … 50 tokens … |74⏎|"));
    }
}
