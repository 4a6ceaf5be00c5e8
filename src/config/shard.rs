//! One of several parts of the records, for several machines.

use std::fmt::{Display, Formatter};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Hint;

/// The records of one machine out of several: those whose ids hash to its number, wherever they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    #[expect(missing_docs, reason = "the name says it")]
    pub of: u32,
}

impl Display for Shard {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Reads `3/8`, or `8` with the number that a scheduler gives this process: `variable` looks up its environment.
    ///
    /// # Errors
    /// Names the value, and the variables that would say the number.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        let not_one =
            || anyhow!("--shard {text} is no part such as 3/8").hint("--shard 8 takes the number from the scheduler");
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let shard = match text.split_once('/') {
            Some((own, of)) => Shard { number: number(own).ok_or_else(not_one)?, of: number(of).ok_or_else(not_one)? },
            None => {
                let of = number(text).ok_or_else(not_one)?;
                let given = |name: &str| number(&variable(name)?);
                // Slurm's arrays count as one says, and one alone of them is submitted again under its own number; Kubernetes'
                // indexed jobs begin at 0.
                let own = given("SLURM_ARRAY_TASK_ID").or_else(|| Some(given("JOB_COMPLETION_INDEX")? + 1)).context(
                    "--shard 8 alone takes its number from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX, and neither is set"
                        .replace('8', text),
                );
                Shard { number: own.hint(format!("name it: --shard 1/{of}"))?, of }
            }
        };
        ensure!(
            (1..=shard.of).contains(&shard.number) && shard.of <= 100_000,
            anyhow!("--shard {shard} is not between 1 and {}", shard.of)
                .hint("parts are counted from 1, as by Slurm’s --array=1-N")
        );
        Ok(shard)
    }

    /// Whether a record is of this part.
    pub fn holds(self, id: &str) -> bool {
        let hash = Sha256::digest(id.as_bytes());
        let start: [u8; 8] = hash[..8].try_into().expect("it has 32 bytes");
        u64::from_be_bytes(start) % u64::from(self.of) == u64::from(self.number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Shard> {
        Shard::parse(text, |name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn schedulers_say_which_part_it_is() {
        let part = |number, of| Shard { number, of };
        for (text, variables, expected) in [
            ("3/8", &[][..], part(3, 8)),
            ("8", &[("SLURM_ARRAY_TASK_ID", "3")], part(3, 8)),
            ("8", &[("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "5")], part(5, 8)),
            ("8", &[("JOB_COMPLETION_INDEX", "7")], part(8, 8)),
        ] {
            assert_eq!(parse(text, variables).unwrap(), expected);
        }
        for (text, variables, expected) in [
            ("8", &[][..], "takes its number from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX"),
            ("9/8", &[], "--shard 9/8 is not between 1 and 8"),
            ("0/8", &[], "--shard 0/8 is not between 1 and 8"),
            ("a", &[], "--shard a is no part such as 3/8"),
            ("8", &[("JOB_COMPLETION_INDEX", "8")], "--shard 9/8 is not between 1 and 8"),
            ("8", &[("SLURM_ARRAY_TASK_ID", "0")], "--shard 0/8 is not between 1 and 8"),
        ] {
            let error = format!("{:#}", parse(text, variables).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn each_record_is_of_one_part() {
        let counts: Vec<usize> = (1..=4)
            .map(|number| (0..1000).filter(|at| Shard { number, of: 4 }.holds(&format!("r{at}"))).count())
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), 1000);
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
    }
}
