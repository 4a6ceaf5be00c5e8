//! A label task's tables: per class, and the confusion matrix as a heatmap.

use serde::Serialize;

use super::intervals;
use super::metrics::{count, counted, decimal, range};
use crate::scores::{ClassIntervals, ClassScores, Confusion, TaskScores};
use crate::task::Task;

/// Precision, recall and F1 by label.
#[derive(Debug, Serialize)]
pub struct Classes {
    pub rows: Vec<Class>,
    /// What stands behind the rows: `Accounts` or `Reels`.
    pub units: &'static str,
    finding: String,
    /// When an interval is withheld.
    pub rule: String,
}

/// The scores of one label.
#[derive(Debug, Serialize)]
pub struct Class {
    pub label: String,
    description: Option<String>,
    is_positive: bool,
    /// What is to be said of how often it occurs.
    tag: Option<&'static str>,
    /// Each with its interval.
    pub precision: [String; 2],
    pub recall: [String; 2],
    pub f1: [String; 2],
    /// Width of the bar beside the number, in per cent.
    f1_width: String,
    pub support: String,
    pub clusters: String,
}

/// `None` where the task has no labels.
pub fn classes(scores: &TaskScores, task: Option<&Task>) -> Option<Classes> {
    let of = |(label, class): (&String, &ClassScores)| {
        let [precision, recall, f1] = numbers(class);
        Class {
            label: label.clone(),
            description: task.and_then(|task| task.descriptions.get(label).cloned()),
            is_positive: task.is_some_and(|task| task.positive.as_ref() == Some(label)),
            tag: if class.support == 0 { Some("doesn’t occur") } else { class.is_rare().then_some("rare") },
            precision,
            recall,
            f1,
            f1_width: format!("{:.0}", class.f1 * 100.0),
            support: count(class.support),
            clusters: count(class.clusters),
        }
    };
    let rows: Vec<Class> = scores.classes.iter().map(of).collect();
    (!rows.is_empty()).then(|| Classes {
        rows,
        units: units(scores),
        finding: class_finding(scores),
        rule: intervals::rule_of_labels(scores),
    })
}

/// Precision, recall and F1, each with its interval.
fn numbers(class: &ClassScores) -> [[String; 2]; 3] {
    let ClassIntervals { precision, recall, f1 } = class.intervals;
    [(class.precision, precision), (class.recall, recall), (class.f1, f1)].map(|(value, bounds)| {
        let [low, high] = bounds.unwrap_or([f64::NAN; 2]);
        [decimal(value), range(low, high)]
    })
}

fn units(scores: &TaskScores) -> &'static str {
    let is_by_reel = scores.sampling.as_ref().is_some_and(|sampling| sampling.unit == "reel");
    if is_by_reel { "Reels" } else { "Accounts" }
}

fn class_finding(scores: &TaskScores) -> String {
    let present = || scores.classes.iter().filter(|(_, class)| class.support > 0);
    let describe = |(label, class): (&String, &ClassScores)| {
        format!("“{label}” ({}, n = {})", decimal(class.f1), count(class.support))
    };
    let best = present().max_by(|a, b| a.1.f1.total_cmp(&b.1.f1));
    let worst = present().min_by(|a, b| a.1.f1.total_cmp(&b.1.f1));
    let finding = match (best, worst) {
        (Some(best), Some(worst)) => {
            format!("F1 is highest for {} and lowest for {}.", describe(best), describe(worst))
        }
        _ => return "No Reel has a reference label.".into(),
    };
    let counted = [intervals::absent_in_words(scores), intervals::rare_in_words(scores)];
    counted.into_iter().flatten().fold(finding, |finding, counted| format!("{finding} {counted}."))
}

/// Reference label × answer, each cell shaded by its share of the row.
#[derive(Debug, Serialize)]
pub struct Heatmap {
    labels: Vec<String>,
    rows: Vec<HeatRow>,
    finding: String,
}

#[derive(Debug, Serialize)]
struct HeatRow {
    label: String,
    total: String,
    cells: Vec<HeatCell>,
}

#[derive(Debug, Serialize)]
struct HeatCell {
    count: usize,
    /// Share of the row, 0 to 1.
    share: String,
    is_right: bool,
}

/// The matrix with its finding; the last cell of each row counts answers that name no label: invalid, empty, failed or missing.
pub fn heatmap(confusion: &Confusion) -> Heatmap {
    let rows = confusion
        .labels
        .iter()
        .zip(&confusion.counts)
        .enumerate()
        .map(|(index, (label, counts))| {
            let total: usize = counts.iter().sum();
            let cell = |(column, count): (usize, &usize)| HeatCell {
                count: *count,
                share: format!("{:.2}", *count as f64 / total.max(1) as f64),
                is_right: column == index,
            };
            HeatRow { label: label.clone(), total: count(total), cells: counts.iter().enumerate().map(cell).collect() }
        })
        .collect();
    Heatmap { labels: confusion.labels.clone(), rows, finding: heat_finding(confusion) }
}

fn heat_finding(confusion: &Confusion) -> String {
    let counts = &confusion.counts;
    let labels = &confusion.labels;
    let total: usize = counts.iter().flatten().sum();
    let right: usize = counts.iter().enumerate().map(|(index, row)| row[index]).sum();
    let invalid: usize = counts.iter().map(|row| row[labels.len()]).sum();
    let mut finding = format!("{} of {} right.", count(right), counted(total, "answer"));
    let wrong = counts
        .iter()
        .enumerate()
        .flat_map(|(row, counts)| counts[..labels.len()].iter().enumerate().map(move |(column, n)| (*n, row, column)))
        .filter(|(n, row, column)| row != column && *n > 0)
        .max_by_key(|(n, row, column)| (*n, std::cmp::Reverse((*row, *column))));
    if let Some((n, row, column)) = wrong {
        let total: usize = counts[row].iter().sum();
        finding += &format!(
            " The most frequent confusion is “{}” answered as “{}”: {} of {}.",
            labels[row],
            labels[column],
            count(n),
            counted(total, "answer")
        );
    }
    if invalid > 0 {
        finding += &format!(" No label: {}.", count(invalid));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(counts: &[&[usize]]) -> Confusion {
        let labels = ["iklan", "bukan iklan"].map(str::to_owned).to_vec();
        Confusion { labels, counts: counts.iter().map(|row| row.to_vec()).collect() }
    }

    #[test]
    fn the_heatmap_names_the_worst_confusion() {
        let heatmap = heatmap(&confusion(&[&[30, 9, 1], &[4, 56, 0]]));
        assert_eq!(
            heatmap.finding,
            "86 of 100 answers right. The most frequent confusion is “iklan” answered as “bukan iklan”: 9 of 40 answers. No label: 1."
        );
        let shares: Vec<_> = heatmap.rows[0].cells.iter().map(|cell| cell.share.as_str()).collect();
        assert_eq!(shares, ["0.75", "0.23", "0.03"]);
    }

    #[test]
    fn a_label_without_reels_has_empty_cells() {
        let heatmap = heatmap(&confusion(&[&[2, 0, 0], &[0, 0, 0]]));
        assert_eq!(heatmap.finding, "2 of 2 answers right.");
        assert!(heatmap.rows[1].cells.iter().all(|cell| cell.share == "0.00"));
    }

    #[test]
    fn the_finding_compares_labels_that_occur() {
        let class = |f1, support| ClassScores {
            precision: f1,
            recall: f1,
            f1,
            support,
            clusters: support,
            intervals: ClassIntervals { f1: Some([0.25, 0.75]), ..ClassIntervals::default() },
        };
        let classes_of = [("musik", class(0.5, 4)), ("agama", class(0.9, 8)), ("otomotif", class(0.0, 0))];
        let classes_of = classes_of.map(|(label, class)| (label.to_owned(), class)).into_iter().collect();
        let scores = TaskScores { classes: classes_of, ..TaskScores::default() };
        let classes = classes(&scores, None).unwrap();
        assert_eq!(
            classes.finding,
            "F1 is highest for “agama” (0.900, n = 8) and lowest for “musik” (0.500, n = 4). \
             1 of 3 labels don’t occur: otomotif. \
             1 of 3 labels is rare, with under 5 rows or 3 accounts: musik (4 rows, 4 accounts)."
        );
        assert_eq!(
            classes.rows.iter().map(|row| row.tag).collect::<Vec<_>>(),
            [Some("rare"), None, Some("doesn’t occur")]
        );
        let Class { recall, f1, clusters, .. } = &classes.rows[0];
        assert_eq!((classes.units, clusters.as_str()), ("Accounts", "4"));
        assert_eq!([recall, f1], [&["0.500", "withheld"], &["0.500", "0.250 – 0.750"]]);
    }
}
