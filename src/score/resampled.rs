//! All metrics of a run, with all that their intervals are made of.

use indexmap::IndexSet;

use super::bootstrap::{Replicates, ResamplePlan};
use super::interval::{Evidence, Interval};
use super::metric;
use super::statistic::{Half, Statistic};
use super::support::Support;
use super::table::{Clusters, Table, TaskTable};
use crate::config::{IntervalMethod, ScoreSettings};
use crate::scores::Bounds;

/// All statistics of a run with all that intervals are made of.
pub(super) struct Resampled {
    pub sheet: Sheet,
    pub width: usize,
    /// `[2 × width]`: values, and behind them their standard errors.
    whole: Vec<f64>,
    /// `[resamples, 2 × width]`
    replicates: Replicates,
    /// `[left out, width]`
    left_out: Replicates,
}

impl Resampled {
    /// Of a run's rows; of text tasks only the `wanted` metrics. Runs over the same clusters are resampled alike.
    pub fn of(
        table: &Table,
        clusters: &Clusters,
        wanted: Option<&[IndexSet<String>]>,
        settings: &ScoreSettings,
    ) -> Resampled {
        let plan = ResamplePlan::new(clusters.count, settings);
        let sheet = Sheet::of(table, clusters, wanted, |key| match settings.interval {
            Some(method) => method == IntervalMethod::BootstrapT,
            None => metric::find(key).is_some_and(|info| info.has_bootstrap_beside()),
        });
        let width = sheet.width();
        let with_errors = |weights: &[u16], values: &mut [f64]| sheet.write_with_errors(weights, values);
        let mut whole = vec![f64::NAN; 2 * width];
        with_errors(&vec![1; clusters.count], &mut whole);
        let replicates = plan.replicates(2 * width, with_errors);
        let left_out = plan.jackknife(width, |weights, values| sheet.write(weights, values));
        Resampled { sheet, width, whole, replicates, left_out }
    }

    /// The metric at a place, of the data as they are.
    pub fn value(&self, at: usize) -> f64 {
        self.whole[at]
    }

    /// The metric at a place, in each resample.
    pub fn replicates(&self, at: usize) -> Vec<f64> {
        self.replicates.column(at)
    }

    /// The metric at a place, without each cluster.
    pub fn left_out(&self, at: usize) -> Vec<f64> {
        self.left_out.column(at)
    }

    /// The interval of the metric at a place, and where another than the bootstrap's is the default, that one too.
    pub fn intervals(
        &self,
        key: &str,
        at: usize,
        method: Option<IntervalMethod>,
        support: &Support,
    ) -> (Interval, Option<Bounds>) {
        let info = metric::find(key).unwrap_or(&metric::UNKNOWN);
        let value = self.whole[at];
        let evidence = Evidence {
            value,
            error: self.whole[self.width + at],
            replicates: &|| self.replicates.column(at),
            errors: &|| self.replicates.column(self.width + at),
            left_out: &|| self.left_out.column(at),
            sizes: &support.left_out,
            degrees_of_freedom: support.degrees_of_freedom(),
            unseen_variance: support.unseen_variance(info),
            info,
        };
        if let Some(method) = method {
            let interval = match support.one_cluster() {
                Some(why) => Interval::withheld(value, why),
                None => evidence.interval(method),
            };
            return (interval, None);
        }
        let interval = |method| match support.withheld(info) {
            Some(why) => Interval::withheld(value, why),
            None => evidence.interval(method),
        };
        let beside = info.has_bootstrap_beside().then(|| {
            let interval = match support.is_uneven() {
                true => Interval::withheld(value, format!("few {}s have most of the rows", support.unit)),
                false => interval(IntervalMethod::BootstrapT),
            };
            let Interval { low, high, method, withheld, .. } = interval;
            Bounds { low, high, withheld, method }
        });
        (interval(support.method(info)), beside)
    }
}

/// All statistics of a run, for one pass over the weights.
pub(super) struct Sheet {
    /// By task.
    pub tasks: Vec<Vec<Statistic>>,
}

impl Sheet {
    /// From a run's rows. The clusters are those of all runs it is compared with; of each task only the `wanted` metrics are
    /// taken; of metrics of counts, those have standard errors for which `errors` holds.
    pub fn of(
        table: &Table,
        clusters: &Clusters,
        wanted: Option<&[IndexSet<String>]>,
        errors: impl Fn(&str) -> bool,
    ) -> Sheet {
        let of_task = |(task, rows): (usize, &TaskTable)| {
            Statistic::of(rows, &clusters.of_task[task], clusters.count, wanted.map(|wanted| &wanted[task]), &errors)
        };
        Sheet { tasks: table.tasks.iter().enumerate().map(of_task).collect() }
    }

    /// Values of all statistics.
    pub fn width(&self) -> usize {
        self.tasks.iter().flatten().map(|statistic| statistic.keys.len()).sum()
    }

    /// Task by task, statistic by statistic, key by key.
    pub fn write(&self, weights: &[u16], values: &mut [f64]) {
        let mut rest = values;
        for statistic in self.tasks.iter().flatten() {
            let (own, others) = rest.split_at_mut(statistic.keys.len());
            statistic.write(weights, own);
            rest = others;
        }
    }

    /// As [`Statistic::write_with_errors`]: `values` is all values and behind them all errors.
    pub fn write_with_errors(&self, weights: &[u16], values: &mut [f64]) {
        let (mut values, mut errors) = values.split_at_mut(values.len() / 2);
        for statistic in self.tasks.iter().flatten() {
            let (own_values, own_errors);
            (own_values, values) = values.split_at_mut(statistic.keys.len());
            (own_errors, errors) = errors.split_at_mut(statistic.keys.len());
            statistic.write_with_errors(weights, own_values, own_errors);
        }
    }

    /// As [`Statistic::join`], all statistics; NaN for those that can't exchange.
    pub fn join(&self, a: &[Option<Half>], b: &[Option<Half>], values: &mut [f64]) {
        let mut rest = values;
        for ((statistic, a), b) in self.tasks.iter().flatten().zip(a).zip(b) {
            let (own, others) = rest.split_at_mut(statistic.keys.len());
            if let (Some(a), Some(b)) = (a, b) {
                statistic.join(a, b, own);
            }
            rest = others;
        }
    }
}
