//! Precision, recall and F1 of each label, with intervals.

use indexmap::IndexMap;

use super::classification::Counts;
use super::interval::Interval;
use super::metric;
use super::spread::Spread;
use super::support::Support;
use super::table::{LabelAnswer, TaskTable};
use crate::scores::{ClassIntervals, ClassScores};

/// By label, in the task’s order.
pub(super) fn classes(
    rows: &TaskTable,
    cluster_of: &[u32],
    counts: &Counts,
    support: &Support,
) -> IndexMap<String, ClassScores> {
    let of = |(label, name): (usize, &String)| {
        let [precision, recall, f1] = counts.of_label(label);
        let has = |row: &LabelAnswer| usize::from(row.reference) == label;
        let answers = |row: &LabelAnswer| row.answer.map(usize::from) == Some(label);
        // Each is the share of right answers among some of the rows.
        let share = |among: &dyn Fn(&LabelAnswer) -> bool| {
            let rows = rows.labels().iter().zip(cluster_of).filter(|(row, _)| among(row));
            let rows: Vec<(u32, f64)> = rows.map(|(row, at)| (*at, f64::from(u8::from(row.is_right())))).collect();
            Spread::of(&rows)
        };
        let accuracy = metric::find("accuracy");
        let shown = |interval: Interval| {
            (support.has_clusters() && interval.withheld.is_none()).then_some([interval.low, interval.high])
        };
        // How often other labels are taken for this one says little where this one doesn't occur as often as it should.
        let of_answers = |spread: &Spread| match counts.support[label] == 0 || support.is_stray(label) {
            true => None,
            false => shown(spread.careful_interval(accuracy)),
        };
        let has_label = share(&has);
        // F1 is 2 J / (1 + J), where J is the share of right answers among the rows that have the label or are answered
        // so: given their number, that of right ones is binomial.
        let of_either = |bound: f64| 2.0 * bound / (1.0 + bound);
        let intervals = ClassIntervals {
            precision: of_answers(&share(&answers)),
            recall: shown(has_label.careful_interval(accuracy)),
            f1: of_answers(&share(&|row| has(row) || answers(row))).map(|bounds| bounds.map(of_either)),
        };
        let clusters = has_label.clusters();
        (
            name.clone(),
            ClassScores { precision, recall, f1, support: counts.support[label] as usize, clusters, intervals },
        )
    };
    rows.task.labels.iter().enumerate().map(of).collect()
}
