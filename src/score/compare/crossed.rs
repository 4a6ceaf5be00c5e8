//! Arms of an experiment that were run with several seeds: what holds over accounts and seeds.
//!
//! Accounts and seeds are crossed factors: each seed's run answers about the same accounts. What the number of accounts leaves
//! open is told by leaving them out one by one, of the mean over seeds; what the number of seeds leaves open by how the seeds'
//! values differ. The sum of the two variances counts what accounts and seeds do together twice, so it is rather too large
//! (Searle, Casella and McCulloch 1992, chapter 4); degrees of freedom are Satterthwaite's (1946).

use anyhow::{Result, anyhow, ensure};
use indexmap::IndexSet;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::same_data::{check_same_data, common_tasks};
use super::{Run, Verdict, common_keys, difference, main};
use crate::config::ScoreSettings;
use crate::error::Hint;
use crate::score::interval::{Interval, jackknife_error, t_interval};
use crate::score::metric::{self, Range};
use crate::score::resampled::Resampled;
use crate::score::significance::{holm, smallest_difference};
use crate::score::support::Support;
use crate::score::{Clusters, Table, sampling};
use crate::scores::Sampling;
use crate::task::Task;

/// The same training with several seeds.
#[derive(Debug, Clone)]
pub struct Arm {
    #[expect(missing_docs, reason = "the name says it")]
    pub name: String,
    /// A seed's scored rows each; one alone where the seed changes nothing.
    pub seeds: Vec<Table>,
}

/// Arms over the same data.
pub struct Crossed {
    /// By arm, its first run.
    tables: Vec<Table>,
    clusters: Clusters,
    /// By task, the metrics that all runs have.
    keys: Vec<IndexSet<String>>,
    /// By arm and seed.
    runs: Vec<Vec<Resampled>>,
}

/// A sum of arms' means over seeds, each times a weight: where weights sum to 1 a level, where they sum to 0 a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Combined {
    /// In the metric's unit.
    pub value: f64,
    /// Lower bound of the 95 % interval; NaN, in JSON `null`, where it is withheld.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
    /// Why there are no bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// Standard error that the number of accounts leaves.
    pub error_of_accounts: f64,
    /// Standard error that the number of seeds leaves; 0 where no seed changes anything.
    pub error_of_seeds: f64,
    #[expect(missing_docs, reason = "the name says it")]
    pub degrees_of_freedom: f64,
    /// By seed.
    pub seeds: Vec<f64>,
    /// Of a difference, by Student's t, two-sided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Holm's, over the differences that are asked about together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    #[expect(missing_docs, reason = "the name says it")]
    pub verdict: Verdict,
    /// Of a difference, the smallest one that this data would show four times out of five.
    pub smallest_shown: f64,
}

impl Combined {
    /// Standard deviation over the seeds; `None` of one.
    pub fn deviation(&self) -> Option<f64> {
        (self.seeds.len() > 1).then(|| variance(&self.seeds).sqrt())
    }
}

impl Crossed {
    /// # Errors
    /// Names the runs that aren't about the same rows, and arms of other numbers of seeds.
    pub fn new(arms: Vec<Arm>) -> Result<Crossed> {
        let seeds = arms.iter().map(|arm| arm.seeds.len()).max().unwrap_or(0);
        for arm in &arms {
            ensure!(
                arm.seeds.len() == seeds || arm.seeds.len() == 1,
                anyhow!("{} has {} seeds and others {seeds}", arm.name, arm.seeds.len())
                    .hint("the same command with the same flags goes on with what is missing")
            );
        }
        let of_arm = |arm: Arm| {
            let name = arm.name;
            let run = |(at, table): (usize, Table)| Run { name: format!("{name}, seed {}", at + 1), table };
            arm.seeds.into_iter().enumerate().map(run).collect::<Vec<Run>>()
        };
        let sizes: Vec<usize> = arms.iter().map(|arm| arm.seeds.len()).collect();
        let runs: Vec<Run> = arms.into_iter().flat_map(of_arm).collect();
        let tasks = common_tasks(&runs)?;
        let tables: Vec<Table> = runs.iter().map(|run| run.table.restricted(&tasks)).collect();
        for (run, table) in runs.iter().zip(&tables).skip(1) {
            check_same_data(&runs[0].name, &tables[0], &run.name, table)?;
        }
        let clusters = tables[0].clusters();
        let keys: Vec<IndexSet<String>> = (0..tasks.len()).map(|task| common_keys(&tables, task)).collect();
        // Nothing is drawn: clusters are left out.
        let settings = ScoreSettings { bootstrap: 0, seed: 0, interval: None };
        let mut resampled = tables.iter().map(|table| Resampled::of(table, &clusters, Some(&keys), &settings));
        let runs = sizes.iter().map(|size| resampled.by_ref().take(*size).collect()).collect();
        let firsts = sizes.iter().scan(0, |next, size| Some(std::mem::replace(next, *next + size)));
        let tables = firsts.map(|at| tables[at].clone()).collect();
        Ok(Crossed { tables, clusters, keys, runs })
    }

    /// What all runs answer.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tables[0].tasks.iter().map(|rows| &rows.task)
    }

    /// What a task's intervals rest on.
    pub fn sampling(&self, task: usize) -> Sampling {
        sampling(&self.tables[0].tasks[task], &self.clusters.of_task[task], self.clusters.unit())
    }

    /// Scored rows of a task.
    pub fn rows(&self, task: usize) -> usize {
        self.tables[0].tasks[task].len()
    }

    /// The metric that the verdict on a task is about, and why it isn't the one of its kind.
    pub fn main(&self, task: usize) -> (&'static str, Option<String>) {
        main(&self.tables[0].tasks[task], &self.support(task, 0))
    }

    /// Whether all runs have a metric.
    pub fn has(&self, task: usize, key: &str) -> bool {
        self.keys[task].contains(key)
    }

    /// Of arms, each by number with its weight.
    ///
    /// # Panics
    /// Unless all runs have the metric.
    pub fn combined(&self, task: usize, key: &str, weights: &[(usize, f64)]) -> Combined {
        let support = self.support(task, weights.first().map_or(0, |(arm, _)| *arm));
        let sheet = &self.runs[0][0].sheet;
        let before: usize = sheet.tasks[..task].iter().flatten().map(|statistic| statistic.keys.len()).sum();
        let place = sheet.tasks[task].iter().flat_map(|statistic| &statistic.keys).position(|other| other == key);
        let at = before + place.expect("all runs have the metric");
        let seeds = weights.iter().map(|(arm, _)| self.runs[*arm].len()).max().unwrap_or(1);
        let of_seed = |seed: usize, of: &dyn Fn(&Resampled) -> Vec<f64>| {
            let mut sum: Vec<f64> = vec![];
            for (arm, weight) in weights {
                let values = of(&self.runs[*arm][seed.min(self.runs[*arm].len() - 1)]);
                sum.resize(values.len(), 0.0);
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
            sum
        };
        let values: Vec<f64> = (0..seeds).map(|seed| of_seed(seed, &|run| vec![run.value(at)])[0]).collect();
        let mut left_out: Vec<f64> = vec![];
        for seed in 0..seeds {
            let values = of_seed(seed, &|run| run.left_out(at));
            left_out.resize(values.len(), 0.0);
            left_out.iter_mut().zip(values).for_each(|(mean, value)| *mean += value / seeds as f64);
        }
        let info = metric::find(key).unwrap_or(&metric::UNKNOWN);
        let is_level = weights.iter().map(|(_, weight)| weight).sum::<f64>() > 0.5;
        let unseen = if is_level { support.unseen_variance(info) } else { 0.0 };
        let range = if is_level { info.range } else { Range::Open };
        let of_accounts = jackknife_error(&left_out, &support.left_out).hypot(unseen.sqrt());
        let of_seeds = if seeds > 1 { (variance(&values) / seeds as f64).sqrt() } else { 0.0 };
        let degrees = satterthwaite(&[(of_accounts, support.degrees_of_freedom()), (of_seeds, seeds as f64 - 1.0)]);
        let (value, error) = (values.iter().sum::<f64>() / seeds as f64, of_accounts.hypot(of_seeds));
        let Interval { low, high, withheld, .. } = match support.withheld(info) {
            Some(why) => Interval::withheld(value, why),
            None if value.is_nan() => Interval::withheld(value, "the value is not defined"),
            None => t_interval(value, error, range, degrees),
        };
        // A test is the interval's other side: where the one doesn't hold, neither does the other.
        let p = (!is_level && support.withheld(info).is_none()).then(|| two_sided(value, error, degrees)).flatten();
        Combined {
            value,
            low,
            high,
            withheld,
            error_of_accounts: of_accounts,
            error_of_seeds: of_seeds,
            degrees_of_freedom: degrees,
            seeds: values,
            p,
            p_adjusted: None,
            verdict: Verdict::NotTested,
            smallest_shown: if is_level { f64::NAN } else { smallest_difference(error, degrees) },
        }
    }

    /// Differences that are asked about together, with Holm's adjustment and what follows.
    pub fn differences(&self, task: usize, key: &str, of: &[Vec<(usize, f64)>]) -> Vec<Combined> {
        let mut differences: Vec<Combined> = of.iter().map(|weights| self.combined(task, key, weights)).collect();
        let tested: Vec<usize> = (0..differences.len()).filter(|at| differences[*at].p.is_some()).collect();
        let p_values: Vec<f64> = tested.iter().filter_map(|at| differences[*at].p).collect();
        for (at, adjusted) in tested.into_iter().zip(holm(&p_values)) {
            differences[at].verdict = difference::verdict(key, differences[at].value, adjusted);
            differences[at].p_adjusted = Some(adjusted);
        }
        differences
    }

    /// Of the answers of an arm.
    fn support(&self, task: usize, arm: usize) -> Support<'_> {
        let Clusters { count, of_task, .. } = &self.clusters;
        Support::of(&self.tables[arm].tasks[task], &of_task[task], *count, self.clusters.unit())
    }
}

/// Of a sample.
fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// Degrees of freedom of a sum of variances, each of a standard error with its own.
fn satterthwaite(errors: &[(f64, f64)]) -> f64 {
    let sum: f64 = errors.iter().map(|(error, _)| error * error).sum();
    let parts = errors.iter().filter(|(error, _)| *error > 0.0);
    sum * sum / parts.map(|(error, degrees)| error.powi(4) / degrees).sum::<f64>()
}

/// The p-value of a value that is 0 by the null hypothesis; `None` where nothing tells how it varies.
fn two_sided(value: f64, error: f64, degrees: f64) -> Option<f64> {
    if value == 0.0 {
        return Some(1.0);
    }
    let t = StudentsT::new(0.0, 1.0, degrees).ok().filter(|_| error > 0.0)?;
    Some((2.0 * t.cdf(-(value / error).abs())).min(1.0))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::super::fixture::run;
    use super::*;

    fn table(right: impl Fn(usize) -> bool) -> Table {
        let rows = run("", right);
        Table::of(&rows.rows, &rows.tasks).unwrap()
    }

    fn arm(name: &str, seeds: Vec<Table>) -> Arm {
        Arm { name: name.into(), seeds }
    }

    #[test]
    fn accounts_and_seeds_both_widen_an_interval() {
        let half = || arm("half", vec![table(|i| i.is_multiple_of(2))]);
        let alike = vec![table(|i| i % 10 < 8); 3];
        let apart = vec![table(|i| i % 10 < 9), table(|i| i % 10 < 8), table(|i| i % 10 < 7)];
        let difference = |seeds: Vec<Table>| {
            let crossed = Crossed::new(vec![half(), arm("more", seeds)]).unwrap();
            crossed.combined(0, "accuracy", &[(1, 1.0), (0, -1.0)])
        };
        let (alike, apart) = (difference(alike), difference(apart));
        assert!((alike.value - 0.3).abs() < 1e-12 && (apart.value - 0.3).abs() < 1e-12);
        assert_eq!(alike.error_of_seeds, 0.0);
        // Standard deviation 0.1 of three.
        assert!((apart.error_of_seeds - 0.1 / 3f64.sqrt()).abs() < 1e-12);
        assert!(apart.high - apart.low > alike.high - alike.low && apart.degrees_of_freedom < alike.degrees_of_freedom);
        assert_eq!(alike.degrees_of_freedom, 29.0);
        assert!(apart.p > alike.p && apart.deviation() > Some(0.09));
    }

    #[test]
    fn what_is_shown_is_told_and_arms_of_other_seeds_are_refused() {
        let arms = |seeds| vec![arm("a", vec![table(|i| i % 3 == 0); seeds]), arm("b", vec![table(|_| true); 2])];
        let crossed = Crossed::new(arms(2)).unwrap();
        let of = [vec![(1, 1.0), (0, -1.0)], vec![(0, 1.0), (0, -1.0)]];
        let told = crossed.differences(0, "accuracy", &of);
        assert_eq!([told[0].verdict, told[1].verdict], [Verdict::Better, Verdict::NoDifferenceShown]);
        let error = Crossed::new(arms(3)).err().unwrap().to_string();
        assert_eq!(error, "b has 2 seeds and others 3");
    }

    /// Accounts and seeds that lift or lower an arm, and rows of their own: how often an interval holds the true difference.
    #[test]
    fn an_interval_holds_the_truth_as_often_as_it_says() {
        const RUNS: usize = 400;
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut uniform = move || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
        let (mut held, mut shown) = (0, 0);
        for _ in 0..RUNS {
            let accounts: Vec<f64> = (0..30).map(|_| 0.3 * uniform()).collect();
            let mut seed_of = |mean: f64| {
                let lift = 0.2 * uniform();
                let rights: Vec<bool> = (0..90).map(|i| uniform() + 0.5 < mean + lift + accounts[i / 3]).collect();
                table(move |i| rights[i])
            };
            let mut three = |mean: f64| (0..3).map(|_| seed_of(mean)).collect::<Vec<Table>>();
            let crossed = Crossed::new(vec![arm("a", three(0.6)), arm("b", three(0.6))]).unwrap();
            let difference = &crossed.differences(0, "accuracy", &[vec![(1, 1.0), (0, -1.0)]])[0];
            held += usize::from(difference.low <= 0.0 && difference.high >= 0.0);
            shown += usize::from(difference.verdict != Verdict::NoDifferenceShown);
        }
        // 95 % of 400 with a standard error of 1.1 points; what both do together is counted twice.
        assert!((370..=398).contains(&held), "{held}");
        assert_eq!(shown, RUNS - held);
    }
}
