//! `report.html` of a training run: its curves, alone or beside those of other runs.

use anyhow::{Context, Result, anyhow, bail};
use minijinja::value::Value;
use serde::Serialize;

use super::facts::{Fact, training_facts};
use super::metrics::{count, decimal};
use super::page::{css, render};
use super::svg::{DataTable, Figure, Look, Series, lines};
use crate::error::Hint;

/// What `metrics.jsonl` of a run says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    /// Of the run.
    pub name: String,
    /// Step and loss.
    loss: Vec<(f64, f64)>,
    /// Step and norm of the gradients.
    grad_norm: Vec<(f64, f64)>,
    /// Step and learning rate.
    lr: Vec<(f64, f64)>,
    /// Step and loss on dev data.
    dev: Vec<(f64, f64)>,
    tokens: f64,
    seconds: f64,
}

#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    facts: Vec<Fact>,
    verdict: Vec<String>,
    figures: Vec<Figure>,
    manifest: String,
    css: Value,
}

impl Curves {
    /// Reads the text of a `metrics.jsonl`.
    ///
    /// # Errors
    /// Names the line that can't be read.
    pub fn read(name: String, text: &str) -> Result<Curves> {
        let mut curves = Curves { name, ..Curves::default() };
        for (index, line) in text.lines().enumerate() {
            let line: serde_json::Value = match serde_json::from_str(line) {
                Ok(line) => line,
                // A run that was killed may leave half a line.
                Err(_) if index + 1 == text.lines().count() && !text.ends_with('\n') => break,
                Err(error) => {
                    bail!(anyhow!("{}: metrics.jsonl:{}: {error}", curves.name, index + 1).hint("remove the line"))
                }
            };
            let Some(step) = line["step"].as_f64() else { continue };
            let number = |key: &str| line[key].as_f64();
            let mut add = |to: fn(&mut Curves) -> &mut Vec<(f64, f64)>, key: &str| {
                to(&mut curves).extend(number(key).map(|value| (step, value)));
            };
            add(|curves| &mut curves.loss, "loss");
            add(|curves| &mut curves.grad_norm, "grad_norm");
            add(|curves| &mut curves.lr, "lr");
            add(|curves| &mut curves.dev, "dev_loss");
            curves.tokens += number("tokens").unwrap_or(0.0);
            curves.seconds += number("seconds").unwrap_or(0.0);
        }
        Ok(curves)
    }

    fn best(&self) -> Option<(f64, f64)> {
        self.dev.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn sentences(&self) -> Vec<String> {
        let Some((steps, last)) = self.loss.last() else { return vec![format!("{}: no step is done yet.", self.name)] };
        let mut sentence = format!("{}: {} steps, training loss {}", self.name, count(*steps as usize), decimal(*last));
        if let Some((step, loss)) = self.best() {
            sentence += &format!("; dev loss {} at best, after step {}", decimal(loss), count(step as usize));
        }
        let mut sentences = vec![sentence + "."];
        if let (Some((best_step, best)), Some((step, loss))) = (self.best(), self.dev.last())
            && step > &best_step
            && *loss > best
        {
            sentences.push(format!(
                "{}: after step {} the dev loss rose, to {} from {}: what was learned later is not kept.",
                self.name,
                count(best_step as usize),
                decimal(*loss),
                decimal(best)
            ));
        }
        if self.seconds > 0.0 {
            sentences.push(format!("{}: {} tokens a second.", self.name, count((self.tokens / self.seconds) as usize)));
        }
        sentences
    }
}

/// The page of a run, which is the first one, beside others; `manifest` is its own.
///
/// # Errors
/// When the template can't be rendered, which no run should be able to cause.
pub fn training_html(runs: &[Curves], manifest: &serde_json::Value) -> Result<String> {
    let first = runs.first().context("a training report is of a run")?;
    render(
        "training.html",
        View {
            title: &first.name,
            facts: training_facts(manifest),
            verdict: runs.iter().flat_map(Curves::sentences).collect(),
            figures: [losses(runs), norms(runs), rates(runs)].into_iter().flatten().collect(),
            manifest: serde_json::to_string_pretty(manifest)?,
            css: css(),
        },
    )
}

fn losses(runs: &[Curves]) -> Option<Figure> {
    let longest = runs.iter().map(|run| run.loss.len()).max().unwrap_or(0);
    let window = (longest / 40).max(1);
    let training = runs.iter().enumerate().filter(|(_, run)| !run.loss.is_empty()).map(|(index, run)| Series {
        name: format!("{}: training", run.name),
        points: smooth(&run.loss, window),
        look: Look { run: index, marks: false },
    });
    let dev = runs.iter().enumerate().filter(|(_, run)| !run.dev.is_empty()).map(|(index, run)| Series {
        name: format!("{}: dev", run.name),
        points: run.dev.clone(),
        look: Look { run: index, marks: true },
    });
    let series: Vec<Series> = training.chain(dev).collect();
    let mut steps: Vec<f64> = runs.iter().flat_map(|run| &run.dev).map(|(step, _)| *step).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let at = |points: &[(f64, f64)], step: f64| {
        points.iter().find(|(at, _)| *at == step).map_or("–".to_owned(), |(_, loss)| decimal(*loss))
    };
    let row = |step: &f64| {
        let of_run = |run: &Curves| [at(&run.loss, *step), at(&run.dev, *step)];
        std::iter::once(count(*step as usize)).chain(runs.iter().flat_map(of_run)).collect()
    };
    let header: Vec<String> = std::iter::once("Step".to_owned())
        .chain(runs.iter().flat_map(|run| [format!("{}: training", run.name), format!("{}: dev", run.name)]))
        .collect();
    let smoothed = if window > 1 { format!(" Lines are means over {window} steps.") } else { String::new() };
    Some(Figure {
        heading: "Loss.".to_owned(),
        finding: "Cross-entropy per learned token.".to_owned(),
        key: format!("Points are on dev data.{smoothed}"),
        svg: lines("Loss by step", "Training and dev loss by step", "step", "loss", &series)?,
        table: (!steps.is_empty()).then(|| DataTable { header, rows: steps.iter().map(row).collect() }),
    })
}

fn norms(runs: &[Curves]) -> Option<Figure> {
    let series = by_run(runs, |run| &run.grad_norm);
    Some(Figure {
        heading: "Norm of the gradients.".to_owned(),
        finding: "Before it is limited.".to_owned(),
        key: "A sudden rise comes before a loss that diverges.".to_owned(),
        svg: lines("Norm of the gradients by step", "Norm of the gradients by step", "step", "norm", &series)?,
        table: None,
    })
}

fn rates(runs: &[Curves]) -> Option<Figure> {
    // In units that an axis can show.
    let largest = runs.iter().flat_map(|run| &run.lr).map(|(_, lr)| *lr).fold(0.0, f64::max);
    if largest <= 0.0 {
        return None;
    }
    let unit = 10f64.powf(largest.log10().floor());
    let series: Vec<Series> = by_run(runs, |run| &run.lr)
        .into_iter()
        .map(|series| Series { points: series.points.iter().map(|(step, lr)| (*step, lr / unit)).collect(), ..series })
        .collect();
    Some(Figure {
        heading: "Learning rate.".to_owned(),
        finding: format!("In units of {unit:e}."),
        key: String::new(),
        svg: lines("Learning rate by step", "Learning rate by step", "step", "learning rate", &series)?,
        table: None,
    })
}

fn by_run(runs: &[Curves], points: fn(&Curves) -> &Vec<(f64, f64)>) -> Vec<Series> {
    let series = |(index, run): (usize, &Curves)| Series {
        name: run.name.clone(),
        points: points(run).clone(),
        look: Look { run: index, marks: false },
    };
    runs.iter().enumerate().map(series).filter(|series| !series.points.is_empty()).collect()
}

/// Means of the last `window` values.
fn smooth(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let mean = |(index, (step, _)): (usize, &(f64, f64))| {
        let last = &points[(index + 1).saturating_sub(window)..=index];
        (*step, last.iter().map(|(_, value)| value).sum::<f64>() / last.len() as f64)
    };
    points.iter().enumerate().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "{\"step\":1,\"loss\":3.0,\"grad_norm\":0.5,\"lr\":0.0002,\"tokens\":100,\"seconds\":2}\n\
        {\"step\":1,\"dev_loss\":2.5}\n\
        {\"step\":2,\"loss\":2.0,\"grad_norm\":0.4,\"lr\":0.0002,\"tokens\":100,\"seconds\":2}\n\
        {\"step\":2,\"dev_loss\":2.75}\n";

    #[test]
    fn curves_are_told_in_words_and_drawn() {
        let run = Curves::read("runs/a".into(), METRICS).unwrap();
        assert_eq!(
            run.sentences(),
            [
                "runs/a: 2 steps, training loss 2.000; dev loss 2.500 at best, after step 1.",
                "runs/a: after step 1 the dev loss rose, to 2.750 from 2.500: what was learned later is not kept.",
                "runs/a: 50 tokens a second.",
            ]
        );
        let other = Curves { name: "<b>".into(), ..run.clone() };
        let page = training_html(&[run, other], &serde_json::json!({"base": {"path": "base"}})).unwrap();
        assert_eq!(page.matches("<figure>").count(), 3);
        assert!(page.contains("In units of 1e-4") && page.contains("&lt;b&gt;: dev") && !page.contains("<b>:"));
    }

    #[test]
    fn a_run_without_a_step_has_a_page() {
        let run = Curves::read("a".into(), "").unwrap();
        let page = training_html(std::slice::from_ref(&run), &serde_json::Value::Null).unwrap();
        assert!(page.contains("no step is done yet") && !page.contains("<figure>"));
        assert_eq!(Curves::read("a".into(), "{\"st").unwrap(), run);
        assert!(Curves::read("a".into(), "{\n").unwrap_err().to_string().contains("a: metrics.jsonl:1"));
    }
}
