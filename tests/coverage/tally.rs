//! What became of intervals and tests in many simulations.

use indexmap::IndexMap;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// By metric and how its interval is made.
pub type Tallies = IndexMap<(&'static str, &'static str), Tally>;

/// What became of one interval, or of one test.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    n: usize,
    shown: usize,
    /// The interval holds the truth; or the test rejects.
    held: usize,
    /// The truth lies below the interval.
    below: usize,
    above: usize,
    width: f64,
    bias: f64,
}

impl Tally {
    pub fn interval(&mut self, value: f64, [low, high]: [f64; 2], truth: f64) {
        self.n += 1;
        self.bias += value - truth;
        if low.is_finite() && high.is_finite() {
            self.shown += 1;
            self.held += usize::from(low <= truth && truth <= high);
            self.below += usize::from(truth < low);
            self.above += usize::from(truth > high);
            self.width += high - low;
        }
    }

    pub fn test(&mut self, rejects: bool) {
        self.n += 1;
        self.shown += 1;
        self.held += usize::from(rejects);
    }

    fn with(self, other: Tally) -> Tally {
        Tally {
            n: self.n + other.n,
            shown: self.shown + other.shown,
            held: self.held + other.held,
            below: self.below + other.below,
            above: self.above + other.above,
            width: self.width + other.width,
            bias: self.bias + other.bias,
        }
    }

    /// Of those shown, in per cent; NaN where it says nothing, as hardly any is shown.
    pub fn coverage(&self) -> f64 {
        if self.shown < 50 { f64::NAN } else { 100.0 * self.held as f64 / self.shown as f64 }
    }

    /// Half the Monte Carlo interval of the share.
    fn noise(&self) -> f64 {
        let share = self.coverage() / 100.0;
        196.0 * (share * (1.0 - share) / self.shown as f64).sqrt()
    }

    /// Below 93 % by more than chance.
    pub fn fails(&self) -> bool {
        self.coverage() + self.noise() < 93.0
    }

    /// Above 6 % by more than chance.
    pub fn rejects_too_often(&self) -> bool {
        self.coverage() - self.noise() > 6.0
    }

    pub fn withheld(&self) -> f64 {
        100.0 - 100.0 * self.shown as f64 / self.n as f64
    }

    /// Coverage and mean width, with a mark where it fails or is conservative, and how many are withheld.
    pub fn cell(&self) -> String {
        let withheld = match self.withheld().round() {
            0.0 => String::new(),
            share => format!(", {share:.0} % withheld"),
        };
        match self.coverage() {
            coverage if coverage.is_nan() => "withheld".into(),
            coverage => {
                let mark = if self.fails() {
                    " **fails**"
                } else if coverage > 97.0 {
                    " c"
                } else {
                    ""
                };
                format!("{coverage:.1}{mark} ({:.2}{withheld})", self.width / self.shown as f64)
            }
        }
    }

    /// All that is known of it.
    pub fn line(&self) -> String {
        let of = |count: usize| 100.0 * count as f64 / self.shown.max(1) as f64;
        format!(
            "{:.1} | {:.3} | {:.1} | {:.1} | {:+.3} | {:.0}",
            of(self.held),
            self.width / self.shown.max(1) as f64,
            of(self.below),
            of(self.above),
            self.bias / self.n as f64,
            self.withheld(),
        )
    }
}

/// Over so many simulations, each with its own chance.
pub fn simulate(simulations: u64, one: impl Fn(&mut ChaCha8Rng, &mut Tallies) + Sync) -> Tallies {
    (0..simulations)
        .into_par_iter()
        .map(|simulation| {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            random.set_stream(simulation);
            let mut tallies = Tallies::new();
            one(&mut random, &mut tallies);
            tallies
        })
        .reduce(Tallies::new, |mut all, one| {
            for (name, tally) in one {
                let sum = all.entry(name).or_default();
                *sum = sum.with(tally);
            }
            all
        })
}
