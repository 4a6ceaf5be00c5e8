//! Data sets of which the truth is known.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// Runs over the same data.
pub const RUNS: usize = 4;

/// How often labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// All alike; with accounts, these take turns.
    Balanced,
    /// The k-th has a share in proportion to 1 / k.
    Zipf,
    /// One has 1 %, the others are alike.
    OneRare,
}

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    pub classes: Classes,
    pub labels: usize,
    pub rows: usize,
    /// `None`: every row stands alone.
    pub accounts: Option<Accounts>,
    /// The mean recall of the labels; these differ by 0.12.
    pub quality: f64,
    /// How often a run's answer hangs on the same chance as the other runs'.
    pub correlation: f64,
}

/// Who the rows are of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accounts {
    pub count: usize,
    /// The share of an account's rows that have its one label; the others have any.
    pub theme: f64,
    /// Whether one account has 30 % of the rows and the others fall off behind it.
    pub heavy: bool,
    /// How often an answer is the one that the account always gets for that label; the root of the correlation within
    /// accounts.
    pub habit: f64,
    /// The share of rows of which nobody knows whose they are.
    pub unknown: f64,
}

/// The shares of labels and answers that a design draws from.
pub struct Population {
    pub share: Vec<f64>,
    /// `[labels][labels + 1]`: of a label's rows, those with each answer; the last is invalid.
    pub answers: Vec<Vec<f64>>,
}

/// A drawn row.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// `None`: unknown.
    pub account: Option<usize>,
    pub label: usize,
    /// Of each run; `labels` is invalid.
    pub answers: [usize; RUNS],
}

impl std::fmt::Display for Design {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let classes = match self.classes {
            Classes::Balanced => "balanced",
            Classes::Zipf => "Zipf",
            Classes::OneRare => "one rare",
        };
        write!(f, "{} rows, {} {classes} labels, ", self.rows, self.labels)?;
        match self.accounts {
            None => write!(f, "single")?,
            Some(Accounts { count, theme, heavy, unknown, .. }) => write!(
                f,
                "{count} accounts{}{}{}",
                if theme > 0.0 { ", themed" } else { "" },
                if heavy { ", one with 30 %" } else { "" },
                if unknown > 0.0 { format!(", unknown for {:.0} %", 100.0 * unknown) } else { String::new() }
            )?,
        }
        write!(f, ", quality {}", self.quality)
    }
}

impl Design {
    /// The rows of each account, or one of each row.
    pub fn sizes(&self) -> Vec<usize> {
        let Some(Accounts { count, heavy, .. }) = self.accounts else { return vec![1; self.rows] };
        let share = |account: usize| match (heavy, account) {
            (false, _) => 1.0 / count as f64,
            (true, 0) => 0.3,
            // The others in proportion to 1 / √rank.
            (true, rank) => 0.7 / (rank as f64).sqrt() / (1..count).map(|rank| 1.0 / (rank as f64).sqrt()).sum::<f64>(),
        };
        let mut sizes: Vec<usize> =
            (0..count).map(|account| 1.max((share(account) * self.rows as f64) as usize)).collect();
        let mut missing = self.rows.saturating_sub(sizes.iter().sum());
        for size in sizes.iter_mut().rev() {
            let extra = usize::from(missing > 0);
            *size += extra;
            missing -= extra;
        }
        sizes
    }

    /// The same for every simulation.
    pub fn population(&self) -> Population {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let share: Vec<f64> = match self.classes {
            Classes::Balanced => {
                // As accounts that take turns have it.
                let sizes = self.sizes();
                let of = |label| sizes.iter().skip(label).step_by(self.labels).sum::<usize>() as f64;
                let theme = self.accounts.map_or(1.0, |accounts| accounts.theme);
                let any = 1.0 / self.labels as f64;
                (0..self.labels).map(|label| theme * of(label) / self.rows as f64 + (1.0 - theme) * any).collect()
            }
            Classes::Zipf => (1..=self.labels).map(|rank| 1.0 / rank as f64).collect(),
            Classes::OneRare => {
                (0..self.labels).map(|label| if label == 0 { 0.01 } else { 0.99 / (self.labels - 1) as f64 }).collect()
            }
        };
        let total: f64 = share.iter().sum();
        let answers = (0..self.labels).map(|label| {
            let recall = (self.quality + 0.12 * normal(&mut random)).clamp(0.3, 0.97);
            // Few of the wrong answers make up most.
            let mut wrong: Vec<f64> = (0..=self.labels).map(|_| normal(&mut random).powi(2)).collect();
            wrong[label] = 0.0;
            let total: f64 = wrong.iter().sum();
            let of = |(answer, weight): (usize, &f64)| {
                if answer == label { recall } else { (1.0 - recall) * weight / total }
            };
            wrong.iter().enumerate().map(of).collect()
        });
        Population { answers: answers.collect(), share: share.iter().map(|share| share / total).collect() }
    }

    /// The rows of a data set, and the answers of runs that are as good as each population says.
    pub fn draw(&self, populations: [&Population; RUNS], random: &mut ChaCha8Rng) -> Vec<Drawn> {
        let population = populations[0];
        let mut rows = Vec::with_capacity(self.rows);
        for (account, size) in self.sizes().into_iter().enumerate() {
            let by_turn = self.classes == Classes::Balanced;
            let any = |random: &mut ChaCha8Rng| pick(&population.share, random.random());
            let theme = if by_turn { account % self.labels } else { any(random) };
            let habits: Vec<[usize; RUNS]> =
                (0..self.labels).map(|label| self.answers(populations, label, random)).collect();
            for _ in 0..size {
                let label = match self.accounts {
                    Some(accounts) if random.random_bool(1.0 - accounts.theme) => {
                        if by_turn {
                            random.random_range(0..self.labels)
                        } else {
                            any(random)
                        }
                    }
                    _ => theme,
                };
                let habit = self.accounts.map_or(0.0, |accounts| accounts.habit);
                let answers = match random.random_bool(habit) {
                    true => habits[label],
                    false => self.answers(populations, label, random),
                };
                rows.push(Drawn { account: self.known(account, random), label, answers });
            }
        }
        rows
    }

    /// The account of a row, if somebody knows it.
    fn known(&self, account: usize, random: &mut ChaCha8Rng) -> Option<usize> {
        let Accounts { unknown, .. } = self.accounts?;
        random.random_bool(1.0 - unknown).then_some(account)
    }

    fn answers(&self, populations: [&Population; RUNS], label: usize, random: &mut ChaCha8Rng) -> [usize; RUNS] {
        let common: f64 = random.random();
        populations.map(|population| {
            let own = random.random();
            let chance = if random.random_bool(self.correlation) { common } else { own };
            pick(&population.answers[label], chance)
        })
    }
}

impl Population {
    /// F1 of each label.
    pub fn f1(&self) -> Vec<f64> {
        let labels = self.share.len();
        let answered =
            |answer: usize| (0..labels).map(|label| self.share[label] * self.answers[label][answer]).sum::<f64>();
        let of =
            |label: usize| 2.0 * self.share[label] * self.answers[label][label] / (self.share[label] + answered(label));
        (0..labels).map(of).collect()
    }

    pub fn precision(&self, label: usize) -> f64 {
        let answered = (0..self.share.len()).map(|other| self.share[other] * self.answers[other][label]);
        self.share[label] * self.answers[label][label] / answered.sum::<f64>()
    }

    pub fn recall(&self, label: usize) -> f64 {
        self.answers[label][label]
    }

    /// Matthews' correlation and Cohen's kappa.
    pub fn mcc_and_kappa(&self) -> [f64; 2] {
        let labels = self.share.len();
        let answered: Vec<f64> = (0..=labels)
            .map(|answer| (0..labels).map(|label| self.share[label] * self.answers[label][answer]).sum())
            .collect();
        let right: f64 = (0..labels).map(|label| self.share[label] * self.recall(label)).sum();
        let chance: f64 = self.share.iter().zip(&answered).map(|(share, answered)| share * answered).sum();
        let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let spread = ((1.0 - squares(&self.share)) * (1.0 - squares(&answered))).sqrt();
        [(right - chance) / spread, (right - chance) / (1.0 - chance)]
    }
}

pub fn normal(random: &mut ChaCha8Rng) -> f64 {
    Normal::standard().inverse_cdf(random.random_range(f64::EPSILON..1.0))
}

/// Values of a text metric: normal ones of which those below 0 and above 1 are cut off.
impl Design {
    const SPREAD: f64 = 0.35;

    fn centre(&self) -> f64 {
        // Quality 0.5, 0.7 and 0.95: a quarter at 0, few at either end, half at 1.
        1.9 * self.quality - 0.8
    }

    /// The mean of all values there could be.
    pub fn text_truth(&self) -> f64 {
        let normal = Normal::standard();
        let [low, high] = [0.0, 1.0].map(|bound| (bound - self.centre()) / Self::SPREAD);
        self.centre() * (normal.cdf(high) - normal.cdf(low))
            + Self::SPREAD * (normal.pdf(low) - normal.pdf(high))
            + normal.cdf(-high)
    }

    /// The account of each row and its values in runs that are equally good.
    pub fn draw_texts(&self, random: &mut ChaCha8Rng) -> Vec<(Option<usize>, [f64; RUNS])> {
        let habit = self.accounts.map_or(0.0, |accounts| accounts.habit);
        let runs = |random: &mut ChaCha8Rng| {
            let common = normal(random);
            [(); RUNS].map(|()| self.correlation.sqrt() * common + (1.0 - self.correlation).sqrt() * normal(random))
        };
        let mut values = Vec::with_capacity(self.rows);
        for (account, size) in self.sizes().into_iter().enumerate() {
            let taste = runs(random);
            for _ in 0..size {
                let alone = runs(random);
                let of = |run: usize| {
                    let off = habit * taste[run] + (1.0 - habit * habit).sqrt() * alone[run];
                    (self.centre() + Self::SPREAD * off).clamp(0.0, 1.0)
                };
                values.push((self.known(account, random), std::array::from_fn(of)));
            }
        }
        values
    }
}

/// Designs that have been asked about: of each kind the smallest that shows most, and those that went wrong once.
pub fn named() -> Vec<Design> {
    let single = |rows, classes| Design { classes, labels: 15, rows, accounts: None, quality: 0.7, correlation: 0.7 };
    let by = |count, rows, classes| Design {
        accounts: Some(Accounts { count, theme: 1.0, heavy: false, habit: 0.0, unknown: 0.0 }),
        ..single(rows, classes)
    };
    vec![
        by(42, 126, Classes::Zipf),
        single(98, Classes::Zipf),
        by(45, 135, Classes::Balanced),
        single(40, Classes::Zipf),
        single(120, Classes::Zipf),
        single(655, Classes::Zipf),
        by(42, 120, Classes::Balanced),
    ]
}

/// Accounts whose rows are alike: all known, and unknown for 30 % of the rows.
pub fn hidden() -> Vec<Design> {
    let alike = |(rows, count, theme)| {
        [0.0, 0.3].map(|unknown| Design {
            classes: Classes::Zipf,
            labels: 8,
            rows,
            accounts: Some(Accounts { count, theme, heavy: false, habit: 0.4, unknown }),
            quality: 0.7,
            correlation: 0.7,
        })
    };
    [(655, 42, 0.0), (655, 42, 0.9), (300, 20, 0.9), (300, 5, 0.9)].into_iter().flat_map(alike).collect()
}

/// A yes/no task with probabilities.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    pub rows: usize,
    pub accounts: Option<usize>,
    /// How far the logits of the two labels lie apart, in standard deviations.
    pub apart: f64,
}

/// Few and many rows, with accounts and without, of judges that tell little and much.
pub fn judges() -> Vec<Judge> {
    let rows = [(40, None), (120, None), (655, None), (126, Some(42)), (655, Some(20))];
    rows.into_iter().flat_map(|(rows, accounts)| [1.0, 2.5].map(|apart| Judge { rows, accounts, apart })).collect()
}

impl std::fmt::Display for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let accounts = self.accounts.map_or("single".to_owned(), |accounts| format!("{accounts} accounts"));
        write!(f, "{} rows, 30 % positive, {accounts}, {} apart", self.rows, self.apart)
    }
}

impl Judge {
    /// The account of each row, whether it is positive, and its probability of being so by a judge that is too sure.
    pub fn draw(&self, random: &mut ChaCha8Rng) -> Vec<(usize, bool, f64)> {
        let accounts = self.accounts.unwrap_or(self.rows);
        let tastes: Vec<f64> = (0..accounts).map(|_| normal(random)).collect();
        let of = |row: usize| {
            let positive = random.random_bool(0.3);
            let side = if positive { self.apart / 2.0 } else { -self.apart / 2.0 };
            let logit = 1.5 * (side + 0.4 * tastes[row % accounts] + 0.9 * normal(random));
            (row % accounts, positive, 1.0 / (1.0 + (-logit).exp()))
        };
        (0..self.rows).map(of).collect()
    }
}

/// What the cells of the table differ in; each is a level of every factor.
const FACTORS: [usize; 7] = [3, 2, 5, 8, 2, 2, 3];

/// How many cells are enough for that: 37 or so.
const CROSSED: usize = 53;

/// Designs in which every two levels of different factors meet, where there are such data.
pub fn crossed() -> Vec<Design> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let pairs = |levels: &[usize; 7]| {
        let at = |a: usize| (a + 1..7).map(move |b| (a, b));
        (0..7).flat_map(at).map(|(a, b)| (a, levels[a], b, levels[b])).collect::<Vec<_>>()
    };
    let mut met = HashSet::new();
    let mut designs = Vec::new();
    for _ in 0..CROSSED {
        let candidates = (0..2000).filter_map(|_| {
            let levels = FACTORS.map(|levels| random.random_range(0..levels));
            let design = of_levels(&levels)?;
            Some((pairs(&levels).iter().filter(|pair| !met.contains(*pair)).count(), levels, design))
        });
        let (_, levels, design) = candidates.max_by_key(|(new, ..)| *new).expect("most levels go together");
        met.extend(pairs(&levels));
        designs.push(design);
    }
    designs
}

/// `None` where there are more accounts than half the rows, or no accounts to have a theme or a size.
fn of_levels(levels: &[usize; 7]) -> Option<Design> {
    let [classes, labels, rows, accounts, theme, heavy, quality] = *levels;
    let rows = [40, 120, 300, 655, 5000][rows];
    let accounts = match accounts {
        0 if theme + heavy > 0 => return None,
        0 => None,
        count => Some(Accounts {
            count: Some([2, 5, 10, 20, 42, 100, 400][count - 1]).filter(|count| 2 * count <= rows)?,
            theme: [0.0, 0.9][theme],
            heavy: heavy == 1,
            habit: 0.4,
            unknown: 0.0,
        }),
    };
    Some(Design {
        classes: [Classes::Balanced, Classes::Zipf, Classes::OneRare][classes],
        labels: [8, 15][labels],
        rows,
        accounts,
        quality: [0.5, 0.7, 0.95][quality],
        // Each equally often, in turn.
        correlation: [0.3, 0.7, 0.95][levels.iter().sum::<usize>() % 3],
    })
}

fn pick(shares: &[f64], mut chance: f64) -> usize {
    let at = shares.iter().position(|share| {
        chance -= share;
        chance < 0.0
    });
    at.unwrap_or(shares.len() - 1)
}
