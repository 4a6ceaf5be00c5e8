//! A label task's tables: per class, and the confusion matrix as a heatmap.

use indexmap::IndexMap;
use serde::Serialize;

use super::metrics::{count, counted, decimal};
use crate::scores::{ClassScores, Confusion};
use crate::task::Task;

/// Precision, recall and F1 by label.
#[derive(Debug, Serialize)]
pub struct Classes {
    rows: Vec<Class>,
    finding: String,
}

#[derive(Debug, Serialize)]
struct Class {
    label: String,
    description: Option<String>,
    is_positive: bool,
    precision: String,
    recall: String,
    f1: String,
    /// Width of the bar beside the number, in per cent.
    f1_width: String,
    support: String,
}

/// `None` where the task has no labels.
pub fn classes(scores: &IndexMap<String, ClassScores>, task: Option<&Task>) -> Option<Classes> {
    let rows: Vec<Class> = scores
        .iter()
        .map(|(label, class)| Class {
            label: label.clone(),
            description: task.and_then(|task| task.descriptions.get(label).cloned()),
            is_positive: task.is_some_and(|task| task.positive.as_ref() == Some(label)),
            precision: decimal(class.precision),
            recall: decimal(class.recall),
            f1: decimal(class.f1),
            f1_width: format!("{:.0}", class.f1 * 100.0),
            support: count(class.support),
        })
        .collect();
    (!rows.is_empty()).then(|| Classes { rows, finding: class_finding(scores) })
}

fn class_finding(scores: &IndexMap<String, ClassScores>) -> String {
    let present = || scores.iter().filter(|(_, class)| class.support > 0);
    let describe = |(label, class): (&String, &ClassScores)| {
        format!("“{label}” ({}, n = {})", decimal(class.f1), count(class.support))
    };
    let best = present().max_by(|a, b| a.1.f1.total_cmp(&b.1.f1));
    let worst = present().min_by(|a, b| a.1.f1.total_cmp(&b.1.f1));
    let absent = scores.len() - present().count();
    let mut finding = match (best, worst) {
        (Some(best), Some(worst)) => {
            format!("F1 is highest for {} and lowest for {}.", describe(best), describe(worst))
        }
        _ => return "No Reel has a reference label.".into(),
    };
    if absent > 0 {
        finding += &format!(" {} of {} labels are the reference of no Reel.", absent, scores.len());
    }
    finding
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

/// The matrix with its finding; the last cell of each row counts invalid and failed answers.
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
        finding += &format!(" Invalid or failed: {}.", count(invalid));
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
            "86 of 100 answers right. The most frequent confusion is “iklan” answered as “bukan iklan”: 9 of 40 answers. Invalid or failed: 1."
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
        let class = |f1, support| ClassScores { precision: f1, recall: f1, f1, support };
        let scores = [("musik", class(0.5, 4)), ("agama", class(0.9, 8)), ("otomotif", class(0.0, 0))]
            .map(|(label, class)| (label.to_owned(), class))
            .into_iter()
            .collect();
        assert_eq!(
            classes(&scores, None).unwrap().finding,
            "F1 is highest for “agama” (0.900, n = 8) and lowest for “musik” (0.500, n = 4). 1 of 3 labels are the reference of no Reel."
        );
    }
}
