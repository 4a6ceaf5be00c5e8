//! Scores as CSV, unrounded.

use crate::scores::Scores;

/// A line a metric.
pub fn csv(scores: &Scores) -> String {
    let mut text = "task,metric,value,low,high,n,clusters,method\n".to_owned();
    for (task, scores) in &scores.tasks {
        for (key, metric) in &scores.metrics {
            let number = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
            let [value, low, high] = [metric.value, metric.low, metric.high].map(number);
            let (n, clusters) = (metric.n, metric.clusters);
            let cells = [task, key, &value, &low, &high, &n.to_string(), &clusters.to_string(), &metric.method];
            text.push_str(&cells.map(|cell| quoted(cell)).join(","));
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

    #[test]
    fn cells_are_quoted_and_unrounded() {
        let mut scores = fixture::scores();
        scores.tasks["summary"].metrics["rouge1"].method = "percentile: a, \"b\"".into();
        scores.tasks["summary"].metrics["rouge2"].low = f64::NAN;
        let text = csv(&scores);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("summary,rouge1,0.41237,")
                && lines[1].ends_with(",1204,60,\"percentile: a, \"\"b\"\"\"")
        );
        assert!(lines[2].starts_with("summary,rouge2,0.2,,"));
        assert_eq!(lines.len(), 1 + 4 + 8);
    }
}
