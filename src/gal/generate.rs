//! Which candidates are asked for, and how: rounds of as many as the yield so far makes likely to be enough.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::seeds::Seeds;
use super::text::example;
use crate::prompt::Message;
use crate::reel::Reel;
use crate::run::sha256;

/// Of what is asked for, at least so much is expected to be accepted: a round isn't larger than ten times what is missing.
const LEAST_YIELD: f64 = 0.1;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The label task whose labels are asked for, and those; `None` asks for any Reel.
    pub classes: Option<(String, Vec<String>)>,
    /// Candidates of each class that are to be accepted.
    pub accepted: usize,
    /// Candidates of each class, at most.
    pub candidates: usize,
    /// Examples in a prompt, at most.
    pub shots: usize,
    /// Of everything that is drawn.
    pub seed: u64,
}

/// One candidate, before it is written.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Made of seed, class and number alone.
    pub id: String,
    /// Number of its class.
    pub class: usize,
    /// Counts the candidates of the class.
    pub number: usize,
    /// The examples to show.
    pub examples: Vec<&'a Reel>,
}

/// How far a class has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Candidates asked for.
    pub asked: usize,
    /// Of these, accepted.
    pub accepted: usize,
}

/// Why no more is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There are as many as were wished for.
    Enough,
    /// The cap on candidates is reached.
    Cap,
}

impl Wish {
    /// The classes, `None` for any Reel.
    pub fn classes(&self) -> Vec<Option<&str>> {
        match &self.classes {
            None => vec![None],
            Some((_, labels)) => labels.iter().map(|label| Some(label.as_str())).collect(),
        }
    }

    /// How many more of a class are to be asked for in the next round, or why none are.
    ///
    /// # Errors
    /// When it is at its end.
    pub fn next(&self, progress: Progress) -> Result<usize, End> {
        let Progress { asked, accepted } = progress;
        if accepted >= self.accepted {
            return Err(End::Enough);
        }
        if asked >= self.candidates {
            return Err(End::Cap);
        }
        let yields = if asked == 0 { 1.0 } else { (accepted as f64 / asked as f64).max(LEAST_YIELD) };
        let wanted = ((self.accepted - accepted) as f64 / yields).ceil() as usize;
        Ok(wanted.min(self.candidates - asked))
    }

    /// A candidate of a class, the same whatever else is asked for.
    pub fn request<'a>(&self, seeds: &'a Seeds, class: usize, number: usize) -> Request<'a> {
        let label = self.classes()[class];
        let task = self.classes.as_ref().map(|(task, _)| task.as_str());
        let name = format!("gal generate\n{}\n{}\n{}\n{number}", self.seed, task.unwrap_or(""), label.unwrap_or(""));
        let mut random = ChaCha8Rng::from_seed(Sha256::digest(&name).into());
        let examples = seeds.draw(task.zip(label), self.shots, &mut random);
        Request { id: format!("g_{}", &sha256(name.as_bytes())[..16]), class, number, examples }
    }
}

/// The conversation that asks for a Reel: each example as an answer that was given before.
pub fn messages(system: &str, user: &str, examples: &[Reel]) -> Vec<Message> {
    let turn = |role, content: &str| Message { role, content: content.to_owned() };
    let mut messages = vec![turn("system", system)];
    for reel in examples {
        messages.push(turn("user", user));
        messages.push(turn("assistant", &example(reel)));
    }
    messages.push(turn("user", user));
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        let classes = Some(("category".to_owned(), vec!["musik".to_owned(), "agama".to_owned()]));
        Wish { classes, accepted: 10, candidates: 40, shots: 2, seed: 1 }
    }

    #[test]
    fn rounds_are_as_large_as_the_yield_makes_likely_to_be_enough() {
        let next = |asked, accepted| wish().next(Progress { asked, accepted });
        assert_eq!((next(0, 0), next(10, 5), next(10, 0)), (Ok(10), Ok(10), Ok(30)));
        assert_eq!((next(20, 10), next(40, 9), next(38, 9)), (Err(End::Enough), Err(End::Cap), Ok(2)));
    }

    #[test]
    fn a_candidate_depends_on_its_own_name_alone() {
        let reel = |at: usize| Reel {
            id: format!("r{at}"),
            account: Some(format!("a{at}")),
            transcript: Some("halo".into()),
            reference: [("category".to_owned(), ["musik", "agama"][at % 2].to_owned())].into(),
            ..Reel::default()
        };
        let seeds = Seeds::of((0..20).map(reel).collect(), None).unwrap();
        let told = |wish: &Wish, class, number| {
            let request = wish.request(&seeds, class, number);
            let examples: Vec<String> = request.examples.iter().map(|reel| reel.id.clone()).collect();
            (request.id, examples)
        };
        let larger = Wish { accepted: 99, candidates: 999, ..wish() };
        assert_eq!(told(&wish(), 1, 7), told(&larger, 1, 7));
        assert!(told(&wish(), 1, 7).1.iter().all(|id| id[1..].parse::<usize>().unwrap() % 2 == 1));
        let ids: std::collections::HashSet<String> = (0..2)
            .flat_map(|class| (0..50).map(move |number| (class, number)))
            .map(|(class, number)| told(&wish(), class, number).0)
            .collect();
        assert_eq!(ids.len(), 100);
        assert_ne!(told(&Wish { seed: 2, ..wish() }, 0, 0).0, told(&wish(), 0, 0).0);
    }

    #[test]
    fn examples_are_answers_that_were_given() {
        let reel = Reel { transcript: Some("halo".into()), ..Reel::default() };
        let messages = messages("s", "tulis", &[reel]);
        let told: Vec<(&str, &str)> = messages.iter().map(|message| (message.role, message.content.as_str())).collect();
        assert_eq!(told, [("system", "s"), ("user", "tulis"), ("assistant", "Transkrip: halo"), ("user", "tulis")]);
    }
}
