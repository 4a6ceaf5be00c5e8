//! The Reels that examples are drawn from.

use std::collections::HashSet;

use anyhow::{Result, anyhow, ensure};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::data::known::Known;
use crate::data::lock::{Index, Lock};
use crate::data::overlap::listed;
use crate::error::Hint;
use crate::reel::Reel;
use crate::task::Task;

/// Ids that are named.
const SHOWN: usize = 5;

/// Training Reels with a text, none of them locked.
#[derive(Debug)]
pub struct Seeds {
    reels: Vec<Reel>,
}

impl Seeds {
    /// # Errors
    /// Names the Reels that a lock holds: nothing may be made of what a model is judged by. Says where none has a text.
    pub fn of(reels: Vec<Reel>, lock: Option<&Lock>) -> Result<Seeds> {
        if let Some(lock) = lock {
            let index = Index::of(lock);
            // Other Reels of an account that is judged would give away how it talks, too.
            let held = |reel: &&Reel| index.holds(&Known::from(*reel)).is_some();
            let held: Vec<String> = reels.iter().filter(held).map(|reel| reel.id.clone()).collect();
            ensure!(
                held.is_empty(),
                anyhow!("{} of the seeds are what the lock keeps for judging: {}", held.len(), listed(&held, SHOWN))
                    .hint("generate from the training part that `reels split` wrote beside the lock")
            );
        }
        let usable = |reel: &Reel| reel.unusable.is_none() && !reel.synthetic && reel.transcript.is_some();
        let reels: Vec<Reel> = reels.into_iter().filter(usable).collect();
        ensure!(
            !reels.is_empty(),
            anyhow!("no seed has a transcript that a person spoke").hint("give records that aren't synthetic")
        );
        Ok(Seeds { reels })
    }

    /// All of them.
    pub fn reels(&self) -> &[Reel] {
        &self.reels
    }

    /// Refuses to ask for a label that no seed shows.
    ///
    /// # Errors
    /// Names the labels.
    pub fn check(&self, task: &Task, labels: &[String]) -> Result<()> {
        let has = |label: &&String| self.reels.iter().any(|reel| reel.reference.get(&task.name) == Some(*label));
        let missing: Vec<&String> = labels.iter().filter(|label| !has(label)).collect();
        ensure!(
            missing.is_empty(),
            anyhow!("no seed has {} {}", task.name, listed(&missing, SHOWN)).hint(
                "label a few Reels of it (`reels data review`), leave it out (--label), or generate without examples (--shots 0)"
            )
        );
        Ok(())
    }

    /// So many seeds of a label, or of any, each of another account as far as there are: accounts by chance, then a Reel of each.
    pub fn draw(&self, of: Option<(&str, &str)>, count: usize, random: &mut ChaCha8Rng) -> Vec<&Reel> {
        let fits =
            |reel: &&Reel| of.is_none_or(|(task, label)| reel.reference.get(task).is_some_and(|gold| gold == label));
        let mut reels: Vec<&Reel> = self.reels.iter().filter(fits).collect();
        reels.shuffle(random);
        let mut accounts = HashSet::new();
        let (first, again): (Vec<&Reel>, Vec<&Reel>) =
            reels.into_iter().partition(|reel| reel.account.as_deref().is_none_or(|account| accounts.insert(account)));
        first.into_iter().chain(again).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::error::Shown;

    fn reel(id: &str, account: &str, label: &str) -> Reel {
        let reference = [("category".to_owned(), label.to_owned())].into();
        // Words that no other one has.
        let words = (0..12).map(|at| crate::run::sha256(format!("{id} {at}").as_bytes())[..8].to_owned());
        let transcript = Some(words.collect::<Vec<_>>().join(" "));
        Reel { id: id.into(), account: Some(account.into()), transcript, reference, ..Reel::default() }
    }

    fn reels() -> Vec<Reel> {
        let of = |(at, (account, label)): (usize, (&str, &str))| reel(&format!("r{at}"), account, label);
        let all = [("a", "musik"), ("a", "musik"), ("a", "musik"), ("b", "musik"), ("c", "agama"), ("d", "musik")];
        all.into_iter().enumerate().map(of).collect()
    }

    #[test]
    fn examples_are_of_the_label_and_of_as_many_accounts_as_there_are() {
        let seeds = Seeds::of(reels(), None).unwrap();
        for seed in 0..20 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let drawn = seeds.draw(Some(("category", "musik")), 3, &mut random);
            let accounts: HashSet<_> = drawn.iter().map(|reel| reel.account.as_deref().unwrap()).collect();
            assert_eq!(accounts, ["a", "b", "d"].into());
        }
        let mut random = ChaCha8Rng::seed_from_u64(0);
        assert_eq!(seeds.draw(None, 99, &mut random).len(), 6);
    }

    #[test]
    fn what_a_model_is_judged_by_is_no_seed() {
        let all = reels();
        let lock = Lock::in_memory(&[Known { account: None, ..Known::from(&all[3]) }]);
        let message = Shown::of(&Seeds::of(all, Some(&lock)).unwrap_err()).to_string();
        assert!(message.contains("of the seeds are what the lock keeps for judging: r3\nhint: "), "{message}");
    }

    #[test]
    fn a_label_that_no_seed_shows_is_named() {
        let tasks = "[task.category]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 8\nlabels = [\"musik\", \"agama\", \"wisata\"]\n";
        let task = crate::task::parse_tasks(tasks, "tasks.toml").unwrap().remove(0);
        let seeds = Seeds::of(reels(), None).unwrap();
        assert!(seeds.check(&task, &["musik".into(), "agama".into()]).is_ok());
        let message = Shown::of(&seeds.check(&task, &task.labels).unwrap_err()).to_string();
        assert!(message.contains("no seed has category wisata\nhint: label a few"), "{message}");
    }
}
