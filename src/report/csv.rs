//! Scores as CSV, unrounded.

use super::people;
use crate::scores::Scores;

/// A line a metric.
pub fn csv(scores: &Scores) -> String {
    let mut text =
        "task,metric,value,low,high,n,clusters,method,withheld,bootstrap_low,bootstrap_high,asked,answered\n"
            .to_owned();
    for (task, scores) in &scores.tasks {
        let metrics = scores.metrics.iter().map(|(key, metric)| (key.clone(), metric));
        let agreed = scores.agreement.iter().flat_map(|agreement| &agreement.metrics);
        let agreed = agreed.map(|(key, metric)| (format!("people.{key}"), metric));
        let rated = people::rated(scores).map(|(scale, metric)| (format!("people.{scale}"), metric));
        for (key, metric) in metrics.chain(agreed).chain(rated) {
            let number = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
            let [value, low, high] = [metric.value, metric.low, metric.high].map(number);
            let bootstrap = metric.bootstrap.as_ref();
            let [bootstrap_low, bootstrap_high] =
                bootstrap.map_or([f64::NAN; 2], |bootstrap| [bootstrap.low, bootstrap.high]).map(number);
            let [n, clusters, asked, answered] =
                [metric.n, metric.clusters, scores.asked, scores.answered].map(|count| count.to_string());
            let withheld = metric.withheld.as_deref().unwrap_or_default();
            let cells = [
                task.as_str(),
                &key,
                &value,
                &low,
                &high,
                &n,
                &clusters,
                &metric.method,
                withheld,
                &bootstrap_low,
                &bootstrap_high,
                &asked,
                &answered,
            ];
            text.push_str(&cells.map(quoted).join(","));
            text.push('\n');
        }
    }
    text
}

/// A cell, in quotes where RFC 4180 asks for them.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::scores::Bounds;

    #[test]
    fn cells_are_quoted_and_unrounded() {
        let mut scores = fixture::scores();
        scores.tasks["summary"].metrics["rouge1"].method = "percentile: a, \"b\"".into();
        let rouge2 = &mut scores.tasks["summary"].metrics["rouge2"];
        (rouge2.low, rouge2.high, rouge2.withheld) = (f64::NAN, f64::NAN, Some("2 of 15: a, b".into()));
        let bounds = Bounds { low: 0.25, high: 0.5, withheld: None, method: "bootstrap-t".into() };
        scores.tasks["category"].metrics["macro_f1"].bootstrap = Some(bounds);
        let text = csv(&scores);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("summary,rouge1,0.41237,")
                && lines[1].ends_with(",1204,60,\"percentile: a, \"\"b\"\"\",,,,0,0")
        );
        assert_eq!(lines[2], "summary,rouge2,0.2,,,1204,60,percentile,\"2 of 15: a, b\",,,0,0");
        assert!(lines.iter().any(|line| line.starts_with("category,macro_f1,") && line.ends_with(",,0.25,0.5,0,0")));
        assert_eq!(lines.len(), 1 + 4 + 8);
    }
}
