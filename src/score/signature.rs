//! How the numbers of a task were made, as text.

use indexmap::IndexSet;

use super::interval::CONFIDENCE;
use super::metric::{find, main_metric};
use super::support::Support;
use super::table::TaskTable;
use crate::config::{IntervalMethod, MetricSettings, ScoreSettings};
use crate::task::TaskKind;

/// What all tasks of a run have in common.
pub(super) struct How<'a> {
    pub settings: &'a ScoreSettings,
    pub metrics: &'a MetricSettings,
    /// What is drawn.
    pub unit: &'a str,
}

/// As `--interval` and signatures write it.
pub(super) fn method_name(method: IntervalMethod) -> &'static str {
    match method {
        IntervalMethod::Bca => "bca",
        IntervalMethod::Percentile => "percentile",
        IntervalMethod::BootstrapT => "bootstrap-t",
        IntervalMethod::Jackknife => "jackknife",
    }
}

impl How<'_> {
    /// Parts `key:value` joined by `|`, behind the keys of the task's metrics.
    pub fn signature(&self, rows: &TaskTable, keys: &[&str], threshold: Option<f64>, support: &Support) -> String {
        let task = &rows.task;
        let mut parts = vec![keys.join(",")];
        if task.kind == TaskKind::Label {
            parts.extend([format!("labels:{}", task.labels.len()), "invalid:wrong".into()]);
            parts.extend(threshold.map(|threshold| format!("threshold:{threshold}")));
        }
        if rows.answered < rows.asked {
            let missing = if rows.answered_only { "left-out" } else { "wrong" };
            parts.push(format!("answered:{}/{}|missing:{missing}", rows.answered, rows.asked));
        }
        if keys.iter().any(|key| key.ends_with("_mean")) {
            parts.push("references:best,mean".into());
        }
        // Where nothing is scored, that of what would stand for the task.
        let main = [main_metric(task.kind).key];
        let keys = if keys.is_empty() { &main[..] } else { keys };
        let of_metrics: IndexSet<String> =
            keys.iter().filter_map(|key| Some(find(key)?.signature?(self.metrics))).collect();
        parts.extend(of_metrics);
        let ScoreSettings { bootstrap, seed, interval } = self.settings;
        let methods: IndexSet<IntervalMethod> = match interval {
            Some(method) => [*method].into(),
            None => keys.iter().filter_map(|key| Some(support.method(find(key)?))).collect(),
        };
        let methods: Vec<&str> = methods.into_iter().map(method_name).collect();
        parts.push(format!("ci:{}|level:{CONFIDENCE}|B:{bootstrap}", methods.join(",")));
        parts.push(format!("cluster:{}|seed:{seed}", self.unit));
        parts.push(format!("v:{}", env!("CARGO_PKG_VERSION")));
        parts.join("|")
    }
}
