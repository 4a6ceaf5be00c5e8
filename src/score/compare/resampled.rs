//! The metrics of several runs under one resample plan, so that every comparison is paired.

use crate::score::Sheet;
use crate::score::bootstrap::{Replicates, ResamplePlan};

/// All metrics of all runs.
pub(super) struct Resampled {
    runs: usize,
    /// Metrics of a run.
    width: usize,
    /// Of the data as they are, run by run: `[runs][width]`.
    whole: Vec<Vec<f64>>,
    /// `[resamples, runs × width]`
    replicates: Replicates,
    /// `[left out, runs × width]`
    jackknife: Replicates,
    /// Of each run but the first, its differences from the first after an exchange of rows: `[exchanges, width]`.
    swapped: Vec<Replicates>,
}

/// One metric; each list is by run.
pub(super) struct ResampledMetric {
    /// Of the data as they are.
    pub values: Vec<f64>,
    /// In each resample.
    pub replicates: Vec<Vec<f64>>,
    /// With each cluster left out.
    pub jackknife: Vec<Vec<f64>>,
    /// Of each run but the first, its difference from the first after each exchange of rows.
    pub swapped: Vec<Vec<f64>>,
}

impl Resampled {
    /// Of runs over the same data, the first of which is the baseline.
    pub fn of(sheets: &[Sheet], plan: &ResamplePlan, clusters: usize) -> Resampled {
        let (runs, width) = (sheets.len(), sheets[0].width());
        let write = |weights: &[u16], values: &mut [f64]| {
            for (sheet, values) in sheets.iter().zip(values.chunks_exact_mut(width)) {
                sheet.write(weights, values);
            }
        };
        let swapped =
            |sheet: &Sheet| plan.permutations(width, |chosen, values| sheet.swapped(&sheets[0], chosen, values));
        Resampled {
            runs,
            width,
            whole: sheets.iter().map(|sheet| sheet.values(clusters)).collect(),
            replicates: plan.replicates(runs * width, write),
            jackknife: plan.jackknife(runs * width, write),
            swapped: sheets[1..].iter().map(swapped).collect(),
        }
    }

    /// The metric at a place in a run's sheet.
    pub fn metric(&self, at: usize) -> ResampledMetric {
        let of_runs = |drawn: &Replicates| (0..self.runs).map(|run| drawn.column(run * self.width + at)).collect();
        ResampledMetric {
            values: self.whole.iter().map(|values| values[at]).collect(),
            replicates: of_runs(&self.replicates),
            jackknife: of_runs(&self.jackknife),
            swapped: self.swapped.iter().map(|drawn| drawn.column(at)).collect(),
        }
    }
}
