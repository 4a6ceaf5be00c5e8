//! What the differences between runs would be if it made no difference which run a cluster's answers are of.

use crate::config::ScoreSettings;
use crate::score::bootstrap::{Replicates, ResamplePlan};
use crate::score::resampled::{Resampled, Sheet};
use crate::score::significance::{exact_p, randomisation_p};
use crate::score::statistic::{Half, Statistic};

/// Exchanges that tell how much a difference varies.
const SPREAD: usize = 1000;

/// The differences of all metrics after exchanging clusters between runs.
pub(super) struct Exchanged {
    width: usize,
    /// Whether these are all exchanges there are.
    all: bool,
    /// `[exchanges, (runs − 1) × width + width]`: of each run but the first its differences from the first, and behind
    /// them the largest of all pairs in units of their standard errors.
    drawn: Replicates,
    /// All pairs of runs; first those with the first run.
    pairs: Vec<(usize, usize)>,
    /// `[pairs, width]`: how much the differences vary between exchanges.
    errors: Vec<f64>,
}

impl Exchanged {
    /// Of runs over the same data in so many clusters.
    pub fn of(runs: &[Resampled], clusters: usize, settings: &ScoreSettings) -> Exchanged {
        let (count, width) = (runs.len(), runs[0].width);
        let pairs: Vec<(usize, usize)> = (0..count).flat_map(|b| (b + 1..count).map(move |a| (a, b))).collect();
        let exchange = |chosen: &[u16], differences: &mut [f64]| {
            let halves: Vec<Halves> = runs.iter().map(|run| Halves::of(&run.sheet, chosen)).collect();
            let mut second = vec![f64::NAN; width];
            for ((a, b), first) in pairs.iter().zip(differences.chunks_exact_mut(width)) {
                runs[*a].sheet.join(&halves[*a].kept, &halves[*b].given, first);
                runs[*b].sheet.join(&halves[*b].kept, &halves[*a].given, &mut second);
                first.iter_mut().zip(&second).for_each(|(first, second)| *first -= second);
            }
        };
        // Their spread must not depend on how far apart the runs are, so it is that after exchanges.
        let some =
            ResamplePlan::new(clusters, &ScoreSettings { bootstrap: settings.bootstrap.min(SPREAD), ..*settings });
        let spread = some.exchanges(pairs.len() * width, exchange);
        let root_mean_square =
            |column: Vec<f64>| (column.iter().map(|value| value * value).sum::<f64>() / column.len() as f64).sqrt();
        let errors: Vec<f64> = (0..pairs.len() * width).map(|at| root_mean_square(spread.column(at))).collect();
        let write = |chosen: &[u16], values: &mut [f64]| {
            let mut differences = vec![f64::NAN; pairs.len() * width];
            exchange(chosen, &mut differences);
            let (of_first, largest) = values.split_at_mut((count - 1) * width);
            // The pairs with the first run come first.
            of_first.copy_from_slice(&differences[..of_first.len()]);
            for (at, (difference, error)) in differences.iter().zip(&errors).enumerate() {
                // NaN where there is no test, and of runs that don't differ; any number is larger.
                largest[at % width] = largest[at % width].max((difference / error).abs());
            }
        };
        let plan = ResamplePlan::new(clusters, settings);
        Exchanged { width, all: plan.has_all_exchanges(), drawn: plan.exchanges(count * width, write), pairs, errors }
    }

    /// The p-value of a run's difference from the first, in the metric at a place.
    pub fn p(&self, run: usize, at: usize, difference: f64) -> f64 {
        self.p_of(difference, (run - 1) * self.width + at)
    }

    /// The p-value of a difference between any two runs, over all pairs of them by single-step max-T (Westfall and Young
    /// 1993).
    pub fn p_of_pair(&self, a: usize, b: usize, at: usize, difference: f64) -> f64 {
        if difference == 0.0 {
            return 1.0;
        }
        let pair = self.pairs.iter().position(|pair| *pair == (a.max(b), a.min(b))).expect("a pair of runs");
        self.p_of(difference / self.errors[pair * self.width + at], self.drawn.width() - self.width + at)
    }

    fn p_of(&self, observed: f64, column: usize) -> f64 {
        let drawn = self.drawn.column(column);
        if self.all { exact_p(observed, &drawn) } else { randomisation_p(observed, drawn.into_iter()) }
    }
}

/// How many clusters count otherwise in one run than in another; the smallest p that exchanging them can give is 2 over the
/// number of ways to do so.
pub(super) fn differing(a: &Statistic, b: &Statistic, clusters: usize) -> usize {
    (0..clusters).filter(|cluster| a.differs(b, *cluster)).count()
}

/// A run's statistics in two parts; `None` for those that can't exchange.
struct Halves {
    kept: Vec<Option<Half>>,
    given: Vec<Option<Half>>,
}

impl Halves {
    fn of(sheet: &Sheet, chosen: &[u16]) -> Halves {
        let of = |others: bool| {
            let half = |statistic: &Statistic| statistic.can_exchange().then(|| statistic.half(chosen, others));
            sheet.tasks.iter().flatten().map(half).collect()
        };
        Halves { kept: of(true), given: of(false) }
    }
}
