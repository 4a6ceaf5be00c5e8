//! Where the parts of a prompt end that other prompts have too.

use anyhow::Result;

use super::{ChatFormat, Prompt, PromptSet, Tokenizer};
use crate::reel::Reel;

/// What the prompts of a set begin with, whatever the Reel.
#[derive(Debug, Default)]
pub struct Cuts {
    /// Tokens, a task each.
    leads: Vec<Vec<u32>>,
}

impl Cuts {
    /// Looks at the prompts of made-up Reels that have nothing in common.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn new(prompts: &PromptSet, chat: &ChatFormat, tokenizer: &dyn Tokenizer) -> Result<Cuts> {
        let reels = [filled("a", 1), filled("b", 2), Reel::default()];
        let lead = |task| {
            let mut lead: Option<Vec<u32>> = None;
            for reel in &reels {
                // A template may not take a Reel that isn't real; it is refused where a real one fails.
                let Ok(text) = prompts.render_made_up(reel, task).and_then(|messages| chat.prompt(&messages)) else {
                    continue;
                };
                let tokens = tokenizer.encode(&text)?;
                lead = Some(match lead {
                    Some(lead) => lead[..shared(&lead, &tokens)].to_vec(),
                    None => tokens,
                });
            }
            Ok(lead.unwrap_or_default())
        };
        Ok(Cuts { leads: prompts.tasks.iter().map(lead).collect::<Result<_>>()? })
    }

    /// For each prompt of one Reel, which are of all tasks of the set.
    pub fn of(&self, prompts: &[Prompt]) -> Vec<PromptCuts> {
        let of_prompt = |(index, (prompt, lead)): (usize, (&Prompt, &Vec<u32>))| {
            // What a Reel doesn't share as a whole, it doesn't share with the others.
            let lead = if prompt.tokens.starts_with(lead) { lead.len().min(prompt.tokens.len() - 1) } else { 0 };
            let others = prompts.iter().enumerate().filter(|(other, _)| *other != index);
            let shares = others.map(|(_, other)| shared(&prompt.tokens, &other.tokens)).filter(|tokens| *tokens > lead);
            let of_reel = shares.min().filter(|tokens| *tokens < prompt.tokens.len());
            PromptCuts { lead, cuts: (lead > 0).then_some(lead).into_iter().chain(of_reel).collect() }
        };
        prompts.iter().zip(&self.leads).enumerate().map(of_prompt).collect()
    }
}

/// Positions in a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptCuts {
    /// Where ends what all Reels share; 0 where that is nothing.
    pub lead: usize,
    /// Where ends what prompts share: all Reels', and the tasks' of this Reel. Ascending, and below the prompt's length.
    pub cuts: Vec<usize>,
}

fn shared(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A Reel with this in every field.
fn filled(text: &str, number: u64) -> Reel {
    let text = || Some(text.to_owned());
    Reel {
        id: text().unwrap_or_default(),
        account: text(),
        posted_at: text(),
        duration_s: Some(number as f64),
        likes: Some(number),
        views: Some(number),
        plays: Some(number),
        comments: Some(number),
        caption: text(),
        hashtags: text().into_iter().collect(),
        transcript: text(),
        language: text(),
        ..Reel::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::fit;
    use crate::prompt::fixture::Bytes;

    #[test]
    fn a_prompt_is_cut_behind_what_reels_share_and_behind_the_reel() {
        let prompts = PromptSet::embedded().unwrap();
        let chat = ChatFormat::new("{% for m in messages %}[{{ m.content }}]{% endfor %}", vec![]).unwrap();
        let cuts = Cuts::new(&prompts, &chat, &Bytes).unwrap();
        let reel = |reel: Reel| {
            let prompts = fit(&reel, &prompts, &chat, &Bytes, 100_000).unwrap();
            let cuts = cuts.of(&prompts);
            assert!(cuts.iter().all(|other| *other == cuts[0]), "{cuts:?}");
            let (text, cuts) = (&prompts[0].text, &cuts[0].cuts);
            [text[..cuts[0]].to_owned(), text[cuts[0]..cuts[1]].to_owned()]
        };
        let known = reel(Reel { duration_s: Some(41.2), transcript: Some("kopi".into()), ..Reel::default() });
        let unknown = reel(Reel { transcript: Some("teh".into()), ..Reel::default() });
        assert_eq!(known[0], unknown[0]);
        assert!(known[0].ends_with("Durasi (detik): "), "{}", known[0]);
        assert!(known[1].ends_with("kopi\n\nTugas: ") && unknown[1].contains("teh"), "{}", known[1]);
    }
}
