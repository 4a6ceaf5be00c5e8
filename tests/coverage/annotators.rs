//! People who label and rate, of whom it is known how far they agree.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::score::agreement::{Judgements, Scale};

use crate::designs::{Accounts, Classes, Design, Population, RUNS, normal};

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct People {
    pub annotators: usize,
    pub question: Question,
    pub rows: usize,
    pub accounts: usize,
    /// Whether an account’s rows have mostly one label.
    pub themed: bool,
    /// Whether one account has 30 % of the rows.
    pub heavy: bool,
    /// The share of answers that aren’t there.
    pub missing: f64,
}

#[derive(Debug, Clone, Copy)]
pub enum Question {
    /// 15 labels, the k-th with a share in proportion to 1 / k; the share of rows on which two people agree.
    Category(f64),
    /// Yes for a share of the rows; on how many two people agree.
    YesNo { yes: f64, agreement: f64 },
    /// From 1 to 5; the standard deviation of an annotator’s error where that of what is rated is 1.
    Rating(f64),
}

impl std::fmt::Display for People {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let People { annotators, rows, accounts, themed, heavy, missing, question } = self;
        write!(f, "{rows} rows of {accounts}")?;
        match question {
            Question::Category(agreement) => write!(f, ", 15 Zipf labels, agreement {agreement}")?,
            Question::YesNo { yes, agreement } => write!(f, ", {:.0} % yes, agreement {agreement}", 100.0 * yes)?,
            Question::Rating(error) => write!(f, ", 1–5, error {error}")?,
        }
        write!(f, ", {annotators} people{}", if *themed { ", themed" } else { "" })?;
        write!(f, "{}", if *heavy { ", one account with 30 %" } else { "" })?;
        if *missing > 0.0 { write!(f, ", {:.0} % missing", 100.0 * missing) } else { Ok(()) }
    }
}

impl People {
    pub fn scale(&self) -> Scale {
        if matches!(self.question, Question::Rating(_)) { Scale::Ordinal } else { Scale::Nominal }
    }

    /// As many rows as tell what coefficients estimate, in few clusters.
    pub fn truth(&self) -> Judgements {
        let many = People { rows: 400_000, accounts: 200_000, heavy: false, missing: 0.0, ..*self };
        let mut judgements = many.draw(&mut ChaCha8Rng::seed_from_u64(3));
        judgements.accounts.iter_mut().for_each(|account| *account = account.map(|account| account % 20));
        judgements
    }

    pub fn draw(&self, random: &mut ChaCha8Rng) -> Judgements {
        let (rows, categories) = match self.question {
            Question::Category(agreement) => {
                let share = (1..=15).map(|rank| 1.0 / f64::from(rank)).collect();
                (self.labels(share, agreement, random), 15)
            }
            Question::YesNo { yes, agreement } => (self.labels(vec![yes, 1.0 - yes], agreement, random), 2),
            Question::Rating(error) => (self.ratings(error, random), 5),
        };
        let (accounts, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let given = |answers: [usize; RUNS], random: &mut ChaCha8Rng| -> Vec<Option<u16>> {
            let answers = answers.into_iter().take(self.annotators);
            answers.map(|answer| random.random_bool(1.0 - self.missing).then_some(answer as u16)).collect()
        };
        Judgements {
            annotators: (0..self.annotators).map(|annotator| annotator.to_string()).collect(),
            categories,
            answers: rows.into_iter().flat_map(|answers| given(answers, random)).collect(),
            accounts: accounts.into_iter().map(|account| Some(account as u32)).collect(),
        }
    }

    fn design(&self, labels: usize) -> Design {
        let theme = if self.themed { 0.9 } else { 0.0 };
        let accounts = Accounts { count: self.accounts, theme, heavy: self.heavy, habit: 0.4, unknown: 0.0 };
        Design {
            classes: Classes::Zipf,
            labels,
            rows: self.rows,
            accounts: Some(accounts),
            quality: 0.0,
            correlation: 0.0,
        }
    }

    fn labels(&self, share: Vec<f64>, agreement: f64, random: &mut ChaCha8Rng) -> Vec<(usize, [usize; RUNS])> {
        let design = self.design(share.len());
        let population = population(share, agreement);
        let rows = design.draw([&population; RUNS], random);
        rows.into_iter().map(|row| (row.account.unwrap(), row.answers)).collect()
    }

    /// A rating is what the Reel deserves, with its account, and what the annotator makes of it.
    fn ratings(&self, error: f64, random: &mut ChaCha8Rng) -> Vec<(usize, [usize; RUNS])> {
        let mut rows = Vec::with_capacity(self.rows);
        for (account, size) in self.design(5).sizes().into_iter().enumerate() {
            let taste = normal(random);
            for _ in 0..size {
                let deserved = 3.8 + 0.4 * taste + 0.9 * normal(random);
                let rating = |annotator: usize, random: &mut ChaCha8Rng| {
                    let lenient = [0.0, 0.3, -0.2, 0.1][annotator];
                    (deserved + lenient + error * normal(random)).round().clamp(1.0, 5.0) as usize - 1
                };
                rows.push((account, std::array::from_fn(|annotator| rating(annotator, random))));
            }
        }
        rows
    }
}

/// Answers by which two people agree on this share of the rows.
fn population(share: Vec<f64>, agreement: f64) -> Population {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let labels = share.len();
    let total: f64 = share.iter().sum();
    let share: Vec<f64> = share.iter().map(|share| share / total).collect();
    // Some labels are harder than others, and few of the wrong answers make up most.
    let hard: Vec<f64> = (0..labels).map(|_| random.random_range(0.5..1.5)).collect();
    let weights: Vec<Vec<f64>> = (0..labels)
        .map(|label| {
            let mut wrong: Vec<f64> = (0..labels).map(|_| normal(&mut random).powi(2)).collect();
            // A rare label is rarely a wrong answer.
            wrong.iter_mut().zip(&share).for_each(|(wrong, share)| *wrong *= share);
            wrong[label] = 0.0;
            let total: f64 = wrong.iter().sum();
            wrong.into_iter().map(|wrong| wrong / total).collect()
        })
        .collect();
    let answers = |wrong: f64| -> Vec<Vec<f64>> {
        let of = |label: usize| {
            let wrong = (wrong * hard[label]).min(0.9);
            let mut row: Vec<f64> = weights[label].iter().map(|weight| wrong * weight).collect();
            row[label] = 1.0 - wrong;
            // Nothing is invalid.
            row.push(0.0);
            row
        };
        (0..labels).map(of).collect()
    };
    let agreeing = |answers: &[Vec<f64>]| -> f64 {
        answers.iter().zip(&share).map(|(row, share)| share * row.iter().map(|p| p * p).sum::<f64>()).sum()
    };
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if agreeing(&answers(middle)) > agreement { low = middle } else { high = middle }
    }
    Population { answers: answers(low), share }
}

/// Few and many rows, with accounts of one theme and of all, rare labels, good and bad agreement.
pub fn people() -> Vec<People> {
    let mut all = Vec::new();
    for (rows, accounts) in [(40, 30), (120, 86), (120, 42), (655, 200)] {
        for agreement in [0.75, 0.9, 0.97] {
            for (annotators, missing) in [(2, 0.0), (3, 0.1)] {
                let of =
                    |question, themed| People { annotators, question, rows, accounts, themed, heavy: false, missing };
                let error = match agreement {
                    0.75 => 0.8,
                    0.9 => 0.4,
                    _ => 0.2,
                };
                all.extend([
                    of(Question::Category(agreement), false),
                    of(Question::Category(agreement), true),
                    of(Question::YesNo { yes: 0.05, agreement }, false),
                    of(Question::YesNo { yes: 0.35, agreement }, true),
                    of(Question::Rating(error), false),
                ]);
            }
        }
    }
    let of = |question, annotators, rows, accounts, heavy, missing| People {
        annotators,
        question,
        rows,
        accounts,
        themed: heavy,
        heavy,
        missing,
    };
    for (rows, accounts) in [(120, 42), (300, 20), (655, 200), (655, 42)] {
        for agreement in [0.9, 0.97] {
            let of = |annotators, missing| {
                of(Question::YesNo { yes: 0.05, agreement }, annotators, rows, accounts, false, missing)
            };
            all.extend([of(2, 0.0), of(3, 0.1)].map(|people| People { themed: true, ..people }));
        }
    }
    for question in [Question::Category(0.9), Question::YesNo { yes: 0.2, agreement: 0.9 }, Question::Rating(0.4)] {
        all.extend([
            of(question, 2, 655, 42, true, 0.1),
            of(question, 2, 120, 12, false, 0.0),
            of(question, 4, 300, 100, false, 0.4),
        ]);
    }
    all
}
