//! What an ablation shows: arms over accounts and seeds, against the real records alone, against the controls, and without the
//! Reels that a copy may have given away.

use serde::Serialize;

use super::ablation::{Arm, Kind};
use crate::score::compare::crossed::{Combined, Crossed};
use crate::scores::Sampling;

/// Real records that could be labelled instead.
pub const MORE: usize = 100;

/// What an ablation shows of one task.
#[derive(Debug, Clone, Serialize)]
pub struct TaskLadder {
    #[expect(missing_docs, reason = "the name says it")]
    pub task: String,
    /// The metric that all of it is about.
    pub metric: &'static str,
    /// Why it isn't the one of its kind of task.
    pub instead: Option<String>,
    /// Scored answers of each run.
    pub rows: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub sampling: Sampling,
    /// Each arm that answers the task, in the order of the ladder.
    pub levels: Vec<Level>,
    /// Arms with as many real records, against the real ones alone; adjusted together.
    pub from_real: Vec<Difference>,
    /// Mixes against the controls that were trained as long; adjusted together.
    pub from_controls: Vec<Difference>,
    /// Each mix against the one before it; adjusted together.
    pub growth: Vec<Difference>,
    #[expect(missing_docs, reason = "the type says it")]
    pub curve: Option<Curve>,
    /// Mixes against the real records, in the accuracy of rows with a label that has fewer real records than an equal share.
    pub rare: Option<Part>,
    /// As `rare`, of the other rows.
    pub frequent: Option<Part>,
    /// Mixes against the real records and the controls, without Reels that have a near neighbour in what any arm learned from; `None` where none has.
    pub without_neighbours: Option<Part>,
}

/// An arm's scores.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Level {
    pub arm: String,
    pub kind: Kind,
    pub real: usize,
    pub more: usize,
    pub score: Combined,
}

/// An arm minus another one.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Difference {
    pub arm: String,
    pub from: String,
    pub by: Combined,
}

/// Score over the number of real records, and what more of them would add: a line over the logarithm of their number.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// What [`MORE`] real records more would add.
    pub more: Combined,
    /// What each mix adds, minus that.
    pub instead: Vec<Difference>,
}

/// Some of the rows.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Part {
    pub metric: &'static str,
    pub rows: usize,
    pub differences: Vec<Difference>,
}

/// What `arms` come to, which are those of `all`, in their order.
pub struct Arms<'a>(pub &'a [Arm]);

type Weights = Vec<(usize, f64)>;

impl Arms<'_> {
    fn of(&self, wanted: impl Fn(Kind) -> bool) -> Vec<usize> {
        (0..self.0.len()).filter(|at| wanted(self.0[*at].kind)).collect()
    }

    fn real(&self) -> Option<usize> {
        self.of(|kind| kind == Kind::Real).first().copied()
    }

    fn mixes(&self) -> Vec<usize> {
        self.of(|kind| matches!(kind, Kind::Generated(_)))
    }

    fn controls(&self) -> Vec<usize> {
        self.of(|kind| matches!(kind, Kind::Itself | Kind::Steps))
    }

    fn differences(&self, crossed: &Crossed, task: usize, key: &str, pairs: &[(usize, usize)]) -> Vec<Difference> {
        let weights: Vec<Weights> = pairs.iter().map(|(arm, from)| vec![(*arm, 1.0), (*from, -1.0)]).collect();
        let of = |((arm, from), by): (&(usize, usize), Combined)| Difference {
            arm: self.0[*arm].name.clone(),
            from: self.0[*from].name.clone(),
            by,
        };
        pairs.iter().zip(crossed.differences(task, key, &weights)).map(of).collect()
    }

    /// Of one task of `crossed`, all of whose runs have scored rows.
    pub fn ladder(&self, crossed: &Crossed, task: usize) -> Option<TaskLadder> {
        let real = self.real()?;
        let (key, instead) = crossed.main(task);
        let mixes = self.mixes();
        let beside = self.controls();
        let level = |(at, arm): (usize, &Arm)| Level {
            arm: arm.name.clone(),
            kind: arm.kind,
            real: arm.real,
            more: arm.more,
            score: crossed.combined(task, key, &[(at, 1.0)]),
        };
        let against = |from: usize| move |arm: &usize| (*arm, from);
        let from_real: Vec<(usize, usize)> = beside.iter().chain(&mixes).map(against(real)).collect();
        let from_controls: Vec<(usize, usize)> =
            beside.iter().flat_map(|control| mixes.iter().map(against(*control))).collect();
        let growth: Vec<(usize, usize)> = mixes.windows(2).map(|pair| (pair[1], pair[0])).collect();
        Some(TaskLadder {
            task: crossed.tasks().nth(task)?.name.clone(),
            metric: key,
            instead,
            rows: crossed.rows(task),
            sampling: crossed.sampling(task),
            levels: self.0.iter().enumerate().map(level).collect(),
            from_real: self.differences(crossed, task, key, &from_real),
            from_controls: self.differences(crossed, task, key, &from_controls),
            growth: self.differences(crossed, task, key, &growth),
            curve: self.curve(crossed, task, key, real, &mixes),
            rare: None,
            frequent: None,
            without_neighbours: None,
        })
    }

    /// By least squares over ln n: the slope is a sum of scores with weights, and so is all that follows from it.
    fn curve(&self, crossed: &Crossed, task: usize, key: &str, real: usize, mixes: &[usize]) -> Option<Curve> {
        let points = self.of(|kind| matches!(kind, Kind::Part(_) | Kind::Real));
        let logs: Vec<f64> = points.iter().map(|at| (self.0[*at].real as f64).ln()).collect();
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        if points.len() < 3 || squares == 0.0 {
            return None;
        }
        let people = self.0[real].real as f64;
        let further = ((people + MORE as f64) / people).ln();
        let weights: Weights =
            points.iter().zip(&logs).map(|(at, log)| (*at, further * (log - mean) / squares)).collect();
        let minus: Weights = weights.iter().map(|(at, weight)| (*at, -weight)).collect();
        let instead: Vec<Weights> =
            mixes.iter().map(|mix| [&[(*mix, 1.0), (real, -1.0)], &minus[..]].concat()).collect();
        let of = |(mix, by): (&usize, Combined)| Difference {
            arm: self.0[*mix].name.clone(),
            from: format!("{MORE} more real records"),
            by,
        };
        let instead = mixes.iter().zip(crossed.differences(task, key, &instead)).map(of).collect();
        Some(Curve { more: crossed.combined(task, key, &weights), instead })
    }

    /// The mixes against the real records in rows with some of the labels, in accuracy.
    pub fn labels(&self, crossed: &Crossed) -> Option<Part> {
        self.part(crossed, "accuracy", &[self.real()?])
    }

    /// The mixes against the real records and against each control in some of the rows.
    pub fn rows(&self, crossed: &Crossed) -> Option<Part> {
        self.part(crossed, crossed.main(0).0, &[vec![self.real()?], self.controls()].concat())
    }

    /// `crossed` holds these rows, of one task.
    fn part(&self, crossed: &Crossed, key: &'static str, from: &[usize]) -> Option<Part> {
        let task = 0;
        let pairs: Vec<(usize, usize)> =
            from.iter().flat_map(|from| self.mixes().into_iter().map(|mix| (mix, *from))).collect();
        Some(Part { metric: key, rows: crossed.rows(task), differences: self.differences(crossed, task, key, &pairs) })
    }
}
