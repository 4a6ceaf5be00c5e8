//! Settings of `reels split`.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::DEFAULT_SEED;
use crate::error::Hint;

/// What `reels split` may be told.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitOverrides {
    /// Directory to write: train.jsonl, dev.jsonl, test.jsonl, test.lock, manifest.json
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Records to learn from, as a share or a number [default: what dev and test leave]
    #[arg(long, value_name = "0.8|N", help_heading = "Sizes")]
    pub train: Option<f64>,
    /// Records to choose by, as a share or a number [default: 0.1]
    #[arg(long, value_name = "0.1|N", help_heading = "Sizes")]
    pub dev: Option<f64>,
    /// Records to judge by, as a share or a number; once drawn they stay [default: 0.1]
    #[arg(long, value_name = "0.1|N", help_heading = "Sizes")]
    pub test: Option<f64>,
    /// Write so many pairs of train and test instead, each record once in a test
    #[arg(long, value_name = "K", conflicts_with_all = ["train", "dev", "test"], help_heading = "Sizes")]
    pub folds: Option<usize>,
    /// Seed of what is drawn [default: 42]
    #[arg(long, env = "REELS_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Lock of the test set [default: test.lock in --output, beside the data or above it in the project]
    #[arg(long, env = "REELS_LOCK", value_name = "F")]
    pub lock: Option<PathBuf>,
    /// Folder with tasks.toml, whose labels are spread evenly [default: ./prompts, else the embedded ones]
    #[arg(long, env = "REELS_PROMPTS", value_name = "DIR")]
    pub prompts: Option<PathBuf>,
}

/// How many records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// Of all records, at least 0 and below 1.
    Share(f64),
    #[expect(missing_docs, reason = "the name says it")]
    Records(usize),
}

/// Share of the test set where no size is given.
pub const TEST_SHARE: f64 = 0.1;

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parts {
    /// `train` is what the others leave where it is `None`.
    Sizes {
        #[expect(missing_docs, reason = "the name says it")]
        train: Option<Size>,
        #[expect(missing_docs, reason = "the name says it")]
        dev: Size,
        #[expect(missing_docs, reason = "the name says it")]
        test: Size,
    },
    /// So many pairs of train and test.
    Folds(usize),
}

/// See [`SplitOverrides`].
#[derive(Debug, Clone, PartialEq)]
pub struct SplitSettings {
    /// `-` is standard input.
    pub data: PathBuf,
    #[expect(missing_docs, reason = "the name says it")]
    pub output: PathBuf,
    #[expect(missing_docs, reason = "the type says it")]
    pub parts: Parts,
    #[expect(missing_docs, reason = "the name says it")]
    pub seed: u64,
    /// `None`: it is looked for.
    pub lock: Option<PathBuf>,
    /// `None`: those found as everywhere.
    pub prompts: Option<PathBuf>,
}

impl SplitOverrides {
    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self, data: PathBuf) -> Result<SplitSettings> {
        let SplitOverrides { output, train, dev, test, folds, seed, lock, prompts } = self;
        let output =
            output.context("--output is missing").hint("name a directory for the parts, e.g. --output data/split")?;
        let parts = match folds {
            Some(folds) => {
                // The settings file may say what the command line refuses.
                ensure!(
                    train.or(dev).or(test).is_none(),
                    anyhow!("--folds {folds} and sizes are two ways to split").hint("leave out one of them")
                );
                ensure!(
                    (2..=100).contains(&folds),
                    anyhow!("--folds {folds} is not between 2 and 100").hint("5 and 10 are usual")
                );
                Parts::Folds(folds)
            }
            None => {
                let size = |flag: &str, value: f64| Size::of(value).with_context(|| format!("--{flag} {value}"));
                let train = train.map(|train| size("train", train)).transpose()?;
                let (dev, test) = (size("dev", dev.unwrap_or(0.1))?, size("test", test.unwrap_or(TEST_SHARE))?);
                let share = |size: Size| if let Size::Share(share) = size { share } else { 0.0 };
                let shares = share(dev) + share(test) + train.map_or(0.0, share);
                ensure!(
                    shares <= 1.0 + 1e-9,
                    anyhow!("the shares of the parts add up to {shares}")
                        .hint("they are of the same records: 1 at most")
                );
                Parts::Sizes { train, dev, test }
            }
        };
        Ok(SplitSettings { data, output, parts, seed: seed.unwrap_or(DEFAULT_SEED), lock, prompts })
    }
}

impl Size {
    /// A share below 1, a whole number above.
    fn of(value: f64) -> Result<Size> {
        ensure!(
            value.is_finite() && value >= 0.0,
            anyhow!("is no size").hint("a share such as 0.1, or a number of records such as 100")
        );
        ensure!(
            value != 1.0,
            anyhow!("may be all records or one").hint("a share is below 1; for all, leave out the other parts: 0")
        );
        if value < 1.0 {
            return Ok(Size::Share(value));
        }
        ensure!(
            value.fract() == 0.0 && value < 1e12,
            anyhow!("is neither a share nor a number of records").hint("a share is below 1, a number is whole")
        );
        Ok(Size::Records(value as usize))
    }

    /// Of so many records.
    pub fn records(self, all: usize) -> usize {
        match self {
            Size::Share(share) => (share * all as f64).round() as usize,
            Size::Records(records) => records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    fn parts(change: impl FnOnce(&mut SplitOverrides)) -> Result<Parts> {
        let mut overrides = SplitOverrides { output: Some("out".into()), ..Default::default() };
        change(&mut overrides);
        Ok(overrides.resolve("a.jsonl".into())?.parts)
    }

    #[test]
    fn shares_and_numbers_are_told_apart() {
        let tenth = Size::Share(0.1);
        assert_eq!(parts(|_| ()).unwrap(), Parts::Sizes { train: None, dev: tenth, test: tenth });
        let some = parts(|flags| (flags.test, flags.dev) = (Some(100.0), Some(0.0))).unwrap();
        assert_eq!(some, Parts::Sizes { train: None, dev: Size::Share(0.0), test: Size::Records(100) });
        assert_eq!((tenth.records(655), Size::Records(7).records(655)), (66, 7));
        assert_eq!(parts(|flags| flags.folds = Some(5)).unwrap(), Parts::Folds(5));
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        type Change = fn(&mut SplitOverrides);
        let cases: [(Change, &str); 8] = [
            (|flags| flags.test = Some(-0.1), "--test -0.1: is no size\nhint: a share such as"),
            (|flags| flags.dev = Some(f64::NAN), "--dev NaN: is no size"),
            (|flags| flags.test = Some(1.0), "--test 1: may be all records or one"),
            (|flags| flags.test = Some(10.5), "--test 10.5: is neither a share nor a number of records"),
            (|flags| (flags.test, flags.train) = (Some(0.3), Some(0.8)), "the shares of the parts add up to 1.2"),
            (|flags| flags.folds = Some(1), "--folds 1 is not between 2 and 100"),
            (|flags| (flags.folds, flags.test) = (Some(5), Some(0.2)), "--folds 5 and sizes are two ways"),
            (|flags| flags.output = None, "--output is missing\nhint: name a directory"),
        ];
        for (change, expected) in cases {
            let message = Shown::of(&parts(change).unwrap_err()).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
