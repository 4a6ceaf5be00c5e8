//! What happens when: which sequences a step sees, and at what learning rate.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::{Duration, Optimisation, ScheduleKind};

/// All steps of a run, counted from 0. Every answer depends on the step alone, so that a run can go on anywhere.
#[derive(Debug, Clone)]
pub struct Schedule {
    sequences: usize,
    optimisation: Optimisation,
    seed: u64,
    /// Steps of the run.
    pub steps: usize,
    /// Steps until the full learning rate.
    pub warmup: usize,
    /// Steps between checkpoints.
    pub eval_every: usize,
}

impl Schedule {
    #[expect(missing_docs, reason = "the type says it")]
    pub fn new(sequences: usize, optimisation: Optimisation, seed: u64) -> Schedule {
        let mut schedule = Schedule { sequences, optimisation, seed, steps: 0, warmup: 0, eval_every: 1 };
        schedule.steps = match optimisation.duration {
            Duration::Epochs(epochs) => epochs * schedule.steps_per_epoch(),
            Duration::Steps(steps) => steps,
        };
        let share = optimisation.warmup < 1.0;
        let warmup = if share { optimisation.warmup * schedule.steps as f64 } else { optimisation.warmup };
        schedule.warmup = warmup.ceil() as usize;
        schedule.eval_every = optimisation.eval_every.unwrap_or(schedule.steps.div_ceil(10));
        schedule
    }

    /// The last step of an epoch may see fewer sequences than the others.
    pub fn steps_per_epoch(&self) -> usize {
        self.sequences.div_ceil(self.per_step())
    }

    fn per_step(&self) -> usize {
        self.optimisation.batch_size * self.optimisation.grad_accum
    }

    /// Epochs done before a step, with the part of the current one.
    pub fn epoch(&self, step: usize) -> f64 {
        step as f64 / self.steps_per_epoch() as f64
    }

    /// Rises linearly to the full rate, then stays or falls to 0 behind the last step.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let peak = self.optimisation.lr;
        if step < self.warmup {
            return peak * (step + 1) as f64 / self.warmup as f64;
        }
        let done = (step - self.warmup) as f64 / self.steps.saturating_sub(self.warmup).max(1) as f64;
        peak * match self.optimisation.schedule {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => 1.0 - done,
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }

    /// The batches of a step, as indices of sequences.
    pub fn batches(&self, step: usize) -> Vec<Vec<usize>> {
        let (epoch, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let mut order: Vec<usize> = (0..self.sequences).collect();
        if self.optimisation.shuffle {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(epoch as u64);
            order.shuffle(&mut random);
        }
        let of_step = order.chunks(self.per_step()).nth(within).unwrap_or_default();
        of_step.chunks(self.optimisation.batch_size).map(<[usize]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(change: impl FnOnce(&mut Optimisation)) -> Schedule {
        let mut optimisation = Optimisation {
            lr: 1.0,
            schedule: ScheduleKind::Constant,
            warmup: 0.0,
            duration: Duration::Epochs(2),
            batch_size: 2,
            grad_accum: 2,
            weight_decay: 0.0,
            max_grad_norm: None,
            shuffle: true,
            eval_every: None,
            patience: None,
        };
        change(&mut optimisation);
        Schedule::new(10, optimisation, 1)
    }

    #[test]
    fn an_epoch_sees_every_sequence_once() {
        let schedule = schedule(|_| ());
        assert_eq!((schedule.steps_per_epoch(), schedule.steps), (3, 6));
        let epoch = |steps: std::ops::Range<usize>| {
            steps.flat_map(|step| schedule.batches(step)).flatten().collect::<Vec<usize>>()
        };
        let (first, second) = (epoch(0..3), epoch(3..6));
        assert_ne!(first, second);
        for mut epoch in [first, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
        let shapes: Vec<Vec<usize>> =
            (0..3).map(|step| schedule.batches(step).iter().map(Vec::len).collect()).collect();
        assert_eq!(shapes, [vec![2, 2], vec![2, 2], vec![2]]);
    }

    #[test]
    fn unshuffled_is_the_order_of_the_data() {
        let schedule = schedule(|optimisation| optimisation.shuffle = false);
        assert_eq!(schedule.batches(4), [[4, 5], [6, 7]]);
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let rates = |kind, warmup| {
            let schedule = schedule(|optimisation| {
                optimisation.schedule = kind;
                optimisation.warmup = warmup;
                optimisation.duration = Duration::Steps(6);
            });
            (0..6).map(|step| (schedule.learning_rate(step) * 1000.0).round() / 1000.0).collect::<Vec<f64>>()
        };
        assert_eq!(rates(ScheduleKind::Constant, 0.0), [1.0; 6]);
        assert_eq!(rates(ScheduleKind::Linear, 2.0), [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]);
        // A third of six steps; half a cosine behind them.
        assert_eq!(rates(ScheduleKind::Cosine, 0.33), [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]);
    }
}
