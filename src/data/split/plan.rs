//! Which record goes where, and what is left out.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, anyhow, ensure};

use super::{Data, Group, assign};
use crate::data::dedup::Likeness;
use crate::data::dedup::near::{self, Alike, FEW, Near};
use crate::data::groups::{Groups, Tie};
use crate::data::lock::{Index, Lock};
use crate::error::Hint;

/// How many records each part is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    #[expect(missing_docs, reason = "the name says it")]
    pub train: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub dev: usize,
    /// Not looked at where the test set is frozen.
    pub test: usize,
}

/// Why a record is in no part.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// Written by a model, and belongs with records of dev or test.
    Synthetic,
    /// Has no gold answer, and belongs with records of dev or test.
    Unlabelled,
    /// Of an account that the frozen test set has.
    Account,
    /// Posted together with an account that the frozen test set has.
    Collaborators,
    /// A copy of a record of the test set: its id.
    Copy(String, Likeness),
}

impl Why {
    /// As it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Why::Synthetic => "synthetic, and belongs with records of dev or test",
            Why::Unlabelled => "without a gold answer, and belongs with records of dev or test",
            Why::Account => "of an account of the test set",
            Why::Collaborators => "posted together with an account of the test set",
            Why::Copy(..) => "copy of a record of the test set",
        }
    }
}

/// A record that is in no part.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// Number among [`Data::entries`].
    pub at: usize,
    #[expect(missing_docs, reason = "the type says it")]
    pub why: Why,
}

/// A group that was kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Numbers among [`Data::entries`].
    pub members: Vec<usize>,
    /// How many ties of each kind hold it together: account, collaborators, copies.
    pub ties: [usize; 3],
}

/// What was decided.
#[derive(Debug)]
pub struct Plan {
    /// The part of each record: 0 train, 1 dev, 2 test, or the fold whose test it is in; `None` where it is left out.
    pub parts: Vec<Option<usize>>,
    /// In the order of records.
    pub left_out: Vec<LeftOut>,
    /// The largest first.
    pub groups: Vec<Whole>,
    /// The Jaccard index from which on texts were copies.
    pub jaccard: f64,
    /// Texts that resemble so many others that they weren't compared with all of them.
    pub cut_short: usize,
    /// Records of a frozen test set that are there.
    pub frozen: usize,
    /// A test set that was drawn now.
    pub lock: Option<Lock>,
}

const TRAIN: usize = 0;
const DEV: usize = 1;
/// See [`Plan::parts`].
pub const TEST: usize = 2;

/// Draws test from all, then dev from the rest; or, where a test set is frozen, dev from what has nothing to do with it.
///
/// # Errors
/// Of the environment; when all records hang together.
pub fn plan(data: &Data, wish: Wish, seed: u64, frozen: Option<&Lock>) -> Result<Plan> {
    let mut plan = Plan::new(data);
    let chosen = match frozen {
        Some(lock) => plan.around(data, lock)?,
        None => (0..data.entries.len()).collect(),
    };
    let (groups, near) = plan.group(data, &chosen)?;
    let mut wholes = groups;
    if frozen.is_none() && wish.test > 0 {
        ensure!(
            wholes.len() > 1,
            anyhow!("all {} records hang together, so there is no test set: {}", chosen.len(), told(&wholes[0]))
                .hint("gather records of other accounts")
        );
        let rest = (wish.train + wish.dev) as f64;
        let drawn = assign(&described(data, &wholes), &[rest, wish.test as f64], data.strata.len(), seed);
        let mut drawn = drawn.into_iter();
        wholes.retain(|whole| {
            let in_test = drawn.next() == Some(1);
            if in_test {
                plan.put(data, whole, TEST);
            }
            !in_test
        });
        plan.freeze(data, &near, seed)?;
    }
    // What is too close to the test set has left its group.
    let out = plan.out();
    wholes.iter_mut().for_each(|whole| whole.members.retain(|at| !out.contains(at)));
    let count = |whole: &Whole| whole.members.iter().filter(|at| data.counts(**at)).count();
    let left: usize = wholes.iter().map(count).sum();
    let dev = wish.dev.min(left);
    let drawn = assign(&described(data, &wholes), &[(left - dev) as f64, dev as f64], data.strata.len(), seed);
    for (whole, part) in wholes.iter().zip(drawn) {
        plan.put(data, whole, if part == 1 { DEV } else { TRAIN });
    }
    plan.left_out.sort_by_key(|left| left.at);
    Ok(plan)
}

/// Deals all records into so many folds; synthetic ones are in no test.
///
/// # Errors
/// Of the environment; when there are fewer groups than folds.
pub fn folds(data: &Data, count: usize, seed: u64, frozen: Option<&Lock>) -> Result<Plan> {
    let mut plan = Plan::new(data);
    let chosen = match frozen {
        Some(lock) => plan.around(data, lock)?,
        None => (0..data.entries.len()).collect(),
    };
    let (wholes, _) = plan.group(data, &chosen)?;
    ensure!(
        wholes.len() >= count,
        anyhow!("{} groups are too few for {count} folds: groups stay whole", wholes.len())
            .hint(format!("--folds {} at most, or gather records of other accounts", wholes.len()))
    );
    let described: Vec<Group> = described(data, &wholes);
    // Records without a gold answer are dealt too.
    let weighed =
        described.into_iter().zip(&wholes).map(|(group, whole)| Group { weight: whole.members.len(), ..group });
    let weighed: Vec<Group> = weighed.collect();
    let size = chosen.len() as f64 / count as f64;
    let drawn = assign(&weighed, &vec![size; count], data.strata.len(), seed);
    for (whole, fold) in wholes.iter().zip(drawn) {
        whole.members.iter().for_each(|at| plan.parts[*at] = Some(fold));
    }
    // The frozen test set is in no fold.
    if frozen.is_some() {
        let dealt: HashSet<usize> = chosen.into_iter().collect();
        (0..data.entries.len()).filter(|at| !dealt.contains(at)).for_each(|at| plan.parts[at] = None);
    }
    Ok(plan)
}

impl Plan {
    fn new(data: &Data) -> Plan {
        let count = data.entries.len();
        let Alike { jaccard, .. } = Alike::among(count);
        Plan {
            parts: vec![None; count],
            left_out: vec![],
            groups: vec![],
            jaccard,
            cut_short: 0,
            frozen: 0,
            lock: None,
        }
    }

    fn out(&self) -> HashSet<usize> {
        self.left_out.iter().map(|left| left.at).collect()
    }

    /// Puts locked records into test, leaves out what has to do with them, and gives the others.
    fn around(&mut self, data: &Data, lock: &Lock) -> Result<Vec<usize>> {
        let index = Index::of(lock);
        let mut others = vec![];
        for at in 0..data.entries.len() {
            if index.id(&data.known(at)?.id).is_some() {
                self.parts[at] = Some(TEST);
                self.frozen += 1;
            } else if data.account(at).is_some_and(|account| index.has_account(account)) {
                self.left_out.push(LeftOut { at, why: Why::Account });
            } else if data.with(at).any(|account| index.has_account(account)) {
                self.left_out.push(LeftOut { at, why: Why::Collaborators });
            } else {
                others.push(at);
            }
        }
        self.leave_out_copies(data, &index, &others)?;
        let out = self.out();
        others.retain(|at| !out.contains(at));
        Ok(others)
    }

    fn leave_out_copies(&mut self, data: &Data, index: &Index, others: &[usize]) -> Result<()> {
        let read = |place: usize| data.known(others[place]);
        // Whatever part of the records is looked at later, no run of words is stock that isn't now.
        for copy in index.copies(others.len(), &read, usize::MAX)? {
            let why = Why::Copy(index.name(copy.of).to_owned(), copy.likeness);
            self.left_out.push(LeftOut { at: others[copy.at], why });
        }
        Ok(())
    }

    /// The groups of these records, with their members by number.
    fn group(&mut self, data: &Data, chosen: &[usize]) -> Result<(Vec<Whole>, Near)> {
        let mut groups = data.join_accounts(chosen);
        let read = |place: usize| data.known(chosen[place]);
        let near = near::join(chosen.len(), &read, &Alike::among(data.entries.len()), &mut groups)?;
        self.cut_short = near.cut_short;
        let wholes = wholes(&groups, chosen);
        self.groups = wholes.clone();
        self.groups.sort_by_key(|whole| std::cmp::Reverse(whole.members.len()));
        Ok((wholes, near))
    }

    /// Locks what is in test, and leaves out what is too close to it: of many records only close copies were put together.
    fn freeze(&mut self, data: &Data, near: &Near, seed: u64) -> Result<()> {
        let is_test = |at: &usize| self.parts[*at] == Some(TEST);
        let (test, mut others): (Vec<usize>, Vec<usize>) = (0..data.entries.len()).partition(is_test);
        if test.is_empty() {
            return Ok(());
        }
        let out = self.out();
        others.retain(|at| !out.contains(at));
        let alike = Alike::among(if test.len() <= FEW { 0 } else { test.len() });
        let lock = Lock::of(test.len(), |place| data.known(test[place]), &alike, &near.stock, seed)?;
        if test.len() <= FEW {
            self.leave_out_copies(data, &Index::of(&lock), &others)?;
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// Puts a group into a part; what isn't to be judged by goes to train only.
    fn put(&mut self, data: &Data, whole: &Whole, part: usize) {
        for at in &whole.members {
            if part == TRAIN || data.counts(*at) {
                self.parts[*at] = Some(part);
            } else {
                let why = if data.entries[*at].synthetic { Why::Synthetic } else { Why::Unlabelled };
                self.left_out.push(LeftOut { at: *at, why });
            }
        }
    }
}

/// Members by group, in order of their first ones.
fn wholes(groups: &Groups, chosen: &[usize]) -> Vec<Whole> {
    let mut place_of = HashMap::new();
    let mut wholes: Vec<Whole> = vec![];
    for (place, at) in chosen.iter().enumerate() {
        let next = wholes.len();
        let group = *place_of.entry(groups.root(place)).or_insert(next);
        if group == next {
            wholes.push(Whole { members: vec![], ties: [0; 3] });
        }
        wholes[group].members.push(*at);
    }
    for (member, tie) in &groups.ties {
        let kind = match tie {
            Tie::Account => 0,
            Tie::Collaborators => 1,
            Tie::Copies => 2,
        };
        wholes[place_of[&groups.root(*member)]].ties[kind] += 1;
    }
    wholes
}

/// What holds a group together.
pub fn told(whole: &Whole) -> String {
    let [account, collaborators, copies] = whole.ties;
    let ties = [(account, "by account"), (collaborators, "by collaborators"), (copies, "by copies")];
    let ties: Vec<String> =
        ties.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}")).collect();
    format!("{} records, tied {}", whole.members.len(), ties.join(", "))
}

/// What is to be known of groups to give them away.
fn described(data: &Data, wholes: &[Whole]) -> Vec<Group> {
    let describe = |whole: &Whole| {
        let mut strata: Vec<u16> = vec![];
        let counted = whole.members.iter().filter(|at| data.counts(**at));
        counted.clone().for_each(|at| strata.extend(data.strata(*at)));
        strata.sort_unstable();
        let strata = strata.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        let key = whole.members.iter().map(|at| data.entries[*at].key).min().unwrap_or_default();
        Group { weight: counted.count(), strata, key }
    };
    wholes.iter().map(describe).collect()
}
